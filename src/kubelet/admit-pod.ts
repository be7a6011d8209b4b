/** Whether a node takes on a pod that was bound to it (upstream's kubelet admission): it must fit in what is left, whoever bound it. Pure. */
import { quantityMilliValue, quantityValue } from "../apimachinery/quantity.ts";
import { appArmorProblem } from "./apparmor.ts";
import { isCritical, type PressureCondition } from "./eviction/plan-eviction.ts";
import type { PodObject } from "./pod-state.ts";
import { podQosClass } from "./qos.ts";
import type { RuntimeFeatures } from "./runtime/container-runtime.ts";
import { type SysctlAllowlist, sysctlRefusal } from "./sysctls.ts";

export interface NodeRoom {
  allocatable: Readonly<Record<string, string>>;
  labels: Readonly<Record<string, string>>;
  /** Pods that have not ended, without the one that is judged. */
  others: readonly PodObject[];
  pressures: ReadonlySet<PressureCondition>;
  /** The kernel confines processes by AppArmor. */
  hasAppArmor?: boolean;
  /** What the container runtime can. Default: everything. */
  features?: RuntimeFeatures;
  /** Unsafe kernel parameters that pods may set all the same. Default: none. */
  sysctls?: SysctlAllowlist;
}

export interface Refusal {
  reason: string;
  message: string;
}

export function refusalOf(pod: PodObject, room: NodeRoom): Refusal | undefined {
  return (
    sysctlRefusal(pod, room.sysctls) ??
    appArmorRefusal(pod, room) ??
    groupsRefusal(pod, room) ??
    pressureRefusal(pod, room) ??
    selectorRefusal(pod, room) ??
    roomRefusal(pod, room) ??
    portRefusal(pod, room)
  );
}

/** A resized pod that is too large for the node as it is now has to wait; one that is too large for the node alone waits for ever. */
export function resizeRefusalOf(pod: PodObject, room: NodeRoom): Refusal | undefined {
  const alone = roomRefusal(pod, { ...room, others: [] });
  const refusal = alone ?? roomRefusal(pod, room);
  if (!refusal) return undefined;
  const { message } = refusal;
  return alone
    ? { reason: "Infeasible", message: message.replace("enough resource", "enough capacity").replace(" used: 0,", "") }
    : { reason: "Deferred", message };
}

function pressureRefusal(pod: PodObject, { pressures }: NodeRoom): Refusal | undefined {
  if (pressures.size === 0 || isCritical(pod)) return undefined;
  const only = [...pressures].length === 1 && pressures.has("MemoryPressure");
  const tolerates = pod.spec.tolerations?.some(
    ({ key, operator }) => key === "node.kubernetes.io/memory-pressure" || (!key && operator === "Exists"),
  );
  if (only && (podQosClass(pod) !== "BestEffort" || tolerates)) return undefined;
  return { reason: "Evicted", message: `The node had condition: [${[...pressures].join(" ")}]. ` };
}

function appArmorRefusal(pod: PodObject, { hasAppArmor = false }: NodeRoom): Refusal | undefined {
  const problem = appArmorProblem(pod, hasAppArmor);
  return problem === undefined ? undefined : { reason: "AppArmor", message: `Cannot enforce AppArmor: ${problem}` };
}

function groupsRefusal({ spec }: PodObject, { features }: NodeRoom): Refusal | undefined {
  const policy = spec.securityContext?.supplementalGroupsPolicy;
  if (policy !== "Strict" || features === undefined || features.supplementalGroupsPolicy) return undefined;
  return {
    reason: "SupplementalGroupsPolicyNotSupported",
    message: `SupplementalGroupsPolicy=${policy} is not supported in this node`,
  };
}

function selectorRefusal({ spec }: PodObject, { labels }: NodeRoom): Refusal | undefined {
  const misses = Object.entries(spec.nodeSelector ?? {}).some(([key, value]) => labels[key] !== value);
  return misses
    ? {
        reason: "NodeAffinity",
        message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
      }
    : undefined;
}

function roomRefusal(pod: PodObject, { allocatable, others }: NodeRoom): Refusal | undefined {
  const maximum = quantityValue(allocatable["pods"]);
  if (others.length + 1 > maximum) return tooMuch("pods", 1, others.length, maximum);
  for (const [name, wanted] of requestsOf(pod)) {
    // What the node does not know of is somebody else's to hand out: an extended resource of a device.
    if (wanted === 0 || allocatable[name] === undefined) continue;
    const capacity = amount(name, allocatable[name]);
    const used = others.reduce((sum, other) => sum + (requestsOf(other).get(name) ?? 0), 0);
    if (used + wanted > capacity) return tooMuch(name, wanted, used, capacity);
  }
  return undefined;
}

function tooMuch(resource: string, requested: number, used: number, capacity: number): Refusal {
  return {
    reason: `OutOf${resource}`,
    message: `Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  };
}

function portRefusal(pod: PodObject, { others }: NodeRoom): Refusal | undefined {
  const wanted = hostPortsOf(pod);
  if (wanted.length === 0) return undefined;
  const taken = new Set(others.flatMap(hostPortsOf));
  return wanted.some((port) => taken.has(port))
    ? {
        reason: "NodePorts",
        message: "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
      }
    : undefined;
}

function hostPortsOf({ spec }: PodObject): string[] {
  return spec.containers.flatMap(({ ports }) =>
    (ports ?? []).flatMap(({ hostPort, protocol, hostIP }) =>
      hostPort ? [`${protocol ?? "TCP"} ${hostIP ?? ""} ${hostPort}`] : [],
    ),
  );
}

const knownRequests = new WeakMap<PodObject["spec"], ReadonlyMap<string, number>>();

/** What the pod claims: its containers and sidecars together, or its greediest init container. Every newcomer asks it of all. */
function requestsOf({ spec }: PodObject): ReadonlyMap<string, number> {
  let requests = knownRequests.get(spec);
  if (!requests) {
    requests = sumRequests(spec);
    knownRequests.set(spec, requests);
  }
  return requests;
}

function sumRequests(spec: PodObject["spec"]): Map<string, number> {
  const total = new Map<string, number>();
  const add = (name: string, value: number) => total.set(name, (total.get(name) ?? 0) + value);
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  for (const { resources } of [...spec.containers, ...sidecars]) {
    for (const [name, text] of Object.entries(resources?.requests ?? {})) add(name, amount(name, text));
  }
  for (const { resources, restartPolicy } of spec.initContainers ?? []) {
    if (restartPolicy === "Always") continue;
    for (const [name, text] of Object.entries(resources?.requests ?? {})) {
      total.set(name, Math.max(total.get(name) ?? 0, amount(name, text)));
    }
  }
  for (const [name, text] of Object.entries(spec.resources?.requests ?? {})) total.set(name, amount(name, text));
  for (const [name, text] of Object.entries(spec.overhead ?? {})) add(name, amount(name, text));
  return total;
}

function amount(resource: string, text: string | undefined): number {
  return resource === "cpu" ? quantityMilliValue(text) : quantityValue(text);
}
