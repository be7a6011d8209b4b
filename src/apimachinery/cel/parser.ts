/** Reads a CEL expression into its syntax tree, Kubernetes' macros included. */
import { SyntaxIssue, type Token, tokenize } from "./lexer.ts";
import type { Issue, Literal, Macro, Position, SyntaxNode } from "./syntax.ts";

/** Nobody's policy is deeper; what is would exhaust the stack. */
const depthLimit = 250;
/** Code points, as upstream allows at most. */
const sizeLimit = 100_000;

const primaries =
  "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

const reserved = new Set(
  "as break const continue else for function if import let loop package namespace return var void while".split(" "),
);

export function parse(
  source: string,
): { tree: SyntaxNode; issues?: undefined } | { tree?: undefined; issues: Issue[] } {
  if (source.length > sizeLimit) {
    const size = [...source].length;
    if (size > sizeLimit) {
      return {
        issues: [{ at: 0, message: `expression code point size exceeds limit: size: ${size}, limit ${sizeLimit}` }],
      };
    }
  }
  try {
    return { tree: new Parser(tokenize(source)).whole() };
  } catch (error) {
    if (error instanceof SyntaxIssue) return { issues: [error.issue] };
    throw error;
  }
}

/** From loosest to tightest; all bind to the left. */
const binary: Readonly<Record<string, [precedence: number, functionName: string]>> = {
  "||": [1, "_||_"],
  "&&": [2, "_&&_"],
  "<": [3, "_<_"],
  "<=": [3, "_<=_"],
  ">": [3, "_>_"],
  ">=": [3, "_>=_"],
  "==": [3, "_==_"],
  "!=": [3, "_!=_"],
  in: [3, "@in"],
  "+": [4, "_+_"],
  "-": [4, "_-_"],
  "*": [5, "_*_"],
  "/": [5, "_/_"],
  "%": [5, "_%_"],
};

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): SyntaxNode {
    const tree = this.#expression();
    if (this.#peek.kind !== "end") throw this.#unexpected("<EOF>");
    return tree;
  }

  get #peek(): Token {
    return this.#tokens[this.#next]!;
  }

  #isNext(text: string): boolean {
    const token = this.#peek;
    return token.text === text && (token.kind === "operator" || (token.kind === "identifier" && !token.quoted));
  }

  #take(text: string): boolean {
    if (!this.#isNext(text)) return false;
    this.#next++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw this.#unexpected(`'${text}'`);
  }

  #unexpected(expecting: string): SyntaxIssue {
    const { text, at } = this.#peek;
    return new SyntaxIssue(at, `Syntax error: mismatched input '${text}' expecting ${expecting}`);
  }

  #expression(): SyntaxNode {
    if (++this.#depth > depthLimit) {
      throw new SyntaxIssue(this.#peek.at, `expression recursion limit exceeded: ${depthLimit}`);
    }
    const condition = this.#binary(1);
    const { at } = this.#peek;
    let tree = condition;
    if (this.#take("?")) {
      const yes = this.#binary(1);
      this.#expect(":");
      const no = this.#expression();
      tree = { kind: "call", at, name: "_?_:_", target: undefined, args: [condition, yes, no] };
    }
    this.#depth--;
    return tree;
  }

  #binary(lowest: number): SyntaxNode {
    let left = this.#unary();
    for (let links = 0; ; links++) {
      if (links > depthLimit)
        throw new SyntaxIssue(this.#peek.at, `expression recursion limit exceeded: ${depthLimit}`);
      const token = this.#peek;
      const operator =
        token.kind === "operator" || (token.text === "in" && !token.quoted) ? binary[token.text] : undefined;
      if (!operator || operator[0] < lowest) return left;
      this.#next++;
      if (operator[0] < 3) {
        // Conjunctions and disjunctions may be long: they are one node with many arguments, not a deep tree.
        const args = [left, this.#binary(operator[0] + 1)];
        while (this.#take(token.text)) args.push(this.#binary(operator[0] + 1));
        left = { kind: "call", at: token.at, name: operator[1], target: undefined, args };
        continue;
      }
      const right = this.#binary(operator[0] + 1);
      left = { kind: "call", at: token.at, name: operator[1], target: undefined, args: [left, right] };
    }
  }

  #unary(): SyntaxNode {
    const { at } = this.#peek;
    let nots = 0;
    while (this.#take("!")) nots++;
    if (nots > 0) {
      const operand = this.#member();
      return nots % 2 === 0 ? operand : { kind: "call", at, name: "!_", target: undefined, args: [operand] };
    }
    let minuses = 0;
    while (this.#isNext("-")) {
      const following = this.#tokens[this.#next + 1]!;
      if (minuses === 0 && (following.kind === "int" || following.kind === "double")) break;
      this.#next++;
      minuses++;
    }
    const operand = this.#member();
    return minuses % 2 === 0 ? operand : { kind: "call", at, name: "-_", target: undefined, args: [operand] };
  }

  #member(): SyntaxNode {
    let tree = this.#primary();
    for (let links = 0; ; links++) {
      if (links > depthLimit)
        throw new SyntaxIssue(this.#peek.at, `expression recursion limit exceeded: ${depthLimit}`);
      const { at } = this.#peek;
      if (this.#take(".")) {
        const optional = this.#take("?");
        const name = this.#fieldName();
        if (!optional && !name.quoted && this.#isNext("(")) {
          const opened = this.#peek.at;
          this.#next++;
          tree = this.#memberCall(opened, tree, name.text, this.#arguments());
        } else tree = { kind: "select", at, operand: tree, field: nameOf(name), optional };
      } else if (this.#take("[")) {
        const optional = this.#take("?");
        const index = this.#expression();
        this.#expect("]");
        tree = { kind: "call", at, name: optional ? "_[?_]" : "_[_]", target: undefined, args: [tree, index] };
      } else return tree;
    }
  }

  #fieldName(): Token {
    const token = this.#peek;
    const isKeyword = !token.quoted && /^(?:in|true|false|null)$/.test(token.text);
    if (token.kind !== "identifier" || isKeyword) {
      if (token.kind === "end") throw new SyntaxIssue(token.at, "Syntax error: no viable alternative at input '.'");
      throw this.#unexpected("IDENTIFIER");
    }
    this.#next++;
    return token;
  }

  #arguments(): SyntaxNode[] {
    const args: SyntaxNode[] = [];
    if (this.#take(")")) return args;
    do args.push(this.#expression());
    while (this.#take(","));
    this.#expect(")");
    return args;
  }

  #primary(): SyntaxNode {
    const token = this.#peek;
    const { at } = token;
    if (token.kind !== "identifier" && token.kind !== "operator" && token.kind !== "end") {
      this.#next++;
      return { kind: "literal", at, literal: this.#literal(token, false) };
    }
    if (this.#isNext("-")) {
      this.#next++;
      const digits = this.#peek;
      if (digits.kind !== "int" && digits.kind !== "double") throw this.#unexpected(primaries);
      this.#next++;
      return { kind: "literal", at, literal: this.#literal(digits, true) };
    }
    if (this.#take("(")) {
      const inner = this.#expression();
      this.#expect(")");
      return inner;
    }
    if (this.#take("[")) return this.#list(at);
    if (this.#take("{")) return this.#map(at);
    const root = this.#take(".");
    const name = this.#peek;
    if (name.kind !== "identifier" || name.quoted || name.text === "in") throw this.#unexpected(primaries);
    this.#next++;
    if (!root) {
      if (name.text === "true" || name.text === "false") {
        return { kind: "literal", at, literal: { kind: "bool", value: name.text === "true" } };
      }
      if (name.text === "null") return { kind: "literal", at, literal: { kind: "null" } };
    }
    if (reserved.has(name.text)) throw new SyntaxIssue(name.at, `Syntax error: reserved identifier: ${name.text}`);
    if (this.#isNext("(")) {
      const opened = this.#peek.at;
      this.#next++;
      return globalCall(opened, name.text, this.#arguments());
    }
    return this.#structOr({ kind: "identifier", at: name.at, name: name.text, root });
  }

  /** `a.b.C{...}` makes a message; anything else is left where it is. */
  #structOr(identifier: SyntaxNode & { kind: "identifier" }): SyntaxNode {
    const start = this.#next;
    let typeName = identifier.name;
    while (this.#isNext(".") && this.#tokens[this.#next + 1]?.kind === "identifier") {
      typeName += `.${this.#tokens[this.#next + 1]!.text}`;
      this.#next += 2;
    }
    if (!this.#take("{")) {
      this.#next = start;
      return identifier;
    }
    const { at } = this.#tokens[this.#next - 1]!;
    const fields: (SyntaxNode & { kind: "struct" })["fields"] = [];
    while (!this.#take("}")) {
      const optional = this.#take("?");
      const name = this.#fieldName();
      const colon = this.#peek.at;
      this.#expect(":");
      fields.push({ at: colon, name: nameOf(name), value: this.#expression(), optional });
      if (!this.#take(",") && !this.#isNext("}")) throw this.#unexpected("'}'");
    }
    return { kind: "struct", at, typeName, fields };
  }

  #list(at: Position): SyntaxNode {
    const elements: (SyntaxNode & { kind: "list" })["elements"] = [];
    while (!this.#take("]")) {
      const optional = this.#take("?");
      elements.push({ value: this.#expression(), optional });
      if (!this.#take(",") && !this.#isNext("]")) throw this.#unexpected("']'");
    }
    return { kind: "list", at, elements };
  }

  #map(at: Position): SyntaxNode {
    const entries: (SyntaxNode & { kind: "map" })["entries"] = [];
    while (!this.#take("}")) {
      const optional = this.#take("?");
      const key = this.#expression();
      this.#expect(":");
      entries.push({ key, value: this.#expression(), optional });
      if (!this.#take(",") && !this.#isNext("}")) throw this.#unexpected("'}'");
    }
    return { kind: "map", at, entries };
  }

  #literal({ kind, value, at }: Token, negative: boolean): Literal {
    switch (kind) {
      case "int": {
        const whole = negative ? -(value as bigint) : (value as bigint);
        if (BigInt.asIntN(64, whole) !== whole) throw new SyntaxIssue(at, "invalid int literal");
        return { kind, value: whole };
      }
      case "double":
        return { kind, value: negative ? -(value as number) : (value as number) };
      case "uint":
        return { kind, value: value as bigint };
      case "bytes":
        return { kind, value: value as Uint8Array };
      default:
        return { kind: "string", value: value as string };
    }
  }

  #memberCall(at: Position, target: SyntaxNode, name: string, args: SyntaxNode[]): SyntaxNode {
    return macroCall(at, target, name, args) ?? { kind: "call", at, name, target, args };
  }
}

function nameOf(token: Token): string {
  return token.quoted ? (token.value as string) : token.text;
}

function globalCall(at: Position, name: string, args: SyntaxNode[]): SyntaxNode {
  if (name === "has" && args.length === 1) {
    const [argument] = args;
    if (argument?.kind !== "select" || argument.optional) {
      throw new SyntaxIssue(at, "invalid argument to has() macro");
    }
    return { kind: "has", at: argument.at, operand: argument.operand, field: argument.field };
  }
  return { kind: "call", at, name, target: undefined, args };
}

/** Name and number of arguments → macro, how many of the arguments are variables. */
const macros: Readonly<Record<string, [Macro, variables: number]>> = {
  "all/2": ["all", 1],
  "exists/2": ["exists", 1],
  "exists_one/2": ["existsOne", 1],
  "existsOne/2": ["existsOne", 1],
  "map/2": ["map", 1],
  "map/3": ["map", 1],
  "filter/2": ["filter", 1],
  "all/3": ["all", 2],
  "exists/3": ["exists", 2],
  "existsOne/3": ["existsOne", 2],
  "exists_one/3": ["existsOne", 2],
  "transformList/3": ["transformList", 2],
  "transformList/4": ["transformList", 2],
  "transformMap/3": ["transformMap", 2],
  "transformMap/4": ["transformMap", 2],
  "transformMapEntry/3": ["transformMapEntry", 2],
  "transformMapEntry/4": ["transformMapEntry", 2],
  "optMap/2": ["optMap", 1],
  "optFlatMap/2": ["optFlatMap", 1],
};

function macroCall(at: Position, target: SyntaxNode, name: string, args: SyntaxNode[]): SyntaxNode | undefined {
  const found = Object.hasOwn(macros, `${name}/${args.length}`) ? macros[`${name}/${args.length}`] : undefined;
  if (!found) return undefined;
  const [macro, count] = found;
  const variables = args.slice(0, count).map((argument) => {
    if (argument.kind === "identifier" && !argument.root) return argument.name;
    throw new SyntaxIssue(
      argument.at,
      macro.startsWith("opt")
        ? `${name}() variable name must be a simple identifier`
        : "argument must be a simple name",
    );
  });
  if (variables.length === 2 && variables[0] === variables[1]) {
    throw new SyntaxIssue(args[1]!.at, `duplicate variable name: ${variables[1]}`);
  }
  return { kind: "macro", at, macro, target, variables, parts: args.slice(count) };
}
