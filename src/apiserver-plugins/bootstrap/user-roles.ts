/** The ClusterRoles that users are given, and those that everybody has (bootstrappolicy upstream). */
import type { PolicyRule } from "../../api/rbac/v1.ts";
import type { BootstrapObject } from "./bootstrap-object.ts";
import {
  at,
  clusterRole,
  clusterRoleBinding,
  events,
  on,
  onNamed,
  rbacGroup,
  read,
  readWrite,
  toGroup,
  toSystemAccount,
  write,
} from "./default-rbac.ts";

const aggregateTo = (role: string) => `${rbacGroup}/aggregate-to-${role}`;

/** A role that is the sum of all roles that carry its label; users add to it by labelling theirs. */
function sumRole(name: string, label = {}): BootstrapObject {
  const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { [aggregateTo(name)]: "true" } }] };
  return clusterRole(name, summands[name]!, { aggregationRule }, label);
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

/** What the group `extensions` once held. */
const formerly = [
  "daemonsets",
  "deployments",
  "deployments/scale",
  "ingresses",
  "networkpolicies",
  "replicasets",
  "replicasets/scale",
  "replicationcontrollers/scale",
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
  on(
    "extensions",
    read,
    ...formerly,
    "daemonsets/status",
    "deployments/status",
    "ingresses/status",
    "replicasets/status",
  ),
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
  on("extensions", write, ...formerly, "deployments/rollback"),
  on("policy", write, "poddisruptionbudgets"),
  on("networking.k8s.io", write, "ingresses", "networkpolicies"),
  on("coordination.k8s.io", readWrite, "leases"),
  on("resource.k8s.io", write, "resourceclaims", "resourceclaimtemplates"),
];

const adminRules: PolicyRule[] = [
  on("authorization.k8s.io", ["create"], "localsubjectaccessreviews"),
  on(rbacGroup, readWrite, "rolebindings", "roles"),
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
  clusterRole("cluster-admin", [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }, at(["*"], "*")]),
  clusterRole("system:discovery", [at(["get"], ...discoveryPaths)]),
  clusterRole("system:public-info-viewer", [at(["get"], ...publicPaths)]),
  clusterRole("system:basic-user", [
    on("authorization.k8s.io", ["create"], "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
    on("authentication.k8s.io", ["create"], "selfsubjectreviews"),
  ]),
  sumRole("admin"),
  sumRole("edit", { [aggregateTo("admin")]: "true" }),
  sumRole("view", { [aggregateTo("edit")]: "true" }),
  clusterRole("system:aggregate-to-admin", adminRules, {}, { [aggregateTo("admin")]: "true" }),
  clusterRole("system:aggregate-to-edit", editRules, {}, { [aggregateTo("edit")]: "true" }),
  clusterRole("system:aggregate-to-view", viewRules, {}, { [aggregateTo("view")]: "true" }),
  clusterRole("system:service-account-issuer-discovery", [
    at(
      ["get"],
      "/.well-known/openid-configuration",
      "/.well-known/openid-configuration/",
      "/openid/v1/jwks",
      "/openid/v1/jwks/",
    ),
  ]),
];

const authenticated = toGroup("system:authenticated");

const bindings: readonly BootstrapObject[] = [
  clusterRoleBinding("cluster-admin", toGroup("system:masters")),
  clusterRoleBinding("system:discovery", authenticated),
  clusterRoleBinding("system:basic-user", authenticated),
  clusterRoleBinding("system:public-info-viewer", authenticated, toGroup("system:unauthenticated")),
  clusterRoleBinding("system:service-account-issuer-discovery", toGroup("system:serviceaccounts")),
];

export const userRoles: readonly BootstrapObject[] = [...roles, ...bindings];

const publisher = "kube-apiserver-serving-clustertrustbundle-publisher";

/** Where there are ClusterTrustBundles, every ServiceAccount may read them: pods mount them. */
export const trustBundleRoles: readonly BootstrapObject[] = [
  clusterRole("system:cluster-trust-bundle-discovery", [on("certificates.k8s.io", read, "clustertrustbundles")]),
  clusterRoleBinding("system:cluster-trust-bundle-discovery", toGroup("system:serviceaccounts")),
  clusterRole(`system:controller:${publisher}`, [
    onNamed(["kubernetes.io/kube-apiserver-serving"], "certificates.k8s.io", ["attest"], "signers"),
    on("certificates.k8s.io", ["create", "delete", "list", "update", "watch"], "clustertrustbundles"),
    events,
  ]),
  clusterRoleBinding(`system:controller:${publisher}`, toSystemAccount(publisher)),
];
