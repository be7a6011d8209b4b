/** Bytes that are no whole number: `100m` of memory, when `100M` was meant. */
import type { FieldPath } from "../../apimachinery/field-error.ts";
import { Quantity } from "../../apimachinery/quantity.ts";
import type { ResourceList } from "./resource-list.ts";

/** `names`: the resources of the list that are counted in bytes. */
export function fractionWarnings(list: ResourceList | undefined, names: readonly string[], path: FieldPath): string[] {
  return names.flatMap((name) => {
    const amount = list?.[name];
    if (amount === undefined || Quantity.parse(amount).isInteger()) return [];
    return [`${path.key(name)}: fractional byte value "${amount}" is invalid, must be an integer`];
  });
}
