/** Comprehensions over lists and maps, with one variable or two, and the macros of optional values. */
import {
  type Code,
  charge,
  either,
  exactly,
  type Frame,
  type Range,
  sizeOfType,
  sizeRange,
  sum,
  times,
} from "./code.ts";
import type { Compiler } from "./compile.ts";
import type { SyntaxNode } from "./syntax.ts";
import {
  assignable,
  Bool,
  type CelType,
  Dyn,
  Int,
  isOptional,
  listOf,
  mapOf,
  optionalOf,
  substitute,
  typeName,
} from "./types.ts";
import {
  ArrayList,
  CelError,
  keyOf,
  ListValue,
  LiteralMap,
  MapValue,
  none,
  noSuchOverload,
  OptionalValue,
  type Value,
} from "./values.ts";

type MacroNode = SyntaxNode & { kind: "macro" };

export function compileMacro(compiler: Compiler, node: MacroNode): Code {
  if (node.macro === "optMap" || node.macro === "optFlatMap") return compileOptional(compiler, node);
  const range = compiler.compile(node.target);
  const type = compiler.typeOf(range);
  const [first, second] = variableTypes(compiler, node, type);
  const [firstName, secondName] = node.variables as [string, string | undefined];
  const sizes = firstSizes(type);
  return compiler.withLocal(firstName, first, sizes, (slot) => {
    if (secondName === undefined) return body(compiler, node, range, type, [slot]);
    return compiler.withLocal(secondName, second, undefined, (other) =>
      body(compiler, node, range, type, [slot, other]),
    );
  });
}

function firstSizes(type: CelType): Range | undefined {
  return type.kind === "map" ? sizeOfType(type.key) : undefined;
}

/** With one variable a list yields items and a map keys; with two, index and item, key and value. */
function variableTypes(compiler: Compiler, { variables, target }: MacroNode, type: CelType): [CelType, CelType] {
  const two = variables.length === 2;
  switch (type.kind) {
    case "list":
      return two ? [Int, type.element] : [type.element, Dyn];
    case "map":
      return [type.key, type.value];
    case "dyn":
    case "parameter":
      return [Dyn, Dyn];
    default:
      compiler.problem(
        target.at,
        `expression of type '${typeName(type)}' cannot be range of a comprehension (must be list, map, or dynamic)`,
      );
      return [Dyn, Dyn];
  }
}

/** Calls `step` for each item until it returns false. */
type Loop = (frame: Frame, step: () => boolean) => void;

function loopOver(range: Code, slots: readonly [number] | readonly [number, number]): Loop {
  const [first, second] = slots;
  return (frame, step) => {
    const value = range.run(frame);
    const cells = frame.slots;
    if (value instanceof ListValue) {
      const { length } = value;
      for (let i = 0; i < length; i++) {
        if (second === undefined) cells[first] = value.at(i);
        else {
          cells[first] = BigInt(i);
          cells[second] = value.at(i);
        }
        if (!step()) return;
      }
      return;
    }
    if (!(value instanceof MapValue) || value.objectName) throw noSuchOverload();
    for (const key of value.keys()) {
      cells[first] = key;
      if (second !== undefined) cells[second] = value.find(key)!;
      if (!step()) return;
    }
  };
}

function body(
  compiler: Compiler,
  node: MacroNode,
  range: Code,
  rangeType: CelType,
  slots: readonly [number] | readonly [number, number],
): Code {
  const loop = loopOver(range, slots);
  const count = sizeRange(range);
  const parts = node.parts.map((part) => compiler.compile(part));
  const hasFilter =
    node.macro === "filter" || parts.length === 2 || ["all", "exists", "existsOne"].includes(node.macro);
  const filter = hasFilter ? parts[0] : undefined;
  if (filter) {
    const type = compiler.typeOf(filter);
    if (!assignable(type, Bool, compiler.known)) {
      compiler.problem(node.parts[0]!.at, `expected type 'bool' but found '${typeName(type)}'`);
    }
  }
  const result = parts.at(-1)!;
  const whole = (each: Range) => sum(range.cost, exactly(1), times(count, each));
  switch (node.macro) {
    case "all":
    case "exists":
      return quantified(
        loop,
        result,
        node.macro === "exists",
        whole(sum(result.cost, exactly(node.macro === "all" ? 3 : 4))),
      );
    case "existsOne":
      return existsOne(loop, result, sum(whole(sum(result.cost, { min: 1, max: 2 })), exactly(1)));
    case "filter":
      return {
        ...listing(loop, filter, undefined, slots[0], {
          type: rangeType.kind === "map" ? listOf(rangeType.key) : rangeType.kind === "list" ? rangeType : listOf(Dyn),
          cost: sum(whole(sum(result.cost, { min: 1, max: 13 })), newList),
        }),
        size: { min: 0, max: count.max },
      };
    case "map":
    case "transformList":
      return {
        ...listing(loop, filter, result, slots[0], {
          type: listOf(compiler.typeOf(result)),
          cost: sum(whole(kept(filter, sum(result.cost, exactly(12)))), newList),
        }),
        size: filter ? { min: 0, max: count.max } : count,
      };
    default:
      return transformedMap(
        compiler,
        node,
        loop,
        filter,
        result,
        slots[0],
        rangeType,
        sum(whole(kept(filter, sum(result.cost, exactly(putCost(node))))), newMap),
      );
  }
}

/** What comprehensions begin with. */
const newList = exactly(10);
const newMap = exactly(30);

