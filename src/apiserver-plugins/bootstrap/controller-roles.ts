/**
 * One ClusterRole for each controller, bound to a ServiceAccount of kube-system: what it needs when it runs outside this
 * process (bootstrappolicy upstream). Those of gates that are off by default are left out.
 */
import type { PolicyRule } from "../../api/rbac/v1.ts";
import type { BootstrapObject } from "./bootstrap-object.ts";
import {
  clusterRole,
  clusterRoleBinding,
  events,
  on,
  onNamed,
  rbacGroup,
  read,
  readUpdate,
  toSystemAccount,
} from "./default-rbac.ts";

const follow = ["list", "watch"];
const patchUpdate = ["patch", "update"];
const getUpdate = [...read, "update"];
/** Deployments and their like once lived in `extensions`; upstream's roles still say so. */
const apps = ["apps", "extensions"];
const signers = [
  "kubernetes.io/legacy-unknown",
  "kubernetes.io/kube-apiserver-client",
  "kubernetes.io/kube-apiserver-client-kubelet",
  "kubernetes.io/kubelet-serving",
];

/** What a controller of replicas does with its own kind and with its pods. */
function replicas(groups: string | string[], plural: string): PolicyRule[] {
  return [
    on(groups, getUpdate, plural),
    on(groups, ["update"], `${plural}/status`),
    on(groups, ["update"], `${plural}/finalizers`),
    on("", ["create", "delete", "list", "patch", "watch"], "pods"),
    events,
  ];
}

