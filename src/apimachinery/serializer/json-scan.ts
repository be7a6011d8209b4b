/** Looks at JSON text for what JSON.parse does not tell: keys given twice, and where and how the text is malformed. */
import type { TypeSchema, ValueSchema } from "../../api/schema.ts";
import { DecodeError } from "./decode-error.ts";

/** How many object keys valid JSON text holds, those given twice counted twice. Jumps from quote to quote. */
export function countTextKeys(text: string): number {
  let count = 0;
  for (let quote = text.indexOf('"'); quote >= 0; quote = text.indexOf('"', quote)) {
    quote = endOfString(text, quote);
    let code = text.charCodeAt(quote);
    while (code === 32 || code === 10 || code === 13 || code === 9) code = text.charCodeAt(++quote);
    if (code === 58) count++;
  }
  return count;
}

/** How many keys the objects within a parsed value hold. Throws DecodeError when it is nested too deeply. */
export function countKeys(value: unknown, depth = 0): number {
  if (typeof value !== "object" || value === null) return 0;
  if (depth >= maximumDepth) throw new DecodeError("exceeded max depth");
  let count = 0;
  if (Array.isArray(value)) for (const item of value) count += countKeys(item, depth + 1);
  else {
    for (const key in value) count += 1 + countKeys((value as Record<string, unknown>)[key], depth + 1);
  }
  return count;
}

/** `start` is the opening quote; the index after the closing one. */
function endOfString(text: string, start: number): number {
  let end = start;
  for (;;) {
    end = text.indexOf('"', end + 1);
    let backslashes = end - 1;
    while (text.charCodeAt(backslashes) === 92) backslashes--;
    if ((end - backslashes) % 2 === 1) return end + 1;
  }
}

/** Nesting beyond this is refused rather than risked. */
export const maximumDepth = 1000;
const maximumProblems = 100;

/** Unknown and duplicate fields of valid JSON text in document order, in upstream's words. */
export function strictProblems(text: string, type: TypeSchema): string[] {
  return strictProblemsOf(text, { kind: "struct", type, atomic: false });
}

/** The same of text that holds something other than a struct, such as a list. */
export function strictProblemsOf(text: string, schema: ValueSchema): string[] {
  const scanner = new Scanner(text);
  scanner.value(schema, "");
  return [...scanner.problems, ...scanner.pruned].slice(0, maximumProblems);
}

/** Fields that a document names twice, whatever their meaning: `duplicate field "data.a"`. `text` is valid JSON. */
export function duplicateFields(text: string): string[] {
  const scanner = new Scanner(text);
  scanner.value("free", "");
  return [...scanner.problems].slice(0, maximumProblems);
}

