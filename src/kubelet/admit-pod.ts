/** Whether a node takes on a pod that was bound to it (upstream's kubelet admission): it must fit in what is left, whoever bound it. Pure. */
import type { Taint } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { quantityMilliValue, quantityValue } from "../apimachinery/quantity.ts";
import { requiredNodes, tolerates } from "../controller-runtime/node-matching.ts";
import { appArmorProblem } from "./apparmor.ts";
import { isCritical, type PressureCondition } from "./eviction/plan-eviction.ts";
import type { PodObject } from "./pod-state.ts";
import { planPreemption } from "./preempt-pods.ts";
import { podQosClass } from "./qos.ts";
import type { RuntimeFeatures } from "./runtime/container-runtime.ts";
import { isStatic } from "./static-pods/manifest.ts";
import { type SysctlAllowlist, sysctlRefusal } from "./sysctls.ts";

export interface NodeRoom {
  allocatable: Readonly<Record<string, string>>;
  /** The node's. */
  name: string;
  labels: Readonly<Record<string, string>>;
  taints: readonly DeepReadonly<Taint>[];
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

/** Of a pod that the system needs a lack of room comes last: others make it (`preemptionFor`). */
export function refusalOf(pod: PodObject, room: NodeRoom): Refusal | undefined {
  const isUrgent = isCritical(pod);
  return (
    sysctlRefusal(pod, room.sysctls) ??
    appArmorRefusal(pod, room) ??
    groupsRefusal(pod, room) ??
    pressureRefusal(pod, room) ??
    (isUrgent ? undefined : roomRefusal(pod, room)) ??
    selectorRefusal(pod, room) ??
    portRefusal(pod, room) ??
    taintRefusal(pod, room) ??
    (isUrgent ? roomRefusal(pod, room) : undefined)
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

function selectorRefusal({ spec }: PodObject, { name, labels }: NodeRoom): Refusal | undefined {
  const isWanted = requiredNodes(spec);
  return isWanted && !isWanted({ name, labels })
    ? {
        reason: "NodeAffinity",
        message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
      }
    : undefined;
}

/** Whoever bound it there: from a taint that drives pods away, one that does not tolerate it goes at once. */
function taintRefusal(pod: PodObject, { taints }: NodeRoom): Refusal | undefined {
  const { tolerations = [] } = pod.spec;
  const drivesAway = (taint: DeepReadonly<Taint>) =>
    taint.effect === "NoExecute" && !tolerations.some((toleration) => tolerates(toleration, taint));
  return !isStatic(pod) && taints.some(drivesAway)
    ? {
        reason: "TaintToleration",
        message: "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
      }
    : undefined;
}

function roomRefusal(pod: PodObject, room: NodeRoom): Refusal | undefined {
  const [first] = shortagesOf(pod, room);
  return first && tooMuch(first);
}

interface Shortage {
  resource: string;
  requested: number;
  used: number;
  capacity: number;
}

function shortagesOf(pod: PodObject, { allocatable, others }: NodeRoom): Shortage[] {
  const maximum = quantityValue(allocatable["pods"]);
  const wanted = [...requestsOf(pod)].flatMap(([resource, requested]): Shortage[] => {
    // What the node does not know of is somebody else's to hand out: an extended resource of a device.
    if (requested === 0 || allocatable[resource] === undefined) return [];
    const used = others.reduce((sum, other) => sum + (requestsOf(other).get(resource) ?? 0), 0);
    return [{ resource, requested, used, capacity: amount(resource, allocatable[resource]) }];
  });
  const slots = { resource: "pods", requested: 1, used: others.length, capacity: maximum };
  return [slots, ...wanted].filter(({ requested, used, capacity }) => used + requested > capacity);
}

/** Who ends so that a pod that the system needs fits. Undefined: it would not fit then either. */
export function preemptionFor(pod: PodObject, room: NodeRoom): PodObject[] | undefined {
  const missing = shortagesOf(pod, room).map(({ resource, requested, used, capacity }): [string, number] => [
    resource,
    requested + used - capacity,
  ]);
  return planPreemption(room.others, new Map(missing), requestsOf);
}

function tooMuch({ resource, requested, used, capacity }: Shortage): Refusal {
  return {
    reason: `OutOf${resource}`,
    message: `Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  };
}

function portRefusal(pod: PodObject, { others }: NodeRoom): Refusal | undefined {
  const wanted = hostPortsOf(pod);
  if (wanted.length === 0) return undefined;
  const taken = others.flatMap(hostPortsOf);
  return wanted.some((port) => taken.some((other) => isOneDoor(port, other)))
    ? {
        reason: "NodePorts",
        message: "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
      }
    : undefined;
}

interface HostPort {
  port: number;
  protocol: string;
  ip: string;
}

const everyAddress = "0.0.0.0";

function isOneDoor(a: HostPort, b: HostPort): boolean {
  if (a.port !== b.port || a.protocol !== b.protocol) return false;
  return a.ip === b.ip || a.ip === everyAddress || b.ip === everyAddress;
}

function hostPortsOf({ spec }: PodObject): HostPort[] {
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  return [...spec.containers, ...sidecars].flatMap(({ ports }) =>
    (ports ?? []).flatMap(({ hostPort, protocol, hostIP }) =>
      hostPort ? [{ port: hostPort, protocol: protocol ?? "TCP", ip: hostIP || everyAddress }] : [],
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
