/**
 * Control groups on machines of all three kinds: v1 (a hierarchy per controller), v2 (one hierarchy), and hybrid (v1 with a
 * v2 hierarchy beside it that has no controllers). Reads and writes the kernel's files directly; starts no process.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, sleep } from "../../../base/clock.ts";
import type { ContainerStats, Resources } from "../container-runtime.ts";

export type CgroupMounts =
  | { kind: "v1" | "hybrid"; controllers: Map<string, string>; hierarchies: string[]; unified?: string }
  | { kind: "v2"; root: string };

/** Reads what is mounted where from the text of /proc/self/mountinfo. */
export function parseCgroupMounts(mountinfo: string): CgroupMounts | undefined {
  const controllers = new Map<string, string>();
  const hierarchies: string[] = [];
  let unified: string | undefined;
  for (const line of mountinfo.split("\n")) {
    const [left, right] = line.split(" - ");
    if (!left || !right) continue;
    const mountPoint = left.split(" ")[4]!;
    const [type, , superOptions] = right.split(" ");
    if (type === "cgroup2") unified ??= mountPoint;
    if (type !== "cgroup" || hierarchies.includes(mountPoint)) continue;
    hierarchies.push(mountPoint);
    for (const option of superOptions?.split(",") ?? []) {
      if (knownControllers.has(option) && !controllers.has(option)) controllers.set(option, mountPoint);
    }
  }
  if (hierarchies.length > 0) return { kind: unified ? "hybrid" : "v1", controllers, hierarchies, unified };
  return unified ? { kind: "v2", root: unified } : undefined;
}

const knownControllers = new Set([
  "cpu",
  "cpuacct",
  "cpuset",
  "memory",
  "devices",
  "freezer",
  "blkio",
  "pids",
  "hugetlb",
  "net_cls",
  "net_prio",
  "perf_event",
  "rdma",
]);

/** All groups are named by their path below the root, such as `/pinnace/kubepods/pod1`. */
export class Cgroups {
  readonly mounts: CgroupMounts;
  readonly #clock: Clock;

  constructor(mounts: CgroupMounts, clock: Clock) {
    this.mounts = mounts;
    this.#clock = clock;
  }

  /** False where the kernel keeps no account of huge pages, or keeps it in the hierarchy that containers are not in. */
  get limitsHugePages(): boolean {
    const { mounts } = this;
    if (mounts.kind !== "v2") return mounts.controllers.has("hugetlb");
    return (read(join(mounts.root, "cgroup.controllers")) ?? "").split(/\s+/).includes("hugetlb");
  }

  /** Makes the group in every hierarchy where a limit needs it, and sets the limits. */
  create(path: string, resources: Resources = {}): void {
    if (this.mounts.kind === "v2") {
      this.#createV2(this.mounts.root, path);
    } else {
      for (const controller of controllersOf(resources)) {
        const mountPoint = this.mounts.controllers.get(controller);
        if (!mountPoint) continue;
        mkdirSync(join(mountPoint, path), { recursive: true });
        if (controller === "cpuset") fillCpuset(mountPoint, path);
      }
    }
    this.update(path, resources);
  }

  /** Sets the limits that are given. A controller that the machine lacks is passed over, as upstream does. */
  update(path: string, resources: Resources): void {
    for (const [file, value] of this.mounts.kind === "v2" ? settingsV2(resources) : settingsV1(resources)) {
      const folder = this.#folder(path, file.split(".")[0]!);
      if (!folder || !existsSync(join(folder, file))) continue;
      try {
        writeFileSync(join(folder, file), value);
      } catch (error) {
        // Memory limits must move in the right order: the total may not be below the part.
        if (!file.startsWith("memory.")) throw error;
        retryMemory(folder, resources);
      }
    }
  }

  /** Removes the group and the groups in it. Processes still ending in it are waited for, some seconds at most: even a zombie, until init takes it in, keeps its group. */
  async remove(path: string): Promise<void> {
    const waits = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048];
    for (;;) {
      const isGone = this.#folders(path).every(removeFolder);
      if (isGone) return;
      const wait = waits.shift();
      if (wait === undefined)
        throw new Error(`cannot remove cgroup ${path}: processes ${this.processes(path).join(", ")} are in it`);
      await sleep(this.#clock, wait);
    }
  }

