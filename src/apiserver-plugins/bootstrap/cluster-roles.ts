/** The ClusterRoles and bindings that users and components count on (bootstrappolicy upstream), without those of cloud controllers. */

import type { New } from "../../api/object.ts";
import type { ClusterRole, PolicyRule, Subject } from "../../api/rbac/v1.ts";
import { ClusterRoleBindings, ClusterRoles } from "../../api/resources.ts";
import { atStart, type BootstrapObject } from "./bootstrap-object.ts";

const group = "rbac.authorization.k8s.io";
const labels = { "kubernetes.io/bootstrapping": "rbac-defaults" };
const annotations = { "rbac.authorization.kubernetes.io/autoupdate": "true" };
const aggregateTo = (role: string) => `${group}/aggregate-to-${role}`;

const read = ["get", "list", "watch"];
const write = ["create", "delete", "deletecollection", "patch", "update"];
const readWrite = [...write, ...read];

/** `on("apps", ["get"], "deployments", ...)`. */
function on(apiGroup: string, verbs: readonly string[], ...resources: string[]): PolicyRule {
  return { apiGroups: [apiGroup], resources, verbs: [...verbs] };
}

function at(verbs: readonly string[], ...nonResourceURLs: string[]): PolicyRule {
  return { nonResourceURLs, verbs: [...verbs] };
}

function role(name: string, rules: PolicyRule[], more: Partial<New<ClusterRole>> = {}, label = {}): BootstrapObject {
  return atStart(ClusterRoles, { metadata: { name, labels: { ...labels, ...label }, annotations }, rules, ...more });
}

/** A role that is the sum of all roles that carry its label; users add to it by labelling theirs. */
function sumRole(name: string, label = {}): BootstrapObject {
  const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { [aggregateTo(name)]: "true" } }] };
  return role(name, summands[name]!, { aggregationRule }, label);
}

const workloads = [
  "controllerrevisions",
  "daemonsets",
  "daemonsets/status",
  "deployments",
  "deployments/scale",
  "deployments/status",
  "replicasets",
  "replicasets/scale",
  "replicasets/status",
  "statefulsets",
  "statefulsets/scale",
  "statefulsets/status",
];
const changeableWorkloads = [
  "daemonsets",
  "deployments",
  "deployments/rollback",
  "deployments/scale",
  "replicasets",
  "replicasets/scale",
  "statefulsets",
  "statefulsets/scale",
];

const viewRules: PolicyRule[] = [
  on(
    "",
    read,
    "configmaps",
    "endpoints",
    "persistentvolumeclaims",
    "persistentvolumeclaims/status",
    "pods",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "serviceaccounts",
    "services",
    "services/status",
  ),
  on(
    "",
    read,
    "bindings",
    "events",
    "limitranges",
    "namespaces/status",
    "pods/log",
    "pods/status",
    "replicationcontrollers/status",
    "resourcequotas",
    "resourcequotas/status",
  ),
  on("", read, "namespaces"),
  on("discovery.k8s.io", read, "endpointslices"),
  on("apps", read, ...workloads),
  on("autoscaling", read, "horizontalpodautoscalers", "horizontalpodautoscalers/status"),
  on("batch", read, "cronjobs", "cronjobs/status", "jobs", "jobs/status"),
  on("policy", read, "poddisruptionbudgets", "poddisruptionbudgets/status"),
  on("networking.k8s.io", read, "ingresses", "ingresses/status", "networkpolicies"),
  on("resource.k8s.io", read, "resourceclaims", "resourceclaims/status", "resourceclaimtemplates"),
];

const editRules: PolicyRule[] = [
  on("", read, "pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"),
  on("", ["impersonate"], "serviceaccounts"),
  on("", write, "pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"),
  on("", ["create"], "pods/eviction"),
  on(
    "",
    write,
    "configmaps",
    "events",
    "persistentvolumeclaims",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "secrets",
    "serviceaccounts",
    "services",
    "services/proxy",
  ),
  on("", ["create"], "serviceaccounts/token"),
  on("apps", write, ...changeableWorkloads),
  on("autoscaling", write, "horizontalpodautoscalers"),
  on("batch", write, "cronjobs", "jobs"),
  on("policy", write, "poddisruptionbudgets"),
  on("networking.k8s.io", write, "ingresses", "networkpolicies"),
  on("coordination.k8s.io", readWrite, "leases"),
  on("resource.k8s.io", write, "resourceclaims", "resourceclaimtemplates"),
];

