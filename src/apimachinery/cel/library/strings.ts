/** The strings extension of CEL, as far as Kubernetes has it. Positions count code points. */
import { escaped } from "../../../base/escapes.ts";
import { type Range, scaled, sizeOfType, sizeRange, sum, times } from "../code.ts";
import { type FunctionTable, globalFunction, memberFunction, type Overload, type Sizes } from "../environment.ts";
import { formatDuration, formatTimestamp } from "../time.ts";
import { Dyn, Int, listOf, Text } from "../types.ts";
import {
  ArrayList,
  CelError,
  DurationValue,
  isNumber,
  ListValue,
  MapValue,
  TimestampValue,
  TypeValue,
  typeNameOf,
  UintValue,
  type Value,
} from "../values.ts";
import { traversalOf } from "./lists.ts";
import { doubleText, traversal } from "./standard.ts";

const walk = { cost: ([a = 0]: Sizes) => traversal(a) };
const walkSame = { ...walk, resultSize: ([a = 0]: Sizes) => a };

/** Walked through once, without rounding up. */
const search: Pick<Overload, "cost" | "actual"> = { ...walk, actual: ([text]) => traversalOf(text!) };
const twice = (size: number) => Math.ceil(size * 0.2);

const replacing: Pick<Overload, "estimate" | "actual"> = {
  estimate([text, from, to]) {
    const [size, wanted, given] = [sizeRange(text!), sizeRange(from!), sizeRange(to!)];
    return { cost: scaled(size, 0.2), size: { min: shortest(size, wanted, given), max: longest(size, wanted, given) } };
  },
  actual: ([text]) => twice((text as string).length),
};

/** The longest text that replacing can yield. */
function longest(text: Range, from: Range, to: Range): number {
  if (text.max === Number.POSITIVE_INFINITY) return text.max;
  // Nothing is replaced by something: around every character.
  if (from.min === 0) return (text.max + 1) * to.max + text.max;
  return to.max <= from.min ? text.max : Math.ceil(text.max / from.min) * to.max;
}

function shortest(text: Range, from: Range, to: Range): number {
  if (from.max === 0) return (text.min + 1) * to.min + text.min;
  if (from.max <= to.min) return text.min;
  return text.min === 0 || to.min === 0 ? 0 : Math.ceil(text.min / from.max) * to.min;
}

const splitting: Pick<Overload, "estimate" | "actual"> = {
  estimate([text, , limit]) {
    const size = sizeRange(text!);
    const most = typeof limit?.literal === "bigint" && limit.literal >= 0n ? Number(limit.literal) : size.max;
    return { cost: scaled(size, 0.2), size: { min: 0, max: most } };
  },
  actual: ([text]) => twice((text as string).length),
};

const joining: Pick<Overload, "estimate" | "actual"> = {
  estimate([list, separator]) {
    const count = sizeRange(list!);
    const items = times(count, list!.type.kind === "list" ? sizeOfType(list!.type.element) : sizeOfType(Text));
    const gaps = { min: Math.max(0, count.min - 1), max: Math.max(0, count.max - 1) };
    const size = separator ? sum(items, times(gaps, sizeRange(separator))) : items;
    return { cost: scaled(size, 0.1), size };
  },
  actual: (_args, result) => twice((result as string).length),
};

const isPlain = (text: string) => !/[\ud800-\udfff]/.test(text);
const points = (text: string): string | string[] => (isPlain(text) ? text : [...text]);
const slice = (text: string, start: number, end: number) => {
  const items = points(text);
  return typeof items === "string" ? items.slice(start, end) : items.slice(start, end).join("");
};

function charAt(text: string, index: bigint): string {
  const items = points(text);
  if (index < 0n || index > BigInt(items.length)) throw new CelError(`index out of range: ${index}`);
  return items[Number(index)] ?? "";
}

function indexOf(text: string, part: string, offset = 0n): bigint {
  const items = points(text);
  if (offset < 0n || (offset > BigInt(items.length) && part !== ""))
    throw new CelError(`index out of range: ${offset}`);
  if (part === "") return offset;
  const start = typeof items === "string" ? Number(offset) : items.slice(0, Number(offset)).join("").length;
  const at = text.indexOf(part, start);
  return at < 0 ? -1n : BigInt(points(text.slice(0, at)).length);
}

