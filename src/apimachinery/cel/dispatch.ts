/** Finds which overloads of a function a call may mean, and calls the right one. */
import { type Code, charge, type Frame, sizeOf } from "./code.ts";
import type { Overload } from "./environment.ts";
import { assignable, type CelType, Dyn, type Substitution, substitute, typeName } from "./types.ts";
import {
  DurationValue,
  ListValue,
  MapValue,
  noSuchOverload,
  OpaqueValue,
  OptionalValue,
  TimestampValue,
  TypeValue,
  UintValue,
  type Value,
} from "./values.ts";

export interface Matched {
  overloads: readonly Overload[];
  result: CelType;
  /** One overload, whose parameters the arguments' types fit for certain. */
  exact: boolean;
}

/** Undefined: none fits. */
export function matchOverloads(
  overloads: readonly Overload[],
  given: readonly CelType[],
  known: Substitution,
  fresh: () => CelType,
): Matched | undefined {
  const fitting: { overload: Overload; result: CelType; learned: Substitution }[] = [];
  for (const overload of overloads) {
    if (overload.parameters.length !== given.length) continue;
    const renamed: Substitution = new Map();
    const instance = (type: CelType) => instantiate(type, renamed, fresh);
    const learned: Substitution = new Map(known);
    if (!overload.parameters.every((one, i) => assignable(given[i]!, instance(one), learned))) continue;
    fitting.push({ overload, result: substitute(instance(overload.result), learned), learned });
  }
  const [first, ...others] = fitting;
  if (!first) return undefined;
  if (others.length === 0) {
    for (const [name, type] of first.learned) known.set(name, type);
    const exact = first.overload.parameters.every((one, i) => isCertain(given[i]!, one));
    return { overloads: [first.overload], result: first.result, exact };
  }
  const name = typeName(first.result);
  const result = others.every((other) => typeName(other.result) === name) ? first.result : Dyn;
  return { overloads: fitting.map(({ overload }) => overload), result, exact: false };
}

function instantiate(type: CelType, renamed: Substitution, fresh: () => CelType): CelType {
  switch (type.kind) {
    case "parameter": {
      const found = renamed.get(type.name);
      if (found) return found;
      const made = fresh();
      renamed.set(type.name, made);
      return made;
    }
    case "list":
      return { ...type, element: instantiate(type.element, renamed, fresh) };
    case "map":
      return { ...type, key: instantiate(type.key, renamed, fresh), value: instantiate(type.value, renamed, fresh) };
    case "opaque":
      return { ...type, parameters: type.parameters.map((one) => instantiate(one, renamed, fresh)) };
    case "type":
      return { kind: "type", of: instantiate(type.of, renamed, fresh) };
    default:
      return type;
  }
}

/** Whether values of the given type need no look before a call. */
function isCertain(given: CelType, wanted: CelType): boolean {
  if (wanted.kind === "dyn" || wanted.kind === "parameter") return true;
  return given.kind === wanted.kind && given.kind !== "opaque";
}

/** Runs the arguments, then the first overload that fits their values. */
export function dispatch(
  args: readonly Code[],
  overloads: readonly Overload[],
  exact: boolean,
): (frame: Frame) => Value {
  const runs = args.map((arg) => arg.run);
  const tests = overloads.map(({ parameters }) => parameters.map(accepts));
  const only = exact ? overloads[0]! : undefined;
  if (only && !only.cost && !only.actual) {
    const [a, b] = runs;
    const { call } = only;
    if (runs.length === 1) {
      return (frame) => {
        const value = a!(frame);
        charge(frame, 1);
        return call(value);
      };
    }
    if (runs.length === 2) {
      return (frame) => {
        const left = a!(frame);
        const right = b!(frame);
        charge(frame, 1);
        return call(left, right);
      };
    }
  }
  return (frame) => {
    const values = runs.map((run) => run(frame));
    const chosen =
      only ??
      overloads.find((_, i) => tests[i]!.length === values.length && tests[i]!.every((test, j) => test(values[j]!)));
    if (!chosen) throw noSuchOverload();
    if (chosen.actual) {
      const result = chosen.call(...values);
      charge(frame, Math.ceil(chosen.actual(values, result)));
      return result;
    }
    charge(frame, chosen.cost ? Math.max(1, Math.ceil(chosen.cost(values.map(sizeOf)))) : 1);
    return chosen.call(...values);
  };
}

/** Whether a value may stand for a parameter of this type. Items of lists and maps are not looked at. */
function accepts(type: CelType): (value: Value) => boolean {
  switch (type.kind) {
    case "bool":
      return (value) => typeof value === "boolean";
    case "int":
      return (value) => typeof value === "bigint";
    case "uint":
      return (value) => value instanceof UintValue;
    case "double":
      return (value) => typeof value === "number";
    case "string":
      return (value) => typeof value === "string";
    case "bytes":
      return (value) => value instanceof Uint8Array;
    case "null":
      return (value) => value === null;
    case "duration":
      return (value) => value instanceof DurationValue;
    case "timestamp":
      return (value) => value instanceof TimestampValue;
    case "list": {
      const item = type.element.kind === "dyn" || type.element.kind === "parameter" ? undefined : accepts(type.element);
      // Overloads of lists differ by their items: the first one tells, and an empty list is any.
      return (value) => value instanceof ListValue && (!item || value.length === 0 || item(value.at(0)));
    }
    case "map":
      return (value) => value instanceof MapValue;
    case "object":
      return (value) => value instanceof MapValue && value.objectName === type.name;
    case "opaque":
      if (type.name === "optional_type") return (value) => value instanceof OptionalValue;
      return (value) => value instanceof OpaqueValue && value.typeName === type.name;
    case "type":
      return (value) => value instanceof TypeValue;
    default:
      return () => true;
  }
}
