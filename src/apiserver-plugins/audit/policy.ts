/** Upstream's audit policy: which requests are recorded, and how much of them. */
import type { Attributes } from "../../apiserver/authorization.ts";

export type AuditLevel = "None" | "Metadata" | "Request" | "RequestResponse";
export type AuditStage = "RequestReceived" | "ResponseStarted" | "ResponseComplete" | "Panic";

export interface AuditPolicyRule {
  level: AuditLevel;
  users?: readonly string[];
  userGroups?: readonly string[];
  verbs?: readonly string[];
  resources?: readonly { group?: string; resources?: readonly string[]; resourceNames?: readonly string[] }[];
  namespaces?: readonly string[];
  nonResourceURLs?: readonly string[];
  omitStages?: readonly AuditStage[];
  omitManagedFields?: boolean;
}

/** `audit.k8s.io/v1` Policy. */
export interface AuditPolicy {
  apiVersion: "audit.k8s.io/v1";
  kind: "Policy";
  rules: readonly AuditPolicyRule[];
  omitStages?: readonly AuditStage[];
  omitManagedFields?: boolean;
}

export interface AuditDecision {
  level: AuditLevel;
  omitStages: ReadonlySet<AuditStage>;
  omitManagedFields: boolean;
}

/** The first rule that fits decides; without one nothing is recorded. */
export function decide(policy: AuditPolicy, attributes: Attributes): AuditDecision {
  const rule = policy.rules.find((candidate) => fits(candidate, attributes));
  return {
    level: rule?.level ?? "None",
    omitStages: new Set([...(policy.omitStages ?? []), ...(rule?.omitStages ?? [])]),
    omitManagedFields: rule?.omitManagedFields ?? policy.omitManagedFields ?? false,
  };
}

function fits(rule: AuditPolicyRule, asked: Attributes): boolean {
  if (rule.users?.length && !rule.users.includes(asked.user.name)) return false;
  if (rule.userGroups?.length && !rule.userGroups.some((group) => asked.user.groups.includes(group))) return false;
  if (rule.verbs?.length && !rule.verbs.includes(asked.verb)) return false;
  if (!rule.namespaces?.length && !rule.resources?.length) {
    if (!rule.nonResourceURLs?.length) return true;
    return !asked.isResource && rule.nonResourceURLs.some((pattern) => urlFits(pattern, asked.path));
  }
  if (!asked.isResource) return false;
  if (rule.namespaces?.length && !rule.namespaces.includes(asked.namespace)) return false;
  if (!rule.resources?.length) return true;
  return rule.resources.some(({ group = "", resources, resourceNames }) => {
    if (group !== asked.group && group !== "*") return false;
    if (!resources?.length) return true;
    if (resourceNames?.length && !resourceNames.includes(asked.name)) return false;
    return resources.some((pattern) => resourceFits(pattern, asked.resource, asked.subresource));
  });
}

function urlFits(pattern: string, path: string): boolean {
  return pattern === "*" || pattern === path || (pattern.endsWith("*") && path.startsWith(pattern.replace(/\*+$/, "")));
}

function resourceFits(pattern: string, resource: string, subresource: string): boolean {
  const full = subresource ? `${resource}/${subresource}` : resource;
  if (pattern === full || pattern === "*") return true;
  if (pattern.startsWith("*/")) return subresource === pattern.slice(2);
  return pattern.endsWith("/*") && resource === pattern.slice(0, -2);
}
