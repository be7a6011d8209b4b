/** A cluster inside the calling program: what `import { startCluster } from "pinnace"` gives (upstream's envtest, with nodes). */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Logger, silentLogger } from "../base/logger.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { systemRandom } from "../base/node/system-random.ts";
import { nameSuffix } from "../base/random.ts";
import type { Client } from "../client/client.ts";
import { MemoryStore } from "../storage/memory.ts";
import { claim, type Lock, lockPlanning } from "./cluster-lock.ts";
import { countedNodes, makePki } from "./commands/up.ts";
import { ConfigError } from "./config/checked-document.ts";
import type { ClusterConfig, ClusterPlan, NodeConfig, NodePlan } from "./config/cluster-config.ts";
import { parseConfig } from "./config/parse-config.ts";
import { planCluster } from "./config/plan-cluster.ts";
import { clusterKubeconfig, writeClusterKubeconfig } from "./kubeconfig.ts";
import { readMachineFacts } from "./machine-facts.ts";
import { clusterNamespaces } from "./network/lan.ts";
import { checkPrerequisites, missing } from "./prerequisites.ts";
import { allRoles } from "./roles.ts";
import { type RunningCluster, startServer } from "./server.ts";
import {
  type ClusterPaths,
  claimServer,
  clusterPaths,
  listClusters,
  readPki,
  readPlan,
  recordServer,
  releaseServer,
  runningServer,
  writePlan,
} from "./state-folder.ts";
import { takeDownCluster } from "./teardown.ts";
import { pinnaceVersion } from "./version.ts";

export interface StartClusterOptions {
  /**
   * How many nodes, the first a control plane (0: an API server and controllers alone), or which.
   * Default: those of `config`, else a control plane and two workers.
   */
  nodes?: number | NodeConfig[];
  /**
   * true: nodes without containers or packets, whose pods follow a simulated life; needs no privileges.
   * false: nodes with real containers, or an error that says what this machine lacks for them.
   * Default: real where the machine can, simulated elsewhere. A node's own `kind` wins.
   */
  simulated?: boolean;
  /** What the configuration file of `pinnace up` holds. */
  config?: Omit<ClusterConfig, "apiVersion" | "kind">;
  /** Default: that of `config`, else a name of its own for each cluster. */
  name?: string;
  /**
   * The folder for state and images, as PINNACE_HOME for the command. Default: a temporary folder, which goes with the cluster.
   * A cluster that is in it already under this name comes back with the nodes and objects it had.
   */
  home?: string;
  /** "memory" needs no disk and forgets. Default: what `config` says, else "memory" in a temporary folder, "lmdb" in a given one. */
  store?: "memory" | "lmdb";
  /** Default: silence. */
  log?: Logger;
}

export interface EmbeddedCluster extends AsyncDisposable {
  readonly name: string;
  /** Of an administrator, in this process: nothing is serialised, and what it returns is shared and frozen. */
  readonly client: Client;
  /** The text of a kubeconfig, for kubectl and other clients. */
  readonly kubeconfig: string;
  /** The same as a file; it goes with the cluster. */
  readonly kubeconfigFile: string;
  readonly nodes: readonly Pick<NodePlan, "name" | "role" | "kind" | "address">[];
  /**
   * Ends the cluster and takes everything of it off this machine. With `keep`, and a `home`, its state and its running
   * containers stay for the next `startCluster`. Idempotent: the first call decides.
   */
  stop(options?: { keep?: boolean }): Promise<void>;
}

/**
 * Runs a whole cluster in this process. Resolves when it is usable: nodes Ready, DNS answering, the default ServiceAccount
 * present. One process may run several, under different names. Rejects with an Error that says what to change.
 *
 * The cluster keeps the process alive until `stop`. Where a process was killed before, the next `startCluster` on the
 * machine takes away what its temporary clusters left.
 */
export async function startCluster(options: StartClusterOptions = {}): Promise<EmbeddedCluster> {
  const config = await checkedConfig(options);
  const name = config.name ?? `embedded-${nameSuffix(systemRandom, 8)}`;
  if (options.simulated === false) requireRealNodes();
  const release = reserveName(name);
  try {
    await takeAbandonedClusters(options.log ?? silentLogger);
    const home = options.home ?? mkdtempSync(join(tmpdir(), temporaryPrefix));
    // As /var/lib is: root of a pod with a user namespace must find its files.
    if (options.home === undefined) chmodSync(home, 0o711);
    const place = { name, paths: clusterPaths(name, home), isTemporary: options.home === undefined };
    return await startAt(place, config, options, release);
  } catch (error) {
    release();
    throw error;
  }
}

/** Where one embedded cluster lives. */
interface Place {
  name: string;
  paths: ClusterPaths;
  isTemporary: boolean;
}

