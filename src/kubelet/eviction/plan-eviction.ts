/** Which pressure a node is under, and which pod goes first to relieve it (upstream's eviction manager and its ranking). Pure. */
import type { Container } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { quantityValue } from "../../apimachinery/quantity.ts";
import type { PodObject } from "../pod-state.ts";
import type { PodStats } from "../stats/node-stats.ts";
import { formatBytes } from "./format-bytes.ts";
import { type Observation, type Observations, type Signal, type Thresholds, thresholdValue } from "./signals.ts";

export type PressureCondition = "MemoryPressure" | "DiskPressure" | "PIDPressure";

export interface Shortage {
  signal: Signal;
  /** As messages name it: memory, ephemeral-storage, inodes, pids. */
  resource: string;
  condition: PressureCondition;
  threshold: number;
  observed: Observation;
}

export interface Eviction {
  pod: PodObject;
  message: string;
  signal: Signal | "ephemeralpodfs.limit" | "ephemeralcontainerfs.limit" | "emptydirfs.limit";
  graceSeconds: number;
}

const kinds: Readonly<Record<Signal, { resource: string; condition: PressureCondition }>> = {
  "memory.available": { resource: "memory", condition: "MemoryPressure" },
  "nodefs.available": { resource: "ephemeral-storage", condition: "DiskPressure" },
  "nodefs.inodesFree": { resource: "inodes", condition: "DiskPressure" },
  "pid.available": { resource: "pids", condition: "PIDPressure" },
};

/** Memory first: it ends soonest. */
export function shortages(observations: Observations, thresholds: Thresholds): Shortage[] {
  return (Object.keys(kinds) as Signal[]).flatMap((signal) => {
    const observed = observations[signal];
    const threshold = thresholdValue(thresholds[signal], observed.capacity);
    return observed.available < threshold ? [{ signal, ...kinds[signal], threshold, observed }] : [];
  });
}

/** One pod at a time, as upstream: the next look tells whether that was enough. Undefined: nobody may be evicted. */
export function planEviction(shortage: Shortage, pods: readonly PodStats[]): Eviction | undefined {
  const [first] = rankPods(
    shortage.signal,
    pods.filter(({ pod }) => !isCritical(pod)),
  );
  if (!first) return undefined;
  return { pod: first.pod, signal: shortage.signal, graceSeconds: 1, message: message(shortage, first) };
}

/** First who goes first: those over their request, then the less important, then those that are over it by most. */
export function rankPods(signal: Signal, pods: readonly PodStats[]): PodStats[] {
  const use = (stats: PodStats) => (signal === "pid.available" ? stats.processes : usageOf(signal, stats));
  const over = (stats: PodStats) => use(stats) - (signal === "pid.available" ? 0 : requestOf(signal, stats.pod));
  const ranks = (stats: PodStats): number[] => [
    signal === "pid.available" || over(stats) > 0 ? 0 : 1,
    stats.pod.spec.priority ?? 0,
    -over(stats),
  ];
  return [...pods].sort((a, b) => {
    const [x, y] = [ranks(a), ranks(b)];
    const at = x.findIndex((value, i) => value !== y[i]);
    return at < 0 ? 0 : x[at]! - y[at]!;
  });
}

/** Static pods and those that the system needs stay. */
export function isCritical({ metadata, spec }: PodObject): boolean {
  return (
    (spec.priority ?? 0) >= systemCriticalPriority || metadata.annotations?.["kubernetes.io/config.source"] === "file"
  );
}

const systemCriticalPriority = 2_000_000_000;

function usageOf(signal: Signal, { usage, containers, volumes }: PodStats): number {
  if (signal === "memory.available") return usage?.memory.workingSetBytes ?? 0;
  const key = signal === "nodefs.inodesFree" ? "inodes" : "bytes";
  const disks = [
    ...containers.flatMap(({ writable, logs }) => [writable, logs]),
    ...volumes.filter(({ isEphemeral }) => isEphemeral),
  ];
  return disks.reduce((sum, disk) => sum + disk[key], 0);
}

function requestOf(signal: Signal, { spec }: PodObject): number {
  const name = signal === "memory.available" ? "memory" : signal === "nodefs.available" ? "ephemeral-storage" : "";
  if (!name) return 0;
  return spec.containers.reduce((sum, container) => sum + quantityValue(container.resources?.requests?.[name]), 0);
}

function message({ resource, signal, threshold, observed }: Shortage, stats: PodStats): string {
  const amount =
    signal === "memory.available" || signal === "nodefs.available" ? formatBytes : (n: number) => String(Math.floor(n));
  const low = `The node was low on resource: ${resource}. Threshold quantity: ${amount(threshold)}, available: ${amount(observed.available)}. `;
  if (signal !== "memory.available" && signal !== "nodefs.available") return low;
  const name = signal === "memory.available" ? "memory" : "ephemeral-storage";
  const greedy = stats.containers.flatMap((container) => {
    const spec = stats.pod.spec.containers.find((each: DeepReadonly<Container>) => each.name === container.name);
    const request = spec?.resources?.requests?.[name];
    const used =
      name === "memory" ? container.usage.memory.workingSetBytes : container.writable.bytes + container.logs.bytes;
    if (used <= quantityValue(request)) return [];
    return [
      `Container ${container.name} was using ${formatBytes(used)}, request is ${request ?? "0"}, has larger consumption of ${name}. `,
    ];
  });
  return low + greedy.join("");
}

/** What a pod alone has used too much of: its volumes', its own and its containers' limits of local storage. */
export function overLocalLimits({ pod, containers, volumes }: PodStats): Eviction | undefined {
  const evict = (signal: Eviction["signal"], text: string): Eviction => ({
    pod,
    signal,
    graceSeconds: 1,
    message: text,
  });
  for (const { name, emptyDir } of pod.spec.volumes ?? []) {
    const limit = quantityValue(emptyDir?.sizeLimit);
    const used = volumes.find((volume) => volume.name === name)?.bytes ?? 0;
    if (limit > 0 && used > limit) {
      return evict(
        "emptydirfs.limit",
        `Usage of EmptyDir volume "${name}" exceeds the limit "${emptyDir?.sizeLimit}". `,
      );
    }
  }
  const limits = pod.spec.containers.map((container) => container.resources?.limits?.["ephemeral-storage"]);
  if (limits.every((limit) => limit !== undefined)) {
    const total = limits.reduce((sum, limit) => sum + quantityValue(limit), 0);
    const used = usageOf("nodefs.available", { pod, containers, volumes } as PodStats);
    if (used > total) {
      return evict(
        "ephemeralpodfs.limit",
        `Pod ephemeral local storage usage exceeds the total limit of containers ${limits.length === 1 ? limits[0] : formatBytes(total)}. `,
      );
    }
  }
  for (const [i, { name }] of pod.spec.containers.entries()) {
    const container = containers.find((each) => each.name === name);
    const limit = quantityValue(limits[i]);
    if (container && limit > 0 && container.writable.bytes + container.logs.bytes > limit) {
      return evict(
        "ephemeralcontainerfs.limit",
        `Container ${name} exceeded its local ephemeral storage limit "${limits[i]}". `,
      );
    }
  }
  return undefined;
}

/** Whether looking at the pod's disks can lead to anything: a walk is not free. */
export function hasLocalLimits({ spec }: PodObject): boolean {
  return (
    (spec.volumes ?? []).some(({ emptyDir }) => emptyDir?.sizeLimit && emptyDir.medium !== "Memory") ||
    spec.containers.some(({ resources }) => resources?.limits?.["ephemeral-storage"])
  );
}
