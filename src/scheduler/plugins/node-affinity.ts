/** nodeSelector, and required and preferred node affinity. */
import { matchesTerm, requiredNodes } from "../../controller-runtime/node-matching.ts";
import { normalizeByMaximum, refusal, type SchedulerPlugin } from "../framework.ts";

const mismatch = refusal("node(s) didn't match Pod's node affinity/selector", true);

export const nodeAffinity: SchedulerPlugin = {
  name: "NodeAffinity",
  weight: 2,
  wakesOn: ["NodeAdded", "NodeLabelsChanged"],
  filter({ pod }) {
    const matches = requiredNodes(pod.spec);
    return matches && ((node) => (matches(node) ? undefined : mismatch));
  },
  score({ pod }) {
    const preferred = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution;
    if (!preferred?.length) return undefined;
    return {
      score: (node) =>
        preferred.reduce((sum, { weight, preference }) => sum + (matchesTerm(preference, node) ? weight : 0), 0),
      normalize: normalizeByMaximum,
    };
  },
};
