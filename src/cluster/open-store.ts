/** Opens a cluster's store: the engine that its plan names, behind the seals that it asks for. */
import { readFile } from "node:fs/promises";
import type { Clock } from "../base/clock.ts";
import { EncryptedStore } from "../storage/encryption/encrypted-store.ts";
import { EtcdStore } from "../storage/etcd/etcd-store.ts";
import { LmdbStore } from "../storage/lmdb/lmdb-store.ts";
import { MemoryStore } from "../storage/memory.ts";
import type { Store } from "../storage/store.ts";
import type { ClusterPlan, StoreConfig } from "./config/cluster-config.ts";
import { readEncryption } from "./encryption.ts";
import type { ClusterPaths } from "./state-folder.ts";

/** `given` takes the engine's place. Rejects when the store cannot be had, and says why. */
export async function openStore(
  plan: ClusterPlan,
  paths: ClusterPaths,
  clock: Clock,
  given: Store | undefined,
): Promise<Store> {
  const { encryption } = plan.apiServer;
  const sealing = encryption && (await readEncryption(encryption.configuration));
  const engine = given ?? (await openEngine(plan, paths, clock));
  return sealing ? new EncryptedStore(engine, sealing) : engine;
}

function openEngine({ store }: ClusterPlan, paths: ClusterPaths, clock: Clock): Promise<Store> {
  switch (store?.engine) {
    case "memory":
      return Promise.resolve(new MemoryStore({ clock, defer: setImmediate }));
    case "etcd":
      return openEtcd(store, clock);
    default:
      return LmdbStore.open({ folder: paths.store, clock });
  }
}

export async function openEtcd(
  { endpoints = [], caFile, certFile, keyFile }: StoreConfig,
  clock: Clock,
): Promise<EtcdStore> {
  const read = (file: string | undefined) => (file ? readFile(file, "utf8") : undefined);
  const [ca, cert, key] = await Promise.all([read(caFile), read(certFile), read(keyFile)]);
  const tls = { ...(ca ? { ca } : {}), ...(cert ? { cert } : {}), ...(key ? { key } : {}) };
  return EtcdStore.open({ endpoints, tls, clock });
}
