/** JSONPath templates, filled (client-go's util/jsonpath). https://kubernetes.io/docs/reference/kubectl/jsonpath/ */
import { goType, goValue } from "./go-format.ts";
import { JsonPathError, type JsonPathNode, parseJsonPathTemplate } from "./jsonpath-parser.ts";
import { compactGoJson, goJson } from "./printers/printable.ts";

export { JsonPathError } from "./jsonpath-parser.ts";

export interface JsonPathOptions {
  /** What has no such field finds nothing, instead of an error. Default: true. */
  allowsMissing?: boolean;
  /** Whole numbers were read as such, not as floats. Default: true. */
  isWhole?: boolean;
}

/** A parsed template, to be filled with one value after another. Both throw JsonPathError with kubectl's words. */
export function parseJsonPath(template: string, options: JsonPathOptions = {}): (value: unknown) => string {
  const parts = parseJsonPathTemplate(template);
  const { isWhole = true } = options;
  return (value) =>
    new Walk(parts, options)
      .results(value)
      .map((results) => results.map((result) => show(result, isWhole)).join(" "))
      .join("");
}

/** The same as JSON: of each path, and each text between them, an array of what it found. */
export function parseJsonPathAsJson(template: string, options: JsonPathOptions = {}): (value: unknown) => string {
  const parts = parseJsonPathTemplate(template);
  return (value) =>
    new Walk(parts, options)
      .results(value)
      .map((results) => goJson(results))
      .join("");
}

/** `.spec.type`, with or without its dot and its braces, as a whole template: what `--sort-by` and custom columns take. */
export function wholeJsonPath(expression: string): string {
  if (expression === "") return "";
  const [, inner, bare] = /^\{\.?([^{}]+)\}$|^\.?([^{}]+)$/s.exec(expression) ?? [];
  const path = inner ?? bare;
  if (path === undefined) {
    throw new JsonPathError(
      `unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'`,
    );
  }
  return `{.${path}}`;
}

/** Everything that the path finds. */
export function parseJsonPathExpression(expression: string): (value: unknown) => unknown[] {
  const parts = parseJsonPathTemplate(wholeJsonPath(expression));
  return (value) => new Walk(parts, {}).results(value).flat();
}

/** A value as text: strings as they are, everything with structure as JSON. */
function show(value: unknown, isWhole: boolean): string {
  if (value === null) return "null";
  return typeof value === "object" ? compactGoJson(value) : goValue(value, isWhole);
}

/** One filling of a template. */
class Walk {
  readonly #parts: readonly JsonPathNode[];
  readonly #allowsMissing: boolean;
  readonly #isWhole: boolean;
  /** Ranges that have been named, and not yet begun; that run; `end`s that have been met. */
  #begun = 0;
  #running = 0;
  #ended = 0;
  /** Where the last `end` stood. */
  #lastEnd = -1;

  constructor(parts: readonly JsonPathNode[], { allowsMissing = true, isWhole = true }: JsonPathOptions) {
    this.#parts = parts;
    this.#allowsMissing = allowsMissing;
    this.#isWhole = isWhole;
  }

