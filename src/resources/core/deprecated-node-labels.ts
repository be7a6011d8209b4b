/** Labels of nodes that have other names now: who selects by an old one is told so. */
import type { NodeSelectorTerm } from "../../api/core/v1.ts";
import type { LabelSelector } from "../../api/meta/v1.ts";
import type { FieldPath } from "../../apimachinery/field-error.ts";
import { labelValueProblems } from "../../apimachinery/name-validation.ts";

const renamed = (since: string, name: string) => `deprecated since ${since}; use "${name}" instead`;

/** What is said of each label, after its name or its field. */
export const deprecatedNodeLabels: ReadonlyMap<string, string> = new Map([
  ["beta.kubernetes.io/arch", renamed("v1.14", "kubernetes.io/arch")],
  ["beta.kubernetes.io/os", renamed("v1.14", "kubernetes.io/os")],
  ["failure-domain.beta.kubernetes.io/region", renamed("v1.17", "topology.kubernetes.io/region")],
  ["failure-domain.beta.kubernetes.io/zone", renamed("v1.17", "topology.kubernetes.io/zone")],
  ["beta.kubernetes.io/instance-type", renamed("v1.17", "node.kubernetes.io/instance-type")],
  ["app.kubernetes.io/created-by", "deprecated since v1.9"],
  ["scheduler.alpha.kubernetes.io/preferAvoidPods", "deprecated since v1.22; use Taints and Tolerations instead"],
  ["node-role.kubernetes.io/master", 'use "node-role.kubernetes.io/control-plane" instead'],
]);

/** Of a map of labels that nodes must have; `pathOf` says what the warning names. */
export function nodeLabelWarnings(
  labels: Readonly<Record<string, string>> | undefined,
  pathOf: (label: string) => FieldPath,
): string[] {
  return Object.keys(labels ?? {})
    .sort()
    .flatMap((label) => {
      const text = deprecatedNodeLabels.get(label);
      return text ? [`${pathOf(label)}: ${text}`] : [];
    });
}

/** `checksValues`: values that no label can have are not refused where the term is only a preference, but spoken of. */
export function nodeTermWarnings(term: NodeSelectorTerm | undefined, path: FieldPath, checksValues: boolean): string[] {
  return (term?.matchExpressions ?? []).flatMap(({ key, values }, index) => {
    const at = path.child("matchExpressions").index(index);
    return [
      ...keyWarnings(key, at.child("key")),
      ...(checksValues ? (values ?? []) : []).flatMap((value, valueIndex) =>
        labelValueProblems(value).map(
          (problem) => `${at.child("values").index(valueIndex)}: ${value} is invalid, ${problem}`,
        ),
      ),
    ];
  });
}

/** Of a selector of nodes that is written as one of objects. */
export function nodeSelectorWarnings(selector: LabelSelector | undefined, path: FieldPath): string[] {
  return [
    ...(selector?.matchExpressions ?? []).flatMap(({ key }, index) =>
      keyWarnings(key, path.child("matchExpressions").index(index).child("key")),
    ),
    ...nodeLabelWarnings(selector?.matchLabels, (label) => path.child("matchLabels").child(label)),
  ];
}

/** Of a label that a field names. */
export function keyWarnings(label: string, path: FieldPath): string[] {
  const text = deprecatedNodeLabels.get(label);
  return text ? [`${path}: ${label} is ${text}`] : [];
}
