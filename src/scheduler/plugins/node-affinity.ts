/** nodeSelector, and required and preferred node affinity. */
import type { NodeSelector, NodeSelectorRequirement, NodeSelectorTerm } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { matchesMap } from "../../controller-runtime/compiled-selector.ts";
import { normalizeByMaximum, refusal, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import type { PodInfo } from "../pod-info.ts";

const mismatch = refusal("node(s) didn't match Pod's node affinity/selector", true);

export const nodeAffinity: SchedulerPlugin = {
  name: "NodeAffinity",
  weight: 2,
  wakesOn: ["NodeAdded", "NodeLabelsChanged"],
  filter(pod) {
    const matches = requiredNodes(pod);
    return matches && ((node) => (matches(node) ? undefined : mismatch));
  },
  score({ pod }) {
    const preferred = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution;
    if (!preferred?.length) return undefined;
    return {
      score: (node) =>
        preferred.reduce(
          (sum, { weight, preference }) => sum + (isNonEmpty(preference) && matchesTerm(preference, node) ? weight : 0),
          0,
        ),
      normalize: normalizeByMaximum,
    };
  },
};

/** Whether a Node meets the Pod's nodeSelector and required affinity; undefined when it has none. */
export function requiredNodes({ pod }: PodInfo): ((node: NodeInfo) => boolean) | undefined {
  const { nodeSelector, affinity } = pod.spec;
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (!nodeSelector && !required) return undefined;
  return (node) =>
    (!nodeSelector || matchesMap(nodeSelector, node.labels)) && (!required || matchesNodeSelector(required, node));
}

/** Terms are alternatives; one without any requirement matches nothing. */
export function matchesNodeSelector(selector: DeepReadonly<NodeSelector>, node: NodeInfo): boolean {
  return selector.nodeSelectorTerms.some((term) => isNonEmpty(term) && matchesTerm(term, node));
}

function isNonEmpty(term: DeepReadonly<NodeSelectorTerm>): boolean {
  return (term.matchExpressions?.length ?? 0) + (term.matchFields?.length ?? 0) > 0;
}

function matchesTerm(term: DeepReadonly<NodeSelectorTerm>, node: NodeInfo): boolean {
  return (
    (term.matchExpressions ?? []).every((requirement) => meets(requirement, node.labels[requirement.key])) &&
    (term.matchFields ?? []).every((requirement) =>
      meets(requirement, requirement.key === "metadata.name" ? node.name : undefined),
    )
  );
}

function meets({ operator, values = [] }: DeepReadonly<NodeSelectorRequirement>, value: string | undefined): boolean {
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
    case "Lt": {
      const [a, b] = [Number(value), Number(values[0])];
      if (value === undefined || !Number.isInteger(a) || !Number.isInteger(b)) return false;
      return operator === "Gt" ? a > b : a < b;
    }
    default:
      return false;
  }
}
