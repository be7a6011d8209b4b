/** `pinnace up`: brings a cluster up, or back, and returns when it is usable. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { AdmissionSelection } from "../../apiserver-plugins/admission/catalog.ts";
import { sleep } from "../../base/clock.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { systemRandom } from "../../base/node/system-random.ts";
import { pkiRequestOf } from "../certificate-renewal.ts";
import { type ClusterPki, createPki } from "../certificates.ts";
import { claim, type Lock, lock, lockPlanning } from "../cluster-lock.ts";
import type { ClusterConfig, ClusterPlan, NodeConfig, StoreConfig, StoreEngine } from "../config/cluster-config.ts";
import { planCluster, portsOf } from "../config/plan-cluster.ts";
import { addContext, rememberUserKubeconfig, userKubeconfig, writeClusterKubeconfig } from "../kubeconfig.ts";
import { readMachineFacts } from "../machine-facts.ts";
import { checkPrerequisites, missing } from "../prerequisites.ts";
import {
  type ClusterPaths,
  clusterPaths,
  inUse,
  readPki,
  readPkiFrom,
  readPlan,
  runningServer,
  type ServerIdentity,
  writePki,
  writePlan,
} from "../state-folder.ts";
import { takeDownCluster } from "../teardown.ts";
import { downAlone } from "./down.ts";
import type { ServerMessage, StartMessage } from "./server-messages.ts";
import { checkedRoles } from "./server-roles.ts";

export interface PlanOptions {
  configFile?: string | undefined;
  /** Replaces the nodes of the configuration: one control-plane node and `nodes - 1` workers; 0 for a bare control plane. */
  nodes?: number | undefined;
  /** Admission plugins beside those that the configuration names. */
  admission?: AdmissionSelection | undefined;
  /** `30000-35000`: in the place of the configuration's, and of what a cluster had that comes back. */
  nodePortRange?: string | undefined;
  /** `docker.io=http://127.0.0.1:5000`, or docker.io's by its URL alone: asked before those of the configuration, and before the registry itself. */
  registryMirrors?: readonly string[] | undefined;
  /** In the place of the configuration's; paths relative to the working directory. */
  store?: StoreConfig | undefined;
  print(line: string): void;
}

export interface UpOptions extends PlanOptions {
  name?: string;
  roles?: readonly string[] | undefined;
  /** As kube-controller-manager's `--controllers`. */
  controllers?: readonly string[] | undefined;
  /** As kube-controller-manager's `--horizontal-pod-autoscaler-sync-period`. Default: 15,000. */
  autoscalerPeriodMs?: number | undefined;
  /** Give up after so long without progress. */
  timeoutSeconds?: number | undefined;
  /** The script that runs `pinnace server`. */
  entry: string;
}

const defaultTimeoutSeconds = 60;

export const defaultClusterName = "pinnace";

/** Resolves to the plan of the running cluster. Rejects with an Error whose message names cause and remedy. */
export async function up(options: UpOptions): Promise<ClusterPlan> {
  checkedRoles(options.roles);
  // What is wrong with them is said also where they would change nothing.
  withMirrors({}, options.registryMirrors);
  const config = await readConfig(options);
  const name = options.name ?? config?.name ?? defaultClusterName;
  const paths = clusterPaths(name);
  makeHome(paths);
  const turn = await lock(paths, "command", (pid) =>
    options.print(`Another command (process ${pid}) is working on cluster "${name}"; waiting for it to finish.`),
  );
  try {
    return await upAlone(name, paths, config, options);
  } finally {
    await turn.release();
  }
}

