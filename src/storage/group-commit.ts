/**
 * Turns an engine that can commit a batch into a Store: decides each compare-and-swap at once in process, commits what
 * has gathered while the batch before was being flushed, then tells watchers and writers.
 *
 * A decided write is pending until its batch is durable. Later writes build on pending ones, so many updates of one key
 * share a flush; when a batch fails, everything pending falls with it, because it may build on it.
 */
import type { Clock, Timer } from "../base/clock.ts";
import {
  CompactedError,
  FutureRevisionError,
  type RangeResult,
  type Revision,
  type Store,
  type StoredValue,
  type StoreEvent,
  type Watch,
  type Write,
  type WriteResult,
} from "./store.ts";

/** What a batch changes at one revision. */
export type Change = StoreEvent;

/** A durable ordered map with history. All reads are synchronous and see what was last committed. */
export interface Engine {
  /** The revision of the last committed change; 0 at the very beginning. */
  readonly revision: Revision;
  /** History reaches back to here: a range at this revision and a watch after it are possible, not before. */
  readonly compactRevision: Revision;
  /** `value` may be read only when it is asked for, and throw then. */
  get(key: string): StoredValue | undefined;
  /** As Store.range, `revision` being one that is kept. */
  range(from: string, to: string, revision: Revision, limit: number): RangeResult;
  /** Up to `limit` changes of all keys with a revision greater than `after`, in order. */
  changes(after: Revision, limit: number): StoreEvent[];
  /** Makes the changes durable, all or none. Their revisions follow on `revision` without a gap. */
  commit(changes: readonly Change[]): Promise<void>;
  compact(revision: Revision): Promise<void>;
  /** Lets others run between the parts of long work. */
  pause(): Promise<void>;
  close(): Promise<void>;
}

/** What history is kept. A revision goes when either bound is exceeded; current values always stay. */
export interface HistoryPolicy {
  /** History younger than this stays; up to twice as old may be there. Default 5 minutes. */
  keepMs?: number;
  /** At most about so many revisions. Default 100,000. */
  maxRevisions?: number;
}

export interface GroupCommitOptions {
  clock: Clock;
  history?: HistoryPolicy;
}

interface Pending {
  change: Change;
  settle: { resolve(result: WriteResult): void; reject(error: unknown): void };
}

interface Watcher {
  prefix: string;
  after: Revision;
  onEvents: (events: readonly StoreEvent[], revision: Revision) => void;
  stopped: boolean;
}

/** One transaction takes no more than this, so that memory and latency stay bounded under any load. */
const maxBatch = 2_000;
/** Twice what the longest group, namespace and name come to. In UTF-8 still less than LMDB's limit. */
const maxKeyLength = 640;
const catchUpChunk = 500;

export class GroupCommitStore implements Store {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #keepMs: number;
  readonly #maxRevisions: number;
  #queue: Pending[] = [];
  /** The newest decided, not yet durable change of each key. */
  #pending = new Map<string, Pending>();
  #lastDecided: Revision;
  #published: Revision;
  #flushing: Promise<void> | undefined;
  readonly #watchers = new Map<string, Set<Watcher>>();
  #compactionTimer: Timer | undefined;
  #compactNext: Revision;
  #compacting: Promise<void> | undefined;
  #closed: Error | undefined;

  constructor(engine: Engine, options: GroupCommitOptions) {
    this.#engine = engine;
    this.#clock = options.clock;
    this.#keepMs = options.history?.keepMs ?? 5 * 60_000;
    this.#maxRevisions = options.history?.maxRevisions ?? 100_000;
    this.#lastDecided = engine.revision;
    this.#published = engine.revision;
    this.#compactNext = engine.revision;
  }

  get revision(): Revision {
    return this.#published;
  }

  get compactRevision(): Revision {
    return this.#engine.compactRevision;
  }

  readonly isShared = false;

  async newestRevision(): Promise<Revision> {
    return this.#published;
  }

  async get(key: string): Promise<StoredValue | undefined> {
    this.#assertOpen();
    const found = this.#engine.get(key);
    return found && { ...found, value: found.value };
  }

