/** The embedded default: durable state in one file, owned by one process (upstream: etcd, of which each cluster has its own). */
import { mkdir } from "node:fs/promises";
import { open as openLmdb } from "lmdb";
import { type GroupCommitOptions, GroupCommitStore } from "../group-commit.ts";
import { prefixEnd } from "../ordered-map.ts";
import type { Snapshot } from "../snapshot.ts";
import type { StoredValue } from "../store.ts";
import { checkLmdbFile } from "./check-file.ts";
import { type Databases, LmdbEngine } from "./lmdb-engine.ts";
import { takeLock } from "./lock-file.ts";
import { CorruptedError } from "./record.ts";

export interface LmdbOptions extends GroupCommitOptions {
  /** Made if it is not there. Nothing else may lie in it. */
  folder: string;
  /** Begins with this state instead of an empty one. The folder must not hold a state yet. */
  snapshot?: Snapshot;
}

/** Beyond every key: keys are UTF-8. */
const lastKey = "\uffff";

/** Raised when a newer program changes what the records mean. */
const formatVersion = 1;

export class LmdbStore extends GroupCommitStore {
  readonly #engine: LmdbEngine;

  private constructor(engine: LmdbEngine, options: LmdbOptions) {
    super(engine, options);
    this.#engine = engine;
  }

  /** Rejects with StoreInUseError when another process has the folder, with CorruptedError when the file is damaged. */
  static async open(options: LmdbOptions): Promise<LmdbStore> {
    const { folder } = options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const release = await takeLock(folder);
    let databases: Databases | undefined;
    try {
      const path = `${folder}/data.mdb`;
      checkLmdbFile(path);
      databases = openDatabases(path);
      const format = databases.meta.get("format");
      if (format !== undefined && format !== formatVersion) {
        throw new Error(`its format is ${format}, this program knows ${formatVersion}`);
      }
      const engine = new LmdbEngine(databases, folder, release);
      if (format !== undefined && options.snapshot) {
        throw new Error("it holds a state already; a snapshot is restored into a new folder");
      }
      if (format === undefined) await engine.begin(formatVersion, options.snapshot);
      return new LmdbStore(engine, options);
    } catch (error) {
      await databases?.root.close();
      await release();
      const reason = (error as Error).message;
      const message = `open the store in ${folder}: ${reason}`;
      throw error instanceof CorruptedError ? new CorruptedError(message) : new Error(message, { cause: error });
    }
  }

  /**
   * What stands under each prefix, read beside whoever owns the folder or after it died. Takes no lock and changes nothing.
   * Throws when there is no store, CorruptedError when it is damaged.
   */
  static async peek(folder: string, prefixes: readonly string[]): Promise<StoredValue[][]> {
    const databases = openDatabases(`${folder}/data.mdb`, { readOnly: true });
    try {
      const engine = new LmdbEngine(databases, folder, async () => {});
      return prefixes.map((prefix) => {
        const { values } = engine.range(prefix, prefixEnd(prefix)!, engine.revision, Number.POSITIVE_INFINITY);
        return values.map((stored) => ({ ...stored, value: Buffer.from(stored.value) }));
      });
    } finally {
      await databases.root.close();
    }
  }

  /**
   * The whole state, read as `peek` reads. Rejects with CorruptedError rather than yield what was not written.
   * `isOwned`: a living process writes there, whose pages are not looked over while they change.
   */
  static async snapshot(folder: string, { isOwned = false } = {}): Promise<Snapshot> {
    const path = `${folder}/data.mdb`;
    if (!isOwned) checkLmdbFile(path);
    const databases = openDatabases(path, { readOnly: true });
    try {
      const engine = new LmdbEngine(databases, folder, async () => {});
      // In one turn of the event loop all reads see one transaction.
      const { values } = engine.range("", lastKey, engine.revision, Number.POSITIVE_INFINITY);
      const copied = values.map((stored) => ({ ...stored, value: Buffer.from(stored.value) }));
      return { revision: engine.revision, values: copied };
    } finally {
      await databases.root.close();
    }
  }

  /** Reads everything there is and rejects with CorruptedError at the first record that is not what was written. */
  verify(): Promise<void> {
    return this.#engine.verify();
  }
}

function openDatabases(path: string, { readOnly = false } = {}): Databases {
  const root = openLmdb<Buffer, Buffer>({
    path,
    readOnly,
    noSubdir: true,
    encoding: "binary",
    keyEncoding: "binary",
    maxDbs: 4,
    // A commit is durable when it resolves: data flushed, then the root written through.
    overlappingSync: false,
    // Every write is batched by hand. The binding's own batches reject a promise that nobody can catch when a commit fails.
    eventTurnBatching: false,
    noMemInit: true,
  });
  return {
    root,
    revisions: root.openDB<Buffer, number>({ name: "revisions", encoding: "binary", keyEncoding: "ordered-binary" }),
    keys: root.openDB<Buffer, Buffer>({ name: "keys", encoding: "binary", keyEncoding: "binary" }),
    meta: root.openDB<number, string>({ name: "meta", encoding: "json", keyEncoding: "ordered-binary" }),
  };
}
