/** What admission policies and their bindings must fulfil, in upstream's words. */
import type {
  AuditAnnotation,
  MatchResources,
  MutatingAdmissionPolicy,
  Mutation,
  ParamKind,
  ParamRef,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicySpec,
  ValidatingAdmissionPolicyStatus,
  Validation,
} from "../../api/admissionregistration/v1.ts";
import { PolicyExpressions } from "../../apimachinery/cel/admission.ts";
import { Dyn } from "../../apimachinery/cel/types.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  required,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import {
  dns1035LabelProblems,
  dns1123SubdomainProblems,
  pathSegmentProblems,
  qualifiedNameProblems,
} from "../../apimachinery/name-validation.ts";
import { internalPrinter } from "../internal-printer.ts";
import { validConditions } from "../validation/conditions.ts";
import { validLabelSelector } from "../validation/label-selector.ts";
import { each, obeys, oneOf, optionalOneOf, requiredOneOf, validDnsSubdomain } from "../validation/rules.ts";
import { validExpression } from "./expressions.ts";
import { validMatchConditions } from "./match-conditions.ts";
import { validNamedRule } from "./operation-rules.ts";

const maximumAnnotations = 20;
const longestAnnotation = 5 * 1024;
/** A mutation answers what is about to be stored. */
const mutableOperations = ["*", "CONNECT", "CREATE", "UPDATE"];
const printAnnotation = internalPrinter({ AuditAnnotation: "Key ValueExpression" });
const reservedWords = new Set(
  "true false null in as break const continue else for function if import let loop package namespace return var void while".split(
    " ",
  ),
);

export function validValidatingPolicy({ metadata, spec }: ValidatingAdmissionPolicy): FieldError[] {
  const { validations = [], auditAnnotations = [] } = spec;
  return [
    ...oneOf(spec.failurePolicy, ["Fail", "Ignore"], specPath.child("failurePolicy")),
    ...validParamKind(spec.paramKind),
    ...validConstraints(spec.matchConstraints),
    ...validExpressions(spec, new PolicyExpressions(scopeOf(spec)), (expressions) => {
      if (validations.length === 0 && auditAnnotations.length === 0) {
        const detail = "validations or auditAnnotations must contain at least one item";
        return [required(specPath.child("validations"), detail), required(specPath.child("auditAnnotations"), detail)];
      }
      return [
        ...each(validations, specPath.child("validations"), (validation, at) =>
          validValidation(validation, expressions, at),
        ),
        ...validAnnotations(auditAnnotations, metadata.name, expressions),
      ];
    }),
  ];
}

function validValidation(
  { expression, messageExpression, message, reason }: Validation,
  expressions: PolicyExpressions,
  path: FieldPath,
): FieldError[] {
  const errors = validExpression(expression, path.child("expression"), "expression is not specified", (text) =>
    expressions.expression(text, "bool"),
  );
  if (messageExpression) {
    const at = path.child("messageExpression");
    if (messageExpression.trim()) {
      errors.push(...validExpression(messageExpression, at, "", (text) => expressions.message(text, "string")));
    } else errors.push(invalid(at, messageExpression, "must be non-empty if specified"));
  }
  if (message && !message.trim()) {
    errors.push(invalid(path.child("message"), message, "must be non-empty if specified"));
  } else if (/[\n\r]/.test(message?.trim() ?? "")) {
    errors.push(invalid(path.child("message"), message, "must not contain line breaks"));
  }
  const reasons = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
  return [...errors, ...optionalOneOf(reason, reasons, path.child("reason"))];
}

function validAnnotations(
  annotations: readonly AuditAnnotation[],
  policyName: string | undefined,
  expressions: PolicyExpressions,
): FieldError[] {
  const path = specPath.child("auditAnnotations");
  const keys = new Set<string>();
  const tooMany =
    annotations.length > maximumAnnotations
      ? [
          invalid(
            path,
            annotations.map((annotation) => printAnnotation("AuditAnnotation", annotation)),
            `must not have more than ${maximumAnnotations} auditAnnotations`,
          ),
        ]
      : [];
  const found = each(annotations, path, ({ key = "", valueExpression }, at) => {
    const errors = policyName
      ? obeys(`${policyName}/${key}`, qualifiedNameProblems, at.child("key"))
      : [invalid(at.child("key"), key, "requires metadata.name be non-empty")];
    errors.push(...validAnnotationValue(valueExpression, at.child("valueExpression"), expressions));
    if (keys.has(key)) errors.push(duplicate(at.child("key"), key));
    keys.add(key);
    return errors;
  });
  return [...tooMany, ...found];
}

