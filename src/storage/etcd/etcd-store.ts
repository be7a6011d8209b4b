/**
 * State in etcd, which several API servers may share.
 *
 * One watch over all keys feeds every watcher of this process and tells how far `revision` has come: each revision of
 * etcd changes some key. Writes are transactions on the mod revision; they resolve when the feed has shown them.
 */
import { backoffDelayMs } from "../../base/backoff.ts";
import { type Clock, sleep, type Timer } from "../../base/clock.ts";
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
} from "../store.ts";
import {
  base64,
  EtcdClient,
  EtcdError,
  type EtcdHeader,
  type EtcdKeyValue,
  type EtcdOptions,
  type EtcdWatchResponse,
  revisionOf,
  storedValue,
} from "./etcd-client.ts";

export interface EtcdStoreOptions extends EtcdOptions {
  clock: Clock;
  /** How long history is kept at least. Default: five minutes, as upstream's API servers keep it. */
  keepMs?: number;
}

interface Watcher {
  prefix: string;
  seen: Revision;
  onEvents: (events: readonly StoreEvent[], revision: Revision) => void;
  onLost: ((error: Error) => void) | undefined;
  stop: AbortController;
}

interface TxnAnswer {
  header: EtcdHeader;
  succeeded?: boolean;
  responses?: {
    response_put?: { prev_kv?: EtcdKeyValue };
    response_delete_range?: { prev_kvs?: EtcdKeyValue[] };
    response_range?: { kvs?: EtcdKeyValue[] };
  }[];
}

const reconnect = { initialMs: 50, maximumMs: 5_000 };

export class EtcdStore implements Store {
  readonly isShared = true;
  readonly #client: EtcdClient;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #watchers = new Set<Watcher>();
  #revision: Revision;
  #compactRevision: Revision;
  readonly #keepMs: number;
  #compactNext: Revision;
  #compactionTimer: Timer | undefined;
  #waiters: { revision: Revision; resolve: () => void; reject: (error: Error) => void }[] = [];
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #feed: Promise<void>;

  private constructor(client: EtcdClient, options: EtcdStoreOptions, revision: Revision, compactRevision: Revision) {
    this.#client = client;
    this.#clock = options.clock;
    this.#keepMs = options.keepMs ?? 5 * 60_000;
    this.#revision = revision;
    this.#compactRevision = compactRevision;
    this.#compactNext = revision;
    this.#armCompaction();
    this.#feed = this.#follow();
  }

  static async open(options: EtcdStoreOptions): Promise<EtcdStore> {
    const client = new EtcdClient(options);
    try {
      const { header } = await client.call<{ header: EtcdHeader }>("/v3/maintenance/status", {});
      const revision = revisionOf(header);
      return new EtcdStore(client, options, revision, await compactedUpTo(client, revision));
    } catch (error) {
      await client.close();
      throw new Error(`open the store in etcd: ${(error as Error).message}`, { cause: error });
    }
  }

  get revision(): Revision {
    return this.#revision;
  }

  get compactRevision(): Revision {
    return this.#compactRevision;
  }

  async newestRevision(): Promise<Revision> {
    // A linearizable read of nothing.
    const answer = await this.#call<{ header: EtcdHeader }>("/v3/kv/range", { key: base64("\0"), count_only: true });
    return revisionOf(answer.header);
  }

  async get(key: string): Promise<StoredValue | undefined> {
    const { kvs } = await this.#call<{ kvs?: EtcdKeyValue[] }>("/v3/kv/range", { key: base64(key) });
    return kvs?.[0] && storedValue(kvs[0]);
  }

