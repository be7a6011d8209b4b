/** All of a pod's containers with their paths, in the order in which upstream visits them. */
import type { Container, PodSpec } from "../../../api/core/v1.ts";
import type { FieldError, FieldPath } from "../../../apimachinery/field-error.ts";
import { each } from "../../validation/rules.ts";

const lists = ["initContainers", "containers", "ephemeralContainers"] as const;

/** Ephemeral containers are seen as the containers that they share their fields with. */
export function eachContainer(
  spec: PodSpec,
  path: FieldPath,
  rule: (container: Container, path: FieldPath) => FieldError[],
): FieldError[] {
  return lists.flatMap((list) => each(spec[list] as readonly Container[] | undefined, path.child(list), rule));
}
