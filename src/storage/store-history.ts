/** The past of one resource as the store has it on disk, for what lies before the window in memory. */
import type { CachedEntry } from "./cached-entry.ts";
import type { EntryMaker } from "./entry-maker.ts";
import type { ChangeRecord } from "./event-window.ts";
import type { Revision, Store, StoreEvent, Watch } from "./store.ts";
import type { ListPage, Selection, Versioned } from "./watch-cache-contract.ts";

/** Objects that are read from the store in one go. */
const pageSize = 500;

export class StoreHistory<T extends Versioned> {
  readonly #store: Store;
  readonly #prefix: string;
  readonly #entries: EntryMaker<T>;

  constructor(store: Store, prefix: string, entries: EntryMaker<T>) {
    this.#store = store;
    this.#prefix = prefix;
    this.#entries = entries;
  }

  /** The state of the keys from `start` to `end` at a revision. Rejects with CompactedError. */
  async list(
    start: string,
    end: string,
    revision: Revision,
    limit: number,
    selection: Selection<T> | undefined,
  ): Promise<ListPage<T>> {
    const entries: CachedEntry<T>[] = [];
    for (let from = start; ; ) {
      const page = await this.#store.range(from, end, { revision, limit: Math.min(limit + 1, pageSize) });
      for (const [i, stored] of page.values.entries()) {
        const entry = this.#entries.decoded(stored);
        if (selection && !selection.matches(entry.object)) continue;
        if (entries.length < limit) {
          entries.push(entry);
          continue;
        }
        const remaining = page.remaining + page.values.length - i;
        return { entries, revision, next: stored.key, ...(selection ? {} : { remaining }) };
      }
      const last = page.values.at(-1);
      if (!last || page.remaining === 0) return { entries, revision, ...(selection ? {} : { remaining: 0 }) };
      from = `${last.key}\0`;
    }
  }

  /** The changes after one revision and up to another. Rejects with CompactedError. */
  async changes(after: Revision, upTo: Revision): Promise<ChangeRecord<T>[]> {
    return (await this.#events(after, upTo)).map((event) => this.#entries.recordOf(event));
  }

  /** What changed at this very revision. */
  async change(revision: Revision): Promise<ChangeRecord<T>> {
    const [record] = await this.changes(revision - 1, revision);
    return record!;
  }

  #events(after: Revision, upTo: Revision): Promise<StoreEvent[]> {
    return new Promise((resolve) => {
      const events: StoreEvent[] = [];
      const watch: Watch = this.#store.watch(this.#prefix, after, (batch, seen) => {
        for (const event of batch) if (event.revision <= upTo) events.push(event);
        if (seen < upTo) return;
        watch.stop();
        resolve(events);
      });
    });
  }
}
