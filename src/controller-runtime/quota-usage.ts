/** What objects use of a quota: asked by admission before they are written, and by the controller that adds up. Pure. */
import type { PersistentVolumeClaim, Pod, ResourceQuota, Service } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Quantity } from "../apimachinery/quantity.ts";

export type Usage = Map<string, Quantity>;

export function addUsage(to: Usage, from: Usage): void {
  for (const [name, amount] of from) to.set(name, to.get(name)?.add(amount) ?? amount);
}

const one = Quantity.ofUnits(1);

/** A Pod's share: it is counted while it has not finished; its object is counted as long as it exists. */
export function podUsage(pod: DeepReadonly<Pod>): Usage {
  const usage: Usage = new Map([["count/pods", one]]);
  if (pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed") return usage;
  usage.set("pods", one);
  for (const [kind, prefix] of [
    ["requests", "requests."],
    ["limits", "limits."],
  ] as const) {
    for (const [name, amount] of podAmounts(pod, kind)) {
      usage.set(`${prefix}${name}`, amount);
      // Plain names mean requests.
      if (kind === "requests" && ["cpu", "memory", "ephemeral-storage"].includes(name)) usage.set(name, amount);
    }
  }
  return usage;
}

/** Containers together, or the hungriest init container beside the sidecars before it; what the Pod as a whole says goes before. */
function podAmounts({ spec }: DeepReadonly<Pod>, kind: "requests" | "limits"): Map<string, Quantity> {
  const parsed = (amounts: Readonly<Record<string, string>> | undefined): Usage =>
    new Map(Object.entries(amounts ?? {}).map(([name, text]) => [name, Quantity.parse(text)]));
  const total: Usage = new Map();
  for (const { resources } of spec.containers) addUsage(total, parsed(resources?.[kind]));
  const sidecars: Usage = new Map();
  const peak: Usage = new Map();
  for (const { resources, restartPolicy } of spec.initContainers ?? []) {
    const own = new Map(sidecars);
    addUsage(own, parsed(resources?.[kind]));
    if (restartPolicy === "Always") addUsage(sidecars, parsed(resources?.[kind]));
    takeMaximum(peak, own);
  }
  addUsage(total, sidecars);
  takeMaximum(total, peak);
  for (const [name, amount] of parsed(spec.resources?.[kind])) total.set(name, amount);
  if (spec.overhead && (kind === "requests" || total.size > 0)) addUsage(total, parsed(spec.overhead));
  return total;
}

function takeMaximum(to: Usage, from: Usage): void {
  for (const [name, amount] of from) {
    const present = to.get(name);
    if (!present || present.compare(amount) < 0) to.set(name, amount);
  }
}

/** Kinds that quotas count under their plain name too. */
const plainNames = new Set(["configmaps", "secrets", "replicationcontrollers", "resourcequotas"]);

/** One object more of a kind that is merely counted. */
export function countUsage({ group, plural }: { group: string; plural: string }, count = one): Usage {
  const usage: Usage = new Map([[`count/${group ? `${plural}.${group}` : plural}`, count]]);
  if (group === "" && plainNames.has(plural)) usage.set(plural, count);
  return usage;
}

export function serviceUsage({ spec }: DeepReadonly<Service>): Usage {
  const usage: Usage = new Map([
    ["services", one],
    ["count/services", one],
  ]);
  const ports = Quantity.ofUnits(spec.ports?.length ?? 0);
  if (spec.type === "NodePort") usage.set("services.nodeports", ports);
  if (spec.type === "LoadBalancer") {
    usage.set("services.loadbalancers", one);
    if (spec.allocateLoadBalancerNodePorts !== false) usage.set("services.nodeports", ports);
  }
  return usage;
}

export function claimUsage({ spec }: DeepReadonly<PersistentVolumeClaim>): Usage {
  const usage: Usage = new Map([
    ["persistentvolumeclaims", one],
    ["count/persistentvolumeclaims", one],
  ]);
  const storage = spec?.resources?.requests?.["storage"];
  const storageClass = spec?.storageClassName;
  if (storage) usage.set("requests.storage", Quantity.parse(storage));
  if (storageClass) {
    const suffix = `${storageClass}.storageclass.storage.k8s.io`;
    usage.set(`${suffix}/persistentvolumeclaims`, one);
    if (storage) usage.set(`${suffix}/requests.storage`, Quantity.parse(storage));
  }
  return usage;
}

export function isScoped({ spec }: DeepReadonly<ResourceQuota>): boolean {
  return Boolean(spec?.scopes?.length || spec?.scopeSelector?.matchExpressions?.length);
}

/** Whether a quota with scopes speaks of the claim: by the classes of attributes that it has, or is to have. */
export function claimInScopes(
  { spec: quota }: DeepReadonly<ResourceQuota>,
  { spec, status }: DeepReadonly<PersistentVolumeClaim>,
): boolean {
  const classes = [
    spec.volumeAttributesClassName,
    status?.currentVolumeAttributesClassName,
    status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  ].filter((name) => name !== undefined && name !== "") as string[];
  const isIn = (scope: string, operator: string, values: readonly string[]): boolean => {
    if (scope !== "VolumeAttributesClass") return false;
    if (operator === "In") return classes.some((name) => values.includes(name));
    if (operator === "NotIn") return classes.length === 0 || classes.some((name) => !values.includes(name));
    return classes.length > 0 === (operator === "Exists");
  };
  return (
    (quota?.scopes ?? []).every((scope) => isIn(scope, "Exists", [])) &&
    (quota?.scopeSelector?.matchExpressions ?? []).every(({ scopeName, operator, values = [] }) =>
      isIn(scopeName, operator, values),
    )
  );
}

/** Whether a quota with scopes speaks of the Pod. */
export function podInScopes(quota: DeepReadonly<ResourceQuota>, pod: DeepReadonly<Pod>): boolean {
  const { scopes = [], scopeSelector } = quota.spec ?? {};
  return (
    scopes.every((scope) => isInScope(pod, scope, "Exists", [])) &&
    (scopeSelector?.matchExpressions ?? []).every(({ scopeName, operator, values = [] }) =>
      isInScope(pod, scopeName, operator, values),
    )
  );
}

function isInScope(pod: DeepReadonly<Pod>, scope: string, operator: string, values: readonly string[]): boolean {
  const isTerminating = (pod.spec.activeDeadlineSeconds ?? -1) >= 0;
  const isBestEffort = ![pod.spec, ...pod.spec.containers, ...(pod.spec.initContainers ?? [])].some(({ resources }) =>
    [...Object.entries(resources?.requests ?? {}), ...Object.entries(resources?.limits ?? {})].some(
      ([name, amount]) => (name === "cpu" || name === "memory") && Quantity.parse(amount).sign() > 0,
    ),
  );
  switch (scope) {
    case "Terminating":
      return isTerminating;
    case "NotTerminating":
      return !isTerminating;
    case "BestEffort":
      return isBestEffort;
    case "NotBestEffort":
      return !isBestEffort;
    case "PriorityClass": {
      const { priorityClassName = "" } = pod.spec;
      if (operator === "In") return values.includes(priorityClassName);
      if (operator === "NotIn") return !values.includes(priorityClassName);
      return (priorityClassName !== "") === (operator === "Exists");
    }
    case "CrossNamespacePodAffinity": {
      const { podAffinity, podAntiAffinity } = pod.spec.affinity ?? {};
      const terms = [podAffinity, podAntiAffinity].flatMap((affinity) => [
        ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
        ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
          ({ podAffinityTerm }) => podAffinityTerm,
        ),
      ]);
      return terms.some(
        ({ namespaces, namespaceSelector }) => (namespaces?.length ?? 0) > 0 || namespaceSelector !== undefined,
      );
    }
    default:
      return false;
  }
}
