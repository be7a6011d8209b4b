/** PodDisruptionBudgets: how many pods evictions must leave. */
import type { PodDisruptionBudget } from "../../api/policy/v1.ts";
import { type FieldError, invalid, spec as specPath, status as statusPath } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { bumpGenerationOnSpecChange, firstGeneration, nonNegativeCounts } from "../apps/workload.ts";
import { age, integer, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { validConditions } from "../validation/conditions.ts";
import { atMostHundredPercent, validIntOrPercent } from "../validation/int-or-percent.ts";
import { hasInvalidValue, validLabelSelector } from "../validation/label-selector.ts";
import { optionalOneOf } from "../validation/rules.ts";

const counts = ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] as const;

export const podDisruptionBudgets = defineResource<PodDisruptionBudget>({
  ...served("policy/v1", "poddisruptionbudgets"),
  metadataLooks: { create: "last", update: [], status: [] },
  allowUnconditionalUpdate: false,
  beforeCreate: firstGeneration<PodDisruptionBudget>({
    disruptionsAllowed: 0,
    currentHealthy: 0,
    desiredHealthy: 0,
    expectedPods: 0,
  }),
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: validBudget,
  validateStatus: ({ status }) => [
    ...validConditions(status.conditions, statusPath.child("conditions")),
    ...nonNegativeCounts(status, counts, statusPath),
  ],
  columns: [
    name,
    text("Min Available", ({ spec }) => String(spec.minAvailable ?? "N/A")),
    text("Max Unavailable", ({ spec }) => String(spec.maxUnavailable ?? "N/A")),
    integer("Allowed Disruptions", ({ status }) => status?.disruptionsAllowed),
    age,
  ],
});

function validBudget({ spec }: PodDisruptionBudget, previous: PodDisruptionBudget | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const { minAvailable, maxUnavailable, selector, unhealthyPodEvictionPolicy } = spec;
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    const shown = {
      MinAvailable: minAvailable,
      Selector: selector ?? null,
      MaxUnavailable: maxUnavailable,
      UnhealthyPodEvictionPolicy: unhealthyPodEvictionPolicy ?? null,
    };
    errors.push(invalid(specPath, shown, "minAvailable and maxUnavailable cannot be both set"));
  }
  for (const field of ["minAvailable", "maxUnavailable"] as const) {
    errors.push(...validIntOrPercent(spec[field], specPath.child(field)));
    errors.push(...atMostHundredPercent(spec[field], specPath.child(field)));
  }
  // What older rules let in stays usable.
  const allowInvalidValues = hasInvalidValue(previous?.spec.selector);
  errors.push(...validLabelSelector(selector, specPath.child("selector"), { allowInvalidValues }));
  const policies = ["AlwaysAllow", "IfHealthyBudget"];
  return [
    ...errors,
    ...optionalOneOf(unhealthyPodEvictionPolicy, policies, specPath.child("unhealthyPodEvictionPolicy")),
  ];
}
