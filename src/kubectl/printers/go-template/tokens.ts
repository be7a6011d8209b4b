/** The tokens of Go's text/template. Pure. */
import { goQuote } from "../../../base/go-quote.ts";
import { goCodePoint } from "../../go-format.ts";

export type TokenKind =
  | "text"
  | "left"
  | "right"
  | "space"
  | "assign"
  | "declare"
  | "pipe"
  | "string"
  | "raw"
  | "char"
  | "number"
  | "variable"
  | "field"
  | "dot"
  | "bool"
  | "nil"
  | "identifier"
  | "keyword"
  | "open"
  | "close"
  | "other"
  | "error"
  | "end";

export interface Token {
  kind: TokenKind;
  text: string;
  at: number;
  /** From 1. */
  line: number;
}

const keywords = ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];

/** As messages name it. */
export function tokenText({ kind, text }: Token): string {
  if (kind === "end") return "EOF";
  if (kind === "error") return text;
  if (kind === "keyword" || kind === "dot" || kind === "nil") return `<${text}>`;
  return text.length > 10 ? `${goQuote(text.slice(0, 10))}...` : goQuote(text);
}

/** Ends with an `end`, or with an `error` where the template is none. */
export function tokenize(template: string): Token[] {
  return new Lexer(template).run();
}

class Lexer {
  readonly #text: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  run(): Token[] {
    while (this.#outside());
    return this.#tokens;
  }

  get #rest(): string {
    return this.#text.slice(this.#at);
  }

  #add(kind: TokenKind, length: number): void {
    const text = this.#text.slice(this.#at, this.#at + length);
    this.#tokens.push({ kind, text, at: this.#at, line: this.#line });
    this.#skip(length);
  }

  #skip(length: number): void {
    this.#line += this.#text.slice(this.#at, this.#at + length).split("\n").length - 1;
    this.#at += length;
  }

  #fail(text: string): false {
    this.#tokens.push({ kind: "error", text, at: this.#at, line: this.#line });
    return false;
  }

  /** Text, and the action or comment behind it. False at the end. */
  #outside(): boolean {
    const open = this.#text.indexOf("{{", this.#at);
    const end = open < 0 ? this.#text.length : open;
    const isTrimmed = open >= 0 && /^\{\{-\s/.test(this.#text.slice(open));
    const text = this.#text.slice(this.#at, end);
    const shown = isTrimmed ? text.replace(/[ \t\r\n]+$/, "") : text;
    if (shown) this.#add("text", shown.length);
    this.#skip(end - this.#at);
    if (open < 0) {
      this.#add("end", 0);
      return false;
    }
    const marker = isTrimmed ? 2 : 0;
    if (this.#text.startsWith("/*", this.#at + 2 + marker)) return this.#comment(2 + marker);
    this.#add("left", 2);
    this.#skip(marker);
    this.#depth = 0;
    while (this.#inside());
    return this.#tokens.at(-1)!.kind === "right";
  }

  #comment(head: number): boolean {
    const close = this.#text.indexOf("*/", this.#at + head);
    if (close < 0) return this.#fail("unclosed comment");
    const tail = /^(?:\s-\}\}[ \t\r\n]*|\}\})/.exec(this.#text.slice(close + 2));
    if (!tail) return this.#fail("comment ends before closing delimiter");
    this.#skip(close + 2 + tail[0].length - this.#at);
    return true;
  }

  /** One token of an action. False at its end. */
  #inside(): boolean {
    const rest = this.#rest;
    const close = /^(?:(\s-)\}\}[ \t\r\n]*|\}\})/.exec(rest);
    if (close) {
      if (this.#depth > 0) return this.#fail("unclosed left paren");
      const trims = close[1] !== undefined;
      this.#skip(trims ? 2 : 0);
      this.#add("right", 2);
      if (trims) this.#skip(close[0].length - 4);
      return false;
    }
    if (rest === "") return this.#fail("unclosed action");
    const space = /^[ \t\r\n]+/.exec(rest);
    if (space) {
      // The last one may belong to the closing delimiter.
      const length = /^-\}\}/.test(rest.slice(space[0].length)) ? space[0].length - 1 : space[0].length;
      this.#add("space", length);
      return true;
    }
    return this.#word(rest);
  }

  #word(rest: string): boolean {
    const first = rest[0]!;
    if (first === "=") return this.#take("assign", 1);
    if (first === ":") return rest[1] === "=" ? this.#take("declare", 2) : this.#fail("expected :=");
    if (first === "|") return this.#take("pipe", 1);
    if (first === '"') return this.#quoted("string", /^"(?:\\[^\n]|[^"\\\n])*"/, "quoted string");
    if (first === "'") return this.#quoted("char", /^'(?:\\[^\n]|[^'\\\n])*'/, "character constant");
    if (first === "`") return this.#quoted("raw", /^`[^`]*`/, "raw quoted string");
    if (first === "(") {
      this.#depth++;
      return this.#take("open", 1);
    }
    if (first === ")") return --this.#depth < 0 ? this.#fail("unexpected right paren") : this.#take("close", 1);
    if (first === "$" || (first === "." && !/^\.\d/.test(rest))) {
      const [name] = /^[.$][\p{L}\p{Nd}_]*/u.exec(rest)!;
      return this.#terminated(first === "$" ? "variable" : name === "." ? "dot" : "field", name);
    }
    if (/^[+\-.\d]/.test(rest)) {
      const [number] = /^[+-]?(?:0[xX][\da-fA-F_]*|0[oO][0-7_]*|0[bB][01_]*|[\d_]*\.?[\d_]*(?:[eE][+-]?[\d_]*)?)/.exec(
        rest,
      )!;
      const more = /^[\p{L}\p{Nd}_]/u.exec(rest.slice(number.length));
      return more ? this.#fail(`bad number syntax: ${goQuote(number + more[0])}`) : this.#take("number", number.length);
    }
    const word = /^[\p{L}\p{Nd}_]+/u.exec(rest);
    if (word) return this.#terminated(wordKind(word[0]), word[0]);
    if (/^[!-~]/.test(first)) return this.#take("other", 1);
    return this.#fail(`unrecognized character in action: ${goCodePoint(String.fromCodePoint(rest.codePointAt(0)!))}`);
  }

  #take(kind: TokenKind, length: number): true {
    this.#add(kind, length);
    return true;
  }

  #quoted(kind: TokenKind, pattern: RegExp, what: string): boolean {
    const match = pattern.exec(this.#rest);
    return match ? this.#take(kind, match[0].length) : this.#fail(`unterminated ${what}`);
  }

  #terminated(kind: TokenKind, word: string): boolean {
    const next = this.#rest.slice(word.length);
    if (next === "" || /^(?:[\s.,|:()]|\}\})/.test(next)) return this.#take(kind, word.length);
    return this.#fail(`bad character ${goCodePoint(String.fromCodePoint(next.codePointAt(0)!))}`);
  }
}

function wordKind(word: string): TokenKind {
  if (word === "true" || word === "false") return "bool";
  if (word === "nil") return "nil";
  return keywords.includes(word) ? "keyword" : "identifier";
}
