/** `pinnace store`: a cluster's state in a file and back, smaller, or checked (upstream: `etcdctl snapshot` and `defrag`). */
import { existsSync, renameSync, rmSync, statSync } from "node:fs";
import { systemClock } from "../../base/node/system-clock.ts";
import type { EtcdStore } from "../../storage/etcd/etcd-store.ts";
import { LmdbStore } from "../../storage/lmdb/lmdb-store.ts";
import { readSnapshot, restoreInto, type Snapshot, takeSnapshot, writeSnapshot } from "../../storage/snapshot.ts";
import { lock } from "../cluster-lock.ts";
import { openEtcd } from "../open-store.ts";
import { type ClusterPaths, clusterPaths, readPlan, runningServer } from "../state-folder.ts";
import { stopServer } from "./down.ts";
import { defaultClusterName, up } from "./up.ts";

interface StoreOptions {
  name?: string;
  print(line: string): void;
}

interface RestartOptions extends StoreOptions {
  /** The script that runs `pinnace`. */
  entry: string;
}

/** Revisions that clients of the state before may have seen beyond the file's: none of them is given again. */
const revisionLeap = 1_000_000;

/** The state at one revision, whole and with a checksum. Rejects when the store is damaged; a file that stands there is replaced. */
export async function saveStore(file: string, { name = defaultClusterName, print }: StoreOptions): Promise<void> {
  const snapshot = (await inEtcd(name, takeSnapshot)) ?? (await fileSnapshot(existing(name)));
  await writeSnapshot(snapshot, file);
  print(
    `${snapshot.values.length} objects of cluster "${name}" at revision ${snapshot.revision}, ${kibibytes(file)} in ${file}.`,
  );
}

function fileSnapshot(paths: ClusterPaths): Promise<Snapshot> {
  return LmdbStore.snapshot(paths.store, { isOwned: runningServer(paths) !== undefined });
}

/**
 * The cluster keeps its nodes and certificates. Objects keep their resourceVersions, and new ones are given from far beyond,
 * so that a client that knew the state before is told that it is outdated. In etcd they are written anew, key by key, beside the
 * servers, which follow: what fails half-way is begun again.
 */
export async function restoreStore(file: string, options: RestartOptions): Promise<void> {
  const { name = defaultClusterName, print } = options;
  if (!existsSync(file)) throw new Error(`there is no file ${file}`);
  const snapshot = await readSnapshot(file);
  const restored = await inEtcd(name, (store) => restoreInto(store, snapshot));
  if (restored === undefined) await replaceFile(snapshot, name, options);
  print(`Cluster "${name}" has the ${snapshot.values.length} objects of ${file} again.`);
}

async function replaceFile(snapshot: Snapshot, name: string, options: RestartOptions): Promise<void> {
  await replaceStore(name, options, async (paths) => {
    // What cannot be read any more has no say in how far the revisions had come.
    const before = await LmdbStore.snapshot(paths.store).catch(() => ({ revision: 0 }));
    return { ...snapshot, revision: Math.max(snapshot.revision, before.revision) + revisionLeap };
  });
}

export async function defragmentStore(options: RestartOptions): Promise<void> {
  const { name = defaultClusterName, print } = options;
  const isDone = await inEtcd(name, async (store) => {
    await store.compact(await store.newestRevision());
    await store.defragment();
    return true;
  });
  if (isDone) {
    print(`etcd keeps no history of cluster "${name}" any more, and has given its space back.`);
    return;
  }
  const file = `${existing(name).store}/data.mdb`;
  const before = kibibytes(file);
  await replaceStore(name, options, (paths) => LmdbStore.snapshot(paths.store));
  print(`The store of cluster "${name}" took ${before} and takes ${kibibytes(file)}.`);
}

/** Rejects with what is damaged. The server must not be running: two processes do not open one store. */
export async function verifyStore({ name = defaultClusterName, print }: StoreOptions): Promise<void> {
  const inPlace = await inEtcd(name, takeSnapshot);
  if (inPlace) {
    for (const { key, value } of inPlace.values) {
      if (value.length === 0) throw new Error(`${key} is empty in etcd`);
    }
    print(`The ${inPlace.values.length} objects of cluster "${name}" can be read; etcd checks its own files.`);
    return;
  }
  const paths = existing(name);
  const turn = await lock(paths, "command");
  try {
    if (runningServer(paths)) {
      // Beside a server everything current can be read, though not the history.
      const { values } = await LmdbStore.snapshot(paths.store, { isOwned: true });
      print(`The ${values.length} objects of cluster "${name}" are whole.`);
      return;
    }
    const store = await LmdbStore.open({ folder: paths.store, clock: systemClock });
    try {
      await store.verify();
    } finally {
      await store.close();
    }
    print(`The store of cluster "${name}" is whole, with its history.`);
  } finally {
    await turn.release();
  }
}

/** Ends the server if there is one, puts the state in the place of the one before, all or nothing, and brings it up again. */
async function replaceStore(
  name: string,
  { entry, print }: RestartOptions,
  next: (paths: ClusterPaths) => Promise<Snapshot>,
): Promise<void> {
  const paths = existing(name);
  const turn = await lock(paths, "command", (pid) =>
    print(`Another command (process ${pid}) is working on cluster "${name}"; waiting for it to finish.`),
  );
  const wasRunning = runningServer(paths) !== undefined;
  try {
    if (wasRunning) await stopServer(paths, systemClock);
    const folder = `${paths.store}.new`;
    rmSync(folder, { recursive: true, force: true });
    try {
      const store = await LmdbStore.open({ folder, clock: systemClock, snapshot: await next(paths) });
      await store.verify();
      await store.close();
      rmSync(`${paths.store}/data.mdb-lock`, { force: true });
      renameSync(`${folder}/data.mdb`, `${paths.store}/data.mdb`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  } finally {
    await turn.release();
    if (wasRunning) await up({ name, entry, print: () => {} });
  }
}

/** Does something with the store of a cluster that keeps it in etcd; undefined for other clusters. */
async function inEtcd<T>(name: string, act: (store: EtcdStore) => Promise<T>): Promise<T | undefined> {
  const { store: config } = readPlan(clusterPaths(name)) ?? {};
  if (config?.engine !== "etcd") return undefined;
  const store = await openEtcd(config, systemClock);
  try {
    return await act(store);
  } finally {
    await store.close();
  }
}

function existing(name: string): ClusterPaths {
  const paths = clusterPaths(name);
  if (readPlan(paths)?.store?.engine === "memory")
    throw new Error(`cluster "${name}" keeps its state in the memory of its server: there is no file to work on`);
  if (!readPlan(paths) || !existsSync(`${paths.store}/data.mdb`))
    throw new Error(`there is no cluster "${name}" with a store on this machine`);
  return paths;
}

function kibibytes(file: string): string {
  return `${Math.ceil(statSync(file).size / 1024)} KiB`;
}
