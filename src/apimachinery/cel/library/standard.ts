/** CEL's standard functions: arithmetic, conversions, strings, times. Operators with rules of their own stand in ../operators.ts. */
import { type FunctionTable, globalFunction, memberFunction, type Overload, type Sizes } from "../environment.ts";
import { compileRegex } from "../regex.ts";
import {
  formatDuration,
  formatTimestamp,
  isDurationInRange,
  isTimestampInRange,
  parseDuration,
  parseTimestamp,
  wallClock,
} from "../time.ts";
import {
  Bool,
  Bytes,
  type CelType,
  Double,
  Duration,
  Dyn,
  Int,
  listOf,
  mapOf,
  parameter,
  Text,
  Timestamp,
  typeOf,
  Uint,
} from "../types.ts";
import {
  ArrayList,
  CelError,
  DurationValue,
  equals,
  type ListValue,
  type MapValue,
  sameKeys,
  TimestampValue,
  TypeValue,
  textLength,
  typeNameOf,
  UintValue,
  type Value,
} from "../values.ts";

const A = parameter("A");
const B = parameter("B");

export const traversal = (size: number) => Math.max(1, Math.ceil(size * 0.1));

function int(value: bigint): bigint {
  if (BigInt.asIntN(64, value) !== value) throw new CelError("integer overflow");
  return value;
}

function uint(value: bigint): UintValue {
  if (BigInt.asUintN(64, value) !== value) throw new CelError("unsigned integer overflow");
  return new UintValue(value);
}

function duration(nanos: bigint): DurationValue {
  if (!isDurationInRange(nanos)) throw new CelError("duration overflow");
  return new DurationValue(nanos);
}

function timestamp(nanos: bigint): TimestampValue {
  if (!isTimestampInRange(nanos)) throw new CelError("timestamp overflow");
  return new TimestampValue(nanos);
}

function divisor(value: bigint, word: string): bigint {
  if (value === 0n) throw new CelError(word);
  return value;
}

const joined = {
  cost: ([a = 0, b = 0]: Sizes) => traversal(a + b),
  resultSize: ([a = 0, b = 0]: Sizes) => a + b,
};

type Op = (a: bigint, b: bigint) => bigint;

function whole(apply: Op): Overload[] {
  return [
    globalFunction([Int, Int], Int, (a: bigint, b: bigint) => int(apply(a, b))),
    globalFunction([Uint, Uint], Uint, (a: UintValue, b: UintValue) => uint(apply(a.value, b.value))),
  ];
}

function double(apply: (a: number, b: number) => number): Overload {
  return globalFunction([Double, Double], Double, apply);
}

const divisionByZero = "division by zero";
const modulusByZero = "modulus by zero";

const arithmetic: FunctionTable = {
  "_+_": [
    ...whole((a, b) => a + b),
    double((a, b) => a + b),
    globalFunction([Text, Text], Text, (a: string, b: string) => a + b, joined),
    globalFunction([Bytes, Bytes], Bytes, (a: Uint8Array, b: Uint8Array) => Buffer.concat([a, b]), joined),
    globalFunction([listOf(A), listOf(A)], listOf(A), concatenate, { resultSize: joined.resultSize }),
    globalFunction([Duration, Duration], Duration, (a: DurationValue, b: DurationValue) => duration(a.nanos + b.nanos)),
    globalFunction([Timestamp, Duration], Timestamp, (a: TimestampValue, b: DurationValue) =>
      timestamp(a.nanos + b.nanos),
    ),
    globalFunction([Duration, Timestamp], Timestamp, (a: DurationValue, b: TimestampValue) =>
      timestamp(a.nanos + b.nanos),
    ),
  ],
  "_-_": [
    ...whole((a, b) => a - b),
    double((a, b) => a - b),
    globalFunction([Duration, Duration], Duration, (a: DurationValue, b: DurationValue) => duration(a.nanos - b.nanos)),
    globalFunction([Timestamp, Duration], Timestamp, (a: TimestampValue, b: DurationValue) =>
      timestamp(a.nanos - b.nanos),
    ),
    globalFunction([Timestamp, Timestamp], Duration, (a: TimestampValue, b: TimestampValue) =>
      duration(a.nanos - b.nanos),
    ),
  ],
  "_*_": [...whole((a, b) => a * b), double((a, b) => a * b)],
  "_/_": [...whole((a, b) => a / divisor(b, divisionByZero)), double((a, b) => a / b)],
  "_%_": whole((a, b) => a % divisor(b, modulusByZero)),
  "-_": [
    globalFunction([Int], Int, (a: bigint) => int(-a)),
    globalFunction([Double], Double, (a: number) => -a),
    globalFunction([Duration], Duration, (a: DurationValue) => duration(-a.nanos)),
  ],
  "!_": [globalFunction([Bool], Bool, (a: boolean) => !a)],
};