const adminRules: PolicyRule[] = [
  on("authorization.k8s.io", ["create"], "localsubjectaccessreviews"),
  on(group, readWrite, "rolebindings", "roles"),
];

/** What the sum roles hold before anyone adds to them. */
const summands: Readonly<Record<string, PolicyRule[]>> = {
  admin: [...adminRules, ...editRules, ...viewRules],
  edit: [...editRules, ...viewRules],
  view: viewRules,
};

const discoveryPaths = [
  "/api",
  "/api/*",
  "/apis",
  "/apis/*",
  "/healthz",
  "/livez",
  "/openapi",
  "/openapi/*",
  "/readyz",
  "/version",
  "/version/",
];
const publicPaths = ["/healthz", "/livez", "/readyz", "/version", "/version/"];

const roles: readonly BootstrapObject[] = [
  role("cluster-admin", [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }, at(["*"], "*")]),
  role("system:discovery", [at(["get"], ...discoveryPaths)]),
  role("system:public-info-viewer", [at(["get"], ...publicPaths)]),
  role("system:monitoring", [
    at(["get"], "/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/metrics/slis", "/readyz", "/readyz/*"),
  ]),
  role("system:basic-user", [
    on("authorization.k8s.io", ["create"], "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
    on("authentication.k8s.io", ["create"], "selfsubjectreviews"),
  ]),
  sumRole("admin"),
  sumRole("edit", { [aggregateTo("admin")]: "true" }),
  sumRole("view", { [aggregateTo("edit")]: "true" }),
  role("system:aggregate-to-admin", adminRules, {}, { [aggregateTo("admin")]: "true" }),
  role("system:aggregate-to-edit", editRules, {}, { [aggregateTo("edit")]: "true" }),
  role("system:aggregate-to-view", viewRules, {}, { [aggregateTo("view")]: "true" }),
  role("system:auth-delegator", [
    on("authentication.k8s.io", ["create"], "tokenreviews"),
    on("authorization.k8s.io", ["create"], "subjectaccessreviews"),
  ]),
  role("system:node-proxier", [
    on("", ["list", "watch"], "endpoints", "services"),
    on("", read, "nodes"),
    on("", ["create", "patch", "update"], "events"),
    on("events.k8s.io", ["create", "patch", "update"], "events"),
    on("discovery.k8s.io", ["list", "watch"], "endpointslices"),
    on("networking.k8s.io", ["list", "watch"], "servicecidrs"),
  ]),
  role("system:service-account-issuer-discovery", [
    at(
      ["get"],
      "/.well-known/openid-configuration",
      "/.well-known/openid-configuration/",
      "/openid/v1/jwks",
      "/openid/v1/jwks/",
    ),
  ]),
];

function binding(roleName: string, ...subjects: Subject[]): BootstrapObject {
  return atStart(ClusterRoleBindings, {
    metadata: { name: roleName, labels, annotations },
    roleRef: { apiGroup: group, kind: "ClusterRole", name: roleName },
    subjects,
  });
}

const toGroup = (name: string): Subject => ({ apiGroup: group, kind: "Group", name });
const toUser = (name: string): Subject => ({ apiGroup: group, kind: "User", name });
const authenticated = toGroup("system:authenticated");

const bindings: readonly BootstrapObject[] = [
  binding("cluster-admin", toGroup("system:masters")),
  binding("system:monitoring", toGroup("system:monitoring")),
  binding("system:discovery", authenticated),
  binding("system:basic-user", authenticated),
  binding("system:public-info-viewer", authenticated, toGroup("system:unauthenticated")),
  binding("system:node-proxier", toUser("system:kube-proxy")),
  binding("system:service-account-issuer-discovery", toGroup("system:serviceaccounts")),
];

export const defaultClusterRoles: readonly BootstrapObject[] = [...roles, ...bindings];
