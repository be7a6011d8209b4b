/** Text the way Go's `%q` and strconv.Quote write it, for messages that quote what they are about. */
import { escaped } from "./escapes.ts";

/** Within double quotes (or `quote`), with what cannot be printed escaped: `"a\x00b"`. */
export function goQuote(text: string, quote = '"'): string {
  if (plain.test(text)) return `${quote}${text}${quote}`;
  const body = [...text].map((character) => {
    if (character === quote) return `\\${quote}`;
    const short = escaped[character];
    if (short) return short;
    if (/[\p{L}\p{M}\p{N}\p{P}\p{S}]| /u.test(character)) return character;
    const code = character.codePointAt(0)!;
    if (code < 0x80) return `\\x${hex(code, 2)}`;
    return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
  });
  return `${quote}${body.join("")}${quote}`;
}

/** What needs no second look, whichever the quote. */
const plain = /^[\w ./:@+*()<>=,;!?#$%&{}[\]|~^-]*$/;

const hex = (code: number, width: number): string => code.toString(16).padStart(width, "0");
