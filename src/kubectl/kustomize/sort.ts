/** The order of a kustomization's objects in the end. */
import { CommandError } from "../command-error.ts";
import type { SortOptions } from "./kustomization.ts";
import { idOf, type Resource, sameKind, showKind } from "./resource.ts";
import { kindKey, rankOf } from "./transformer-config.ts";

/** What others need comes first, unless the kustomization says otherwise. Sorts in place. */
export function sortResources(resources: Resource[], options: SortOptions = { order: "legacy" }): void {
  const { order = "", legacySortOptions } = options;
  if (order !== "fifo" && order !== "legacy") {
    throw new CommandError("the field 'sortOptions.order' must be one of [fifo, legacy]");
  }
  if (order === "fifo") {
    if (!legacySortOptions) return;
    throw new CommandError(
      `the field 'sortOptions.legacySortOptions' is set but the selected sort order is '${order}', not 'legacy'`,
    );
  }
  // Who names kinds names them all.
  const { orderFirst = [], orderLast = [] } = legacySortOptions ?? {};
  const rank = (kind: string) => (legacySortOptions ? rankOf(kind, orderFirst, orderLast) : rankOf(kind));
  const compare = (a: string, b: string) => (a < b ? -1 : Number(a > b));
  resources.sort((one, other) => {
    const [a, b] = [idOf(one), idOf(other)];
    if (sameKind(a, b)) {
      const key = (id: typeof a) => [showKind(id), id.namespace || "~X", id.name || "~N"].join("|");
      return compare(key(a), key(b));
    }
    const byRank = rank(a.kind) - rank(b.kind);
    if (byRank !== 0) return byRank;
    const bothNamespaces = a.kind === "Namespace" && b.kind === "Namespace" && (!a.group || !b.group);
    return compare(kindKey(a), kindKey(b)) * (bothNamespaces ? -1 : 1);
  });
}
