/** Opens a cluster's store: the engine that its plan names, behind the seals that it asks for. What few ask for is loaded for them. */
import { readFile } from "node:fs/promises";
import type { Clock } from "../base/clock.ts";
import { systemAuthorities } from "../client/authorities.ts";
import type { EtcdStore } from "../storage/etcd/etcd-store.ts";
import { LmdbStore } from "../storage/lmdb/lmdb-store.ts";
import { MemoryStore } from "../storage/memory.ts";
import type { Store } from "../storage/store.ts";
import type { ClusterPlan, StoreConfig } from "./config/cluster-config.ts";
import { type ConfigurationFile, followConfigurationFile } from "./configuration-file.ts";
import type { ClusterPaths } from "./state-folder.ts";
import type { Surroundings } from "./surroundings.ts";

export interface OpenedStore {
  store: Store;
  /** Of how it is sealed, when that is read again. */
  configurationFile?: ConfigurationFile;
}

/** `given` takes the engine's place. Rejects when the store cannot be had, and says why. */
export async function openStore(
  plan: ClusterPlan,
  paths: ClusterPaths,
  given: Store | undefined,
  { clock, log, signal }: Pick<Surroundings, "clock" | "log" | "signal">,
): Promise<OpenedStore> {
  const { encryption } = plan.apiServer;
  if (!encryption) return { store: given ?? (await openEngine(plan, paths, clock)) };
  const { encryptionText, parseEncryption } = await import("./encryption.ts");
  const { EncryptedStore } = await import("../storage/encryption/encrypted-store.ts");
  const { configuration: path, automaticReload = false } = encryption;
  const text = await encryptionText(path);
  let sealing = await parseEncryption(text, path);
  const store = new EncryptedStore(given ?? (await openEngine(plan, paths, clock)), (key) => sealing(key));
  if (!automaticReload) return { store };
  const configurationFile = followConfigurationFile({
    path,
    kind: "encryption",
    text,
    apply: async (next) => void (sealing = await parseEncryption(next, path)),
    watchesFolder: false,
    clock,
    log,
    signal,
  });
  return { store, configurationFile };
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
  const tls = { ca: ca ?? systemAuthorities(), ...(cert ? { cert } : {}), ...(key ? { key } : {}) };
  const { EtcdStore } = await import("../storage/etcd/etcd-store.ts");
  return EtcdStore.open({ endpoints, tls, clock });
}
