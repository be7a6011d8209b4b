/** The answer of /stats/summary, in the words of upstream's summary API (k8s.io/kubelet/pkg/apis/stats/v1alpha1). Pure. */
import { rfc3339 } from "../../base/clock.ts";
import type { ContainerUsage, FilesystemStats, NodeStats, PodStats, UsageStats } from "./node-stats.ts";

/** What readers such as metrics.k8s.io need of it; the answer has more. */
export interface Summary {
  node: { nodeName: string; startTime: string; cpu: CpuSummary; memory: MemorySummary } & Record<string, unknown>;
  pods: PodSummary[];
}

interface PodSummary extends Record<string, unknown> {
  podRef: { name: string; namespace: string; uid: string };
  startTime: string;
  containers: ({ name: string; startTime: string; cpu: CpuSummary; memory: MemorySummary } & Record<string, unknown>)[];
  cpu?: CpuSummary;
  memory?: MemorySummary;
}

export interface CpuSummary {
  time: string;
  usageNanoCores: number;
  usageCoreNanoSeconds: number;
}

export interface MemorySummary {
  time: string;
  availableBytes?: number;
  usageBytes: number;
  workingSetBytes: number;
  rssBytes: number;
  pageFaults: number;
  majorPageFaults: number;
}

/** The node's own figures are the sum of its pods': a machine with several nodes has no cgroup of each node's system daemons. */
export function summary(stats: NodeStats): Summary {
  const { nodeName, atMs, startedAtMs, memory, filesystem, imageFilesystem } = stats;
  const time = rfc3339(atMs);
  const usages = stats.pods.flatMap(({ usage }) => usage ?? []);
  const sum = (value: (usage: UsageStats) => number) => usages.reduce((total, usage) => total + value(usage), 0);
  return {
    node: {
      nodeName,
      startTime: rfc3339(startedAtMs),
      cpu: {
        time,
        usageNanoCores: sum((usage) => usage.usageNanoCores),
        usageCoreNanoSeconds: sum((usage) => usage.cpu.usageNanoseconds),
      },
      memory: {
        time,
        availableBytes: memory.availableBytes,
        usageBytes: sum((usage) => usage.memory.usageBytes),
        workingSetBytes: sum((usage) => usage.memory.workingSetBytes),
        rssBytes: sum((usage) => usage.memory.rssBytes),
        pageFaults: sum((usage) => usage.memory.pageFaults),
        majorPageFaults: sum((usage) => usage.memory.majorPageFaults),
      },
      fs: filesystemSummary(time, filesystem),
      runtime: { imageFs: filesystemSummary(time, imageFilesystem), containerFs: filesystemSummary(time, filesystem) },
      rlimit: { time, curproc: stats.pods.reduce((total, pod) => total + pod.processes, 0) },
    },
    pods: stats.pods.map((pod) => podSummary(pod, stats)),
  };
}

function podSummary(
  { pod, startedAtMs, usage, network, processes, containers, volumes }: PodStats,
  node: NodeStats,
): PodSummary {
  const { name, namespace, uid } = pod.metadata;
  const time = rfc3339(node.atMs);
  const ephemeral = [
    ...containers.flatMap(({ writable, logs }) => [writable, logs]),
    ...volumes.filter(({ isEphemeral }) => isEphemeral),
  ];
  const filesystem = filesystemSummary(time, node.filesystem);
  const used = (list: readonly { bytes: number; inodes: number }[]) => ({
    usedBytes: list.reduce((total, { bytes }) => total + bytes, 0),
    inodesUsed: list.reduce((total, { inodes }) => total + inodes, 0),
  });
  return {
    podRef: { name, namespace, uid },
    startTime: rfc3339(startedAtMs),
    containers: containers.map((container) => containerSummary(container, node)),
    ...(usage ? { cpu: cpuSummary(usage), memory: memorySummary(usage) } : {}),
    ...(network
      ? {
          network: {
            time,
            ...interfaceOf(network),
            interfaces: [interfaceOf(network)],
          },
        }
      : {}),
    volume: volumes.map((volume) => ({ ...filesystem, ...used([volume]), name: volume.name })),
    "ephemeral-storage": { ...filesystem, ...used(ephemeral) },
    process_stats: { process_count: processes },
  };
}

function interfaceOf({
  interface: name,
  receivedBytes,
  receivedErrors,
  sentBytes,
  sentErrors,
}: NonNullable<PodStats["network"]>) {
  return { name, rxBytes: receivedBytes, rxErrors: receivedErrors, txBytes: sentBytes, txErrors: sentErrors };
}

function containerSummary(
  { name, startedAtMs, usage, writable, logs }: ContainerUsage,
  { atMs, filesystem }: NodeStats,
) {
  const disk = filesystemSummary(rfc3339(atMs), filesystem);
  return {
    name,
    startTime: rfc3339(startedAtMs),
    cpu: cpuSummary(usage),
    memory: memorySummary(usage),
    rootfs: { ...disk, usedBytes: writable.bytes, inodesUsed: writable.inodes },
    logs: { ...disk, usedBytes: logs.bytes, inodesUsed: logs.inodes },
  };
}

function cpuSummary({ atMs, cpu, usageNanoCores }: UsageStats): CpuSummary {
  return { time: rfc3339(atMs), usageNanoCores, usageCoreNanoSeconds: cpu.usageNanoseconds };
}

function memorySummary({ atMs, memory }: UsageStats): MemorySummary {
  return { time: rfc3339(atMs), ...memory };
}

function filesystemSummary(time: string, filesystem: FilesystemStats) {
  const { capacityBytes, availableBytes, inodes, inodesFree, usedBytes } = filesystem;
  return {
    time,
    availableBytes,
    capacityBytes,
    usedBytes: usedBytes ?? capacityBytes - availableBytes,
    inodesFree,
    inodes,
    inodesUsed: inodes - inodesFree,
  };
}
