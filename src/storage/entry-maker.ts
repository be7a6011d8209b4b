/** How what the store holds, and what writers hand over, become entries of a cache. */
import { CachedEntry } from "./cached-entry.ts";
import { deepFreeze } from "./deep.ts";
import type { Codec } from "./encoding.ts";
import type { EncodingBudget } from "./encoding-budget.ts";
import type { ChangeRecord } from "./event-window.ts";
import type { Revision, StoredValue, StoreEvent } from "./store.ts";
import type { Versioned } from "./watch-cache-contract.ts";

export class EntryMaker<T extends Versioned> {
  readonly #codec: Codec<T>;
  readonly #budget: EncodingBudget;
  /** Objects on their way through the store, by the revision they got. */
  readonly #handedOver = new Map<Revision, { object: T; bytes: Buffer }>();

  constructor(codec: Codec<T>, budget: EncodingBudget) {
    this.#codec = codec;
    this.#budget = budget;
  }

  /** The object comes back from the store at this revision: it need not be read from its bytes. Frozen from here on. */
  handOver(revision: Revision, object: T, bytes: Buffer): void {
    deepFreeze(object);
    this.#handedOver.set(revision, { object, bytes });
  }

  /** It will not come. The revision may have been given again since: only what is still this object's goes. */
  takeBack(revision: Revision, object: T): void {
    if (this.#handedOver.get(revision)?.object === object) this.#handedOver.delete(revision);
  }

  clear(): void {
    this.#handedOver.clear();
  }

  /** Of what has just been committed. Throws on bytes that cannot be read. */
  arrived(stored: StoredValue): CachedEntry<T> {
    const handed = this.#handedOver.get(stored.modRevision);
    if (!handed) return this.decoded(stored);
    this.#handedOver.delete(stored.modRevision);
    const { object, bytes } = handed;
    const entry = new CachedEntry(stored.key, object, stored.modRevision, bytes.length, this.#budget);
    entry.keep(this.#codec.encoder, bytes);
    return entry;
  }

  /** Throws, naming the key, on bytes that cannot be read. */
  decoded({ key, value, modRevision }: StoredValue): CachedEntry<T> {
    let object: T;
    try {
      object = this.#codec.decode(value, key);
    } catch (error) {
      throw new Error(`read ${key} at revision ${modRevision}: ${(error as Error).message}`, { cause: error });
    }
    object.metadata.resourceVersion = String(modRevision);
    return new CachedEntry(key, deepFreeze(object), modRevision, value.length, this.#budget);
  }

  recordOf(event: StoreEvent): ChangeRecord<T> {
    return {
      revision: event.revision,
      key: event.kind === "put" ? event.current.key : event.key,
      current: event.kind === "put" ? this.decoded(event.current) : undefined,
      previous: event.previous && this.decoded(event.previous),
      departed: undefined,
    };
  }

  /** The state before, as those see it who see it go: with the change's revision as its own. */
  departed(record: ChangeRecord<T>): CachedEntry<T> {
    if (record.departed) return record.departed;
    const { key, object, weight } = record.previous!;
    const metadata = Object.freeze({ ...object.metadata, resourceVersion: String(record.revision) });
    const last = Object.freeze({ ...object, metadata });
    record.departed = new CachedEntry(key, last, record.revision, weight, this.#budget);
    return record.departed;
  }
}
