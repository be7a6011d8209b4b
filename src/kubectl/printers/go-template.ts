/** Go's text/template, as far as `-o go-template` is used: fields, variables, if, with, range, pipelines and the built-in functions. */
import type { Unstructured } from "../api.ts";
import { CommandError } from "../command-error.ts";

type Node =
  | { kind: "text"; text: string }
  | { kind: "action"; pipeline: string; assigns?: string }
  | { kind: "if" | "with" | "range"; pipeline: string; names: string[]; body: Node[]; otherwise: Node[] };

type Scope = Map<string, unknown>;

/** Throws a CommandError for a template that is not one. */
export function parseGoTemplate(template: string): (object: Unstructured) => string {
  const tokens = tokenize(template);
  const nodes = parseBlock(tokens, template);
  if (tokens.length > 0) throw problem(template, `unexpected {{${tokens[0]!.text}}}`);
  return (object) => render(nodes, object, new Map<string, unknown>([["$", object]]));
}

interface Token {
  isAction: boolean;
  text: string;
}

function tokenize(template: string): Token[] {
  const tokens: Token[] = [];
  const pattern = /\{\{(-\s)?((?:"(?:\\.|[^"])*"|`[^`]*`|'(?:\\.|[^'])*'|(?!\}\}).)*?)(\s-)?\}\}/gs;
  let at = 0;
  let trimsNext = false;
  for (const match of template.matchAll(pattern)) {
    let text = template.slice(at, match.index);
    if (trimsNext) text = text.trimStart();
    if (match[1]) text = text.trimEnd();
    if (text) tokens.push({ isAction: false, text });
    const action = match[2]!.trim();
    if (!action.startsWith("/*")) tokens.push({ isAction: true, text: action });
    trimsNext = match[3] !== undefined;
    at = match.index + match[0].length;
  }
  const rest = trimsNext ? template.slice(at).trimStart() : template.slice(at);
  if (rest.includes("{{")) throw problem(template, "unclosed action");
  if (rest) tokens.push({ isAction: false, text: rest });
  return tokens;
}

/** Up to `end` or `else`, which stay. */
function parseBlock(tokens: Token[], template: string): Node[] {
  const nodes: Node[] = [];
  for (let token = tokens[0]; token; token = tokens[0]) {
    if (token.isAction && /^(end|else)\b/.test(token.text)) return nodes;
    tokens.shift();
    if (!token.isAction) {
      nodes.push({ kind: "text", text: token.text });
      continue;
    }
    const control = /^(if|with|range)\s+(.*)$/s.exec(token.text);
    if (!control) {
      const assignment = /^(\$\w+)\s*:?=\s*(.*)$/s.exec(token.text);
      nodes.push(
        assignment
          ? { kind: "action", pipeline: assignment[2]!, assigns: assignment[1]! }
          : { kind: "action", pipeline: token.text },
      );
      continue;
    }
    nodes.push(parseControl(control[1] as "if", control[2]!, tokens, template));
  }
  return nodes;
}

function parseControl(kind: "if" | "with" | "range", head: string, tokens: Token[], template: string): Node {
  const named = /^(\$\w+)(?:\s*,\s*(\$\w+))?\s*:=\s*(.*)$/s.exec(head);
  const body = parseBlock(tokens, template);
  let otherwise: Node[] = [];
  const next = tokens.shift();
  if (!next) throw problem(template, "unexpected EOF");
  const elseIf = /^else\s+(if|with)\s+(.*)$/s.exec(next.text);
  if (elseIf) otherwise = [parseControl(elseIf[1] as "if", elseIf[2]!, tokens, template)];
  else if (next.text === "else") {
    otherwise = parseBlock(tokens, template);
    if (!tokens.shift()) throw problem(template, "unexpected EOF");
  }
  const names = named ? [named[1]!, ...(named[2] ? [named[2]] : [])] : [];
  return { kind, pipeline: named ? named[3]! : head, names, body, otherwise };
}

function render(nodes: readonly Node[], dot: unknown, scope: Scope): string {
  let text = "";
  for (const node of nodes) {
    if (node.kind === "text") text += node.text;
    else if (node.kind === "action") {
      const value = evaluate(node.pipeline, dot, scope);
      if (node.assigns) scope.set(node.assigns, value);
      else text += show(value);
    } else text += renderControl(node, dot, scope);
  }
  return text;
}

function renderControl(node: Extract<Node, { names: string[] }>, dot: unknown, scope: Scope): string {
  const value = evaluate(node.pipeline, dot, scope);
  const inner = new Map(scope);
  if (node.kind === "range") {
    const entries = entriesOf(value);
    if (entries.length === 0) return render(node.otherwise, dot, inner);
    return entries
      .map(([key, item]) => {
        const [first, second] = node.names;
        if (second) inner.set(first!, key).set(second, item);
        else if (first) inner.set(first, item);
        return render(node.body, item, inner);
      })
      .join("");
  }
  if (node.names[0]) inner.set(node.names[0], value);
  if (!isTrue(value)) return render(node.otherwise, dot, inner);
  return render(node.body, node.kind === "with" ? value : dot, inner);
}

function entriesOf(value: unknown): [unknown, unknown][] {
  if (Array.isArray(value)) return value.map((item, i) => [i, item]);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}

function evaluate(pipeline: string, dot: unknown, scope: Scope): unknown {
  let value: unknown;
  for (const [i, stage] of split(pipeline, "|").entries()) {
    const words = split(stage.trim(), " ").filter((word) => word.trim());
    value = call(words, i === 0 ? [] : [value], dot, scope);
  }
  return value;
}

function call(words: readonly string[], piped: readonly unknown[], dot: unknown, scope: Scope): unknown {
  const [head = "", ...rest] = words;
  const known = functions[head];
  if (!known) {
    if (/^[a-z]\w*$/i.test(head) && !["true", "false", "nil"].includes(head)) {
      throw new CommandError(`error parsing template: function ${JSON.stringify(head)} not defined`);
    }
    return operand(head, dot, scope);
  }
  return known([...rest.map((word) => operand(word, dot, scope)), ...piped]);
}

function operand(word: string, dot: unknown, scope: Scope): unknown {
  if (word.startsWith("(")) return evaluate(word.slice(1, -1), dot, scope);
  if (word.startsWith('"')) return JSON.parse(word) as unknown;
  if (word.startsWith("`")) return word.slice(1, -1);
  if (word === "true" || word === "false") return word === "true";
  if (word === "nil") return undefined;
  if (/^-?[\d.]+$/.test(word) && word !== ".") return Number(word);
  const [, variable, path = ""] = /^(\$\w*)?(.*)$/s.exec(word)!;
  let value = variable === undefined ? dot : scope.get(variable);
  for (const field of path.split(".").filter(Boolean)) {
    value = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[field] : undefined;
  }
  return value;
}

/** At the separator, but not within quotes or parentheses. */
function split(text: string, separator: string): string[] {
  const parts: string[] = [];
  let part = "";
  let depth = 0;
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (quote) {
      if (character === "\\" && quote === '"') part += text[i++];
      else if (character === quote) quote = "";
    } else if (character === '"' || character === "`") quote = character;
    else if (character === "(") depth++;
    else if (character === ")") depth--;
    else if (character === separator && depth === 0) {
      parts.push(part);
      part = "";
      continue;
    }
    part += text[i] ?? "";
  }
  return [...parts, part];
}

function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

function show(value: unknown): string {
  if (value === undefined || value === null) return "<no value>";
  if (Array.isArray(value)) return `[${value.map(show).join(" ")}]`;
  if (typeof value !== "object") return String(value);
  return `map[${entriesOf(value)
    .map(([key, item]) => `${String(key)}:${show(item)}`)
    .join(" ")}]`;
}

const compare = (a: unknown, b: unknown): number => ((a as number) < (b as number) ? -1 : a === b ? 0 : 1);

const functions: Readonly<Record<string, (args: unknown[]) => unknown>> = {
  and: (args) => args.find((arg) => !isTrue(arg)) ?? args.at(-1),
  or: (args) => args.find(isTrue) ?? args.at(-1),
  not: ([value]) => !isTrue(value),
  len: ([value]) => (typeof value === "string" ? value.length : entriesOf(value).length),
  index: ([value, ...keys]) =>
    keys.reduce((inner, key) => (inner as Record<string, unknown> | undefined)?.[key as string], value),
  slice: ([value, from, to]) => (value as string | unknown[]).slice(from as number, to as number | undefined),
  eq: ([first, ...others]) => others.some((other) => other === first),
  ne: ([a, b]) => a !== b,
  lt: ([a, b]) => compare(a, b) < 0,
  le: ([a, b]) => compare(a, b) <= 0,
  gt: ([a, b]) => compare(a, b) > 0,
  ge: ([a, b]) => compare(a, b) >= 0,
  print: (args) => args.map(show).join(""),
  println: (args) => `${args.map(show).join(" ")}\n`,
  printf: ([format, ...args]) => printf(String(format), args),
  base64decode: ([value]) => Buffer.from(String(value), "base64").toString(),
  exists: ([value, ...keys]) =>
    keys.reduce((inner, key) => (inner as Record<string, unknown> | undefined)?.[key as string], value) !== undefined,
};

function printf(format: string, args: readonly unknown[]): string {
  let next = 0;
  return format.replace(/%([-+]?)(\d*)(?:\.(\d+))?([a-zA-Z%])/g, (_, sign: string, width: string, _p, verb: string) => {
    if (verb === "%") return "%";
    const value = args[next++];
    const text = verb === "q" ? JSON.stringify(value) : show(value);
    return sign === "-" ? text.padEnd(Number(width)) : text.padStart(Number(width || 0));
  });
}

function problem(template: string, what: string): CommandError {
  return new CommandError(`error parsing template ${template}, template: output:1: ${what}`);
}
