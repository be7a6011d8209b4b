/** How many bytes a base64 text stands for, without decoding it. */
export function base64Length(encoded: string): number {
  const length = encoded.replace(/[\r\n]/g, "").length;
  const padding = encoded.endsWith("==") ? 2 : encoded.endsWith("=") ? 1 : 0;
  return Math.max(0, Math.floor((length * 3) / 4) - padding);
}
