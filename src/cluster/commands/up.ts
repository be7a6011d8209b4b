/** `pinnace up`: brings a cluster up, or back, and returns when it is usable. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { systemClock } from "../../base/node/system-clock.ts";
import { systemRandom } from "../../base/node/system-random.ts";
import { type ClusterPki, createPki } from "../certificates.ts";
import type { ClusterConfig, ClusterPlan, NodeConfig } from "../config/cluster-config.ts";
import { planCluster } from "../config/plan-cluster.ts";
import { addContext, userKubeconfig, writeClusterKubeconfig } from "../kubeconfig.ts";
import { readMachineFacts } from "../machine-facts.ts";
import { checkPrerequisites, missing } from "../prerequisites.ts";
import {
  type ClusterPaths,
  clusterPaths,
  readPki,
  readPlan,
  runningServer,
  writePki,
  writePlan,
} from "../state-folder.ts";
import { down } from "./down.ts";
import type { ServerMessage, StartMessage } from "./server-messages.ts";

export interface PlanOptions {
  configFile?: string | undefined;
  /** Replaces the nodes of the configuration: one control-plane node and `nodes - 1` workers; 0 for a bare control plane. */
  nodes?: number | undefined;
  print(line: string): void;
}

export interface UpOptions extends PlanOptions {
  name?: string;
  roles?: readonly string[] | undefined;
  /** The script that runs `pinnace server`. */
  entry: string;
}

export const defaultClusterName = "pinnace";

/** Resolves to the plan of the running cluster. Rejects with an Error whose message names cause and remedy. */
export async function up(options: UpOptions): Promise<ClusterPlan> {
  const config = await readConfig(options);
  const name = options.name ?? config?.name ?? defaultClusterName;
  const paths = clusterPaths(name);
  const running = runningServer(paths);
  if (running) {
    const plan = readPlan(paths)!;
    options.print(`Cluster "${name}" is already up (process ${running.pid}).`);
    await addContext(plan, readPki(paths)!, userKubeconfig());
    return plan;
  }
  if (readGoingDown(paths)) {
    options.print(`An earlier "pinnace down" of "${name}" did not finish; finishing it first.`);
    await down({ name, print: options.print });
  }
  const plan = await planOf(name, paths, config, options);
  const server = startServer(name, paths, options);
  await certifyAndWait(server, paths, plan, options);
  writeClusterKubeconfig(plan, readPki(paths)!, paths.kubeconfig);
  await addContext(plan, readPki(paths)!, userKubeconfig());
  return plan;
}

async function readConfig(options: PlanOptions): Promise<ClusterConfig | undefined> {
  if (!options.configFile) return undefined;
  const { parseConfig } = await import("../config/parse-config.ts");
  let text: string;
  try {
    text = await readFile(options.configFile, "utf8");
  } catch (error) {
    throw new Error(`the configuration file ${options.configFile} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return parseConfig(text, options.configFile);
}

/** The plan and certificates of a cluster that this process is about to run itself. */
export async function preparePlan(
  options: PlanOptions & { name: string },
): Promise<{ plan: ClusterPlan; pki: ClusterPki }> {
  const config = await readConfig(options);
  const paths = clusterPaths(options.name);
  const plan = await planOf(options.name, paths, config, options);
  const pki = readPki(paths) ?? (await makePki(paths, plan));
  writeClusterKubeconfig(plan, pki, paths.kubeconfig);
  return { plan, pki };
}

async function planOf(
  name: string,
  paths: ClusterPaths,
  config: ClusterConfig | undefined,
  options: PlanOptions,
): Promise<ClusterPlan> {
  const existing = readPlan(paths);
  if (existing) {
    options.print(`Bringing cluster "${name}" back.`);
    if (config)
      options.print(
        `It keeps the configuration it was made with; for another one, run "pinnace down --name ${name}" first.`,
      );
    return existing;
  }
  const facts = await readMachineFacts(paths.home);
  if (!facts.canRunLocalNodes && options.nodes !== 0) explainSimulation(options.print);
  const base: ClusterConfig = config ?? { apiVersion: "pinnace.local/v1alpha1", kind: "Cluster" };
  const plan = planCluster(
    options.nodes === undefined ? base : { ...base, nodes: countedNodes(options.nodes) },
    name,
    facts,
  );
  writePlan(paths, plan);
  return plan;
}

/** One control-plane node and `count - 1` workers. */
export function countedNodes(count: number): NodeConfig[] {
  return Array.from({ length: count }, (_, i) =>
    i === 0
      ? { name: "control-plane", role: "control-plane" as const }
      : { name: `worker-${i}`, role: "worker" as const },
  );
}

function explainSimulation(print: (line: string) => void): void {
  const lacking = missing(checkPrerequisites());
  print(
    `Nodes will be simulated, without containers or packets, because this machine lacks ${lacking.map((item) => item.name).join(", ")}:`,
  );
  for (const item of lacking) if (item.remedy) print(`  ${item.name}: ${item.remedy}`);
}

function startServer(name: string, paths: ClusterPaths, options: UpOptions): ChildProcess {
  mkdirSync(paths.root, { recursive: true });
  const log = openSync(paths.serverLog, "a", 0o644);
  try {
    return spawn(
      process.execPath,
      [options.entry, "server", "--name", name, ...(options.roles ? ["--roles", options.roles.join(",")] : [])],
      { detached: true, cwd: "/", stdio: ["ignore", log, log, "ipc"] },
    );
  } finally {
    closeSync(log);
  }
}

async function certifyAndWait(
  server: ChildProcess,
  paths: ClusterPaths,
  plan: ClusterPlan,
  options: UpOptions,
): Promise<void> {
  const outcome = waitForServer(server, paths, options.print);
  try {
    const pki = readPki(paths) ?? (await makePki(paths, plan));
    server.send({ kind: "start", pki } satisfies StartMessage);
    await outcome;
  } finally {
    if (server.connected) server.disconnect();
    server.unref();
  }
}

/** Makes the cluster's certificates and writes them into its folder. */
export async function makePki(paths: ClusterPaths, plan: ClusterPlan): Promise<ClusterPki> {
  const { dnsDomain, kubernetesAddress, hostAddress } = plan.network;
  const service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", `kubernetes.default.svc.${dnsDomain}`];
  const pki = await createPki({
    clusterName: plan.name,
    dnsNames: [...service, "localhost", ...plan.nodes.map((node) => node.name)],
    ipAddresses: [
      ...new Set([
        kubernetesAddress,
        plan.apiServer.address,
        "127.0.0.1",
        hostAddress,
        ...plan.nodes.map((node) => node.address),
      ]),
    ],
    nowMs: systemClock.now(),
    random: systemRandom,
  });
  writePki(paths, pki);
  return pki;
}

function waitForServer(server: ChildProcess, paths: ClusterPaths, print: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.on("message", (message: ServerMessage) => {
      if (message.kind === "progress") print(`  ${message.text}`);
      else if (message.kind === "usable") resolve();
      else reject(new Error(message.message));
    });
    server.once("error", reject);
    server.once("exit", (code, signal) => {
      reject(
        new Error(
          `the server ended while starting (${signal ?? `exit code ${code}`}); its log, ${paths.serverLog}, ends with:\n${tail(paths.serverLog, 15)}`,
        ),
      );
    });
  });
}

function readGoingDown(paths: ClusterPaths): boolean {
  try {
    readFileSync(paths.goingDown);
    return true;
  } catch {
    return false;
  }
}

function tail(file: string, lines: number): string {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  } catch {
    return "(no log)";
  }
}
