/** All of a pod's containers with their paths, in the order in which upstream visits them. */
import type { Container, PodSpec } from "../../../api/core/v1.ts";
import type { FieldError, FieldPath } from "../../../apimachinery/field-error.ts";

const lists = ["initContainers", "containers", "ephemeralContainers"] as const;

/** What the rule says of each container, one after the other. Ephemeral containers are seen as the containers that they share their fields with. */
export function eachContainer<T = FieldError>(
  spec: PodSpec,
  path: FieldPath,
  rule: (container: Container, path: FieldPath) => readonly T[],
): T[] {
  return lists.flatMap((list) =>
    ((spec[list] ?? []) as readonly Container[]).flatMap((container, index) =>
      rule(container, path.child(list).index(index)),
    ),
  );
}
