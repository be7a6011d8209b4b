/** NodeRestriction: a kubelet writes its own Node, its own pods and what belongs to them, and gives itself no privileges. */
import type { TokenRequest } from "../../api/authentication/v1.ts";
import type { CertificateSigningRequest } from "../../api/certificates/v1.ts";
import type { Node, PersistentVolumeClaim, Pod, PodSpec } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { ResourceSlice } from "../../api/resource/v1.ts";
import { CSIDrivers, Nodes, PersistentVolumeClaims, PersistentVolumes, Pods } from "../../api/resources.ts";
import { deepEqual } from "../../apimachinery/patch/deep-equal.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { notFoundError } from "../../apimachinery/status-error.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../apiserver/admission.ts";
import type { UserInfo } from "../../apiserver/authentication.ts";
import { type Authorizer, authorizeByAll } from "../../apiserver/authorization.ts";
import { readCertificateRequest } from "../../base/node/certificate-request.ts";
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

/** `authorizers` say which node may ask for tokens of an audience that its pod does not name. Absent: none may. */
export function nodeRestriction(
  objects: ObjectReader,
  authorizers: () => readonly Authorizer[] = () => [],
): AdmissionPlugin {
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
        "persistentvolumeclaims",
        "serviceaccounts",
        "certificatesigningrequests.certificates.k8s.io",
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
        case "persistentvolumeclaims":
          return claimStatus(request, node);
        case "certificatesigningrequests.certificates.k8s.io":
          return ownCertificate(request);
        case "serviceaccounts":
          return tokenRequest(request, node, objects, authorizers());
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
      if (request.operation === "CREATE") return mirrorPod(request, node, objects);
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
      const claimsOf = ({ status }: DeepReadonly<Pod>) => status?.resourceClaimStatuses ?? [];
      const next = request.object as unknown as Pod;
      if (!deepEqual(claimsOf(pod), claimsOf(next)))
        throw refuse(request, `node ${quote(node)} cannot update resource claim statues`);
      if (!deepEqual(pod.status?.extendedResourceClaimStatus, next.status?.extendedResourceClaimStatus))
        throw refuse(request, `node ${quote(node)} cannot update extended resource claim status`);
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
async function mirrorPod(request: AdmissionRequest, node: string, objects: ObjectReader): Promise<void> {
  const { metadata, spec } = request.object as unknown as Pod;
  if (metadata.annotations?.[mirrorAnnotation] === undefined) {
    throw refuse(
      request,
      `pod does not have ${quote(mirrorAnnotation)} annotation, node ${quote(node)} can only create mirror pods`,
    );
  }
  if (spec.nodeName !== node)
    throw refuse(request, `node ${quote(node)} can only create pods with spec.nodeName set to itself`);
  const [owner, ...more] = metadata.ownerReferences ?? [];
  if (more.length > 0)
    throw refuse(request, `node ${quote(node)} can only create pods with a single owner reference set to itself`);
  if (owner?.kind !== "Node" || owner.apiVersion !== "v1" || owner.name !== node) {
    throw refuse(request, `node ${quote(node)} can only create pods with an owner reference set to itself`);
  }
  if (owner.controller !== true)
    throw refuse(request, `node ${quote(node)} can only create pods with a controller owner reference set to itself`);
  if (owner.blockOwnerDeletion)
    throw refuse(request, `node ${quote(node)} must not set blockOwnerDeletion on an owner reference`);
  const { uid } = (await objects.get(Nodes, "", node))?.metadata ?? {};
  if (uid === undefined) throw notFoundError({ group: "", resource: "nodes" }, node);
  if (owner.uid !== uid) throw refuse(request, `node ${node} UID mismatch: expected ${uid} got ${owner.uid}`);
  const referred = referredBy(spec);
  if (referred) throw refuse(request, `node ${quote(node)} can not create pods that reference ${referred}`);
}

/** The first sort of API objects that a pod needs. */
function referredBy(spec: PodSpec): string | undefined {
  const containers = [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])];
  const variables = containers.flatMap(({ env }) => env?.flatMap(({ valueFrom }) => valueFrom ?? []) ?? []);
  const sources = containers.flatMap(({ envFrom }) => envFrom ?? []);
  const volumes = spec.volumes ?? [];
  const projected = volumes.flatMap((volume) => volume.projected?.sources ?? []);
  const found: [what: string, isReferred: unknown][] = [
    ["serviceaccounts", spec.serviceAccountName],
    [
      "secrets",
      spec.imagePullSecrets?.length ||
        variables.some(({ secretKeyRef }) => secretKeyRef) ||
        sources.some(({ secretRef }) => secretRef) ||
        volumes.some(({ secret }) => secret) ||
        projected.some(({ secret }) => secret),
    ],
    [
      "configmaps",
      variables.some(({ configMapKeyRef }) => configMapKeyRef) ||
        sources.some(({ configMapRef }) => configMapRef) ||
        volumes.some(({ configMap }) => configMap) ||
        projected.some(({ configMap }) => configMap),
    ],
    ["resourceclaims", spec.resourceClaims?.length],
    [
      "persistentvolumeclaims",
      volumes.some(({ persistentVolumeClaim, ephemeral }) => persistentVolumeClaim ?? ephemeral),
    ],
    ["csidrivers", volumes.some(({ csi }) => csi)],
    ["endpoints", volumes.some(({ glusterfs }) => glusterfs)],
    ["serviceaccounts", projected.some(({ serviceAccountToken }) => serviceAccountToken)],
    ["clustertrustbundles", projected.some(({ clusterTrustBundle }) => clusterTrustBundle)],
    ["podcertificates", projected.some(({ podCertificate }) => podCertificate)],
  ];
  return found.find(([, isReferred]) => isReferred)?.[0];
}

