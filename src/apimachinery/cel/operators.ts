/** The operators that are more than functions: logic that absorbs errors, choice, equality, order, indexing, membership. */
import { type Code, charge, either, exactly, type Frame, type Range, sizeOf, sizeRange, sum } from "./code.ts";
import type { Compiler } from "./compile.ts";
import type { SyntaxNode } from "./syntax.ts";
import { assignable, Bool, type CelType, Dyn, Int, isOptional, optionalOf, substitute } from "./types.ts";
import {
  CelError,
  compareNumbers,
  DurationValue,
  equals,
  isNumber,
  ListValue,
  MapValue,
  none,
  noSuchOverload,
  OptionalValue,
  TimestampValue,
  UintValue,
  type Value,
} from "./values.ts";

type Call = SyntaxNode & { kind: "call" };

/** Undefined: an ordinary function. */
export function compileOperator(compiler: Compiler, node: Call): Code | undefined {
  switch (node.name) {
    case "_&&_":
      return logic(compiler, node, false);
    case "_||_":
      return logic(compiler, node, true);
    case "_?_:_":
      return choice(compiler, node);
    case "_==_":
      return equality(compiler, node, false);
    case "_!=_":
      return equality(compiler, node, true);
    case "_<_":
      return order(compiler, node, (sign) => sign < 0);
    case "_<=_":
      return order(compiler, node, (sign) => sign <= 0);
    case "_>_":
      return order(compiler, node, (sign) => sign > 0);
    case "_>=_":
      return order(compiler, node, (sign) => sign >= 0);
    case "_[_]":
      return index(compiler, node, false);
    case "_[?_]":
      return index(compiler, node, true);
    case "@in":
      return membership(compiler, node);
    default:
      return undefined;
  }
}

/** Ends at the first operand that decides (`decisive`); until then errors are remembered, and thrown only if nobody decides. */
function logic(compiler: Compiler, { args, name, at }: Call, decisive: boolean): Code {
  const operands = args.map((arg) => compiler.compile(arg));
  const types = operands.map((operand) => compiler.typeOf(operand));
  for (let i = 0; i < types.length; i++) {
    if (assignable(types[i]!, Bool, compiler.known) || compiler.environment.unchecked) continue;
    return compiler.mismatch(at, name, i === 0 ? [types[0]!, types[1]!] : [Bool, types[i]!], false);
  }
  const runs = operands.map((operand) => operand.run);
  const [first, ...rest] = operands.map((operand) => operand.cost);
  return {
    type: Bool,
    cost: { min: first!.min, max: first!.max + rest.reduce((total, { max }) => total + max, 0) },
    run(frame) {
      let failure: CelError | undefined;
      for (let i = 0; i < runs.length; i++) {
        try {
          const value = runs[i]!(frame);
          if (value === decisive) return decisive;
          if (value !== !decisive) failure ??= noSuchOverload();
        } catch (error) {
          if (!(error instanceof CelError)) throw error;
          failure ??= error;
        }
      }
      if (failure) throw failure;
      return !decisive;
    },
  };
}

function choice(compiler: Compiler, { args, name, at }: Call): Code {
  const [condition, yes, no] = args.map((arg) => compiler.compile(arg)) as [Code, Code, Code];
  const types = [condition, yes, no].map((code) => compiler.typeOf(code)) as [CelType, CelType, CelType];
  if (!assignable(types[0], Bool, compiler.known)) return compiler.mismatch(at, name, types, false);
  let type: CelType;
  if (assignable(types[2], types[1], compiler.known)) type = types[2].kind === "dyn" ? types[2] : types[1];
  else if (assignable(types[1], types[2], compiler.known)) type = types[2];
  else if (compiler.environment.unchecked) type = Dyn;
  else return compiler.mismatch(at, name, types, false);
  return {
    type: substitute(type, compiler.known),
    cost: sum(condition.cost, either(yes.cost, no.cost)),
    size: either(sizeRange(yes), sizeRange(no)),
    run(frame) {
      const value = condition.run(frame);
      if (value === true) return yes.run(frame);
      if (value === false) return no.run(frame);
      throw noSuchOverload();
    },
  };
}

