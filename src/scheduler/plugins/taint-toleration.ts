/** Keeps Pods away from taints that they do not tolerate, and prefers Nodes with fewer PreferNoSchedule taints. */
import type { Taint } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { tolerates } from "../../controller-runtime/node-matching.ts";
import { normalizeByMaximum, type Refusal, refusal, type SchedulerPlugin } from "../framework.ts";

/** One Refusal per taint, so that filtering allocates nothing. */
const refusals = new Map<string, Refusal>();

function untolerated(taint: DeepReadonly<Taint>): Refusal {
  const text = `{${taint.key}: ${taint.value ?? ""}}`;
  let found = refusals.get(text);
  if (!found) {
    if (refusals.size > 1000) refusals.clear();
    found = refusal(`node(s) had untolerated taint ${text}`, true);
    refusals.set(text, found);
  }
  return found;
}

export const taintToleration: SchedulerPlugin = {
  name: "TaintToleration",
  weight: 3,
  wakesOn: ["NodeAdded", "NodeTaintsChanged"],
  filter({ pod }) {
    const tolerations = pod.spec.tolerations ?? [];
    return (node) => {
      if (node.taints.length === 0) return undefined;
      const taint = node.taints.find(
        (candidate) =>
          (candidate.effect === "NoSchedule" || candidate.effect === "NoExecute") &&
          !tolerations.some((toleration) => tolerates(toleration, candidate)),
      );
      return taint && untolerated(taint);
    };
  },
  score({ pod }, _cluster, nodes) {
    const isAvoided = (taint: DeepReadonly<Taint>) => taint.effect === "PreferNoSchedule";
    if (!nodes.some((node) => node.taints.some(isAvoided))) return undefined;
    const tolerations = (pod.spec.tolerations ?? []).filter(({ effect }) => !effect || effect === "PreferNoSchedule");
    return {
      score: (node) =>
        node.taints.filter((taint) => isAvoided(taint) && !tolerations.some((t) => tolerates(t, taint))).length,
      normalize: (scores) => normalizeByMaximum(scores, true),
    };
  },
};
