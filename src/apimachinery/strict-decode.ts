/**
 * Turns parsed JSON into an object of its type as a round trip through upstream's Go types would: wrong types refused, unknown fields
 * dropped, nulls and empty optional fields left out, fields that are always written filled in, quantities and times in canonical form.
 * The result is a private copy with its fields in upstream's order; only free-form parts (RawExtension, FieldsV1) are shared.
 */
import type { FieldSchema, Scalar, TypeSchema, ValueSchema } from "../api/schema.ts";
import { rememberEmpties } from "./given-empties.ts";
import { canonicalQuantity } from "./quantity.ts";
import { normalizeBase64 } from "./serializer/base64.ts";
import { DecodeError, MismatchError } from "./serializer/decode-error.ts";
import { countKeys, maximumDepth } from "./serializer/json-scan.ts";
import { NumberLiteral } from "./serializer/number-literals.ts";
import { normalizeMicroTime, normalizeTime } from "./serializer/time.ts";

export interface Conformed<T> {
  object: T;
  /** A field was dropped because the type does not have it. */
  hasUnknown: boolean;
  /** How many keys all objects of the input held together: fewer than the text has means that some were given twice. */
  keys: number;
  /** There may be whole numbers that no double holds: text must be read again with care for them (see big-integers.ts). */
  mayBeWide: boolean;
}

export interface ConformOptions {
  /**
   * The value with its numbers as they are spelled (see number-literals.ts), or undefined when that tells nothing new: then integers must
   * be spelled as such, and errors quote numbers so.
   */
  asWritten?: (() => unknown) | undefined;
  /** The value never was text of this type: numbers are converted, not read, so that what an int32 cannot hold loses its upper bits. */
  isConverted?: boolean;
}

/** Throws DecodeError for what stands first in the document. */
export function conform<T>(
  value: unknown,
  type: TypeSchema,
  { asWritten, isConverted = false }: ConformOptions = {},
): Conformed<T> {
  const context = new Context(false, isConverted);
  let object: T | undefined;
  let error: unknown;
  try {
    object = structWalk(type)(value ?? {}, context) as T;
    error = context.error;
  } catch (thrown) {
    error = thrown;
  }
  const written = error || context.hasIntegers ? asWritten?.() : undefined;
  if (error || written !== undefined) {
    const again = new Context(true, isConverted);
    structWalk(type)(written ?? value ?? {}, again);
    error = again.error ?? error;
  }
  if (error) throw error;
  return { object: object as T, hasUnknown: context.hasUnknown, keys: context.keys, mayBeWide: context.mayBeWide };
}

class Context {
  /** Structs are read in the order of the document, and only for what is wrong with them. */
  readonly inDocumentOrder: boolean;
  readonly isConverted: boolean;
  mayBeWide = false;
  hasIntegers = false;
  hasUnknown = false;
  keys = 0;
  depth = 0;
  /** The first wrong type; decoding goes on after it, since a malformed quantity or time further on is reported in its stead. */
  error: DecodeError | undefined;
  /** JSON names from the root to the struct being read, without indices, as Go's errors have it. */
  readonly path: string[] = [];

  constructor(inDocumentOrder: boolean, isConverted = false) {
    this.inDocumentOrder = inDocumentOrder;
    this.isConverted = isConverted;
  }

  enter(): void {
    if (++this.depth > maximumDepth) throw new DecodeError("exceeded max depth");
  }

  mismatch(value: unknown, place: Place, goType: string, isText = false): undefined {
    if (this.error) return;
    const where = place.field ? `Go struct field ${place.struct}.${[...this.path, place.field].join(".")}` : "Go value";
    const message = `json: cannot unmarshal ${this.#describe(value, goType)} into ${where} of type ${goType}`;
    // Types that read themselves say so in their own words, wherever they stand.
    this.error = place.field ? new MismatchError(message, value, goType, isText) : new DecodeError(message);
  }

  #describe(value: unknown, goType: string): string {
    if (Array.isArray(value)) return "array";
    const isNumber = typeof value === "number" || typeof value === "bigint";
    const literal = value instanceof NumberLiteral ? value.text : isNumber ? String(value) : undefined;
    if (literal === undefined) return typeof value === "boolean" ? "bool" : typeof value;
    return goType.startsWith("int") || goType.startsWith("float") ? `number ${literal}` : "number";
  }
}

/** Where a value stands, for error messages. */
interface Place {
  struct: string;
  field: string;
}

/** Reads a value that is neither null nor undefined. Undefined means that it was refused. */
type Walk = (value: unknown, context: Context) => unknown;

