/**
 * JSONPath templates as kubectl has them (client-go's util/jsonpath): text with `{…}` blocks, `{range}` … `{end}`, filters, unions,
 * slices and recursive descent. https://kubernetes.io/docs/reference/kubectl/jsonpath/
 */

import { compactGoJson, goJson } from "./printers/printable.ts";

export class JsonPathError extends Error {
  override readonly name = "JsonPathError";
}

type Segment =
  | { kind: "text"; text: string }
  | { kind: "path"; steps: readonly Step[] }
  | { kind: "range"; steps: readonly Step[]; body: readonly Segment[] };

type Step =
  | { kind: "root" }
  | { kind: "current" }
  | { kind: "field"; name: string }
  | { kind: "wildcard" }
  | { kind: "descend" }
  | { kind: "slice"; start: number | undefined; end: number | undefined; step: number; isIndex: boolean }
  | { kind: "union"; members: readonly (readonly Step[])[] }
  | { kind: "filter"; left: Operand; operator: string; right: Operand };

type Operand = { kind: "literal"; value: unknown } | { kind: "path"; steps: readonly Step[] };

/** A parsed template, to be filled with one value after another. Throws JsonPathError with kubectl's words. */
export function parseJsonPath(template: string): (value: unknown) => string {
  const segments = parseTemplate(template);
  return (value) => render(segments, value, value);
}

/** The same as JSON: of each path, and each text between them, an array of what it found. */
export function parseJsonPathAsJson(template: string): (value: unknown) => string {
  const segments = parseTemplate(template);
  return (value) =>
    found(segments, value, value)
      .map((values) => goJson(values))
      .join("");
}

/** Only the path within the braces, or without any: what `--sort-by` and custom columns take. */
export function parseJsonPathExpression(expression: string): (value: unknown) => unknown[] {
  const match = /^\s*\{?\.?([^{}]*)\}?\s*$/.exec(expression);
  if (!match) {
    throw new JsonPathError(
      `unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'`,
    );
  }
  const steps = parseSteps(`.${match[1]}`);
  return (value) => walk(steps, value, value);
}

function parseTemplate(template: string): Segment[] {
  const root: Segment[] = [];
  const open: { kind: "range"; steps: readonly Step[]; body: Segment[] }[] = [];
  const add = (segment: Segment) => (open.at(-1)?.body ?? root).push(segment);
  let rest = template;
  while (rest) {
    const at = rest.indexOf("{");
    if (at < 0) {
      add({ kind: "text", text: rest });
      break;
    }
    if (at > 0) add({ kind: "text", text: rest.slice(0, at) });
    const end = endOfAction(rest, at);
    const action = rest.slice(at + 1, end).trim();
    rest = rest.slice(end + 1);
    const range = /^range\s+(.*)$/s.exec(action);
    if (range) open.push({ kind: "range", steps: parseSteps(range[1]!.trim()), body: [] });
    else if (action === "end") {
      const closed = open.pop();
      if (!closed) throw new JsonPathError("not in range, nothing to end");
      add(closed);
    } else if (/^["']/.test(action)) add({ kind: "text", text: unquote(action) });
    else add({ kind: "path", steps: parseSteps(action) });
  }
  // A range that nobody ends goes to the template's end.
  while (open.length > 0) add(open.pop()!);
  return root;
}

function endOfAction(text: string, start: number): number {
  let quote = "";
  for (let i = start + 1; i < text.length; i++) {
    const character = text[i]!;
    if (quote) {
      if (character === "\\") i++;
      else if (character === quote) quote = "";
    } else if (character === '"' || character === "'") quote = character;
    else if (character === "}") return i;
  }
  throw new JsonPathError("unclosed action");
}

function unquote(text: string): string {
  const body = text.slice(1, text.endsWith(text[0]!) && text.length > 1 ? -1 : undefined);
  const special: Record<string, string> = { n: "\n", t: "\t", r: "\r" };
  return body.replace(/\\(.)/gs, (_, character: string) => special[character] ?? character);
}

function parseSteps(text: string): Step[] {
  const steps: Step[] = [];
  let rest = text;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    const match = pattern.exec(rest) ?? undefined;
    if (match) rest = rest.slice(match[0].length);
    return match;
  };
  if (take(/^\$/)) steps.push({ kind: "root" });
  else if (take(/^@/)) steps.push({ kind: "current" });
  while (rest) {
    if (take(/^\.\./)) {
      steps.push({ kind: "descend" });
      const name = take(/^(?:\\.|[^.[\]\s])+/);
      if (name) steps.push(name[0] === "*" ? { kind: "wildcard" } : { kind: "field", name: unescaped(name[0]) });
    } else if (rest.startsWith("[")) {
      const end = endOfBracket(rest);
      steps.push(parseBracket(rest.slice(1, end)));
      rest = rest.slice(end + 1);
    } else if (take(/^\.?\*/)) steps.push({ kind: "wildcard" });
    else {
      take(/^\./);
      const name = take(/^(?:\\.|[^.[\]\s{}])+/);
      if (name) steps.push({ kind: "field", name: unescaped(name[0]) });
      else if (rest)
        throw new JsonPathError(`unrecognized character in action: U+${code(rest)} ${JSON.stringify(rest[0])}`);
    }
  }
  return steps;
}

const unescaped = (name: string): string => name.replace(/\\(.)/g, "$1");
const code = (text: string): string => text.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");

function endOfBracket(text: string): number {
  let quote = "";
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (quote) {
      if (character === "\\") i++;
      else if (character === quote) quote = "";
    } else if (character === '"' || character === "'") quote = character;
    else if (character === "[") depth++;
    else if (character === "]" && --depth === 0) return i;
  }
  throw new JsonPathError("unterminated array");
}