function validAnnotationValue(text: string | undefined, path: FieldPath, expressions: PolicyExpressions): FieldError[] {
  if (Buffer.byteLength(text?.trim() ?? "") > longestAnnotation) {
    return [required(path, `must not exceed ${longestAnnotation} bytes in length`)];
  }
  return validExpression(text, path, "valueExpression is not specified", (text) =>
    expressions.expression(text.trim(), "string", "null_type"),
  );
}

export function validPolicyStatus({ status }: { status: ValidatingAdmissionPolicyStatus }): FieldError[] {
  const warningsPath = statusPath.child("typeChecking", "expressionWarnings");
  return [
    ...each(status.typeChecking?.expressionWarnings, warningsPath, ({ warning, fieldRef }, at) => [
      ...(warning ? [] : [required(at.child("warning"))]),
      ...(fieldRef?.trim() ? [] : [required(at.child("fieldRef"))]),
    ]),
    ...validConditions(status.conditions, statusPath.child("conditions")),
  ];
}

function validConstraints(match: MatchResources | undefined): FieldError[] {
  const path = specPath.child("matchConstraints");
  if (!match) return [required(path)];
  const errors = validMatch(match, path);
  if (!match.resourceRules?.length) errors.push(required(path.child("resourceRules")));
  return errors;
}

function validMatch(match: MatchResources | undefined, path: FieldPath): FieldError[] {
  if (!match) return [];
  return [
    ...oneOf(match.matchPolicy, ["Equivalent", "Exact"], path.child("matchPolicy")),
    ...validLabelSelector(match.namespaceSelector, path.child("namespaceSelector")),
    ...validLabelSelector(match.objectSelector, path.child("objectSelector")),
    ...each(match.resourceRules, path.child("resourceRules"), validNamedRule),
    ...each(match.excludeResourceRules, path.child("excludeResourceRules"), validNamedRule),
  ];
}

/** The parts that bindings of both sorts have. */
export function validBinding(spec: {
  policyName?: string;
  paramRef?: ParamRef;
  matchResources?: MatchResources;
}): FieldError[] {
  const namePath = specPath.child("policyName");
  return [
    ...(spec.policyName ? validDnsSubdomain(spec.policyName, namePath) : [required(namePath)]),
    ...validParamRef(spec.paramRef, specPath.child("paramRef")),
    ...validMatch(spec.matchResources, specPath.child("matchResources")),
  ];
}

function validParamRef(reference: ParamRef | undefined, path: FieldPath): FieldError[] {
  if (!reference) return [];
  const { name, selector, parameterNotFoundAction: action } = reference;
  const exclusive = "name and selector are mutually exclusive";
  const errors = name ? obeys(name, pathSegmentProblems, path.child("name")) : [];
  if (name && selector) errors.push(forbidden(path.child("name"), exclusive));
  errors.push(...validLabelSelector(selector, path.child("selector")));
  if (name && selector) errors.push(forbidden(path.child("selector"), exclusive));
  if (!name && !selector) errors.push(required(path, "one of name or selector must be specified"));
  return [...errors, ...requiredOneOf(action, ["Deny", "Allow"], path.child("parameterNotFoundAction"))];
}

