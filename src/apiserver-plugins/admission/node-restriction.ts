/** NodeRestriction: a kubelet writes its own Node, its own pods and what belongs to them, and gives itself no privileges. */
import type { TokenRequest } from "../../api/authentication/v1.ts";
import type { Node, Pod } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { ResourceSlice } from "../../api/resource/v1.ts";
import { Pods } from "../../api/resources.ts";
import { deepEqual } from "../../apimachinery/patch/deep-equal.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../apiserver/admission.ts";
import type { UserInfo } from "../../apiserver/authentication.ts";
import type { ObjectReader } from "../object-reader.ts";
import { refuse } from "./refusal.ts";

const mirrorAnnotation = "kubernetes.io/config.mirror";
const leaseNamespace = "kube-node-lease";

/** Labels of these domains are the administrators', but for those that kubelets have always set. */
const protectedDomains = ["kubernetes.io", "k8s.io"];
const kubeletLabels = new Set([
  "kubernetes.io/hostname",
  "kubernetes.io/os",
  "kubernetes.io/arch",
  "beta.kubernetes.io/os",
  "beta.kubernetes.io/arch",
  "beta.kubernetes.io/instance-type",
  "node.kubernetes.io/instance-type",
  "failure-domain.beta.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region",
  "topology.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "node.kubernetes.io/windows-build",
]);
const kubeletPrefixes = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/** Empty: a user of the group whose name is no node's. Undefined: no kubelet. */
function kubeletOf({ name, groups }: UserInfo): string | undefined {
  if (!groups.includes("system:nodes")) return undefined;
  return name.startsWith("system:node:") ? name.slice("system:node:".length) : "";
}

export function nodeRestriction(objects: ObjectReader): AdmissionPlugin {
  return {
    name: "NodeRestriction",
    handles: ({ user, operation }) => operation !== "CONNECT" && user.groups.includes("system:nodes"),
    async validate(request) {
      const node = kubeletOf(request.user)!;
      const { group, plural } = request.definition;
      const resource = group ? `${plural}.${group}` : plural;
      const guarded = [
        "pods",
        "nodes",
        "serviceaccounts",
        "leases.coordination.k8s.io",
        "csinodes.storage.k8s.io",
        "resourceslices.resource.k8s.io",
      ];
      if (!guarded.includes(resource)) return;
      if (node === "") throw refuse(request, `could not determine node from user ${quote(request.user.name)}`);
      switch (resource) {
        case "pods":
          return podWrite(request, node, objects);
        case "nodes":
          return nodeWrite(request, node);
        case "serviceaccounts":
          return tokenRequest(request, node, objects);
        case "leases.coordination.k8s.io":
          if (request.namespace !== leaseNamespace)
            throw refuse(request, `can only access leases in the "${leaseNamespace}" system namespace`);
          return ownName(request, node, "can only access node lease with the same name as the requesting node");
        case "resourceslices.resource.k8s.io": {
          if (request.operation !== "CREATE") return; // The authorizer knows whose it is, and its node does not change.
          const { spec } = request.object as unknown as ResourceSlice;
          if (spec.nodeName !== node)
            throw refuse(request, "can only create ResourceSlice with the same NodeName as the requesting node");
          return;
        }
        default:
          return ownName(request, node, "can only access CSINode with the same name as the requesting node");
      }
    },
  };
}

const quote = (text: string) => JSON.stringify(text);

function ownName(request: AdmissionRequest, node: string, why: string): void {
  const name = request.name || request.object?.metadata.name;
  if (name !== node) throw refuse(request, why);
}

async function podWrite(request: AdmissionRequest, node: string, objects: ObjectReader): Promise<void> {
  switch (request.subresource) {
    case "":
      if (request.operation === "CREATE") return mirrorPod(request, node);
      if (request.operation === "DELETE") {
        const pod = request.oldObject as unknown as DeepReadonly<Pod>;
        if (pod.spec.nodeName !== node)
          throw refuse(request, `node ${quote(node)} can only delete pods with spec.nodeName set to itself`);
        return;
      }
      throw refuse(
        request,
        `unexpected operation ${quote(request.operation)}, node ${quote(node)} can only create and delete mirror pods`,
      );
    case "status": {
      const pod = request.oldObject as unknown as DeepReadonly<Pod>;
      if (pod.spec.nodeName !== node) {
        throw refuse(
          request,
          `node ${quote(node)} can only update pod status for pods with spec.nodeName set to itself`,
        );
      }
      if (!deepEqual(pod.metadata.labels ?? {}, request.object?.metadata.labels ?? {})) {
        throw refuse(request, `node ${quote(node)} cannot update labels through pod status`);
      }
      return;
    }
    case "eviction": {
      const pod = await objects.get(Pods, request.namespace, request.name);
      if (pod?.spec.nodeName !== node)
        throw refuse(request, `node ${quote(node)} can only evict pods with spec.nodeName set to itself`);
      return;
    }
    default:
      throw refuse(
        request,
        `unexpected pod subresource ${quote(request.subresource)}, only 'status' and 'eviction' are allowed`,
      );
  }
}

