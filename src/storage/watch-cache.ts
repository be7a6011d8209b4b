/**
 * All objects of one resource in memory, their recent history, and everyone who watches them (upstream: the apiserver's cacher).
 *
 * Each object stands here once, frozen, with its encoded bytes beside it. Reads never touch the store, except a list or a
 * watch at a revision older than the window kept in memory.
 *
 * Writes go through the cache: the store decides the compare-and-swap and names the revision while `create`, `update` or
 * `delete` is being called; the cache then puts that revision into the object and serialises it, once, for the store and
 * for clients. When the store reports the commit, the very same object enters the cache: nothing is parsed again. The
 * promise resolves after that, so a writer reads its own write.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { CachedEntry } from "./cached-entry.ts";
import { deepFreeze, sameJson } from "./deep.ts";
import type { Codec, Encoder, WatchEventType } from "./encoding.ts";
import type { EncodingBudget } from "./encoding-budget.ts";
import { type ChangeRecord, EventWindow } from "./event-window.ts";
import { OrderedMap, prefixEnd } from "./ordered-map.ts";
import {
  type Claims,
  CompactedError,
  FutureRevisionError,
  type Revision,
  type Store,
  type StoredValue,
  type StoreEvent,
  type Watch,
  type WriteResult,
} from "./store.ts";
import { Batch, SharedEvent, WatchDispatch, Watcher } from "./watch-dispatch.ts";

/** The least the cache must know of an object. */
export interface Versioned {
  metadata: { resourceVersion?: string };
}

/** One object at one revision. Never changes; an update makes a new entry. */
export interface Entry<T> {
  readonly key: string;
  /** Frozen, shared with everyone in the process. Its resourceVersion is `modRevision`. */
  readonly object: T;
  readonly modRevision: Revision;
  /** The object's bytes for clients, from memory where they are kept. Never change them. */
  encoded(encoder: Encoder<T>): Buffer;
}

/** Which objects of a scope someone wants: label and field selectors made into a function. */
export interface Selection<T> {
  /** Equal ids mean equal predicates: watchers that share one are served together. The selectors' canonical text will do. */
  readonly id: string;
  matches(object: T): boolean;
  /** Set when `matches` can only hold for objects whose index `name` has this `value`: they are then found without a search. */
  readonly index?: { name: string; value: string };
}

export interface Scope<T> {
  /** Only keys that start with this. Default: the cache's prefix. A namespace's is `<prefix><namespace>/`. */
  keyPrefix?: string;
  selection?: Selection<T>;
}

export interface ListRequest<T> extends Scope<T> {
  /** At most so many entries. */
  limit?: number;
  /** Only keys from this one on: `next` of the page before. */
  from?: string;
  /** The state at exactly this revision. Default: the newest. */
  revision?: Revision;
}

export interface ListPage<T> {
  /** In key order. Asked for the newest state again, it is the same array as long as nothing of the resource changed: what is made from it can be kept beside it. */
  entries: readonly Entry<T>[];
  revision: Revision;
  /** Where the next page begins; absent on the last page. */
  next?: string;
  /** How many entries follow this page; absent when a selection makes it unknown. */
  remaining?: number;
}

export type WatchStart =
  /** Only what comes from now on. */
  | { kind: "now" }
  /** The present state as ADDED events in key order, then what comes. With `bookmark` an initial-events-end bookmark stands between. */
  | { kind: "initial"; bookmark: boolean }
  /** Everything after this revision, which may be yet to come. */
  | { kind: "after"; revision: Revision };

export interface WatchRequest<T> extends Scope<T> {
  start: WatchStart;
  /** Wants a bookmark about once a minute. */
  bookmarks?: boolean;
  /** How many undelivered events may wait while the sink is held back, beside the initial ones. Default 5,000. One batch always may. */
  bufferEvents?: number;
}

