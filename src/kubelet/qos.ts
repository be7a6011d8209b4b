/** Quality of service: from requests and limits to the class, the cgroup it lives in and its place in the OOM killer's queue. Pure. */
import type { Container, ResourceRequirements } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { quantityMilliValue, quantityValue } from "../apimachinery/quantity.ts";
import type { ContainerSpec, PodObject } from "./pod-state.ts";
import type { Resources } from "./runtime/container-runtime.ts";

export type QosClass = "Guaranteed" | "Burstable" | "BestEffort";

const computeResources = ["cpu", "memory"] as const;

export function podQosClass(pod: PodObject): QosClass {
  const requirements = pod.spec.resources
    ? [pod.spec.resources]
    : [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].map((container) => container.resources ?? {});
  let isGuaranteed = true;
  let isBestEffort = true;
  for (const { requests, limits } of requirements) {
    for (const resource of computeResources) {
      const limit = quantityMilliValue(limits?.[resource]);
      const request = quantityMilliValue(requests?.[resource] ?? limits?.[resource]);
      if (limit > 0 || request > 0) isBestEffort = false;
      if (limit === 0 || request !== limit) isGuaranteed = false;
    }
  }
  if (isBestEffort) return "BestEffort";
  return isGuaranteed ? "Guaranteed" : "Burstable";
}

/** `<root>/kubepods/burstable/pod<uid>`; guaranteed pods stand directly below kubepods. */
export function podCgroup(root: string, pod: PodObject): string {
  const qos = podQosClass(pod);
  const parent = qos === "Guaranteed" ? "" : `/${qos.toLowerCase()}`;
  return `${root}/kubepods${parent}/pod${pod.metadata.uid}`;
}

/** Of the node, what a container's limits depend on. */
export interface NodeGround {
  memoryBytes: number;
  /** Sizes of huge pages, such as `2Mi`: of those that a container does not ask for it gets none. Default: none. */
  hugePageSizes?: readonly string[];
  /** Files of cgroup v2 that every container's group is given. */
  containerGroupFiles?: Readonly<Record<string, string>>;
}

export function containerResources(pod: PodObject, container: ContainerSpec, node: NodeGround): Resources {
  const { requests, limits } = (container as DeepReadonly<Container>).resources ?? {};
  // A container without a limit of its own has the pod's, so that what reads its cgroup (a JVM, a Go program) sees a true one.
  const shared = pod.spec.resources?.limits;
  const cpuLimitMilli = quantityMilliValue(limits?.["cpu"]) || quantityMilliValue(shared?.["cpu"]);
  const memoryLimit = quantityValue(limits?.["memory"]) || quantityValue(shared?.["memory"]);
  return {
    cpuShares: cpuShares(requests?.["cpu"] === undefined ? cpuLimitMilli : quantityMilliValue(requests["cpu"])),
    ...(cpuLimitMilli > 0 ? { cpuQuotaMicroseconds: cpuQuota(cpuLimitMilli), cpuPeriodMicroseconds: cpuPeriod } : {}),
    ...(memoryLimit > 0 ? { memoryLimitBytes: memoryLimit } : {}),
    ...hugePageLimits(limits, node.hugePageSizes),
    ...(Object.keys(node.containerGroupFiles ?? {}).length > 0 ? { unified: node.containerGroupFiles! } : {}),
    oomScoreAdj: oomScoreAdj(pod, container, node.memoryBytes),
  };
}

/** From `hugepages-2Mi` to the runtime's "2MB". */
function hugePageLimits(
  limits: DeepReadonly<Record<string, string>> | undefined,
  sizes: readonly string[] = [],
): Pick<Resources, "hugepageLimits"> {
  const none = Object.fromEntries(sizes.map((size) => [`hugepages-${size}`, "0"]));
  const entries = Object.entries({ ...none, ...limits }).flatMap(([name, text]) => {
    const [, amount, unit] = /^hugepages-(\d+)([KMG])i$/.exec(name) ?? [];
    return unit ? [[`${amount}${unit}B`, quantityValue(text)]] : [];
  });
  return entries.length > 0 ? { hugepageLimits: Object.fromEntries(entries) } : {};
}