/** Growing a volume is told in its claim's status; all else of the claim is its owner's. */
function claimStatus(request: AdmissionRequest, node: string): void {
  if (request.subresource !== "status") throw refuse(request, "may only update PVC status");
  if (request.operation !== "UPDATE") throw refuse(request, `unexpected operation ${quote(request.operation)}`);
  const rest = (object: unknown) => {
    const { metadata, spec, status = {} } = object as DeepReadonly<PersistentVolumeClaim>;
    const { resourceVersion: _version, managedFields: _fields, ...others } = metadata;
    const { capacity: _capacity, conditions: _conditions, ...stays } = status;
    const { allocatedResources: _allocated, allocatedResourceStatuses: _statuses, ...left } = stays;
    return { metadata: others, spec, status: left };
  };
  if (semanticEqual(rest(request.oldObject), rest(request.object))) return;
  throw refuse(
    request,
    `node ${quote(node)} is not allowed to update fields other than status.quantity and status.conditions`,
  );
}

const kubeletSigners = ["kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"];

/** Kubelets ask for certificates in their own name alone. */
async function ownCertificate(request: AdmissionRequest): Promise<void> {
  if (request.operation !== "CREATE" || request.subresource) return;
  const { spec } = request.object as unknown as CertificateSigningRequest;
  if (!kubeletSigners.includes(spec.signerName ?? "")) return;
  const pem = Buffer.from(spec.request ?? "", "base64").toString();
  const facts = await readCertificateRequest(pem).catch((error: Error) => {
    throw refuse(request, `unable to parse csr: ${error.message}`);
  });
  const { name } = request.user;
  if (facts.commonName !== name) throw refuse(request, `can only create a node CSR with CN=${name}`);
}

function nodeWrite(request: AdmissionRequest, node: string): void {
  const name = request.name || request.object?.metadata.name || "";
  if (name !== node) throw refuse(request, `node ${quote(node)} is not allowed to modify node ${quote(name)}`);
  if (request.operation === "DELETE") return;
  const { metadata, spec } = request.object as unknown as Node;
  const before = request.oldObject as unknown as DeepReadonly<Node> | undefined;
  const changed = changedLabels(before?.metadata.labels, metadata.labels);
  const forbidden = changed.filter((label) => !mayKubeletSet(label)).sort();
  if (!before) {
    if (forbidden.length === 0) return;
    throw refuse(request, `node ${quote(node)} is not allowed to set the following labels: ${forbidden.join(", ")}`);
  }
  if (!deepEqual(before.spec.taints ?? [], spec.taints ?? [])) {
    throw refuse(request, `node ${quote(node)} is not allowed to modify taints`);
  }
  if (!deepEqual(before.metadata.ownerReferences ?? [], metadata.ownerReferences ?? [])) {
    throw refuse(request, `node ${quote(node)} is not allowed to modify ownerReferences`);
  }
  if (forbidden.length > 0) throw refuse(request, `is not allowed to modify labels: ${forbidden.join(", ")}`);
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
async function tokenRequest(
  request: AdmissionRequest,
  node: string,
  objects: ObjectReader,
  authorizers: readonly Authorizer[],
): Promise<void> {
  if (request.operation !== "CREATE" || request.subresource !== "token") return;
  const { boundObjectRef: reference, audiences } = (request.object as unknown as TokenRequest).spec ?? {};
  if (reference?.apiVersion !== "v1" || reference.kind !== "Pod" || !reference.name)
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
  if ((audiences?.length ?? 0) > 1) throw refuse(request, "node may only request 0 or 1 audiences");
  const [audience = ""] = audiences ?? [];
  if (await isNamedByPod(audience, pod, objects)) return;
  const decision = await authorizeByAll(authorizers, {
    user: request.user,
    verb: "request-serviceaccounts-token-audience",
    isResource: true,
    group: "",
    version: "v1",
    resource: audience,
    subresource: "",
    namespace: request.namespace,
    name: request.name,
    path: "",
  });
  if (decision.kind === "allow") return;
  throw refuse(
    request,
    `audience ${quote(audience)} not found in pod spec volume, ${request.user.name} is not authorized to request tokens for this audience`,
  );
}

/** By a projected token of the pod, or by the driver of one of its CSI volumes. */
async function isNamedByPod(audience: string, pod: DeepReadonly<Pod>, objects: ObjectReader): Promise<boolean> {
  const { namespace = "", name } = pod.metadata;
  const driverOfClaim = async (claimName: string) => {
    const claim = await objects.get(PersistentVolumeClaims, namespace, claimName);
    const volume = claim?.spec.volumeName && (await objects.get(PersistentVolumes, "", claim.spec.volumeName));
    return volume ? volume.spec.csi?.driver : undefined;
  };
  for (const { name: volume, projected, csi, persistentVolumeClaim, ephemeral } of pod.spec.volumes ?? []) {
    const tokens = projected?.sources?.flatMap(({ serviceAccountToken }) => serviceAccountToken ?? []) ?? [];
    if (tokens.some((token) => (token.audience ?? "") === audience)) return true;
    const claimName = ephemeral ? `${name}-${volume}` : persistentVolumeClaim?.claimName;
    const driverName = claimName ? await driverOfClaim(claimName) : csi?.driver;
    const driver = driverName ? await objects.get(CSIDrivers, "", driverName) : undefined;
    if (driver?.spec.tokenRequests?.some((asked) => asked.audience === audience)) return true;
  }
  return false;
}
