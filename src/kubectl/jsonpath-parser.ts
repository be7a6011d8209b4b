/** Reads JSONPath templates as kubectl has them (client-go's util/jsonpath): text with `{…}` blocks. Pure. */
import { goCodePoint, goUnquote } from "./go-format.ts";

export class JsonPathError extends Error {
  override readonly name = "JsonPathError";
}

export type JsonPathNode =
  | { kind: "list"; nodes: readonly JsonPathNode[] }
  | { kind: "literal"; value: string | number | boolean }
  | { kind: "field"; name: string }
  | { kind: "wildcard" }
  | { kind: "descend" }
  /** `end` undefined: to the list's end. `isIndex`: one element, so that `end` follows from `start`. */
  | { kind: "slice"; start: number; end: number | undefined; step: number; isIndex: boolean }
  | { kind: "union"; members: readonly JsonPathNode[] }
  /** `right` undefined: whether `left` finds anything. */
  | { kind: "filter"; left: JsonPathNode; operator: string; right: JsonPathNode | undefined }
  /** `range` and `end`; every other word is a mistake that shows when the template is filled. */
  | { kind: "word"; word: string };

/** Pieces of text are literals, blocks are lists. Throws JsonPathError with kubectl's words. */
export function parseJsonPathTemplate(template: string): JsonPathNode[] {
  return new Parser(template).parse();
}

/** What ends a word or a field's name. */
const terminator = /[\s.,[\]$@{}]/;

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): JsonPathNode[] {
    const parts: JsonPathNode[] = [];
    while (this.#at < this.#text.length) {
      const open = this.#text.indexOf("{", this.#at);
      const end = open < 0 ? this.#text.length : open;
      if (end > this.#at) parts.push({ kind: "literal", value: this.#text.slice(this.#at, end) });
      this.#at = end + 1;
      if (open >= 0) parts.push({ kind: "list", nodes: this.#block() });
    }
    return parts;
  }

  /** Up to the closing brace, which is taken. */
  #block(): JsonPathNode[] {
    const nodes: JsonPathNode[] = [];
    for (;;) {
      const rest = this.#text.slice(this.#at);
      const first = rest[0] ?? "";
      if (first === "}") {
        this.#at++;
        return nodes;
      }
      if (first === "" || first === "\n" || first === "\r") throw new JsonPathError("unclosed action");
      if (rest.startsWith("[?(")) nodes.push(this.#filter());
      else if (rest.startsWith("..")) this.#descend(nodes);
      else if (first === " " || first === "@" || first === "$") this.#at++;
      else if (first === "[") nodes.push(...this.#bracket());
      else if (first === '"' || first === "'") nodes.push({ kind: "literal", value: this.#quoted(first) });
      else if (first === ".") {
        this.#at++;
        nodes.push(this.#field());
      } else if (/[+\-\p{Nd}]/u.test(first)) nodes.push({ kind: "literal", value: this.#number() });
      else if (/[\p{L}_]/u.test(first)) nodes.push(this.#word());
      else {
        throw new JsonPathError(
          `unrecognized character in action: ${goCodePoint(String.fromCodePoint(rest.codePointAt(0)!))}`,
        );
      }
    }
  }

  #descend(nodes: JsonPathNode[]): void {
    if (nodes.at(-1)?.kind === "descend") throw new JsonPathError("invalid multiple recursive descent");
    this.#at += 2;
    nodes.push({ kind: "descend" });
    if (/[\p{L}\p{Nd}_]/u.test(this.#text[this.#at] ?? "")) nodes.push(this.#field());
  }

  #field(): JsonPathNode {
    const start = this.#at;
    while (this.#at < this.#text.length && !terminator.test(this.#text[this.#at]!)) {
      this.#at += this.#text[this.#at] === "\\" ? 2 : 1;
    }
    const name = this.#text.slice(start, this.#at);
    return name === "*" ? { kind: "wildcard" } : { kind: "field", name: name.replaceAll("\\", "") };
  }

  #word(): JsonPathNode {
    const [word] = /^[^\s.,[\]$@{}]*/.exec(this.#text.slice(this.#at))!;
    this.#at += word.length;
    return word === "true" || word === "false" ? { kind: "literal", value: word === "true" } : { kind: "word", word };
  }

  #number(): number {
    const [text] = /^[+-]?[.\p{Nd}]*/u.exec(this.#text.slice(this.#at))!;
    this.#at += text.length;
    if (!/^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(text)) throw new JsonPathError(`cannot parse number ${text}`);
    return Number(text);
  }

  #quoted(quote: string): string {
    const start = this.#at++;
    for (; ; this.#at++) {
      const character = this.#text[this.#at] ?? "\n";
      if (character === "\n") throw new JsonPathError("unterminated quoted string");
      if (character === quote && this.#text[this.#at - 1] !== "\\") break;
    }
    const text = this.#text.slice(start, ++this.#at);
    const value = goUnquote(text);
    if (value === undefined) throw new JsonPathError(`unquote string ${text} error invalid syntax`);
    return value;
  }

  #bracket(): readonly JsonPathNode[] {
    const end = this.#text.slice(this.#at).search(/[\]\n]/) + this.#at;
    if (end < this.#at || this.#text[end] === "\n") throw new JsonPathError("unterminated array");
    const inner = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    const text = inner === "*" ? ":" : inner;
    const members = text.split(",");
    if (members.length > 1) {
      const lists = members.map((member) => parsePart(`[${member.replace(/^ +| +$/g, "")}]`));
      return [{ kind: "union", members: lists }];
    }
    const key = /^'([^']*)'$/.exec(text);
    if (key) return parsePart(`.${key[1]}`).nodes;
    const slice = /^(-?\d*)(?::(-?\d*))?(?::(-?\d*))?$/.exec(text);
    if (!slice) throw new JsonPathError(`invalid array index ${text}`);
    const [start, last, step] = slice.slice(1).map((digits) => {
      if (digits === "-") throw new JsonPathError(`array index ${digits} is not a number`);
      return digits ? Number(digits) : undefined;
    });
    const isIndex = slice[2] === undefined;
    return [{ kind: "slice", start: start ?? 0, end: isIndex ? (start ?? 0) + 1 : last, step: step ?? 1, isIndex }];
  }

  #filter(): JsonPathNode {
    this.#at += "[?(".length;
    const start = this.#at;
    // A quoted word may hold a parenthesis; there is one at most, on the right.
    let quote = "";
    let isClosed = false;
    for (; ; this.#at++) {
      const character = this.#text[this.#at] ?? "\n";
      if (character === "\n") throw new JsonPathError("unterminated filter");
      if (character === '"' || character === "'") {
        if (quote === "") quote = character;
        else if (character === quote && this.#text[this.#at - 1] !== "\\") isClosed = true;
      } else if (character === ")" && (quote !== "") === isClosed) break;
    }
    const text = this.#text.slice(start, this.#at++);
    if (this.#text[this.#at++] !== "]") throw new JsonPathError("unclosed array expect ]");
    const compared = /^([^!<>=]+)([!<>=]+)(.+?)$/.exec(text);
    if (!compared) return { kind: "filter", left: parsePart(text), operator: "exists", right: undefined };
    const [, left = "", operator = "", right = ""] = compared;
    return { kind: "filter", left: parsePart(left), operator, right: parsePart(right) };
  }
}

function parsePart(text: string): Extract<JsonPathNode, { kind: "list" }> {
  return parseJsonPathTemplate(`{${text}}`)[0] as Extract<JsonPathNode, { kind: "list" }>;
}
