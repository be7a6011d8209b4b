/** What a node watches to learn that it is running out of something, and when that is so. */
import { readdir, readFile } from "node:fs/promises";
import { filesystemStats, machineMemory } from "../stats/node-stats.ts";

export type Signal = "memory.available" | "nodefs.available" | "nodefs.inodesFree" | "pid.available";

export interface Observation {
  available: number;
  capacity: number;
}

export type Observations = Readonly<Record<Signal, Observation>>;

/** Below it, pods are evicted. A share of the capacity is bounded by `atMost`, so that a large and well filled disk is not taken for a full one. */
export interface Threshold {
  share?: number;
  atMost?: number;
}

export type Thresholds = Readonly<Record<Signal, Threshold>>;

/** Upstream's, but that a disk is full at 1 GiB, not at a tenth of whatever it holds: the machine is its owner's as well. */
export const defaultThresholds: Thresholds = {
  "memory.available": { atMost: 100 * 1024 ** 2 },
  "nodefs.available": { share: 0.1, atMost: 1024 ** 3 },
  "nodefs.inodesFree": { share: 0.05, atMost: 100_000 },
  "pid.available": { share: 0.02, atMost: 500 },
};

export function thresholdValue({ share, atMost = Number.POSITIVE_INFINITY }: Threshold, capacity: number): number {
  return Math.min(share === undefined ? atMost : share * capacity, atMost);
}

/** Reads the kernel's files; walks over nothing. */
export async function observeMachine(folder: string): Promise<Observations> {
  const [memory, disk, pidMax, threads] = await Promise.all([
    machineMemory(),
    filesystemStats(folder),
    numberIn("/proc/sys/kernel/pid_max"),
    threadCount(),
  ]);
  return {
    "memory.available": { available: memory.availableBytes, capacity: memory.totalBytes },
    "nodefs.available": { available: disk.availableBytes, capacity: disk.capacityBytes },
    "nodefs.inodesFree": { available: disk.inodesFree, capacity: disk.inodes },
    "pid.available": { available: pidMax - threads, capacity: pidMax },
  };
}

/** /proc/loadavg: `0.1 0.2 0.3 running/all lastPid`. */
async function threadCount(): Promise<number> {
  const text = await readFile("/proc/loadavg", "utf8").catch(() => "");
  const told = Number(/\/(\d+) /.exec(text)?.[1]);
  return Number.isFinite(told) ? told : (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).length;
}

async function numberIn(path: string): Promise<number> {
  return Number((await readFile(path, "utf8").catch(() => "4194304")).trim());
}
