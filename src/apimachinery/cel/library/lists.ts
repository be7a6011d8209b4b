/** Kubernetes' functions of lists, and sets of them. */
import { exactly, scaled, sizeOfType, sizeRange, sum, times } from "../code.ts";
import { type FunctionTable, globalFunction, memberFunction, type Overload } from "../environment.ts";
import { compare } from "../operators.ts";
import {
  Bool,
  Bytes,
  type CelType,
  Double,
  Duration,
  Int,
  listOf,
  parameter,
  Text,
  Timestamp,
  Uint,
} from "../types.ts";
import { CelError, DurationValue, equals, ListValue, MapValue, UintValue, type Value } from "../values.ts";

const T = parameter("T");
const ordered: readonly CelType[] = [Int, Uint, Double, Bool, Duration, Timestamp, Text, Bytes];

/** Each item is looked at; of texts and bytes all of it may be. */
const once: Pick<Overload, "estimate" | "actual"> = {
  estimate([list]) {
    const { type } = list!;
    const item = type.kind === "list" ? type.element : undefined;
    const isLong = item?.kind === "string" || item?.kind === "bytes";
    const each = isLong ? sum(exactly(1), scaled(sizeOfType(item), 0.1)) : exactly(1);
    return { cost: times(sizeRange(list!), each) };
  },
  actual: ([list]) => traversalOf(list!),
};

/** What walking through a value costs, down to its leaves. */
export function traversalOf(value: Value): number {
  if (typeof value === "string" || value instanceof Uint8Array) return Math.floor(value.length * 0.1);
  if (value instanceof ListValue) {
    let total = 0;
    for (let i = 0; i < value.length; i++) total += traversalOf(value.at(i));
    return total;
  }
  if (value instanceof MapValue) {
    let total = 0;
    for (const key of value.keys()) total += traversalOf(key) + traversalOf(value.find(key)!);
    return total;
  }
  return 1;
}

function isSorted(list: ListValue): boolean {
  for (let i = 1; i < list.length; i++) if (compare(list.at(i - 1), list.at(i)) > 0) return false;
  return true;
}

function extreme(name: "min" | "max"): Overload["call"] {
  const wanted = name === "min" ? -1 : 1;
  return (value) => {
    const list = value as ListValue;
    if (list.length === 0) throw new CelError(`${name} called on empty list`);
    let best = list.at(0);
    for (let i = 1; i < list.length; i++) if (Math.sign(compare(list.at(i), best)) === wanted) best = list.at(i);
    return best;
  };
}

function sumOf<V>(type: CelType, zero: V, add: (sum: V, item: never) => V, wrap: (sum: V) => Value): Overload {
  const total = (list: ListValue) => wrap(list.toArray().reduce((sum, item) => add(sum, item as never), zero));
  return memberFunction([listOf(type)], type, total, once);
}

function checkedInt(value: bigint): bigint {
  if (BigInt.asIntN(64, value) !== value) throw new CelError("integer overflow");
  return value;
}

function contains(list: ListValue, item: Value): boolean {
  for (let i = 0; i < list.length; i++) if (equals(list.at(i), item)) return true;
  return false;
}

const containsAll = (list: ListValue, others: ListValue) => others.toArray().every((item) => contains(list, item));

function sets(call: (a: ListValue, b: ListValue) => boolean, ways = 1): Overload[] {
  return [globalFunction([listOf(T), listOf(T)], Bool, call, { cost: ([a = 0, b = 0]) => 1 + ways * a * b })];
}

export const listsLibrary: FunctionTable = {
  isSorted: ordered.map((type) => memberFunction([listOf(type)], Bool, isSorted, once)),
  min: ordered.map((type) => memberFunction([listOf(type)], type, extreme("min"), once)),
  max: ordered.map((type) => memberFunction([listOf(type)], type, extreme("max"), once)),
  sum: [
    sumOf(
      Int,
      0n,
      (sum, item: bigint) => checkedInt(sum + item),
      (sum) => sum,
    ),
    sumOf(
      Uint,
      0n,
      (sum, item: UintValue) => sum + item.value,
      (sum) => new UintValue(sum),
    ),
    sumOf(
      Double,
      0,
      (sum, item: number) => sum + item,
      (sum) => sum,
    ),
    sumOf(
      Duration,
      0n,
      (sum, item: DurationValue) => sum + item.nanos,
      (sum) => new DurationValue(sum),
    ),
  ],
  indexOf: [
    memberFunction(
      [listOf(T), T],
      Int,
      (list: ListValue, item: Value) => BigInt(list.toArray().findIndex((one) => equals(one, item))),
      once,
    ),
  ],
  lastIndexOf: [
    memberFunction(
      [listOf(T), T],
      Int,
      (list: ListValue, item: Value) => BigInt(list.toArray().findLastIndex((one) => equals(one, item))),
      once,
    ),
  ],
  "sets.contains": sets(containsAll),
  "sets.equivalent": sets((a, b) => containsAll(a, b) && containsAll(b, a), 2),
  "sets.intersects": sets((a, b) => a.toArray().some((item) => contains(b, item))),
};
