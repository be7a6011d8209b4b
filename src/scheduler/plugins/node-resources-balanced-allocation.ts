/** Prefers Nodes on which CPU and memory would be used to the same degree. */
import type { SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";

export const nodeResourcesBalancedAllocation: SchedulerPlugin = {
  name: "NodeResourcesBalancedAllocation",
  isNodeLocal: true,
  wakesOn: [],
  score({ requests }) {
    // A Pod that asks for nothing does not change any balance.
    if (requests.milliCpu === 0 && requests.memory === 0) return undefined;
    return { score: (node) => balance(node, requests.milliCpu, requests.memory) };
  },
};

function balance({ allocatable, milliCpu, memory }: NodeInfo, addedCpu: number, addedMemory: number): number {
  if (allocatable.milliCpu === 0 || allocatable.memory === 0) return 100;
  const cpu = Math.min(1, (milliCpu + addedCpu) / allocatable.milliCpu);
  const mem = Math.min(1, (memory + addedMemory) / allocatable.memory);
  // The standard deviation of two fractions is half their distance.
  return Math.floor((1 - Math.abs(cpu - mem) / 2) * 100);
}
