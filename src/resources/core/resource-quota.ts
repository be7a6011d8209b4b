/** ResourceQuotas: how much of everything a namespace may use. */
import type { ResourceQuota, ResourceQuotaSpec } from "../../api/core/v1.ts";
import {
  type FieldError,
  type FieldPath,
  invalid,
  required,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
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
    ...(previous && !sameScopes(next.spec, previous.spec)
      ? [invalid(specPath.child("scopes"), next.spec.scopes ?? null, "field is immutable")]
      : []),
  ],
  validateStatus: ({ status }) => [
    ...validAmounts(status?.hard, statusPath.child("hard")),
    ...validAmounts(status?.used, statusPath.child("used")),
  ],
  columns: [
    name,
    text("Request", (quota) => amountsText(quota, false)),
    text("Limit", (quota) => amountsText(quota, true)),
    age,
  ],
});

function sameScopes(next: ResourceQuotaSpec, previous: ResourceQuotaSpec): boolean {
  const set = ({ scopes: given }: ResourceQuotaSpec) => JSON.stringify([...new Set(given)].sort());
  return set(next) === set(previous);
}

function amountsText({ status }: ResourceQuota, limits: boolean): string {
  return Object.keys(status?.hard ?? {})
    .filter((resource) => resource.startsWith("limits") === limits)
    .sort()
    .map((resource) => `${resource}: ${status?.used?.[resource] ?? "0"}/${status?.hard?.[resource]}`)
    .join(", ");
}

function validQuota(spec: ResourceQuotaSpec): FieldError[] {
  return [...validAmounts(spec.hard, specPath.child("hard")), ...validScopes(spec), ...validScopeSelector(spec)];
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
      if (isStandardQuotaResource(resource) && !appliesTo(scope, resource)) {
        errors.push(invalid(path, given, "unsupported scope applied to resource"));
      }
    }
  }
  return [...errors, ...conflicts(given, given, path)];
}

function conflicts(names: readonly string[], shown: unknown, path: FieldPath): FieldError[] {
  return exclusive
    .filter((pair) => pair.every((scope) => names.includes(scope)))
    .map(() => invalid(path, shown, "conflicting scopes"));
}

const existsOnly =
  "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
const withoutValues = new Set([
  "BestEffort",
  "NotBestEffort",
  "Terminating",
  "NotTerminating",
  "CrossNamespacePodAffinity",
]);

/** Upstream reports these on the list. */
function validScopeSelector({ hard, scopes: given, scopeSelector }: ResourceQuotaSpec): FieldError[] {
  if (!scopeSelector) return [];
  const path = specPath.child("scopeSelector", "matchExpressions");
  const expressions = scopeSelector.matchExpressions ?? [];
  const shown = {
    MatchExpressions: expressions.map(({ scopeName, operator, values }) => ({
      ScopeName: scopeName,
      Operator: operator,
      Values: values ?? null,
    })),
  };
  const errors = expressions.flatMap(({ scopeName, operator, values }) => {
    const found: FieldError[] = [];
    if (!scopes.includes(scopeName)) found.push(invalid(path.child("scopeName"), scopeName, "unsupported scope"));
    for (const resource of Object.keys(hard ?? {}).sort()) {
      if (isStandardQuotaResource(resource) && !appliesTo(scopeName, resource)) {
        found.push(invalid(path, shown, "unsupported scope applied to resource"));
      }
    }
    if (withoutValues.has(scopeName) && operator !== "Exists") {
      found.push(invalid(path.child("operator"), operator, existsOnly));
    }
    const valuesPath = path.child("values");
    if (operator === "In" || operator === "NotIn") {
      const detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
      if (!values?.length) found.push(required(valuesPath, detail));
    } else if (operator === "Exists" || operator === "DoesNotExist") {
      const detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
      if (values?.length) found.push(invalid(valuesPath, values, detail));
    } else found.push(invalid(path.child("operator"), operator, "not a valid selector operator"));
    return found;
  });
  return [
    ...errors,
    ...conflicts(
      expressions.map(({ scopeName }) => scopeName),
      given ?? null,
      path,
    ),
  ];
}

function validAmounts(list: Record<string, string> | undefined, path: FieldPath): FieldError[] {
  return Object.entries(list ?? {})
    .sort()
    .flatMap(([resource, amount]) => [
      ...validQuotaResourceName(resource, path.key(resource)),
      ...validAmount(resource, amount, path.key(resource)),
    ]);
}
