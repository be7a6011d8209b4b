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
import { CacheIndices } from "./cache-indices.ts";
import type { CachedEntry } from "./cached-entry.ts";
import { sameJson } from "./deep.ts";
import type { Codec, WatchEventType } from "./encoding.ts";
import { EntryMaker } from "./entry-maker.ts";
import { type ChangeRecord, EventWindow } from "./event-window.ts";
import { initialBatches } from "./initial-batches.ts";
import { OrderedMap, type OrderedMapDraft, prefixEnd } from "./ordered-map.ts";
import { PastStates } from "./past-states.ts";
import { RevisionGate } from "./revision-gate.ts";
import {
  type Claims,
  CompactedError,
  FutureRevisionError,
  type Revision,
  type Store,
  type StoreEvent,
  type Watch,
  type WriteResult,
} from "./store.ts";
import { StoreHistory } from "./store-history.ts";
import {
  type CacheEvent,
  type CacheWatch,
  ClaimedError,
  type Entry,
  type ListPage,
  type ListRequest,
  type ObjectEvent,
  type Scope,
  type Selection,
  type Versioned,
  type WatchBatch,
  type WatchCacheOptions,
  type WatchEnd,
  type WatchRequest,
  type WatchSink,
  type WriteOutcome,
} from "./watch-cache-contract.ts";
import { Batch, SharedEvent, WatchDispatch, Watcher } from "./watch-dispatch.ts";

