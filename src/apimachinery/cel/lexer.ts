/** Cuts a CEL expression into tokens. */
import { escapes } from "../../base/escapes.ts";
import type { Issue, Position } from "./syntax.ts";

export interface Token {
  kind: "identifier" | "int" | "uint" | "double" | "string" | "bytes" | "operator" | "end";
  /** As it stands in the source. */
  text: string;
  at: Position;
  /** Of literals. */
  value?: string | bigint | number | Uint8Array;
  /** Written between backticks. */
  quoted?: boolean;
}

export class SyntaxIssue extends Error {
  readonly issue: Issue;

  constructor(at: Position, message: string) {
    super(message);
    this.issue = { at, message };
  }
}

const identifier = /[A-Za-z_][A-Za-z0-9_]*/y;
const quotedIdentifier = /`([A-Za-z0-9_./ -]+)`/y;
const number =
  /0[xX][0-9a-fA-F]+[uU]?|(?:[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)|[0-9]+[uU]?/y;
const operators = /&&|\|\||==|!=|<=|>=|[-+*/%!?:.,<>()[\]{}]/y;
const stringStart = /([rR][bB]?|[bB][rR]?)?("""|'''|"|')/y;
const blank = /(?:[ \t\r\n\f]+|\/\/[^\n]*)+/y;

/** Throws a SyntaxIssue. The last token is `end`. */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < source.length) {
    const space = matchAt(blank, source, at);
    if (space) {
      at += space[0].length;
      continue;
    }
    const opening = matchAt(stringStart, source, at);
    if (opening) {
      const token = readString(source, at, opening[1] ?? "", opening[2]!);
      tokens.push(token);
      at += token.text.length;
      continue;
    }
    const token = readToken(source, at);
    tokens.push(token);
    at += token.text.length;
  }
  tokens.push({ kind: "end", text: "<EOF>", at: source.length });
  return tokens;
}

function matchAt(pattern: RegExp, source: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(source);
}

function readToken(source: string, at: number): Token {
  const name = matchAt(identifier, source, at);
  if (name) return { kind: "identifier", text: name[0], at };
  const quoted = matchAt(quotedIdentifier, source, at);
  if (quoted) return { kind: "identifier", text: quoted[0], at, value: quoted[1]!, quoted: true };
  const digits = matchAt(number, source, at);
  if (digits) return readNumber(digits[0], at);
  const operator = matchAt(operators, source, at);
  if (operator) return { kind: "operator", text: operator[0], at };
  // What begins an operator is told with what should have been its end.
  const length = "=&|".includes(source[at]!) ? 2 : 1;
  const text = [...source.slice(at, at + 3)].slice(0, length).join("");
  throw new SyntaxIssue(at, `Syntax error: token recognition error at: '${text}'`);
}

function readNumber(text: string, at: number): Token {
  const hex = /^0[xX]/.test(text);
  if (!hex && /[.eE]/.test(text)) return { kind: "double", text, at, value: Number(text) };
  if (/[uU]$/.test(text)) {
    const value = BigInt(text.slice(0, -1));
    if (value > 0xffffffffffffffffn) throw new SyntaxIssue(at, "invalid uint literal");
    return { kind: "uint", text, at, value };
  }
  return { kind: "int", text, at, value: BigInt(text) };
}

const simpleEscapes: Readonly<Record<string, string>> = { ...escapes, "'": "'", '"': '"', "`": "`", "?": "?" };

const utf8 = new TextEncoder();

function readString(source: string, at: number, prefix: string, quote: string): Token {
  const raw = /[rR]/.test(prefix);
  const bytes = /[bB]/.test(prefix);
  let i = at + prefix.length + quote.length;
  let text = "";
  const out: number[] = [];
  const put = (piece: string) => {
    if (bytes) out.push(...utf8.encode(piece));
    else text += piece;
  };
  for (;;) {
    if (i >= source.length) throw unterminated(source, at);
    if (source.startsWith(quote, i)) break;
    const char = String.fromCodePoint(source.codePointAt(i)!);
    if (quote.length === 1 && (char === "\n" || char === "\r")) throw unterminated(source, at);
    if (char !== "\\" || raw) {
      put(char);
      i += char.length;
      continue;
    }
    const next = source[i + 1] ?? "";
    const simple = simpleEscapes[next];
    if (simple !== undefined) {
      put(simple);
      i += 2;
      continue;
    }
    const coded =
      matchAt(/[xX]([0-9a-fA-F]{2})/y, source, i + 1) ??
      (bytes ? null : (matchAt(/u([0-9a-fA-F]{4})/y, source, i + 1) ?? matchAt(/U([0-9a-fA-F]{8})/y, source, i + 1)));
    const octal = matchAt(/([0-3][0-7]{2})/y, source, i + 1);
    const match = coded ?? octal;
    if (!match) throw new SyntaxIssue(at, `Syntax error: token recognition error at: '${source.slice(at, i + 2)}'`);
    const code = Number.parseInt(match[1]!, coded ? 16 : 8);
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw new SyntaxIssue(at, "invalid unicode code point");
    if (bytes) out.push(code);
    else text += String.fromCodePoint(code);
    i += 1 + match[0].length;
  }
  const whole = source.slice(at, i + quote.length);
  if (bytes) return { kind: "bytes", text: whole, at, value: Uint8Array.from(out) };
  return { kind: "string", text: whole, at, value: text };
}

function unterminated(source: string, at: number): SyntaxIssue {
  return new SyntaxIssue(at, `Syntax error: token recognition error at: '${source.slice(at)}'`);
}