export interface ObjectEvent<T> {
  readonly type: WatchEventType;
  readonly revision: Revision;
  /** For DELETED: the last state, with the revision of its end as resourceVersion. */
  readonly entry: Entry<T>;
  /** The frame for clients, written once for all watchers. */
  frame(encoder: Encoder<T>): Buffer;
  /** The same in pieces, for whoever joins them with others. */
  pieces(encoder: Encoder<T>): readonly Uint8Array[];
}

export interface Bookmark {
  readonly type: "BOOKMARK";
  readonly revision: Revision;
  readonly initialEventsEnd: boolean;
}

export type CacheEvent<T> = ObjectEvent<T> | Bookmark;

/** Events in revision order, at least one. Watchers that want the same get the same batch, so its bytes are joined once. */
export interface WatchBatch<T> {
  readonly events: readonly CacheEvent<T>[];
  /** All frames, one after the other. Never change them. */
  encoded(encoder: Encoder<T>): Buffer;
}

/** Why a watch ended by itself. `full`: its sink was held back for longer than its buffer lasts; the client lists or watches again. */
export type WatchEnd = { kind: "full" } | { kind: "closed" } | { kind: "failed"; error: Error };

export interface WatchSink<T> {
  /** Takes a batch, at once and without throwing. Returns false to be left alone until `resume()`. */
  deliver(batch: WatchBatch<T>): boolean;
  /** The watch ended by itself. Nothing follows. Not called after `stop()`. */
  ended(end: WatchEnd): void;
}

export interface CacheWatch {
  /** The sink can take more. A watch begins held back: nothing is delivered before the first call. */
  resume(): void;
  /** Delivers a bookmark of now, unless events are waiting: for the end of a watch that has a time limit. */
  bookmark(): void;
  /** Ends the watch. Nothing is delivered after it returns. */
  stop(): void;
}

export type WriteOutcome<T> =
  /** Durable, and visible in the cache. After a delete: the last state with the revision of its end. */
  | { ok: true; entry: Entry<T> }
  /** The key did not stand at the expected revision. `current` is what does. */
  | { ok: false; current: Entry<T> | undefined };

/** How much history stays in memory. Whatever is exceeded first ends an event's stay; the store keeps more, on disk. */
export interface WindowPolicy {
  /** Default 4,096. */
  maxEvents?: number;
  /** Encoded bytes of the objects that only the window keeps alive. Default 4 MiB. */
  maxBytes?: number;
  /** Default 5 minutes. */
  maxAgeMs?: number;
}

export interface WatchCacheOptions<T> {
  store: Store;
  /** Such as `/registry/pods/`: with the closing slash. */
  prefix: string;
  codec: Codec<T>;
  clock: Clock;
  /** Shared by all caches of the process. */
  budget: EncodingBudget;
  /** Named values by which watchers and lists are found without a search: `spec.nodeName` of pods. */
  indices?: Readonly<Record<string, (object: T) => string | undefined>>;
  window?: WindowPolicy;
  claims?: ClaimPolicy<T>;
}

/** What objects have that no two may have, also when several servers write them at the same time. */
export interface ClaimPolicy<T> {
  /** A key of the store for each. */
  keysOf(object: T): readonly string[];
}

/** The object of a write has what another server has just given away. Nothing was written. */
export class ClaimedError extends Error {
  override readonly name = "ClaimedError";
  readonly keys: readonly string[];

  constructor(keys: readonly string[]) {
    super(`claimed by another writer: ${keys.join(", ")}`);
    this.keys = keys;
  }
}

/** Objects that are taken from the store, or made into events, in one go. */
const pageSize = 500;
/** Events of an initial state that are made in one go: objects may have to be encoded for them, while others wait. */
const initialPageSize = 32;
const loadPageSize = 2_000;
/** A watch that asks for more of the past than this is better served by a new list. */
const longestReplay = 50_000;
const bookmarkIntervalMs = 60_000;

