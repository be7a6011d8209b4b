/** An object on its way through kustomizations, with the names that it has had: patches and references know it by any of them. */
import type { Unstructured } from "../api.ts";
import type { SortOptions } from "./kustomization.ts";

export interface Resource {
  object: Unstructured;
  /** The first one first; the current one is the object's own. */
  formerNames: string[];
  formerNamespaces: (string | undefined)[];
  /** A generated object whose name ends in a hash of its content. */
  needsHash: boolean;
}

export const resourceOf = (object: Unstructured): Resource => ({
  object,
  formerNames: [],
  formerNamespaces: [],
  needsHash: false,
});

export function rename(resource: Resource, name: string): void {
  resource.formerNames.push(resource.object.metadata.name);
  resource.object.metadata.name = name;
}

export const hasHadName = ({ object, formerNames }: Resource, name: string): boolean =>
  object.metadata.name === name || formerNames.includes(name);

export function groupOf({ apiVersion = "" }: Unstructured): string {
  return apiVersion.includes("/") ? apiVersion.split("/")[0]! : "";
}

/** `Deployment.v1.apps/web.shop`, as kustomize writes it. */
export function idOf({ apiVersion = "", kind, metadata }: Unstructured): string {
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["[noGrp]", apiVersion];
  return `${kind}.${version}.${group}/${metadata?.name}.${metadata?.namespace ?? "[noNs]"}`;
}

const clusterScoped = new Set([
  "Namespace",
  "Node",
  "PersistentVolume",
  "ClusterRole",
  "ClusterRoleBinding",
  "CustomResourceDefinition",
  "StorageClass",
  "PriorityClass",
  "IngressClass",
  "RuntimeClass",
  "CSIDriver",
  "CSINode",
  "VolumeAttachment",
  "APIService",
  "MutatingWebhookConfiguration",
  "ValidatingWebhookConfiguration",
  "ValidatingAdmissionPolicy",
  "ValidatingAdmissionPolicyBinding",
  "FlowSchema",
  "PriorityLevelConfiguration",
  "CertificateSigningRequest",
]);

/** Of kinds that are not built in nobody is asked: they count as namespaced, as in kustomize. */
export const isNamespaced = ({ kind = "" }: Unstructured): boolean => !clusterScoped.has(kind);

const usuallyFirst = [
  "Namespace",
  "ResourceQuota",
  "StorageClass",
  "CustomResourceDefinition",
  "ServiceAccount",
  "PodSecurityPolicy",
  "Role",
  "ClusterRole",
  "RoleBinding",
  "ClusterRoleBinding",
  "ConfigMap",
  "Secret",
  "Endpoints",
  "Service",
  "LimitRange",
  "PriorityClass",
  "PersistentVolume",
  "PersistentVolumeClaim",
  "Deployment",
  "StatefulSet",
  "CronJob",
  "PodDisruptionBudget",
];
const usuallyLast = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/** What others need comes first, unless the kustomization says otherwise. */
export function inOrder(
  resources: readonly Resource[],
  { order = "legacy", legacySortOptions: { orderFirst, orderLast } = {} }: SortOptions = {},
): Resource[] {
  if (order === "fifo") return [...resources];
  // Who names kinds names them all.
  const [first, last] = orderFirst || orderLast ? [orderFirst ?? [], orderLast ?? []] : [usuallyFirst, usuallyLast];
  const rank = ({ object: { kind = "" } }: Resource) => {
    if (last.includes(kind)) return 1 + last.indexOf(kind);
    return first.includes(kind) ? first.indexOf(kind) - first.length : 0;
  };
  const key = ({ object: { apiVersion = "", kind, metadata } }: Resource) => {
    const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["~G", apiVersion];
    return [group, version, kind, metadata.namespace ?? "", metadata.name].join("\u0001");
  };
  return [...resources].sort((a, b) => rank(a) - rank(b) || (key(a) < key(b) ? -1 : 1));
}
