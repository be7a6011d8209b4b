/**
 * Selecting by fields of a version that a webhook converts objects to: what is selected is known only once they have been
 * converted, so the cache is asked for everything, and the choice is made here.
 */
import type { KubeObject } from "../../api/object.ts";
import type {
  CacheEvent,
  Entry,
  ListPage,
  ListRequest,
  Selection,
  WatchBatch,
  WatchStart,
} from "../../storage/watch-cache-contract.ts";
import type { ServedResource } from "../resource-registry.ts";

/** As `cache.list`. */
export async function listConverted(
  resource: ServedResource,
  { limit = Number.POSITIVE_INFINITY, selection, ...all }: ListRequest<KubeObject>,
): Promise<ListPage<KubeObject>> {
  const page = await resource.cache.list(all);
  await resource.prepare(page.entries.map(({ object }) => object));
  const entries: Entry<KubeObject>[] = [];
  for (const entry of page.entries) {
    if (entries.length >= limit) return { entries, revision: page.revision, next: entry.key };
    if (!selection || selection.matches(entry.object)) entries.push(entry);
  }
  return { entries, revision: page.revision };
}

/** What one watcher sees of a resource's changes. It keeps the last state of each object in sight. */
export class ConvertedSight {
  readonly #resource: ServedResource;
  readonly #selection: Selection<KubeObject>;
  readonly #inSight = new Map<string, Entry<KubeObject>>();

  constructor(resource: ServedResource, selection: Selection<KubeObject>) {
    this.#resource = resource;
    this.#selection = selection;
  }

  /** Learns what is in sight where the watch begins, and returns where that is. Rejects with CompactedError. */
  async begin(keyPrefix: string, start: WatchStart): Promise<WatchStart> {
    if (start.kind === "initial") return start;
    const { cache } = this.#resource;
    const request: ListRequest<KubeObject> = { keyPrefix, selection: this.#selection };
    if (start.kind === "after" && start.revision < cache.revision) request.revision = start.revision;
    const page = await listConverted(this.#resource, request);
    for (const entry of page.entries) this.#inSight.set(entry.key, entry);
    return start.kind === "after" ? start : { kind: "after", revision: page.revision };
  }

  /** What is seen of a batch whose objects have been converted; undefined for nothing. Objects that leave are to be converted yet. */
  of(batch: WatchBatch<KubeObject>): WatchBatch<KubeObject> | undefined {
    const events = batch.events.flatMap((event) => this.#event(event) ?? []);
    return events.length > 0 ? this.#resource.cache.batchOf(events) : undefined;
  }

  #event(event: CacheEvent<KubeObject>): CacheEvent<KubeObject> | undefined {
    if (event.type === "BOOKMARK") return event;
    const { key } = event.entry;
    const before = this.#inSight.get(key);
    if (event.type !== "DELETED" && this.#selection.matches(event.entry.object)) {
      this.#inSight.set(key, event.entry);
      const type = before ? "MODIFIED" : "ADDED";
      return event.type === type ? event : this.#resource.cache.eventOf(type, event.entry, event.revision);
    }
    if (!before) return undefined;
    this.#inSight.delete(key);
    return event.type === "DELETED" ? event : this.#resource.cache.eventOf("DELETED", before, event.revision);
  }
}
