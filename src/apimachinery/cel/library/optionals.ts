/** Optional values. */
import { type FunctionTable, globalFunction, memberFunction } from "../environment.ts";
import { Bool, type CelType, listOf, optionalOf, parameter } from "../types.ts";
import { ArrayList, CelError, ListValue, MapValue, none, OptionalValue, UintValue, type Value } from "../values.ts";

const T = parameter("T");
const optional: CelType = optionalOf(T);

function isZero(value: Value): boolean {
  if (value === null || value === false || value === "" || value === 0n || value === 0) return true;
  if (value instanceof ListValue || value instanceof Uint8Array) return value.length === 0;
  if (value instanceof MapValue) return value.size === 0;
  return value instanceof UintValue && value.value === 0n;
}

export const optionalsLibrary: FunctionTable = {
  "optional.of": [globalFunction([T], optional, (value: Value) => new OptionalValue(value))],
  "optional.ofNonZeroValue": [
    globalFunction([T], optional, (value: Value) => (isZero(value) ? none : new OptionalValue(value))),
  ],
  "optional.none": [globalFunction([], optional, () => none)],
  hasValue: [memberFunction([optional], Bool, ({ value }: OptionalValue) => value !== undefined)],
  value: [
    memberFunction([optional], T, ({ value }: OptionalValue) => {
      if (value === undefined) throw new CelError("optional.none() dereference");
      return value;
    }),
  ],
  or: [
    memberFunction([optional, optional], optional, (a: OptionalValue, b: OptionalValue) =>
      a.value === undefined ? b : a,
    ),
  ],
  orValue: [memberFunction([optional, T], T, ({ value }: OptionalValue, other: Value) => value ?? other)],
  "optional.unwrap": [globalFunction([listOf(optional)], listOf(T), unwrap)],
  unwrapOpt: [memberFunction([listOf(optional)], listOf(T), unwrap)],
};

function unwrap(list: ListValue): Value {
  return new ArrayList(
    list.toArray().flatMap((item) => (item instanceof OptionalValue && item.value !== undefined ? [item.value] : [])),
  );
}
