/** Removes Pods that nobody will finish: bound to Nodes that are gone, or finished in too great a number. */
import type { Node, Pod } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Nodes, Pods } from "../../api/resources.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { rfc3339 } from "../../base/clock.ts";
import { type Client, refOf } from "../../client/client.ts";
import { keyOf, objectKey, type ReadCache } from "../../controller-runtime/cache.ts";
import { type ControllerDefinition, defineController, index, wake } from "../../controller-runtime/controller.ts";
import { isPodTerminal } from "../pod-facts.ts";
import { podsByNode } from "./node-lifecycle-controller.ts";

export interface PodGarbageCollectorOptions {
  /** More finished Pods than this are removed, oldest first. Default 12,500; 0 for no limit. */
  terminatedPodThreshold?: number;
}

/** A Node that is gone may only be re-created: its Pods are given this long. */
const quarantineMs = 40_000;

const terminatedPods = index<Pod>({
  resource: Pods,
  name: "terminated",
  values: (pod) => (isPodTerminal(pod) ? "true" : undefined),
});

export function podGarbageCollectorController(options: PodGarbageCollectorOptions = {}): ControllerDefinition {
  const threshold = options.terminatedPodThreshold ?? 12_500;
  const missingSinceMs = new Map<string, number>();
  return defineController<Pod>({
    name: "pod-garbage-collector-controller",
    reconciles: Pods,
    when: ({ type, object, previous }) =>
      type === "ADDED" ||
      (type === "MODIFIED" &&
        (object.spec.nodeName !== previous?.spec.nodeName ||
          object.metadata.deletionTimestamp !== previous?.metadata.deletionTimestamp ||
          object.status?.phase !== previous?.status?.phase)),
    wakesOn: [
      wake<Node>({
        resource: Nodes,
        when: ({ type, object, previous }) =>
          type !== "MODIFIED" || (isOutOfService(object) && (!previous || !isOutOfService(previous))),
        *keys(node, cache) {
          missingSinceMs.delete(node.metadata.name);
          for (const pod of cache.byIndex(Pods, podsByNode.name, node.metadata.name)) yield keyOf(pod);
        },
      }),
    ],
    indexes: [podsByNode, terminatedPods],
    writes: [Pods],
    async reconcile({ key, cache, api, clock }) {
      const pod = cache.get(Pods, key);
      if (!pod) return;
      const { nodeName } = pod.spec;
      if (!nodeName) {
        // Never scheduled: there is no kubelet to confirm the end.
        if (pod.metadata.deletionTimestamp) {
          await markFailed(api, pod);
          await forceDelete(api, pod);
        }
      } else if (!cache.get(Nodes, objectKey(nodeName))) {
        const since = missingSinceMs.get(nodeName) ?? clock.now();
        missingSinceMs.set(nodeName, since);
        const afterMs = since + quarantineMs - clock.now();
        if (afterMs > 0) return { afterMs };
        if (await nodeExists(api, nodeName)) return { afterMs: quarantineMs };
        await markOrphaned(api, pod, clock.now());
        await forceDelete(api, pod);
        return;
      } else if (pod.metadata.deletionTimestamp && isOutOfService(cache.get(Nodes, objectKey(nodeName))!)) {
        // Its kubelet will never confirm the end: somebody has looked at the machine, and said so.
        await markFailed(api, pod);
        await forceDelete(api, pod);
        return;
      }
      if (threshold > 0 && isPodTerminal(pod)) await trim(api, cache, threshold);
    },
  });
}

/** Not ready, and tainted by an administrator as shut down for good. */
function isOutOfService({ spec, status }: DeepReadonly<Node>): boolean {
  const isReady = status?.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True");
  return !isReady && spec?.taints?.some(({ key }) => key === "node.kubernetes.io/out-of-service") === true;
}

async function nodeExists(api: Client, name: string): Promise<boolean> {
  try {
    await api.get(Nodes, { name });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

async function markOrphaned(api: Client, pod: DeepReadonly<Pod>, nowMs: number): Promise<void> {
  const condition = {
    type: "DisruptionTarget",
    status: "True",
    reason: "DeletionByPodGC",
    message: "PodGC: node no longer exists",
    lastTransitionTime: rfc3339(nowMs),
  };
  await markFailed(api, pod, [condition]);
}

async function markFailed(api: Client, pod: DeepReadonly<Pod>, conditions: readonly object[] = []): Promise<void> {
  if (isPodTerminal(pod)) return;
  const status = { phase: "Failed", ...(conditions.length > 0 ? { conditions } : {}) };
  try {
    const body = { metadata: { uid: pod.metadata.uid }, status };
    await api.patch(Pods, refOf(pod), { type: "strategic", body }, { subresource: "status" });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

async function forceDelete(api: Client, pod: DeepReadonly<Pod>): Promise<void> {
  try {
    await api.delete(Pods, refOf(pod), { gracePeriodSeconds: 0, preconditions: { uid: pod.metadata.uid } });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

async function trim(api: Client, cache: ReadCache, threshold: number): Promise<void> {
  const excess = cache.countByIndex(Pods, terminatedPods.name, "true") - threshold;
  if (excess <= 0) return;
  const pods = cache.byIndex(Pods, terminatedPods.name, "true").toSorted(evictedAndOldestFirst);
  for (const pod of pods.slice(0, excess)) await forceDelete(api, pod);
}

/** Evicted Pods go before all others: nobody asks for what they said. */
export function evictedAndOldestFirst(a: DeepReadonly<Pod>, b: DeepReadonly<Pod>): number {
  const wasEvicted = ({ status }: DeepReadonly<Pod>) => status?.phase === "Failed" && status.reason === "Evicted";
  if (wasEvicted(a) !== wasEvicted(b)) return wasEvicted(a) ? -1 : 1;
  const [before, after] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  if (before === after) return a.metadata.name < b.metadata.name ? -1 : 1;
  return before < after ? -1 : 1;
}