const structWalks = new WeakMap<TypeSchema, Walk>();

function structWalk(type: TypeSchema): Walk {
  let walk = structWalks.get(type);
  if (!walk) {
    walk = type.custom ? compileCustomStruct(type) : compileStruct(type);
    structWalks.set(type, walk);
  }
  return walk;
}

function compileStruct(type: TypeSchema): Walk {
  const fields = type.fields;
  const count = fields.length;
  const names = fields.map((field) => field.name);
  const walks = fields.map((field) => compileField(type, field));
  const positions = new Map(names.map((name, i) => [name, walks[i]!]));
  const emits = fields.map((field) =>
    field.whenEmpty === "emit" || field.whenEmpty === "null" ? zeroOf(field) : undefined,
  );
  const omits = fields.map((field) => field.whenEmpty === "omit");
  const isEmpty = fields.map((field) => emptiness(field.value));
  // At an object's root an empty list is kept as it was given, for its manager is booked; what stores the object makes it null.
  const lost = type.byName.has("metadata") ? [] : unstoredLists(type);
  const emptyBecomesNull = names.map((name) => lost.includes(name));
  return (input, context) => {
    if (!isObject(input)) return context.mismatch(input, { struct: "", field: "" }, goTypeOfStruct(type));
    context.enter();
    const source = input as Record<string, unknown>;
    const object: Record<string, unknown> = {};
    if (context.inDocumentOrder) {
      for (const name of Object.keys(source)) {
        const value = source[name];
        if (value !== null && value !== undefined) positions.get(name)?.(value, context);
      }
      context.depth--;
      return object;
    }
    let known = 0;
    let empties: Record<string, [] | Record<string, never>> | undefined;
    for (let i = 0; i < count; i++) {
      const name = names[i]!;
      let value = source[name];
      if (value !== undefined) {
        known++;
        if (value !== null) value = walks[i]!(value, context);
      }
      if (value === undefined || value === null) {
        const emit = emits[i];
        if (emit) object[name] = emit();
      } else if (omits[i] && isEmpty[i]!(value)) {
        // Left out, as omitempty does.
        if (typeof value === "object") (empties ??= {})[name] = value as [];
      } else if (emptyBecomesNull[i] && (value as unknown[]).length === 0) object[name] = null;
      else object[name] = value;
    }
    let total = 0;
    for (const _ in source) total++;
    context.keys += known;
    if (empties) rememberEmpties(object, empties);
    if (total !== known && Object.keys(source).some((name) => source[name] !== undefined && !type.byName.has(name)))
      context.hasUnknown = true;
    context.depth--;
    return object;
  };
}

/** Fields whose empty lists upstream's storage does not tell from null. */
export function unstoredLists({ fields }: TypeSchema): string[] {
  return fields
    .filter((field) => field.whenEmpty === "emit" && field.value.kind === "list" && !field.required)
    .map(({ name }) => name);
}

function compileField(type: TypeSchema, field: FieldSchema): Walk {
  const place: Place = { struct: type.name, field: field.name };
  return compileValue(field.value, place, field.goType ?? goTypeOf(field.value));
}

function compileValue(value: ValueSchema, place: Place, goType: string): Walk {
  switch (value.kind) {
    case "scalar":
      return compileScalar(value.scalar, place, goType);
    case "struct": {
      let walk: Walk | undefined;
      return (input, context) => {
        if (!isObject(input)) return context.mismatch(input, place, goType);
        context.path.push(place.field);
        const object = (walk ??= structWalk(value.type))(input, context);
        context.path.pop();
        return object;
      };
    }
    case "list": {
      const walk = compileValue(value.items, place, elementType(goType, "[]") ?? goTypeOf(value.items));
      const zero = () => zeroOfValue(value.items);
      return (input, context) => {
        if (!Array.isArray(input)) return context.mismatch(input, place, goType);
        context.enter();
        const list: unknown[] = [];
        for (const item of input) list.push(item === null || item === undefined ? zero() : walk(item, context));
        context.depth--;
        return list;
      };
    }
    case "map": {
      const walk = compileValue(value.values, place, elementType(goType, "map[string]") ?? goTypeOf(value.values));
      const zero = () => zeroOfValue(value.values);
      return (input, context) => {
        if (!isObject(input)) return context.mismatch(input, place, goType);
        context.enter();
        const map: Record<string, unknown> = {};
        for (const key in input) {
          const item = (input as Record<string, unknown>)[key];
          if (item === undefined) continue;
          context.keys++;
          setOwn(map, key, item === null ? zero() : walk(item, context));
        }
        context.depth--;
        return map;
      };
    }
    case "any": {
      const hasNumbers = !value.fullName.endsWith(".FieldsV1");
      return (input, context) => {
        if (hasNumbers) context.mayBeWide = true;
        context.keys += countKeys(input, context.depth);
        return input;
      };
    }
    case "either": {
      const struct = compileValue(value.struct, place, goType);
      const or = compileValue(value.or, place, goTypeOf(value.or));
      return (input, context) => (isObject(input) ? struct(input, context) : or(input, context));
    }
  }
}

