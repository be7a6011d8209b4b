/** Deletes Pods from Nodes with NoExecute taints that they do not tolerate, or no longer do. */
import type { Node, Pod, Taint, Toleration } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Nodes, Pods } from "../../api/resources.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { rfc3339 } from "../../base/clock.ts";
import { refOf } from "../../client/client.ts";
import { keyOf, objectKey } from "../../controller-runtime/cache.ts";
import { type ControllerDefinition, defineController, wake } from "../../controller-runtime/controller.ts";
import { tolerates } from "../../controller-runtime/node-matching.ts";
import { podsByNode } from "./node-lifecycle-controller.ts";

export function taintEvictionController(): ControllerDefinition {
  /** When a taint that carries no time was first seen, and who waits for it. */
  const firstSeenMs = new Map<string, number>();
  /** Uids of Pods that have been given a time to go. */
  const waiting = new Set<string>();
  return defineController<Pod>({
    name: "taint-eviction-controller",
    reconciles: Pods,
    when: ({ type, object, previous }) =>
      type === "ADDED" ||
      (type === "MODIFIED" &&
        (object.spec.nodeName !== previous?.spec.nodeName ||
          !semanticEqual(object.spec.tolerations, previous?.spec.tolerations))),
    wakesOn: [
      wake<Node>({
        resource: Nodes,
        when: ({ object, previous }) => !semanticEqual(noExecuteTaints(object), previous && noExecuteTaints(previous)),
        *keys(node, cache) {
          for (const pod of cache.byIndex(Pods, podsByNode.name, node.metadata.name)) yield keyOf(pod);
        },
      }),
    ],
    indexes: [podsByNode],
    writes: [Pods],
    async reconcile({ key, cache, api, clock, events }) {
      const pod = cache.get(Pods, key);
      if (!pod?.spec.nodeName || pod.metadata.deletionTimestamp) {
        if (pod) waiting.delete(pod.metadata.uid);
        return;
      }
      const { uid } = pod.metadata;
      const node = cache.get(Nodes, objectKey(pod.spec.nodeName));
      const taints = node ? noExecuteTaints(node) : [];
      const since = (taint: DeepReadonly<Taint>): number => {
        if (taint.timeAdded) return Date.parse(taint.timeAdded);
        const id = `${node?.metadata.uid} ${pod.metadata.uid} ${taint.key} ${taint.value ?? ""}`;
        const seen = firstSeenMs.get(id) ?? clock.now();
        firstSeenMs.set(id, seen);
        return seen;
      };
      const dueMs = evictionTime(taints, pod.spec.tolerations ?? [], since);
      if (dueMs === undefined) {
        if (!waiting.delete(uid)) return;
        events.event(pod, "Normal", "TaintManagerEviction", `Cancelling deletion of Pod ${key}`);
        return;
      }
      const afterMs = dueMs - clock.now();
      if (afterMs > 0) {
        waiting.add(uid);
        return { afterMs };
      }
      waiting.delete(uid);

      events.event(pod, "Normal", "TaintManagerEviction", `Marking for deletion Pod ${key}`);
      const condition = {
        type: "DisruptionTarget",
        status: "True",
        reason: "DeletionByTaintManager",
        message: "Taint manager: deleting due to NoExecute taint",
        lastTransitionTime: rfc3339(clock.now()),
      };
      try {
        await api.patch(
          Pods,
          refOf(pod),
          { type: "strategic", body: { metadata: { uid }, status: { conditions: [condition] } } },
          { subresource: "status" },
        );
        await api.delete(Pods, refOf(pod), { preconditions: { uid } });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
  });
}

function noExecuteTaints(node: DeepReadonly<Node>): readonly DeepReadonly<Taint>[] {
  return node.spec?.taints?.filter(({ effect }) => effect === "NoExecute") ?? [];
}

/** When a Pod must go, in epoch milliseconds; undefined when it may stay. */
export function evictionTime(
  taints: readonly DeepReadonly<Taint>[],
  tolerations: readonly DeepReadonly<Toleration>[],
  since: (taint: DeepReadonly<Taint>) => number,
): number | undefined {
  let due: number | undefined;
  for (const taint of taints) {
    // Of several tolerations that fit, the first holds.
    const tolerating = tolerations.find((toleration) => tolerates(toleration, taint));
    if (!tolerating) return 0;
    const { tolerationSeconds } = tolerating;
    if (tolerationSeconds === undefined) continue;
    const at = since(taint) + Math.max(0, Number(tolerationSeconds)) * 1000;
    due = due === undefined ? at : Math.min(due, at);
  }
  return due;
}