/** Lists of a schema's type `set` and `map` are united, others appended to each other. */
function concatenate(a: ListValue, b: ListValue): Value {
  const items = a.toArray();
  const { listType, mapKeys = [] } = a;
  for (const item of b.toArray()) {
    if (listType === "set" && items.some((one) => equals(one, item))) continue;
    const place = listType === "map" ? items.findIndex((one) => sameKeys(one, item, mapKeys)) : -1;
    if (place >= 0) items[place] = item;
    else items.push(item);
  }
  return new ArrayList(items);
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOfBytes(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new CelError("invalid UTF-8 in bytes, cannot convert to string");
  }
}

function intOfText(text: string): bigint {
  if (!/^[+-]?\d+$/.test(text)) throw new CelError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  const value = BigInt(text.replace(/^\+/, ""));
  if (BigInt.asIntN(64, value) !== value) {
    throw new CelError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  }
  return value;
}

function uintOfText(text: string): UintValue {
  if (!/^\d+$/.test(text)) throw new CelError(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  const value = BigInt(text);
  if (value > 0xffffffffffffffffn) {
    throw new CelError(`strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`);
  }
  return new UintValue(value);
}

function doubleOfText(text: string): number {
  if (/^[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)$/.test(text)) return Number(text);
  const special = /^([+-]?)(inf|infinity|nan)$/i.exec(text);
  if (!special) throw new CelError(`strconv.ParseFloat: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (special[2]!.toLowerCase() === "nan") return Number.NaN;
  return special[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

const booleans: Readonly<Record<string, boolean>> = {
  "1": true,
  t: true,
  T: true,
  true: true,
  TRUE: true,
  True: true,
  "0": false,
  f: false,
  F: false,
  false: false,
  FALSE: false,
  False: false,
};

function wholeOfDouble(value: number): bigint {
  if (!Number.isFinite(value)) throw new CelError("integer overflow");
  return BigInt(Math.trunc(value));
}

/** As Go prints a float with the shortest form. */
export function doubleText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e21)) {
    return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  }
  return String(value);
}

const conversions: FunctionTable = {
  int: [
    globalFunction([Int], Int, (a: bigint) => a),
    globalFunction([Uint], Int, (a: UintValue) => int(a.value)),
    globalFunction([Double], Int, (a: number) => {
      const value = wholeOfDouble(a);
      // Doubles at the edge are not exact, and so refused.
      if (a >= 2 ** 63 || a <= -(2 ** 63)) throw new CelError("integer overflow");
      return value;
    }),
    globalFunction([Text], Int, intOfText),
    globalFunction([Timestamp], Int, (a: TimestampValue) => floorDivide(a.nanos, 1_000_000_000n)),
    globalFunction([Duration], Int, (a: DurationValue) => a.nanos / 1_000_000_000n),
  ],
  uint: [
    globalFunction([Uint], Uint, (a: UintValue) => a),
    globalFunction([Int], Uint, (a: bigint) => uint(a)),
    globalFunction([Double], Uint, (a: number) => {
      if (a < 0 || a >= 2 ** 64) throw new CelError("unsigned integer overflow");
      return uint(wholeOfDouble(a));
    }),
    globalFunction([Text], Uint, uintOfText),
  ],
  double: [
    globalFunction([Double], Double, (a: number) => a),
    globalFunction([Int], Double, (a: bigint) => Number(a)),
    globalFunction([Uint], Double, (a: UintValue) => Number(a.value)),
    globalFunction([Text], Double, doubleOfText),
  ],
  bool: [
    globalFunction([Bool], Bool, (a: boolean) => a),
    globalFunction([Text], Bool, (text: string) => {
      const value = Object.hasOwn(booleans, text) ? booleans[text] : undefined;
      if (value === undefined) throw new CelError(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
      return value;
    }),
  ],
  string: [
    globalFunction([Text], Text, (a: string) => a, { resultSize: ([a = 0]) => a }),
    globalFunction([Bool], Text, (a: boolean) => String(a)),
    globalFunction([Int], Text, (a: bigint) => String(a)),
    globalFunction([Uint], Text, (a: UintValue) => String(a.value)),
    globalFunction([Double], Text, doubleText),
    globalFunction([Bytes], Text, textOfBytes, { cost: ([a = 0]) => traversal(a), resultSize: ([a = 0]) => a }),
    globalFunction([Timestamp], Text, (a: TimestampValue) => formatTimestamp(a.nanos)),
    globalFunction([Duration], Text, (a: DurationValue) => formatDuration(a.nanos)),
  ],
  bytes: [
    globalFunction([Bytes], Bytes, (a: Uint8Array) => a),
    globalFunction([Text], Bytes, (a: string) => new TextEncoder().encode(a), {
      cost: ([a = 0]) => traversal(a),
      resultSize: ([a = 0]) => a * 4,
    }),
  ],
  duration: [
    globalFunction([Duration], Duration, (a: DurationValue) => a),
    globalFunction([Text], Duration, (text: string) => {
      const nanos = parseDuration(text);
      if (nanos === undefined) throw new CelError(`time: invalid duration ${JSON.stringify(text)}`);
      return new DurationValue(nanos);
    }),
    globalFunction([Int], Duration, (a: bigint) => duration(a * 1_000_000_000n)),
  ],
  timestamp: [
    globalFunction([Timestamp], Timestamp, (a: TimestampValue) => a),
    globalFunction([Text], Timestamp, (text: string) => {
      const nanos = parseTimestamp(text);
      if (nanos === undefined) {
        throw new CelError(
          `parsing time ${JSON.stringify(text)} as "2006-01-02T15:04:05Z07:00": cannot parse ${JSON.stringify(text)} as "2006"`,
        );
      }
      return new TimestampValue(nanos);
    }),
    globalFunction([Int], Timestamp, (a: bigint) => timestamp(a * 1_000_000_000n)),
  ],
  dyn: [globalFunction([A], Dyn, (a: Value) => a)],
  type: [globalFunction([A], typeOf(A), (a: Value) => new TypeValue(typeNameOf(a)))],
};

function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b !== 0n && a < 0n ? quotient - 1n : quotient;
}

function sizes(
  make: (parameters: readonly CelType[], result: CelType, call: (...args: never[]) => Value) => Overload,
): Overload[] {
  return [
    make([Text], Int, (a: string) => BigInt(textLength(a))),
    make([Bytes], Int, (a: Uint8Array) => BigInt(a.length)),
    make([listOf(A)], Int, (a: ListValue) => BigInt(a.length)),
    make([mapOf(A, B)], Int, (a: MapValue) => BigInt(a.size)),
  ];
}

/** A pattern costs a quarter of its length for each tenth of the text's. */
export const regexCost = ([text = 0, pattern = 0]: Sizes) =>
  Math.max(1, Math.ceil((text + 1) * 0.1)) * Math.max(1, Math.ceil(pattern * 0.25));

/** Looks at a pattern that stands in the expression, which is the second argument. */
export function preparePattern(literals: readonly (Value | undefined)[]): void {
  const [, pattern] = literals;
  if (typeof pattern === "string") compileRegex(pattern);
}

const matches = (text: string, pattern: string) => compileRegex(pattern).test(text);
const matching = { cost: regexCost, prepare: preparePattern };
const prefixCost = ([, part = 0]: Sizes) => traversal(part);

const strings: FunctionTable = {
  size: [...sizes(globalFunction), ...sizes(memberFunction)],
  contains: [
    memberFunction([Text, Text], Bool, (a: string, b: string) => a.includes(b), {
      cost: ([a = 0, b = 0]) => traversal(a) * traversal(b),
    }),
  ],
  startsWith: [memberFunction([Text, Text], Bool, (a: string, b: string) => a.startsWith(b), { cost: prefixCost })],
  endsWith: [memberFunction([Text, Text], Bool, (a: string, b: string) => a.endsWith(b), { cost: prefixCost })],
  matches: [
    memberFunction([Text, Text], Bool, matches, matching),
    globalFunction([Text, Text], Bool, matches, matching),
  ],
};

type DateField = (date: Date, nanos: bigint) => number;

function dateField(field: DateField, ofDuration?: (nanos: bigint) => bigint): Overload[] {
  const read = (time: TimestampValue, zone?: string): bigint => {
    const date = wallClock(time.nanos, zone);
    if (!date) throw new CelError(`unknown time zone ${zone}`);
    return BigInt(field(date, time.nanos));
  };
  return [
    memberFunction([Timestamp], Int, read),
    memberFunction([Timestamp, Text], Int, read),
    ...(ofDuration ? [memberFunction([Duration], Int, (a: DurationValue) => ofDuration(a.nanos))] : []),
  ];
}

const dayMs = 86_400_000;
const second = 1_000_000_000n;

const times: FunctionTable = {
  getFullYear: dateField((date) => date.getUTCFullYear()),
  getMonth: dateField((date) => date.getUTCMonth()),
  getDayOfYear: dateField((date) => {
    const start = new Date(date);
    start.setUTCMonth(0, 1);
    return Math.round((date.getTime() - start.getTime()) / dayMs);
  }),
  getDayOfMonth: dateField((date) => date.getUTCDate() - 1),
  getDate: dateField((date) => date.getUTCDate()),
  getDayOfWeek: dateField((date) => date.getUTCDay()),
  getHours: dateField(
    (date) => date.getUTCHours(),
    (nanos) => nanos / (3600n * second),
  ),
  getMinutes: dateField(
    (date) => date.getUTCMinutes(),
    (nanos) => nanos / (60n * second),
  ),
  getSeconds: dateField(
    (date) => date.getUTCSeconds(),
    (nanos) => nanos / second,
  ),
  getMilliseconds: dateField(
    (_, nanos) => Number((((nanos % second) + second) % second) / 1_000_000n),
    (nanos) => (nanos / 1_000_000n) % 1000n,
  ),
};

export const standardLibrary: readonly FunctionTable[] = [arithmetic, conversions, strings, times];
