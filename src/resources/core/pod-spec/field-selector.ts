/** Values that come from the pod's own fields: `fieldRef` and `resourceFieldRef`. */
import type { ObjectFieldSelector, ResourceFieldSelector } from "../../../api/core/v1.ts";
import { type FieldError, type FieldPath, invalid, notSupported, required } from "../../../apimachinery/field-error.ts";
import { qualifiedNameProblems } from "../../../apimachinery/name-validation.ts";
import { Quantity, quantityProblem } from "../../../apimachinery/quantity.ts";
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
  if (reference.apiVersion !== "v1") {
    const detail = `error converting fieldPath: unsupported pod version: ${reference.apiVersion}`;
    return [invalid(at, fieldPath, detail)];
  }
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

const sizes = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

export function validResourceReference(
  reference: ResourceFieldSelector,
  path: FieldPath,
  containerRequired: boolean,
): FieldError[] {
  const { resource = "", containerName } = reference;
  const errors: FieldError[] = [];
  if (containerRequired && !containerName) errors.push(required(path.child("containerName")));
  else if (!resource) errors.push(required(path.child("resource")));
  else if (!containerResources.includes(resource) && !/^(limits|requests)\.hugepages-/.test(resource)) {
    errors.push(notSupported(path.child("resource"), resource, containerResources));
  }
  return [...errors, ...validDivisor(resource, reference.divisor, path.child("divisor"))];
}

/** The message names the resource instead of the divisor, as upstream's does. */
function validDivisor(resource: string, divisor: string | undefined, path: FieldPath): FieldError[] {
  if (divisor === undefined || quantityProblem(divisor) || Quantity.parse(divisor).isZero()) return [];
  const [, name = ""] = resource.split(/\.(.*)/s);
  const subject = divisorSubject(name);
  if (!subject) return [];
  const isCpu = name === "cpu";
  const known = isCpu ? ["1m", "1"] : sizes;
  if (known.includes(Quantity.parse(divisor).toString())) return [];
  const values = isCpu ? known.join(" and ") : known.join(", ");
  return [invalid(path, resource, `only divisor's values ${values} are supported with the ${subject} resource`)];
}

function divisorSubject(name: string): string | undefined {
  if (name.startsWith("hugepages-")) return "hugepages";
  if (name === "ephemeral-storage") return "local ephemeral storage";
  return name === "cpu" || name === "memory" ? name : undefined;
}