  async range(from: string, to: string, options: { revision?: Revision; limit?: number } = {}): Promise<RangeResult> {
    const { revision = 0, limit = 0 } = options;
    try {
      const answer = await this.#call<{ header: EtcdHeader; kvs?: EtcdKeyValue[]; count?: string }>("/v3/kv/range", {
        key: base64(from),
        range_end: base64(to),
        revision: String(revision),
        limit: String(Number.isFinite(limit) ? limit : 0),
      });
      const values = (answer.kvs ?? []).map(storedValue);
      return {
        values,
        revision: revision || revisionOf(answer.header),
        remaining: Number(answer.count ?? 0) - values.length,
      };
    } catch (error) {
      throw await this.#explained(error, revision);
    }
  }

  async write(write: Write): Promise<WriteResult> {
    const key = base64(write.key);
    const standing: object = { key, target: "MOD", result: "EQUAL", mod_revision: String(write.expected ?? 0) };
    const existing: object = { key, target: "CREATE", result: "GREATER", create_revision: "0" };
    const compare = write.expected !== undefined ? [standing] : write.kind === "delete" ? [existing] : [];
    if (write.kind === "delete" && write.expected === 0) compare.push(existing);
    const { take = [], give = [] } = write.claims ?? {};
    for (const claim of take)
      compare.push({ key: base64(claim), target: "CREATE", result: "EQUAL", create_revision: "0" });
    const answer = await this.#call<TxnAnswer>("/v3/kv/txn", {
      compare,
      success: [
        write.kind === "put"
          ? { request_put: { key, value: Buffer.from(bytesOf(write)).toString("base64"), prev_kv: true } }
          : { request_delete_range: { key, prev_kv: true } },
        ...take.map((claim) => ({ request_put: { key: base64(claim), value: key } })),
        ...give.map((claim) => ({ request_delete_range: { key: base64(claim) } })),
      ],
      failure: [key, ...take.map(base64)].map((asked) => ({ request_range: { key: asked } })),
    });
    const response = answer.responses?.[0];
    if (!answer.succeeded) {
      const current = response?.response_range?.kvs?.[0];
      const claimed = take.filter((_, i) => answer.responses?.[i + 1]?.response_range?.kvs?.length);
      return {
        ok: false,
        current: current && storedValue(current),
        ...(claimed.length > 0 ? { claimed } : {}),
      };
    }
    const revision = revisionOf(answer.header);
    await this.#seen(revision);
    const previous = response?.response_put?.prev_kv ?? response?.response_delete_range?.prev_kvs?.[0];
    return { ok: true, revision, previous: previous && storedValue(previous) };
  }

  watch(prefix: string, after: Revision, onEvents: Watcher["onEvents"], onLost?: Watcher["onLost"]): Watch {
    this.#assertOpen();
    if (after < this.#compactRevision) throw new CompactedError(this.#compactRevision);
    const watcher: Watcher = { prefix, seen: after, onEvents, onLost, stop: new AbortController() };
    const stop = () => {
      watcher.stop.abort();
      this.#watchers.delete(watcher);
    };
    if (after >= this.#revision) this.#watchers.add(watcher);
    else void this.#catchUp(watcher);
    return { stop, [Symbol.asyncDispose]: async () => stop() };
  }

  async compact(revision: Revision): Promise<void> {
    if (revision <= this.#compactRevision) return;
    try {
      await this.#call("/v3/kv/compaction", { revision: String(revision), physical: true });
    } catch (error) {
      const explained = await this.#explained(error, revision);
      // Somebody else was quicker.
      if (!(explained instanceof CompactedError)) throw explained;
    }
    this.#compactRevision = Math.max(this.#compactRevision, revision);
  }

  /** Each interval forgets what was there at the start of the one before. Servers that share an etcd all do so: each leaves its own interval. */
  #armCompaction(): void {
    this.#compactionTimer = this.#clock.setTimer(
      this.#keepMs,
      () => {
        const upTo = this.#compactNext;
        this.#compactNext = this.#revision;
        // A failed compaction loses nothing: the next one covers it.
        this.compact(upTo).catch(() => {});
        this.#armCompaction();
      },
      { background: true },
    );
  }

  /** Gives the room of compacted history back to the disk of the member that answers. It serves nothing meanwhile. */
  async defragment(): Promise<void> {
    await this.#call("/v3/maintenance/defragment", {});
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    // Writes that were on their way are told first.
    while (this.#inFlight.size > 0) await Promise.allSettled(this.#inFlight);
    const closed = new Error("the store is closed");
    this.#compactionTimer?.[Symbol.dispose]();
    this.#closing.abort(closed);
    for (const watcher of this.#watchers) watcher.stop.abort();
    this.#watchers.clear();
    for (const waiter of this.#waiters) waiter.reject(closed);
    await this.#feed;
    await this.#client.close();
  }

  async #call<T>(path: string, body: object): Promise<T> {
    this.#assertOpen();
    const call = this.#client.call<T>(path, body);
    this.#inFlight.add(call);
    try {
      return await call;
    } finally {
      this.#inFlight.delete(call);
    }
  }

  #assertOpen(): void {
    if (this.#closing.signal.aborted) throw new Error("the store is closed");
  }

  /** Resolves when this process' watchers have been told of `revision`. */
  #seen(revision: Revision): Promise<void> {
    if (revision <= this.#revision) return Promise.resolve();
    const seen = new Promise<void>((resolve, reject) => this.#waiters.push({ revision, resolve, reject }));
    this.#inFlight.add(seen);
    return seen.finally(() => this.#inFlight.delete(seen));
  }

  /** Keeps the one live watch going, over broken connections, until the store is closed. */
  async #follow(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted; ) {
      try {
        for await (const response of this.#client.watch(this.#revision + 1, signal)) {
          failures = 0;
          if (response.canceled) {
            this.#lose(response);
            break;
          }
          this.#publish(response);
        }
      } catch {
        if (signal.aborted) return;
        failures++;
        await sleep(this.#clock, backoffDelayMs(reconnect, failures), signal).catch(() => {});
      }
    }
  }

  #publish(response: EtcdWatchResponse): void {
    const events = (response.events ?? []).map(storeEvent);
    // A response to the creation of the watch bears the present revision, but not yet what led to it.
    const revision = events.at(-1)?.revision ?? (response.created ? 0 : revisionOf(response.header));
    if (revision <= this.#revision) return;
    this.#revision = revision;
    for (const watcher of this.#watchers) deliver(watcher, events, revision);
    const waiting = this.#waiters;
    this.#waiters = waiting.filter((waiter) => waiter.revision > revision);
    for (const waiter of waiting) if (waiter.revision <= revision) waiter.resolve();
  }

  /** What came while the feed was down has been compacted: nobody who watches can be told of it. */
  #lose(response: EtcdWatchResponse): void {
    const compacted = Number(response.compact_revision ?? 0);
    if (compacted <= this.#revision) return;
    this.#compactRevision = compacted;
    // The oldest state that can still be read; the feed goes on from there.
    this.#revision = compacted;
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const watcher of watchers) watcher.onLost?.(new CompactedError(compacted));
    const waiting = this.#waiters;
    this.#waiters = waiting.filter((waiter) => waiter.revision > compacted);
    for (const waiter of waiting) if (waiter.revision <= compacted) waiter.resolve();
  }

  /** A watch of its own for what lies in the past, until it meets the feed. */
  async #catchUp(watcher: Watcher): Promise<void> {
    const signal = AbortSignal.any([watcher.stop.signal, this.#closing.signal]);
    const own = new AbortController();
    const either = AbortSignal.any([signal, own.signal]);
    for (let failures = 0; !signal.aborted; ) {
      try {
        for await (const response of this.#client.watch(watcher.seen + 1, either)) {
          if (signal.aborted) return;
          failures = 0;
          if (response.canceled) {
            const compacted = Number(response.compact_revision ?? 0);
            this.#compactRevision = Math.max(this.#compactRevision, compacted);
            watcher.onLost?.(new CompactedError(compacted));
            return;
          }
          const events = (response.events ?? []).map(storeEvent);
          const last = events.at(-1);
          if (!last) continue;
          // Nothing awaits between the comparison and joining the feed.
          if (last.revision >= this.#revision) this.#watchers.add(watcher);
          deliver(watcher, events, last.revision);
          if (last.revision >= this.#revision) return;
        }
      } catch {
        if (signal.aborted) return;
        failures++;
        await sleep(this.#clock, backoffDelayMs(reconnect, failures), signal).catch(() => {});
      } finally {
        if (this.#watchers.has(watcher)) own.abort();
      }
    }
  }

  /** etcd's own errors as the contract's. */
  async #explained(error: unknown, revision: Revision): Promise<unknown> {
    if (!(error instanceof EtcdError) || error.code !== outOfRange) return error;
    if (error.message.includes("future")) return new FutureRevisionError(await this.newestRevision());
    if (!error.message.includes("compacted")) return error;
    this.#compactRevision = Math.max(this.#compactRevision, await compactedUpTo(this.#client, revision));
    return new CompactedError(this.#compactRevision);
  }
}

const outOfRange = 11;

function bytesOf(write: Write & { kind: "put" }): Uint8Array {
  return typeof write.value === "function" ? write.value(0) : write.value;
}

function deliver(watcher: Watcher, events: readonly StoreEvent[], revision: Revision): void {
  if (revision <= watcher.seen || watcher.stop.signal.aborted) return;
  const fresh = events.filter((event) => event.revision > watcher.seen && keyOf(event).startsWith(watcher.prefix));
  watcher.seen = revision;
  watcher.onEvents(fresh, revision);
}

function keyOf(event: StoreEvent): string {
  return event.kind === "put" ? event.current.key : event.key;
}

function storeEvent({ type, kv, prev_kv }: NonNullable<EtcdWatchResponse["events"]>[number]): StoreEvent {
  const revision = Number(kv.mod_revision);
  const previous = prev_kv && storedValue(prev_kv);
  if (type !== "DELETE") return { kind: "put", revision, current: storedValue(kv), previous };
  const key = Buffer.from(kv.key, "base64").toString();
  // Compaction may have taken what was deleted.
  const gone = { key, value: new Uint8Array(0), createRevision: 0, modRevision: 0 };
  return { kind: "delete", revision, key, previous: previous ?? gone };
}

/** Where etcd's history begins: it says so only to a watch that asks for too much. */
async function compactedUpTo(client: EtcdClient, upTo: Revision): Promise<Revision> {
  const stop = new AbortController();
  try {
    for await (const response of client.watch(1, stop.signal)) {
      if (response.canceled) return Number(response.compact_revision ?? 0);
      // Something of the past came, or there is none: nothing is compacted.
      if (response.events || upTo <= 1) return 0;
    }
    return 0;
  } finally {
    stop.abort();
  }
}
