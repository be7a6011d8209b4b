/** The functions that a template may call: Go's own, and kubectl's `exists` and `base64decode`. Pure. */
import { goType, goValue } from "../../go-format.ts";
import { goPrintf } from "./printf.ts";

interface TemplateFunction {
  /** How many arguments there must be; `more`: at least so many. */
  takes: number;
  more?: boolean;
  /** Of the first arguments, how many must be text. */
  texts?: number;
  /** Throws an Error in Go's words. */
  call(args: readonly unknown[]): unknown;
}

/** `and` and `or` are here for their names: they leave off where the answer is known. */
export const templateFunctions: Readonly<Record<string, TemplateFunction>> = {
  and: { takes: 1, more: true, call: (args) => args.find((arg) => !isTrue(arg)) ?? args.at(-1) },
  or: { takes: 1, more: true, call: (args) => args.find(isTrue) ?? args.at(-1) },
  not: { takes: 1, call: ([value]) => !isTrue(value) },
  call: {
    takes: 1,
    more: true,
    call: ([value]) => fail(isNothing(value) ? "call of nil" : `non-function of type ${typeOf(value)}`),
  },
  html: {
    takes: 0,
    more: true,
    call: (args) => text(args).replace(/[&<>"'\0]/g, (character) => htmlEscapes[character]!),
  },
  js: { takes: 0, more: true, call: (args) => text(args).replace(/[\\'"<>&=\p{Cc}]/gu, escapeForScript) },
  urlquery: { takes: 0, more: true, call: (args) => escapeForQuery(text(args)) },
  len: { takes: 1, call: ([value]) => BigInt(lengthOf(value)) },
  index: { takes: 1, more: true, call: ([value, ...keys]) => keys.reduce(indexed, value) },
  slice: { takes: 1, more: true, call: ([value, ...indexes]) => sliced(value, indexes) },
  print: { takes: 0, more: true, call: printed },
  printf: { takes: 1, more: true, texts: 1, call: ([format, ...args]) => goPrintf(format as string, args) },
  println: { takes: 0, more: true, call: (args) => `${args.map((arg) => goValue(arg, true)).join(" ")}\n` },
  eq: { takes: 1, more: true, call: equals },
  ne: { takes: 2, call: (args) => !equals(args) },
  lt: { takes: 2, call: ([a, b]) => isLess(a, b) },
  le: { takes: 2, call: ([a, b]) => isLess(a, b) || equals([a, b]) },
  gt: { takes: 2, call: ([a, b]) => !(isLess(a, b) || equals([a, b])) },
  ge: { takes: 2, call: ([a, b]) => !isLess(a, b) },
  exists: { takes: 1, more: true, call: ([value, ...keys]) => !isNothing(keys.reduce(found, value)) },
  base64decode: { takes: 1, texts: 1, call: ([value]) => decoded(value as string) },
};

/** Nothing, zero, and what is empty are not. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

const isNothing = (value: unknown): value is null | undefined => value === null || value === undefined;
const typeOf = (value: unknown): string => goType(value, true);

function fail(message: string): never {
  throw new Error(message);
}

/** As fmt.Sprint: with blanks between what is no text. */
function printed(args: readonly unknown[]): string {
  return args
    .map(
      (arg, i) => (i > 0 && typeof arg !== "string" && typeof args[i - 1] !== "string" ? " " : "") + goValue(arg, true),
    )
    .join("");
}

const text = (args: readonly unknown[]): string =>
  args.length === 1 && isNothing(args[0]) ? "<no value>" : printed(args);

const htmlEscapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
  "\0": "\uFFFD",
};

function escapeForScript(character: string): string {
  if ("\\'\"".includes(character)) return `\\${character}`;
  return `\\u${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
}

function escapeForQuery(value: string): string {
  return encodeURIComponent(value)
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+");
}

function lengthOf(value: unknown): number {
  if (value === undefined) return fail("reflect: call of reflect.Value.Type on zero Value");
  if (value === null) return fail("len of nil pointer");
  if (typeof value === "string") return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  return typeof value === "object" ? Object.keys(value).length : fail(`len of type ${typeOf(value)}`);
}

function position(key: unknown, length: number): number {
  if (isNothing(key)) return fail("cannot index slice/array with nil");
  if (typeof key !== "bigint" && !(typeof key === "number" && Number.isInteger(key))) {
    return fail(`cannot index slice/array with type ${typeOf(key)}`);
  }
  const index = Number(key);
  return index < 0 || index > length ? fail(`index out of range: ${index}`) : index;
}

function indexed(value: unknown, key: unknown): unknown {
  if (isNothing(value)) return fail("index of untyped nil");
  if (Array.isArray(value) || typeof value === "string") {
    const items: ArrayLike<unknown> = typeof value === "string" ? Buffer.from(value) : value;
    const at = position(key, items.length - 1);
    return typeof value === "string" ? BigInt(items[at] as number) : items[at];
  }
  if (typeof value !== "object") return fail(`can't index item of type ${typeOf(value)}`);
  if (isNothing(key)) return fail("value is nil; should be of type string");
  if (typeof key !== "string") return fail(`value has type ${typeOf(key)}; should be string`);
  return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
}

function found(value: unknown, key: unknown): unknown {
  try {
    return indexed(value, key);
  } catch {
    return undefined;
  }
}

function sliced(value: unknown, indexes: readonly unknown[]): unknown {
  if (isNothing(value)) return fail("slice of untyped nil");
  if (indexes.length > 3) return fail(`too many slice indexes: ${indexes.length}`);
  if (typeof value !== "string" && !Array.isArray(value)) return fail(`can't slice item of type ${typeOf(value)}`);
  if (typeof value === "string" && indexes.length === 3) return fail("cannot 3-index slice a string");
  const items = typeof value === "string" ? Buffer.from(value) : value;
  const [from = 0, to = items.length] = indexes.map((index) => position(index, items.length));
  if (from > to) return fail(`invalid slice index: ${from} > ${to}`);
  const part = items.slice(from, to);
  return Buffer.isBuffer(part) ? part.toString() : part;
}

/** What is compared by value; undefined for what has none. */
function basicKind(value: unknown): "bool" | "int" | "float" | "string" | undefined {
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "bigint") return "int";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float";
  return undefined;
}

const incompatible = (a: unknown, b: unknown): never =>
  fail(`incompatible types for comparison: ${typeOf(a)} and ${typeOf(b)}`);

function equals([first, ...others]: readonly unknown[]): boolean {
  if (others.length === 0) return fail("missing argument for comparison");
  const kind = basicKind(first);
  return others.some((other) => {
    if (isNothing(first) || isNothing(other)) return isNothing(first) && isNothing(other);
    if (basicKind(other) !== kind) return incompatible(first, other);
    if (kind === undefined) {
      return fail(`non-comparable type ${goPrintf("%s", [other])}: ${typeOf(other)}`);
    }
    return kind === "int" ? BigInt(first as number) === BigInt(other as number) : first === other;
  });
}

function isLess(a: unknown, b: unknown): boolean {
  const [kind, other] = [basicKind(a), basicKind(b)];
  if (!kind || !other) return fail("invalid type for comparison");
  if (kind !== other) return incompatible(a, b);
  return kind === "bool" ? fail("invalid type for comparison") : (a as number) < (b as number);
}

function decoded(value: string): string {
  const bare = value.replace(/[\r\n]/g, "");
  const valid = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?/.exec(bare)![0].length;
  if (valid < bare.length) {
    const wrong = bare.slice(valid).search(/[^A-Za-z0-9+/]/);
    const at = wrong < 0 ? Math.floor(bare.length / 4) * 4 : valid + wrong;
    fail(`base64 decode failed: illegal base64 data at input byte ${at}`);
  }
  return Buffer.from(bare, "base64").toString();
}
