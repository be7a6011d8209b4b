/** nodeSelector, and required and preferred node affinity. */
import type { NodeAffinity } from "../../api/core/v1.ts";
import { matchesTerm, requiredNodes } from "../../controller-runtime/node-matching.ts";
import { normalizeByMaximum, refusal, type SchedulerPlugin } from "../framework.ts";

const mismatch = refusal("node(s) didn't match Pod's node affinity/selector", true);

const addedMismatch = refusal("node(s) didn't match scheduler-enforced node affinity", true);

/** Upstream's NodeAffinityArgs. */
export interface NodeAffinityArgs {
  /** Holds for every Pod of the profile, beside its own. */
  addedAffinity?: NodeAffinity;
}

export const nodeAffinity = ({ addedAffinity }: NodeAffinityArgs = {}): SchedulerPlugin => ({
  name: "NodeAffinity",
  isNodeLocal: true,
  weight: 2,
  wakesOn: ["NodeAdded", "NodeLabelsChanged"],
  filter({ pod }) {
    const added = addedAffinity && requiredNodes({ affinity: { nodeAffinity: addedAffinity } });
    const matches = requiredNodes(pod.spec);
    if (!added && !matches) return undefined;
    return (node) => {
      if (added && !added(node)) return addedMismatch;
      return !matches || matches(node) ? undefined : mismatch;
    };
  },
  score({ pod }) {
    const preferred = [
      ...(addedAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []),
      ...(pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []),
    ];
    if (preferred.length === 0) return undefined;
    return {
      score: (node) =>
        preferred.reduce((sum, { weight, preference }) => sum + (matchesTerm(preference, node) ? weight : 0), 0),
      normalize: normalizeByMaximum,
    };
  },
});
