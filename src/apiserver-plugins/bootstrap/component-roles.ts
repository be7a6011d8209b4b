/** The roles of components beside the controllers, and of those who stand in for them (bootstrappolicy upstream). */
import type { BootstrapObject } from "./bootstrap-object.ts";
import {
  at,
  clusterRole,
  clusterRoleBinding,
  events,
  namespaceRole,
  namespaceRoleBinding,
  on,
  onNamed,
  read,
  readUpdate,
  toGroup,
  toSystemAccount,
  toUser,
} from "./default-rbac.ts";

const certificates = "certificates.k8s.io";
const follow = ["list", "watch"];
const patchUpdate = ["patch", "update"];

const reviews = [
  on("authentication.k8s.io", ["create"], "tokenreviews"),
  on("authorization.k8s.io", ["create"], "subjectaccessreviews"),
];

function leases(holder: string, verbs: readonly string[]) {
  return [on("coordination.k8s.io", ["create"], "leases"), onNamed([holder], "coordination.k8s.io", verbs, "leases")];
}

const clusterRoles: readonly BootstrapObject[] = [
  clusterRole("system:auth-delegator", reviews),
  clusterRole("system:heapster", [
    on("", read, "events", "namespaces", "nodes", "pods"),
    on("extensions", read, "deployments"),
  ]),
  clusterRole("system:kube-aggregator", [on("", read, "endpoints", "services")]),
  clusterRole("system:kube-controller-manager", [
    events,
    ...leases("kube-controller-manager", ["get", "update"]),
    on("", ["create"], "secrets", "serviceaccounts"),
    on("", ["delete"], "secrets"),
    on("", ["get"], "configmaps", "namespaces", "secrets", "serviceaccounts"),
    on("", ["update"], "secrets", "serviceaccounts"),
    ...reviews,
    on("*", follow, "*"),
    on("", ["create"], "serviceaccounts/token"),
  ]),
  clusterRole("system:kube-dns", [on("", follow, "endpoints", "services")]),
  clusterRole("system:kube-scheduler", [
    events,
    ...leases("kube-scheduler", [...read, "update"]),
    on("", read, "nodes"),
    on("", [...read, "delete"], "pods"),
    on("", ["create"], "bindings", "pods/binding"),
    on("", patchUpdate, "pods/status"),
    on("", read, "replicationcontrollers", "services"),
    on(["apps", "extensions"], read, "replicasets"),
    on("apps", read, "statefulsets"),
    on("policy", read, "poddisruptionbudgets"),
    on("", read, "persistentvolumeclaims", "persistentvolumes"),
    ...reviews,
    on("storage.k8s.io", read, "csinodes"),
    on("storage.k8s.io", read, "volumeattachments"),
    on("", read, "namespaces"),
    on("storage.k8s.io", read, "csidrivers"),
    on("storage.k8s.io", read, "csistoragecapacities"),
    on("resource.k8s.io", read, "deviceclasses"),
    on("resource.k8s.io", [...readUpdate, "create", "delete"], "resourceclaims"),
    on("resource.k8s.io", readUpdate, "resourceclaims/status"),
    on("", readUpdate, "pods/finalizers"),
    on("resource.k8s.io", read, "resourceslices"),
  ]),
  clusterRole("system:kubelet-api-admin", [
    on("", read, "nodes"),
    on("", ["proxy"], "nodes"),
    on("", ["*"], "nodes/log", "nodes/metrics", "nodes/proxy", "nodes/stats"),
    on("", ["*"], "nodes/configz", "nodes/healthz", "nodes/pods"),
  ]),
  clusterRole("system:monitoring", [
    at(["get"], "/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/metrics/slis", "/readyz", "/readyz/*"),
  ]),
  clusterRole("system:node", [
    on("authentication.k8s.io", ["create"], "tokenreviews"),
    on("authorization.k8s.io", ["create"], "localsubjectaccessreviews", "subjectaccessreviews"),
    on("", read, "services"),
    on("", [...read, "create"], "nodes"),
    on("", patchUpdate, "nodes/status"),
    on("", patchUpdate, "nodes"),
    on("", ["create", ...patchUpdate], "events"),
    on("", read, "pods"),
    on("", ["create", "delete"], "pods"),
    on("", patchUpdate, "pods/status"),
    on("", ["create"], "pods/eviction"),
    on("", read, "configmaps", "secrets"),
    on("", ["get"], "persistentvolumeclaims", "persistentvolumes"),
    on("", ["get"], "endpoints"),
    on(certificates, [...read, "create"], "certificatesigningrequests"),
    on("coordination.k8s.io", ["create", "delete", "get", ...patchUpdate], "leases"),
    on("storage.k8s.io", ["get"], "volumeattachments"),
    on("", ["create"], "serviceaccounts/token"),
    on("", ["get", ...patchUpdate], "persistentvolumeclaims/status"),
    on("storage.k8s.io", read, "csidrivers"),
    on("storage.k8s.io", ["create", "delete", "get", ...patchUpdate], "csinodes"),
    on("node.k8s.io", read, "runtimeclasses"),
    on("resource.k8s.io", ["get"], "resourceclaims"),
    on("resource.k8s.io", ["deletecollection"], "resourceslices"),
    on("", ["get"], "serviceaccounts"),
  ]),
  clusterRole("system:node-bootstrapper", [on(certificates, [...read, "create"], "certificatesigningrequests")]),
  clusterRole("system:node-problem-detector", [on("", ["get"], "nodes"), on("", ["patch"], "nodes/status"), events]),
  clusterRole("system:node-proxier", [
    on("", follow, "endpoints", "services"),
    on("", read, "nodes"),
    events,
    on("networking.k8s.io", follow, "servicecidrs"),
    on("discovery.k8s.io", follow, "endpointslices"),
  ]),
  clusterRole("system:persistent-volume-provisioner", [
    on("", [...read, "create", "delete"], "persistentvolumes"),
    on("", [...read, "update"], "persistentvolumeclaims"),
    on("storage.k8s.io", read, "storageclasses"),
    on("", ["watch"], "events"),
    events,
  ]),
  clusterRole("system:volume-scheduler", [
    on("", readUpdate, "persistentvolumes"),
    on("storage.k8s.io", read, "storageclasses"),
    on("", readUpdate, "persistentvolumeclaims"),
  ]),
  ...["nodeclient", "selfnodeclient"].map((kind) =>
    clusterRole(`system:certificates.k8s.io:certificatesigningrequests:${kind}`, [
      on(certificates, ["create"], `certificatesigningrequests/${kind}`),
    ]),
  ),
  ...["kube-apiserver-client", "kube-apiserver-client-kubelet", "kubelet-serving", "legacy-unknown"].map((signer) =>
    clusterRole(`system:certificates.k8s.io:${signer}-approver`, [
      onNamed([`kubernetes.io/${signer}`], certificates, ["approve"], "signers"),
    ]),
  ),
];

