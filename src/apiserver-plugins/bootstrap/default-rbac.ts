/** How the default roles and bindings are written down. What they share: a label, and that a start completes them again. */
import type { New } from "../../api/object.ts";
import type { ClusterRole, PolicyRule, Subject } from "../../api/rbac/v1.ts";
import { ClusterRoleBindings, ClusterRoles, RoleBindings, Roles } from "../../api/resources.ts";
import { atStart, type BootstrapObject } from "./bootstrap-object.ts";

export const rbacGroup = "rbac.authorization.k8s.io";
const labels = { "kubernetes.io/bootstrapping": "rbac-defaults" };
const annotations = { "rbac.authorization.kubernetes.io/autoupdate": "true" };

export const read = ["get", "list", "watch"];
export const readUpdate = [...read, "patch", "update"];
export const write = ["create", "delete", "deletecollection", "patch", "update"];
export const readWrite = [...write, ...read];

/** `on("apps", ["get"], "deployments", ...)`. */
export function on(apiGroups: string | string[], verbs: readonly string[], ...resources: string[]): PolicyRule {
  return { apiGroups: [apiGroups].flat(), resources: resources.sort(), verbs: [...verbs].sort() };
}

/** The same for objects of these names only. */
export function onNamed(names: readonly string[], ...rule: Parameters<typeof on>): PolicyRule {
  return { ...on(...rule), resourceNames: [...names] };
}

export function at(verbs: readonly string[], ...nonResourceURLs: string[]): PolicyRule {
  return { nonResourceURLs, verbs: [...verbs] };
}

/** Recording events, which nearly every component does. */
export const events = on(["", "events.k8s.io"], ["create", "patch", "update"], "events");

export function clusterRole(
  name: string,
  rules: readonly PolicyRule[],
  more: Partial<New<ClusterRole>> = {},
  label = {},
): BootstrapObject {
  const metadata = { name, labels: { ...labels, ...label }, annotations };
  return atStart(ClusterRoles, { metadata, rules: [...rules], ...more }, "complete");
}

/** Binds the ClusterRole of the same name. */
export function clusterRoleBinding(name: string, ...subjects: Subject[]): BootstrapObject {
  const roleRef = { apiGroup: rbacGroup, kind: "ClusterRole", name };
  const bound = subjects.length > 0 ? { subjects } : {};
  return atStart(ClusterRoleBindings, { metadata: { name, labels, annotations }, roleRef, ...bound }, "complete");
}

export function namespaceRole(namespace: string, name: string, ...rules: PolicyRule[]): BootstrapObject {
  return atStart(Roles, { metadata: { name, namespace, labels, annotations }, rules }, "complete");
}

/** Binds a Role of its namespace, by default that of the same name. */
export function namespaceRoleBinding(
  namespace: string,
  name: string,
  subjects: Subject[],
  roleName = name,
): BootstrapObject {
  const roleRef = { apiGroup: rbacGroup, kind: "Role", name: roleName };
  return atStart(RoleBindings, { metadata: { name, namespace, labels, annotations }, roleRef, subjects }, "complete");
}

export const toGroup = (name: string): Subject => ({ apiGroup: rbacGroup, kind: "Group", name });
export const toUser = (name: string): Subject => ({ apiGroup: rbacGroup, kind: "User", name });
/** To a ServiceAccount of kube-system. */
export const toSystemAccount = (name: string): Subject => ({ kind: "ServiceAccount", name, namespace: "kube-system" });
