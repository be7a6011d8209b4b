/** Admission policies and their bindings: rules in CEL. */
import type {
  MatchResources,
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  ParamKind,
  ParamRef,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from "../../api/admissionregistration/v1.ts";
import type { KubeObject } from "../../api/object.ts";
import { spec as specPath } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { bumpGenerationOnSpecChange } from "../apps/workload.ts";
import { age, integer, name, text, unset } from "../printing/columns.ts";
import { served } from "../served.ts";
import {
  mutableOnly,
  validActions,
  validBinding,
  validMutatingPolicy,
  validPolicyStatus,
  validValidatingPolicy,
} from "./policy-validation.ts";
import { reservedNameWarnings } from "./reserved-names.ts";

const group = "admissionregistration.k8s.io/v1";

const firstGeneration = (object: KubeObject) => {
  object.metadata.generation = 1;
};

const paramKindText = (kind: ParamKind | undefined) => (kind ? `${kind.apiVersion ?? ""}/${kind.kind ?? ""}` : unset);

function paramRefText(ref: ParamRef | undefined): string {
  if (!ref) return unset;
  if (!ref.name) return "*";
  return ref.namespace ? `${ref.namespace}/${ref.name}` : ref.name;
}

function defaultMatch(match: MatchResources | undefined): void {
  if (!match) return;
  match.matchPolicy ??= "Equivalent";
  match.namespaceSelector ??= {};
  match.objectSelector ??= {};
  for (const rule of [...(match.resourceRules ?? []), ...(match.excludeResourceRules ?? [])]) rule.scope ??= "*";
}

export const validatingAdmissionPolicies = defineResource<ValidatingAdmissionPolicy>({
  ...served(group, "validatingadmissionpolicies"),
  metadataLooks: { update: ["whole"], status: [] },
  allowUnconditionalUpdate: false,
  anyFinalizers: true,
  warnings: reservedNameWarnings,
  statusKeeps: "metadata",
  defaults({ spec }) {
    spec.failurePolicy ??= "Fail";
    defaultMatch(spec.matchConstraints);
  },
  beforeCreate(policy) {
    firstGeneration(policy);
    policy.status = {};
  },
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: validValidatingPolicy,
  validateStatus: validPolicyStatus,
  columns: [
    name,
    integer("Validations", ({ spec }) => spec.validations?.length),
    text("ParamKind", ({ spec }) => paramKindText(spec.paramKind)),
    age,
  ],
});

export const mutatingAdmissionPolicies = defineResource<MutatingAdmissionPolicy>({
  ...served(group, "mutatingadmissionpolicies"),
  metadataLooks: { update: ["whole"] },
  allowUnconditionalUpdate: false,
  anyFinalizers: true,
  warnings: reservedNameWarnings,
  defaults({ spec }) {
    spec.failurePolicy ??= "Fail";
    defaultMatch(spec.matchConstraints);
  },
  beforeCreate: firstGeneration,
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: validMutatingPolicy,
  columns: [
    name,
    integer("Mutations", ({ spec }) => spec.mutations?.length),
    text("ParamKind", ({ spec }) => paramKindText(spec.paramKind)),
    age,
  ],
});

export const validatingAdmissionPolicyBindings = defineResource<ValidatingAdmissionPolicyBinding>({
  ...served(group, "validatingadmissionpolicybindings"),
  metadataLooks: { update: ["whole"] },
  allowUnconditionalUpdate: false,
  anyFinalizers: true,
  warnings: reservedNameWarnings,
  defaults: ({ spec }) => defaultMatch(spec.matchResources),
  beforeCreate: firstGeneration,
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: ({ spec }) => [...validBinding(spec), ...validActions(spec.validationActions)],
  columns: [
    name,
    text("PolicyName", ({ spec }) => spec.policyName),
    text("ParamRef", ({ spec }) => paramRefText(spec.paramRef)),
    age,
  ],
});

export const mutatingAdmissionPolicyBindings = defineResource<MutatingAdmissionPolicyBinding>({
  ...served(group, "mutatingadmissionpolicybindings"),
  metadataLooks: { update: ["whole"] },
  allowUnconditionalUpdate: false,
  anyFinalizers: true,
  warnings: reservedNameWarnings,
  defaults: ({ spec }) => defaultMatch(spec.matchResources),
  beforeCreate: firstGeneration,
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: ({ spec }) => [
    ...validBinding(spec),
    ...mutableOnly(spec.matchResources, specPath.child("matchResources")),
  ],
  columns: [
    name,
    text("PolicyName", ({ spec }) => spec.policyName ?? ""),
    text("ParamRef", ({ spec }) => paramRefText(spec.paramRef)),
    age,
  ],
});
