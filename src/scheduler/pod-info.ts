/** What the scheduler reads of a Pod, worked out once per object. */

import type { Container, Pod, PodAffinityTerm } from "../api/core/v1.ts";
import type { LabelSelector } from "../api/meta/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { quantityMilliValue, quantityValue } from "../apimachinery/quantity.ts";
import { stringifyExactly } from "../apimachinery/serializer/big-integers.ts";
import { type CompiledSelector, selectorOf } from "../controller-runtime/compiled-selector.ts";

/** Amounts: CPU in thousandths, the rest in whole units. */
export interface Resources {
  milliCpu: number;
  memory: number;
  ephemeralStorage: number;
  /** Extended resources and huge pages, by name. */
  scalar: ReadonlyMap<string, number> | undefined;
}

export interface AffinityTerm {
  /** Terms with equal text select the same Pods. */
  key: string;
  /** Empty with a namespace selector: only what that selects. */
  namespaces: ReadonlySet<string>;
  namespaceSelector: CompiledSelector | undefined;
  selector: CompiledSelector;
  topologyKey: string;
  /** Only Pods with this label in this namespace are meant (see labelKey), if one can be named. */
  label: string | undefined;
}

export interface WeightedTerm extends AffinityTerm {
  weight: number;
}

export interface HostPort {
  ip: string;
  protocol: string;
  port: number;
}

export interface PodInfo {
  pod: DeepReadonly<Pod>;
  uid: string;
  namespace: string;
  name: string;
  labels: Readonly<Record<string, string>>;
  priority: number;
  requests: Resources;
  /** For scores: containers that ask for nothing count as asking for a little. */
  nonZero: { milliCpu: number; memory: number };
  ports: readonly HostPort[];
  requiredAffinity: readonly AffinityTerm[];
  requiredAntiAffinity: readonly AffinityTerm[];
  preferredAffinity: readonly WeightedTerm[];
  preferredAntiAffinity: readonly WeightedTerm[];
  /** See shapeOf. Null: none. Undefined: not asked for yet. */
  shape: string | null | undefined;
}

/**
 * All that makes one Node differ from another for the Pod, as long as no other Pod, volume or device has a say: Pods of one
 * template have the same. Undefined: extended resources may come from devices.
 */
export function shapeOf(info: PodInfo): string | undefined {
  if (info.shape === undefined) {
    const { requests, nonZero, ports, pod } = info;
    const { nodeName, nodeSelector, affinity, tolerations } = pod.spec;
    info.shape = requests.scalar
      ? null
      : stringifyExactly([requests, nonZero, ports, nodeName, nodeSelector, affinity?.nodeAffinity, tolerations]);
  }
  return info.shape ?? undefined;
}

/** A label of Pods in a namespace, as one text. */
export function labelKey(namespace: string, name: string, value: string): string {
  return `${namespace}/${name}=${value}`;
}

const infos = new WeakMap<object, PodInfo>();

export function podInfoOf(pod: DeepReadonly<Pod>): PodInfo {
  let info = infos.get(pod);
  if (!info) {
    info = compile(pod);
    infos.set(pod, info);
  }
  return info;
}

const defaultMilliCpu = 100;
const defaultMemory = 200 * 1024 * 1024;

function compile(pod: DeepReadonly<Pod>): PodInfo {
  const { name, namespace, uid, labels = {} } = pod.metadata;
  const { podAffinity, podAntiAffinity } = pod.spec.affinity ?? {};
  return {
    pod,
    uid,
    namespace,
    name,
    labels,
    priority: pod.spec.priority ?? 0,
    requests: podRequests(pod, (resources) => resourcesOf(resources)),
    nonZero: podRequests(pod, (resources) => ({
      ...zero,
      milliCpu: resources?.["cpu"] === undefined ? defaultMilliCpu : quantityMilliValue(resources["cpu"]),
      memory: resources?.["memory"] === undefined ? defaultMemory : quantityValue(resources["memory"]),
    })),
    ports: hostPorts(pod),
    requiredAffinity: terms(podAffinity?.requiredDuringSchedulingIgnoredDuringExecution, pod),
    requiredAntiAffinity: terms(podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution, pod),
    preferredAffinity: weighted(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution, pod),
    preferredAntiAffinity: weighted(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution, pod),
    shape: undefined,
  };
}