  processes(path: string): number[] {
    const folder = this.#folder(path, "pids") ?? this.#folders(path)[0];
    if (!folder) return [];
    return walk(folder).flatMap((each) =>
      (read(join(each, "cgroup.procs")) ?? "").split("\n").filter(Boolean).map(Number),
    );
  }

  /** SIGKILL to everything in the group. */
  kill(path: string): void {
    if (this.mounts.kind === "v2") {
      try {
        writeFileSync(join(this.mounts.root, path, "cgroup.kill"), "1");
        return;
      } catch {
        // Linux before 5.14, or the group is gone.
      }
    }
    for (const pid of this.processes(path)) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Ended by itself.
      }
    }
  }

  /** How often the kernel killed a process of this group for want of memory. */
  oomKills(path: string): number {
    const folder = this.#folder(path, "memory");
    if (!folder) return 0;
    return (
      numbers(read(join(folder, this.mounts.kind === "v2" ? "memory.events" : "memory.oom_control")))["oom_kill"] ?? 0
    );
  }

  stats(path: string): ContainerStats | undefined {
    return this.mounts.kind === "v2" ? this.#statsV2(join(this.mounts.root, path)) : this.#statsV1(path);
  }

  #statsV2(folder: string): ContainerStats | undefined {
    const cpu = read(join(folder, "cpu.stat"));
    if (cpu === undefined) return undefined;
    const memory = numbers(read(join(folder, "memory.stat")));
    const usageBytes = Number(read(join(folder, "memory.current")) ?? 0);
    return {
      atMs: this.#clock.now(),
      cpu: { usageNanoseconds: (numbers(cpu)["usage_usec"] ?? 0) * 1000 },
      memory: {
        usageBytes,
        workingSetBytes: Math.max(0, usageBytes - (memory["inactive_file"] ?? 0)),
        rssBytes: memory["anon"] ?? 0,
        pageFaults: memory["pgfault"] ?? 0,
        majorPageFaults: memory["pgmajfault"] ?? 0,
      },
      processes: Number(read(join(folder, "pids.current")) ?? 0),
    };
  }

  #statsV1(path: string): ContainerStats | undefined {
    const at = (controller: string, file: string) => {
      const folder = this.#folder(path, controller);
      return folder && read(join(folder, file));
    };
    const usage = at("memory", "memory.usage_in_bytes");
    const cpu = at("cpuacct", "cpuacct.usage");
    if (usage === undefined && cpu === undefined) return undefined;
    const memory = numbers(at("memory", "memory.stat"));
    return {
      atMs: this.#clock.now(),
      cpu: { usageNanoseconds: Number(cpu ?? 0) },
      memory: {
        usageBytes: Number(usage ?? 0),
        workingSetBytes: Math.max(0, Number(usage ?? 0) - (memory["total_inactive_file"] ?? 0)),
        rssBytes: memory["total_rss"] ?? 0,
        pageFaults: memory["total_pgfault"] ?? 0,
        majorPageFaults: memory["total_pgmajfault"] ?? 0,
      },
      processes: Number(at("pids", "pids.current") ?? 0),
    };
  }

  #createV2(root: string, path: string): void {
    const available = (read(join(root, "cgroup.controllers")) ?? "").trim().split(" ").filter(Boolean);
    let folder = root;
    for (const name of path.split("/").filter(Boolean)) {
      for (const controller of available) {
        try {
          writeFileSync(join(folder, "cgroup.subtree_control"), `+${controller}`);
        } catch {
          // Not delegated here; a limit that needs it is then passed over.
        }
      }
      folder = join(folder, name);
      mkdirSync(folder, { recursive: true });
    }
  }

  #folder(path: string, controller: string): string | undefined {
    const mountPoint = this.mounts.kind === "v2" ? this.mounts.root : this.mounts.controllers.get(controller);
    return mountPoint && join(mountPoint, path);
  }

  #folders(path: string): string[] {
    if (this.mounts.kind === "v2") return [join(this.mounts.root, path)];
    return [...this.mounts.hierarchies, this.mounts.unified]
      .filter((root) => root !== undefined)
      .map((root) => join(root, path));
  }
}

/** Where v1 needs a folder before crun makes its own. */
function controllersOf(resources: Resources): string[] {
  const needed: string[] = [];
  if (resources.cpuShares !== undefined || resources.cpuQuotaMicroseconds !== undefined) needed.push("cpu");
  if (resources.memoryLimitBytes !== undefined) needed.push("memory");
  if (resources.pidsLimit !== undefined) needed.push("pids");
  if (resources.cpusetCpus || resources.cpusetMems) needed.push("cpuset");
  return needed;
}