const rulesOf: Readonly<Record<string, readonly PolicyRule[]>> = {
  "attachdetach-controller": [
    on("", follow, "persistentvolumeclaims", "persistentvolumes"),
    on("", read, "nodes"),
    on("", patchUpdate, "nodes/status"),
    on("", follow, "pods"),
    events,
    on("storage.k8s.io", [...read, "create", "delete"], "volumeattachments"),
    on("storage.k8s.io", read, "csidrivers"),
    on("storage.k8s.io", read, "csinodes"),
  ],
  "certificate-controller": [
    on("certificates.k8s.io", [...read, "delete"], "certificatesigningrequests"),
    on("certificates.k8s.io", ["update"], "certificatesigningrequests/approval", "certificatesigningrequests/status"),
    onNamed([signers[2]!], "certificates.k8s.io", ["approve"], "signers"),
    onNamed(signers, "certificates.k8s.io", ["sign"], "signers"),
    on("authorization.k8s.io", ["create"], "subjectaccessreviews"),
    events,
  ],
  "clusterrole-aggregation-controller": [on(rbacGroup, [...readUpdate, "escalate"], "clusterroles")],
  "cronjob-controller": [
    on("batch", getUpdate, "cronjobs"),
    on("batch", [...readUpdate, "create", "delete"], "jobs"),
    on("batch", ["update"], "cronjobs/status"),
    on("batch", ["update"], "cronjobs/finalizers"),
    on("", ["delete", ...follow], "pods"),
    events,
  ],
  "daemon-set-controller": [
    on(apps, read, "daemonsets"),
    on(apps, ["update"], "daemonsets/status"),
    on(apps, ["update"], "daemonsets/finalizers"),
    on("", follow, "nodes"),
    on("", ["create", "delete", "list", "patch", "watch"], "pods"),
    on("", ["create"], "pods/binding"),
    on("apps", [...readUpdate, "create", "delete"], "controllerrevisions"),
    events,
  ],
  "deployment-controller": [
    on(apps, getUpdate, "deployments"),
    on(apps, ["update"], "deployments/status"),
    on(apps, ["update"], "deployments/finalizers"),
    on(apps, [...readUpdate, "create", "delete"], "replicasets"),
    on("", getUpdate, "pods"),
    events,
  ],
  "device-taint-eviction-controller": [
    on("", [...read, "delete"], "pods"),
    on("", patchUpdate, "pods/status"),
    on("resource.k8s.io", read, "resourceclaims"),
    on("resource.k8s.io", read, "resourceslices"),
    on("resource.k8s.io", read, "deviceclasses"),
    on("resource.k8s.io", read, "devicetaintrules"),
    events,
  ],
  "disruption-controller": [
    on(apps, read, "deployments"),
    on(apps, read, "replicasets"),
    on("", read, "replicationcontrollers"),
    on("policy", read, "poddisruptionbudgets"),
    on("apps", read, "statefulsets"),
    on("policy", ["update"], "poddisruptionbudgets/status"),
    on("", patchUpdate, "pods/status"),
    on("*", ["get"], "*/scale"),
    events,
  ],
  "endpoint-controller": [
    on("", read, "pods", "services"),
    on("", [...getUpdate, "create", "delete"], "endpoints"),
    on("", ["create"], "endpoints/restricted"),
    events,
  ],
  "endpointslice-controller": [
    on("", read, "nodes", "pods", "services"),
    on("", ["update"], "services/finalizers"),
    on("discovery.k8s.io", [...getUpdate, "create", "delete"], "endpointslices"),
    events,
  ],
  "endpointslicemirroring-controller": [
    on("", read, "endpoints", "services"),
    on("", ["update"], "services/finalizers"),
    on("", ["update"], "endpoints/finalizers"),
    on("discovery.k8s.io", [...getUpdate, "create", "delete"], "endpointslices"),
    events,
  ],
  "ephemeral-volume-controller": [
    on("", read, "pods"),
    on("", ["update"], "pods/finalizers"),
    on("", [...read, "create"], "persistentvolumeclaims"),
    events,
  ],
  "expand-controller": [
    on("", readUpdate, "persistentvolumes"),
    on("", patchUpdate, "persistentvolumeclaims/status"),
    on("", read, "persistentvolumeclaims"),
    events,
    on("", ["get"], "services"),
  ],
  "generic-garbage-collector": [on("*", [...readUpdate, "delete"], "*"), events],
  "horizontal-pod-autoscaler": [
    on("autoscaling", read, "horizontalpodautoscalers"),
    on("autoscaling", ["update"], "horizontalpodautoscalers/status"),
    on("*", ["get", "update"], "*/scale"),
    on("", follow, "pods"),
    on("metrics.k8s.io", follow, "pods"),
    on("custom.metrics.k8s.io", read, "*"),
    on("external.metrics.k8s.io", read, "*"),
    events,
  ],
  "job-controller": [
    on("batch", readUpdate, "jobs"),
    on("batch", ["update"], "jobs/status"),
    on("batch", ["update"], "jobs/finalizers"),
    on("", ["create", "delete", "list", "patch", "watch"], "pods"),
    events,
  ],
  "legacy-service-account-token-cleaner": [
    onNamed(["kube-apiserver-legacy-service-account-token-tracking"], "", ["get"], "configmaps"),
    on("", ["delete", "patch"], "secrets"),
  ],
  "namespace-controller": [
    on("", [...read, "delete"], "namespaces"),
    on("", ["update"], "namespaces/finalize", "namespaces/status"),
    on("*", [...read, "delete", "deletecollection"], "*"),
  ],
  "node-controller": [
    on("", [...readUpdate, "delete"], "nodes"),
    on("", patchUpdate, "nodes/status"),
    on("", patchUpdate, "pods/status"),
    on("", [...read, "delete"], "pods"),
    events,
  ],
  "persistent-volume-binder": [
    on("", [...getUpdate, "create", "delete"], "persistentvolumes"),
    on("", ["update"], "persistentvolumes/status"),
    on("", getUpdate, "persistentvolumeclaims"),
    on("", ["update"], "persistentvolumeclaims/status"),
    on("", [...read, "create", "delete"], "pods"),
    on("storage.k8s.io", read, "storageclasses"),
    on("", follow, "nodes"),
    events,
    on("", ["watch"], "events"),
    on("", ["get"], "services"),
  ],
  "pod-garbage-collector": [
    on("", ["delete", ...follow], "pods"),
    on("", read, "nodes"),
    on("", ["patch"], "pods/status"),
  ],
  "pv-protection-controller": [on("", getUpdate, "persistentvolumes"), events],
  "pvc-protection-controller": [on("", getUpdate, "persistentvolumeclaims"), on("", read, "pods"), events],
  "replicaset-controller": replicas(apps, "replicasets"),
  "replication-controller": replicas("", "replicationcontrollers"),
  "resource-claim-controller": [
    on("", read, "pods"),
    on("", ["update"], "pods/finalizers"),
    on("resource.k8s.io", [...read, "create", "delete"], "resourceclaims"),
    on("resource.k8s.io", patchUpdate, "resourceclaims", "resourceclaims/status"),
    on("", patchUpdate, "pods/status"),
    events,
  ],
  "resourcequota-controller": [on("*", follow, "*"), on("", ["update"], "resourcequotas/status"), events],
  "root-ca-cert-publisher": [on("", ["create", "update"], "configmaps"), events],
  "route-controller": [on("", follow, "nodes"), on("", ["patch"], "nodes/status"), events],
  "selinux-warning-controller": [
    events,
    on("", read, "persistentvolumes"),
    on("", read, "persistentvolumeclaims"),
    on("", read, "pods"),
    on("storage.k8s.io", read, "csidrivers"),
  ],
  "service-account-controller": [on("", ["create"], "serviceaccounts"), events],
  "service-cidrs-controller": [
    on("networking.k8s.io", readUpdate, "servicecidrs"),
    on("networking.k8s.io", patchUpdate, "servicecidrs/finalizers"),
    on("networking.k8s.io", patchUpdate, "servicecidrs/status"),
    on("networking.k8s.io", read, "ipaddresses"),
    events,
  ],
  "service-controller": [
    on("", read, "services"),
    on("", patchUpdate, "services/status"),
    on("", follow, "nodes"),
    events,
  ],
  "statefulset-controller": [
    on("", follow, "pods"),
    on("apps", read, "statefulsets"),
    on("apps", ["update"], "statefulsets/status"),
    on("apps", ["update"], "statefulsets/finalizers"),
    on("", ["create", "delete", "get", "patch", "update"], "pods"),
    on("apps", [...readUpdate, "create", "delete"], "controllerrevisions"),
    on("", [...read, "create"], "persistentvolumeclaims"),
    on("", ["delete", "update"], "persistentvolumeclaims"),
    on("", ["update"], "pods/finalizers"),
    events,
  ],
  "ttl-after-finished-controller": [on("batch", [...read, "delete"], "jobs"), events],
  "ttl-controller": [on("", [...follow, ...patchUpdate], "nodes"), events],
  "validatingadmissionpolicy-status-controller": [
    on("admissionregistration.k8s.io", read, "validatingadmissionpolicies"),
    on("admissionregistration.k8s.io", ["get", ...patchUpdate], "validatingadmissionpolicies/status"),
    events,
  ],
  "volumeattributesclass-protection-controller": [
    on("", read, "persistentvolumeclaims"),
    on("", read, "persistentvolumes"),
    on("storage.k8s.io", getUpdate, "volumeattributesclasses"),
    events,
  ],
};

export const controllerRoles: readonly BootstrapObject[] = Object.entries(rulesOf).flatMap(([controller, rules]) => {
  const name = `system:controller:${controller}`;
  return [clusterRole(name, rules), clusterRoleBinding(name, toSystemAccount(controller))];
});
