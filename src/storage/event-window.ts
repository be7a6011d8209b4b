/** The recent changes of one resource, bounded by number, weight and age. */
import type { CachedEntry } from "./cached-entry.ts";
import type { Revision } from "./store.ts";
import type { WindowPolicy } from "./watch-cache-contract.ts";

/** One change of one object. */
export interface ChangeRecord<T> {
  readonly revision: Revision;
  readonly key: string;
  /** What stands after the change; undefined for a deletion. */
  readonly current: CachedEntry<T> | undefined;
  readonly previous: CachedEntry<T> | undefined;
  /** The previous object as clients see it leave: with this revision as its own. Made when somebody watches. */
  departed: CachedEntry<T> | undefined;
}

interface Kept<T> {
  record: ChangeRecord<T>;
  at: number;
}

export class EventWindow<T> {
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  readonly #maxAgeMs: number;
  #kept: Kept<T>[] = [];
  #head = 0;
  #bytes = 0;
  #start: Revision;
  readonly #onForgotten: (entry: CachedEntry<T>) => void;

  /** `onForgotten` hears of each entry that the window kept alive and no longer does. */
  constructor(start: Revision, policy: WindowPolicy = {}, onForgotten: (entry: CachedEntry<T>) => void = () => {}) {
    this.#start = start;
    this.#onForgotten = onForgotten;
    this.#maxEvents = policy.maxEvents ?? 4_096;
    this.#maxBytes = policy.maxBytes ?? 4 * 1024 * 1024;
    this.#maxAgeMs = policy.maxAgeMs ?? 5 * 60_000;
  }

  /** Every change after this revision is here. */
  get start(): Revision {
    return this.#start;
  }

  add(record: ChangeRecord<T>, now: number): void {
    this.#kept.push({ record, at: now });
    this.#bytes += weightOf(record);
    while (this.#kept.length - this.#head > 0 && this.#exceeds(this.#kept[this.#head]!, now)) {
      const oldest = this.#kept[this.#head++]!;
      this.#bytes -= weightOf(oldest.record);
      this.#start = oldest.record.revision;
      const { previous, departed } = oldest.record;
      if (previous) this.#onForgotten(previous);
      if (departed) this.#onForgotten(departed);
    }
    // Often enough that what was forgotten does not stay in memory for long.
    if (this.#head > 256) {
      this.#kept = this.#kept.slice(this.#head);
      this.#head = 0;
    }
  }

  /** All changes after `revision`, which must not lie before `start`. */
  after(revision: Revision): ChangeRecord<T>[] {
    let low = this.#head;
    let high = this.#kept.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#kept[middle]!.record.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#kept.slice(low).map((kept) => kept.record);
  }

  #exceeds(oldest: Kept<T>, now: number): boolean {
    return (
      this.#kept.length - this.#head > this.#maxEvents ||
      this.#bytes > this.#maxBytes ||
      now - oldest.at > this.#maxAgeMs
    );
  }
}

/** The window keeps the previous object alive; the current one stands in the cache, or is the previous of a later change. */
function weightOf<T>(record: ChangeRecord<T>): number {
  return record.previous?.weight ?? 0;
}