  /** Of each part what it found. */
  results(value: unknown, from = 0): unknown[][] {
    const all: unknown[][] = [];
    for (let i = from; i < this.#parts.length; i++) {
      const found = this.#walk([value], this.#parts[i]!);
      if (this.#ended > 0 && this.#ended <= this.#running) {
        this.#ended--;
        this.#lastEnd = i;
        break;
      }
      if (this.#begun === 0) {
        all.push(found);
        continue;
      }
      this.#begun--;
      this.#running++;
      for (const each of found) all.push(...this.results(each, i + 1));
      // Over nothing, too, so that its end is found.
      if (found.length === 0) this.results(null, i + 1);
      this.#running--;
      if (this.#lastEnd > i) i = this.#lastEnd;
    }
    return all;
  }

  #walk(values: unknown[], node: JsonPathNode): unknown[] {
    switch (node.kind) {
      case "list":
        return node.nodes.reduce<unknown[]>((current, each) => this.#walk(current, each), values);
      case "literal":
        return typeof node.value === "string" ? [node.value] : values.map(() => node.value);
      case "word":
        return this.#word(node.word, values);
      case "field":
        return this.#field(values, node.name);
      case "wildcard":
        return values.flatMap(childrenOf);
      case "descend":
        return values.flatMap(descendants);
      case "union":
        return node.members.flatMap((member) => this.#walk(values, member));
      case "slice":
        return this.#slice(values, node);
      case "filter":
        return this.#filter(values, node);
    }
  }

  #word(word: string, values: unknown[]): unknown[] {
    if (word === "range") {
      this.#begun++;
      return values;
    }
    if (word !== "end") throw new JsonPathError(`unrecognized identifier ${word}`);
    if (this.#running === 0) throw new JsonPathError("not in range, nothing to end");
    this.#ended++;
    return [];
  }

  #field(values: unknown[], name: string): unknown[] {
    const found = values.flatMap((value) => {
      const inner = isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined;
      return inner === undefined ? [] : [inner];
    });
    if (found.length === 0 && values.length > 0 && !this.#allowsMissing) {
      throw new JsonPathError(`${name} is not found`);
    }
    return found;
  }

  #slice(values: unknown[], { start, end, step, isIndex }: Extract<JsonPathNode, { kind: "slice" }>): unknown[] {
    const results: unknown[] = [];
    for (const value of values) {
      if (value === null) continue;
      if (!Array.isArray(value)) throw new JsonPathError(`${goType(value, this.#isWhole)} is not array or slice`);
      const { length } = value;
      const first = start < 0 ? start + length : start;
      let last = end ?? length;
      if (last < 0 || (last === 0 && isIndex)) last += length;
      if (first === last) return results;
      if (first >= length || first < 0) throw outOfBounds(first, length);
      if (last > length || last < 0) throw outOfBounds(last - 1, length);
      if (first > last) throw new JsonPathError(`starting index ${first} is greater than ending index ${last}`);
      if (step <= 0) throw new JsonPathError("step must be > 0");
      results.push(...value.slice(first, last).filter((_, i) => i % step === 0));
    }
    return results;
  }

  #filter(values: unknown[], { left, operator, right }: Extract<JsonPathNode, { kind: "filter" }>): unknown[] {
    return values.flatMap((value) => {
      if (!Array.isArray(value)) {
        throw new JsonPathError(`${goValue(value, this.#isWhole)} is not array or slice and cannot be filtered`);
      }
      return value.filter((item) => {
        if (!right) return this.#finds(item, left);
        const one = this.#only(item, left);
        const other = one.length > 0 ? this.#only(item, right) : [];
        return other.length > 0 && compare(one[0], operator, other[0], this.#isWhole);
      });
    });
  }

  /** A step that cannot be taken counts as found, a field that is missing does not. */
  #finds(item: unknown, node: JsonPathNode): boolean {
    try {
      return this.#walk([item], node).length > 0;
    } catch (error) {
      if (error instanceof JsonPathError) return !error.message.endsWith(" is not found");
      throw error;
    }
  }

  #only(item: unknown, node: JsonPathNode): unknown[] {
    const found = this.#walk([item], node);
    if (found.length > 1) throw new JsonPathError("can only compare one element at a time");
    return found;
  }
}

const outOfBounds = (index: number, length: number): JsonPathError =>
  new JsonPathError(`array index out of bounds: index ${index}, length ${length}`);

/** What a wildcard goes through; of a string its bytes. */
function childrenOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value === "string") return [...Buffer.from(value)];
  return isRecord(value) ? Object.values(value) : [];
}

/** What has parts, itself first. */
function descendants(value: unknown): unknown[] {
  const children = childrenOf(value);
  if (children.length === 0) return [];
  return [value, ...(typeof value === "string" ? [] : children.flatMap(descendants))];
}

/** Only like is compared with like. */
function compare(a: unknown, operator: string, b: unknown, isWhole: boolean): boolean {
  const isKnown = ["==", "!=", "<", "<=", ">", ">="].includes(operator);
  if (!isKnown) throw new JsonPathError(`unrecognized filter operator ${operator}`);
  const kindOf = (value: unknown) => {
    if (value === null || typeof value === "object") throw new JsonPathError("invalid type for comparison");
    if (typeof value !== "number") return typeof value;
    return Number.isInteger(value) && isWhole ? "int" : "float";
  };
  const kind = kindOf(a);
  if (kind !== kindOf(b)) throw new JsonPathError("incompatible types for comparison");
  const [x, y] = [a as number, b as number];
  if (operator === "==") return x === y;
  if (operator === "!=") return x !== y;
  if (kind === "boolean") throw new JsonPathError("invalid type for comparison");
  if (operator === "<") return x < y;
  if (operator === "<=") return x <= y;
  return operator === ">" ? x > y : x >= y;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
