/** `Authorization: Bearer TOKEN`. */
export function bearerToken(header: string | string[] | undefined): string | undefined {
  const match = typeof header === "string" ? /^bearer +(\S+)$/i.exec(header.trim()) : null;
  return match?.[1];
}
