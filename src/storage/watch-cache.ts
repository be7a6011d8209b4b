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
import type { Clock } from "../base/clock.ts";
import type { Codec, Encoder, WatchEventType } from "./encoding.ts";
import type { EncodingBudget } from "./encoding-budget.ts";
import type { Revision, Store } from "./store.ts";

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
  /** In key order. */
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
  /** Everything after this revision. */
  | { kind: "after"; revision: Revision };

export interface WatchRequest<T> extends Scope<T> {
  start: WatchStart;
  /** Wants a bookmark about once a minute. */
  bookmarks?: boolean;
  /** How many undelivered events may wait while the sink is held back, beside the initial ones. Default 1,000 (and all of one batch). */
  bufferEvents?: number;
}

export interface ObjectEvent<T> {
  readonly type: WatchEventType;
  readonly revision: Revision;
  /** For DELETED: the last state, with the revision of its end as resourceVersion. */
  readonly entry: Entry<T>;
  /** The frame for clients, written once for all watchers. */
  frame(encoder: Encoder<T>): Buffer;
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
}

export class WatchCache<T extends Versioned> {
  readonly prefix: string;

  constructor(options: WatchCacheOptions<T>) {
    this.prefix = options.prefix;
  }

  /** Loads the prefix from the store on the first call; every call resolves when that is done. All else throws before. */
  ready(): Promise<void> {
    throw new Error("not written yet");
  }

  /** Whether `ready()` has resolved: saves the hot path an await. */
  get isReady(): boolean {
    throw new Error("not written yet");
  }

  /** The store's revision that the cache shows: everything up to it is in, whichever resource it was of. The resourceVersion of a list. */
  get revision(): Revision {
    throw new Error("not written yet");
  }

  /** Resolves when the cache shows `revision` or a later one (at once, as a rule). Rejects with the signal's reason. */
  reached(_revision: Revision, _signal?: AbortSignal): Promise<void> {
    throw new Error("not written yet");
  }

  get(_key: string): Entry<T> | undefined {
    throw new Error("not written yet");
  }

  /**
   * The base for an optimistic update: the newest decided state of the key, which may not be durable yet. Building on it
   * saves a round of conflict, and is safe because a write that builds on another is never acknowledged before it.
   * Never show it to a client.
   */
  newest(_key: string): { object: T; modRevision: Revision } | undefined {
    throw new Error("not written yet");
  }

  /** How many objects there are. */
  get size(): number {
    throw new Error("not written yet");
  }

  /** Rejects with CompactedError or FutureRevisionError when `revision` is given and cannot be shown. */
  list(_request?: ListRequest<T>): Promise<ListPage<T>> {
    throw new Error("not written yet");
  }

  /**
   * Every event once, in revision order. `selection` turns MODIFIED into ADDED or DELETED where an object enters or leaves it.
   * Delivery begins with the first `resume()`. Rejects with CompactedError or FutureRevisionError.
   */
  watch(_request: WatchRequest<T>, _sink: WatchSink<T>): Promise<CacheWatch> {
    throw new Error("not written yet");
  }

  /**
   * Writes a key that must not exist. The object passes into the cache's hands, which sets its resourceVersion and freezes
   * it: do not touch it afterwards (when `ok` is false it is still yours, untouched). Rejects when durability cannot be had.
   */
  create(_key: string, _object: T): Promise<WriteOutcome<T>> {
    throw new Error("not written yet");
  }

  /**
   * Replaces the state at revision `expected`; `undefined` for whichever, or none. The object passes over as in `create`; parts of it
   * may be shared with the frozen object before. An update that changes nothing writes nothing and yields the current entry.
   */
  update(_key: string, _object: T, _expected: Revision | undefined): Promise<WriteOutcome<T>> {
    throw new Error("not written yet");
  }

  /** Removes the key; `ok` is false without `current` when it does not exist. */
  delete(_key: string, _expected?: Revision): Promise<WriteOutcome<T>> {
    throw new Error("not written yet");
  }

  /** Ends all watches with `closed`. The store stays open. */
  close(): void {
    throw new Error("not written yet");
  }
}

/** The bytes of many entries with `separator` between, `head` before and `tail` after: a list's body in one copy. */
export function joinEncoded<T>(
  _entries: readonly Entry<T>[],
  _encoder: Encoder<T>,
  _head: Uint8Array,
  _separator: Uint8Array,
  _tail: Uint8Array,
): Buffer {
  throw new Error("not written yet");
}