function parseBracket(content: string): Step {
  const text = content.trim();
  if (text === "*") return { kind: "wildcard" };
  if (text.startsWith("?(") && text.endsWith(")")) return parseFilter(text.slice(2, -1).trim());
  const members = splitUnion(text);
  if (members.length > 1) return { kind: "union", members: members.map((member) => [parseBracket(member)]) };
  if (/^'.*'$|^".*"$/s.test(text)) return { kind: "field", name: unquote(text) };
  const slice = /^(-?\d*)(?::(-?\d*))?(?::(-?\d*))?$/.exec(text);
  if (!slice) {
    if (/^[\w$@.-]+$/.test(text)) return { kind: "union", members: [parseSteps(text)] };
    throw new JsonPathError(`invalid array index ${text}`);
  }
  const [, start, end, step] = slice;
  const number = (digits: string | undefined) => (digits ? Number(digits) : undefined);
  return {
    kind: "slice",
    start: number(start),
    end: number(end),
    step: number(step) ?? 1,
    isIndex: end === undefined,
  };
}

function splitUnion(text: string): string[] {
  return [...text.matchAll(/'(?:\\.|[^'])*'|"(?:\\.|[^"])*"|[^,'"]+/g)].map(([part]) => part.trim()).filter(Boolean);
}

function parseFilter(text: string): Step {
  const match = /^((?:'(?:\\.|[^'])*'|"(?:\\.|[^"])*"|\[[^\]]*\]|[^=!<>'"[])+)\s*(==|!=|<=|>=|<|>)\s*(.+)$/s.exec(text);
  if (!match)
    return { kind: "filter", left: operand(text), operator: "exists", right: { kind: "literal", value: undefined } };
  return { kind: "filter", left: operand(match[1]!.trim()), operator: match[2]!, right: operand(match[3]!.trim()) };
}

