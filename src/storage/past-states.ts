/** The objects of one resource as they were a short while ago, made by undoing what the window remembers. */
import type { CachedEntry } from "./cached-entry.ts";
import type { EventWindow } from "./event-window.ts";
import type { OrderedMap } from "./ordered-map.ts";
import type { Revision } from "./store.ts";

/** So many states that are being paged through are kept. */
const mostStates = 8;

export class PastStates<T> {
  /** Newest last. */
  #states: { revision: Revision; map: OrderedMap<CachedEntry<T>> }[] = [];

  /** Undefined when the window does not reach back so far. */
  at(
    revision: Revision,
    present: OrderedMap<CachedEntry<T>>,
    window: EventWindow<T>,
  ): OrderedMap<CachedEntry<T>> | undefined {
    const remembered = this.#states.find((state) => state.revision === revision);
    if (remembered) return remembered.map;
    if (revision < window.start) return undefined;
    const undo = window.after(revision).reverse();
    if (undo.length === 0) return present;
    let map = present;
    for (const { key, previous } of undo) map = previous ? map.set(previous) : map.delete(key);
    this.remember(revision, map);
    return map;
  }

  /** More pages of this state will be asked for. */
  remember(revision: Revision, map: OrderedMap<CachedEntry<T>>): void {
    if (this.#states.some((state) => state.revision === revision)) return;
    if (this.#states.length === mostStates) this.#states.shift();
    this.#states.push({ revision, map });
    this.#states.sort((a, b) => a.revision - b.revision);
  }

  forgetBefore(revision: Revision): void {
    while (this.#states.length > 0 && this.#states[0]!.revision < revision) this.#states.shift();
  }

  clear(): void {
    this.#states = [];
  }
}
