/** How many replicas a resource metric asks for (upstream's replica calculator). Pure. */
import type { Pod } from "../../../api/core/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";
import { quantityMilliValue } from "../../../apimachinery/quantity.ts";
import { podCondition } from "../../pod-facts.ts";

type ReadPod = DeepReadonly<Pod>;

/** What one pod uses, in thousandths of the resource's unit. */
export interface PodMetric {
  milliValue: number;
  atMs: number;
  windowMs: number;
}

/** Either the share of what the pods request, in percent, or an amount per pod, in thousandths. */
export type ResourceTarget = { kind: "utilization"; percent: number } | { kind: "averageValue"; milliValue: number };

export interface ResourceQuestion {
  resource: string;
  /** Only this container's usage and requests. Absent: all containers. */
  container?: string;
  target: ResourceTarget;
  currentReplicas: number;
  pods: readonly ReadPod[];
  /** By pod name. */
  metrics: ReadonlyMap<string, PodMetric>;
  /** Ratios between 1 - down and 1 + up change nothing. */
  tolerance: { up: number; down: number };
  nowMs: number;
}

export interface ResourceAnswer {
  replicas: number;
  utilization?: number;
  averageMilliValue: number;
}

const cpuInitializationMs = 300_000;
const initialReadinessDelayMs = 30_000;

/** Throws an Error in upstream's words when the metrics do not answer the question. */
export function replicasForResource(question: ResourceQuestion): ResourceAnswer {
  const { pods, currentReplicas, target, tolerance, container, resource } = question;
  if (pods.length === 0) throw new Error("no pods returned by selector while calculating replica count");
  const groups = groupPods(question);
  const metrics = new Map(
    [...question.metrics].flatMap(([name, { milliValue }]) =>
      groups.ignored.has(name) || groups.unready.has(name) || !pods.some(({ metadata }) => metadata.name === name)
        ? []
        : [[name, milliValue] as const],
    ),
  );
  const requests = target.kind === "utilization" ? requestsOf(pods, resource, container) : new Map<string, number>();
  if (metrics.size === 0) throw new Error("did not receive metrics for targeted pods (pods might be unready)");

  const measured = ratioOf(metrics, requests, target);
  const answer = (replicas: number): ResourceAnswer => ({
    replicas,
    averageMilliValue: measured.averageMilliValue,
    ...(measured.utilization === undefined ? {} : { utilization: measured.utilization }),
  });
  const isTolerable = (ratio: number) => ratio >= 1 - tolerance.down && ratio <= 1 + tolerance.up;
  const countsUnready = groups.unready.size > 0 && measured.ratio > 1;
  if (!countsUnready && groups.missing.size === 0) {
    return answer(isTolerable(measured.ratio) ? currentReplicas : ceil(measured.ratio * groups.readyCount));
  }

  // Nothing is known of some pods: they count as what speaks against a change.
  for (const name of groups.missing) {
    if (measured.ratio > 1) metrics.set(name, 0);
    else if (target.kind === "averageValue") metrics.set(name, target.milliValue);
    else if (measured.ratio < 1) metrics.set(name, ((requests.get(name) ?? 0) * Math.max(100, target.percent)) / 100);
  }
  if (countsUnready) for (const name of groups.unready) metrics.set(name, 0);
  const { ratio } = ratioOf(metrics, requests, target);
  const isTurned = (measured.ratio < 1 && ratio > 1) || (measured.ratio > 1 && ratio < 1);
  if (isTolerable(ratio) || isTurned) return answer(currentReplicas);
  const replicas = ceil(ratio * metrics.size);
  const isBackwards = (ratio < 1 && replicas > currentReplicas) || (ratio > 1 && replicas < currentReplicas);
  return answer(isBackwards ? currentReplicas : replicas);
}

function groupPods({ pods, metrics, resource, nowMs }: ResourceQuestion) {
  const groups = { readyCount: 0, unready: new Set<string>(), missing: new Set<string>(), ignored: new Set<string>() };
  for (const pod of pods) {
    const { name, deletionTimestamp } = pod.metadata;
    const metric = metrics.get(name);
    if (deletionTimestamp || pod.status?.phase === "Failed") groups.ignored.add(name);
    else if (pod.status?.phase === "Pending") groups.unready.add(name);
    else if (!metric) groups.missing.add(name);
    else if (resource === "cpu" && isStarting(pod, metric, nowMs)) groups.unready.add(name);
    else groups.readyCount++;
  }
  return groups;
}

/** What a pod burns while it starts says nothing of its load. */
function isStarting(pod: ReadPod, metric: PodMetric, nowMs: number): boolean {
  const ready = podCondition(pod, "Ready");
  const { startTime } = pod.status ?? {};
  if (!ready || !startTime) return true;
  const startedAtMs = Date.parse(startTime);
  const changedAtMs = ready.lastTransitionTime ? Date.parse(ready.lastTransitionTime) : 0;
  if (startedAtMs + cpuInitializationMs > nowMs) {
    return ready.status === "False" || metric.atMs < changedAtMs + metric.windowMs;
  }
  return ready.status === "False" && startedAtMs + initialReadinessDelayMs > changedAtMs;
}

function requestsOf(pods: readonly ReadPod[], resource: string, only: string | undefined): Map<string, number> {
  const requests = new Map<string, number>();
  for (const { metadata, spec } of pods) {
    let sum = 0;
    const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
    for (const { name, resources } of [...spec.containers, ...sidecars]) {
      if (only !== undefined && name !== only) continue;
      const request = resources?.requests?.[resource];
      if (request === undefined) {
        throw new Error(`missing request for ${resource} in container ${name} of Pod ${metadata.name}`);
      }
      sum += quantityMilliValue(request);
    }
    requests.set(metadata.name, sum);
  }
  return requests;
}

function ratioOf(metrics: ReadonlyMap<string, number>, requests: ReadonlyMap<string, number>, target: ResourceTarget) {
  let used = 0;
  let requested = 0;
  for (const [name, value] of metrics) {
    used += value;
    requested += requests.get(name) ?? 0;
  }
  const averageMilliValue = Math.trunc(used / metrics.size);
  if (target.kind === "averageValue") return { ratio: averageMilliValue / target.milliValue, averageMilliValue };
  if (requested === 0) throw new Error("no metrics returned matched known pods");
  const utilization = Math.trunc((used * 100) / requested);
  return { ratio: utilization / target.percent, utilization, averageMilliValue };
}

/** Floating point must not make a replica out of nothing. */
function ceil(value: number): number {
  return Math.ceil(value - 1e-9);
}