async function upAlone(
  name: string,
  paths: ClusterPaths,
  config: ClusterConfig | undefined,
  options: UpOptions,
): Promise<ClusterPlan> {
  if (readGoingDown(paths)) {
    options.print(`An earlier "pinnace down" of "${name}" did not finish; finishing it first.`);
    await downAlone(name, paths, options.print);
  }
  const running = runningServer(paths) && (await untilUsable(name, paths, options));
  if (running) return joinRunning(running, name, paths, config, options);
  const isNew = readPlan(paths) === undefined;
  // It loads while it is decided what it shall run.
  const server = startServer(name, paths, options);
  const usable = waitForServer(server, paths, options);
  usable.catch(() => {}); // Awaited below; the plan and the certificates come first.
  let planned: Planned | undefined;
  try {
    planned = await planOf(name, paths, config, options);
    const pki = readPki(paths) ?? makePki(paths, planned.plan);
    const timeoutSeconds = options.timeoutSeconds ?? defaultTimeoutSeconds;
    if (server.connected) server.send({ kind: "start", pki, timeoutSeconds } satisfies StartMessage);
    await usable;
  } catch (error) {
    // One without a plan has begun nothing that it would have to end.
    if (!planned) server.kill("SIGKILL");
    await endServer(server);
    // An `up` that was killed may have left a server that was still loading when this one looked.
    const earlier = runningServer(paths) && (await untilUsable(name, paths, options));
    if (earlier) return await joinRunning(earlier, name, paths, config, options);
    // What never was usable has nothing to lose, and the next `up` may come with another configuration.
    if (isNew && planned) await takeDownCluster(name, paths, systemClock).catch(() => {});
    else if (isNew) removeLog(paths);
    throw error;
  } finally {
    if (server.connected) server.disconnect();
    server.unref();
    await planned?.claimed?.release();
  }
  const { plan } = planned;
  writeClusterKubeconfig(plan, readPki(paths)!, paths.kubeconfig);
  await mergeIntoUserKubeconfig(plan, paths);
  return plan;
}

/** The cluster is up already: kubectl uses it from now on, and what was asked otherwise is not done. */
async function joinRunning(
  running: ServerIdentity,
  name: string,
  paths: ClusterPaths,
  config: ClusterConfig | undefined,
  options: UpOptions,
): Promise<ClusterPlan> {
  const plan = readPlan(paths)!;
  options.print(`Cluster "${name}" is already up (process ${running.pid}).`);
  if (
    config ||
    options.nodes !== undefined ||
    options.store ||
    options.nodePortRange ||
    options.registryMirrors ||
    hasNames(options.admission)
  )
    explainKeptConfiguration(name, options.print);
  await mergeIntoUserKubeconfig(plan, paths);
  return plan;
}

/** The server renews it there when the certificate's time comes. */
async function mergeIntoUserKubeconfig(plan: ClusterPlan, paths: ClusterPaths): Promise<void> {
  const target = userKubeconfig();
  await addContext(plan, readPki(paths)!, target);
  rememberUserKubeconfig(paths, target);
}

/** An `up` before this one ended before its server was usable: the server goes on, or ends. */
async function untilUsable(name: string, paths: ClusterPaths, options: UpOptions): Promise<ServerIdentity | undefined> {
  const patienceMs = (options.timeoutSeconds ?? defaultTimeoutSeconds) * 1000;
  for (let waitedMs = 0; ; waitedMs += 20) {
    const server = runningServer(paths);
    if (!server || server.usable) return server;
    if (waitedMs === 0) options.print(`Cluster "${name}" is starting (process ${server.pid}).`);
    if (waitedMs >= patienceMs) {
      throw new Error(
        `the server (process ${server.pid}) is starting, but not usable after ${patienceMs / 1000} s; "pinnace logs --name ${name}" shows what it does, "pinnace down --name ${name}" ends it`,
      );
    }
    await sleep(systemClock, 20);
  }
}

function makeHome({ home }: ClusterPaths): void {
  try {
    mkdirSync(home, { recursive: true, mode: 0o755 });
  } catch (error) {
    throw new Error(
      `the folder for clusters, ${home}, cannot be made: ${(error as Error).message}; set PINNACE_HOME to a folder that this user may write`,
      { cause: error },
    );
  }
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
  return withPathsFrom(dirname(options.configFile), await parseConfig(text, options.configFile));
}

/** The server works in another directory. */
function withPathsFrom(folder: string, config: ClusterConfig): ClusterConfig {
  const { store, certificates } = config;
  return {
    ...config,
    ...(store ? { store: storeWithPathsFrom(folder, store) } : {}),
    ...(certificates ? { certificates: resolve(folder, certificates) } : {}),
  };
}