/** Objects that are taken from the store in one go. */
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
  readonly #entries: EntryMaker<T>;
  readonly #history: StoreHistory<T>;
  readonly #dispatch: WatchDispatch<T>;
  readonly #indices: CacheIndices<T>;
  #loading: Promise<void> | undefined;
  #ready = false;
  #failure: Error | undefined;
  #storeWatch: Watch | undefined;
  #map = OrderedMap.empty<CachedEntry<T>>();
  #bytes = 0;
  #window: EventWindow<T>;
  #revision: Revision = 0;
  /** The newest decided but not yet committed state of keys. */
  readonly #decided = new Map<string, { object: T; modRevision: Revision }>();
  #undispatched: ChangeRecord<T>[] = [];
  readonly #gate = new RevisionGate();
  readonly #past = new PastStates<T>();
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
    this.#entries = new EntryMaker(options.codec, options.budget);
    this.#history = new StoreHistory(options.store, options.prefix, this.#entries);
    this.#dispatch = new WatchDispatch(options.indices ?? {}, (record) => this.#entries.departed(record));
    this.#indices = new CacheIndices(options.indices);
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

  /** Of the objects' stored bytes; 0 without objects. */
  get averageBytes(): number {
    return this.#map.size === 0 ? 0 : this.#bytes / this.#map.size;
  }

  /** Resolves when the cache shows `revision` or a later one (at once, as a rule). Rejects with the signal's reason. */
  reached(revision: Revision, signal?: AbortSignal): Promise<void> {
    return this.#gate.reached(revision, signal);
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
    // What the store has forgotten is not shown from memory either: a client's pages end at the same time wherever they come from.
    if (revision < this.#revision && revision < this.#store.compactRevision) {
      throw new CompactedError(this.#store.compactRevision);
    }
    const map = this.#past.at(revision, this.#map, this.#window);
    const { limit = Number.POSITIVE_INFINITY, selection } = request;
    const from = this.#from(request);
    const to = this.#to(request);
    if (!map) return this.#history.list(from, to, revision, limit, selection);
    const id = map === this.#map ? `${from}\0${to}\0${limit}\0${selection?.id ?? ""}` : undefined;
    const same = id === undefined ? undefined : this.#pages.get(id);
    if (same) return { ...same, revision };
    const page = this.#page(map, from, to, limit, selection);
    if (page.next !== undefined) this.#past.remember(revision, map);
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
      for (const record of await this.#history.changes(reached, upTo)) replayed.push(record);
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

  /** An event beside the cache's own, for who selects by himself. DELETED: `entry` is the state before, and gets the revision. */
  eventOf(type: WatchEventType, entry: Entry<T>, revision: Revision): ObjectEvent<T> {
    const previous = entry as CachedEntry<T>;
    if (type !== "DELETED") return new SharedEvent(type, revision, previous);
    const record = { revision, key: entry.key, current: undefined, previous, departed: undefined };
    return new SharedEvent(type, revision, this.#entries.departed(record));
  }

  batchOf(events: readonly CacheEvent<T>[]): WatchBatch<T> {
    return new Batch(events);
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
      this.#entries.handOver(revision, object, bytes);
      this.#decided.set(key, { object, modRevision: revision });
      return bytes;
    };
    try {
      return await this.#outcome(key, await this.#store.write({ kind: "put", key, value, expected, ...claims }));
    } catch (error) {
      if (given !== undefined) {
        this.#entries.takeBack(given, object);
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
      return {
        ok: false,
        current: entry?.modRevision === current.modRevision ? entry : this.#entries.decoded(current),
      };
    }
    if (this.#revision < result.revision) await this.reached(result.revision);
    const entry = this.#map.get(key);
    if (entry?.modRevision === result.revision) return { ok: true, entry };
    // Deleted, or changed again since.
    const written = result.revision > this.#window.start ? this.#window.after(result.revision - 1)[0] : undefined;
    if (written?.revision === result.revision)
      return { ok: true, entry: written.current ?? this.#entries.departed(written) };
    const stored = await this.#history.change(result.revision);
    return { ok: true, entry: stored.current ?? this.#entries.departed(stored) };
  }

  async #load(): Promise<void> {
    const values: CachedEntry<T>[] = [];
    let revision: Revision | undefined;
    for (let from = this.prefix; ; from = `${values.at(-1)!.key}\0`) {
      const page = await this.#store.range(from, this.#end, { revision, limit: loadPageSize });
      revision = page.revision;
      for (const stored of page.values) values.push(this.#entries.decoded(stored));
      if (page.remaining === 0 || page.values.length === 0) break;
    }
    this.#map = OrderedMap.fromSorted(values);
    this.#bytes = values.reduce((sum, { weight }) => sum + weight, 0);
    for (const entry of values) this.#indices.update(entry.key, undefined, entry);
    this.#revision = revision!;
    this.#window = this.#windowFrom(this.#revision);
    this.#storeWatch = this.#store.watch(
      this.prefix,
      this.#revision,
      (events, seen) => this.#apply(events, seen),
      (error) => this.#startOver(error),
    );
    this.#ready = true;
    this.#gate.advance(this.#revision);
  }

  /** The store cannot say what happened since: whoever watches must list again, and everything is loaded anew. */
  #startOver(error: Error): void {
    this.#ready = false;
    this.#loading = undefined;
    this.#undispatched = [];
    this.#decided.clear();
    this.#entries.clear();
    this.#pages.clear();
    this.#past.clear();
    this.#indices.clear();
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
    if (events.length > 0) {
      this.#pages.clear();
      try {
        this.#map = this.#map.change((draft) => this.#takeOver(events, draft));
      } catch (error) {
        this.#fail(error);
        return;
      }
    }
    this.#revision = Math.max(this.#revision, seen);
    this.#past.forgetBefore(this.#window.start);
    this.#gate.advance(this.#revision);
  }

  /** Throws on bytes that cannot be read. */
  #takeOver(events: readonly StoreEvent[], objects: OrderedMapDraft<CachedEntry<T>>): void {
    const now = this.#clock.now();
    for (const event of events) {
      const key = event.kind === "put" ? event.current.key : event.key;
      const previous = objects.get(key);
      let current: CachedEntry<T> | undefined;
      if (event.kind === "put") {
        current = this.#entries.arrived(event.current);
        objects.set(current);
      } else objects.delete(key);
      this.#bytes += (current?.weight ?? 0) - (previous?.weight ?? 0);
      if (this.#decided.get(key)?.modRevision === event.revision) this.#decided.delete(key);
      this.#indices.update(key, previous, current);
      const record: ChangeRecord<T> = { revision: event.revision, key, current, previous, departed: undefined };
      this.#window.add(record, now);
      if (this.#dispatch.isEmpty) continue;
      if (this.#undispatched.push(record) === 1) queueMicrotask(() => this.#dispatchPending());
    }
  }

  #windowFrom(revision: Revision): EventWindow<T> {
    return new EventWindow(revision, this.#options.window, (entry) => entry.release());
  }

  /** The current entries that a selection's index names, in key order; undefined without an index. */
  #candidates(selection: Selection<T> | undefined): CachedEntry<T>[] | undefined {
    return this.#indices.keysOf(selection)?.map((key) => this.#map.get(key)!);
  }

  #dispatchPending(): void {
    const records = this.#undispatched;
    this.#undispatched = [];
    if (!this.#failure) this.#dispatch.dispatch(records);
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

/** The same but for the resourceVersion, which the server sets. */
function sameObject(a: Versioned, b: Versioned): boolean {
  const { metadata: left, ...restA } = a;
  const { metadata: right, ...restB } = b;
  const resourceVersion = undefined;
  return sameJson({ ...left, resourceVersion }, { ...right, resourceVersion }) && sameJson(restA, restB);
}