/** `__proto__` is a key like any other. */
function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__")
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}

function compileScalar(scalar: Scalar, place: Place, goType: string): Walk {
  switch (scalar) {
    case "string":
      return (input, context) => (typeof input === "string" ? input : context.mismatch(input, place, goType, true));
    case "boolean":
      return (input, context) => (typeof input === "boolean" ? input : context.mismatch(input, place, goType));
    case "duration":
      return (input, context) => (typeof input === "string" ? input : context.mismatch(input, place, goType));
    case "double":
      return (input, context) => (Number.isFinite(numberOf(input)) ? input : context.mismatch(input, place, goType));
    case "int32":
      return (input, context) => {
        context.hasIntegers = true;
        if (isInt32(input)) return input;
        if (context.isConverted && isInt64(input)) return Number(BigInt.asIntN(32, BigInt(input as number | bigint)));
        return context.mismatch(input, place, goType);
      };
    case "int64":
      return (input, context) => {
        context.hasIntegers = true;
        if (Number.isSafeInteger(input)) return input;
        context.mayBeWide = true;
        if (!isInt64(input)) return context.mismatch(input, place, goType);
        return typeof input === "number" ? BigInt.asIntN(64, BigInt(input)) : input;
      };
    case "bytes":
      return (input, context) =>
        typeof input === "string" ? normalizeBase64(input) : context.mismatch(input, place, goType);
    case "quantity":
      return (input) => normalizeQuantity(input);
    case "int-or-string":
      return (input, context) => {
        if (typeof input === "string") return input;
        context.hasIntegers = true;
        return isInt32(input) ? input : context.mismatch(input, { struct: "", field: "" }, "int32");
      };
    case "time":
      return (input, context) =>
        typeof input === "string" ? normalizeTime(input) : context.mismatch(input, { struct: "", field: "" }, "string");
    case "microtime":
      return (input, context) =>
        typeof input === "string"
          ? normalizeMicroTime(input)
          : context.mismatch(input, { struct: "", field: "" }, "string");
  }
}

function isObject(input: unknown): input is object {
  return typeof input === "object" && !Array.isArray(input) && !(input instanceof NumberLiteral);
}

function isInt32(input: unknown): boolean {
  return typeof input === "number" && (input | 0) === input;
}

function isInt64(input: unknown): boolean {
  if (typeof input === "bigint") return BigInt.asIntN(64, input) === input;
  if (!(input instanceof NumberLiteral)) return isWhole(input) && Math.abs(input) <= 2 ** 63;
  return /^-?\d+$/.test(input.text) && BigInt.asIntN(64, BigInt(input.text)) === BigInt(input.text);
}

function isWhole(input: unknown): input is number {
  return Number.isInteger(input);
}

function numberOf(input: unknown): unknown {
  return input instanceof NumberLiteral || typeof input === "bigint" ? Number(String(input)) : input;
}

/** The few amounts that every manifest repeats, and what they become. */
const canonicalQuantities = new Map<string, string>();

function normalizeQuantity(given: unknown): string {
  const input = numberOf(given);
  const text = typeof input === "string" ? input : typeof input === "number" ? String(input) : JSON.stringify(input);
  const known = canonicalQuantities.get(text);
  if (known !== undefined) return known;
  let canonical: string;
  try {
    canonical = canonicalQuantity(text.trim());
  } catch (cause) {
    throw new DecodeError((cause as Error).message, { cause });
  }
  if (canonicalQuantities.size > 1000) canonicalQuantities.clear();
  canonicalQuantities.set(text, canonical);
  return canonical;
}

/** Says whether omitempty would drop a value of this kind. */
function emptiness(value: ValueSchema): (value: unknown) => boolean {
  switch (value.kind) {
    case "scalar":
      return (v) => v === "" || v === 0 || v === false;
    case "list":
      return (v) => (v as unknown[]).length === 0;
    case "map":
      return (v) => {
        for (const _ in v as object) return false;
        return true;
      };
    default:
      return () => false;
  }
}

