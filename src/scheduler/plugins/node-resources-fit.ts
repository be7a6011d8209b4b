/** A Pod fits where its requests do; Nodes with more left over are preferred (or with less, as configured). */
import type { NodeScorer, Refusal, SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import type { PodInfo } from "../pod-info.ts";

export type ScoringStrategy = "LeastAllocated" | "MostAllocated";

export function nodeResourcesFit(strategy: ScoringStrategy = "LeastAllocated"): SchedulerPlugin {
  return {
    name: "NodeResourcesFit",
    wakesOn: ["NodeAdded", "NodeAllocatableChanged", "PodRemoved", "PodScaledDown"],
    filter: (pod) => (node) => (fits(pod, node) ? undefined : refusalOf(pod, node)),
    score: (pod) => scorer(pod, strategy),
  };
}

function fits({ requests }: PodInfo, node: NodeInfo): boolean {
  const { allocatable } = node;
  return (
    node.pods.size < allocatable.pods &&
    (requests.milliCpu === 0 || requests.milliCpu <= allocatable.milliCpu - node.milliCpu) &&
    (requests.memory === 0 || requests.memory <= allocatable.memory - node.memory) &&
    (requests.ephemeralStorage === 0 ||
      requests.ephemeralStorage <= allocatable.ephemeralStorage - node.ephemeralStorage) &&
    (requests.scalar === undefined || missingScalars(requests.scalar, node).length === 0)
  );
}

function missingScalars(scalar: ReadonlyMap<string, number>, node: NodeInfo): string[] {
  const missing: string[] = [];
  for (const [name, amount] of scalar) {
    const free = (node.allocatable.scalar?.get(name) ?? 0) - (node.scalar.get(name) ?? 0);
    if (amount > 0 && amount > free) missing.push(name);
  }
  return missing;
}

/** Every resource that is short. A request beyond what the Node has at all is not helped by making room. */
function refusalOf({ requests }: PodInfo, node: NodeInfo): Refusal {
  const { allocatable } = node;
  const reasons: string[] = [];
  let isUnresolvable = false;
  if (node.pods.size >= allocatable.pods) reasons.push("Too many pods");
  const check = (name: string, wanted: number, available: number, used: number) => {
    if (wanted === 0 || wanted <= available - used) return;
    reasons.push(`Insufficient ${name}`);
    if (wanted > available) isUnresolvable = true;
  };
  check("cpu", requests.milliCpu, allocatable.milliCpu, node.milliCpu);
  check("memory", requests.memory, allocatable.memory, node.memory);
  check("ephemeral-storage", requests.ephemeralStorage, allocatable.ephemeralStorage, node.ephemeralStorage);
  for (const [name, amount] of requests.scalar ?? []) {
    check(name, amount, allocatable.scalar?.get(name) ?? 0, node.scalar.get(name) ?? 0);
  }
  return { reasons, isUnresolvable };
}

function scorer(pod: PodInfo, strategy: ScoringStrategy): NodeScorer {
  const { milliCpu, memory } = pod.nonZero;
  const share = strategy === "LeastAllocated" ? leastAllocated : mostAllocated;
  return {
    score(node) {
      const { allocatable } = node;
      let sum = 0;
      let weights = 0;
      if (allocatable.milliCpu > 0) {
        sum += share(node.nonZeroMilliCpu + milliCpu, allocatable.milliCpu);
        weights++;
      }
      if (allocatable.memory > 0) {
        sum += share(node.nonZeroMemory + memory, allocatable.memory);
        weights++;
      }
      return weights === 0 ? 0 : Math.floor(sum / weights);
    },
  };
}

function leastAllocated(requested: number, capacity: number): number {
  return requested > capacity ? 0 : Math.floor(((capacity - requested) * 100) / capacity);
}

function mostAllocated(requested: number, capacity: number): number {
  return Math.floor((Math.min(requested, capacity) * 100) / capacity);
}
