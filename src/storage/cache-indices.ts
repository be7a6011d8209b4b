/** Keys of present objects by named values, such as a Pod's node: so that who wants those of one value need not look at all. */
import type { CachedEntry } from "./cached-entry.ts";
import type { Selection } from "./watch-cache-contract.ts";

type IndexedBy<T> = (object: T) => string | undefined;

export class CacheIndices<T> {
  readonly #indices: readonly { name: string; indexedBy: IndexedBy<T>; keysByValue: Map<string, Set<string>> }[];

  constructor(indices: Readonly<Record<string, IndexedBy<T>>> = {}) {
    this.#indices = Object.entries(indices).map(([name, indexedBy]) => ({ name, indexedBy, keysByValue: new Map() }));
  }

  /** Takes over that the key's object changed, came or went. */
  update(key: string, previous: CachedEntry<T> | undefined, current: CachedEntry<T> | undefined): void {
    for (const { indexedBy, keysByValue } of this.#indices) {
      const before = previous && indexedBy(previous.object);
      const after = current && indexedBy(current.object);
      if (before === after) continue;
      if (before !== undefined) {
        const keys = keysByValue.get(before);
        keys?.delete(key);
        if (keys?.size === 0) keysByValue.delete(before);
      }
      if (after === undefined) continue;
      const keys = keysByValue.get(after);
      if (keys) keys.add(key);
      else keysByValue.set(after, new Set([key]));
    }
  }

  /** In order; undefined when the selection names no index, or none that is kept. */
  keysOf(selection: Selection<T> | undefined): string[] | undefined {
    if (!selection?.index) return undefined;
    const { name, value } = selection.index;
    const index = this.#indices.find((candidate) => candidate.name === name);
    return index && [...(index.keysByValue.get(value) ?? [])].sort();
  }

  clear(): void {
    for (const { keysByValue } of this.#indices) keysByValue.clear();
  }
}