function storeWithPathsFrom(folder: string, store: StoreConfig): StoreConfig {
  const { caFile, certFile, keyFile } = store;
  return {
    ...store,
    ...(caFile ? { caFile: resolve(folder, caFile) } : {}),
    ...(certFile ? { certFile: resolve(folder, certFile) } : {}),
    ...(keyFile ? { keyFile: resolve(folder, keyFile) } : {}),
  };
}

/** What the command line says of the store, as upstream's flags of kube-apiserver do. Throws when it makes no sense. */
export async function storeFromFlags(flags: StoreFlags): Promise<StoreConfig | undefined> {
  const { store: engine, etcdServers, etcdCafile, etcdCertfile, etcdKeyfile } = flags;
  if (!engine && !etcdServers && !etcdCafile && !etcdCertfile && !etcdKeyfile) return undefined;
  const config: StoreConfig = {
    engine: (engine ?? "etcd") as StoreEngine,
    ...(etcdServers ? { endpoints: etcdServers } : {}),
    ...(etcdCafile ? { caFile: etcdCafile } : {}),
    ...(etcdCertfile ? { certFile: etcdCertfile } : {}),
    ...(etcdKeyfile ? { keyFile: etcdKeyfile } : {}),
  };
  const { parseConfig } = await import("../config/parse-config.ts");
  const document = { apiVersion: "pinnace.local/v1alpha1", kind: "Cluster", store: config };
  // The same checks as for a file, in its words.
  await parseConfig(JSON.stringify(document), "the command line");
  return storeWithPathsFrom(".", config);
}

export interface StoreFlags {
  store?: string;
  etcdServers?: string[];
  etcdCafile?: string;
  etcdCertfile?: string;
  etcdKeyfile?: string;
}

/** The plan and certificates of a cluster that this process is about to run itself. */
export async function preparePlan(
  options: PlanOptions & { name?: string },
): Promise<{ plan: ClusterPlan; pki: ClusterPki }> {
  const config = await readConfig(options);
  const name = options.name ?? config?.name ?? defaultClusterName;
  const paths = clusterPaths(name);
  makeHome(paths);
  const turn = await lock(paths, "command");
  try {
    return await prepareAlone(name, paths, config, options);
  } finally {
    await turn.release();
  }
}

async function prepareAlone(
  name: string,
  paths: ClusterPaths,
  config: ClusterConfig | undefined,
  options: PlanOptions,
): Promise<{ plan: ClusterPlan; pki: ClusterPki }> {
  if (readGoingDown(paths)) await downAlone(name, paths, options.print);
  const running = runningServer(paths);
  if (running) throw inUse(running);
  // The claim lasts as long as this process, which is the cluster's own.
  const { plan } = await planOf(name, paths, config, options);
  const pki = readPki(paths) ?? makePki(paths, plan);
  writeClusterKubeconfig(plan, pki, paths.kubeconfig);
  return { plan, pki };
}

interface Planned {
  plan: ClusterPlan;
  /** Speaks for the LAN and the port until the server does. */
  claimed?: Lock;
}

async function planOf(
  name: string,
  paths: ClusterPaths,
  config: ClusterConfig | undefined,
  options: PlanOptions,
): Promise<Planned> {
  const existing = readPlan(paths);
  if (existing) {
    options.print(`Bringing cluster "${name}" back.`);
    if (config || options.nodes !== undefined || options.store || hasNames(options.admission))
      explainKeptConfiguration(name, options.print);
    const { nodePortRange, registryMirrors } = options;
    if (nodePortRange === undefined && !registryMirrors) return { plan: existing };
    if (nodePortRange !== undefined) await checkPortRange(nodePortRange);
    const plan = {
      ...existing,
      network: { ...existing.network, ...(nodePortRange ? { nodePortRange: portsOf(nodePortRange) } : {}) },
      images: { ...existing.images, mirrors: withMirrors(existing.images.mirrors, registryMirrors) },
    };
    writePlan(paths, plan);
    return { plan };
  }
  // Two clusters that are planned at the same moment must not choose the same LAN or port.
  const turn = await lockPlanning();
  try {
    const given: ClusterConfig = config ?? { apiVersion: "pinnace.local/v1alpha1", kind: "Cluster" };
    const { nodePortRange } = options;
    if (nodePortRange !== undefined) await checkPortRange(nodePortRange);
    const base = {
      ...given,
      ...(options.store ? { store: options.store } : {}),
      ...(nodePortRange === undefined ? {} : { network: { ...given.network, nodePortRange } }),
      ...(options.registryMirrors
        ? { images: { ...given.images, mirrors: withMirrors(given.images?.mirrors, options.registryMirrors) } }
        : {}),
    };
    const wanted = await withAdmission(
      options.nodes === undefined ? base : { ...base, nodes: countedNodes(options.nodes) },
      options.admission,
    );
    const plan = planCluster(wanted, name, await readMachineFacts(paths.home, wanted.apiServer));
    const simulated = plan.nodes.filter(
      ({ name, kind }) =>
        kind === "simulated" && wanted.nodes?.find((node) => node.name === name)?.kind !== "simulated",
    );
    if (simulated.length > 0) explainSimulation(options.print);
    writePlan(paths, plan);
    return { plan, claimed: await claim({ lan: plan.network.lan, port: plan.apiServer.port }) };
  } finally {
    await turn.release();
  }
}

