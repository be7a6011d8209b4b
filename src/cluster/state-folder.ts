/** Where a cluster keeps itself on disk, and who may touch it: paths, the plan, the running server's identity. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { ClusterPki } from "./certificates.ts";
import type { ClusterPlan } from "./config/cluster-config.ts";

/** `PINNACE_HOME`, else /var/lib/pinnace for root and ~/.local/share/pinnace for others. */
export function pinnaceHome(environment: NodeJS.ProcessEnv = process.env): string {
  if (environment["PINNACE_HOME"]) return environment["PINNACE_HOME"];
  return process.getuid?.() === 0 ? "/var/lib/pinnace" : join(homedir(), ".local/share/pinnace");
}

export interface ClusterPaths {
  home: string;
  /** The cluster's own folder; everything below belongs to it alone. */
  root: string;
  plan: string;
  pki: string;
  store: string;
  /** One folder a node: containers, pod volumes, logs. */
  nodes: string;
  /** The same for what must stay in memory: Secrets, tokens. A tmpfs. */
  volatile: string;
  /** What the local provisioner made: a folder a PersistentVolume. */
  volumes: string;
  kubeconfig: string;
  serverLog: string;
  /** Identity of the running server. */
  server: string;
  /** Identity of the process that answers names when the server dies. */
  dnsStandby: string;
  /** Present from the moment a `down` began until its end. */
  goingDown: string;
  /** Images, shared by all clusters of the machine. */
  images: string;
}

export function clusterPaths(name: string, home = pinnaceHome()): ClusterPaths {
  const root = join(home, "clusters", name);
  return {
    home,
    root,
    plan: join(root, "plan.json"),
    pki: join(root, "pki"),
    store: join(root, "store"),
    nodes: join(root, "nodes"),
    volatile: join(root, "volatile"),
    volumes: join(root, "volumes"),
    kubeconfig: join(root, "kubeconfig"),
    serverLog: join(root, "server.log"),
    server: join(root, "server.json"),
    dnsStandby: join(root, "dns-standby.json"),
    goingDown: join(root, "going-down"),
    images: join(home, "images"),
  };
}

/** Everything that was ever begun and not ended, by name: half-made clusters too. */
export function clusterFolders(home = pinnaceHome()): string[] {
  return entriesOf(join(home, "clusters"));
}

/** Clusters that have a plan on this machine, by name. */
export function listClusters(home = pinnaceHome()): string[] {
  return clusterFolders(home).filter((name) => readPlan(clusterPaths(name, home)) !== undefined);
}

export function readPlan(paths: ClusterPaths): ClusterPlan | undefined {
  return readJson<ClusterPlan>(paths.plan);
}

export function writePlan(paths: ClusterPaths, plan: ClusterPlan): void {
  mkdirSync(paths.root, { recursive: true, mode: 0o711 });
  writeAtomically(paths.plan, `${JSON.stringify(plan, null, 2)}\n`, 0o600);
}

export function readPki(paths: ClusterPaths): ClusterPki | undefined {
  return readPkiFrom(paths.pki);
}

/** From a folder as `writePki` leaves it; undefined when it is none. */
export function readPkiFrom(folder: string): ClusterPki | undefined {
  return readJson<ClusterPki>(join(folder, "pki.json"));
}

/** The PEM files under kubeadm's names for people and tools, and one JSON file for ourselves. */
export function writePki(paths: ClusterPaths, pki: ClusterPki): void {
  mkdirSync(paths.pki, { recursive: true, mode: 0o700 });
  writeAtomically(join(paths.pki, "ca.crt"), pki.ca.certificatePem, 0o600);
  writeAtomically(join(paths.pki, "ca.key"), pki.ca.privateKeyPem, 0o600);
  writeAtomically(join(paths.pki, "apiserver.crt"), pki.apiServer.certificatePem, 0o600);
  writeAtomically(join(paths.pki, "apiserver.key"), pki.apiServer.privateKeyPem, 0o600);
  writeAtomically(join(paths.pki, "sa.key"), pki.serviceAccountKeyPem, 0o600);
  writeAtomically(join(paths.pki, "pki.json"), JSON.stringify(pki), 0o600);
}

/** A process, named so that a reused pid is not mistaken for it. */
export interface ProcessIdentity {
  pid: number;
  /** Clock ticks after boot, from /proc. */
  startTicks: number;
}

export interface ServerIdentity extends ProcessIdentity {
  version: string;
  /** Set once the cluster was usable. */
  usable: boolean;
}

/** The live server of a cluster. A file left by a dead one counts as none. */
export function runningServer(paths: ClusterPaths): ServerIdentity | undefined {
  const recorded = readJson<ServerIdentity>(paths.server);
  return recorded && isAlive(recorded) ? recorded : undefined;
}

export class ClusterInUseError extends Error {
  override name = "ClusterInUseError";
}

/** Claims the cluster for this process. Throws ClusterInUseError while another live process holds it. */
export function claimServer(paths: ClusterPaths, version: string): void {
  const holder = runningServer(paths);
  if (holder && holder.pid !== process.pid) throw inUse(holder);
  recordServer(paths, version, false);
}

export function inUse({ pid }: { pid: number }): ClusterInUseError {
  return new ClusterInUseError(
    `the cluster is already run by process ${pid}; stop it with "pinnace down", or start another cluster with --name`,
  );
}

export function recordServer(paths: ClusterPaths, version: string, usable: boolean): void {
  const identity: ServerIdentity = { ...identityOf(process.pid)!, version, usable };
  writeAtomically(paths.server, JSON.stringify(identity), 0o600);
}

export function releaseServer(paths: ClusterPaths): void {
  rmSync(paths.server, { force: true });
}

export function identityOf(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command name may hold spaces and parentheses; fields count from the last one.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie is dead: only its parent has not heard of it yet.
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    return { pid, startTicks: Number(fields[19]) };
  } catch {
    return undefined;
  }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identityOf(identity.pid)?.startTicks === identity.startTicks;
}

export function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Error(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** Readers see the old content or the new, never half of it. */
export function writeAtomically(file: string, content: string, mode: number): void {
  const draft = `${file}.${process.pid}.new`;
  writeFileSync(draft, content, { mode });
  renameSync(draft, file);
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
