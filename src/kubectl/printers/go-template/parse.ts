/** Reads Go's text/template. https://pkg.go.dev/text/template */
import { goQuote } from "../../../base/go-quote.ts";
import { goUnquote } from "../../go-format.ts";
import { type Token, tokenize, tokenText } from "./tokens.ts";

export class TemplateError extends Error {
  override readonly name = "TemplateError";
}

/** `text` is what messages show of it, `at` where they point. */
interface Located {
  at: number;
  text: string;
}

export type Operand = Located &
  (
    | { kind: "dot" | "nil" }
    | { kind: "constant"; value: string | number | bigint | boolean }
    | { kind: "field"; names: readonly string[] }
    | { kind: "variable"; name: string; names: readonly string[] }
    | { kind: "function"; name: string }
    | { kind: "chain"; head: Operand; names: readonly string[] }
    | { kind: "pipeline"; pipeline: Pipeline }
  );

export interface Command extends Located {
  operands: readonly Operand[];
}

export interface Pipeline extends Located {
  variables: readonly string[];
  isAssignment: boolean;
  commands: readonly Command[];
}

export type Node =
  | { kind: "text"; text: string }
  | { kind: "action"; pipeline: Pipeline }
  | { kind: "break" | "continue" }
  | { kind: "if" | "with" | "range"; pipeline: Pipeline; body: readonly Node[]; otherwise: readonly Node[] | undefined }
  | { kind: "template"; name: string; pipeline: Pipeline | undefined; at: number; text: string };

export interface Template {
  source: string;
  root: readonly Node[];
  defined: ReadonlyMap<string, readonly Node[]>;
}

/** Throws a TemplateError in Go's words. `functions` are those that may be called. */
export function parseTemplate(source: string, functions: ReadonlySet<string>): Template {
  return new Parser(source, functions).parse();
}

/** What ends a list of nodes. */
type Ending = "{{end}}" | "{{else}}";

class Parser {
  readonly #source: string;
  readonly #tokens: readonly Token[];
  readonly #functions: ReadonlySet<string>;
  readonly #defined = new Map<string, readonly Node[]>();
  #next = 0;
  #ranges = 0;
  #actionLine = 0;
  #variables = ["$"];

  constructor(source: string, functions: ReadonlySet<string>) {
    this.#source = source;
    this.#tokens = tokenize(source);
    this.#functions = functions;
  }

  parse(): Template {
    const root: Node[] = [];
    while (this.#peek().kind !== "end") {
      if (this.#peek().kind === "left" && this.#afterSpace(1).text === "define") {
        this.#define();
        continue;
      }
      const node = this.#node();
      if (typeof node === "string") throw this.#error(`unexpected ${node}`);
      root.push(node);
    }
    return { source: this.#source, root, defined: this.#defined };
  }

  #peek(): Token {
    return this.#tokens[Math.min(this.#next, this.#tokens.length - 1)]!;
  }

