/** Which Pods go first when there are too many (upstream's ActivePodsWithRanks). */
import type { Pod } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { readySinceMs } from "./pod-facts.ts";

export interface RankedPod {
  pod: DeepReadonly<Pod>;
  /** How many siblings run on the same node: crowded Pods go first. */
  rank: number;
}

const phaseOrder: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 };

/** Negative when `a` is to be deleted before `b`. */
export function compareForDeletion(a: RankedPod, b: RankedPod, nowMs: number): number {
  return (
    flag(a, b, ({ pod }) => !!pod.spec.nodeName) ||
    number(a, b, ({ pod }) => phaseOrder[pod.status?.phase ?? ""] ?? 0) ||
    flag(a, b, ({ pod }) => readySinceMs(pod) !== undefined) ||
    number(a, b, ({ pod }) => deletionCost(pod)) ||
    number(a, b, ({ rank }) => -rank) ||
    logarithmicAge(a, b, nowMs, ({ pod }) => readySinceMs(pod) ?? 0) ||
    number(a, b, ({ pod }) => -restarts(pod)) ||
    logarithmicAge(a, b, nowMs, ({ pod }) => Date.parse(pod.metadata.creationTimestamp)) ||
    (a.pod.metadata.uid < b.pod.metadata.uid ? -1 : 1)
  );
}

/** Sorted, the first to delete first. */
export function inDeletionOrder(pods: readonly RankedPod[], nowMs: number): DeepReadonly<Pod>[] {
  return pods.toSorted((a, b) => compareForDeletion(a, b, nowMs)).map(({ pod }) => pod);
}

/** The annotation `controller.kubernetes.io/pod-deletion-cost`; 0 when absent or malformed. */
function deletionCost(pod: DeepReadonly<Pod>): number {
  const text = pod.metadata.annotations?.["controller.kubernetes.io/pod-deletion-cost"];
  if (text === undefined || !/^-?(0|[1-9][0-9]*)$/.test(text)) return 0;
  const cost = Number(text);
  return Math.abs(cost) <= 2 ** 31 ? cost : 0;
}

function restarts(pod: DeepReadonly<Pod>): number {
  return Math.max(0, ...(pod.status?.containerStatuses ?? []).map((status) => status.restartCount));
}

function flag(a: RankedPod, b: RankedPod, has: (pod: RankedPod) => boolean): number {
  return Number(has(a)) - Number(has(b));
}

function number(a: RankedPod, b: RankedPod, value: (pod: RankedPod) => number): number {
  return value(a) - value(b);
}

/** The younger first; ages of the same order of magnitude count as equal, so that the choice is spread. */
function logarithmicAge(a: RankedPod, b: RankedPod, nowMs: number, since: (pod: RankedPod) => number): number {
  return magnitude(nowMs - since(a)) - magnitude(nowMs - since(b));
}

function magnitude(ageMs: number): number {
  return ageMs <= 0 ? -1 : Math.floor(Math.log2(ageMs * 1e6));
}
