/** StatefulSets: pods with names, an order and storage of their own. */
import type { StatefulSet } from "../../api/apps/v1.ts";
import {
  type FieldError,
  forbidden,
  invalid,
  required,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { claimSpecWarnings } from "../core/claim-warnings.ts";
import { validateClaimSpec } from "../core/persistent-volume-claim.ts";
import { defaultPodTemplate } from "../core/pod-spec/template.ts";
import { canonicalizeResourceList } from "../core/resource-list.ts";
import { age, containerImages, containerNames, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { atMostHundredPercent, numberPart, validIntOrPercent } from "../validation/int-or-percent.ts";
import { each, nonNegative, oneOf } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import {
  atMostCount,
  bumpGenerationOnSpecChange,
  firstGeneration,
  isNewGeneration,
  matcherOrUndefined,
  nonNegativeCounts,
  notDecremented,
  runsOn,
  selectorPath,
  templateMatchesSelector,
  templatePath,
  templateWarnings,
  validLongRunningTemplate,
  validWorkloadSelector,
} from "./workload.ts";

export const statefulSets = defineResource<StatefulSet>({
  ...served("apps/v1", "statefulsets"),
  scale: { specReplicasPath: "spec.replicas", statusReplicasPath: "status.replicas", selectorPath: "spec.selector" },
  validateName: "dns-label",
  defaults({ spec }) {
    spec.podManagementPolicy ||= "OrderedReady";
    spec.updateStrategy ??= {};
    if (!spec.updateStrategy.type) {
      spec.updateStrategy.type = "RollingUpdate";
      spec.updateStrategy.rollingUpdate ??= {};
    }
    if (spec.updateStrategy.type === "RollingUpdate" && spec.updateStrategy.rollingUpdate) {
      // Taking several pods down at once is a feature that is off unless someone turns it on upstream.
      delete spec.updateStrategy.rollingUpdate.maxUnavailable;
      spec.updateStrategy.rollingUpdate.partition ??= 0;
    }
    spec.persistentVolumeClaimRetentionPolicy ??= {};
    spec.persistentVolumeClaimRetentionPolicy.whenDeleted ||= "Retain";
    spec.persistentVolumeClaimRetentionPolicy.whenScaled ||= "Retain";
    spec.replicas ??= 1;
    spec.revisionHistoryLimit ??= 10;
    defaultPodTemplate(spec.template);
    for (const claim of spec.volumeClaimTemplates ?? []) {
      claim.apiVersion ??= "v1";
      claim.kind ??= "PersistentVolumeClaim";
      claim.spec ??= {};
      claim.spec.volumeMode ??= "Filesystem";
      canonicalizeResourceList(claim.spec.resources?.requests);
      canonicalizeResourceList(claim.spec.resources?.limits);
      claim.status = { phase: "Pending", ...claim.status };
    }
  },
  beforeCreate: firstGeneration<StatefulSet>({ replicas: 0, availableReplicas: 0 }),
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: (next, previous) => [...validStatefulSet(next), ...(previous ? validChange(next, previous) : [])],
  validateStatus: ({ status }, previous) => [
    ...nonNegativeCounts(
      status,
      [
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
      ],
      statusPath,
    ),
    ...(["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"] as const).flatMap((field) =>
      atMostCount(status[field], status.replicas, statusPath.child(field), "status.replicas"),
    ),
    ...atMostCount(
      status.availableReplicas,
      status.readyReplicas,
      statusPath.child("availableReplicas"),
      "status.readyReplicas",
    ),
    ...notDecremented(status.collisionCount, previous.status?.collisionCount),
  ],
  warnings(next, previous) {
    const { template, volumeClaimTemplates = [], revisionHistoryLimit = 0 } = next.spec;
    const warnings = isNewGeneration(next, previous) ? templateWarnings(template, templatePath) : [];
    for (const [index, { spec = {} }] of volumeClaimTemplates.entries()) {
      const at = specPath.child("volumeClaimTemplates").index(index);
      // Upstream names the spec, and so, only when it speaks of a change.
      warnings.push(...claimSpecWarnings(spec, previous ? at.child("Spec") : at));
    }
    if (revisionHistoryLimit < 0) {
      const detail = "a negative value retains all historical revisions; a value >= 0 is recommended";
      warnings.push(`${specPath.child("revisionHistoryLimit")}: ${detail}`);
    }
    return warnings;
  },
  columns: [
    name,
    text("Ready", ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`),
    age,
    containerNames(({ spec }) => spec.template.spec?.containers),
    containerImages(({ spec }) => spec.template.spec?.containers),
  ],
});

function validStatefulSet({ spec }: StatefulSet): FieldError[] {
  const errors: FieldError[] = [];
  const managementPath = specPath.child("podManagementPolicy");
  if (!spec.podManagementPolicy) errors.push(required(managementPath));
  else if (!["OrderedReady", "Parallel"].includes(spec.podManagementPolicy)) {
    errors.push(invalid(managementPath, spec.podManagementPolicy, "must be 'OrderedReady' or 'Parallel'"));
  }
  errors.push(...validStrategy(spec.updateStrategy));
  const retentionPath = specPath.child("persistentVolumeClaimRetentionPolicy");
  for (const field of ["whenDeleted", "whenScaled"] as const) {
    const value = spec.persistentVolumeClaimRetentionPolicy?.[field];
    errors.push(...oneOf(value, ["Retain", "Delete"], retentionPath.child(field)));
  }
  errors.push(...nonNegative(spec.replicas, specPath.child("replicas")));
  errors.push(...nonNegative(spec.minReadySeconds, specPath.child("minReadySeconds")));
  errors.push(...nonNegative(spec.ordinals?.start, specPath.child("ordinals", "start")));
  errors.push(...validWorkloadSelector(spec.selector, "statefulset"));
  const matcher = matcherOrUndefined(spec.selector);
  if (!matcher)
    errors.push(invalid(selectorPath, spec.selector, ""), ...runsOn(spec.template, templatePath, "StatefulSet"));
  else {
    errors.push(...templateMatchesSelector(matcher, spec.template, templatePath));
    errors.push(...validLongRunningTemplate(templateWithClaims(spec), templatePath, "StatefulSet"));
  }
  errors.push(
    ...each(spec.volumeClaimTemplates, specPath.child("volumeClaimTemplates"), (claim, at) =>
      validateClaimSpec(claim.spec, at.child("spec")),
    ),
  );
  return errors;
}

/** Each pod mounts the claims made for it as volumes of their templates' names, which hide the template's own of that name. */
function templateWithClaims({ template, volumeClaimTemplates }: StatefulSet["spec"]): typeof template {
  if (!template?.spec || !volumeClaimTemplates?.length) return template;
  const own = template.spec.volumes ?? [];
  const names = new Set(own.map(({ name }) => name));
  const claimed = volumeClaimTemplates.flatMap(({ metadata: { name } }) =>
    !name || names.has(name) ? [] : [{ name, persistentVolumeClaim: { claimName: name } }],
  );
  return { ...template, spec: { ...template.spec, volumes: [...own, ...claimed] } };
}

function validStrategy(strategy: StatefulSet["spec"]["updateStrategy"]): FieldError[] {
  const path = specPath.child("updateStrategy");
  const rolling = strategy?.rollingUpdate;
  const shown = rolling ? { Partition: rolling.partition ?? 0, MaxUnavailable: rolling.maxUnavailable ?? null } : null;
  if (!strategy?.type) return [required(path)];
  switch (strategy.type) {
    case "OnDelete":
      if (!shown) return [];
      return [invalid(path.child("rollingUpdate"), shown, "only allowed for updateStrategy 'RollingUpdate'")];
    case "RollingUpdate": {
      if (!rolling) return [];
      const rollingPath = path.child("rollingUpdate");
      const errors = nonNegative(rolling.partition, rollingPath.child("partition"));
      if (rolling.maxUnavailable === undefined) return errors;
      const unavailablePath = rollingPath.child("maxUnavailable");
      errors.push(...validIntOrPercent(rolling.maxUnavailable, unavailablePath));
      if (numberPart(rolling.maxUnavailable) === 0) {
        errors.push(invalid(unavailablePath, rolling.maxUnavailable, "cannot be 0"));
      }
      return [...errors, ...atMostHundredPercent(rolling.maxUnavailable, unavailablePath)];
    }
    default:
      return [invalid(path, { Type: strategy.type, RollingUpdate: shown }, "must be 'RollingUpdate' or 'OnDelete'")];
  }
}

const changeable = [
  "replicas",
  "ordinals",
  "template",
  "updateStrategy",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
] as const;

function validChange(next: StatefulSet, previous: StatefulSet): FieldError[] {
  const rest = (spec: StatefulSet["spec"]) => {
    const copy: Partial<StatefulSet["spec"]> = { ...spec };
    for (const field of changeable) delete copy[field];
    return copy;
  };
  if (semanticallyEqual(rest(next.spec), rest(previous.spec))) return [];
  const detail =
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
  return [forbidden(specPath, detail)];
}
