/** `pinnace dns-standby`, run by the server's standby alone: cluster DNS from the store of a cluster whose server died. */
import { basename, dirname } from "node:path";
import type { Namespace, Service } from "../../api/core/v1.ts";
import type { EndpointSlice } from "../../api/discovery/v1.ts";
import { sleep } from "../../base/clock.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { systemRandom } from "../../base/node/system-random.ts";
import { ClusterDns, fillZone } from "../../cluster-dns/server.ts";
import { openValue } from "../../storage/encryption/encrypted-store.ts";
import type { Sealing } from "../../storage/encryption/encryption-configuration.ts";
import { LmdbStore } from "../../storage/lmdb/lmdb-store.ts";
import type { StoredValue } from "../../storage/store.ts";
import { standbyPrefixes, standbySockets } from "../dns-standby.ts";
import { readEncryption } from "../encryption.ts";
import { lineLogger } from "../line-logger.ts";
import { clusterPaths, readPlan } from "../state-folder.ts";

// What came before the next server's sockets were there is answered before ours go.
const lastWordsMs = 100;

/** Resolves when the next server has taken over. `root` is the cluster's folder. */
export async function dnsStandby(root: string): Promise<void> {
  const paths = clusterPaths(basename(root), dirname(dirname(root)));
  const log = lineLogger(process.stdout, systemClock).with({ component: "dns-standby" });
  const plan = readPlan(paths);
  const node = plan?.nodes.find(({ kind, role }) => kind === "local" && role === "control-plane");
  if (!plan || !node) return;
  // What it answers from is the file: another engine's state went with the server, or is elsewhere.
  if (plan.store && plan.store.engine !== "lmdb") return;
  const { encryption } = plan.apiServer;
  const sealing = encryption && (await readEncryption(encryption.configuration));
  const relieved = new Promise<void>((resolve) => process.once("SIGTERM", () => resolve()));
  const dns = new ClusterDns({
    async inform(zone) {
      const [namespaces, services, slices] = (await LmdbStore.peek(paths.store, standbyPrefixes)).map((values) =>
        values.map((value) => opened(value, sealing)),
      );
      fillZone(zone, objects<Namespace>(namespaces), objects<Service>(services), objects<EndpointSlice>(slices));
    },
    clock: systemClock,
    random: systemRandom,
    log,
    domain: plan.network.dnsDomain,
    serviceAddresses: [plan.network.dnsAddress],
    listen: [{ address: node.address, ...standbySockets }],
  });
  await dns.start();
  log.info("the server died: cluster DNS answers from what it left, until there is one again", { pid: process.pid });
  await relieved;
  await sleep(systemClock, lastWordsMs);
  await dns.close();
}

function opened(stored: StoredValue, sealing: ((key: string) => Sealing | undefined) | undefined): StoredValue {
  const seals = sealing?.(stored.key);
  return seals ? { ...stored, value: openValue(stored, seals) } : stored;
}

function objects<T>(values: readonly StoredValue[] = []): T[] {
  return values.map(({ value }) => JSON.parse(Buffer.from(value).toString()) as T);
}