  async range(from: string, to: string, options: { revision?: Revision; limit?: number } = {}): Promise<RangeResult> {
    this.#assertOpen();
    const revision = options.revision ?? this.#engine.revision;
    if (revision > this.#engine.revision) throw new FutureRevisionError(this.#engine.revision);
    if (revision < this.#engine.compactRevision) throw new CompactedError(this.#engine.compactRevision);
    return this.#engine.range(from, to, revision, options.limit ?? Number.POSITIVE_INFINITY);
  }

  async write(write: Write): Promise<WriteResult> {
    if (this.#closed) throw this.#closed;
    if (write.key === "" || write.key.length > maxKeyLength)
      throw new Error(`a key has 1 to ${maxKeyLength} characters`);
    const pending = this.#pending.get(write.key);
    const current = pending ? stateAfter(pending.change) : this.#engine.get(write.key);
    const modRevision = current?.modRevision ?? 0;
    const holds = write.expected === undefined || write.expected === modRevision;
    if (!holds || (write.kind === "delete" && !current)) {
      // What it lost against must be durable before it may be shown; if that fails, the decision was wrong.
      if (!pending) return { ok: false, current };
      await this.#flushed();
      return this.write(write);
    }
    const revision = this.#lastDecided + 1;
    let change: Change;
    if (write.kind === "put") {
      const value = typeof write.value === "function" ? write.value(revision) : write.value;
      const createRevision = current?.createRevision ?? revision;
      const next: StoredValue = { key: write.key, value, createRevision, modRevision: revision };
      change = { kind: "put", revision, current: next, previous: current };
    } else {
      change = { kind: "delete", revision, key: write.key, previous: current! };
    }
    this.#lastDecided = revision;
    return new Promise((resolve, reject) => {
      const entry: Pending = { change, settle: { resolve, reject } };
      this.#queue.push(entry);
      this.#pending.set(write.key, entry);
      this.#flushing ??= this.#flush();
    });
  }

  watch(prefix: string, after: Revision, onEvents: Watcher["onEvents"]): Watch {
    this.#assertOpen();
    if (after < this.#engine.compactRevision) throw new CompactedError(this.#engine.compactRevision);
    const watcher: Watcher = { prefix, after, onEvents, stopped: false };
    if (after >= this.#published) this.#goLive(watcher);
    else void this.#catchUp(watcher);
    const stop = () => {
      watcher.stopped = true;
      const watchers = this.#watchers.get(prefix);
      watchers?.delete(watcher);
      if (watchers?.size === 0) this.#watchers.delete(prefix);
    };
    return { stop, [Symbol.asyncDispose]: async () => stop() };
  }

  async compact(revision: Revision): Promise<void> {
    this.#assertOpen();
    if (revision > this.#engine.revision) throw new FutureRevisionError(this.#engine.revision);
    if (revision <= this.#engine.compactRevision) return;
    await this.#engine.compact(revision);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = new Error("the store is closed");
    this.#compactionTimer?.[Symbol.dispose]();
    for (const watchers of this.#watchers.values()) for (const watcher of watchers) watcher.stopped = true;
    this.#watchers.clear();
    await this.#flushing;
    await this.#compacting;
    await this.#engine.close();
  }

  #assertOpen(): void {
    if (this.#closed) throw this.#closed;
  }

  /** Resolves after everything that is pending now has settled. */
  async #flushed(): Promise<void> {
    const last = this.#lastDecided;
    while (this.#flushing && this.#engine.revision < last) await this.#flushing;
  }

  async #flush(): Promise<void> {
    // Requests that came together are answered by one commit, and not the first of them by its own.
    await this.#engine.pause();
    while (this.#queue.length > 0) {
      const batch = this.#queue.length <= maxBatch ? this.#queue : this.#queue.slice(0, maxBatch);
      this.#queue = this.#queue.length <= maxBatch ? [] : this.#queue.slice(maxBatch);
      const changes = batch.map((pending) => pending.change);
      try {
        await this.#engine.commit(changes);
      } catch (error) {
        this.#failAll(batch, error);
        continue;
      }
      this.#publish(changes);
      for (const pending of batch) {
        const { change, settle } = pending;
        const key = keyOf(change);
        if (this.#pending.get(key) === pending) this.#pending.delete(key);
        settle.resolve({ ok: true, revision: change.revision, previous: change.previous });
      }
      this.#scheduleCompaction();
    }
    this.#flushing = undefined;
  }

  #failAll(batch: readonly Pending[], cause: unknown): void {
    const fallen = [...batch, ...this.#queue];
    this.#queue = [];
    this.#pending.clear();
    this.#lastDecided = this.#engine.revision;
    const reason = cause instanceof Error ? cause.message : String(cause);
    for (const { change, settle } of fallen) {
      settle.reject(new Error(`write ${keyOf(change)}: not durable, nothing was changed: ${reason}`, { cause }));
    }
  }

  #publish(changes: readonly StoreEvent[]): void {
    const revision = this.#engine.revision;
    this.#published = revision;
    // A batch is often of one kind: what its keys have in common tells most watchers at once that nothing is theirs, or all.
    const shared = sharedStart(changes);
    for (const [prefix, watchers] of this.#watchers) {
      const events = shared.startsWith(prefix)
        ? changes
        : prefix.startsWith(shared)
          ? changes.filter((change) => keyOf(change).startsWith(prefix))
          : nothing;
      for (const watcher of watchers) deliver(watcher, events, revision);
    }
  }

  #goLive(watcher: Watcher): void {
    if (watcher.stopped) return;
    const watchers = this.#watchers.get(watcher.prefix);
    if (watchers) watchers.add(watcher);
    else this.#watchers.set(watcher.prefix, new Set([watcher]));
  }

  async #catchUp(watcher: Watcher): Promise<void> {
    let seen = watcher.after;
    while (true) {
      await this.#engine.pause();
      if (watcher.stopped || this.#closed) return;
      const changes = this.#engine.changes(seen, catchUpChunk);
      // Nothing awaits between reading the last part and going live, so nothing slips through.
      const last = changes.length < catchUpChunk;
      seen = last ? this.#engine.revision : changes.at(-1)!.revision;
      const events = changes.filter((change) => keyOf(change).startsWith(watcher.prefix));
      watcher.after = seen;
      if (last) this.#goLive(watcher);
      watcher.onEvents(events, seen);
      if (last) return;
    }
  }

  #scheduleCompaction(): void {
    const excess = this.#engine.revision - this.#engine.compactRevision - this.#maxRevisions;
    // A tenth over the bound, so that compaction runs now and then and not with each batch.
    if (excess > this.#maxRevisions / 10) this.#compactTo(this.#engine.revision - this.#maxRevisions);
    if (this.#compactionTimer || this.#closed) return;
    this.#compactNext = this.#engine.revision;
    this.#armTimer();
  }

  /** Each interval forgets what was there at the start of the one before; without writes no timer runs. */
  #armTimer(): void {
    this.#compactionTimer = this.#clock.setTimer(
      this.#keepMs,
      () => {
        this.#compactionTimer = undefined;
        this.#compactTo(this.#compactNext);
        if (this.#compactNext === this.#engine.revision) return;
        this.#compactNext = this.#engine.revision;
        this.#armTimer();
      },
      { background: true },
    );
  }

  #compactTo(revision: Revision): void {
    if (this.#compacting || this.#closed) return;
    // A failed compaction loses nothing: the next one covers it.
    this.#compacting = this.compact(revision)
      .catch(() => {})
      .finally(() => {
        this.#compacting = undefined;
      });
  }
}

function keyOf(change: StoreEvent): string {
  return change.kind === "put" ? change.current.key : change.key;
}

const nothing: readonly StoreEvent[] = [];

/** With what all keys begin. */
function sharedStart(changes: readonly StoreEvent[]): string {
  const first = keyOf(changes[0]!);
  let length = first.length;
  for (let i = 1; i < changes.length; i++) {
    const key = keyOf(changes[i]!);
    let same = 0;
    while (same < length && key.charCodeAt(same) === first.charCodeAt(same)) same++;
    length = same;
  }
  return first.slice(0, length);
}

function stateAfter(change: StoreEvent): StoredValue | undefined {
  return change.kind === "put" ? change.current : undefined;
}

function deliver(watcher: Watcher, events: readonly StoreEvent[], revision: Revision): void {
  if (watcher.stopped || revision <= watcher.after) return;
  const first = events[0];
  const fresh = first && first.revision <= watcher.after ? events.filter((e) => e.revision > watcher.after) : events;
  watcher.onEvents(fresh, revision);
}
