/** Prefers Nodes on which CPU, memory and what else is configured would be used to the same degree. */
import type { SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import type { PodInfo } from "../pod-info.ts";

/** Upstream's NodeResourcesBalancedAllocationArgs. */
export interface NodeResourcesBalancedAllocationArgs {
  /** Default: CPU and memory. Each counts the same. */
  resources?: readonly { name: string; weight?: number }[];
}

export function nodeResourcesBalancedAllocation({
  resources = [{ name: "cpu" }, { name: "memory" }],
}: NodeResourcesBalancedAllocationArgs = {}): SchedulerPlugin {
  const names = resources.map(({ name }) => name);
  return {
    name: "NodeResourcesBalancedAllocation",
    isNodeLocal: true,
    wakesOn: [],
    score({ requests }) {
      // A Pod that asks for nothing does not change any balance.
      if (names.every((name) => requested(requests, name) === 0)) return undefined;
      // What the Pod does not ask for of other resources has no part in it.
      const counted = names.filter((name) => !isScalar(name) || requested(requests, name) > 0);
      return { score: (node) => balance(node, requests, counted) };
    },
  };
}

type Amounts = Pick<PodInfo["requests"], "milliCpu" | "memory" | "ephemeralStorage"> & {
  scalar: ReadonlyMap<string, number> | undefined;
};

function isScalar(name: string): boolean {
  return name !== "cpu" && name !== "memory" && name !== "ephemeral-storage";
}

function requested(amounts: Amounts, name: string): number {
  switch (name) {
    case "cpu":
      return amounts.milliCpu;
    case "memory":
      return amounts.memory;
    case "ephemeral-storage":
      return amounts.ephemeralStorage;
    default:
      return amounts.scalar?.get(name) ?? 0;
  }
}

/** 100 less the standard deviation of the used shares, in percent. */
function balance(node: NodeInfo, added: Amounts, names: readonly string[]): number {
  let count = 0;
  let sum = 0;
  let squares = 0;
  for (const name of names) {
    const capacity = requested(node.allocatable, name);
    if (capacity <= 0) continue;
    const share = Math.min(1, (requested(node, name) + requested(added, name)) / capacity);
    count++;
    sum += share;
    squares += share * share;
  }
  if (count < 2) return 100;
  const mean = sum / count;
  const deviation = Math.sqrt(Math.max(0, squares / count - mean * mean));
  // Shares that are equal on paper differ in their last digits.
  return Math.floor((1 - deviation) * 100 + 1e-9);
}
