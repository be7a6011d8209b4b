/** Which names resources may have, and what their amounts must fulfil. */
import { type FieldError, type FieldPath, invalid } from "../../apimachinery/field-error.ts";
import { qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { Quantity } from "../../apimachinery/quantity.ts";
import { nonNegativeMessage, obeys } from "../validation/rules.ts";

const quotaPrefix = "requests.";

const containerResources = new Set(["cpu", "memory", "ephemeral-storage"]);

/** Names without a domain that stand for something. */
const standardResources = new Set([
  ...containerResources,
  "requests.cpu",
  "requests.memory",
  "requests.ephemeral-storage",
  "limits.cpu",
  "limits.memory",
  "limits.ephemeral-storage",
  "pods",
  "resourcequotas",
  "services",
  "replicationcontrollers",
  "secrets",
  "configmaps",
  "persistentvolumeclaims",
  "storage",
  "requests.storage",
  "services.nodeports",
  "services.loadbalancers",
]);

const countedResources = new Set([
  "pods",
  "resourcequotas",
  "services",
  "replicationcontrollers",
  "secrets",
  "configmaps",
  "persistentvolumeclaims",
  "services.nodeports",
  "services.loadbalancers",
]);

export const isHugePages = (name: string) => name.startsWith("hugepages-");

/** Kubernetes' own: no domain, or one of its own. */
export function isNativeResource(name: string): boolean {
  return !name.includes("/") || name.includes("kubernetes.io/");
}

export function isExtendedResource(name: string): boolean {
  if (isNativeResource(name) || name.startsWith(quotaPrefix)) return false;
  return qualifiedNameProblems(quotaPrefix + name).length === 0;
}

/** Requests below limits make sense for what can be shared or slowed down. */
export function allowsOvercommit(name: string): boolean {
  return isNativeResource(name) && !isHugePages(name);
}

export function isStandardContainerResource(name: string): boolean {
  return containerResources.has(name) || isHugePages(name);
}

export function isStandardQuotaResource(name: string): boolean {
  return (
    (standardResources.has(name) && name !== "storage") ||
    isHugePages(name) ||
    isHugePages(name.replace(quotaPrefix, ""))
  );
}

export function isIntegerResource(name: string): boolean {
  return countedResources.has(name) || isExtendedResource(name);
}

/** A name that is at least known or has a domain. */
export function validResourceName(name: string, path: FieldPath): FieldError[] {
  const errors = obeys(name, qualifiedNameProblems, path);
  if (errors.length > 0 || name.includes("/")) return errors;
  if (standardResources.has(name) || isHugePages(name) || isHugePages(name.replace(quotaPrefix, ""))) return errors;
  return [invalid(path, name, "must be a standard resource type or fully qualified")];
}

export function validContainerResourceName(name: string, path: FieldPath): FieldError[] {
  const errors = validResourceName(name, path);
  if (!name.includes("/")) {
    if (!isStandardContainerResource(name)) {
      errors.push(invalid(path, name, "must be a standard resource for containers"));
    }
  } else if (!isNativeResource(name) && !isExtendedResource(name)) {
    errors.push(invalid(path, name, "doesn't follow extended resource name standard"));
  }
  return errors;
}

export function validQuotaResourceName(name: string, path: FieldPath): FieldError[] {
  const errors = validResourceName(name, path);
  if (!name.includes("/") && !isStandardQuotaResource(name)) {
    errors.push(invalid(path, name, "must be a standard resource for quota"));
  }
  return errors;
}

export function validAmount(name: string, amount: string, path: FieldPath): FieldError[] {
  const quantity = Quantity.parse(amount);
  const errors = quantity.sign() < 0 ? [invalid(path, amount, nonNegativeMessage)] : [];
  if (isIntegerResource(name) && !quantity.isInteger()) errors.push(invalid(path, amount, "must be an integer"));
  return errors;
}