function lastIndexOf(text: string, part: string, offset?: bigint): bigint {
  const items = points(text);
  if (offset !== undefined && (offset < 0n || offset > BigInt(items.length))) {
    throw new CelError(`index out of range: ${offset}`);
  }
  if (part === "") return offset ?? BigInt(items.length);
  const start =
    offset === undefined
      ? undefined
      : typeof items === "string"
        ? Number(offset)
        : items.slice(0, Number(offset)).join("").length;
  const at = text.lastIndexOf(part, start);
  return at < 0 ? -1n : BigInt(points(text.slice(0, at)).length);
}

function join(list: ListValue, separator = ""): string {
  return list
    .toArray()
    .map((item) => {
      if (typeof item !== "string") throw new CelError("no such overload");
      return item;
    })
    .join(separator);
}

function replace(text: string, from: string, to: string, limit = -1n): string {
  if (limit < 0n) return text.replaceAll(from, () => to);
  const pieces = from === "" ? ["", ...text] : text.split(from);
  let result = "";
  for (const [i, piece] of pieces.entries()) {
    if (i === 0) result = from === "" ? "" : piece;
    else if (from === "") result += (BigInt(i) <= limit ? to : "") + piece;
    else result += (BigInt(i) <= limit ? to : from) + piece;
  }
  if (from === "" && BigInt(pieces.length) <= limit) result += to;
  return result;
}

function split(text: string, separator: string, limit = -1n): Value {
  if (limit === 0n) return new ArrayList([]);
  const all = separator === "" ? [...text] : text.split(separator);
  if (limit < 0n || BigInt(all.length) <= limit) return new ArrayList(all);
  const keep = Number(limit) - 1;
  return new ArrayList([...all.slice(0, keep), all.slice(keep).join(separator)]);
}

function substring(text: string, start: bigint, end?: bigint): string {
  const length = BigInt(points(text).length);
  if (start < 0n || start > length) throw new CelError(`index out of range: ${start}`);
  if (end !== undefined && (end < 0n || end > length)) throw new CelError(`index out of range: ${end}`);
  if (end !== undefined && start > end) throw new CelError(`invalid substring range. start: ${start}, end: ${end}`);
  return slice(text, Number(start), Number(end ?? length));
}

