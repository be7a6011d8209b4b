/**
 * Revisions in an LMDB file.
 *
 * Three databases: `revisions` holds each change under its revision, value included, and is the history; `keys` says at
 * which revision a key's current state stands; `meta` holds the counters. A value is written once. Compaction removes
 * the revisions that later ones replaced.
 *
 * LMDB commits copy-on-write pages, flushes them, and only then flips a root page: after a crash the
 * file shows the last whole transaction.
 */
import { statfs } from "node:fs/promises";
import { constants } from "node:os";
import type { Database, RootDatabase } from "lmdb";
import { releaseMappedPages } from "../../base/node/process-memory.ts";
import type { Engine } from "../group-commit.ts";
import type { Snapshot } from "../snapshot.ts";
import { CompactedError, type RangeResult, type Revision, type StoredValue, type StoreEvent } from "../store.ts";
import { CorruptedError, decodeKey, decodeRevision, encodeKey, encodeRevision, type KeyRecord } from "./record.ts";

/** How many records one compaction transaction removes. */
const sweepChunk = 500;
/** Every page that LMDB touches, and those around it, stay mapped: after so much was written they are let go. */
const releaseAfterBytes = 24 * 1024 * 1024;
/** With less than this free, a failed write failed for want of space. */
const smallestFreeBytes = 1024 * 1024;

export interface Databases {
  root: RootDatabase<Buffer, Buffer>;
  /** By revision. */
  revisions: Database<Buffer, number>;
  /** By key, as bytes. */
  keys: Database<Buffer, Buffer>;
  /** `format`, `revision`, `compacted` (where history begins), `swept` (how far compaction has removed what it may). */
  meta: Database<Revision, string>;
}

export class LmdbEngine implements Engine {
  revision: Revision;
  compactRevision: Revision;
  #swept: Revision;
  #broken: Error | undefined;
  #writtenBytes = 0;
  readonly #databases: Databases;
  readonly #folder: string;
  readonly #release: () => Promise<void>;
  /**
   * Where each key's current state stands, as the file has it: what a write is decided by. Each look into the file would begin
   * a transaction, and a timer that ends it. Undefined until the first write.
   */
  #keyRecords: Map<string, KeyRecord | "unreadable"> | undefined;

