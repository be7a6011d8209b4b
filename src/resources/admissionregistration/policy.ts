/** Admission policies and their bindings: rules in CEL. They are kept, not evaluated yet. */
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
import {
  type FieldError,
  type FieldPath,
  invalid,
  required,
  spec as specPath,
} from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { bumpGenerationOnSpecChange } from "../apps/workload.ts";
import { age, integer, name, text, unset } from "../printing/columns.ts";
import { served } from "../served.ts";
import { validLabelSelector } from "../validation/label-selector.ts";
import { each, oneOf, optionalOneOf } from "../validation/rules.ts";

const group = "admissionregistration.k8s.io/v1";
const notEvaluated = () => ["this API server stores admission policies but does not evaluate them yet"];

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

function validMatch(match: MatchResources | undefined, path: FieldPath): FieldError[] {
  return [
    ...optionalOneOf(match?.matchPolicy, ["Equivalent", "Exact"], path.child("matchPolicy")),
    ...validLabelSelector(match?.namespaceSelector, path.child("namespaceSelector")),
    ...validLabelSelector(match?.objectSelector, path.child("objectSelector")),
  ];
}

function validConstraints(match: MatchResources | undefined): FieldError[] {
  const path = specPath.child("matchConstraints");
  if (!match) return [required(path)];
  const errors = validMatch(match, path);
  if (!match.resourceRules?.length) errors.push(required(path.child("resourceRules")));
  return errors;
}

export const validatingAdmissionPolicies = defineResource<ValidatingAdmissionPolicy>({
  ...served(group, "validatingadmissionpolicies"),
  defaults({ spec }) {
    spec.failurePolicy ??= "Fail";
    defaultMatch(spec.matchConstraints);
  },
  beforeCreate(policy) {
    firstGeneration(policy);
    policy.status = {};
  },
  beforeUpdate: bumpGenerationOnSpecChange,
  warnings: notEvaluated,
  validate: ({ spec }) => [
    ...optionalOneOf(spec.failurePolicy, ["Fail", "Ignore"], specPath.child("failurePolicy")),
    ...validConstraints(spec.matchConstraints),
    ...each(spec.validations, specPath.child("validations"), ({ expression }, at) =>
      expression?.trim() ? [] : [required(at.child("expression"), "expression is not specified")],
    ),
    ...(spec.validations?.length || spec.auditAnnotations?.length
      ? []
      : [
          required(
            specPath.child("validations"),
            "validations or auditAnnotations must be specified and contain at least one item",
          ),
        ]),
  ],
  columns: [
    name,
    integer("Validations", ({ spec }) => spec.validations?.length),
    text("ParamKind", ({ spec }) => paramKindText(spec.paramKind)),
    age,
  ],
});

export const mutatingAdmissionPolicies = defineResource<MutatingAdmissionPolicy>({
  ...served(group, "mutatingadmissionpolicies"),
  defaults({ spec }) {
    spec.failurePolicy ??= "Fail";
    defaultMatch(spec.matchConstraints);
  },
  beforeCreate: firstGeneration,
  beforeUpdate: bumpGenerationOnSpecChange,
  warnings: notEvaluated,
  validate: ({ spec }) => [
    ...optionalOneOf(spec.failurePolicy, ["Fail", "Ignore"], specPath.child("failurePolicy")),
    ...validConstraints(spec.matchConstraints),
    ...(spec.mutations?.length
      ? []
      : [required(specPath.child("mutations"), "mutations must contain at least one item")]),
    ...optionalOneOf(spec.reinvocationPolicy, ["IfNeeded", "Never"], specPath.child("reinvocationPolicy")),
  ],
  columns: [
    name,
    integer("Mutations", ({ spec }) => spec.mutations?.length),
    text("ParamKind", ({ spec }) => paramKindText(spec.paramKind)),
    age,
  ],
});

export const validatingAdmissionPolicyBindings = defineResource<ValidatingAdmissionPolicyBinding>({
  ...served(group, "validatingadmissionpolicybindings"),
  defaults: ({ spec }) => defaultMatch(spec.matchResources),
  beforeCreate: firstGeneration,
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: ({ spec }) => [
    ...(spec.policyName ? [] : [required(specPath.child("policyName"))]),
    ...validMatch(spec.matchResources, specPath.child("matchResouces")),
    ...validActions(spec.validationActions),
  ],
  columns: [
    name,
    text("PolicyName", ({ spec }) => spec.policyName),
    text("ParamRef", ({ spec }) => paramRefText(spec.paramRef)),
    age,
  ],
});

function validActions(actions: readonly string[] | undefined | null): FieldError[] {
  const path = specPath.child("validationActions");
  if (!actions?.length) return [required(path, "at least one validation action is required")];
  const errors = each(actions, path, (action, at) => oneOf(action, ["Audit", "Deny", "Warn"], at));
  if (actions.includes("Deny") && actions.includes("Warn")) {
    errors.push(
      invalid(
        path,
        actions,
        "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)",
      ),
    );
  }
  return errors;
}

export const mutatingAdmissionPolicyBindings = defineResource<MutatingAdmissionPolicyBinding>({
  ...served(group, "mutatingadmissionpolicybindings"),
  defaults: ({ spec }) => defaultMatch(spec.matchResources),
  beforeCreate: firstGeneration,
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: ({ spec }) => (spec.policyName ? [] : [required(specPath.child("policyName"))]),
  columns: [
    name,
    text("PolicyName", ({ spec }) => spec.policyName ?? ""),
    text("ParamRef", ({ spec }) => paramRefText(spec.paramRef)),
    age,
  ],
});