  #take(): Token {
    const token = this.#peek();
    this.#next = Math.min(this.#next + 1, this.#tokens.length);
    return token;
  }

  #peekWord(): Token {
    while (this.#peek().kind === "space") this.#next++;
    return this.#peek();
  }

  #takeWord(): Token {
    this.#peekWord();
    return this.#take();
  }

  /** The first token behind so many that is no space. */
  #afterSpace(count: number): Token {
    let at = this.#next + count;
    while (this.#tokens[at]?.kind === "space") at++;
    return this.#tokens[at] ?? this.#tokens.at(-1)!;
  }

  #error(message: string): TemplateError {
    const { line } = this.#tokens[Math.max(0, Math.min(this.#next, this.#tokens.length) - 1)] ?? { line: 1 };
    return new TemplateError(`template: output:${line}: ${message}`);
  }

  #unexpected(token: Token, context: string): TemplateError {
    if (token.kind !== "error") return this.#error(`unexpected ${tokenText(token)} in ${context}`);
    const isElsewhere = this.#actionLine !== 0 && this.#actionLine !== token.line;
    const started = `${token.text.endsWith(" action") ? "" : " in action"} started at output:${this.#actionLine}`;
    return this.#error(`${token.text}${isElsewhere ? started : ""}`);
  }

  #expectEnd(context: string): void {
    const token = this.#takeWord();
    if (token.kind !== "right") throw this.#unexpected(token, context);
  }

  #define(): void {
    this.#take();
    this.#takeWord();
    const token = this.#takeWord();
    if (token.kind !== "string" && token.kind !== "raw") throw this.#unexpected(token, "define clause");
    const name = this.#stringOf(token);
    this.#expectEnd("define clause");
    this.#body(name, "define clause");
  }

  /** A template of its own, with no variables but its own. */
  #body(name: string, context: string): void {
    const outer = this.#variables;
    this.#variables = ["$"];
    const { nodes, ending } = this.#list();
    this.#variables = outer;
    if (ending !== "{{end}}") throw this.#error(`unexpected ${ending} in ${context}`);
    const present = this.#defined.get(name);
    if (present && !isEmpty(present) && !isEmpty(nodes)) {
      throw this.#error(`template: multiple definition of template ${goQuote(name)}`);
    }
    if (!present || isEmpty(present)) this.#defined.set(name, nodes);
  }

  #list(): { nodes: Node[]; ending: Ending } {
    const nodes: Node[] = [];
    while (this.#peekWord().kind !== "end") {
      const node = this.#node();
      if (typeof node === "string") return { nodes, ending: node };
      nodes.push(node);
    }
    this.#take();
    throw this.#error("unexpected EOF");
  }

  #node(): Node | Ending {
    const token = this.#takeWord();
    if (token.kind === "text") return { kind: "text", text: token.text };
    if (token.kind !== "left") throw this.#unexpected(token, "input");
    this.#actionLine = token.line;
    const node = this.#action();
    this.#actionLine = 0;
    return node;
  }

  #action(): Node | Ending {
    if (this.#peekWord().kind !== "keyword") return { kind: "action", pipeline: this.#pipeline("command", "right") };
    const token = this.#take();
    switch (token.text) {
      case "if":
      case "with":
      case "range":
        return this.#control(token.text);
      case "end":
        this.#expectEnd("end");
        return "{{end}}";
      case "else": {
        const next = this.#peekWord();
        if (next.kind !== "keyword" || !["if", "with"].includes(next.text)) this.#expectEnd("else");
        return "{{else}}";
      }
      case "break":
      case "continue": {
        const next = this.#takeWord();
        if (next.kind !== "right") throw this.#unexpected(next, `{{${token.text}}}`);
        if (this.#ranges === 0) throw this.#error(`{{${token.text}}} outside {{range}}`);
        return { kind: token.text };
      }
      case "template":
      case "block":
        return this.#call(token.text);
      default:
        throw this.#unexpected(token, "command");
    }
  }

  #control(kind: "if" | "with" | "range"): Node {
    const outer = this.#variables.length;
    const pipeline = this.#pipeline(kind, "right");
    if (kind === "range") this.#ranges++;
    const { nodes: body, ending } = this.#list();
    if (kind === "range") this.#ranges--;
    let otherwise: readonly Node[] | undefined;
    if (ending === "{{else}}") {
      const next = this.#peek();
      if (kind !== "range" && next.kind === "keyword" && next.text === kind) {
        this.#take();
        otherwise = [this.#control(kind)];
      } else {
        const rest = this.#list();
        if (rest.ending !== "{{end}}") throw this.#error(`expected end; found ${rest.ending}`);
        otherwise = rest.nodes;
      }
    }
    this.#variables.length = outer;
    return { kind, pipeline, body, otherwise };
  }

  #call(kind: "template" | "block"): Node {
    const context = `${kind} clause`;
    const token = this.#takeWord();
    if (token.kind !== "string" && token.kind !== "raw") throw this.#unexpected(token, context);
    const name = this.#stringOf(token);
    let pipeline: Pipeline | undefined;
    if (kind === "template" && this.#peekWord().kind === "right") this.#take();
    else pipeline = this.#pipeline(context, "right");
    if (kind === "block") this.#body(name, context);
    const text = `{{template ${goQuote(name)}${pipeline ? ` ${pipeline.text}` : ""}}}`;
    return { kind: "template", name, pipeline, at: token.at, text };
  }

  #pipeline(context: string, closing: "right" | "close"): Pipeline {
    const { at } = this.#peekWord();
    const { variables, isAssignment } = this.#declarations(context);
    const commands: Command[] = [];
    for (;;) {
      const token = this.#peekWord();
      if (token.kind === closing) break;
      const isOperand = /^(?:bool|char|dot|field|identifier|number|nil|raw|string|variable|open)$/.test(token.kind);
      if (!isOperand) {
        this.#take();
        throw this.#unexpected(token, context);
      }
      commands.push(this.#command());
    }
    this.#take();
    if (commands.length === 0) throw this.#error(`missing value for ${context}`);
    for (const [i, { operands }] of commands.entries()) {
      if (i > 0 && ["constant", "dot", "nil"].includes(operands[0]!.kind)) {
        throw this.#error(`non executable command in pipeline stage ${i + 1}`);
      }
    }
    const head = variables.length > 0 ? `${variables.join(", ")} ${isAssignment ? "=" : ":="} ` : "";
    return { at, text: head + commands.map(({ text }) => text).join(" | "), variables, isAssignment, commands };
  }

  #declarations(context: string): { variables: string[]; isAssignment: boolean } {
    const variables: string[] = [];
    let isAssignment = false;
    while (this.#peekWord().kind === "variable") {
      const next = this.#afterSpace(1);
      const isList = next.kind === "other" && next.text === ",";
      if (!isList && next.kind !== "assign" && next.kind !== "declare") break;
      const { text } = this.#take();
      this.#takeWord();
      variables.push(text);
      this.#variables.push(text);
      if (!isList) {
        isAssignment = next.kind === "assign";
        break;
      }
      if (context !== "range" || variables.length > 1) throw this.#error(`too many declarations in ${context}`);
      if (!["variable", "right", "close"].includes(this.#peekWord().kind)) {
        throw this.#error("range can only initialize variables");
      }
    }
    return { variables, isAssignment };
  }

  #command(): Command {
    const { at } = this.#peekWord();
    const operands: Operand[] = [];
    for (;;) {
      this.#peekWord();
      const operand = this.#operand();
      if (operand) operands.push(operand);
      const token = this.#peek();
      if (token.kind === "right" || token.kind === "close") break;
      this.#take();
      if (token.kind === "pipe") break;
      if (token.kind !== "space") throw this.#unexpected(token, "operand");
    }
    if (operands.length === 0) throw this.#error("empty command");
    return { at, text: operands.map(({ text }) => text).join(" "), operands };
  }

  /** Undefined where the next token is none. */
  #operand(): Operand | undefined {
    const term = this.#term();
    if (!term || this.#peek().kind !== "field") return term;
    const { at } = this.#peek();
    const names: string[] = [];
    while (this.#peek().kind === "field") names.push(this.#take().text.slice(1));
    const text = `${term.text}${names.map((name) => `.${name}`).join("")}`;
    switch (term.kind) {
      case "field":
      case "variable":
        return { ...term, at, text, names: [...term.names, ...names] };
      case "constant":
      case "dot":
      case "nil":
        throw this.#error(`unexpected . after term ${goQuote(term.text)}`);
      default:
        return { kind: "chain", at, text, head: term, names };
    }
  }

  #term(): Operand | undefined {
    const token = this.#peek();
    const { at, text } = token;
    const constant = (value: string | number | bigint | boolean): Operand => ({ kind: "constant", at, text, value });
    switch (token.kind) {
      case "identifier":
        this.#take();
        if (!this.#functions.has(text)) throw this.#error(`function ${goQuote(text)} not defined`);
        return { kind: "function", at, text, name: text };
      case "dot":
      case "nil":
        this.#take();
        return { kind: token.kind, at, text };
      case "variable":
        this.#take();
        if (!this.#variables.includes(text)) throw this.#error(`undefined variable ${goQuote(text)}`);
        return { kind: "variable", at, text, name: text, names: [] };
      case "field":
        this.#take();
        return { kind: "field", at, text, names: [text.slice(1)] };
      case "bool":
        this.#take();
        return constant(text === "true");
      case "string":
      case "raw":
        this.#take();
        return constant(this.#stringOf(token));
      case "char":
      case "number":
        this.#take();
        return constant(this.#numberOf(token));
      case "open": {
        this.#take();
        const pipeline = this.#pipeline("parenthesized pipeline", "close");
        return { kind: "pipeline", at, text: `(${pipeline.text})`, pipeline };
      }
      default:
        return undefined;
    }
  }

  #stringOf({ kind, text }: Token): string {
    const value = kind === "raw" ? text.slice(1, -1) : goUnquote(text);
    if (value === undefined) throw this.#error("invalid syntax");
    return value;
  }

  #numberOf({ kind, text }: Token): number | bigint {
    if (kind === "char") {
      const character = goUnquote(text);
      if (character === undefined || [...character].length !== 1)
        throw this.#error(`malformed character constant: ${text}`);
      return BigInt(character.codePointAt(0)!);
    }
    const digits = text.replaceAll("_", "");
    if (/^[+-]?(?:0[xob][\da-f]+|\d+)$/i.test(digits)) {
      const amount = digits.replace(/^[+-]/, "").replace(/^0(\d)/, "0o$1");
      return digits.startsWith("-") ? -BigInt(amount) : BigInt(amount);
    }
    const value = Number(digits);
    if (digits === "" || Number.isNaN(value)) throw this.#error(`illegal number syntax: ${goQuote(text)}`);
    return value;
  }
}

function isEmpty(nodes: readonly Node[]): boolean {
  return nodes.every((node) => node.kind === "text" && node.text.trim() === "");
}
