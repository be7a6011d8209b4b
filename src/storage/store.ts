/**
 * The contract of durable state, with etcd's semantics (one store, many engines).
 *
 * One revision grows by one with each committed transaction. A key remembers the revision of its creation and of its last change.
 * Every engine passes store.conformance.ts.
 */

/** The store's global counter. 53 bits are enough for 285 years at a million writes a second. */
export type Revision = number;

export interface StoredValue {
  key: string;
  /** The encoded object. Never changed after it was handed out. */
  value: Uint8Array;
  createRevision: Revision;
  modRevision: Revision;
}

export type StoreEvent =
  | { kind: "put"; revision: Revision; current: StoredValue; previous: StoredValue | undefined }
  | { kind: "delete"; revision: Revision; key: string; previous: StoredValue };

export interface RangeResult {
  values: StoredValue[];
  /** The revision the range shows: the requested one, or the newest. */
  revision: Revision;
  /** Keys of the range beyond `limit`. */
  remaining: number;
}

/**
 * The bytes to store, or a function that makes them from the revision they are about to get. It is called at most once,
 * during the call of `write`, and only when the compare-and-swap holds; it must not call the store. An engine that learns
 * both only afterwards calls it with 0, in any case: readers trust `modRevision`, never what stands in the bytes.
 */
export type WriteValue = Uint8Array | ((revision: Revision) => Uint8Array);

/** One compare-and-swap. `expected` is the key's mod revision, 0 for "does not exist", undefined for "whatever it is". */
export type Write =
  | { kind: "put"; key: string; value: WriteValue; expected?: Revision; claims?: Claims }
  | { kind: "delete"; key: string; expected?: Revision; claims?: Claims };

/**
 * Keys that come to be and go in the same transaction, for what must be had once among all who share the store: the write
 * fails when one that it takes is there. A store with a single process may leave them alone: that process knows.
 */
export interface Claims {
  take: readonly string[];
  give: readonly string[];
}

export type WriteResult =
  /** Durable. `previous` is what the write replaced or removed; read its value at once, or it may have been compacted. */
  | { ok: true; revision: Revision; previous: StoredValue | undefined }
  /**
   * Nothing was written. `current` is what stands there: `expected` did not match it, or others hold what is listed in
   * `claimed`. A delete of a missing key ends here too, with no current.
   */
  | { ok: false; current: StoredValue | undefined; claimed?: readonly string[] };

export interface Watch extends AsyncDisposable {
  /** Ends delivery. No callback runs after it returns. */
  stop(): void;
}

export interface Store {
  /** The newest committed revision. Every watcher that had caught up has been told of it. */
  readonly revision: Revision;
  /** History before it is forgotten. What another process has compacted may not be known yet. */
  readonly compactRevision: Revision;
  /** Whether other processes write to it too: then `revision` may be behind, and `newestRevision()` asks. */
  readonly isShared: boolean;
  /** The newest revision there is, wherever it was written. */
  newestRevision(): Promise<Revision>;
  get(key: string): Promise<StoredValue | undefined>;
  /**
   * Keys in [`from`, `to`) in byte order, at most `limit`.
   * At an older `revision` it shows the keys as they were; throws CompactedError when that is gone, FutureRevisionError when it has not come.
   */
  range(from: string, to: string, options?: { revision?: Revision; limit?: number }): Promise<RangeResult>;
  /**
   * Resolves when the write is durable (concurrent writes share one flush). Watchers see it no earlier than that, and
   * those that had caught up see it before the promise resolves.
   * Rejects when it cannot be known to be durable (disk full, closed). An embedded engine then shows nothing of it; behind
   * a network it may yet turn out to have happened.
   */
  write(write: Write): Promise<WriteResult>;
  /**
   * Every event with a revision greater than `after` on keys starting with `prefix`, in revision order, none lost, none twice.
   * Throws CompactedError when `after` lies before what is kept. `onEvents` is called with batches, must not block and
   * must not throw. Its `revision` tells how far the watch has seen: with no events of its own it still advances, so it is
   * called (perhaps with none) when what lay in the past has been delivered. `onLost` ends the watch when the engine lost
   * the thread (a remote store compacted what was missed while it was out of reach): read everything anew.
   */
  watch(
    prefix: string,
    after: Revision,
    onEvents: (events: readonly StoreEvent[], revision: Revision) => void,
    onLost?: (error: Error) => void,
  ): Watch;
  /** Forgets history before `revision`. Values that are current stay. */
  compact(revision: Revision): Promise<void>;
  close(): Promise<void>;
}

/** The asked-for revision lies before the last compaction. */
export class CompactedError extends Error {
  readonly compactRevision: Revision;
  constructor(compactRevision: Revision) {
    super(`required revision has been compacted; the oldest kept is ${compactRevision}`);
    this.name = "CompactedError";
    this.compactRevision = compactRevision;
  }
}

/** The asked-for revision has not been reached yet. */
export class FutureRevisionError extends Error {
  readonly revision: Revision;
  constructor(revision: Revision) {
    super(`required revision is a future revision; the newest is ${revision}`);
    this.name = "FutureRevisionError";
    this.revision = revision;
  }
}