function operand(text: string): Operand {
  if (/^[@$.]/.test(text)) return { kind: "path", steps: parseSteps(text) };
  if (/^['"]/.test(text)) return { kind: "literal", value: unquote(text) };
  if (text === "true" || text === "false") return { kind: "literal", value: text === "true" };
  const number = Number(text);
  return { kind: "literal", value: Number.isNaN(number) ? text : number };
}

function render(segments: readonly Segment[], value: unknown, root: unknown): string {
  let text = "";
  for (const segment of segments) {
    if (segment.kind === "text") text += segment.text;
    else if (segment.kind === "path") text += walk(segment.steps, value, root).map(show).join(" ");
    else {
      for (const item of ranged(walk(segment.steps, value, root))) text += render(segment.body, item, item);
    }
  }
  return text;
}

function found(segments: readonly Segment[], value: unknown, root: unknown): unknown[][] {
  return segments.flatMap((segment): unknown[][] => {
    if (segment.kind === "text") return [[segment.text]];
    const values = walk(segment.steps, value, root);
    if (segment.kind === "path") return [values];
    return ranged(values).flatMap((item) => found(segment.body, item, item));
  });
}

const ranged = (values: unknown[]): unknown[] =>
  values.length === 1 && Array.isArray(values[0]) ? (values[0] as unknown[]) : values;

/** A value as text: strings as they are, everything with structure as JSON. */
function show(value: unknown): string {
  if (value === null || value === undefined) return value === null ? "null" : "";
  return typeof value === "object" ? compactGoJson(value) : String(value);
}

function walk(steps: readonly Step[], value: unknown, root: unknown): unknown[] {
  let current: unknown[] = [value];
  for (const step of steps) current = current.flatMap((each) => stepInto(step, each, root));
  return current;
}

function stepInto(step: Step, value: unknown, root: unknown): unknown[] {
  switch (step.kind) {
    case "root":
      return [root];
    case "current":
      return [value];
    case "field": {
      if (Array.isArray(value)) return [];
      const found = isRecord(value) ? value[step.name] : undefined;
      return found === undefined || found === null ? [] : [found];
    }
    case "wildcard":
      return Array.isArray(value) ? value : isRecord(value) ? Object.values(value) : [];
    case "descend":
      return descendants(value);
    case "union":
      return step.members.flatMap((member) => walk(member, value, root));
    case "slice":
      return Array.isArray(value) ? sliceOf(step, value) : [];
    case "filter":
      return (Array.isArray(value) ? value : isRecord(value) ? Object.values(value) : []).filter((item) =>
        passes(step, item, root),
      );
  }
}

function descendants(value: unknown): unknown[] {
  if (typeof value !== "object" || value === null) return [];
  return [value, ...Object.values(value).flatMap(descendants)];
}

function sliceOf(
  { start, end, step, isIndex }: Extract<Step, { kind: "slice" }>,
  items: readonly unknown[],
): unknown[] {
  const at = (index: number) => (index < 0 ? index + items.length : index);
  if (isIndex) {
    const index = at(start ?? 0);
    if (index >= items.length || index < 0) {
      throw new JsonPathError(`array index out of bounds: index ${start}, length ${items.length}`);
    }
    return [items[index]];
  }
  const from = at(start ?? 0);
  const to = Math.min(at(end ?? items.length), items.length);
  return items.slice(Math.max(from, 0), Math.max(to, 0)).filter((_, i) => i % Math.max(step, 1) === 0);
}

function passes({ left, operator, right }: Extract<Step, { kind: "filter" }>, item: unknown, root: unknown): boolean {
  const read = (side: Operand) => (side.kind === "literal" ? side.value : walk(side.steps, item, root)[0]);
  const a = read(left);
  if (operator === "exists") return a !== undefined;
  const b = read(right);
  if (a === undefined || b === undefined) return false;
  const [x, y] = typeof a === typeof b ? [a, b] : [String(a), String(b)];
  switch (operator) {
    case "==":
      return x === y;
    case "!=":
      return x !== y;
    case "<":
      return (x as number) < (y as number);
    case "<=":
      return (x as number) <= (y as number);
    case ">":
      return (x as number) > (y as number);
    default:
      return (x as number) >= (y as number);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
