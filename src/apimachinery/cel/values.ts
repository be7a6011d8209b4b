/**
 * What CEL expressions compute with. null, booleans and strings are JavaScript's own; int is bigint, double is number, bytes is
 * Uint8Array. JSON is not copied: lists and objects are thin views that read an item when it is asked for.
 */
import { formatDuration, formatTimestamp, parseDuration, parseTimestamp } from "./time.ts";
import type { CelType, ListType, MapType, ObjectType } from "./types.ts";

export type Value =
  | null
  | boolean
  | string
  | bigint
  | number
  | Uint8Array
  | UintValue
  | DurationValue
  | TimestampValue
  | ListValue
  | MapValue
  | TypeValue
  | OptionalValue
  | OpaqueValue;

/** What an evaluation ends with when it fails. Conjunctions and disjunctions may absorb it. */
export class CelError extends Error {
  override name = "CelError";
}

export const noSuchOverload = () => new CelError("no such overload");

export class UintValue {
  readonly value: bigint;
  constructor(value: bigint) {
    this.value = value;
  }
}

export class DurationValue {
  readonly nanos: bigint;
  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

/** Nanoseconds since 1970. */
export class TimestampValue {
  readonly nanos: bigint;
  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

export class TypeValue {
  readonly typeName: string;
  constructor(name: string) {
    this.typeName = name;
  }
}

export class OptionalValue {
  readonly value: Value | undefined;
  constructor(value: Value | undefined) {
    this.value = value;
  }
}

export const none = new OptionalValue(undefined);

/** A value of a library's own type. */
export abstract class OpaqueValue {
  abstract readonly typeName: string;
  equals(other: OpaqueValue): boolean {
    return this === other;
  }
}

export abstract class ListValue {
  abstract readonly length: number;
  abstract at(index: number): Value;
  readonly listType: "set" | "map" | undefined = undefined;
  readonly mapKeys: readonly string[] | undefined = undefined;

  toArray(): Value[] {
    return Array.from({ length: this.length }, (_, i) => this.at(i));
  }
}

export class ArrayList extends ListValue {
  readonly items: readonly Value[];
  constructor(items: readonly Value[]) {
    super();
    this.items = items;
  }
  override get length(): number {
    return this.items.length;
  }
  override at(index: number): Value {
    return this.items[index]!;
  }
}

export class JsonList extends ListValue {
  readonly raw: readonly unknown[];
  readonly #element: CelType | undefined;
  override readonly listType: "set" | "map" | undefined;
  override readonly mapKeys: readonly string[] | undefined;

