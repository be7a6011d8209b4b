/** ReplicationControllers: what ReplicaSets were before selectors could have expressions. */
import type { ReplicationController } from "../../api/core/v1.ts";
import {
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  required,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { labelMapMatcher } from "../../apimachinery/selectors.ts";
import {
  atMostCount,
  bumpGenerationOnSpecChange,
  firstGeneration,
  namingWorkloadWarnings,
  nonNegativeCounts,
  templateWarnings,
} from "../apps/workload.ts";
import { age, containerImages, containerNames, integer, labelsText, name, text, wide } from "../printing/columns.ts";
import { served } from "../served.ts";
import { nonNegative } from "../validation/rules.ts";
import { defaultPodTemplate } from "./pod-spec/template.ts";
import { validatePodTemplate } from "./pod-spec/validate-pod-spec.ts";

const templatePath = specPath.child("template");

export const replicationControllers = defineResource<ReplicationController>({
  ...served("v1", "replicationcontrollers"),
  metadataLooks: { update: ["whole", "change"] },
  defaultPropagation: "Orphan",
  scale: { specReplicasPath: "spec.replicas", statusReplicasPath: "status.replicas", selectorPath: "spec.selector" },
  defaults({ metadata, spec }) {
    const labels = spec.template?.metadata?.labels;
    if (labels && Object.keys(labels).length > 0) {
      if (!spec.selector || Object.keys(spec.selector).length === 0) spec.selector = { ...labels };
      if (!metadata.labels || Object.keys(metadata.labels).length === 0) metadata.labels = { ...labels };
    }
    spec.replicas ??= 1;
    defaultPodTemplate(spec.template);
  },
  beforeCreate: firstGeneration<ReplicationController>({ replicas: 0 }),
  beforeUpdate: bumpGenerationOnSpecChange,
  validate(next, previous) {
    const errors = validReplicationController(next);
    return previous ? [...errors, ...errors] : errors;
  },
  validateStatus: ({ status }) => [
    ...nonNegativeCounts(
      status,
      ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"],
      statusPath,
    ),
    ...(["fullyLabeledReplicas", "readyReplicas", "availableReplicas"] as const).flatMap((field) =>
      atMostCount(status[field], status.replicas, statusPath.child(field), "status.replicas"),
    ),
    ...atMostCount(
      status.availableReplicas,
      status.readyReplicas,
      statusPath.child("availableReplicas"),
      "readyReplicas",
    ),
  ],
  warnings: (next, previous) =>
    namingWorkloadWarnings(next, previous, () => templateWarnings(next.spec.template, templatePath)),
  fieldSelectors: { "status.replicas": ({ status }) => String(status?.replicas ?? 0) },
  columns: [
    name,
    integer("Desired", ({ spec }) => spec.replicas),
    integer("Current", ({ status }) => status?.replicas),
    integer("Ready", ({ status }) => status?.readyReplicas),
    age,
    containerNames(({ spec }) => spec.template?.spec?.containers),
    containerImages(({ spec }) => spec.template?.spec?.containers),
    wide(text("Selector", ({ spec }) => labelsText(spec.selector))),
  ],
});

function validReplicationController({ spec }: ReplicationController): FieldError[] {
  const errors = nonNegative(spec.minReadySeconds, specPath.child("minReadySeconds"));
  const selects = Object.keys(spec.selector ?? {}).length > 0;
  if (!selects) errors.push(required(specPath.child("selector")));
  errors.push(...nonNegative(spec.replicas, specPath.child("replicas")));
  const { template } = spec;
  if (!template) return [...errors, required(templatePath)];
  if (selects && !labelMapMatcher(spec.selector).matches(template.metadata?.labels)) {
    const labels = template.metadata?.labels ?? null;
    errors.push(
      invalid(templatePath.child("metadata", "labels"), labels, "`selector` does not match template `labels`"),
    );
  }
  errors.push(...validatePodTemplate(template, templatePath));
  const policy = template.spec?.restartPolicy ?? "";
  if (policy !== "Always") errors.push(notSupported(templatePath.child("spec", "restartPolicy"), policy, ["Always"]));
  if (template.spec?.activeDeadlineSeconds !== undefined) {
    const detail = "activeDeadlineSeconds in ReplicationController is not Supported";
    errors.push(forbidden(templatePath.child("spec", "activeDeadlineSeconds"), detail));
  }
  return errors;
}
