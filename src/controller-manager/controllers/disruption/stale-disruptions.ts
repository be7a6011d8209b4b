/** Takes back the announcement that a Pod is to be disrupted when it is still there two minutes later. */
import type { Pod } from "../../../api/core/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";
import { Pods } from "../../../api/resources.ts";
import { isNotFound } from "../../../apimachinery/status-error.ts";
import { rfc3339 } from "../../../base/clock.ts";
import { refOf } from "../../../client/client.ts";
import { defineController, statusOf } from "../../../controller-runtime/controller.ts";
import { isPodActive, podCondition } from "../../pod-facts.ts";

const staleAfterMs = 120_000;

/** Goes by the name of the controller that it is a part of, and is turned on and off with it. */
export const staleDisruptionController = defineController<Pod>({
  name: "disruption-controller",
  eventSource: "controllermanager",
  reconciles: Pods,
  when: ({ type, object }) => type !== "DELETED" && staleAtMs(object) !== undefined,
  writes: [statusOf(Pods)],
  async reconcile({ key, cache, api, clock }) {
    const pod = cache.get(Pods, key);
    const dueMs = pod && staleAtMs(pod);
    if (dueMs === undefined) return;
    const nowMs = clock.now();
    if (nowMs < dueMs) return { afterMs: dueMs - nowMs };
    const condition = { type: "DisruptionTarget", status: "False", reason: null, message: null };
    const body = {
      metadata: { uid: pod!.metadata.uid },
      status: { conditions: [{ ...condition, lastTransitionTime: rfc3339(nowMs) }] },
    };
    try {
      await api.patch(Pods, refOf(pod!), { type: "strategic", body }, { subresource: "status" });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  },
});

/** When what was announced counts as called off; undefined when nothing is announced, or it is under way. */
export function staleAtMs(pod: DeepReadonly<Pod>): number | undefined {
  const condition = podCondition(pod, "DisruptionTarget");
  if (condition?.status !== "True" || !isPodActive(pod)) return undefined;
  return Date.parse(condition.lastTransitionTime ?? pod.metadata.creationTimestamp) + staleAfterMs;
}