  /** `release` runs after the file was closed. */
  constructor(databases: Databases, folder: string, release: () => Promise<void>) {
    this.#databases = databases;
    this.#folder = folder;
    this.#release = release;
    const { meta, revisions } = databases;
    this.revision = meta.get("revision") ?? 0;
    this.compactRevision = meta.get("compacted") ?? 0;
    this.#swept = meta.get("swept") ?? 0;
    const [last] = [...revisions.getKeys({ reverse: true, limit: 1 })];
    const isSound = [this.revision, this.compactRevision, this.#swept].every(Number.isSafeInteger);
    if (!isSound || (last ?? 0) > this.revision || this.compactRevision > this.revision) {
      throw new CorruptedError(`the counters (revision ${this.revision}) contradict the newest record (${last})`);
    }
  }

  get(key: string): StoredValue | undefined {
    this.#keyRecords ??= this.#readKeyRecords();
    const known = this.#keyRecords.get(key);
    const record = known === "unreadable" ? this.#keyRecord(Buffer.from(key)) : known;
    return record && new LazyValue(key, record, () => this.#valueAt(key, record).value);
  }

  range(from: string, to: string, revision: Revision, limit: number): RangeResult {
    if (revision < this.revision) return this.#pastRange(from, to, revision, limit);
    const { keys } = this.#databases;
    const start = from === "" ? undefined : Buffer.from(from);
    const end = Buffer.from(to);
    const values: StoredValue[] = [];
    const wanted = Number.isFinite(limit) ? { limit } : {};
    for (const { key, value } of keys.getRange({ start, end, ...wanted })) {
      values.push(this.#valueAt(key.toString(), decodeKey(key, value)));
    }
    const remaining = values.length < limit ? 0 : keys.getCount({ start, end }) - values.length;
    return { values, revision, remaining };
  }

  changes(after: Revision, limit: number): StoreEvent[] {
    const events: StoreEvent[] = [];
    const start = after + 1;
    for (const { key: revision, value } of this.#databases.revisions.getRange({
      start,
      end: this.revision + 1,
      limit,
    })) {
      const record = decodeRevision(revision, value);
      const { key, createRevision, previousRevision } = record;
      const previous = previousRevision === 0 ? undefined : this.#stateAt(key, previousRevision);
      events.push(
        record.kind === "put"
          ? {
              kind: "put",
              revision,
              current: { key, value: record.value, createRevision, modRevision: revision },
              previous,
            }
          : { kind: "delete", revision, key, previous: previous! },
      );
    }
    return events;
  }

  async commit(changes: readonly StoreEvent[]): Promise<void> {
    if (this.#broken) throw this.#broken;
    const { revisions, keys, meta } = this.#databases;
    const last = changes.at(-1)!.revision;
    // Made ready first: what throws inside a batch would leave its first half in.
    const records = changes.map(encodeChange);
    const failure = await this.#transaction((did) => {
      for (const { revision, key, change, pointer } of records) {
        did(revisions.put(revision, change));
        did(pointer ? keys.put(key, pointer) : keys.remove(key));
      }
      did(meta.put("revision", last));
    });
    // What the file shows decides, whatever the promises said.
    const shown = meta.get("revision") ?? 0;
    if (!failure && shown === last) {
      this.revision = last;
      if (this.#keyRecords) for (const change of changes) noteChange(this.#keyRecords, change);
      for (const { change } of records) this.#writtenBytes += Math.max(change.length, 4096);
      if (this.#writtenBytes > releaseAfterBytes) this.#releasePages();
      return;
    }
    if (shown !== this.revision) {
      this.#broken = new Error("a failed transaction left its traces: restart to read the state anew");
      throw this.#broken;
    }
    throw await this.#explained(failure ?? new Error("the transaction was not carried out"));
  }

  async compact(revision: Revision): Promise<void> {
    const { meta, revisions } = this.#databases;
    // History is given up first and removed after, so that nothing is served that is half removed.
    const refusal = await this.#transaction((did) => did(meta.put("compacted", revision)));
    if (refusal) throw refusal;
    this.compactRevision = revision;
    while (this.#swept < revision) {
      const obsolete: Revision[] = [];
      let last = this.#swept;
      const range = { start: this.#swept + 1, end: revision + 1, limit: sweepChunk };
      for (const { key: at, value } of revisions.getRange(range)) {
        const { kind, previousRevision } = decodeRevision(at, value);
        if (previousRevision > 0) obsolete.push(previousRevision);
        if (kind === "delete") obsolete.push(at);
        last = at;
      }
      const swept = last === this.#swept ? revision : last;
      const failure = await this.#transaction((did) => {
        for (const at of obsolete) did(revisions.remove(at));
        did(meta.put("swept", swept));
      });
      if (failure) throw failure;
      this.#swept = swept;
      await this.pause();
    }
  }

  pause(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  async close(): Promise<void> {
    await this.#databases.root.close();
    await this.#release();
  }

  /** Marks a new file with what its records mean, and fills it. All or nothing: a file without the mark is begun anew. */
  async begin(format: number, snapshot: Snapshot = { revision: 0, values: [] }): Promise<void> {
    const { revision, values } = snapshot;
    const { meta, revisions, keys } = this.#databases;
    const records = values.map((value) => {
      return encodeChange({ kind: "put", revision: value.modRevision, current: value, previous: undefined });
    });
    const failure = await this.#transaction((did) => {
      for (const { revision: at, key, change, pointer } of records) {
        did(revisions.put(at, change));
        did(keys.put(key, pointer!));
      }
      for (const counter of ["revision", "compacted", "swept"]) did(meta.put(counter, revision));
      did(meta.put("format", format));
    });
    if (failure) throw await this.#explained(failure);
    this.revision = revision;
    this.compactRevision = revision;
    this.#swept = revision;
  }

  /** Reads every record that is current or history and throws CorruptedError at the first that is not what was written. */
  async verify(): Promise<void> {
    const { keys, revisions } = this.#databases;
    let seen = 0;
    for (const { key, value } of keys.getRange({ snapshot: false })) {
      this.#valueAt(key.toString(), decodeKey(key, value));
      if (++seen % 1_000 === 0) await this.pause();
    }
    for (const { key: revision, value } of revisions.getRange({ snapshot: false })) {
      decodeRevision(revision, value);
      if (++seen % 1_000 === 0) await this.pause();
    }
  }

