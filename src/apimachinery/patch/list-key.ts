/** What identifies the items of lists that server-side apply merges. */

import type { ListSchema } from "../../api/schema.ts";
import { stringifyExactly } from "../serializer/big-integers.ts";

/** The path element of an item, or what is wrong with the item. */
export type ItemElement = (item: unknown) => string;

export class MissingKeyError extends Error {}

/** Throws MissingKeyError for an item of a map list that lacks a key without a default. */
export function itemElement(list: ListSchema): ItemElement {
  if (list.listType === "set") return (item) => `v:${stringifyExactly(item)}`;
  const type = list.items.kind === "struct" ? list.items.type : undefined;
  const keys = [...list.mapKeys]
    .sort()
    .map((name) => ({ name, prefix: `${JSON.stringify(name)}:`, fallback: fallbackOf(name) }));
  function fallbackOf(name: string): unknown {
    const field = type?.byName.get(name);
    return field?.keyDefault ?? field?.value.default;
  }
  const only = keys.length === 1 ? keys[0]! : undefined;
  const keyOf = (item: Record<string, unknown>, { name, prefix, fallback }: (typeof keys)[number]): string => {
    const value = item[name] ?? fallback;
    if (value === undefined)
      throw new MissingKeyError(
        `associative list with keys has an element that omits key field ${JSON.stringify(name)} (and doesn't have default value)`,
      );
    return prefix + stringifyExactly(value);
  };
  return (item) => {
    if (typeof item !== "object" || item === null || Array.isArray(item))
      throw new MissingKeyError("associative list with keys may not have non-map elements");
    const fields = item as Record<string, unknown>;
    return `k:{${only ? keyOf(fields, only) : keys.map((key) => keyOf(fields, key)).join(",")}}`;
  };
}
