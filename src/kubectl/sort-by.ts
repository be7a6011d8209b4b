/** The order that `--sort-by` asks for. */
import { Quantity } from "../apimachinery/quantity.ts";
import { CommandError } from "./command-error.ts";
import { goType } from "./go-format.ts";
import { parseJsonPathExpression, wholeJsonPath } from "./jsonpath.ts";
import { sortUnstably } from "./unstable-sort.ts";

/** What the path finds has no order. */
export class UnsortableError extends CommandError {}

/**
 * Sorts in place by what the path finds in each item's object; what lacks it comes first.
 * Throws a CommandError where no item has it, or where it is nothing that has an order.
 */
export function sortByPath<T>(items: T[], path: string, objectOf: (item: T) => unknown): void {
  const read = parseJsonPathExpression(path);
  const keys = new Map(items.map((item) => [item, read(objectOf(item))]));
  if (![...keys.values()].some((found) => found.length > 0)) {
    throw new CommandError(
      `couldn't find any field with path ${JSON.stringify(wholeJsonPath(path))} in the list of objects`,
    );
  }
  sortUnstably(items, (a, b) => {
    const [x, y] = [keys.get(a)!, keys.get(b)!];
    if (x.length === 0 || y.length === 0) return x.length === 0;
    return isLess(x[0], y[0], path);
  });
}

/** Numbers and quantities by value, all else as text. */
function isLess(a: unknown, b: unknown, path: string): boolean {
  if (a === null || b === null) return a === null && b !== null;
  if (typeof a === "number" && typeof b === "number") return a < b;
  if (typeof a === "string" && typeof b === "string") {
    const [x, y] = [quantity(a), quantity(b)];
    return x && y ? x.compare(y) < 0 : a < b;
  }
  const problem =
    typeof a === "number" || typeof a === "string"
      ? "unsortable interface: interface"
      : `unsortable type: ${goType(a, true)}`;
  throw new UnsortableError(`Field ${wholeJsonPath(path)} is an unsortable type: interface, err: ${problem}`);
}

function quantity(value: string): Quantity | undefined {
  if (!/^[+\-.\d]/.test(value)) return undefined;
  try {
    return Quantity.parse(value);
  } catch {
    return undefined;
  }
}
