/** What controllers ask of a Pod: is it ready, available, still at work. */
import type { Pod, PodCondition } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { type ObjectKey, objectKey } from "../controller-runtime/cache.ts";

type ReadPod = DeepReadonly<Pod>;

export function podCondition(pod: ReadPod, type: string): DeepReadonly<PodCondition> | undefined {
  return pod.status?.conditions?.find((condition) => condition.type === type);
}

export function isPodReady(pod: ReadPod): boolean {
  return podCondition(pod, "Ready")?.status === "True";
}

/** When the Pod became ready, in epoch milliseconds. Undefined when it is not. */
export function readySinceMs(pod: ReadPod): number | undefined {
  const ready = podCondition(pod, "Ready");
  if (ready?.status !== "True") return undefined;
  return ready.lastTransitionTime ? Date.parse(ready.lastTransitionTime) : 0;
}

/** How long until a ready Pod counts as available; 0 when it does; undefined when it is not ready. */
export function availableInMs(pod: ReadPod, minReadySeconds: number, nowMs: number): number | undefined {
  const since = readySinceMs(pod);
  if (since === undefined) return undefined;
  if (minReadySeconds === 0) return 0;
  return Math.max(0, since + minReadySeconds * 1000 - nowMs);
}

/**
 * When the next of the Pods counts as available: readiness wakes a controller, the passing of time does not. `nowMs` is the moment for
 * which the rest was decided; a later one would miss whoever became available in between.
 */
export function untilNextAvailable(
  pods: readonly ReadPod[],
  minReadySeconds: number,
  nowMs: number,
): { afterMs: number } | undefined {
  const waits = pods.map((pod) => availableInMs(pod, minReadySeconds, nowMs) ?? 0).filter((ms) => ms > 0);
  return waits.length > 0 ? { afterMs: Math.min(...waits) } : undefined;
}

export function isPodTerminal(pod: ReadPod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

/** Neither finished nor being deleted. */
export function isPodActive(pod: ReadPod): boolean {
  return !isPodTerminal(pod) && pod.metadata.deletionTimestamp === undefined;
}

/** `namespace/name` of every claim that the Pod mounts, those of its ephemeral volumes among them. */
export function* claimKeysOf({ metadata, spec }: ReadPod): Iterable<ObjectKey> {
  for (const { name, persistentVolumeClaim, ephemeral } of spec.volumes ?? []) {
    if (persistentVolumeClaim) yield objectKey(persistentVolumeClaim.claimName, metadata.namespace);
    else if (ephemeral) yield objectKey(`${metadata.name}-${name}`, metadata.namespace);
  }
}
