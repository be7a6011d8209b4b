/**
 * Takes away everything a cluster made on this machine. It asks nobody: what belongs to a cluster is known by where it is
 * (its state folder, its cgroup, its namespaces), so that a half-made or half-ended cluster goes as well as a whole one.
 */
import { readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Clock, sleep } from "../base/clock.ts";
import { unmountAll } from "../base/node/mounts.ts";
import { dnsStandbyVerb } from "./dns-standby.ts";
import { takeDownLan } from "./network/lan.ts";
import type { ClusterPaths } from "./state-folder.ts";

/** The cgroup below every controller's root that holds all of a cluster's pods. */
export function clusterCgroup(cluster: string): string {
  return `/pinnace/${cluster}`;
}

/** Ends the processes, then removes mounts, namespaces, links, tables, cgroups and the state folder. Idempotent. */
export async function takeDownCluster(cluster: string, paths: ClusterPaths, clock: Clock): Promise<void> {
  // Only root can have made more than files: others' clusters are simulated.
  if (process.getuid?.() === 0) {
    await killAll(() => [...processesIn(cgroupFolders(cluster)), ...processesOf(paths.root)], clock);
    removeShimSockets(paths);
    unmountAll(paths.root);
    await takeDownLan(cluster);
    await removeCgroups(cluster, clock);
    removeEmptyParents();
  }
  rmSync(paths.root, { recursive: true, force: true });
}

const cgroupRoot = "/sys/fs/cgroup";

/** The cluster's folder in each mounted hierarchy: one with cgroup v2, one a controller with v1. */
function cgroupFolders(cluster: string): string[] {
  const hierarchies = [cgroupRoot, ...entriesOf(cgroupRoot).map((name) => join(cgroupRoot, name))];
  return hierarchies.map((root) => join(root, clusterCgroup(cluster))).filter((folder) => entriesOf(folder).length > 0);
}

function* processesIn(cgroups: readonly string[]): Iterable<number> {
  for (const folder of cgroups) {
    yield* readPids(join(folder, "cgroup.procs"));
    yield* processesIn(foldersIn(folder));
  }
}

/** conmon, containerd with its shims and the standby of DNS are in no pod's cgroup, but work for the cluster's folder, which their command lines name. */
function* processesOf(root: string): Iterable<number> {
  for (const pid of entriesOf("/proc")) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const command = readText(`/proc/${pid}/cmdline`);
    const program = command.split("\0")[0] ?? "";
    const isOurs =
      /(^|\/)(conmon|crun|runc|containerd|containerd-shim-runc-v2)$/.test(program) ||
      command.includes(`\0${dnsStandbyVerb}\0`);
    if (isOurs && command.includes(`${root}/`)) yield Number(pid);
  }
}

/** Kills until nobody is left: a process may fork between the look and the signal. */
async function killAll(find: () => Iterable<number>, clock: Clock): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const pids = [...new Set(find())];
    if (pids.length === 0) return;
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Ended by itself.
      }
    }
    await sleep(clock, 5);
  }
  throw new Error(`processes of the cluster do not end: ${[...new Set(find())].join(", ")}`);
}

/** containerd's shims listen outside its folders, and can no more tidy up. */
function removeShimSockets({ nodes }: ClusterPaths): void {
  for (const node of entriesOf(nodes)) {
    const tasks = join(nodes, node, "containerd/state/io.containerd.runtime.v2.task/k8s.io");
    for (const task of entriesOf(tasks)) {
      const address = readText(join(tasks, task, "address"))
        .trim()
        .replace(/^unix:\/\//, "");
      if (address.startsWith("/run/containerd/s/")) rmSync(address, { force: true });
    }
    if (entriesOf(tasks).length > 0)
      for (const folder of ["/run/containerd/s", "/run/containerd"]) removeIfEmpty(folder);
  }
}

/** The kernel keeps a cgroup busy for a moment after its last process has ended. */
async function removeCgroups(cluster: string, clock: Clock): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const folders = cgroupFolders(cluster);
    if (folders.length === 0) return;
    for (const folder of folders) removeCgroup(folder);
    if (cgroupFolders(cluster).length > 0) await sleep(clock, 5);
  }
}

function removeCgroup(folder: string): void {
  for (const child of foldersIn(folder)) removeCgroup(child);
  removeIfEmpty(folder);
}

/** The folder above all clusters goes with the last one. */
function removeEmptyParents(): void {
  for (const root of [cgroupRoot, ...entriesOf(cgroupRoot).map((name) => join(cgroupRoot, name))])
    removeIfEmpty(join(root, "pinnace"));
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Absent, or another cluster's is in it.
  }
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(folder, entry.name));
  } catch {
    return [];
  }
}

function readPids(file: string): number[] {
  return readText(file).split("\n").filter(Boolean).map(Number);
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