export class WatchCache<T extends Versioned> {
  readonly prefix: string;
  readonly #end: string;
  readonly #options: WatchCacheOptions<T>;
  readonly #store: Store;
  readonly #codec: Codec<T>;
  readonly #clock: Clock;
  readonly #dispatch: WatchDispatch<T>;
  readonly #indices: [name: string, indexedBy: (object: T) => string | undefined, Map<string, Set<string>>][];
  #loading: Promise<void> | undefined;
  #ready = false;
  #failure: Error | undefined;
  #storeWatch: Watch | undefined;
  #map = OrderedMap.empty<CachedEntry<T>>();
  #window: EventWindow<T>;
  #revision: Revision = 0;
  /** Objects on their way through the store, by the revision they got. */
  readonly #handedOver = new Map<Revision, { object: T; bytes: Buffer }>();
  /** The newest decided but not yet committed state of keys. */
  readonly #decided = new Map<string, { object: T; modRevision: Revision }>();
  #undispatched: ChangeRecord<T>[] = [];
  #waiters: { revision: Revision; resolve: () => void }[] = [];
  /** Past states that are being paged through, newest last. */
  #snapshots: { revision: Revision; map: OrderedMap<CachedEntry<T>> }[] = [];
  /** Lists of the present state, as they were last answered. */
  readonly #pages = new Map<string, Omit<ListPage<T>, "revision">>();
  #bookmarkTimer: Timer | undefined;

  constructor(options: WatchCacheOptions<T>) {
    this.#options = options;
    this.prefix = options.prefix;
    this.#end = prefixEnd(options.prefix)!;
    this.#store = options.store;
    this.#codec = options.codec;
    this.#clock = options.clock;
    this.#window = this.#windowFrom(0);
    this.#dispatch = new WatchDispatch(options.indices ?? {}, (record) => this.#depart(record));
    this.#indices = Object.entries(options.indices ?? {}).map(([name, indexedBy]) => [name, indexedBy, new Map()]);
  }

