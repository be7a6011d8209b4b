/** Admission policies and their bindings: rules in CEL. */
import type {
  MatchResources,
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  Mutation,
  ParamKind,
  ParamRef,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingAdmissionPolicySpec,
} from "../../api/admissionregistration/v1.ts";
import type { KubeObject } from "../../api/object.ts";
import { type AdmissionScope, PolicyExpressions } from "../../apimachinery/cel/admission.ts";
import type { Compiled } from "../../apimachinery/cel/compile.ts";
import { Dyn } from "../../apimachinery/cel/types.ts";
import {
  type FieldError,
  type FieldPath,
  invalid,
  required,
  spec as specPath,
} from "../../apimachinery/field-error.ts";
import { parseApiVersion } from "../../apimachinery/group-version.ts";
import { qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { bumpGenerationOnSpecChange } from "../apps/workload.ts";
import { age, integer, name, text, unset } from "../printing/columns.ts";
import { served } from "../served.ts";
import { validLabelSelector } from "../validation/label-selector.ts";
import { each, obeys, oneOf, optionalOneOf } from "../validation/rules.ts";
import { validMatchConditions } from "./match-conditions.ts";

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
  allowUnconditionalUpdate: false,
  anyFinalizers: true,
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
  validate: ({ spec }) => [
    ...optionalOneOf(spec.failurePolicy, ["Fail", "Ignore"], specPath.child("failurePolicy")),
    ...validConstraints(spec.matchConstraints),
    ...validExpressions(spec, {}, (expressions) => [
      ...each(spec.validations, specPath.child("validations"), ({ expression, messageExpression }, at) => [
        ...validExpression(expression, at.child("expression"), "expression is not specified", (text) =>
          expressions.expression(text, "bool"),
        ),
        ...(messageExpression
          ? validExpression(messageExpression, at.child("messageExpression"), "", (text) =>
              expressions.expression(text, "string"),
            )
          : []),
      ]),
      ...each(spec.auditAnnotations, specPath.child("auditAnnotations"), ({ key, valueExpression }, at) => [
        ...obeys(key ?? "", qualifiedNameProblems, at.child("key")),
        ...validExpression(valueExpression, at.child("valueExpression"), "valueExpression is not specified", (text) =>
          expressions.expression(text, "string", "null"),
        ),
      ]),
    ]),
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
  allowUnconditionalUpdate: false,
  anyFinalizers: true,
  defaults({ spec }) {
    spec.failurePolicy ??= "Fail";
    defaultMatch(spec.matchConstraints);
  },
  beforeCreate: firstGeneration,
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: ({ spec }) => [
    ...optionalOneOf(spec.failurePolicy, ["Fail", "Ignore"], specPath.child("failurePolicy")),
    ...validConstraints(spec.matchConstraints),
    ...(spec.mutations?.length
      ? []
      : [required(specPath.child("mutations"), "mutations must contain at least one item")]),
    ...validExpressions(spec, { mutations: true }, (expressions) =>
      each(spec.mutations, specPath.child("mutations"), (mutation, at) => validMutation(mutation, at, expressions)),
    ),
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
  allowUnconditionalUpdate: false,
  anyFinalizers: true,
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

function validMutation(mutation: Mutation, at: FieldPath, expressions: PolicyExpressions): FieldError[] {
  const { patchType, jsonPatch, applyConfiguration } = mutation;
  const errors = oneOf(patchType, ["ApplyConfiguration", "JSONPatch"], at.child("patchType"));
  if (errors.length > 0) return errors;
  const [field, text, kind] =
    patchType === "JSONPatch"
      ? (["jsonPatch", jsonPatch?.expression, "list"] as const)
      : (["applyConfiguration", applyConfiguration?.expression, "object"] as const);
  return validExpression(text, at.child(field, "expression"), "expression is not specified", (source) =>
    expressions.expression(source, kind),
  );
}

type Expressions = Pick<ValidatingAdmissionPolicySpec, "paramKind" | "variables" | "matchConditions">;

/** Conditions, then variables in order, then what `others` says: each may read the variables before it. */
function validExpressions(
  spec: Expressions,
  scope: AdmissionScope,
  others: (expressions: PolicyExpressions) => FieldError[],
): FieldError[] {
  const expressions = new PolicyExpressions({ ...scope, ...(spec.paramKind ? { paramsType: Dyn } : {}) });
  const errors = validParamKind(spec.paramKind);
  errors.push(
    ...validMatchConditions(spec.matchConditions, specPath.child("matchConditions"), (expression, at) =>
      validExpression(expression, at, "", (text) => expressions.expression(text, "bool")),
    ),
  );
  errors.push(
    ...each(spec.variables, specPath.child("variables"), ({ name: variable, expression }, at) => {
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable ?? "")) {
        return [invalid(at.child("name"), variable, "name is not a valid CEL identifier")];
      }
      return validExpression(expression, at.child("expression"), "expression is not specified", (text) =>
        expressions.addVariable(variable, text),
      );
    }),
  );
  return [...errors, ...others(expressions)];
}

function validParamKind(kind: ParamKind | undefined): FieldError[] {
  if (!kind) return [];
  const path = specPath.child("paramKind");
  const errors: FieldError[] = [];
  const versionPath = path.child("apiVersion");
  if (!kind.apiVersion) errors.push(required(versionPath));
  else {
    const version = parseApiVersion(kind.apiVersion);
    const detail = `unexpected GroupVersion string: ${kind.apiVersion}`;
    if (!version) errors.push(invalid(versionPath, kind.apiVersion, detail));
  }
  if (!kind.kind) errors.push(required(path.child("kind")));
  return errors;
}

function validExpression(
  text: string | undefined,
  path: FieldPath,
  missing: string,
  compile: (text: string) => Compiled,
): FieldError[] {
  if (!text?.trim()) return [required(path, missing)];
  const compiled = compile(text);
  if (compiled.program) return [];
  const message = compiled.message.startsWith("ERROR") ? `compilation failed: ${compiled.message}` : compiled.message;
  return [invalid(path, text, message)];
}

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
  allowUnconditionalUpdate: false,
  anyFinalizers: true,
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
