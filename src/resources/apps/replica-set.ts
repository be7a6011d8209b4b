/** ReplicaSets: as many pods alive as asked for. */
import type { ReplicaSet } from "../../api/apps/v1.ts";
import { type FieldError, invalid, spec as specPath, status as statusPath } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { formatLabelSelector } from "../../apimachinery/selectors.ts";
import { defaultPodTemplate } from "../core/pod-spec/template.ts";
import { age, containerImages, containerNames, integer, name, text, wide } from "../printing/columns.ts";
import { served } from "../served.ts";
import { nonNegative } from "../validation/rules.ts";
import {
  atMostCount,
  bumpGenerationOnSpecChange,
  firstGeneration,
  matcherOrUndefined,
  namingWorkloadWarnings,
  nonNegativeCounts,
  selectorPath,
  templateMatchesSelector,
  templatePath,
  templateWarnings,
  unchangedSelector,
  validLongRunningTemplate,
  validWorkloadSelector,
} from "./workload.ts";

export const replicaSets = defineResource<ReplicaSet>({
  ...served("apps/v1", "replicasets"),
  metadataLooks: { update: ["whole", "change"] },
  scale: {
    specReplicasPath: "spec.replicas",
    statusReplicasPath: "status.replicas",
    selectorPath: "spec.selector",
  },
  defaults({ spec }) {
    spec.replicas ??= 1;
    defaultPodTemplate(spec.template);
  },
  beforeCreate: firstGeneration<ReplicaSet>({ replicas: 0 }),
  beforeUpdate: bumpGenerationOnSpecChange,
  validate(next, previous) {
    const errors = validReplicaSet(next);
    if (!previous) return errors;
    // Upstream looks at the new spec as such and once more within the change.
    return [...errors, ...errors, ...unchangedSelector(next.spec.selector, previous.spec.selector)];
  },
  validateStatus: ({ status }) => [
    ...nonNegativeCounts(
      status,
      [
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
        "terminatingReplicas",
      ],
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
  columns: [
    name,
    integer("Desired", ({ spec }) => spec.replicas),
    integer("Current", ({ status }) => status?.replicas),
    integer("Ready", ({ status }) => status?.readyReplicas),
    age,
    containerNames(({ spec }) => spec.template?.spec?.containers),
    containerImages(({ spec }) => spec.template?.spec?.containers),
    wide(text("Selector", ({ spec }) => formatLabelSelector(spec.selector))),
  ],
});

function validReplicaSet({ spec }: ReplicaSet): FieldError[] {
  const errors = [
    ...nonNegative(spec.replicas, specPath.child("replicas")),
    ...nonNegative(spec.minReadySeconds, specPath.child("minReadySeconds")),
    // Upstream's own words, Deployment or not.
    ...validWorkloadSelector(spec.selector, "deployment"),
  ];
  const matcher = matcherOrUndefined(spec.selector);
  if (!matcher) return [...errors, invalid(selectorPath, spec.selector, "invalid label selector")];
  if (spec.template) errors.push(...templateMatchesSelector(matcher, spec.template, templatePath));
  return [...errors, ...validLongRunningTemplate(spec.template, templatePath, "ReplicaSet")];
}