async function startAt(
  place: Place,
  config: ClusterConfig,
  options: StartClusterOptions,
  release: () => void,
): Promise<EmbeddedCluster> {
  const { name, paths, isTemporary } = place;
  const log = options.log ?? silentLogger;
  const existing = readPlan(paths);
  mkdirSync(paths.root, { recursive: true, mode: 0o711 });
  claimServer(paths, pinnaceVersion);
  let plan: ClusterPlan | undefined = existing;
  let claimed: Lock | undefined;
  let server: RunningCluster;
  try {
    if (!plan) ({ plan, claimed } = await planHere(place, config));
    const pki = readPki(paths) ?? makePki(paths, plan);
    writeClusterKubeconfig(plan, pki, paths.kubeconfig);
    const isInMemory = (options.store ?? (isTemporary && !plan.store ? "memory" : undefined)) === "memory";
    server = await startServer({
      plan,
      pki,
      paths,
      roles: new Set(allRoles),
      clock: systemClock,
      random: systemRandom,
      log,
      onProgress: (text) => log.info(text),
      ...(isInMemory ? { store: new MemoryStore({ clock: systemClock, defer: setImmediate }) } : {}),
    });
  } catch (error) {
    // A cluster that was there before is not ours to take away.
    if (existing) releaseServer(paths);
    else await takeAway(place, plan);
    await claimed?.release();
    throw error;
  }
  recordServer(paths, pinnaceVersion, true);
  const running = plan;
  const end = async (keep: boolean) => {
    try {
      await server.close();
      if (keep && !isTemporary) releaseServer(paths);
      else await takeAway(place, running);
    } finally {
      await claimed?.release();
      release();
    }
  };
  let ended: Promise<void> | undefined;
  const stop = ({ keep = false }: { keep?: boolean } = {}) => {
    ended ??= end(keep);
    return ended;
  };
  return {
    name,
    client: server.client,
    kubeconfig: clusterKubeconfig(plan, readPki(paths)!),
    kubeconfigFile: paths.kubeconfig,
    nodes: plan.nodes.map((node) => ({ name: node.name, role: node.role, kind: node.kind, address: node.address })),
    stop,
    [Symbol.asyncDispose]: () => stop(),
  };
}

/** Names of this process' clusters. */
const clustersHere = new Set<string>();

/** Namespaces, cgroups and tables carry the name, wherever the state lies. */
function reserveName(name: string): () => void {
  if (clustersHere.has(name)) {
    throw new Error(`this process runs a cluster "${name}" already; stop it first, or choose another name`);
  }
  clustersHere.add(name);
  return () => clustersHere.delete(name);
}

async function planHere({ name, paths }: Place, config: ClusterConfig): Promise<{ plan: ClusterPlan; claimed: Lock }> {
  // Test runners start many clusters at once, each in a process and a home of its own.
  const turn = await lockPlanning();
  try {
    const plan = planCluster(config, name, await readMachineFacts(paths.home, config.apiServer));
    if (hasLocalNodes(plan) && clusterNamespaces(name).length > 0) {
      throw new Error(
        `a cluster "${name}" has nodes on this machine already; end it with "pinnace down --name ${name}", or choose another name`,
      );
    }
    writePlan(paths, plan);
    return { plan, claimed: await claim({ lan: plan.network.lan, port: plan.apiServer.port }) };
  } finally {
    await turn.release();
  }
}

async function checkedConfig({ config, name, nodes, simulated }: StartClusterOptions): Promise<ClusterConfig> {
  const wanted: ClusterConfig = { apiVersion: "pinnace.local/v1alpha1", kind: "Cluster", ...config };
  if (name !== undefined) wanted.name = name;
  if (nodes !== undefined) wanted.nodes = typeof nodes === "number" ? countedNodes(nodes) : nodes;
  if (simulated !== undefined) {
    const kind = simulated ? "simulated" : "local";
    wanted.nodes = (wanted.nodes ?? countedNodes(3)).map((node) => ({ kind, ...node }));
  }
  try {
    return await parseConfig(JSON.stringify(wanted), "startCluster");
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    // There is no text that the lines could be counted in.
    throw new ConfigError(
      "startCluster",
      error.mistakes.map((mistake) => ({ ...mistake, line: undefined })),
    );
  }
}

function requireRealNodes(): void {
  const lacking = missing(checkPrerequisites());
  if (lacking.length === 0) return;
  const lines = lacking.map(({ name, remedy }) => `  ${name}${remedy ? `: ${remedy}` : ""}`);
  throw new Error(`this machine lacks what nodes with real containers need:\n${lines.join("\n")}`);
}

async function takeAway({ name, paths, isTemporary }: Place, plan: ClusterPlan | undefined): Promise<void> {
  if (plan && hasLocalNodes(plan)) await takeDownCluster(name, paths, systemClock);
  rmSync(isTemporary ? paths.home : paths.root, { recursive: true, force: true });
}

function hasLocalNodes(plan: ClusterPlan): boolean {
  return plan.nodes.some((node) => node.kind === "local");
}

const temporaryPrefix = "pinnace-embedded-";

/** Containers outlive the process that ran their cluster; nobody comes back for those of a temporary one. */
async function takeAbandonedClusters(log: Logger): Promise<void> {
  const folders = readdirSync(tmpdir()).filter((name) => name.startsWith(temporaryPrefix));
  for (const folder of folders) {
    const home = join(tmpdir(), folder);
    for (const name of listClusters(home)) {
      const paths = clusterPaths(name, home);
      if (clustersHere.has(name) || runningServer(paths)) continue;
      try {
        await takeAway({ name, paths, isTemporary: true }, readPlan(paths));
      } catch (error) {
        // Perhaps another process takes it away just now.
        log.warn("an abandoned cluster could not be taken away", { name, error });
      }
    }
  }
}
