/** What the machine says of itself, read once when a node starts. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statfsSync } from "node:fs";
import { arch, availableParallelism, release, totalmem } from "node:os";
import { join } from "node:path";

export interface MachineFacts {
  cpus: number;
  memoryBytes: number;
  swapBytes: number;
  /** Of the file system that holds the pods' folders. */
  storageBytes: number;
  machineId: string;
  systemUuid: string;
  bootId: string;
  kernelVersion: string;
  osImage: string;
  hasAppArmor?: boolean;
  /** Files of cgroup v2, and their values, that every container's group is given. */
  containerGroupFiles?: Readonly<Record<string, string>>;
  /** Pages set aside, by their size: `2Mi`, `1Gi`. */
  hugePages?: Readonly<Record<string, number>>;
  /** As Go names it: amd64, arm64. */
  architecture: string;
}

/** `nodeName` tells the nodes of one machine apart where upstream's identify machines. */
export function machineFacts(nodeName: string, folder: string): MachineFacts {
  const storage = statfsSync(folder);
  const machineId = readText("/etc/machine-id") || hexId(nodeName);
  return {
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    swapBytes: swapBytes(),
    storageBytes: storage.blocks * storage.bsize,
    machineId,
    systemUuid: uuid(hexId(`${machineId} ${nodeName}`)),
    bootId: readText("/proc/sys/kernel/random/boot_id"),
    kernelVersion: release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readText("/etc/os-release"))?.[1] ?? "Linux",
    hugePages: hugePages(),
    hasAppArmor: kernelHasAppArmor(),
    containerGroupFiles: containerGroupFiles(),
    architecture: { x64: "amd64", arm64: "arm64", ia32: "386" }[arch() as string] ?? arch(),
  };
}

/** Whether the kernel confines processes by AppArmor: it is there, and not switched off. */
export function kernelHasAppArmor(): boolean {
  if (!existsSync("/sys/kernel/security/apparmor")) return false;
  try {
    return readFileSync("/sys/module/apparmor/parameters/enabled", "utf8").startsWith("Y");
  } catch {
    return false; // The kernel was built without it.
  }
}

function hugePages(folder = "/sys/kernel/mm/hugepages"): Record<string, number> {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return {}; // The kernel has none.
  }
  return Object.fromEntries(
    names.flatMap((name) => {
      const kibibytes = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? 0);
      if (kibibytes < 1024) return []; // Small ones of arm64; nobody asks for them.
      const size = kibibytes % (1024 * 1024) === 0 ? `${kibibytes / (1024 * 1024)}Gi` : `${kibibytes / 1024}Mi`;
      return [[size, Number(readText(join(folder, name, "nr_hugepages")))]];
    }),
  );
}

/**
 * As upstream's kubelet by default, on machines with cgroup v2 alone: when a container is out of memory it ends as a whole, not
 * with one process fewer; and nothing of it is swapped out.
 */
function containerGroupFiles(): Record<string, string> {
  const ownGroup = /^0::(.*)$/m.exec(readText("/proc/self/cgroup"))?.[1];
  if (ownGroup === undefined || statfsSync("/sys/fs/cgroup").type !== cgroup2) return {};
  const accountsSwap = existsSync(join("/sys/fs/cgroup", ownGroup, "memory.swap.max"));
  return { "memory.oom.group": "1", ...(accountsSwap ? { "memory.swap.max": "0" } : {}) };
}

/** Its number among filesystem types. */
const cgroup2 = 0x63677270;

function swapBytes(): number {
  return Number(/^SwapTotal:\s+(\d+) kB$/m.exec(readText("/proc/meminfo"))?.[1] ?? 0) * 1024;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

function hexId(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

function uuid(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