/** A mirror pod has no identity and reads nothing from the API. */
function mirrorPod(request: AdmissionRequest, node: string): void {
  const { metadata, spec } = request.object as unknown as Pod;
  if (metadata.annotations?.[mirrorAnnotation] === undefined) {
    throw refuse(
      request,
      `pod does not have ${quote(mirrorAnnotation)} annotation, node ${quote(node)} can only create mirror pods`,
    );
  }
  if (spec.nodeName !== node)
    throw refuse(request, `node ${quote(node)} can only create pods with spec.nodeName set to itself`);
  const owners = metadata.ownerReferences ?? [];
  const [owner] = owners;
  if (owners.length !== 1)
    throw refuse(request, `node ${quote(node)} can only create pods with a single owner reference set to itself`);
  if (owner?.kind !== "Node" || owner.apiVersion !== "v1" || owner.name !== node || owner.controller !== true) {
    throw refuse(request, `node ${quote(node)} can only create pods with an owner reference set to itself`);
  }
  if (spec.serviceAccountName)
    throw refuse(request, `node ${quote(node)} can not create pods that reference a service account`);
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  const reads = (kind: "secret" | "configmap") =>
    containers.some(({ env, envFrom }) =>
      kind === "secret"
        ? env?.some(({ valueFrom }) => valueFrom?.secretKeyRef) || envFrom?.some(({ secretRef }) => secretRef)
        : env?.some(({ valueFrom }) => valueFrom?.configMapKeyRef) || envFrom?.some(({ configMapRef }) => configMapRef),
    );
  const mounts = (kind: "secret" | "configMap") =>
    spec.volumes?.some((volume) => volume[kind] || volume.projected?.sources?.some((source) => source[kind]));
  if (reads("secret") || mounts("secret") || spec.imagePullSecrets?.length) {
    throw refuse(request, `node ${quote(node)} can not create pods that reference secrets`);
  }
  if (reads("configmap") || mounts("configMap"))
    throw refuse(request, `node ${quote(node)} can not create pods that reference configmaps`);
  if (spec.volumes?.some(({ persistentVolumeClaim }) => persistentVolumeClaim)) {
    throw refuse(request, `node ${quote(node)} can not create pods that reference persistentvolumeclaims`);
  }
}

function nodeWrite(request: AdmissionRequest, node: string): void {
  const name = request.name || request.object?.metadata.name || "";
  if (name !== node) throw refuse(request, `node ${quote(node)} is not allowed to modify node ${quote(name)}`);
  if (request.operation === "DELETE") return;
  const { metadata, spec } = request.object as unknown as Node;
  const before = request.oldObject as unknown as DeepReadonly<Node> | undefined;
  const changed = changedLabels(before?.metadata.labels, metadata.labels);
  const forbidden = changed.filter((label) => !mayKubeletSet(label)).sort();
  if (forbidden.length > 0) throw refuse(request, `is not allowed to modify labels: ${forbidden.join(", ")}`);
  if (!before) return;
  if (!deepEqual(before.spec.taints ?? [], spec.taints ?? [])) {
    throw refuse(request, `node ${quote(node)} is not allowed to modify taints`);
  }
  if (!deepEqual(before.metadata.ownerReferences ?? [], metadata.ownerReferences ?? [])) {
    throw refuse(request, `node ${quote(node)} is not allowed to modify ownerReferences`);
  }
}

type Labels = Readonly<Record<string, string>> | undefined;

function changedLabels(before: Labels, after: Labels): string[] {
  const keys = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})]);
  return [...keys].filter((key) => before?.[key] !== after?.[key]);
}

function mayKubeletSet(label: string): boolean {
  const domain = label.includes("/") ? label.slice(0, label.indexOf("/")) : "";
  const within = (parent: string) => domain === parent || domain.endsWith(`.${parent}`);
  if (within("node-restriction.kubernetes.io")) return false;
  if (!protectedDomains.some(within)) return true;
  return kubeletLabels.has(label) || kubeletPrefixes.some(within);
}

/** Tokens are for pods that run on the node, and die with them. */
async function tokenRequest(request: AdmissionRequest, node: string, objects: ObjectReader): Promise<void> {
  if (request.operation !== "CREATE" || request.subresource !== "token") return;
  const reference = (request.object as unknown as TokenRequest).spec?.boundObjectRef;
  if (!reference) throw refuse(request, "node requested token not bound to a pod");
  if (reference.apiVersion !== "v1" || reference.kind !== "Pod")
    throw refuse(request, "node requested token not bound to a pod");
  if (!reference.uid) throw refuse(request, "node requested token with a pod binding without a uid");
  const pod = await objects.get(Pods, request.namespace, reference.name ?? "");
  if (!pod) throw refuse(request, `pod ${quote(reference.name ?? "")} not found`);
  if (pod.metadata.uid !== reference.uid) {
    throw refuse(
      request,
      `the UID in the bound object reference (${reference.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  if (pod.spec.nodeName !== node)
    throw refuse(request, "node requested token bound to a pod scheduled on a different node");
}