  /** Loads the prefix from the store on the first call; every call resolves when that is done; after a failure the next one tries again. All else throws before. */
  ready(): Promise<void> {
    this.#loading ??= this.#load().catch((error) => {
      this.#loading = undefined;
      throw error;
    });
    return this.#loading;
  }

  /** Whether `ready()` has resolved: saves the hot path an await. Turns false while a shared store's state is loaded anew. */
  get isReady(): boolean {
    return this.#ready;
  }

  /** The store's revision that the cache shows: everything up to it is in, whichever resource it was of. The resourceVersion of a list. */
  get revision(): Revision {
    return this.#revision;
  }

  /** Whether other servers may claim what objects of this one have: writes may be rejected with ClaimedError. */
  get hasRivals(): boolean {
    return this.#options.claims !== undefined && this.#store.isShared;
  }

  /** How many objects there are. */
  get size(): number {
    return this.#map.size;
  }

  /** Resolves when the cache shows `revision` or a later one (at once, as a rule). Rejects with the signal's reason. */
  reached(revision: Revision, signal?: AbortSignal): Promise<void> {
    if (revision <= this.#revision) return Promise.resolve();
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const waiter = {
        revision,
        resolve: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      const onAbort = () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(signal?.reason);
      };
      this.#waiters.push(waiter);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Resolves when the cache shows everything that was written before the call, by whichever process. At once, unless the store is shared. */
  async fresh(signal?: AbortSignal): Promise<void> {
    if (this.#store.isShared) await this.reached(await this.#store.newestRevision(), signal);
  }

  get(key: string): Entry<T> | undefined {
    this.#assertReady();
    return this.#map.get(key);
  }

  /**
   * The base for an optimistic update: the newest decided state of the key, which may not be durable yet. Building on it
   * saves a round of conflict, and is safe because a write that builds on another is never acknowledged before it.
   * Never show it to a client. A deletion that is under way does not show; a write that builds on the deleted conflicts.
   */
  newest(key: string): { readonly object: T; readonly modRevision: Revision } | undefined {
    this.#assertReady();
    return this.#decided.get(key) ?? this.#map.get(key);
  }

  /** Rejects with CompactedError or FutureRevisionError when `revision` is given and cannot be shown. */
  async list(request: ListRequest<T> = {}): Promise<ListPage<T>> {
    this.#assertReady();
    const revision = request.revision ?? this.#revision;
    if (revision > this.#revision) throw new FutureRevisionError(this.#revision);
    const map = this.#snapshotAt(revision);
    if (!map) return this.#listFromStore(request, revision);
    const { limit = Number.POSITIVE_INFINITY, selection } = request;
    const from = this.#from(request);
    const to = this.#to(request);
    const id = map === this.#map ? `${from}\0${to}\0${limit}\0${selection?.id ?? ""}` : undefined;
    const same = id === undefined ? undefined : this.#pages.get(id);
    if (same) return { ...same, revision };
    const page = this.#page(map, from, to, limit, selection);
    if (page.next !== undefined) this.#remember(revision, map);
    if (id !== undefined) {
      if (this.#pages.size === 8) this.#pages.delete(this.#pages.keys().next().value!);
      this.#pages.set(id, page);
    }
    return { ...page, revision };
  }

  #page(
    map: OrderedMap<CachedEntry<T>>,
    from: string,
    to: string,
    limit: number,
    selection: Selection<T> | undefined,
  ): Omit<ListPage<T>, "revision"> {
    const entries: CachedEntry<T>[] = [];
    let next: string | undefined;
    const visit = (entry: CachedEntry<T>) => {
      // A full page has a next one while there are objects, selected or not: whether any is to follow is for that page to find.
      if (entries.length >= limit) {
        next = entry.key;
        return false;
      }
      if (!selection || selection.matches(entry.object)) entries.push(entry);
      return true;
    };
    const candidates = map === this.#map ? this.#candidates(selection) : undefined;
    if (candidates) for (const entry of candidates) if (entry.key >= from && entry.key < to && !visit(entry)) break;
    if (!candidates) map.scan(from, to, visit);
    if (next === undefined) return { entries, ...(selection ? {} : { remaining: 0 }) };
    return { entries, next, ...(selection ? {} : { remaining: map.count(next, to) }) };
  }

  /**
   * Every event once, in revision order. `selection` turns MODIFIED into ADDED or DELETED where an object enters or leaves it.
   * Delivery begins with the first `resume()`. Rejects with CompactedError.
   */
  async watch(request: WatchRequest<T>, sink: WatchSink<T>): Promise<CacheWatch> {
    this.#assertReady();
    const scope = { keyPrefix: request.keyPrefix ?? this.prefix, selection: request.selection };
    const { start } = request;
    const replayed: ChangeRecord<T>[] = [];
    let reached = start.kind === "after" ? start.revision : this.#revision;
    // What the window no longer holds is read back from the store; the window moves on meanwhile.
    while (reached < this.#window.start) {
      const upTo = this.#window.start;
      for (const event of await this.#eventsFromStore(reached, upTo)) replayed.push(this.#recordOf(event));
      this.#assertReady();
      if (replayed.length > longestReplay) throw new CompactedError(this.#window.start);
      reached = upTo;
    }
    // From here on nothing awaits: what the watcher is given of the past and what comes meet without a gap.
    let past: Iterator<Batch<T>> | undefined;
    if (start.kind === "initial") past = this.#initialEvents(scope, start.bookmark);
    if (start.kind === "after" && reached < this.#revision) replayed.push(...this.#window.after(reached));
    if (replayed.length > 0) past = this.#dispatch.replay(scope, replayed);
    const watcher = new Watcher<T>({
      sink,
      past,
      after: start.kind === "after" ? Math.max(start.revision, this.#revision) : this.#revision,
      wantsBookmarks: request.bookmarks ?? false,
      bufferEvents: request.bufferEvents ?? 5_000,
      now: () => this.#revision,
      leave: (leaving) => this.#dispatch.remove(leaving),
    });
    this.#dispatch.add(scope, watcher);
    if (watcher.wantsBookmarks) this.#armBookmarks();
    return watcher;
  }

  /**
   * Writes a key that must not exist. The object passes into the cache's hands, which sets its resourceVersion and freezes
   * it: do not touch it afterwards (when `ok` is false it is still yours, untouched). Rejects when durability cannot be had.
   */
  create(key: string, object: T): Promise<WriteOutcome<T>> {
    return this.#put(key, object, 0);
  }

  /**
   * Replaces the state at revision `expected`; `undefined` for whichever, or none. The object passes over as in `create`; parts of it
   * may be shared with the frozen object before. An update that changes nothing writes nothing and yields the current entry.
   */
  async update(key: string, object: T, expected: Revision | undefined): Promise<WriteOutcome<T>> {
    this.#assertReady();
    const current = this.#map.get(key);
    const isNewest = current !== undefined && !this.#decided.has(key);
    if (
      isNewest &&
      (expected === undefined || expected === current.modRevision) &&
      sameObject(current.object, object)
    ) {
      return { ok: true, entry: current };
    }
    return this.#put(key, object, expected);
  }

  /** Removes the key; `ok` is false without `current` when it does not exist. */
  async delete(key: string, expected?: Revision): Promise<WriteOutcome<T>> {
    this.#assertReady();
    const claims = this.#claimsOf(key, undefined);
    return this.#outcome(key, await this.#store.write({ kind: "delete", key, expected, ...claims }));
  }

  /** Ends all watches with `closed`. The store stays open. */
  close(): void {
    this.#shut(new Error(`the watch cache of ${this.prefix} is closed`), { kind: "closed" });
  }

  async #put(key: string, object: T, expected: Revision | undefined): Promise<WriteOutcome<T>> {
    this.#assertReady();
    let given: Revision | undefined;
    const claims = this.#claimsOf(key, object);
    const value = (revision: Revision) => {
      const { resourceVersion } = object.metadata;
      object.metadata.resourceVersion = String(revision);
      const bytes = this.#codec.encoder.encode(object);
      if (revision === 0) {
        // The engine decides later: the object stays the caller's, and is read back when it comes.
        object.metadata.resourceVersion = resourceVersion;
        return bytes;
      }
      given = revision;
      deepFreeze(object);
      this.#handedOver.set(revision, { object, bytes });
      this.#decided.set(key, { object, modRevision: revision });
      return bytes;
    };
    try {
      return await this.#outcome(key, await this.#store.write({ kind: "put", key, value, expected, ...claims }));
    } catch (error) {
      if (given !== undefined) {
        // The revision may have been given again since: only what is still this write's goes.
        if (this.#handedOver.get(given)?.object === object) this.#handedOver.delete(given);
        if (this.#decided.get(key)?.object === object) this.#decided.delete(key);
      }
      throw error;
    }
  }

  /** What changes with the write if it builds on what stands here; else it fails anyway. */
  #claimsOf(key: string, next: T | undefined): { claims?: Claims } {
    const { claims } = this.#options;
    if (!claims || !this.#store.isShared) return {};
    const standing = this.#map.get(key);
    const before = standing ? claims.keysOf(standing.object) : [];
    const after = next ? claims.keysOf(next) : [];
    return {
      claims: {
        take: after.filter((claim) => !before.includes(claim)),
        give: before.filter((claim) => !after.includes(claim)),
      },
    };
  }

  async #outcome(key: string, result: WriteResult): Promise<WriteOutcome<T>> {
    if (!result.ok) {
      const { current, claimed } = result;
      if (claimed && current?.modRevision === this.#map.get(key)?.modRevision) throw new ClaimedError(claimed);
      // Somebody else may have deleted what this cache still shows: a writer who tries again must not find it.
      if (!current && this.#store.isShared) await this.fresh();
      if (!current) return { ok: false, current: undefined };
      await this.reached(current.modRevision);
      const entry = this.#map.get(key);
      return { ok: false, current: entry?.modRevision === current.modRevision ? entry : this.#decoded(current) };
    }
    if (this.#revision < result.revision) await this.reached(result.revision);
    const entry = this.#map.get(key);
    if (entry?.modRevision === result.revision) return { ok: true, entry };
    // Deleted, or changed again since.
    const written = result.revision > this.#window.start ? this.#window.after(result.revision - 1)[0] : undefined;
    if (written?.revision === result.revision) return { ok: true, entry: written.current ?? this.#depart(written) };
    const stored = await this.#changeFromStore(result.revision);
    return { ok: true, entry: stored.current ?? this.#depart(stored) };
  }

  async #load(): Promise<void> {
    const values: CachedEntry<T>[] = [];
    let revision: Revision | undefined;
    for (let from = this.prefix; ; from = `${values.at(-1)!.key}\0`) {
      const page = await this.#store.range(from, this.#end, { revision, limit: loadPageSize });
      revision = page.revision;
      for (const stored of page.values) values.push(this.#decoded(stored));
      if (page.remaining === 0 || page.values.length === 0) break;
    }
    this.#map = OrderedMap.fromSorted(values);
    for (const entry of values) this.#reindex(entry.key, undefined, entry);
    this.#revision = revision!;
    this.#window = this.#windowFrom(this.#revision);
    this.#storeWatch = this.#store.watch(
      this.prefix,
      this.#revision,
      (events, seen) => this.#apply(events, seen),
      (error) => this.#startOver(error),
    );
    this.#ready = true;
    this.#wake();
  }

  /** The store cannot say what happened since: whoever watches must list again, and everything is loaded anew. */
  #startOver(error: Error): void {
    this.#ready = false;
    this.#loading = undefined;
    this.#undispatched = [];
    this.#decided.clear();
    this.#handedOver.clear();
    this.#pages.clear();
    this.#snapshots = [];
    for (const [, , keysByValue] of this.#indices) keysByValue.clear();
    const watchers = this.#dispatch.watchers();
    queueMicrotask(() => {
      for (const watcher of watchers) watcher.end({ kind: "failed", error });
    });
    // Should it fail, the next reader tries again.
    this.ready().catch(() => {});
  }

  /** Takes over what the store committed. Runs inside the store's publication, so it only changes state; telling others comes after. */
  #apply(events: readonly StoreEvent[], seen: Revision): void {
    if (this.#failure) return;
    const now = events.length > 0 ? this.#clock.now() : 0;
    if (events.length > 0) this.#pages.clear();
    for (const event of events) {
      const key = event.kind === "put" ? event.current.key : event.key;
      const previous = this.#map.get(key);
      let current: CachedEntry<T> | undefined;
      if (event.kind === "put") {
        try {
          current = this.#arrived(event.current);
        } catch (error) {
          this.#fail(error);
          return;
        }
        this.#map = this.#map.set(current);
      } else {
        this.#map = this.#map.delete(key);
      }
      if (this.#decided.get(key)?.modRevision === event.revision) this.#decided.delete(key);
      this.#reindex(key, previous, current);
      const record: ChangeRecord<T> = { revision: event.revision, key, current, previous, departed: undefined };
      this.#window.add(record, now);
      if (this.#dispatch.isEmpty) continue;
      if (this.#undispatched.push(record) === 1) queueMicrotask(() => this.#dispatchPending());
    }
    this.#revision = Math.max(this.#revision, seen);
    while (this.#snapshots.length > 0 && this.#snapshots[0]!.revision < this.#window.start) this.#snapshots.shift();
    if (this.#waiters.length > 0) this.#wake();
  }

  #windowFrom(revision: Revision): EventWindow<T> {
    return new EventWindow(revision, this.#options.window, (entry) => entry.release());
  }

  #arrived(stored: StoredValue): CachedEntry<T> {
    const handed = this.#handedOver.get(stored.modRevision);
    if (!handed) return this.#decoded(stored);
    this.#handedOver.delete(stored.modRevision);
    const entry = new CachedEntry(
      stored.key,
      handed.object,
      stored.modRevision,
      handed.bytes.length,
      this.#options.budget,
    );
    entry.keep(this.#codec.encoder, handed.bytes);
    return entry;
  }

  #decoded({ key, value, modRevision }: StoredValue): CachedEntry<T> {
    let object: T;
    try {
      object = this.#codec.decode(value, key);
    } catch (error) {
      throw new Error(`read ${key} at revision ${modRevision}: ${(error as Error).message}`, { cause: error });
    }
    object.metadata.resourceVersion = String(modRevision);
    return new CachedEntry(key, deepFreeze(object), modRevision, value.length, this.#options.budget);
  }

  #depart(record: ChangeRecord<T>): CachedEntry<T> {
    if (record.departed) return record.departed;
    const { key, object, weight } = record.previous!;
    const metadata = Object.freeze({ ...object.metadata, resourceVersion: String(record.revision) });
    const last = Object.freeze({ ...object, metadata });
    record.departed = new CachedEntry(key, last, record.revision, weight, this.#options.budget);
    return record.departed;
  }

  #reindex(key: string, previous: CachedEntry<T> | undefined, current: CachedEntry<T> | undefined): void {
    for (const [, indexedBy, keysByValue] of this.#indices) {
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

  /** The current entries that a selection's index names, in key order; undefined without an index. */
  #candidates(selection: Selection<T> | undefined): CachedEntry<T>[] | undefined {
    if (!selection?.index) return undefined;
    const { name, value } = selection.index;
    const index = this.#indices.find(([indexName]) => indexName === name);
    if (!index) return undefined;
    return [...(index[2].get(value) ?? [])].sort().map((key) => this.#map.get(key)!);
  }

  #dispatchPending(): void {
    const records = this.#undispatched;
    this.#undispatched = [];
    if (!this.#failure) this.#dispatch.dispatch(records);
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = waiters.filter((waiter) => waiter.revision > this.#revision);
    for (const waiter of waiters) if (waiter.revision <= this.#revision) waiter.resolve();
  }

  /** The state at a revision that the window reaches back to; undefined when it does not. */
  #snapshotAt(revision: Revision): OrderedMap<CachedEntry<T>> | undefined {
    const remembered = this.#snapshots.find((snapshot) => snapshot.revision === revision);
    if (remembered) return remembered.map;
    if (revision < this.#window.start) return undefined;
    const undo = this.#window.after(revision).reverse();
    if (undo.length === 0) return this.#map;
    let map = this.#map;
    for (const { key, previous } of undo) map = previous ? map.set(previous) : map.delete(key);
    this.#remember(revision, map);
    return map;
  }

  #remember(revision: Revision, map: OrderedMap<CachedEntry<T>>): void {
    if (this.#snapshots.some((snapshot) => snapshot.revision === revision)) return;
    if (this.#snapshots.length === 8) this.#snapshots.shift();
    this.#snapshots.push({ revision, map });
    this.#snapshots.sort((a, b) => a.revision - b.revision);
  }

  async #listFromStore(request: ListRequest<T>, revision: Revision): Promise<ListPage<T>> {
    const { limit = Number.POSITIVE_INFINITY, selection } = request;
    const to = this.#to(request);
    const entries: Entry<T>[] = [];
    for (let from = this.#from(request); ; ) {
      const page = await this.#store.range(from, to, { revision, limit: Math.min(limit + 1, pageSize) });
      for (const [i, stored] of page.values.entries()) {
        const entry = this.#decoded(stored);
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

  #from(request: ListRequest<T>): string {
    const start = request.keyPrefix ?? this.prefix;
    return request.from !== undefined && request.from > start ? request.from : start;
  }

  #to(request: ListRequest<T>): string {
    return request.keyPrefix === undefined ? this.#end : prefixEnd(request.keyPrefix)!;
  }

  /** The present state as it is at this call, made into events only as fast as they are taken. */
  #initialEvents({ keyPrefix, selection }: Scope<T> & { keyPrefix: string }, bookmark: boolean): Generator<Batch<T>> {
    const candidates = this.#candidates(selection)?.filter((entry) => entry.key.startsWith(keyPrefix));
    const source = candidates ? OrderedMap.fromSorted(candidates) : this.#map;
    return initialBatches(source, keyPrefix, selection, bookmark ? this.#revision : undefined);
  }

  #eventsFromStore(after: Revision, upTo: Revision): Promise<StoreEvent[]> {
    return new Promise((resolve) => {
      const events: StoreEvent[] = [];
      const watch: Watch = this.#store.watch(this.prefix, after, (batch, seen) => {
        for (const event of batch) if (event.revision <= upTo) events.push(event);
        if (seen < upTo) return;
        watch.stop();
        resolve(events);
      });
    });
  }

  async #changeFromStore(revision: Revision): Promise<ChangeRecord<T>> {
    const [event] = await this.#eventsFromStore(revision - 1, revision);
    return this.#recordOf(event!);
  }

  #recordOf(event: StoreEvent): ChangeRecord<T> {
    return {
      revision: event.revision,
      key: event.kind === "put" ? event.current.key : event.key,
      current: event.kind === "put" ? this.#decoded(event.current) : undefined,
      previous: event.previous && this.#decoded(event.previous),
      departed: undefined,
    };
  }

  /** One timer for all, and none when nobody wants bookmarks. */
  #armBookmarks(): void {
    this.#bookmarkTimer ??= this.#clock.setTimer(
      bookmarkIntervalMs,
      () => {
        this.#bookmarkTimer = undefined;
        const watchers = this.#dispatch.watchers().filter((watcher) => watcher.wantsBookmarks);
        if (watchers.length === 0 || this.#failure) return;
        const batch = new Batch<T>([{ type: "BOOKMARK", revision: this.#revision, initialEventsEnd: false }]);
        for (const watcher of watchers) watcher.offerBookmark(batch);
        this.#armBookmarks();
      },
      { background: true },
    );
  }

  #assertReady(): void {
    if (this.#failure) throw this.#failure;
    if (!this.#ready) throw new Error(`the watch cache of ${this.prefix} is used before it is ready`);
  }

  #fail(error: unknown): void {
    const failure = error instanceof Error ? error : new Error(String(error));
    this.#shut(failure, { kind: "failed", error: failure });
  }

  #shut(failure: Error, end: WatchEnd): void {
    if (this.#failure) return;
    this.#failure = failure;
    this.#storeWatch?.stop();
    this.#bookmarkTimer?.[Symbol.dispose]();
    // Not within the store's publication: sinks may do anything.
    const watchers = this.#dispatch.watchers();
    queueMicrotask(() => {
      for (const watcher of watchers) watcher.end(end);
    });
  }
}

function* initialBatches<T>(
  source: OrderedMap<CachedEntry<T>>,
  keyPrefix: string,
  selection: Selection<T> | undefined,
  bookmark: Revision | undefined,
): Generator<Batch<T>> {
  const to = prefixEnd(keyPrefix);
  for (let from: string | undefined = keyPrefix; from !== undefined; ) {
    const events: SharedEvent<T>[] = [];
    let last = "";
    let visited = 0;
    source.scan(from, to, (entry) => {
      if (!selection || selection.matches(entry.object)) {
        events.push(new SharedEvent("ADDED", entry.modRevision, entry));
      }
      last = entry.key;
      return ++visited < initialPageSize;
    });
    if (events.length > 0) yield new Batch(events);
    from = visited === initialPageSize ? `${last}\0` : undefined;
  }
  if (bookmark !== undefined) yield new Batch<T>([{ type: "BOOKMARK", revision: bookmark, initialEventsEnd: true }]);
}

/** The same but for the resourceVersion, which the server sets. */
function sameObject(a: Versioned, b: Versioned): boolean {
  const { metadata: left, ...restA } = a;
  const { metadata: right, ...restB } = b;
  const resourceVersion = undefined;
  return sameJson({ ...left, resourceVersion }, { ...right, resourceVersion }) && sameJson(restA, restB);
}
