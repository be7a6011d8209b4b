/** Numbers that may be given as a percentage of another: `25%` of the replicas. */
import type { IntOrString } from "../api/meta/v1.ts";

/** A percentage of `total`, rounded up or down; a plain number is itself. Throws on any other text. */
export function scaledValue(value: IntOrString, total: number, rounding: "up" | "down"): number {
  if (typeof value === "number") return value;
  const percent = /^([0-9]+)%$/.exec(value)?.[1];
  if (percent === undefined)
    throw new Error(`invalid value for IntOrString: "${value}" is neither a number nor a percentage`);
  const exact = (Number(percent) * total) / 100;
  return rounding === "up" ? Math.ceil(exact) : Math.floor(exact);
}
