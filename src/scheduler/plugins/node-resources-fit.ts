/** A Pod fits where its requests do; Nodes with more left over are preferred (or with less, as configured). */
import type { NodeScorer, Refusal, SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import type { PodInfo, Resources } from "../pod-info.ts";

export interface ResourceWeight {
  name: string;
  /** Default 1. */
  weight?: number;
}

/** Upstream's NodeResourcesFitArgs. */
export interface NodeResourcesFitArgs {
  scoringStrategy?: {
    /** Default LeastAllocated. */
    type?: "LeastAllocated" | "MostAllocated" | "RequestedToCapacityRatio";
    /** What counts, and how much. Default: CPU and memory, equally. */
    resources?: readonly ResourceWeight[];
    /** Scores from 0 to 10 by utilization in percent, which rises. */
    requestedToCapacityRatio?: { shape: readonly { utilization: number; score: number }[] };
  };
  /** Extended resources that somebody else looks after. */
  ignoredResources?: readonly string[];
  /** The same by the part of their names before the slash. */
  ignoredResourceGroups?: readonly string[];
}

/** `isOfDevices`: whether a DeviceClass stands for an extended resource. Nodes that have none of it leave it to DynamicResources. */
export function nodeResourcesFit(
  args: NodeResourcesFitArgs = {},
  isOfDevices: (name: string) => boolean = () => false,
): SchedulerPlugin {
  const isIgnored = (name: string) =>
    args.ignoredResources?.includes(name) === true ||
    args.ignoredResourceGroups?.includes(name.slice(0, Math.max(0, name.indexOf("/")))) === true;
  return {
    name: "NodeResourcesFit",
    isNodeLocal: true,
    wakesOn: ["NodeAdded", "NodeAllocatableChanged", "PodRemoved", "PodScaledDown", "DeviceClassChanged"],
    filter(pod) {
      const requests = withoutIgnored(pod.requests, isIgnored);
      const ofNodes = withoutIgnored(requests, isOfDevices);
      if (ofNodes === requests) return (node) => (fits(requests, node) ? undefined : refusalOf(requests, node));
      return (node) => {
        const isOfThisNode = (name: string) => (node.allocatable.scalar?.get(name) ?? 0) > 0;
        const own = withoutIgnored(requests, (name) => isOfDevices(name) && !isOfThisNode(name));
        return fits(own, node) ? undefined : refusalOf(own, node);
      };
    },
    score: (pod) => scorer(pod, args),
  };
}

function withoutIgnored(requests: Resources, isIgnored: (name: string) => boolean): Resources {
  const { scalar } = requests;
  if (!scalar || ![...scalar.keys()].some(isIgnored)) return requests;
  return { ...requests, scalar: new Map([...scalar].filter(([name]) => !isIgnored(name))) };
}

function fits(requests: Resources, node: NodeInfo): boolean {
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
function refusalOf(requests: Resources, node: NodeInfo): Refusal {
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

/** How full the Pod would make the Node, resource by resource, as one number from 0 to 100. */
function scorer({ nonZero, requests }: PodInfo, args: NodeResourcesFitArgs): NodeScorer {
  const {
    type = "LeastAllocated",
    resources = defaultResources,
    requestedToCapacityRatio,
  } = args.scoringStrategy ?? {};
  const shape = (requestedToCapacityRatio?.shape ?? []).map(({ utilization, score }) => ({
    utilization,
    score: score * 10,
  }));
  const share =
    type === "RequestedToCapacityRatio" ? ratioOf(shape) : type === "MostAllocated" ? mostAllocated : leastAllocated;
  // What the Pod does not ask for does not count, but for CPU and memory, which every Pod uses.
  const counted = resources.filter(
    ({ name }) => name === "cpu" || name === "memory" || name === "ephemeral-storage" || requests.scalar?.get(name),
  );
  const skipsZero = type === "RequestedToCapacityRatio";
  return {
    score(node) {
      let sum = 0;
      let weights = 0;
      for (const { name, weight = 1 } of counted) {
        const capacity = capacityOf(node, name);
        if (capacity <= 0) continue;
        const score = share(usedOf(node, name) + wantedOf(nonZero, requests, name), capacity);
        if (skipsZero && score <= 0) continue;
        sum += score * weight;
        weights += weight;
      }
      if (weights === 0) return 0;
      return skipsZero ? Math.round(sum / weights) : Math.floor(sum / weights);
    },
  };
}

const defaultResources: readonly ResourceWeight[] = [{ name: "cpu" }, { name: "memory" }];

function capacityOf({ allocatable }: NodeInfo, name: string): number {
  switch (name) {
    case "cpu":
      return allocatable.milliCpu;
    case "memory":
      return allocatable.memory;
    case "ephemeral-storage":
      return allocatable.ephemeralStorage;
    default:
      return allocatable.scalar?.get(name) ?? 0;
  }
}

/** Pods that ask for no CPU or memory count as asking for a little. */
function usedOf(node: NodeInfo, name: string): number {
  switch (name) {
    case "cpu":
      return node.nonZeroMilliCpu;
    case "memory":
      return node.nonZeroMemory;
    case "ephemeral-storage":
      return node.ephemeralStorage;
    default:
      return node.scalar.get(name) ?? 0;
  }
}

function wantedOf(nonZero: PodInfo["nonZero"], requests: PodInfo["requests"], name: string): number {
  switch (name) {
    case "cpu":
      return nonZero.milliCpu;
    case "memory":
      return nonZero.memory;
    case "ephemeral-storage":
      return requests.ephemeralStorage;
    default:
      return requests.scalar?.get(name) ?? 0;
  }
}

function leastAllocated(requested: number, capacity: number): number {
  return requested > capacity ? 0 : Math.floor(((capacity - requested) * 100) / capacity);
}

function mostAllocated(requested: number, capacity: number): number {
  return Math.floor((Math.min(requested, capacity) * 100) / capacity);
}

/** Straight lines between the points of the shape; level before the first and after the last. */
function ratioOf(shape: readonly { utilization: number; score: number }[]) {
  return (requested: number, capacity: number): number => {
    const utilization = requested > capacity ? 100 : Math.floor((requested * 100) / capacity);
    for (let i = 0; i < shape.length; i++) {
      const point = shape[i]!;
      if (utilization > point.utilization) continue;
      const before = shape[i - 1];
      if (!before) return point.score;
      const rise = (point.score - before.score) * (utilization - before.utilization);
      return before.score + Math.trunc(rise / (point.utilization - before.utilization));
    }
    return shape.at(-1)?.score ?? 0;
  };
}
