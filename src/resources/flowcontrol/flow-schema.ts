/** FlowSchemas: which requests belong together. They are kept; this server queues nothing by them. */
import type { FlowSchema, PolicyRulesWithSubjects, ResourcePolicyRule, Subject } from "../../api/flowcontrol/v1.ts";
import {
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  notSupported,
  required,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { bumpGenerationOnSpecChange, firstGeneration } from "../apps/workload.ts";
import { age, name, none, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { distinctConditions } from "../validation/conditions.ts";
import { each, validDnsLabel, validDnsSubdomain } from "../validation/rules.ts";

export const flowSchemas = defineResource<FlowSchema>({
  ...served("flowcontrol.apiserver.k8s.io/v1", "flowschemas"),
  metadataLooks: { update: ["whole"], status: [] },
  statusKeeps: "metadata",
  defaults({ spec }) {
    spec.matchingPrecedence ||= 1000;
  },
  beforeCreate: firstGeneration<FlowSchema>({}),
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: ({ metadata, spec }) => validFlowSchema(metadata.name ?? "", spec),
  validateStatus: ({ status }) => distinctConditions(status.conditions, statusPath.child("conditions")),
  columns: [
    name,
    text("PriorityLevel", ({ spec }) => spec.priorityLevelConfiguration?.name ?? ""),
    text("MatchingPrecedence", ({ spec }) => spec.matchingPrecedence ?? 0),
    text("DistinguisherMethod", ({ spec }) => spec.distinguisherMethod?.type ?? none),
    age,
    text("MissingPL", ({ status }) => {
      const dangling = status?.conditions?.find(({ type }) => type === "Dangling");
      return dangling?.status === "True" || dangling?.status === "False" ? dangling.status : "?";
    }),
  ],
});

const highestPrecedence = 10_000;

function validFlowSchema(schemaName: string, spec: FlowSchema["spec"]): FieldError[] {
  const precedence = spec.matchingPrecedence ?? 0;
  const precedencePath = specPath.child("matchingPrecedence");
  const errors: FieldError[] = [];
  if (precedence <= 0) errors.push(invalid(precedencePath, precedence, "must be a positive value"));
  if (precedence > highestPrecedence) {
    errors.push(invalid(precedencePath, precedence, `must not be greater than ${highestPrecedence}`));
  }
  if (precedence === 1 && schemaName !== "exempt") {
    const detail = "only the schema named 'exempt' may have matchingPrecedence 1";
    errors.push(invalid(precedencePath, precedence, detail));
  }
  const method = spec.distinguisherMethod;
  if (method && !["ByNamespace", "ByUser"].includes(method.type)) {
    const shown = { Type: method.type };
    errors.push(notSupported(specPath.child("distinguisherMethod"), shown, ["ByNamespace", "ByUser"]));
  }
  const levelPath = specPath.child("priorityLevelConfiguration", "name");
  const level = spec.priorityLevelConfiguration?.name;
  errors.push(
    ...(level ? validDnsSubdomain(level, levelPath) : [required(levelPath, "must reference a priority level")]),
  );
  return [...errors, ...each(spec.rules, specPath.child("rules"), validRule)];
}

function validRule(rule: PolicyRulesWithSubjects, path: FieldPath): FieldError[] {
  const subjectsPath = path.child("subjects");
  const errors = rule.subjects?.length
    ? each(rule.subjects, subjectsPath, validSubject)
    : [required(subjectsPath, "subjects must contain at least one value")];
  if (!rule.resourceRules?.length && !rule.nonResourceRules?.length) {
    errors.push(required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"));
  }
  return [
    ...errors,
    ...each(rule.resourceRules, path.child("resourceRules"), (resourceRule, at) => [
      ...validVerbs(resourceRule.verbs, at.child("verbs")),
      ...anyOrSome(
        resourceRule.apiGroups,
        at.child("apiGroups"),
        "api groups",
        "resource rules must supply at least one api group",
      ),
      ...anyOrSome(
        resourceRule.resources,
        at.child("resources"),
        "resources",
        "resource rules must supply at least one resource",
      ),
      ...validNamespaces(resourceRule, at.child("namespaces")),
    ]),
    ...each(rule.nonResourceRules, path.child("nonResourceRules"), ({ verbs, nonResourceURLs }, at) => [
      ...validVerbs(verbs, at.child("verbs")),
      ...anyOrSome(
        nonResourceURLs,
        at.child("nonResourceURLs"),
        "non-resource URLs",
        "nonResourceURLs must contain at least one value",
      ),
    ]),
  ];
}

const verbs = [
  "*",
  "bind",
  "create",
  "delete",
  "deletecollection",
  "escalate",
  "get",
  "head",
  "impersonate",
  "list",
  "options",
  "patch",
  "post",
  "proxy",
  "put",
  "update",
  "use",
  "watch",
];

function validVerbs(given: readonly string[] | null | undefined, path: FieldPath): FieldError[] {
  const errors = anyOrSome(given, path, "verbs", "verbs must contain at least one value");
  if (errors.length > 0 || given!.every((verb) => verbs.includes(verb))) return errors;
  // Upstream shows the whole list.
  return [notSupported(path, given, verbs)];
}

/** Either everything, or some by name. */
function anyOrSome(
  given: readonly string[] | null | undefined,
  path: FieldPath,
  what: string,
  missing: string,
): FieldError[] {
  if (!given?.length) return [required(path, missing)];
  if (!given.includes("*") || given.length === 1) return [];
  return [invalid(path, given, `if '*' is present, must not specify other ${what}`)];
}

function validNamespaces({ namespaces, clusterScope }: ResourcePolicyRule, path: FieldPath): FieldError[] {
  if (!namespaces?.length) {
    const detail = "resource rules that are not cluster scoped must supply at least one namespace";
    return clusterScope ? [] : [required(path, detail)];
  }
  if (namespaces.includes("*")) return anyOrSome(namespaces, path, "namespaces", "");
  return each(namespaces, path, validDnsLabel);
}

function validSubject({ kind, user, group, serviceAccount }: Subject, path: FieldPath): FieldError[] {
  const parts = { user, group, serviceAccount };
  const field = { User: "user", Group: "group", ServiceAccount: "serviceAccount" }[kind] as
    | keyof typeof parts
    | undefined;
  if (!field) return [notSupported(path.child("kind"), kind, ["Group", "ServiceAccount", "User"])];
  const errors: FieldError[] = [];
  const part = parts[field];
  const at = path.child(field);
  if (!part) errors.push(required(at, `${field} is required when subject kind is '${kind}'`));
  else {
    if (!part.name) errors.push(required(at.child("name")));
    if (serviceAccount && field === "serviceAccount" && !serviceAccount.namespace) {
      errors.push(required(at.child("namespace"), "must specify namespace for service account"));
    }
  }
  for (const other of Object.keys(parts) as (keyof typeof parts)[]) {
    if (other !== field && parts[other]) {
      errors.push(forbidden(path.child(other), `${other} is forbidden when subject kind is not '${kindOf[other]}'`));
    }
  }
  return errors;
}

const kindOf = { user: "User", group: "Group", serviceAccount: "ServiceAccount" } as const;
