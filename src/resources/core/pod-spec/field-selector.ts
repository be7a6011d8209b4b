/** Values that come from the pod's own fields: `fieldRef` and `resourceFieldRef`. */
import type { ObjectFieldSelector, ResourceFieldSelector } from "../../../api/core/v1.ts";
import { type FieldError, type FieldPath, invalid, notSupported, required } from "../../../apimachinery/field-error.ts";
import { qualifiedNameProblems } from "../../../apimachinery/name-validation.ts";
import { quantityProblem } from "../../../apimachinery/quantity.ts";
import { obeys } from "../../validation/rules.ts";

export const environmentFields = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];
export const volumeFields = [
  "metadata.annotations",
  "metadata.labels",
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
];

const knownFields = new Set([
  ...environmentFields,
  ...volumeFields,
  "spec.restartPolicy",
  "spec.schedulerName",
  "status.phase",
]);

/** `allowed`, sorted: which fields make sense here. Labels and annotations may be asked for one by one: `metadata.labels['app']`. */
export function validFieldReference(
  reference: ObjectFieldSelector,
  allowed: readonly string[],
  path: FieldPath,
): FieldError[] {
  const fieldPath = reference.fieldPath ?? "";
  const at = path.child("fieldPath");
  if (!reference.apiVersion) return [required(path.child("apiVersion"))];
  if (fieldPath === "") return [required(at)];
  const subscripted = /^(.*)\['(.*)'\]$/.exec(fieldPath);
  if (subscripted) {
    const [, base, key = ""] = subscripted;
    if (base === "metadata.annotations") return obeys(key.toLowerCase(), qualifiedNameProblems, path);
    if (base === "metadata.labels") return obeys(key, qualifiedNameProblems, path);
    return [invalid(at, fieldPath, `error converting fieldPath: field label does not support subscript: ${fieldPath}`)];
  }
  const field = fieldPath === "spec.host" ? "spec.nodeName" : fieldPath;
  if (!knownFields.has(field)) {
    return [invalid(at, fieldPath, `error converting fieldPath: field label not supported: ${fieldPath}`)];
  }
  return allowed.includes(field) ? [] : [notSupported(at, field, allowed)];
}

const containerResources = [
  "limits.cpu",
  "limits.ephemeral-storage",
  "limits.memory",
  "requests.cpu",
  "requests.ephemeral-storage",
  "requests.memory",
];

const divisors: Record<string, readonly string[]> = {
  cpu: ["1m", "1"],
  memory: ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"],
};

export function validResourceReference(
  reference: ResourceFieldSelector,
  path: FieldPath,
  containerRequired: boolean,
): FieldError[] {
  if (containerRequired && !reference.containerName) return [required(path.child("containerName"))];
  const { resource } = reference;
  if (!resource) return [required(path.child("resource"))];
  const [, name = ""] = resource.split(/\.(.*)/s);
  const isHugePages = name.startsWith("hugepages-");
  if (!containerResources.includes(resource) && !isHugePages) {
    return [notSupported(path.child("resource"), resource, containerResources)];
  }
  const divisor = reference.divisor ?? "0";
  if (divisor === "0" || quantityProblem(divisor)) return [];
  const known = divisors[name === "cpu" ? "cpu" : "memory"]!;
  const values = name === "cpu" ? "1m and 1" : "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei";
  const subject =
    name === "cpu" ? "cpu" : name === "memory" ? "memory" : isHugePages ? "hugepages" : "local ephemeral storage";
  if (known.includes(divisor)) return [];
  return [
    invalid(
      path.child("divisor"),
      divisor,
      `only divisor's values ${values} are supported with the ${subject} resource`,
    ),
  ];
}