/** The limits of the pod's own cgroup: the sum of its containers', where every one has a limit. */
export function podResources(pod: PodObject, pidsLimit?: number): Resources {
  const { all, peaks } = requirementsOf(pod);
  const cpuLimit = limitOf(all, peaks, (r) => quantityMilliValue(r.limits?.["cpu"]));
  const memoryLimit = limitOf(all, peaks, (r) => quantityValue(r.limits?.["memory"]));
  return {
    ...(pidsLimit !== undefined ? { pidsLimit } : {}),
    cpuShares: cpuShares(podCpuMilli(pod)),
    ...(cpuLimit > 0 ? { cpuQuotaMicroseconds: cpuQuota(cpuLimit), cpuPeriodMicroseconds: cpuPeriod } : {}),
    ...(memoryLimit > 0 ? { memoryLimitBytes: memoryLimit } : {}),
  };
}

/** What the pod asks of the CPU, in thousandths. */
export function podCpuMilli(pod: PodObject): number {
  const { all, peaks } = requirementsOf(pod);
  const requested = (r: Requirements) => quantityMilliValue(r.requests?.["cpu"] ?? r.limits?.["cpu"]);
  return Math.max(sum(all, requested), ...peaks.map(requested));
}

/** What counts together, and what counts alone while it runs; the pod's own word goes before its containers'. */
function requirementsOf({ spec }: PodObject): { all: Requirements[]; peaks: Requirements[] } {
  if (spec.resources) return { all: [spec.resources], peaks: [] };
  const inits = spec.initContainers ?? [];
  const sidecars = inits.filter((container) => container.restartPolicy === "Always");
  const ofEach = (list: readonly DeepReadonly<Container>[]) => list.map(({ resources }) => resources ?? {});
  return {
    all: ofEach([...spec.containers, ...sidecars]),
    peaks: ofEach(inits.filter((container) => container.restartPolicy !== "Always")),
  };
}

type Requirements = DeepReadonly<ResourceRequirements>;

function limitOf(steady: Requirements[], peaks: Requirements[], value: (r: Requirements) => number): number {
  if ([...steady, ...peaks].some((r) => value(r) === 0)) return 0;
  return Math.max(sum(steady, value), ...peaks.map(value));
}

function sum(list: Requirements[], value: (r: Requirements) => number): number {
  return list.reduce((total, item) => total + value(item), 0);
}

const cpuPeriod = 100_000;
const minimumCpuQuota = 1_000;
const minimumCpuShares = 2;
const maximumCpuShares = 262_144;

export function cpuShares(milli: number): number {
  if (milli === 0) return minimumCpuShares;
  return Math.min(Math.max(Math.floor((milli * 1024) / 1000), minimumCpuShares), maximumCpuShares);
}

function cpuQuota(milli: number): number {
  return Math.max(Math.floor((milli * cpuPeriod) / 1000), minimumCpuQuota);
}

/** The more a container asked for, the later it is killed; what asked for nothing goes first. */
function oomScoreAdj(pod: PodObject, container: ContainerSpec, nodeMemoryBytes: number): number {
  if ((pod.spec.priority ?? 0) >= systemCriticalPriority) return -997;
  const qos = podQosClass(pod);
  if (qos === "Guaranteed") return -997;
  if (qos === "BestEffort") return 1000;
  // A sidecar outlives the containers that it serves: it is never killed before them.
  const request = isSidecar(pod, container)
    ? Math.max(memoryRequest(container), Math.min(...pod.spec.containers.map(memoryRequest)))
    : memoryRequest(container);
  const adjustment = 1000 - Math.floor((1000 * (request + shareOfPodRequest(pod))) / nodeMemoryBytes);
  return Math.min(Math.max(adjustment, 3), 999);
}
const systemCriticalPriority = 2_000_000_000;

function isSidecar({ spec }: PodObject, { name }: ContainerSpec): boolean {
  return spec.initContainers?.some((init) => init.name === name && init.restartPolicy === "Always") ?? false;
}

/** Bytes that the pod as a whole asked for beyond its containers, divided among them. */
function shareOfPodRequest({ spec }: PodObject): number {
  const whole = quantityValue(spec.resources?.requests?.["memory"]);
  if (whole === 0) return 0;
  const inits = spec.initContainers ?? [];
  const requested = spec.containers.reduce((total, container) => total + memoryRequest(container), 0);
  let [peak, sidecars] = [0, 0];
  for (const init of inits) {
    const bytes = memoryRequest(init);
    if (init.restartPolicy === "Always") sidecars += bytes;
    else peak = Math.max(peak, sidecars + bytes);
  }
  const left = whole - Math.max(requested + sidecars, peak);
  return Math.trunc(left / (spec.containers.length + inits.length));
}

function memoryRequest(container: ContainerSpec): number {
  const { requests, limits } = (container as DeepReadonly<Container>).resources ?? {};
  return quantityValue(requests?.["memory"] ?? limits?.["memory"]);
}
