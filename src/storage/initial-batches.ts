/** A state made into the events with which a watch begins, only as fast as they are taken. */
import type { CachedEntry } from "./cached-entry.ts";
import { type OrderedMap, prefixEnd } from "./ordered-map.ts";
import type { Revision } from "./store.ts";
import type { Selection } from "./watch-cache-contract.ts";
import { Batch, SharedEvent } from "./watch-dispatch.ts";

/** Events that are made in one go, and how heavy they become: objects may have to be encoded for them, while others wait. */
const initialPageSize = 32;
const initialPageBytes = 64 * 1024;

/** ADDED events in key order; with `bookmark`, the state's revision, an initial-events-end bookmark follows. */
export function* initialBatches<T>(
  source: OrderedMap<CachedEntry<T>>,
  keyPrefix: string,
  selection: Selection<T> | undefined,
  bookmark: Revision | undefined,
): Generator<Batch<T>> {
  const to = prefixEnd(keyPrefix);
  for (let from: string | undefined = keyPrefix; from !== undefined; ) {
    const events: SharedEvent<T>[] = [];
    let bytes = 0;
    let next: string | undefined;
    source.scan(from, to, (entry) => {
      if (events.length === initialPageSize || bytes >= initialPageBytes) {
        next = entry.key;
        return false;
      }
      if (!selection || selection.matches(entry.object)) {
        events.push(new SharedEvent("ADDED", entry.modRevision, entry));
        bytes += entry.weight;
      }
      return true;
    });
    if (events.length > 0) yield new Batch(events);
    from = next;
  }
  if (bookmark !== undefined) yield new Batch<T>([{ type: "BOOKMARK", revision: bookmark, initialEventsEnd: true }]);
}