/** The same checks as for a file, in its words. */
async function checkPortRange(nodePortRange: string): Promise<void> {
  const { parseConfig } = await import("../config/parse-config.ts");
  const document = { apiVersion: "pinnace.local/v1alpha1", kind: "Cluster", network: { nodePortRange } };
  await parseConfig(JSON.stringify(document), "the command line");
}

/** Those of the command line first. Throws where one is not written as it should be. */
function withMirrors(
  mirrors: Readonly<Record<string, readonly string[]>> = {},
  added: readonly string[] = [],
): Record<string, string[]> {
  const all: Record<string, string[]> = Object.fromEntries(
    Object.entries(mirrors).map(([host, of]) => [host, [...of]]),
  );
  for (const text of [...added].reverse()) {
    const [, host = "docker.io", url = ""] = /^(?:([\w.:-]+)=)?(https?:\/\/[^\s/?#]+[^\s?#]*)$/.exec(text) ?? [];
    if (!url) {
      throw new Error(
        `"${text}" is no mirror of a registry: write its URL, as in http://127.0.0.1:5000, or REGISTRY=URL, as in quay.io=https://mirror.example`,
      );
    }
    all[host] = [url, ...(all[host] ?? []).filter((other) => other !== url)];
  }
  return all;
}

function hasNames({ enable, disable }: AdmissionSelection = {}): boolean {
  return (enable?.length ?? 0) + (disable?.length ?? 0) > 0;
}

async function withAdmission(config: ClusterConfig, wanted: AdmissionSelection = {}): Promise<ClusterConfig> {
  if (!hasNames(wanted)) return config;
  const { admissionSelectionErrors } = await import("../../apiserver-plugins/admission/catalog.ts");
  const { enable = [], disable = [], ...told } = config.apiServer?.admission ?? {};
  const admission = {
    ...told,
    enable: [...enable, ...(wanted.enable ?? [])],
    disable: [...disable, ...(wanted.disable ?? [])],
  };
  const errors = admissionSelectionErrors(admission);
  if (errors.length > 0) throw new Error(errors.join("\n"));
  return { ...config, apiServer: { ...config.apiServer, admission } };
}

function explainKeptConfiguration(name: string, print: (line: string) => void): void {
  print(`It keeps the configuration it was made with; for another one, run "pinnace down --name ${name}" first.`);
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

// What a server makes while it starts, it keeps: looking through it again and again for what is to be thrown away takes a tenth of the start.
const roomForTheYoung = "--min-semi-space-size=16";

function startServer(name: string, paths: ClusterPaths, options: UpOptions): ChildProcess {
  mkdirSync(paths.root, { recursive: true, mode: 0o711 });
  const log = openSync(paths.serverLog, "a", 0o600);
  try {
    return spawn(
      process.execPath,
      [
        roomForTheYoung,
        ...(readsNoAuthorities() ? ["--use-openssl-ca"] : []),
        options.entry,
        "server",
        "--name",
        name,
        ...(options.roles ? ["--roles", options.roles.join(",")] : []),
        // With "=": a list may begin with a dash.
        ...(options.controllers ? [`--controllers=${options.controllers.join(",")}`] : []),
        ...(options.autoscalerPeriodMs
          ? ["--horizontal-pod-autoscaler-sync-period", `${options.autoscalerPeriodMs}ms`]
          : []),
      ],
      { detached: true, cwd: "/", env: withoutAuthorities(process.env), stdio: ["ignore", log, log, "ipc"] },
    );
  } finally {
    closeSync(log);
  }
}

/**
 * As the launcher does for kubectl: Node would read every authority that the machine trusts before it listens, a tenth of the start.
 * What connects to others asks for them itself, where it does.
 */
const readsNoAuthorities = (): boolean => !process.env["NODE_OPTIONS"];

function withoutAuthorities(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: extra, ...others } = environment;
  const hidden = extra ? { ...others, PINNACE_NODE_EXTRA_CA_CERTS: extra } : others;
  if (!readsNoAuthorities()) return hidden;
  return { ...hidden, PINNACE_SSL_CERT_FILE: environment["SSL_CERT_FILE"] ?? "", SSL_CERT_FILE: "/dev/null" };
}

/** All that there is of a cluster before its plan. */
function removeLog(paths: ClusterPaths): void {
  rmSync(paths.serverLog, { force: true });
  try {
    rmdirSync(paths.root);
  } catch {
    // An earlier cluster left something else in it, for "pinnace down" to take away.
  }
}

/** It ends by itself when its start has failed, unless it is stuck. */
async function endServer(server: ChildProcess): Promise<void> {
  const hasEnded = () => server.exitCode !== null || server.signalCode !== null || server.pid === undefined;
  for (let waitedMs = 0; !hasEnded() && waitedMs < closingPatienceMs; waitedMs += 10) await sleep(systemClock, 10);
  if (!hasEnded()) server.kill("SIGKILL");
  while (!hasEnded()) await sleep(systemClock, 10);
}

const closingPatienceMs = 5000;

/** Makes the cluster's certificates and writes them into its folder. */
export function makePki(paths: ClusterPaths, plan: ClusterPlan): ClusterPki {
  const shared = plan.certificates === undefined ? undefined : sharedAuthorities(plan.certificates);
  const pki = createPki({
    ...(shared ? { shared } : {}),
    ...pkiRequestOf(plan),
    nowMs: systemClock.now(),
    random: systemRandom,
  });
  writePki(paths, pki);
  return pki;
}

/** What the servers of one cluster have in common. */
function sharedAuthorities(folder: string): ClusterPki {
  const pki = readPkiFrom(folder);
  if (!pki) throw new Error(`certificates: ${folder} is not the folder "pki" of another server of this cluster`);
  return pki;
}

function waitForServer(server: ChildProcess, paths: ClusterPaths, options: UpOptions): Promise<void> {
  // The server gives up by itself and knows why; this is for one that is stuck as a whole.
  const patienceMs = (options.timeoutSeconds ?? defaultTimeoutSeconds) * 1000 + 2000;
  const { promise, resolve, reject } = withResolvers();
  let lastProgress = "nothing yet";
  const giveUp = () => {
    server.kill("SIGKILL");
    const seconds = patienceMs / 1000;
    reject(new Error(`the server has not answered for ${seconds} s (last: ${lastProgress}); ${logEnd(paths)}`));
  };
  let timer = systemClock.setTimer(patienceMs, giveUp);
  server.on("message", (message: ServerMessage) => {
    if (message.kind === "progress") {
      lastProgress = message.text;
      options.print(`  ${message.text}`);
      timer[Symbol.dispose]();
      timer = systemClock.setTimer(patienceMs, giveUp);
    } else if (message.kind === "usable") resolve();
    else reject(new Error(message.isStuck ? `${message.message}\n${logEnd(paths)}` : message.message));
  });
  server.once("error", reject);
  server.once("exit", (code, signal) =>
    reject(new Error(`the server ended while starting (${signal ?? `exit code ${code}`}); ${logEnd(paths)}`)),
  );
  return promise.finally(() => timer[Symbol.dispose]());
}

function withResolvers(): { promise: Promise<void>; resolve(): void; reject(error: Error): void } {
  let resolve = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((...settle) => {
    [resolve, reject] = settle;
  });
  return { promise, resolve, reject };
}

function logEnd({ serverLog }: ClusterPaths): string {
  return `its log, ${serverLog}, ends with:\n${tail(serverLog, 15)}`;
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