/** Of one item: passed over, or let through the filter and dealt with. */
function kept(filter: Code | undefined, step: Range): Range {
  return filter ? sum(filter.cost, either(exactly(1), step)) : step;
}

/** The map so far, the key and the putting; entries bring their keys along. */
function putCost({ macro }: MacroNode): number {
  return macro === "transformMapEntry" ? 2 : 3;
}

function quantified(loop: Loop, predicate: Code, decisive: boolean, cost: Range): Code {
  const overhead = decisive ? 4 : 3;
  return {
    type: Bool,
    cost,
    run(frame) {
      let decided = false;
      let failure: CelError | undefined;
      loop(frame, () => {
        // That it is decided shows before the next item.
        if (decided) {
          charge(frame, overhead - 1);
          return false;
        }
        charge(frame, overhead);
        try {
          const value = predicate.run(frame);
          if (value === decisive) decided = true;
          else if (value !== !decisive) failure ??= noSuchOverload();
        } catch (error) {
          if (!(error instanceof CelError)) throw error;
          failure ??= error;
        }
        return true;
      });
      charge(frame, 1);
      if (decided) return decisive;
      if (failure) throw failure;
      return !decisive;
    },
  };
}

function isTrue(value: Value): boolean {
  if (typeof value !== "boolean") throw noSuchOverload();
  return value;
}

function existsOne(loop: Loop, predicate: Code, cost: Range): Code {
  return {
    type: Bool,
    cost,
    run(frame) {
      let found = 0;
      loop(frame, () => {
        charge(frame, 1);
        if (isTrue(predicate.run(frame))) {
          charge(frame, 1);
          found++;
        }
        return true;
      });
      charge(frame, 2);
      return found === 1;
    },
  };
}

/** Without `result` the items themselves are listed. */
function listing(
  loop: Loop,
  filter: Code | undefined,
  result: Code | undefined,
  slot: number,
  { type, cost }: { type: CelType; cost: Range },
): Code {
  return {
    type,
    cost,
    run(frame) {
      const items: Value[] = [];
      charge(frame, newList.max);
      loop(frame, () => {
        if (filter && !isTrue(filter.run(frame))) {
          charge(frame, 1);
          return true;
        }
        charge(frame, result ? 12 : 13);
        items.push(result ? result.run(frame) : frame.slots[slot]!);
        return true;
      });
      charge(frame, 1);
      return new ArrayList(items);
    },
  };
}

function transformedMap(
  compiler: Compiler,
  node: MacroNode,
  loop: Loop,
  filter: Code | undefined,
  result: Code,
  slot: number,
  rangeType: CelType,
  cost: Range,
): Code {
  const { macro, parts } = node;
  const entry = macro === "transformMapEntry";
  const perEntry = putCost(node);
  const resultType = compiler.typeOf(result);
  const keyType = rangeType.kind === "map" ? rangeType.key : rangeType.kind === "list" ? Int : Dyn;
  if (entry && resultType.kind !== "map" && resultType.kind !== "dyn") {
    compiler.problem(parts.at(-1)!.at, `expected type 'map' but found '${typeName(resultType)}'`);
  }
  return {
    type: entry ? (resultType.kind === "map" ? resultType : mapOf(Dyn, Dyn)) : mapOf(keyType, resultType),
    cost,
    run(frame) {
      const map = new Map<unknown, { key: Value; value: Value }>();
      charge(frame, newMap.max);
      const put = (key: Value, value: Value) => {
        const normal = keyOf(key);
        if (map.has(normal)) throw new CelError(`insert failed: key ${String(key)} already exists`);
        map.set(normal, { key, value });
      };
      loop(frame, () => {
        if (filter && !isTrue(filter.run(frame))) {
          charge(frame, 1);
          return true;
        }
        charge(frame, perEntry);
        const value = result.run(frame);
        if (!entry) put(frame.slots[slot]!, value);
        else if (value instanceof MapValue) for (const key of value.keys()) put(key, value.find(key)!);
        else throw noSuchOverload();
        return true;
      });
      charge(frame, 1);
      return new LiteralMap(map);
    },
  };
}

/** `optional.optMap(v, f(v))`: the optional of f of the value, if there is one. */
function compileOptional(compiler: Compiler, { macro, target, variables, parts, at }: MacroNode): Code {
  const holder = compiler.compile(target);
  const type = compiler.typeOf(holder);
  if (!isOptional(type) && type.kind !== "dyn" && type.kind !== "parameter") {
    return compiler.mismatch(at, macro, [type], true);
  }
  const inner = isOptional(type) ? substitute(type.parameters[0]!, compiler.known) : Dyn;
  return compiler.withLocal(variables[0]!, inner, undefined, (slot) => {
    const result = compiler.compile(parts[0]!);
    const resultType = compiler.typeOf(result);
    const flat = macro === "optFlatMap";
    return {
      type: flat ? resultType : optionalOf(resultType),
      cost: sum(holder.cost, exactly(1), { min: 0, max: result.cost.max }),
      run(frame) {
        const value = holder.run(frame);
        charge(frame, 1);
        if (!(value instanceof OptionalValue)) throw noSuchOverload();
        if (value.value === undefined) return none;
        frame.slots[slot] = value.value;
        const made = result.run(frame);
        if (!flat) return new OptionalValue(made);
        if (!(made instanceof OptionalValue)) throw noSuchOverload();
        return made;
      },
    };
  });
}
