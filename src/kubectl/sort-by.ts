/** The order that `--sort-by` asks for. */
import { Quantity } from "../apimachinery/quantity.ts";
import { parseJsonPathExpression } from "./jsonpath.ts";

/** Numbers and quantities by value, everything else as text; what lacks the field comes first. */
export function compareByPath(path: string): (a: unknown, b: unknown) => number {
  const read = parseJsonPathExpression(path);
  return (a, b) => compare(read(a)[0], read(b)[0]);
}

function compare(a: unknown, b: unknown): number {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? -1 : 1;
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [x, y] = [quantity(a), quantity(b)];
  if (x !== undefined && y !== undefined) return x.compare(y);
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
}

function quantity(value: unknown): Quantity | undefined {
  if (typeof value !== "string" || !/^[\d.]/.test(value)) return undefined;
  try {
    return Quantity.parse(value);
  } catch {
    return undefined;
  }
}