const zero: Resources = { milliCpu: 0, memory: 0, ephemeralStorage: 0, scalar: undefined };

type Quantities = Readonly<Record<string, string>> | undefined;

function resourcesOf(quantities: Quantities): Resources {
  if (!quantities) return zero;
  let { milliCpu, memory, ephemeralStorage } = zero;
  let scalar: Map<string, number> | undefined;
  for (const name in quantities) {
    const quantity = quantities[name]!;
    if (name === "cpu") milliCpu = quantityMilliValue(quantity);
    else if (name === "memory") memory = quantityValue(quantity);
    else if (name === "ephemeral-storage") ephemeralStorage = quantityValue(quantity);
    else if (name !== "pods") {
      scalar ??= new Map();
      scalar.set(name, quantityValue(quantity));
    }
  }
  return { milliCpu, memory, ephemeralStorage, scalar };
}

/** A node's allocatable amounts, and how many Pods it takes. */
export function allocatableOf(quantities: Quantities): Resources & { pods: number } {
  return { ...resourcesOf(quantities), pods: quantityValue(quantities?.["pods"]) };
}

/**
 * What a Pod needs at its hungriest moment: init containers run one by one, beside the sidecars started before them;
 * afterwards containers and sidecars run together. Pod-level requests replace the sum; overhead comes on top.
 */
function podRequests(pod: DeepReadonly<Pod>, of: (resources: Quantities) => Resources): Resources {
  const requestsOf = (container: DeepReadonly<Container>) => of(container.resources?.requests);
  let running = zero;
  for (const container of pod.spec.containers) running = add(running, requestsOf(container));
  let sidecars = zero;
  let starting = zero;
  for (const container of pod.spec.initContainers ?? []) {
    const requests = requestsOf(container);
    if (container.restartPolicy === "Always") {
      sidecars = add(sidecars, requests);
      starting = maximum(starting, sidecars);
    } else starting = maximum(starting, add(sidecars, requests));
  }
  let total = pod.spec.initContainers?.length ? maximum(add(running, sidecars), starting) : running;
  const podLevel = pod.spec.resources?.requests;
  if (podLevel) {
    const given = resourcesOf(podLevel);
    total = {
      milliCpu: podLevel["cpu"] === undefined ? total.milliCpu : given.milliCpu,
      memory: podLevel["memory"] === undefined ? total.memory : given.memory,
      ephemeralStorage: total.ephemeralStorage,
      scalar: given.scalar ? new Map([...(total.scalar ?? []), ...given.scalar]) : total.scalar,
    };
  }
  return pod.spec.overhead ? add(total, resourcesOf(pod.spec.overhead)) : total;
}

function add(a: Resources, b: Resources): Resources {
  return combine(a, b, (x, y) => x + y);
}

function maximum(a: Resources, b: Resources): Resources {
  return combine(a, b, Math.max);
}

function combine(a: Resources, b: Resources, operation: (x: number, y: number) => number): Resources {
  let scalar = a.scalar;
  if (b.scalar) {
    const merged = new Map(a.scalar);
    for (const [name, amount] of b.scalar) merged.set(name, operation(merged.get(name) ?? 0, amount));
    scalar = merged;
  }
  return {
    milliCpu: operation(a.milliCpu, b.milliCpu),
    memory: operation(a.memory, b.memory),
    ephemeralStorage: operation(a.ephemeralStorage, b.ephemeralStorage),
    scalar,
  };
}

