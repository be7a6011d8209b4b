/** The Node object that a kubelet registers and keeps up to date. Pure, from facts about the machine and the configuration. */
import type { Node, NodeCondition, NodeStatus, Taint } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { rfc3339 } from "../base/clock.ts";
import type { PressureCondition } from "./eviction/plan-eviction.ts";
import type { StoredImage } from "./images/image-service.ts";
import type { MachineFacts } from "./machine-facts.ts";
import type { RuntimeFeatures } from "./runtime/container-runtime.ts";

export interface NodeConfig {
  name: string;
  /** InternalIP addresses, first family first. */
  ips: readonly string[];
  podCIDRs: readonly string[];
  /** `control-plane`: shown by `kubectl get nodes`. */
  roles?: readonly string[];
  labels?: Readonly<Record<string, string>>;
  taints?: readonly DeepReadonly<Taint>[];
  /** `v1.36.2`. */
  kubeletVersion: string;
  /** Default: 10250. */
  kubeletPort?: number;
  /** What its container runtime can. */
  features?: RuntimeFeatures;
  /** Overrides what the machine has: cpu, memory, ephemeral-storage, pods. */
  capacity?: Readonly<Record<string, string>>;
}

/** Where kubelets listen, unless they are told otherwise. */
export const kubeletPort = 10250;

/** Upstream's default: no more pods than this on a node. */
export const maximumPods = 110;
const memoryReserveBytes = 100 * 1024 * 1024; // Upstream's eviction threshold.
const imagesTold = 50;
const namesTold = 5; // Of each image.
/** What pods may ask of this kubelet that others of this or the last release may lack, by upstream's names. */
const declaredFeatures = [
  "ExtendWebSocketsToKubelet",
  "InPlacePodLevelResourcesVerticalScaling",
  "InPlacePodVerticalScalingInitContainers",
  "RestartAllContainersOnContainerExits",
] as const;

export function nodeLabels(config: NodeConfig, machine: MachineFacts): Record<string, string> {
  const roles = (config.roles ?? []).map((role) => [`node-role.kubernetes.io/${role}`, ""]);
  return {
    "beta.kubernetes.io/arch": machine.architecture,
    "beta.kubernetes.io/os": "linux",
    "kubernetes.io/arch": machine.architecture,
    "kubernetes.io/hostname": config.name,
    "kubernetes.io/os": "linux",
    ...Object.fromEntries(roles),
    ...config.labels,
  };
}

export function nodeCapacity(config: NodeConfig, machine: MachineFacts): Record<string, string> {
  return {
    cpu: String(machine.cpus),
    "ephemeral-storage": `${Math.floor(machine.storageBytes / 1024)}Ki`,
    "hugepages-1Gi": "0",
    "hugepages-2Mi": "0",
    ...Object.fromEntries(
      Object.entries(machine.hugePages ?? {}).map(([size, count]) => [`hugepages-${size}`, hugePagesText(size, count)]),
    ),
    memory: `${Math.floor(machine.memoryBytes / 1024)}Ki`,
    pods: String(maximumPods),
    ...config.capacity,
  };
}

function hugePagesText(size: string, count: number): string {
  const [, amount = "0", unit = ""] = /^(\d+)(.*)$/.exec(size) ?? [];
  return count === 0 ? "0" : `${Number(amount) * count}${unit}`;
}

export function nodeAllocatable(config: NodeConfig, machine: MachineFacts): Record<string, string> {
  return {
    ...nodeCapacity(config, machine),
    "ephemeral-storage": String(Math.floor(machine.storageBytes * 0.9)),
    memory: `${Math.floor((machine.memoryBytes - memoryReserveBytes) / 1024)}Ki`,
    ...config.capacity,
  };
}

/** Extended resources that somebody has put on the Node, by their capacity: pods may ask for what is there. The kubelet counts none of its own. */
export function advertisedResources(status: DeepReadonly<NodeStatus> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(status?.capacity ?? {}).filter(([name]) => isExtendedResource(name)));
}

/** Whether what can be allocated is no longer what is advertised. */
export function isAdvertisedAnew(status: DeepReadonly<NodeStatus> | undefined): boolean {
  const { capacity = {}, allocatable = {} } = status ?? {};
  return [...Object.keys(capacity), ...Object.keys(allocatable)].some(
    (name) => isExtendedResource(name) && capacity[name] !== allocatable[name],
  );
}

function isExtendedResource(name: string): boolean {
  return name.includes("/") && !/(^|\.)kubernetes\.io\//.test(name);
}

export interface NodeHealth {
  pressures: ReadonlySet<PressureCondition>;
  isShuttingDown: boolean;
  /** Why pods cannot have a network; undefined when they can. */
  networkProblem: string | undefined;
}