function settingsV1(resources: Resources): [file: string, value: string][] {
  const settings: [string, string][] = [];
  const set = (file: string, value: number | string | undefined) => {
    if (value !== undefined && value !== "") settings.push([file, String(value)]);
  };
  set("cpu.shares", resources.cpuShares);
  set("cpu.cfs_period_us", resources.cpuPeriodMicroseconds);
  set("cpu.cfs_quota_us", resources.cpuQuotaMicroseconds);
  set("cpuset.cpus", resources.cpusetCpus);
  set("cpuset.mems", resources.cpusetMems);
  set("memory.limit_in_bytes", resources.memoryLimitBytes);
  if (resources.memoryLimitBytes !== undefined) {
    set("memory.memsw.limit_in_bytes", resources.memoryLimitBytes + (resources.swapLimitBytes ?? 0));
  }
  set("pids.max", resources.pidsLimit);
  return settings;
}

function settingsV2(resources: Resources): [file: string, value: string][] {
  const settings: [string, string][] = [];
  const set = (file: string, value: number | string | undefined) => {
    if (value !== undefined && value !== "") settings.push([file, String(value)]);
  };
  if (resources.cpuShares !== undefined) set("cpu.weight", cpuWeight(resources.cpuShares));
  if (resources.cpuQuotaMicroseconds !== undefined) {
    const quota = resources.cpuQuotaMicroseconds > 0 ? resources.cpuQuotaMicroseconds : "max";
    set("cpu.max", `${quota} ${resources.cpuPeriodMicroseconds ?? 100_000}`);
  }
  set("cpuset.cpus", resources.cpusetCpus);
  set("cpuset.mems", resources.cpusetMems);
  const orMax = (value: number | undefined) => (value !== undefined && value < 0 ? "max" : value);
  set("memory.max", orMax(resources.memoryLimitBytes));
  if (resources.memoryLimitBytes !== undefined) set("memory.swap.max", orMax(resources.swapLimitBytes ?? 0));
  set("pids.max", orMax(resources.pidsLimit));
  for (const [file, value] of Object.entries(resources.unified ?? {})) set(file, value);
  return settings;
}

/** v1's shares [2, 262144] on v2's scale [1, 10000], linearly, as crun and runc convert them. */
function cpuWeight(shares: number): number {
  return Math.floor(1 + ((Math.min(Math.max(shares, 2), 262_144) - 2) * 9999) / 262_142);
}

function retryMemory(folder: string, resources: Resources): void {
  const limit = String(resources.memoryLimitBytes);
  const total = String((resources.memoryLimitBytes ?? 0) + (resources.swapLimitBytes ?? 0));
  const memsw = join(folder, "memory.memsw.limit_in_bytes");
  if (existsSync(memsw)) writeFileSync(memsw, total);
  writeFileSync(join(folder, existsSync(join(folder, "memory.max")) ? "memory.max" : "memory.limit_in_bytes"), limit);
}

/** A v1 cpuset without CPUs and memory nodes takes no process: each level copies its parent's. */
function fillCpuset(mountPoint: string, path: string): void {
  let parent = mountPoint;
  for (const name of path.split("/").filter(Boolean)) {
    const folder = join(parent, name);
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      if ((read(join(folder, file)) ?? "").trim() !== "") continue;
      const inherited = read(join(parent, file))?.trim();
      if (inherited) writeFileSync(join(folder, file), inherited);
    }
    parent = folder;
  }
}

function removeFolder(folder: string): boolean {
  let isGone = true;
  // Innermost first.
  for (const each of walk(folder).reverse()) {
    try {
      rmdirSync(each);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") isGone = false;
    }
  }
  return isGone;
}

/** The folder and all folders in it, outermost first; none when it does not exist. */
function walk(folder: string): string[] {
  let entries: { name: string; isDirectory(): boolean }[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
  return [folder, ...entries.filter((entry) => entry.isDirectory()).flatMap((entry) => walk(join(folder, entry.name)))];
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** Lines of `name number`. */
function numbers(text: string | undefined): Record<string, number> {
  const values: Record<string, number> = {};
  for (const line of text?.split("\n") ?? []) {
    const [name, value] = line.split(" ");
    if (name && value) values[name] = Number(value);
  }
  return values;
}
