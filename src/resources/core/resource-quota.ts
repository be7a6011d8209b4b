/** ResourceQuotas: how much of everything a namespace may use. */
import type { ResourceQuota, ResourceQuotaSpec } from "../../api/core/v1.ts";
import { type FieldError, invalid, required, spec as specPath } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { each, unchanged } from "../validation/rules.ts";
import { canonicalizeResourceList } from "./resource-list.ts";
import { isStandardQuotaResource, validAmount, validQuotaResourceName } from "./resource-names.ts";

const scopes = [
  "BestEffort",
  "CrossNamespacePodAffinity",
  "NotBestEffort",
  "NotTerminating",
  "PriorityClass",
  "Terminating",
  "VolumeAttributesClass",
];
const exclusive = [
  ["BestEffort", "NotBestEffort"],
  ["Terminating", "NotTerminating"],
] as const;
const computeResources = new Set([
  "pods",
  "cpu",
  "memory",
  "requests.cpu",
  "requests.memory",
  "limits.cpu",
  "limits.memory",
]);

export const resourceQuotas = defineResource<ResourceQuota>({
  ...served("v1", "resourcequotas"),
  returnsDeletedObject: true,
  defaults({ spec, status }) {
    canonicalizeResourceList(spec.hard);
    canonicalizeResourceList(status?.hard);
    canonicalizeResourceList(status?.used);
  },
  beforeCreate(quota) {
    quota.status = {};
  },
  beforeUpdate() {},
  validate: (next, previous) => [
    ...validQuota(next.spec),
    ...(previous ? unchanged(next.spec.scopes, previous.spec.scopes, specPath.child("scopes")) : []),
  ],
  columns: [
    name,
    text("Request", (quota) => amountsText(quota, false)),
    text("Limit", (quota) => amountsText(quota, true)),
    age,
  ],
});

function amountsText({ status }: ResourceQuota, limits: boolean): string {
  return Object.keys(status?.hard ?? {})
    .filter((resource) => resource.startsWith("limits") === limits)
    .sort()
    .map((resource) => `${resource}: ${status?.used?.[resource] ?? "0"}/${status?.hard?.[resource]}`)
    .join(", ");
}

function validQuota(spec: ResourceQuotaSpec): FieldError[] {
  const errors: FieldError[] = [];
  for (const resource of Object.keys(spec.hard ?? {}).sort()) {
    const path = specPath.child("hard").key(resource);
    errors.push(...validQuotaResourceName(resource, path), ...validAmount(resource, spec.hard![resource]!, path));
  }
  return [...errors, ...validScopes(spec), ...validScopeSelector(spec)];
}

function appliesTo(scope: string, resource: string): boolean {
  if (scope === "BestEffort") return resource === "pods";
  if (scope === "VolumeAttributesClass")
    return resource === "persistentvolumeclaims" || resource === "requests.storage";
  return computeResources.has(resource);
}

function validScopes({ hard, scopes: given }: ResourceQuotaSpec): FieldError[] {
  if (!given?.length) return [];
  const path = specPath.child("scopes");
  const errors: FieldError[] = [];
  for (const scope of given) {
    if (!scopes.includes(scope)) errors.push(invalid(path, given, "unsupported scope"));
    for (const resource of Object.keys(hard ?? {}).sort()) {
      if (scopes.includes(scope) && isStandardQuotaResource(resource) && !appliesTo(scope, resource)) {
        errors.push(invalid(path, given, "unsupported scope applied to resource"));
      }
    }
  }
  for (const pair of exclusive) {
    if (pair.every((scope) => given.includes(scope))) errors.push(invalid(path, given, "conflicting scopes"));
  }
  return errors;
}

function validScopeSelector({ scopeSelector }: ResourceQuotaSpec): FieldError[] {
  const path = specPath.child("scopeSelector", "matchExpressions");
  return each(scopeSelector?.matchExpressions, path, ({ scopeName, operator, values }, at) => {
    const errors: FieldError[] = [];
    if (!scopes.includes(scopeName)) errors.push(invalid(at.child("scopeName"), scopeName, "unsupported scope"));
    if (operator === "In" || operator === "NotIn") {
      if (!values?.length) {
        errors.push(
          required(
            at.child("values"),
            "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
          ),
        );
      }
    } else if (operator === "Exists" || operator === "DoesNotExist") {
      if (values?.length) {
        errors.push(
          invalid(
            at.child("values"),
            values,
            "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector",
          ),
        );
      }
    } else errors.push(invalid(at.child("operator"), operator, "not a valid selector operator"));
    return errors;
  });
}
