/** What the watch cache promises: entries, lists, watches and writes, and what it is made with. */
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
  /** How much there is of the object: the length of its stored bytes. */
  readonly weight: number;
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
  /** Of the events' objects together. */
  readonly weight: number;
  /** All frames, one after the other: joined when other watchers have the batch too, else in the pieces that there are. Never change them. */
  parts(encoder: Encoder<T>): readonly Uint8Array[];
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
