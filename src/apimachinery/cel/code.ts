/** What compiling an expression yields: closures over a frame of slots, with a meter running, and estimates of their cost. */
import type { CelType } from "./types.ts";
import { ListValue, MapValue, type Value } from "./values.ts";

export interface Frame {
  readonly slots: Value[];
  spent: number;
  readonly limit: number;
}

export interface Range {
  min: number;
  max: number;
}

export interface Code {
  type: CelType;
  run(frame: Frame): Value;
  /** Of evaluating it once. */
  cost: Range;
  /** Of its value, where it is better known than from the type. */
  size?: Range;
  /** The value, when the expression is a literal. */
  literal?: Value;
}

/** The expression did more than it may. Nothing absorbs this. */
export class CostExceeded extends Error {
  override name = "CostExceeded";
  constructor() {
    super("operation cancelled: actual cost limit exceeded");
  }
}

export function charge(frame: Frame, cost: number): void {
  frame.spent += cost;
  if (frame.spent > frame.limit) throw new CostExceeded();
}

export const noCost: Range = { min: 0, max: 0 };

export function exactly(cost: number): Range {
  return { min: cost, max: cost };
}

export function sum(...ranges: readonly Range[]): Range {
  let min = 0;
  let max = 0;
  for (const range of ranges) {
    min += range.min;
    max += range.max;
  }
  return { min, max };
}

export function times(count: Range, each: Range): Range {
  return { min: count.min * each.min, max: count.max === 0 || each.max === 0 ? 0 : count.max * each.max };
}

/** Rounded up. */
export function scaled({ min, max }: Range, factor: number): Range {
  return { min: Math.ceil(min * factor), max: Math.ceil(max * factor) };
}

/** One of them is evaluated. */
export function either(a: Range, b: Range): Range {
  return { min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) };
}

/** The size that a cost is reckoned with. */
export function sizeOf(value: Value): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 1;
  if (value instanceof ListValue) return value.length;
  if (value instanceof MapValue) return value.size;
  if (value instanceof Uint8Array) return value.length;
  return 1;
}

export function sizeRange(code: Code): Range {
  return code.size ?? sizeOfType(code.type);
}

const one: Range = { min: 1, max: 1 };

export function sizeOfType(type: CelType): Range {
  switch (type.kind) {
    case "string":
    case "bytes":
    case "list":
    case "map":
      return { min: 0, max: type.maxSize ?? Number.POSITIVE_INFINITY };
    case "dyn":
    case "parameter":
      return { min: 0, max: (type as { maxSize?: number }).maxSize ?? Number.POSITIVE_INFINITY };
    default:
      return one;
  }
}
