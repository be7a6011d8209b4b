/** The blocks of a PEM text, read as Go reads them: what lies between blocks, and what is no whole block, is passed over. */

export interface PemBlock {
  /** `CERTIFICATE` of `-----BEGIN CERTIFICATE-----`. */
  type: string;
  /** Lines `Name: value` stood before the data. */
  hasHeaders: boolean;
  der: Buffer;
}

const wholeBlock = /^-----BEGIN ([^\r\n]*)-----[ \t]*\r?\n([^-]*)^-----END \1-----[ \t]*$/gm;

export function pemBlocks(text: string): PemBlock[] {
  return [...text.matchAll(wholeBlock)].flatMap(([, type = "", body = ""]) => {
    const lines = body.split(/\r?\n/);
    const headers = lines.filter((line) => line.includes(":"));
    const data = lines.filter((line) => !line.includes(":")).join("");
    if (!/^[A-Za-z0-9+/=\s]*$/.test(data)) return [];
    return [{ type, hasHeaders: headers.length > 0, der: Buffer.from(data, "base64") }];
  });
}

/** One certificate as PEM, in lines of 64 characters. */
export const certificatePem = (der: Uint8Array): string => pemBlock("CERTIFICATE", der);

/** In lines of 64 characters. */
export function pemBlock(type: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${type}-----\n${lines.join("\n")}\n-----END ${type}-----\n`;
}
