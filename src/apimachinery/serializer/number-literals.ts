/** JSON text read once more, with its numbers as they are spelled: integer fields take `3` and refuse `3.0`, as Go does. */

import { DecodeError } from "./decode-error.ts";
import { maximumDepth } from "./json-scan.ts";

/** A number that JSON.parse would not tell from an integer of 64 bits: spelled with a fraction or an exponent, or beyond that. */
export class NumberLiteral {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** The text's value with its numbers as they are spelled; undefined when JSON.parse tells as much. `text` is valid JSON. */
export function literalsOf(text: string): unknown {
  return /[:[,]\s*-?(?:\d+[.eE]|\d{16})/.test(text) ? parseWithLiterals(text) : undefined;
}

function asSpelled(spelled: string, value: number): unknown {
  const exact = exactNumber(spelled, value);
  return String(exact) === spelled || spelled === "-0" ? exact : new NumberLiteral(spelled);
}

/** A bigint of what no double holds, if 64 bits do. */
export function exactNumber(spelled: string, value: number): number | bigint {
  if (Number.isSafeInteger(value) || !/^-?\d+$/.test(spelled)) return value;
  const whole = BigInt(spelled);
  return BigInt.asIntN(64, whole) === whole ? whole : value;
}

/** What JSON.parse gives, except for numbers (`ofNumber`). `text` is valid JSON. Throws DecodeError when it is nested too deeply. */
export function parseWithLiterals(
  text: string,
  ofNumber: (spelled: string, value: number) => unknown = asSpelled,
): unknown {
  let at = 0;
  const token = /[\s,:]*(?:("(?:[^"\\]|\\.)*")|([[{}\]])|([^\s,:[\]{}]+))/gy;
  const next = (): RegExpExecArray => {
    token.lastIndex = at;
    const found = token.exec(text)!;
    at = token.lastIndex;
    return found;
  };
  let depth = 0;
  const read = ([, string, bracket, word]: RegExpExecArray): unknown => {
    if (string !== undefined) return JSON.parse(string);
    if (bracket && ++depth > maximumDepth) throw new DecodeError("exceeded max depth");
    if (bracket === "[") {
      const list: unknown[] = [];
      for (let item = next(); item[2] !== "]"; item = next()) list.push(read(item));
      depth--;
      return list;
    }
    if (bracket === "{") {
      const entries: [string, unknown][] = [];
      for (let key = next(); key[2] !== "}"; key = next()) entries.push([JSON.parse(key[1]!), read(next())]);
      depth--;
      return Object.fromEntries(entries);
    }
    const value: unknown = JSON.parse(word!);
    return typeof value === "number" ? ofNumber(word!, value) : value;
  };
  return read(next());
}