  /** Between transactions, when nothing reads. */
  #releasePages(): void {
    this.#writtenBytes = 0;
    releaseMappedPages(`${this.#folder}/data.mdb`);
  }

  /**
   * Runs writes as one transaction; the result is undefined when it committed. Afterwards reads see it. `did` must be
   * given each write's promise: LMDB's binding rejects them besides the transaction's own.
   */
  async #transaction(write: (did: (written: Promise<unknown>) => void) => void): Promise<Error | undefined> {
    const { root } = this.#databases;
    let failure: Error | undefined;
    const note = (error: Error & { commitError?: Promise<never> }) => {
      failure ??= error;
      // The cause comes as one more rejected promise.
      error.commitError?.catch((cause: Error) => {
        failure = cause;
      });
    };
    // Nearly all writes of a transaction share its promise.
    let heard: Promise<unknown> | undefined;
    const did = (written: Promise<unknown>) => {
      if (written === heard) return;
      heard = written;
      written.catch(note);
    };
    await root.batch(() => write(did)).catch(note);
    if (failure) await this.pause();
    root.resetReadTxn();
    return failure;
  }

  /** LMDB reports a write that did not fit as an I/O error, at times. */
  async #explained(failure: Error): Promise<Error> {
    const { bavail, bsize } = await statfs(this.#folder);
    const { code } = failure as { code?: unknown };
    if (code !== constants.errno.ENOSPC && bavail * bsize > smallestFreeBytes) return failure;
    return new Error(`no space left on device, which holds ${this.#folder}: free some and try again`, {
      cause: failure,
    });
  }

  #readKeyRecords(): Map<string, KeyRecord | "unreadable"> {
    const records = new Map<string, KeyRecord | "unreadable">();
    for (const { key, value } of this.#databases.keys.getRange()) {
      try {
        records.set(key.toString(), decodeKey(key, value));
      } catch {
        // Whoever asks for this key, and nobody else, hears of it.
        records.set(key.toString(), "unreadable");
      }
    }
    return records;
  }

  #keyRecord(key: Buffer): KeyRecord | undefined {
    const bytes = this.#databases.keys.getBinary(key);
    return bytes && decodeKey(key, bytes);
  }

  #valueAt(key: string, { modRevision, createRevision }: KeyRecord): StoredValue {
    const stored = this.#stateAt(key, modRevision);
    if (stored.createRevision !== createRevision) throw new CorruptedError(`${key}: its two records disagree`);
    return stored;
  }

  #stateAt(key: string, revision: Revision): StoredValue {
    const bytes = this.#databases.revisions.getBinary(revision);
    if (!bytes && revision <= this.compactRevision) throw new CompactedError(this.compactRevision);
    if (!bytes) throw new CorruptedError(`${key}: the record of revision ${revision} is missing`);
    const record = decodeRevision(revision, bytes);
    if (record.key !== key || record.kind !== "put")
      throw new CorruptedError(`${key}: revision ${revision} is of ${record.key}`);
    return { key, value: record.value, createRevision: record.createRevision, modRevision: revision };
  }

  /** What changed since tells what each key was then: the first change of a key names the revision it replaced. */
  #pastRange(from: string, to: string, revision: Revision, limit: number): RangeResult {
    const { keys, revisions } = this.#databases;
    const then = new Map<string, Revision>();
    for (const { key: at, value } of revisions.getRange({ start: revision + 1, end: this.revision + 1 })) {
      const { key, previousRevision } = decodeRevision(at, value);
      if (key >= from && key < to && !then.has(key)) then.set(key, previousRevision);
    }
    const start = from === "" ? undefined : Buffer.from(from);
    for (const { key, value } of keys.getRange({ start, end: Buffer.from(to) })) {
      const text = key.toString();
      if (!then.has(text)) then.set(text, decodeKey(key, value).modRevision);
    }
    const present = [...then].filter(([, at]) => at > 0).sort(([a], [b]) => (a < b ? -1 : 1));
    const values = present.slice(0, limit).map(([key, at]) => this.#stateAt(key, at));
    return { values, revision, remaining: present.length - values.length };
  }
}

/**
 * A value that is read when it is asked for. A write needs only the revisions of what it replaces, and every page of the
 * file that is read stays in the process's memory.
 */
class LazyValue implements StoredValue {
  readonly key: string;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  readonly #read: () => Uint8Array;

  constructor(key: string, { createRevision, modRevision }: KeyRecord, read: () => Uint8Array) {
    this.key = key;
    this.createRevision = createRevision;
    this.modRevision = modRevision;
    this.#read = read;
  }

  /** Throws CorruptedError, or CompactedError when it was replaced and forgotten since. */
  get value(): Uint8Array {
    return this.#read();
  }
}

function noteChange(records: Map<string, KeyRecord | "unreadable">, change: StoreEvent): void {
  if (change.kind === "delete") records.delete(change.key);
  else {
    const { key, modRevision, createRevision } = change.current;
    records.set(key, { modRevision, createRevision });
  }
}

function encodeChange(event: StoreEvent): { revision: Revision; key: Buffer; change: Buffer; pointer?: Buffer } {
  const { revision } = event;
  const previousRevision = event.previous?.modRevision ?? 0;
  if (event.kind === "delete") {
    const record = { kind: event.kind, key: event.key, createRevision: 0, previousRevision, value: noBytes };
    return { revision, key: Buffer.from(event.key), change: encodeRevision(revision, record) };
  }
  const { key, value, createRevision } = event.current;
  const keyBytes = Buffer.from(key);
  return {
    revision,
    key: keyBytes,
    change: encodeRevision(revision, { kind: event.kind, key, createRevision, previousRevision, value }),
    pointer: encodeKey(keyBytes, { modRevision: revision, createRevision }),
  };
}

const noBytes = new Uint8Array(0);
