/** What the metrics API asks of this process's kubelets. */
import type { NodeUsage, ReadUsage } from "../apiserver-plugins/virtual/metrics.ts";
import type { Kubelets } from "./node-subresources.ts";

/** Readings this young answer the next question too: several who ask at once are told the same, and cost one reading. */
const freshMs = 1000;

export function usageReader(kubelets: Kubelets, now: () => number): ReadUsage {
  const last = new Map<string, { reading: Promise<NodeUsage>; atMs: number }>();
  return async (nodeName) => {
    const kubelet = kubelets.get(nodeName);
    if (!kubelet) return undefined;
    const before = last.get(nodeName);
    if (before && now() - before.atMs < freshMs) return before.reading;
    const read = async (): Promise<NodeUsage> => {
      const { atMs, startedAtMs, pods } = await kubelet.stats.read({ disks: false });
      const windowMs = Math.max(1, atMs - (before?.atMs ?? startedAtMs));
      const usages = pods.map(({ pod, containers }) => ({
        uid: pod.metadata.uid,
        name: pod.metadata.name,
        namespace: pod.metadata.namespace,
        windowMs: Math.max(1, Math.min(windowMs, ...containers.map((container) => atMs - container.startedAtMs))),
        containers: containers.map(({ name, usage }) => ({
          name,
          cpuNanoCores: usage.usageNanoCores,
          workingSetBytes: usage.memory.workingSetBytes,
        })),
      }));
      const all = pods.flatMap(({ usage }) => usage ?? []);
      return {
        atMs,
        windowMs,
        cpuNanoCores: all.reduce((sum, { usageNanoCores }) => sum + usageNanoCores, 0),
        workingSetBytes: all.reduce((sum, { memory }) => sum + memory.workingSetBytes, 0),
        pods: usages,
      };
    };
    const reading = read();
    last.set(nodeName, { reading, atMs: now() });
    reading.catch(() => last.delete(nodeName));
    return reading;
  };
}