/** Makes the value that is written when nothing was given. */
function zeroOf(field: FieldSchema): () => unknown {
  if (field.whenEmpty === "null") return () => null;
  if (field.value.kind === "list") return field.required ? () => [] : () => null;
  if (field.value.kind === "map") return () => ({});
  return () => zeroOfValue(field.value);
}

function zeroOfValue(value: ValueSchema): unknown {
  switch (value.kind) {
    case "scalar":
      return zeroScalars[value.scalar];
    case "struct":
      return structWalk(value.type)({}, new Context(false));
    default:
      return null;
  }
}

const zeroScalars = {
  string: "",
  boolean: false,
  int32: 0,
  int64: 0,
  double: 0,
  bytes: null,
  time: null,
  microtime: null,
  duration: "0s",
  quantity: "0",
  "int-or-string": 0,
} satisfies Record<Scalar, unknown>;

function goTypeOf(value: ValueSchema): string {
  switch (value.kind) {
    case "scalar":
      return goScalars[value.scalar];
    case "struct":
      return goTypeOfStruct(value.type);
    case "list":
      return `[]${goTypeOf(value.items)}`;
    case "map":
      return `map[string]${goTypeOf(value.values)}`;
    default:
      return value.fullName.split(".").slice(-2).join(".");
  }
}

/** `v1.Capability` of `[]v1.Capability`; undefined of a list or map that has a name of its own. */
function elementType(goType: string, prefix: string): string | undefined {
  return goType.startsWith(prefix) ? goType.slice(prefix.length) : undefined;
}

const goScalars = {
  string: "string",
  boolean: "bool",
  int32: "int32",
  int64: "int64",
  double: "float64",
  bytes: "[]uint8",
  time: "v1.Time",
  microtime: "v1.MicroTime",
  duration: "v1.Duration",
  quantity: "resource.Quantity",
  "int-or-string": "intstr.IntOrString",
} satisfies Record<Scalar, string>;

/** `v1.PodSpec`: the last two labels of the full name. */
function goTypeOfStruct(type: TypeSchema): string {
  return type.fullName.split(".").slice(-2).join(".");
}

/** Custom resources are pruned, and otherwise left as they are: their definition's validation judges the rest. */
function compileCustomStruct(type: TypeSchema): Walk {
  const walks = new Map<string, Walk>();
  for (const field of type.fields)
    walks.set(field.name, compileCustomValue(field.value, { struct: type.name, field: field.name }));
  return (input, context) => {
    if (!isObject(input)) return input;
    context.enter();
    const object: Record<string, unknown> = {};
    for (const key in input) {
      const value = (input as Record<string, unknown>)[key];
      if (value === undefined) continue;
      context.keys++;
      const walk = walks.get(key);
      if (walk) object[key] = value === null ? null : walk(value, context);
      else {
        context.keys += countKeys(value, context.depth);
        if (type.preserveUnknown) setOwn(object, key, value);
        else context.hasUnknown = true;
      }
    }
    context.depth--;
    return object;
  };
}

function compileCustomValue(value: ValueSchema, place: Place): Walk {
  switch (value.kind) {
    case "scalar":
      return (input, context) => {
        context.keys += countKeys(input, context.depth);
        return input;
      };
    case "struct": {
      if (!isCustom(value)) {
        // Upstream reads metadata on its own, so errors name places within it.
        return (input, context) =>
          !isObject(input)
            ? context.mismatch(input, { struct: "", field: "" }, goTypeOf(value))
            : structWalk(value.type)(input, context);
      }
      let walk: Walk | undefined;
      return (input, context) => (walk ??= structWalk(value.type))(input, context);
    }
    case "list": {
      const walk = compileCustomValue(value.items, place);
      return (input, context) => {
        if (!Array.isArray(input)) return input;
        context.enter();
        const list = input.map((item) => (item === null || item === undefined ? null : walk(item, context)));
        context.depth--;
        return list;
      };
    }
    case "map": {
      const walk = compileCustomValue(value.values, place);
      return (input, context) => {
        if (!isObject(input)) return input;
        context.enter();
        const map: Record<string, unknown> = {};
        for (const key in input) {
          const item = (input as Record<string, unknown>)[key];
          if (item === undefined) continue;
          context.keys++;
          setOwn(map, key, item === null ? null : walk(item, context));
        }
        context.depth--;
        return map;
      };
    }
    default:
      return compileValue(value, place, "");
  }
}

/** Only ObjectMeta is a built-in type inside a custom resource. */
function isCustom(value: ValueSchema & { kind: "struct" }): boolean {
  return value.type.custom;
}
