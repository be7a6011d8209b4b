/** Base64 as Go's decoder takes it: the standard alphabet with padding, line ends ignored. */
import { DecodeError } from "./decode-error.ts";

const canonical = /^[A-Za-z0-9+/]*={0,2}$/;

/** The same text without line ends. Throws upstream's error when it is no base64. */
export function normalizeBase64(text: string): string {
  if (text.length % 4 === 0 && canonical.test(text)) return text;
  const joined = text.replace(/[\r\n]/g, "");
  if (joined.length % 4 === 0 && canonical.test(joined)) return joined;
  throw new DecodeError(`illegal base64 data at input byte ${firstIllegal(text)}`);
}

/** Where Go says that the text goes wrong: a bad character, or the start of an unfinished group of four. */
function firstIllegal(text: string): number {
  let group: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (char === "\r" || char === "\n") continue;
    if (/[A-Za-z0-9+/]/.test(char)) {
      group.push(i);
      if (group.length === 4) group = [];
      continue;
    }
    if (char !== "=" || group.length < 2) return i;
    if (group.length === 3) return i + 1;
    const next = text.slice(i + 1).search(/[^\r\n]/);
    if (next < 0) return text.length;
    return text[i + 1 + next] === "=" ? i + 2 + next : i + next;
  }
  return text.length - group.length;
}