const clusterRoleBindings: readonly BootstrapObject[] = [
  clusterRoleBinding("system:kube-controller-manager", toUser("system:kube-controller-manager")),
  clusterRoleBinding("system:kube-dns", toSystemAccount("kube-dns")),
  clusterRoleBinding("system:kube-scheduler", toUser("system:kube-scheduler")),
  clusterRoleBinding("system:monitoring", toGroup("system:monitoring")),
  // Nodes are let in by the Node authorizer.
  clusterRoleBinding("system:node"),
  clusterRoleBinding("system:node-proxier", toUser("system:kube-proxy")),
  clusterRoleBinding("system:volume-scheduler", toUser("system:kube-scheduler")),
];

/** The leader's lock of a component that runs beside others of its name. */
function leaderLock(component: string, user: string, accounts: readonly string[], withLeases: boolean) {
  const name = `system::leader-locking-${component}`;
  const rules = [on("", ["watch"], "configmaps"), onNamed([component], "", ["get", "update"], "configmaps")];
  if (withLeases) rules.push(on("coordination.k8s.io", [...read, "create", "update"], "leases"));
  return [
    namespaceRole("kube-system", name, ...rules),
    namespaceRoleBinding("kube-system", name, [toUser(user), ...accounts.map(toSystemAccount)]),
  ];
}

const authentication = "extension-apiserver-authentication";
const signer = "system:controller:bootstrap-signer";
const cleaner = "system:controller:token-cleaner";
const cloud = "system:controller:cloud-provider";
const namespaced: readonly BootstrapObject[] = [
  namespaceRole("kube-system", `${authentication}-reader`, onNamed([authentication], "", read, "configmaps")),
  namespaceRoleBinding(
    "kube-system",
    `system::${authentication}-reader`,
    [toUser("system:kube-controller-manager"), toUser("system:kube-scheduler")],
    `${authentication}-reader`,
  ),
  namespaceRole("kube-system", signer, on("", read, "secrets")),
  namespaceRoleBinding("kube-system", signer, [toSystemAccount("bootstrap-signer")]),
  namespaceRole("kube-system", cloud, on("", [...read, "create"], "configmaps")),
  namespaceRoleBinding("kube-system", cloud, [toSystemAccount("cloud-provider")]),
  namespaceRole("kube-system", cleaner, on("", [...read, "delete"], "secrets"), events),
  namespaceRoleBinding("kube-system", cleaner, [toSystemAccount("token-cleaner")]),
  ...leaderLock(
    "kube-controller-manager",
    "system:kube-controller-manager",
    ["kube-controller-manager", "leader-election-controller"],
    true,
  ),
  ...leaderLock("kube-scheduler", "system:kube-scheduler", ["kube-scheduler"], false),
  namespaceRole(
    "kube-public",
    signer,
    on("", read, "configmaps"),
    onNamed(["cluster-info"], "", ["update"], "configmaps"),
    events,
  ),
  namespaceRoleBinding("kube-public", signer, [toSystemAccount("bootstrap-signer")]),
];

export const componentRoles: readonly BootstrapObject[] = [...clusterRoles, ...clusterRoleBindings, ...namespaced];
