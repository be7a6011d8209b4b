/** JSON paths as CustomResourceDefinitions use them: simple ones (`.spec.replicas`), and those of printer columns (indices, filters). */

/** Reads a simple path; undefined where nothing is. Names may hold escaped dots and be in brackets: `.metadata.annotations['a.b']`. */
export function compileSimplePath(path: string): (object: unknown) => unknown {
  const steps = simpleSteps(path);
  return (object) => {
    let value = object;
    for (const step of steps) {
      if (typeof value !== "object" || value === null) return undefined;
      value = (value as Record<string, unknown>)[step];
    }
    return value;
  };
}

/** The names along a simple path. */
function simpleSteps(path: string): string[] {
  const steps: string[] = [];
  for (const match of path.matchAll(/\['([^']*)'\]|\["([^"]*)"\]|((?:\\.|[^.[\]\\])+)/g)) {
    const plain = match[3]?.replace(/\\(.)/g, "$1");
    steps.push(match[1] ?? match[2] ?? plain!);
  }
  return steps;
}

type Step = (value: unknown) => readonly unknown[];

/** Finds every value of a printer column's path. A path that cannot be read finds nothing. */
export function compileJsonPath(path: string): (object: unknown) => readonly unknown[] {
  const steps = parseSteps(path);
  if (!steps) return () => [];
  return (object) => {
    let values: readonly unknown[] = [object];
    for (const step of steps) {
      values = values.flatMap((value) => step(value));
      if (values.length === 0) break;
    }
    return values;
  };
}

/** Undefined when the path is malformed. */
function parseSteps(path: string): Step[] | undefined {
  const steps: Step[] = [];
  let at = 0;
  const text = path
    .trim()
    .replace(/^\{(.*)\}$/s, "$1")
    .replace(/^\$/, "");
  while (at < text.length) {
    const rest = text.slice(at);
    const name = /^\.?((?:\\.|[^.[\]\\ ])+)/.exec(rest);
    if (rest.startsWith("..")) {
      const [whole, wanted] = /^\.\.((?:\\.|[^.[\]\\])+)/.exec(rest) ?? [];
      if (!whole) return undefined;
      steps.push((value) => [...descendants(value, unescaped(wanted!))]);
      at += whole.length;
    } else if (rest[0] === "[") {
      const end = closing(rest);
      if (end < 0) return undefined;
      const step = bracketStep(rest.slice(1, end));
      if (!step) return undefined;
      steps.push(step);
      at += end + 1;
    } else if (name) {
      const key = unescaped(name[1]!);
      steps.push(key === "*" ? allOf : (value) => childOf(value, key));
      at += name[0].length;
    } else if (rest === ".") at++;
    else return undefined;
  }
  return steps;
}

const unescaped = (text: string) => text.replace(/\\(.)/g, "$1");

function closing(text: string): number {
  let depth = 0;
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (quote) {
      if (char === quote) quote = "";
    } else if (char === "'" || char === '"') quote = char;
    else if (char === "[") depth++;
    else if (char === "]" && --depth === 0) return i;
  }
  return -1;
}

function bracketStep(inside: string): Step | undefined {
  const text = inside.trim();
  if (text === "*") return allOf;
  const quoted = /^'(.*)'$|^"(.*)"$/s.exec(text);
  if (quoted) {
    const key = quoted[1] ?? quoted[2]!;
    return (value) => childOf(value, key);
  }
  if (/^-?\d+$/.test(text)) {
    const index = Number(text);
    return (value) => {
      const item = Array.isArray(value) ? value.at(index) : undefined;
      return item === undefined ? [] : [item];
    };
  }
  const slice = /^(-?\d*):(-?\d*)(?::(\d+))?$/.exec(text);
  if (slice) {
    const step = Number(slice[3] ?? 1) || 1;
    return (value) =>
      Array.isArray(value)
        ? value
            .slice(slice[1] ? Number(slice[1]) : 0, slice[2] ? Number(slice[2]) : undefined)
            .filter((_, i) => i % step === 0)
        : [];
  }
  const filter = /^\?\(\s*@(.*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?))?\s*\)$/s.exec(text);
  if (!filter) return undefined;
  const find = compileJsonPath(filter[1] || "");
  const operator = filter[2];
  if (!operator) return (value) => itemsOf(value).filter((item) => find(item).length > 0);
  const operand = filter[3]!;
  const string = /^'(.*)'$|^"(.*)"$/s.exec(operand);
  const wanted: unknown = string ? (string[1] ?? string[2]) : operandValue(operand);
  return (value) => itemsOf(value).filter((item) => find(item).some((found) => compare(found, operator, wanted)));
}

function operandValue(text: string): unknown {
  if (text === "true" || text === "false") return text === "true";
  return Number.isNaN(Number(text)) ? text : Number(text);
}

function compare(found: unknown, operator: string, wanted: unknown): boolean {
  switch (operator) {
    case "==":
      return found === wanted;
    case "!=":
      return found !== wanted;
    default:
      if (typeof found !== typeof wanted || (typeof found !== "number" && typeof found !== "string")) return false;
      if (operator === "<") return found < (wanted as typeof found);
      if (operator === "<=") return found <= (wanted as typeof found);
      if (operator === ">") return found > (wanted as typeof found);
      return found >= (wanted as typeof found);
  }
}

const itemsOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const allOf: Step = (value) => (typeof value === "object" && value !== null ? Object.values(value) : []);

function childOf(value: unknown, key: string): unknown[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  const child = (value as Record<string, unknown>)[key];
  return child === undefined ? [] : [child];
}

function* descendants(value: unknown, key: string): Generator<unknown> {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value) && Object.hasOwn(value, key)) yield (value as Record<string, unknown>)[key];
  for (const child of Object.values(value)) yield* descendants(child, key);
}