export function nodeStatus(
  config: NodeConfig,
  machine: MachineFacts,
  runtimeVersion: string,
  images: readonly StoredImage[],
  previous: DeepReadonly<NodeStatus> | undefined,
  condition: NodeHealth,
  now: number,
): NodeStatus {
  const {
    recursiveReadOnlyMounts = false,
    userNamespaces = false,
    supplementalGroupsPolicy = false,
  } = config.features ?? {};
  return {
    addresses: [
      ...config.ips.map((address) => ({ type: "InternalIP", address })),
      { type: "Hostname", address: config.name },
    ],
    capacity: { ...advertisedResources(previous), ...nodeCapacity(config, machine) },
    allocatable: { ...advertisedResources(previous), ...nodeAllocatable(config, machine) },
    conditions: conditions(previous, condition, now),
    daemonEndpoints: { kubeletEndpoint: { Port: config.kubeletPort ?? kubeletPort } },
    images: [...images]
      .sort((a, b) => b.sizeBytes - a.sizeBytes)
      .slice(0, imagesTold)
      .map(({ digests, names, sizeBytes }) => ({ names: [...digests, ...names].slice(0, namesTold), sizeBytes })),
    nodeInfo: {
      machineID: machine.machineId,
      systemUUID: machine.systemUuid,
      bootID: machine.bootId,
      kernelVersion: machine.kernelVersion,
      osImage: machine.osImage,
      containerRuntimeVersion: runtimeVersion,
      kubeletVersion: config.kubeletVersion,
      // Upstream no longer tells it.
      kubeProxyVersion: "",
      operatingSystem: "linux",
      architecture: machine.architecture,
      swap: { capacity: machine.swapBytes },
    },
    runtimeHandlers: [{ name: "", features: { recursiveReadOnlyMounts, userNamespaces } }],
    features: { supplementalGroupsPolicy },
    declaredFeatures: [...declaredFeatures],
  };
}

/** How a node begins to say that it waits for its pod network. */
export const networkNotReady = "container runtime network not ready: NetworkReady=false";

const pressureWords: Readonly<Record<PressureCondition, { reason: string; message: string }>> = {
  MemoryPressure: { reason: "KubeletHasInsufficientMemory", message: "kubelet has insufficient memory available" },
  DiskPressure: { reason: "KubeletHasDiskPressure", message: "kubelet has disk pressure" },
  PIDPressure: { reason: "KubeletHasInsufficientPID", message: "kubelet has insufficient PID available" },
};

function conditions(
  previous: DeepReadonly<NodeStatus> | undefined,
  { pressures, isShuttingDown, networkProblem }: NodeHealth,
  now: number,
): NodeCondition[] {
  const notReady = isShuttingDown
    ? "node is shutting down"
    : networkProblem === undefined
      ? undefined
      : `${networkNotReady} reason:NetworkPluginNotReady message:Network plugin returns error: ${networkProblem}`;
  const told: Omit<NodeCondition, "lastHeartbeatTime" | "lastTransitionTime">[] = [
    {
      type: "MemoryPressure",
      status: "False",
      reason: "KubeletHasSufficientMemory",
      message: "kubelet has sufficient memory available",
    },
    {
      type: "DiskPressure",
      status: "False",
      reason: "KubeletHasNoDiskPressure",
      message: "kubelet has no disk pressure",
    },
    {
      type: "PIDPressure",
      status: "False",
      reason: "KubeletHasSufficientPID",
      message: "kubelet has sufficient PID available",
    },
    notReady !== undefined
      ? { type: "Ready", status: "False", reason: "KubeletNotReady", message: notReady }
      : { type: "Ready", status: "True", reason: "KubeletReady", message: "kubelet is posting ready status" },
  ];
  return told.map((calm) => {
    const asPressure = calm.type as PressureCondition;
    const condition = pressures.has(asPressure)
      ? { type: asPressure, status: "True", ...pressureWords[asPressure] }
      : calm;
    const before = previous?.conditions?.find(({ type }) => type === condition.type);
    const unchanged = before?.status === condition.status ? before.lastTransitionTime : undefined;
    const { type, status, reason, message } = condition;
    return {
      type,
      status,
      lastHeartbeatTime: rfc3339(now),
      lastTransitionTime: unchanged ?? rfc3339(now),
      ...(reason ? { reason } : {}),
      ...(message ? { message } : {}),
    };
  });
}

export function newNode(
  config: NodeConfig,
  machine: MachineFacts,
  status: NodeStatus,
): Pick<Node, "spec" | "status"> & {
  metadata: { name: string; labels: Record<string, string>; annotations: Record<string, string> };
} {
  return {
    metadata: {
      name: config.name,
      labels: nodeLabels(config, machine),
      annotations: { "volumes.kubernetes.io/controller-managed-attach-detach": "true" },
    },
    spec: {
      ...(config.podCIDRs[0] ? { podCIDR: config.podCIDRs[0], podCIDRs: [...config.podCIDRs] } : {}),
      ...(config.taints?.length ? { taints: config.taints.map((taint) => ({ ...taint })) } : {}),
    },
    status,
  };
}
