/** Which Nodes a Pod may run on by taints, selectors and node affinity: asked by the scheduler and by controllers that place Pods themselves. */
import type {
  NodeSelector,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  PodSpec,
  Taint,
  Toleration,
} from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { matchesMap } from "./compiled-selector.ts";

export interface NodeIdentity {
  name: string;
  labels: Readonly<Record<string, string>>;
}

export function tolerates(toleration: DeepReadonly<Toleration>, taint: DeepReadonly<Taint>): boolean {
  const { key = "", operator = "Equal", value = "", effect = "" } = toleration;
  if (effect !== "" && effect !== taint.effect) return false;
  if (key !== "" && key !== taint.key) return false;
  switch (operator) {
    case "":
    case "Equal":
      return value === (taint.value ?? "");
    case "Exists":
      return true;
    case "Gt":
      return isInteger(value) && isInteger(taint.value) && Number(taint.value) > Number(value);
    case "Lt":
      return isInteger(value) && isInteger(taint.value) && Number(taint.value) < Number(value);
    default:
      return false;
  }
}

function isInteger(text: string | undefined): boolean {
  return text !== undefined && /^-?[0-9]+$/.test(text);
}

/** nodeSelector and required node affinity as one question; undefined when the Pod has neither. */
export function requiredNodes({
  nodeSelector,
  affinity,
}: DeepReadonly<Pick<PodSpec, "nodeSelector" | "affinity">>): ((node: NodeIdentity) => boolean) | undefined {
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (!nodeSelector && !required) return undefined;
  return (node) =>
    (!nodeSelector || matchesMap(nodeSelector, node.labels)) && (!required || matchesNodeSelector(required, node));
}

/** Terms are alternatives; one without any requirement matches nothing. */
export function matchesNodeSelector(selector: DeepReadonly<NodeSelector>, node: NodeIdentity): boolean {
  return selector.nodeSelectorTerms.some((term) => matchesTerm(term, node));
}

export function matchesTerm(term: DeepReadonly<NodeSelectorTerm>, node: NodeIdentity): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  return (
    matchExpressions.length + matchFields.length > 0 &&
    matchExpressions.every((requirement) => meets(requirement, node.labels[requirement.key])) &&
    matchFields.every((requirement) => meets(requirement, requirement.key === "metadata.name" ? node.name : undefined))
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