export function validActions(actions: readonly string[] | undefined | null): FieldError[] {
  const path = specPath.child("validationActions");
  if (!actions?.length) return [required(path, "at least one validation action is required")];
  const seen = new Set<string>();
  const errors = each(actions, path, (action, at) => {
    const found = oneOf(action, ["Audit", "Deny", "Warn"], at);
    if (seen.has(action)) found.push(duplicate(at, action));
    seen.add(action);
    return found;
  });
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

export function validMutatingPolicy({ spec }: MutatingAdmissionPolicy): FieldError[] {
  const path = specPath.child("mutations");
  const mutating = new PolicyExpressions({ ...scopeOf(spec), hasVariables: true });
  return [
    ...oneOf(spec.failurePolicy, ["Fail", "Ignore"], specPath.child("failurePolicy")),
    ...validParamKind(spec.paramKind),
    ...validConstraints(spec.matchConstraints),
    ...mutableOnly(spec.matchConstraints, specPath.child("matchConstraints")),
    ...validExpressions(spec, mutating, (expressions) =>
      spec.mutations?.length
        ? each(spec.mutations, path, (mutation, at) => validMutation(mutation, at, expressions))
        : [required(path, "mutations must contain at least one item")],
    ),
    ...requiredOneOf(spec.reinvocationPolicy, ["IfNeeded", "Never"], specPath.child("reinvocationPolicy")),
  ];
}

/** Upstream tells of these on all operations of all rules. */
export function mutableOnly(match: MatchResources | undefined, path: FieldPath): FieldError[] {
  const at = path.child("resourceRules", "operations");
  return (match?.resourceRules ?? []).flatMap(({ operations }) =>
    (operations ?? []).flatMap((operation) => oneOf(operation, mutableOperations, at)),
  );
}

const patches = {
  JSONPatch: { field: "jsonPatch", other: "applyConfiguration", wanted: "list(JSONPatch)" },
  ApplyConfiguration: { field: "applyConfiguration", other: "jsonPatch", wanted: "Object" },
} as const;

function validMutation(mutation: Mutation, at: FieldPath, expressions: PolicyExpressions): FieldError[] {
  const { patchType } = mutation;
  const errors = requiredOneOf(patchType, ["ApplyConfiguration", "JSONPatch"], at.child("patchType"));
  if (errors.length > 0) return errors;
  const { field, other, wanted } = patches[patchType as keyof typeof patches];
  const patch = mutation[field];
  if (!patch) errors.push(required(at.child(field), `must be specified when patchType is ${patchType}`));
  else {
    const path = at.child(field, "expression");
    errors.push(...validExpression(patch.expression?.trim(), path, "", (text) => expressions.mutation(text, wanted)));
  }
  if (mutation[other]) {
    errors.push(invalid(at.child(other), `{${other}}`, `must not be specified when patchType is ${patchType}`));
  }
  return errors;
}

type Expressions = Pick<ValidatingAdmissionPolicySpec, "paramKind" | "variables" | "matchConditions">;

const scopeOf = ({ paramKind }: Expressions) => (paramKind ? { paramsType: Dyn } : {});

/** Conditions, then variables in order, then what `others` says: each may read the variables before it. */
function validExpressions(
  spec: Expressions,
  expressions: PolicyExpressions,
  others: (expressions: PolicyExpressions) => FieldError[],
): FieldError[] {
  const errors = validMatchConditions(spec.matchConditions, specPath.child("matchConditions"), expressions);
  errors.push(
    ...each(spec.variables, specPath.child("variables"), ({ name = "", expression }, at) => {
      const compile = (text: string) => expressions.addVariable(name, text);
      return [
        ...validVariableName(name, at.child("name")),
        ...validExpression(expression, at.child("expression"), "expression is not specified", compile),
      ];
    }),
  );
  return [...errors, ...others(expressions)];
}

function validVariableName(name: string, path: FieldPath): FieldError[] {
  if (!name.trim()) return [required(path, "name is not specified")];
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !reservedWords.has(name)) return [];
  return [invalid(path, name, "must be a valid CEL identifier")];
}

function validParamKind(kind: ParamKind | undefined): FieldError[] {
  if (!kind) return [];
  const path = specPath.child("paramKind");
  const errors = kind.apiVersion
    ? validApiVersion(kind.apiVersion, path.child("apiVersion"))
    : [required(path.child("apiVersion"))];
  const kindPath = path.child("kind");
  if (!kind.kind) return [...errors, required(kindPath)];
  const problems = dns1035LabelProblems(kind.kind.toLowerCase());
  if (problems.length === 0) return errors;
  const detail = `may have mixed case, but should otherwise match: ${problems.join(",")}`;
  return [...errors, invalid(kindPath, kind.kind, detail)];
}

function validApiVersion(apiVersion: string, path: FieldPath): FieldError[] {
  const parts = apiVersion.split("/");
  if (parts.length > 2) return [invalid(path, apiVersion, `unexpected GroupVersion string: ${apiVersion}`)];
  const version = parts.at(-1)!;
  const group = parts.length === 2 ? parts[0]! : "";
  const groupProblems = group ? dns1123SubdomainProblems(group) : [];
  const errors = groupProblems.length > 0 ? [invalid(path, group, groupProblems.join(","))] : [];
  if (!version) return [...errors, invalid(path, apiVersion, "version must be specified")];
  const problems = dns1035LabelProblems(version);
  return problems.length > 0 ? [...errors, invalid(path, version, problems.join(","))] : errors;
}