  constructor(raw: readonly unknown[], type: ListType | undefined) {
    super();
    this.raw = raw;
    this.#element = type?.element;
    this.listType = type?.listType;
    this.mapKeys = type?.mapKeys;
  }
  override get length(): number {
    return this.raw.length;
  }
  override at(index: number): Value {
    return fromJson(this.raw[index], this.#element);
  }
}

/** Anything with named or keyed content: map literals, JSON objects, structs. */
export abstract class MapValue {
  abstract readonly size: number;
  /** Undefined when the key is absent. */
  abstract find(key: Value): Value | undefined;
  abstract keys(): readonly Value[];
  /** Structs are called by their type's name, maps are maps. */
  readonly objectName: string | undefined = undefined;
  /** Selecting by name, which structs know under escaped names. */
  field(name: string): Value | undefined {
    return this.find(name);
  }
}

/** int 1, uint 1 and double 1.0 are one key. */
export function keyOf(key: Value): unknown {
  if (key instanceof UintValue) return key.value;
  if (typeof key === "number" && Number.isInteger(key)) return BigInt(key);
  return key;
}

export class LiteralMap extends MapValue {
  readonly entries: ReadonlyMap<unknown, { key: Value; value: Value }>;
  constructor(entries: ReadonlyMap<unknown, { key: Value; value: Value }>) {
    super();
    this.entries = entries;
  }
  override get size(): number {
    return this.entries.size;
  }
  override find(key: Value): Value | undefined {
    return this.entries.get(keyOf(key))?.value;
  }
  override keys(): readonly Value[] {
    return [...this.entries.values()].map(({ key }) => key);
  }
}

/** A JSON object whose keys are data. */
export class JsonMap extends MapValue {
  readonly raw: Readonly<Record<string, unknown>>;
  readonly #value: CelType | undefined;
  constructor(raw: Readonly<Record<string, unknown>>, type: MapType | undefined) {
    super();
    this.raw = raw;
    this.#value = type?.value;
  }
  override get size(): number {
    return jsonKeys(this.raw).length;
  }
  override find(key: Value): Value | undefined {
    if (typeof key !== "string" || !Object.hasOwn(this.raw, key)) return undefined;
    const value = this.raw[key];
    return value === undefined ? undefined : fromJson(value, this.#value);
  }
  override keys(): readonly Value[] {
    return jsonKeys(this.raw);
  }
}

function jsonKeys(raw: Readonly<Record<string, unknown>>): string[] {
  const keys: string[] = [];
  for (const key in raw) if (raw[key] !== undefined) keys.push(key);
  return keys;
}

/** A JSON object that is a struct. Only declared fields can be seen. */
export class JsonStruct extends MapValue {
  readonly raw: Readonly<Record<string, unknown>>;
  readonly type: ObjectType;
  override readonly objectName: string;
  constructor(raw: Readonly<Record<string, unknown>>, type: ObjectType) {
    super();
    this.raw = raw;
    this.type = type;
    this.objectName = type.name;
  }
  override get size(): number {
    return this.keys().length;
  }
  override find(key: Value): Value | undefined {
    if (typeof key !== "string") return undefined;
    const field = this.type.fields.get(key);
    if (!field || !Object.hasOwn(this.raw, field.jsonName)) return undefined;
    const value = this.raw[field.jsonName];
    return value === undefined ? undefined : fromJson(value, field.type);
  }
  override keys(): readonly Value[] {
    const present: string[] = [];
    for (const [name, { jsonName }] of this.type.fields) if (this.raw[jsonName] !== undefined) present.push(name);
    return present;
  }
}

/** A struct whose fields are worked out when they are first asked for. */
export class LazyStruct extends MapValue {
  override readonly objectName: string;
  readonly #fields: ReadonlyMap<string, () => Value>;
  readonly #known = new Map<string, Value>();
  constructor(objectName: string, fields: ReadonlyMap<string, () => Value>) {
    super();
    this.objectName = objectName;
    this.#fields = fields;
  }
  override get size(): number {
    return this.#fields.size;
  }
  override find(key: Value): Value | undefined {
    if (typeof key !== "string") return undefined;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const value = this.#fields.get(key)?.();
    if (value !== undefined) this.#known.set(key, value);
    return value;
  }
  override keys(): readonly Value[] {
    return [...this.#fields.keys()];
  }
}

/** A struct that an expression made: `Object{spec: ...}`. */
export class LiteralStruct extends MapValue {
  override readonly objectName: string;
  readonly fields: ReadonlyMap<string, Value>;
  constructor(objectName: string, fields: ReadonlyMap<string, Value>) {
    super();
    this.objectName = objectName;
    this.fields = fields;
  }
  override get size(): number {
    return this.fields.size;
  }
  override find(key: Value): Value | undefined {
    return typeof key === "string" ? this.fields.get(key) : undefined;
  }
  override keys(): readonly Value[] {
    return [...this.fields.keys()];
  }
}

function isValue(value: object): value is Value & object {
  return (
    value instanceof MapValue ||
    value instanceof ListValue ||
    value instanceof OpaqueValue ||
    value instanceof Uint8Array ||
    value instanceof TimestampValue ||
    value instanceof DurationValue ||
    value instanceof OptionalValue ||
    value instanceof UintValue ||
    value instanceof TypeValue
  );
}

/** JSON as a value of `type`; what the type does not know is read by its own look, whole numbers as int. */
export function fromJson(value: unknown, type: CelType | undefined): Value {
  switch (typeof value) {
    case "string":
      return type ? textAs(value, type) : value;
    case "boolean":
      return value;
    case "bigint":
      return type?.kind === "double" ? Number(value) : value;
    case "number":
      if (type?.kind === "double") return value;
      return Number.isInteger(value) ? BigInt(value) : value;
    case "object": {
      if (value === null) return null;
      if (Array.isArray(value)) return new JsonList(value, type?.kind === "list" ? type : undefined);
      if (isValue(value)) return value;
      const record = value as Record<string, unknown>;
      if (type?.kind === "object") return new JsonStruct(record, type);
      return new JsonMap(record, type?.kind === "map" ? type : undefined);
    }
    default:
      return null;
  }
}

function textAs(text: string, type: CelType): Value {
  switch (type.kind) {
    case "timestamp": {
      // A plain date is midnight UTC of it.
      const nanos = parseTimestamp(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text);
      if (nanos === undefined)
        throw new CelError(`invalid data, expected date-time string, got ${JSON.stringify(text)}`);
      return new TimestampValue(nanos);
    }
    case "duration": {
      const nanos = parseDuration(text);
      if (nanos === undefined)
        throw new CelError(`invalid data, expected duration string, got ${JSON.stringify(text)}`);
      return new DurationValue(nanos);
    }
    case "bytes":
      return Uint8Array.from(Buffer.from(text, "base64"));
    default:
      return text;
  }
}

/** The value as JSON. Throws a CelError for what JSON cannot hold. */
export function toJson(value: Value): unknown {
  switch (typeof value) {
    case "bigint":
      return Number(value);
    case "object": {
      if (value === null) return null;
      if (value instanceof JsonList) return value.raw;
      if (value instanceof JsonMap || value instanceof JsonStruct) return value.raw;
      if (value instanceof ListValue) return value.toArray().map(toJson);
      if (value instanceof MapValue) {
        const result: Record<string, unknown> = {};
        for (const key of value.keys()) {
          const name = key instanceof UintValue ? String(key.value) : String(key);
          Object.defineProperty(result, name, {
            value: toJson(value.find(key)!),
            enumerable: true,
            configurable: true,
            writable: true,
          });
        }
        return result;
      }
      if (value instanceof UintValue) return Number(value.value);
      if (value instanceof TimestampValue) return formatTimestamp(value.nanos);
      if (value instanceof DurationValue) return formatDuration(value.nanos);
      if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
      if (value instanceof OptionalValue) return value.value === undefined ? null : toJson(value.value);
      throw new CelError(`unsupported conversion from '${typeNameOf(value)}' to JSON`);
    }
    default:
      return value;
  }
}

/** The runtime type's name, as `type()` and messages give it. */
export function typeNameOf(value: Value): string {
  switch (typeof value) {
    case "boolean":
      return "bool";
    case "bigint":
      return "int";
    case "number":
      return "double";
    case "string":
      return "string";
  }
  if (value === null) return "null_type";
  if (value instanceof ListValue) return "list";
  if (value instanceof MapValue) return value.objectName ?? "map";
  if (value instanceof Uint8Array) return "bytes";
  if (value instanceof UintValue) return "uint";
  if (value instanceof DurationValue) return "google.protobuf.Duration";
  if (value instanceof TimestampValue) return "google.protobuf.Timestamp";
  if (value instanceof OptionalValue) return "optional_type";
  if (value instanceof TypeValue) return "type";
  return value.typeName;
}

/** CEL's `==`: numbers of different types compare by value, values of other different types are unequal. */
export function equals(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (a === null || b === null) return false;
  if (isNumber(a)) return isNumber(b) && compareNumbers(a, b) === 0;
  if (typeof a !== "object" || typeof b !== "object") return false;
  if (a instanceof ListValue) return b instanceof ListValue && listsEqual(a, b);
  if (a instanceof MapValue) return b instanceof MapValue && mapsEqual(a, b);
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (a instanceof TimestampValue) return b instanceof TimestampValue && a.nanos === b.nanos;
  if (a instanceof DurationValue) return b instanceof DurationValue && a.nanos === b.nanos;
  if (a instanceof TypeValue) return b instanceof TypeValue && a.typeName === b.typeName;
  if (a instanceof OptionalValue) {
    if (!(b instanceof OptionalValue)) return false;
    if (a.value === undefined || b.value === undefined) return a.value === b.value;
    return equals(a.value, b.value);
  }
  return a instanceof OpaqueValue && b instanceof OpaqueValue && a.typeName === b.typeName && a.equals(b);
}

function listsEqual(a: ListValue, b: ListValue): boolean {
  if (a.length !== b.length) return false;
  const listType = a.listType ?? b.listType;
  if (listType === "set") {
    const others = b.toArray();
    return a.toArray().every((item) => others.some((other) => equals(item, other)));
  }
  if (listType === "map") {
    const keys = a.mapKeys ?? b.mapKeys ?? [];
    const others = b.toArray();
    return a.toArray().every((item) => others.some((other) => sameKeys(item, other, keys) && equals(item, other)));
  }
  for (let i = 0; i < a.length; i++) if (!equals(a.at(i), b.at(i))) return false;
  return true;
}

/** Whether two items of a list of type `map` are the same item. */
export function sameKeys(a: Value, b: Value, keys: readonly string[]): boolean {
  if (!(a instanceof MapValue) || !(b instanceof MapValue)) return false;
  return keys.every((key) => {
    const left = a.field(key);
    const right = b.field(key);
    return left === undefined || right === undefined ? left === right : equals(left, right);
  });
}

function mapsEqual(a: MapValue, b: MapValue): boolean {
  if (a.size !== b.size) return false;
  for (const key of a.keys()) {
    const other = b.find(key);
    if (other === undefined || !equals(a.find(key)!, other)) return false;
  }
  return true;
}

export function isNumber(value: Value): value is bigint | number | UintValue {
  return typeof value === "bigint" || typeof value === "number" || value instanceof UintValue;
}

/** Negative, zero, positive; NaN when one of them is not a number. A double is compared as such: with it even large integers are rounded. */
export function compareNumbers(a: bigint | number | UintValue, b: bigint | number | UintValue): number {
  let left = a instanceof UintValue ? a.value : a;
  let right = b instanceof UintValue ? b.value : b;
  if (typeof left !== typeof right) {
    left = Number(left);
    right = Number(right);
  }
  return left < right ? -1 : left > right ? 1 : left === right ? 0 : Number.NaN;
}

/** Code points. */
export function textLength(text: string): number {
  const units = text.length;
  for (let i = 0; i < units; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit <= 0xdfff) return [...text].length;
  }
  return units;
}
