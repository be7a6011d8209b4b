/** Deployments: rolling replacement of pods by way of ReplicaSets. */
import type { Deployment } from "../../api/apps/v1.ts";
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
import { formatLabelSelector } from "../../apimachinery/selectors.ts";
import { defaultPodTemplate } from "../core/pod-spec/template.ts";
import { age, containerImages, containerNames, name, text, wide } from "../printing/columns.ts";
import { served } from "../served.ts";
import { atMostHundredPercent, numberPart, validIntOrPercent } from "../validation/int-or-percent.ts";
import { nonNegative } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import {
  atMostCount,
  firstGeneration,
  matcherOrUndefined,
  namingWorkloadWarnings,
  nonNegativeCounts,
  notDecremented,
  selectorPath,
  templateMatchesSelector,
  templatePath,
  templateWarnings,
  unchangedSelector,
  validLongRunningTemplate,
  validWorkloadSelector,
} from "./workload.ts";

type Strategy = NonNullable<Deployment["spec"]["strategy"]>;

export const deployments = defineResource<Deployment>({
  ...served("apps/v1", "deployments"),
  statusKeeps: "labels",
  scale: {
    specReplicasPath: "spec.replicas",
    statusReplicasPath: "status.replicas",
    selectorPath: "spec.selector",
  },
  defaults({ spec }) {
    spec.replicas ??= 1;
    spec.strategy ??= {};
    spec.strategy.type ||= "RollingUpdate";
    if (spec.strategy.type === "RollingUpdate") {
      spec.strategy.rollingUpdate ??= {};
      spec.strategy.rollingUpdate.maxUnavailable ??= "25%";
      spec.strategy.rollingUpdate.maxSurge ??= "25%";
    }
    spec.revisionHistoryLimit ??= 10;
    spec.progressDeadlineSeconds ??= 600;
    defaultPodTemplate(spec.template);
  },
  beforeCreate: firstGeneration<Deployment>({}),
  beforeUpdate(next, previous) {
    // Annotations count too: they are copied to the ReplicaSets, so the controller must see the change.
    const changed =
      !semanticallyEqual(next.spec, previous.spec) ||
      !semanticallyEqual(asked(next.metadata.annotations), asked(previous.metadata.annotations));
    if (changed) next.metadata.generation = (previous.metadata.generation ?? 0) + 1;
  },
  validate: (next, previous) => [
    ...validDeployment(next),
    ...(previous ? unchangedSelector(next.spec.selector, previous.spec.selector) : []),
  ],
  validateStatus: ({ status }, previous) => [
    ...nonNegativeCounts(
      status,
      [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
      ],
      statusPath,
    ),
    ...atMostCount(status.updatedReplicas, status.replicas, statusPath.child("updatedReplicas"), "status.replicas"),
    ...atMostCount(status.readyReplicas, status.replicas, statusPath.child("readyReplicas"), "status.replicas"),
    ...atMostCount(status.availableReplicas, status.replicas, statusPath.child("availableReplicas"), "status.replicas"),
    ...atMostCount(
      status.availableReplicas,
      status.readyReplicas,
      statusPath.child("availableReplicas"),
      "readyReplicas",
    ),
    ...notDecremented(status.collisionCount, previous.status?.collisionCount),
  ],
  warnings: (next, previous) =>
    namingWorkloadWarnings(next, previous, () => templateWarnings(next.spec.template, templatePath)),
  columns: [
    name,
    text("Ready", ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`),
    text("Up-to-date", ({ status }) => status?.updatedReplicas ?? 0),
    text("Available", ({ status }) => status?.availableReplicas ?? 0),
    age,
    containerNames(({ spec }) => spec.template.spec?.containers),
    containerImages(({ spec }) => spec.template.spec?.containers),
    wide(text("Selector", ({ spec }) => formatLabelSelector(spec.selector))),
  ],
});

/** Without what the controller itself notes. */
function asked(annotations: Record<string, string> | undefined): Record<string, string> {
  const { "deployment.kubernetes.io/revision": _, ...rest } = annotations ?? {};
  return rest;
}

function validDeployment({ spec }: Deployment): FieldError[] {
  const errors = nonNegative(spec.replicas, specPath.child("replicas"));
  errors.push(...validWorkloadSelector(spec.selector, "deployment"));
  const matcher = matcherOrUndefined(spec.selector);
  if (!matcher) errors.push(invalid(selectorPath, spec.selector, "invalid label selector"));
  else {
    errors.push(...templateMatchesSelector(matcher, spec.template, templatePath));
    errors.push(...validLongRunningTemplate(spec.template, templatePath, "ReplicaSet"));
  }
  errors.push(...validStrategy(spec));
  errors.push(...nonNegative(spec.minReadySeconds, specPath.child("minReadySeconds")));
  errors.push(...nonNegative(spec.revisionHistoryLimit, specPath.child("revisionHistoryLimit")));
  const deadlinePath = specPath.child("progressDeadlineSeconds");
  if (spec.progressDeadlineSeconds !== undefined) {
    errors.push(...nonNegative(spec.progressDeadlineSeconds, deadlinePath));
    if (spec.progressDeadlineSeconds <= (spec.minReadySeconds ?? 0)) {
      errors.push(invalid(deadlinePath, spec.progressDeadlineSeconds, "must be greater than minReadySeconds"));
    }
  }
  return errors;
}

function shownRolling({ maxUnavailable, maxSurge }: NonNullable<Strategy["rollingUpdate"]>): object {
  return { MaxUnavailable: maxUnavailable ?? 0, MaxSurge: maxSurge ?? 0 };
}

function validStrategy({ strategy }: Deployment["spec"]): FieldError[] {
  const path = specPath.child("strategy");
  const rollingPath = path.child("rollingUpdate");
  const rolling = strategy?.rollingUpdate;
  if (strategy?.type === "Recreate") {
    return rolling ? [forbidden(rollingPath, "may not be specified when strategy `type` is 'Recreate'")] : [];
  }
  if (strategy?.type !== "RollingUpdate") {
    const shown = { Type: strategy?.type ?? "", RollingUpdate: rolling ? shownRolling(rolling) : null };
    return [notSupported(path, shown, ["Recreate", "RollingUpdate"])];
  }
  if (!rolling) return [required(rollingPath, "this should be defaulted and never be nil")];
  const unavailablePath = rollingPath.child("maxUnavailable");
  const errors = [
    ...validIntOrPercent(rolling.maxUnavailable, unavailablePath),
    ...validIntOrPercent(rolling.maxSurge, rollingPath.child("maxSurge")),
  ];
  if (numberPart(rolling.maxUnavailable) === 0 && numberPart(rolling.maxSurge) === 0) {
    errors.push(invalid(unavailablePath, rolling.maxUnavailable, "may not be 0 when `maxSurge` is 0"));
  }
  return [...errors, ...atMostHundredPercent(rolling.maxUnavailable, unavailablePath)];
}