function smaller(a: Range, b: Range): Range {
  return traversal({ min: Math.min(a.min, b.min), max: Math.min(a.max, b.max) });
}

/** A tenth of the size, and at least one. */
function traversal({ min, max }: Range): Range {
  return { min: Math.max(1, Math.ceil(min * 0.1)), max: Math.max(1, Math.ceil(max * 0.1)) };
}

function chargeSmaller(frame: Frame, a: Value, b: Value): void {
  if (typeof a === "object" || typeof a === "string") {
    charge(frame, Math.max(1, Math.ceil(Math.min(sizeOf(a), sizeOf(b)) * 0.1)));
  } else charge(frame, 1);
}

function equality(compiler: Compiler, { args, name, at }: Call, negate: boolean): Code {
  const [left, right] = args.map((arg) => compiler.compile(arg)) as [Code, Code];
  const types: [CelType, CelType] = [compiler.typeOf(left), compiler.typeOf(right)];
  const fits = assignable(types[0], types[1], compiler.known) || assignable(types[1], types[0], compiler.known);
  if (!fits && !compiler.environment.unchecked) return compiler.mismatch(at, name, types, false);
  return {
    type: Bool,
    cost: sum(left.cost, right.cost, smaller(sizeRange(left), sizeRange(right))),
    run(frame) {
      const a = left.run(frame);
      const b = right.run(frame);
      chargeSmaller(frame, a, b);
      return equals(a, b) !== negate;
    },
  };
}

const numeric = new Set(["int", "uint", "double"]);
const ordered = new Set(["bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration"]);
const unknown = new Set(["dyn", "parameter"]);

function order(compiler: Compiler, { args, name, at }: Call, wanted: (sign: number) => boolean): Code {
  const [left, right] = args.map((arg) => compiler.compile(arg)) as [Code, Code];
  const types: [CelType, CelType] = [compiler.typeOf(left), compiler.typeOf(right)];
  const [a, b] = [types[0].kind, types[1].kind];
  const fits =
    (numeric.has(a) && numeric.has(b)) ||
    (ordered.has(a) && (a === b || unknown.has(b))) ||
    (unknown.has(a) && (unknown.has(b) || ordered.has(b)));
  if (!fits && !compiler.environment.unchecked) return compiler.mismatch(at, name, types, false);
  return {
    type: Bool,
    cost: sum(left.cost, right.cost, smaller(sizeRange(left), sizeRange(right))),
    run(frame) {
      const x = left.run(frame);
      const y = right.run(frame);
      chargeSmaller(frame, x, y);
      return wanted(compare(x, y));
    },
  };
}

/** Negative, zero or positive; NaN for what is not a number. Throws for what has no order. */
export function compare(a: Value, b: Value): number {
  if (typeof a === "bigint" && typeof b === "bigint") return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b);
  if (typeof a === "boolean" && typeof b === "boolean") return Number(a) - Number(b);
  if (
    (a instanceof TimestampValue && b instanceof TimestampValue) ||
    (a instanceof DurationValue && b instanceof DurationValue)
  ) {
    return a.nanos < b.nanos ? -1 : a.nanos > b.nanos ? 1 : 0;
  }
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  throw noSuchOverload();
}