const lower = (text: string) => text.replace(/[A-Z]+/g, (part) => part.toLowerCase());
const upper = (text: string) => text.replace(/[a-z]+/g, (part) => part.toUpperCase());
/** Unicode's white space, which is not quite JavaScript's. */
const trim = (text: string) =>
  text.replace(
    /^[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+|[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/g,
    "",
  );

const quoted: Readonly<Record<string, string>> = { ...escaped, '"': '\\"' };
const quote = (text: string) => `"${[...text].map((char) => quoted[char] ?? char).join("")}"`;

export const stringsLibrary: FunctionTable = {
  charAt: [memberFunction([Text, Int], Text, charAt, { resultSize: () => 1 })],
  indexOf: [
    memberFunction([Text, Text], Int, indexOf, search),
    memberFunction([Text, Text, Int], Int, indexOf, search),
  ],
  lastIndexOf: [
    memberFunction([Text, Text], Int, lastIndexOf, search),
    memberFunction([Text, Text, Int], Int, lastIndexOf, search),
  ],
  join: [
    memberFunction([listOf(Text)], Text, join, joining),
    memberFunction([listOf(Text), Text], Text, join, joining),
  ],
  lowerAscii: [memberFunction([Text], Text, lower, walkSame)],
  upperAscii: [memberFunction([Text], Text, upper, walkSame)],
  replace: [
    memberFunction([Text, Text, Text], Text, replace, replacing),
    memberFunction([Text, Text, Text, Int], Text, replace, replacing),
  ],
  reverse: [memberFunction([Text], Text, (text: string) => [...text].reverse().join(""), walkSame)],
  split: [
    memberFunction([Text, Text], listOf(Text), split, splitting),
    memberFunction([Text, Text, Int], listOf(Text), split, splitting),
  ],
  substring: [
    memberFunction([Text, Int], Text, substring, walkSame),
    memberFunction([Text, Int, Int], Text, substring, walkSame),
  ],
  trim: [memberFunction([Text], Text, trim, walkSame)],
  format: [memberFunction([Text, listOf(Dyn)], Text, format, walk)],
  "strings.quote": [globalFunction([Text], Text, quote, { ...walk, resultSize: ([a = 0]) => a * 2 + 2 })],
};

/** `%s`, `%d`, `%f`, `%.2e`, `%b`, `%x`, `%X`, `%o`, `%%`. */
function format(pattern: string, list: ListValue): string {
  let next = 0;
  let result = "";
  for (let i = 0; i < pattern.length; i++) {
    if (pattern[i] !== "%") {
      result += pattern[i];
      continue;
    }
    const clause = /%(?:%|(?:\.(\d+))?([a-zA-Z]))/y;
    clause.lastIndex = i;
    const match = clause.exec(pattern);
    if (!match)
      throw new CelError(
        i + 1 >= pattern.length ? "unexpected end of string" : `unrecognized formatting clause "${pattern[i + 1]}"`,
      );
    i += match[0].length - 1;
    if (match[0] === "%%") {
      result += "%";
      continue;
    }
    if (next >= list.length) throw new CelError(`index ${next} out of range`);
    result += formatOne(match[2]!, match[1] === undefined ? undefined : Number(match[1]), list.at(next++));
  }
  return result;
}

function formatOne(verb: string, precision: number | undefined, value: Value): string {
  const wrong = (what: string) => new CelError(`error during formatting: ${what}, was given ${typeNameOf(value)}`);
  switch (verb) {
    case "s":
      return textOf(value);
    case "d":
      if (typeof value === "bigint") return String(value);
      if (value instanceof UintValue) return String(value.value);
      if (typeof value === "number") return Number.isFinite(value) ? String(value) : special(value);
      throw wrong("decimal clause can only be used on integers");
    case "f":
    case "e": {
      if (!isNumber(value))
        throw wrong(`${verb === "f" ? "fixed-point" : "scientific"} clause can only be used on doubles`);
      const number = Number(value instanceof UintValue ? value.value : value);
      if (!Number.isFinite(number)) return special(number);
      const digits = precision ?? 6;
      return verb === "f" ? number.toFixed(digits) : number.toExponential(digits).replace(/e([+-])(\d)$/, "e$10$2");
    }
    case "b":
      if (typeof value === "boolean") return value ? "1" : "0";
      if (typeof value === "bigint") return value.toString(2);
      if (value instanceof UintValue) return value.value.toString(2);
      throw wrong("only integers and bools can be formatted as binary");
    case "o":
      if (typeof value === "bigint") return value.toString(8);
      if (value instanceof UintValue) return value.value.toString(8);
      throw wrong("octal clause can only be used on integers");
    case "x":
    case "X": {
      let text: string;
      if (typeof value === "bigint") text = value.toString(16);
      else if (value instanceof UintValue) text = value.value.toString(16);
      else if (typeof value === "string") text = Buffer.from(value).toString("hex");
      else if (value instanceof Uint8Array) text = Buffer.from(value).toString("hex");
      else throw wrong("only integers, byte buffers, and strings can be formatted as hex");
      return verb === "X" ? text.toUpperCase() : text;
    }
    default:
      throw new CelError(`could not parse formatting clause: unrecognized formatting clause "${verb}"`);
  }
}

function special(value: number): string {
  return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
}

function textOf(value: Value): string {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
      return Number.isFinite(value) ? doubleText(value) : special(value);
    case "bigint":
    case "boolean":
      return String(value);
  }
  if (value === null) return "null";
  if (value instanceof UintValue) return String(value.value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (value instanceof TimestampValue) return formatTimestamp(value.nanos);
  if (value instanceof DurationValue) return formatDuration(value.nanos);
  if (value instanceof TypeValue) return value.typeName;
  if (value instanceof ListValue) return `[${value.toArray().map(textOf).join(", ")}]`;
  if (value instanceof MapValue) {
    const pairs = value.keys().map((key) => `${textOf(key)}: ${textOf(value.find(key)!)}`);
    return `{${pairs.sort().join(", ")}}`;
  }
  throw new CelError(
    `error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps, was given ${typeNameOf(value)}`,
  );
}