function hostPorts(pod: DeepReadonly<Pod>): HostPort[] {
  const ports: HostPort[] = [];
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  for (const container of [...pod.spec.containers, ...sidecars]) {
    for (const { hostPort, hostIP, protocol } of container.ports ?? []) {
      if (hostPort) ports.push({ ip: hostIP || "0.0.0.0", protocol: protocol ?? "TCP", port: hostPort });
    }
  }
  return ports;
}

const noTerms: readonly never[] = [];

function terms(list: DeepReadonly<PodAffinityTerm[]> | undefined, pod: DeepReadonly<Pod>): readonly AffinityTerm[] {
  return list?.length ? list.map((term) => compileTerm(term, pod)) : noTerms;
}

function weighted(
  list: DeepReadonly<{ weight: number; podAffinityTerm: PodAffinityTerm }[]> | undefined,
  pod: DeepReadonly<Pod>,
): readonly WeightedTerm[] {
  if (!list?.length) return noTerms;
  return list.map(({ weight, podAffinityTerm }) => ({ ...compileTerm(podAffinityTerm, pod), weight }));
}

function compileTerm(term: DeepReadonly<PodAffinityTerm>, pod: DeepReadonly<Pod>): AffinityTerm {
  // Without namespaces and selector a term means the Pod's own namespace; an empty selector means all.
  const isOwn = !term.namespaces?.length && !term.namespaceSelector;
  const namespaces = isOwn ? [pod.metadata.namespace] : (term.namespaces ?? []);
  const labelSelector = withLabelKeys(term, pod.metadata.labels ?? {});
  return {
    key: JSON.stringify([term.topologyKey, namespaces, term.namespaceSelector ?? null, labelSelector ?? null]),
    namespaces: new Set(namespaces),
    namespaceSelector: term.namespaceSelector && selectorOf(term.namespaceSelector),
    selector: selectorOf(labelSelector),
    topologyKey: term.topologyKey,
    label:
      namespaces.length === 1 && !term.namespaceSelector ? requiredLabel(namespaces[0]!, labelSelector) : undefined,
  };
}

/** A label that every selected Pod carries. */
function requiredLabel(namespace: string, selector: DeepReadonly<LabelSelector> | undefined): string | undefined {
  for (const name in selector?.matchLabels) return labelKey(namespace, name, selector.matchLabels[name]!);
  for (const { key, operator, values } of selector?.matchExpressions ?? []) {
    if (operator === "In" && values?.length === 1) return labelKey(namespace, key, values[0]!);
  }
  return undefined;
}

/** matchLabelKeys and mismatchLabelKeys compare with the Pod's own labels. */
export function withLabelKeys(
  term: DeepReadonly<{ labelSelector?: LabelSelector; matchLabelKeys?: string[]; mismatchLabelKeys?: string[] }>,
  labels: Readonly<Record<string, string>>,
): DeepReadonly<LabelSelector> | undefined {
  const { labelSelector, matchLabelKeys = [], mismatchLabelKeys = [] } = term;
  if (!labelSelector || (matchLabelKeys.length === 0 && mismatchLabelKeys.length === 0)) return labelSelector;
  const expression = (operator: string) => (key: string) => ({ key, operator, values: [labels[key]!] });
  const isPresent = (key: string) => labels[key] !== undefined;
  return {
    ...labelSelector,
    matchExpressions: [
      ...(labelSelector.matchExpressions ?? []),
      ...matchLabelKeys.filter(isPresent).map(expression("In")),
      ...mismatchLabelKeys.filter(isPresent).map(expression("NotIn")),
    ],
  };
}

/** Whether a term that some Pod carries speaks of `pod`. */
export function termMatches(
  term: AffinityTerm,
  pod: PodInfo,
  namespaceLabels: (namespace: string) => Readonly<Record<string, string>> | undefined,
): boolean {
  const isInNamespace =
    term.namespaces.has(pod.namespace) ||
    term.namespaceSelector?.matches(namespaceLabels(pod.namespace) ?? {}) === true;
  return isInNamespace && term.selector.matches(pod.labels);
}
