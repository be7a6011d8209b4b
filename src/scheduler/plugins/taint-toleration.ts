/** Keeps Pods away from taints that they do not tolerate, and prefers Nodes with fewer PreferNoSchedule taints. */
import type { Taint } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { tolerates } from "../../controller-runtime/node-matching.ts";
import { normalizeByMaximum, refusal, type SchedulerPlugin } from "../framework.ts";

/** Which taint is not said: a message that named each would be as long as the cluster is varied. */
const untolerated = refusal("node(s) had untolerated taint(s)", true);

export const taintToleration: SchedulerPlugin = {
  name: "TaintToleration",
  isNodeLocal: true,
  weight: 3,
  wakesOn: ["NodeAdded", "NodeTaintsChanged"],
  filter({ pod }) {
    const tolerations = pod.spec.tolerations ?? [];
    return (node) => {
      if (node.taints.length === 0) return undefined;
      const isKeptAway = node.taints.some(
        (candidate) =>
          (candidate.effect === "NoSchedule" || candidate.effect === "NoExecute") &&
          !tolerations.some((toleration) => tolerates(toleration, candidate)),
      );
      return isKeptAway ? untolerated : undefined;
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