class Scanner {
  readonly problems = new Set<string>();
  /** Unknown fields of custom resources come after all duplicates: upstream prunes in a second step. */
  readonly pruned = new Set<string>();
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Undefined schema: skipped. "free": looked at for duplicates alone. */
  value(schema: ValueSchema | "free" | undefined, path: string): void {
    const char = this.#peek();
    if (++this.#depth > maximumDepth) throw new DecodeError("exceeded max depth");
    if (char === "{") this.#object(schema, path);
    else if (char === "[") this.#array(schema, path);
    else if (char === '"') this.#at = endOfString(this.#text, this.#at);
    else while (this.#at < this.#text.length && !/[\s,\]}]/.test(this.#text[this.#at]!)) this.#at++;
    this.#depth--;
  }

  #object(schema: ValueSchema | "free" | undefined, path: string): void {
    if (schema !== "free" && schema?.kind === "either") schema = schema.struct;
    if (schema !== "free" && schema?.kind === "any" && schema.fullName === "") schema = "free";
    const type = schema !== "free" && schema?.kind === "struct" ? schema.type : undefined;
    const values = schema !== "free" && schema?.kind === "map" ? schema.values : undefined;
    const seen = new Set<string>();
    this.#at++;
    while (this.#peek() !== "}") {
      const start = this.#at;
      this.#at = endOfString(this.#text, start);
      const key = JSON.parse(this.#text.slice(start, this.#at)) as string;
      const childPath = path ? `${path}.${key}` : key;
      const field = type?.byName.get(key);
      const looked = field || values || schema === "free" || type?.custom;
      if (looked) {
        if (seen.has(key)) this.problems.add(`duplicate field ${JSON.stringify(childPath)}`);
        seen.add(key);
      }
      if (type && !field && !type.preserveUnknown)
        (type.custom ? this.pruned : this.problems).add(`unknown field ${JSON.stringify(childPath)}`);
      this.#peek();
      this.#at++; // The colon.
      this.value(
        type ? (field?.value ?? (type.custom ? "free" : undefined)) : schema === "free" ? "free" : values,
        childPath,
      );
      if (this.#peek() === ",") this.#at++;
    }
    this.#at++;
  }

  #array(schema: ValueSchema | "free" | undefined, path: string): void {
    if (schema !== "free" && schema?.kind === "either") schema = schema.or;
    const items = schema === "free" ? "free" : schema?.kind === "list" ? schema.items : undefined;
    this.#at++;
    for (let i = 0; this.#peek() !== "]"; i++) {
      this.value(items, `${path}[${i}]`);
      if (this.#peek() === ",") this.#at++;
    }
    this.#at++;
  }

  /** The next character that is no white space. */
  #peek(): string {
    let code = this.#text.charCodeAt(this.#at);
    while (code === 32 || code === 10 || code === 13 || code === 9) code = this.#text.charCodeAt(++this.#at);
    return this.#text[this.#at]!;
  }
}

/** What Go says of malformed JSON. Call it only with text that JSON.parse refused. */
export function syntaxProblem(text: string): string {
  try {
    new Checker(text).document();
  } catch (error) {
    if (error instanceof SyntaxProblem) return error.message;
    throw error;
  }
  return "invalid JSON";
}

class SyntaxProblem extends Error {}

class Checker {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    this.#value();
    this.#space();
    if (this.#at < this.#text.length) this.#fail("after top-level value");
  }

  #value(): void {
    this.#space();
    const char = this.#text[this.#at];
    if (char === "{" || char === "[") {
      if (++this.#depth > maximumDepth) throw new SyntaxProblem("exceeded max depth");
      if (char === "{") this.#object();
      else this.#array();
      this.#depth--;
    } else if (char === '"') this.#string();
    else if (char === "t") this.#literal("true");
    else if (char === "f") this.#literal("false");
    else if (char === "n") this.#literal("null");
    else if (char === "-" || (char !== undefined && /\d/.test(char))) this.#number();
    else this.#fail("looking for beginning of value");
  }

  #object(): void {
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === "}") {
      this.#at++;
      return;
    }
    for (;;) {
      this.#space();
      if (this.#text[this.#at] !== '"') this.#fail("looking for beginning of object key string");
      this.#string();
      this.#space();
      if (this.#text[this.#at] !== ":") this.#fail("after object key");
      this.#at++;
      this.#value();
      this.#space();
      const char = this.#text[this.#at++];
      if (char === "}") return;
      this.#at--;
      if (char !== ",") this.#fail("after object key:value pair");
      this.#at++;
    }
  }

  #array(): void {
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === "]") {
      this.#at++;
      return;
    }
    for (;;) {
      this.#value();
      this.#space();
      const char = this.#text[this.#at];
      if (char !== "]" && char !== ",") this.#fail("after array element");
      this.#at++;
      if (char === "]") return;
    }
  }

  #string(): void {
    this.#at++;
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined || char.charCodeAt(0) < 0x20) this.#fail("in string literal");
      this.#at++;
      if (char === '"') return;
      if (char !== "\\") continue;
      const escaped = this.#text[this.#at];
      if (escaped === undefined || !'"\\/bfnrtu'.includes(escaped)) this.#fail("in string escape code");
      this.#at++;
      if (escaped !== "u") continue;
      for (let i = 0; i < 4; i++) {
        if (!/[0-9a-fA-F]/.test(this.#text[this.#at] ?? "")) this.#fail("in \\u hexadecimal character escape");
        this.#at++;
      }
    }
  }

  #literal(word: string): void {
    for (let i = 0; i < word.length; i++, this.#at++) {
      if (this.#text[this.#at] !== word[i]) this.#fail(`in literal ${word} (expecting '${word[i]}')`);
    }
  }

  #number(): void {
    if (this.#text[this.#at] === "-") this.#at++;
    if (this.#text[this.#at] === "0") this.#at++;
    else this.#digits("in numeric literal");
    if (this.#text[this.#at] === ".") {
      this.#at++;
      this.#digits("after decimal point in numeric literal");
    }
    if (this.#text[this.#at] === "e" || this.#text[this.#at] === "E") {
      this.#at++;
      if (this.#text[this.#at] === "+" || this.#text[this.#at] === "-") this.#at++;
      this.#digits("in exponent of numeric literal");
    }
  }

  #digits(context: string): void {
    if (!/\d/.test(this.#text[this.#at] ?? "")) this.#fail(context);
    while (/\d/.test(this.#text[this.#at] ?? "")) this.#at++;
  }

  #space(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? "")) this.#at++;
  }

  #fail(context: string): never {
    const char = this.#text[this.#at];
    if (char === undefined) throw new SyntaxProblem("unexpected end of JSON input");
    // Go looks at bytes: of a longer character it names the first, as if it were Latin-1.
    const byte = String.fromCharCode(Buffer.from(char)[0]!);
    const shown = byte === "'" ? "\\'" : byte === '"' ? '"' : goEscaped(byte);
    throw new SyntaxProblem(`invalid character '${shown}' ${context}`);
  }
}

/** A character as Go quotes it: as JSON does, but for `\a`, `\v` and other controls, which are `\x01`. */
function goEscaped(character: string): string {
  if (character === "\x07") return "\\a";
  if (character === "\v") return "\\v";
  return JSON.stringify(character)
    .slice(1, -1)
    .replace(/^\\u00/, "\\x");
}