/** By code points, as UTF-8 would be compared; JavaScript's own order is that of UTF-16 units. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const surrogates = [x, y].map((unit) => unit >= 0xd800 && unit <= 0xdfff);
    if (surrogates[0] !== surrogates[1]) return surrogates[0] ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}

function index(compiler: Compiler, { args, name, at }: Call, optional: boolean): Code {
  const [target, key] = args.map((arg) => compiler.compile(arg)) as [Code, Code];
  const types: [CelType, CelType] = [compiler.typeOf(target), compiler.typeOf(key)];
  const holder = isOptional(types[0]) ? substitute(types[0].parameters[0]!, compiler.known) : types[0];
  let type: CelType | undefined;
  if (holder.kind === "list" && assignable(types[1], Int, compiler.known)) type = holder.element;
  else if (holder.kind === "map" && assignable(types[1], holder.key, compiler.known)) type = holder.value;
  else if (holder.kind === "map" && numeric.has(types[1].kind) && numeric.has(holder.key.kind)) type = holder.value;
  else if (unknown.has(holder.kind)) type = Dyn;
  else if (compiler.environment.unchecked) type = Dyn;
  if (!type) return compiler.mismatch(at, name, types, false);
  const cost = sum(target.cost, key.cost, exactly(1));
  if (!optional && !isOptional(types[0])) {
    return {
      type,
      cost,
      run(frame) {
        const value = target.run(frame);
        const which = key.run(frame);
        charge(frame, 1);
        const found = itemOf(value, which);
        if (found === undefined) throw absent(value, which);
        return found;
      },
    };
  }
  return {
    type: optionalOf(isOptional(type) ? type.parameters[0]! : type),
    cost,
    run(frame) {
      const value = target.run(frame);
      const which = key.run(frame);
      charge(frame, 1);
      const inner = value instanceof OptionalValue ? value.value : value;
      if (inner === undefined) return none;
      const found = itemOf(inner, which);
      if (found === undefined) return none;
      return found instanceof OptionalValue ? found : new OptionalValue(found);
    },
  };
}

function itemOf(value: Value, key: Value): Value | undefined {
  if (value instanceof ListValue) {
    const position = positionOf(key);
    return position >= 0 && position < value.length ? value.at(position) : undefined;
  }
  if (value instanceof MapValue && !value.objectName) {
    if (typeof key === "number" || typeof key === "string" || typeof key === "bigint" || typeof key === "boolean") {
      return value.find(key);
    }
    if (key instanceof UintValue) return value.find(key);
    throw new CelError("unsupported key type");
  }
  throw noSuchOverload();
}

function positionOf(key: Value): number {
  if (typeof key === "bigint") return Number(key);
  if (key instanceof UintValue) return Number(key.value);
  if (typeof key === "number") {
    if (Number.isInteger(key)) return key;
    throw new CelError(`unsupported index value: ${key}`);
  }
  throw new CelError("unsupported index type in list: string");
}

function absent(value: Value, key: Value): CelError {
  const text = key instanceof UintValue ? String(key.value) : String(key);
  return new CelError(value instanceof ListValue ? `index out of bounds: ${text}` : `no such key: ${text}`);
}

function membership(compiler: Compiler, { args, name, at }: Call): Code {
  const [item, holder] = args.map((arg) => compiler.compile(arg)) as [Code, Code];
  const types: [CelType, CelType] = [compiler.typeOf(item), compiler.typeOf(holder)];
  const wanted = types[1].kind === "list" ? types[1].element : types[1].kind === "map" ? types[1].key : undefined;
  const fits = wanted
    ? assignable(types[0], wanted, compiler.known) || assignable(wanted, types[0], compiler.known)
    : unknown.has(types[1].kind);
  if (!fits && !compiler.environment.unchecked) return compiler.mismatch(at, name, types, false);
  const isMap = types[1].kind === "map";
  const size = sizeRange(holder);
  return {
    type: Bool,
    cost: sum(
      item.cost,
      holder.cost,
      isMap ? exactly(1) : { min: Math.max(1, Math.min(size.min, 1)), max: Math.max(1, size.max) },
    ),
    run(frame) {
      const value = item.run(frame);
      const inside = holder.run(frame);
      if (inside instanceof ListValue) {
        charge(frame, Math.max(1, inside.length));
        for (let i = 0; i < inside.length; i++) if (equals(value, inside.at(i))) return true;
        return false;
      }
      charge(frame, 1);
      if (inside instanceof MapValue && !inside.objectName) return inside.find(value) !== undefined;
      throw noSuchOverload();
    },
  };
}
