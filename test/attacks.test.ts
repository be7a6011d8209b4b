/** Ways in that must be closed, tried on a whole cluster by a pod's token, a node's certificate and raw sockets; each is refused and logged. */
import { generateKeyPairSync, sign } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeCluster } from "../src/testing/cluster-fixture.ts";
import { clientCertificate } from "../src/testing/webhook-server.ts";

const config = `
nodes: [{ name: n1, kind: simulated }, { name: n2, kind: simulated }]
apiServer:
  audit:
    policy:
      apiVersion: audit.k8s.io/v1
      kind: Policy
      omitStages: [RequestReceived]
      rules: [{ level: Metadata }]
`;

const manifest = `
apiVersion: v1
kind: Secret
metadata: { name: treasure, namespace: default }
stringData: { word: opensesame }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: intruder, namespace: default }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: powerful, namespace: default }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: forgotten, namespace: default }
---
apiVersion: v1
kind: Namespace
metadata: { name: strict, labels: { pod-security.kubernetes.io/enforce: restricted } }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: modest }
rules:
- { apiGroups: [""], resources: [pods], verbs: [get, list, create] }
- { apiGroups: [certificates.k8s.io], resources: [certificatesigningrequests], verbs: [create] }
- { apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles, rolebindings], verbs: [create, patch, update] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: modest }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: modest }
subjects: [{ kind: ServiceAccount, name: intruder, namespace: default }]
`;

interface Attack {
  method?: string;
  path: string;
  headers?: string[];
  /** JSON; patches are merge patches, unless `type` says otherwise. */
  body?: object;
  type?: string;
  /** Who: the intruder's token unless said otherwise. */
  as?: "node" | "master" | "stranger" | "nobody" | { token: string };
}

const rbac = "/apis/rbac.authorization.k8s.io/v1";
const inDefault = "/api/v1/namespaces/default";
const secrets = `${inDefault}/secrets`;
const pod = (spec: object = {}, name = "evil") => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: { containers: [{ name: "main", image: "nowhere.invalid/any:1" }], ...spec },
});
const review = { apiVersion: "v1", kind: "Binding", metadata: { name: "web" }, target: { kind: "Node", name: "n1" } };

const rbacObject = (kind: string, more: object) => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind,
  metadata: { name: "evil" },
  ...more,
});
const roleOf = (verbs: string[], ...resources: string[]) =>
  rbacObject("ClusterRole", { rules: [{ apiGroups: ["*"], resources, verbs }] });
const bindingTo = (kind: string, name: string) =>
  rbacObject("RoleBinding", {
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name },
    subjects: [{ kind: "ServiceAccount", name: "intruder", namespace: "default" }],
  });
const upgrade = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];
const applied = { method: "PATCH", type: "application/apply-patch+yaml" };
/** Asks for CN=jane. */
const janesRequest =
  "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlISU1IRUNBUUF3RHpFTk1Bc0dBMVVFQXd3RWFtRnVaVEJaTUJNR0J5cUdTTTQ5QWdFR0NDcUdTTTQ5QXdFSApBMElBQkphby83WmYveFRTVnhOSWdsRCsrZDhyRDRRa1Z1TDNXZUJlL2JscGZjZGdtb3ZMSDVqcGRFcVQ4YlhyCmxMV2tBbytUZkd4OWlMQXlqbHJVYnJNRnRGMmdBREFLQmdncWhrak9QUVFEQWdOSEFEQkVBaUFSMnVKZ29pdVMKZE1nbTlUZ1VhRjcvNjQ0Vnd2RU16QjZQMHU3QnFjZmZkUUlnVHBWUlc3c0J3cVBaUVJMd0Z3V2swMERERDdRNgplbm91c21kQ29IN2M0OEE9Ci0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=";

const attacks: Record<string, Attack> = {
  "a secret by a pod's token": { path: `${secrets}/treasure` },
  "all secrets of the cluster": { path: "/api/v1/secrets" },
  "a watch of secrets": { path: "/api/v1/secrets?watch=1" },
  "a deletion of all secrets": { method: "DELETE", path: secrets },
  "a secret behind a doubled slash at the beginning": { path: `//api/v1/namespaces/default/secrets/treasure` },
  "a secret behind encoded slashes": { path: `${inDefault}/pods/..%2f..%2fsecrets/treasure` },
  "a secret behind a null byte": { path: `${inDefault}/pods/x%00/../../secrets/treasure` },
  "the token as a question's part": { path: `${secrets}/treasure?access_token=x`, as: "nobody" },
  "impersonation of another ServiceAccount": {
    path: `${secrets}/treasure`,
    headers: ["Impersonate-User: system:serviceaccount:default:powerful"],
  },
  "impersonation in capitals": { path: `${secrets}/treasure`, headers: ["IMPERSONATE-USER: kubernetes-admin"] },
  "impersonation with an underscore": { path: `${secrets}/treasure`, headers: ["Impersonate_User: kubernetes-admin"] },
  "impersonation of a uid alone": { path: `${secrets}/treasure`, headers: ["Impersonate-Uid: 1"] },
  "impersonation of an extra alone": { path: `${secrets}/treasure`, headers: ["Impersonate-Extra-scopes: all"] },
  "a front proxy's headers": {
    path: `${secrets}/treasure`,
    headers: ["X-Remote-User: kubernetes-admin", "X-Remote-Group: system:masters"],
  },
  "a token of a mightier ServiceAccount": {
    method: "POST",
    path: `${inDefault}/serviceaccounts/powerful/token`,
    body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} },
  },
  "a privileged pod where only modest ones may run": {
    method: "POST",
    path: "/api/v1/namespaces/strict/pods",
    body: pod({ containers: [{ name: "main", image: "a", securityContext: { privileged: true } }] }),
  },
  "the node's own disk where only modest pods may run": {
    method: "POST",
    path: "/api/v1/namespaces/strict/pods",
    body: pod({ volumes: [{ name: "host", hostPath: { path: "/" } }] }),
  },
  "a pod of a ServiceAccount that is not there": {
    method: "POST",
    path: `${inDefault}/pods`,
    body: pod({ serviceAccountName: "nobody" }),
  },
  "a container put into a running pod": {
    method: "PATCH",
    path: `${inDefault}/pods/web/ephemeralcontainers`,
    body: { spec: { ephemeralContainers: [{ name: "debug", image: "a" }] } },
  },
  "a command in a pod by POST": { method: "POST", path: `${inDefault}/pods/web/exec?command=sh&stdout=1` },
  "a command in a pod by an upgrade": {
    path: `${inDefault}/pods/web/exec?command=sh&stdout=1`,
    headers: [...upgrade, "Sec-WebSocket-Protocol: v5.channel.k8s.io"],
  },
  "the kubelet through the API server": { path: "/api/v1/nodes/n1/proxy/pods" },
  "a Service through the API server": { path: `${inDefault}/services/kubernetes:443/proxy/` },
  "binding a pod to a node": { method: "POST", path: `${inDefault}/pods/web/binding`, body: review },
  "evicting a pod": {
    method: "POST",
    path: `${inDefault}/pods/web/eviction`,
    body: { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "web" } },
  },
  "a pod's status, which is the kubelet's": {
    method: "PATCH",
    path: `${inDefault}/pods/web/status`,
    body: { status: { podIP: "192.0.2.1" } },
  },
  "the approval of one's own certificate": {
    method: "PATCH",
    path: "/apis/certificates.k8s.io/v1/certificatesigningrequests/evil/approval",
    body: { status: { conditions: [{ type: "Approved", status: "True", reason: "me" }] } },
  },
  "a role that may do everything": {
    method: "POST",
    path: `${rbac}/clusterroles`,
    body: {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: "evil" },
      rules: [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }],
    },
  },
  "a role that gathers others": {
    method: "POST",
    path: `${rbac}/clusterroles`,
    body: {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: "evil" },
      aggregationRule: {
        clusterRoleSelectors: [{ matchLabels: { "rbac.authorization.k8s.io/aggregate-to-admin": "true" } }],
      },
      rules: [],
    },
  },
  "one's own role made mightier": {
    method: "PATCH",
    path: `${rbac}/clusterroles/modest`,
    body: { rules: [{ apiGroups: [""], resources: ["secrets"], verbs: ["*"] }] },
  },
  "a binding to a role that is mightier than oneself": {
    method: "POST",
    path: `${rbac}/namespaces/default/rolebindings`,
    body: {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name: "evil" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
      subjects: [{ kind: "ServiceAccount", name: "intruder", namespace: "default" }],
    },
  },
  "a webhook that would see everything": {
    method: "POST",
    path: "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    body: {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "MutatingWebhookConfiguration",
      metadata: { name: "evil" },
    },
  },
  "a node's secret of no pod there": { path: `${secrets}/treasure`, as: "node" },
  "a node's list of secrets": { path: secrets, as: "node" },
  "a node that changes another": {
    method: "PATCH",
    path: "/api/v1/nodes/n2",
    body: { metadata: { labels: { a: "b" } } },
    as: "node",
  },
  "a node that takes a label for itself": {
    method: "PATCH",
    path: "/api/v1/nodes/n1",
    body: { metadata: { labels: { "node-restriction.kubernetes.io/tier": "trusted" } } },
    as: "node",
  },
  "a node that makes a pod": { method: "POST", path: `${inDefault}/pods`, body: pod({ nodeName: "n1" }), as: "node" },
  "a node that makes a pod for another node": {
    method: "POST",
    path: `${inDefault}/pods`,
    body: {
      ...pod({ nodeName: "n2" }),
      metadata: { name: "evil", annotations: { "kubernetes.io/config.mirror": "x" } },
    },
    as: "node",
  },
  "a node's token of a pod that is not there": {
    method: "POST",
    path: `${inDefault}/serviceaccounts/powerful/token`,
    body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} },
    as: "node",
  },
  "a node that deletes another's lease": {
    method: "DELETE",
    path: "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n2",
    as: "node",
  },
  "a mighty role by apply": {
    ...applied,
    path: `${rbac}/clusterroles/evil?fieldManager=me`,
    body: roleOf(["*"], "*"),
  },
  "a mighty role by apply, as a mere try": {
    ...applied,
    path: `${rbac}/clusterroles/evil?fieldManager=me&dryRun=All`,
    body: roleOf(["*"], "*"),
  },
  "a mighty role by forced apply over one's own": {
    ...applied,
    path: `${rbac}/clusterroles/modest?fieldManager=me&force=true`,
    body: { ...roleOf(["get"], "secrets"), metadata: { name: "modest" } },
  },
  "a mighty role by a JSON patch": {
    method: "PATCH",
    type: "application/json-patch+json",
    path: `${rbac}/clusterroles/modest`,
    body: [{ op: "add", path: "/rules/-", value: { apiGroups: [""], resources: ["secrets"], verbs: ["get"] } }],
  },
  "a mighty role put where there was none": {
    method: "PUT",
    path: `${rbac}/clusterroles/evil`,
    body: roleOf(["*"], "*"),
  },
  "a role that lets one escalate and bind": {
    method: "POST",
    path: `${rbac}/clusterroles`,
    body: roleOf(["escalate", "bind"], "clusterroles"),
  },
  "a role that lets one be anybody": {
    method: "POST",
    path: `${rbac}/clusterroles`,
    body: roleOf(["impersonate"], "users", "groups"),
  },
  "a mighty binding by apply": {
    ...applied,
    path: `${rbac}/namespaces/default/rolebindings/evil?fieldManager=me`,
    body: bindingTo("ClusterRole", "cluster-admin"),
  },
  "a binding to a role that is yet to come": {
    method: "POST",
    path: `${rbac}/namespaces/default/rolebindings`,
    body: bindingTo("Role", "nothing-yet"),
  },
  "a binding for the whole cluster where one may bind in namespaces": {
    method: "POST",
    path: `${rbac}/clusterrolebindings`,
    body: { ...bindingTo("ClusterRole", "modest"), kind: "ClusterRoleBinding" },
  },
  "impersonation in an upgrade": {
    path: `${inDefault}/pods/web/exec?command=sh&stdout=1`,
    headers: [...upgrade, "Sec-WebSocket-Protocol: v5.channel.k8s.io", "Impersonate-User: kubernetes-admin"],
  },
  "impersonation of the masters by a node": {
    path: `${secrets}/treasure`,
    headers: ["Impersonate-User: system:node:n1", "Impersonate-Group: system:masters"],
    as: "node",
  },
  "a false token among a WebSocket's protocols": {
    path: `${inDefault}/pods/web/exec?command=sh&stdout=1`,
    headers: [
      ...upgrade,
      `Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.${Buffer.from("x.y.z").toString("base64url")}, v5.channel.k8s.io`,
    ],
    as: "nobody",
  },
  "a secret behind a Service's proxy": {
    path: `${inDefault}/services/kubernetes:443/proxy/..%2f..%2f..%2fsecrets/treasure`,
  },
  "a secret behind a pod's proxy": { path: `${inDefault}/pods/web:443/proxy/%2e%2e/%2e%2e/%2e%2e/secrets/treasure` },
  "a command by the kubelet's own door": { method: "POST", path: "/api/v1/nodes/n1/proxy/run/default/web/web?cmd=id" },
  "the kubelet's door by a node": { path: "/api/v1/nodes/n2/proxy/pods", as: "node" },
  "more room for a running container": {
    method: "PATCH",
    path: `${inDefault}/pods/web/resize`,
    body: { spec: { containers: [{ name: "web", resources: { limits: { cpu: "8" } } }] } },
  },
  "the end of a namespace": {
    method: "PUT",
    path: `${inDefault}/finalize`,
    body: { apiVersion: "v1", kind: "Namespace", metadata: { name: "default" }, spec: { finalizers: [] } },
  },
  "a review of what others may do": {
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    body: {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: { user: "kubernetes-admin", nonResourceAttributes: { path: "/", verb: "get" } },
    },
  },
  "a review of somebody's token": {
    method: "POST",
    path: "/apis/authentication.k8s.io/v1/tokenreviews",
    body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token: "x" } },
  },
  "an API of one's own": {
    method: "POST",
    path: "/apis/apiregistration.k8s.io/v1/apiservices",
    body: {
      apiVersion: "apiregistration.k8s.io/v1",
      kind: "APIService",
      metadata: { name: "v1.evil.example.com" },
      spec: { group: "evil.example.com", version: "v1", groupPriorityMinimum: 1, versionPriority: 1 },
    },
  },
  "the end of the policies' bindings": {
    method: "DELETE",
    path: "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
  },
  "a token by which machines join": {
    method: "POST",
    path: "/api/v1/namespaces/kube-system/secrets",
    body: { apiVersion: "v1", kind: "Secret", metadata: { name: "bootstrap-token-abcdef" } },
  },
  "a node's list of all pods": { path: "/api/v1/pods", as: "node" },
  "a node's list of another's pods": { path: "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2", as: "node" },
  "a node's watch of pods that says which node too late": {
    path: "/api/v1/pods?watch=1&fieldSelector=spec.nodeName!%3Dn1",
    as: "node",
  },
  "a node's certificate in another's name": {
    method: "POST",
    path: "/apis/certificates.k8s.io/v1/certificatesigningrequests",
    body: {
      apiVersion: "certificates.k8s.io/v1",
      kind: "CertificateSigningRequest",
      metadata: { name: "other-node" },
      spec: {
        request: janesRequest,
        signerName: "kubernetes.io/kube-apiserver-client-kubelet",
        usages: ["client auth", "digital signature"],
      },
    },
    as: "node",
  },
  "a node's word on a claim that is not its": {
    method: "PATCH",
    path: `${inDefault}/persistentvolumeclaims/data/status`,
    body: { status: { capacity: { storage: "1Ti" } } },
    as: "node",
  },
  "a node's look at another's attachment": {
    path: "/apis/storage.k8s.io/v1/volumeattachments/to-n2",
    as: "node",
  },
  "a secret by a selector of its name": { path: `${secrets}?fieldSelector=metadata.name%3Dtreasure` },
  "a watch of one secret": { path: `${secrets}/treasure?watch=true` },
  "a secret as a row of a table": {
    path: `${secrets}/treasure`,
    headers: ["Accept: application/json;as=Table;v=v1;g=meta.k8s.io"],
  },
  "a secret's metadata": {
    path: secrets,
    headers: ["Accept: application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"],
  },
  "a secret by the old proxy's path": { path: `/api/v1/proxy/namespaces/default/secrets/treasure` },
  "a secret behind dots that were encoded twice": { path: `${inDefault}/pods/%252e%252e/secrets/treasure` },
  "a secret behind a backslash": { path: `${inDefault}/pods/..\\secrets/treasure` },
  "a secret behind a semicolon": { path: `${inDefault}/pods/x;/../../secrets/treasure` },
  "a secret at an address in capitals": { path: "/API/V1/namespaces/default/secrets/treasure", as: "nobody" },
  "a secret by another method's name": {
    method: "POST",
    path: `${secrets}/treasure`,
    headers: ["X-HTTP-Method-Override: GET"],
  },
  "metrics from what calls itself this machine": {
    path: "/metrics",
    headers: ["X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1"],
    as: "nobody",
  },
  "what the server keeps for its makers": { path: "/debug/pprof/heap" },
  "the queues of others' requests": { path: "/debug/api_priority_and_fairness/dump_requests" },
  "impersonation of oneself in another group": {
    path: secrets,
    headers: ["Impersonate-User: system:serviceaccount:default:intruder", "Impersonate-Group: system:masters"],
  },
  "a Secret that would hold another's token": {
    method: "POST",
    path: secrets,
    body: {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "evil", annotations: { "kubernetes.io/service-account.name": "powerful" } },
      type: "kubernetes.io/service-account-token",
    },
  },
  "the label that holds pods back": {
    method: "PATCH",
    path: "/api/v1/namespaces/strict",
    body: { metadata: { labels: { "pod-security.kubernetes.io/enforce": "privileged" } } },
  },
  "a namespace's status": { method: "PATCH", path: "/api/v1/namespaces/strict/status", body: { status: {} } },
  "all of /proc where only modest pods may run": {
    method: "POST",
    path: "/api/v1/namespaces/strict/pods",
    body: pod({
      hostUsers: false,
      containers: [{ name: "main", image: "a", securityContext: { procMount: "Unmasked" } }],
    }),
  },
  "a pod's ports": { path: `${inDefault}/pods/web/portforward?ports=80`, headers: upgrade },
  "a pod's own input": { method: "POST", path: `${inDefault}/pods/web/attach?stdin=1` },
  "a mighty role as a mere try by POST": {
    method: "POST",
    path: `${rbac}/clusterroles?dryRun=All&fieldValidation=Ignore`,
    body: roleOf(["*"], "*"),
  },
  "a mighty role by PUT": {
    method: "PUT",
    path: `${rbac}/clusterroles/modest`,
    body: { ...roleOf(["*"], "*"), metadata: { name: "modest" } },
  },
  "one's own name in a mighty binding": {
    method: "PATCH",
    path: `${rbac}/namespaces/kube-system/rolebindings/system::leader-locking-kube-scheduler`,
    body: { subjects: [{ kind: "ServiceAccount", name: "intruder", namespace: "default" }] },
  },
  "a binding to the right to view": {
    method: "POST",
    path: `${rbac}/namespaces/default/rolebindings`,
    body: bindingTo("ClusterRole", "view"),
  },
  "a way past the queues": {
    method: "POST",
    path: "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
    body: {
      apiVersion: "flowcontrol.apiserver.k8s.io/v1",
      kind: "FlowSchema",
      metadata: { name: "evil" },
      spec: { priorityLevelConfiguration: { name: "exempt" }, matchingPrecedence: 1 },
    },
  },
  "a kind that another's webhook converts": {
    method: "POST",
    path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    body: { apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", metadata: { name: "evil" } },
  },
  "a review of another's rights in a namespace": {
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews",
    body: { apiVersion: "authorization.k8s.io/v1", kind: "LocalSubjectAccessReview", metadata: {}, spec: {} },
  },
  "a node's end of another": { method: "DELETE", path: "/api/v1/nodes/n2", as: "node" },
  "a node that takes its taints away": {
    method: "PATCH",
    path: "/api/v1/nodes/n1",
    body: { spec: { taints: [] } },
    as: "node",
  },
  "a node's token that is bound to nothing": {
    method: "POST",
    path: `${inDefault}/serviceaccounts/powerful/token`,
    body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} },
    as: "node",
  },
  "a node's pod with an account of its choice": {
    method: "POST",
    path: `${inDefault}/pods`,
    body: {
      ...pod({ nodeName: "n1", serviceAccountName: "powerful" }),
      metadata: { name: "evil", annotations: { "kubernetes.io/config.mirror": "x" } },
    },
    as: "node",
  },
  "a node's devices in another's name": {
    method: "POST",
    path: "/apis/resource.k8s.io/v1/resourceslices",
    body: {
      apiVersion: "resource.k8s.io/v1",
      kind: "ResourceSlice",
      metadata: { name: "evil" },
      spec: { nodeName: "n2", driver: "evil.example.com", pool: { name: "n2", generation: 1, resourceSliceCount: 1 } },
    },
    as: "node",
  },
  "a node's lease in another's name": {
    method: "POST",
    path: "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
    body: { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: "n3" }, spec: {} },
    as: "node",
  },
  "a node's list of all nodes": { path: "/api/v1/nodes", as: "node" },
  "a node's look at whom aggregated servers trust": {
    path: "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication",
    as: "node",
  },
  "a node that binds a pod to itself": {
    method: "POST",
    path: `${inDefault}/pods/web/binding`,
    body: review,
    as: "node",
  },
  "a node's approval of a certificate": {
    method: "PATCH",
    path: "/apis/certificates.k8s.io/v1/certificatesigningrequests/own/approval",
    body: { status: { conditions: [{ type: "Approved", status: "True" }] } },
    as: "node",
  },
  "a master's certificate of another authority": { path: `${secrets}/treasure`, as: "stranger" },
};

describeCluster("an attack on a cluster is refused and logged", { config }, (cluster) => {
  let server: string;
  let token: string;
  const identities: Record<string, { certificatePem: string; privateKeyPem: string } | undefined> = {};
  const agents = new Map<string, Agent>();
  const home = (...path: string[]) => join(cluster.home, "clusters", cluster.name, ...path);

  beforeAll(async () => {
    await cluster.apply(manifest);
    await cluster.kubectl`run web --image=nowhere.invalid/any:1`;
    server = await cluster.kubectl`config view --raw -o jsonpath={.clusters[0].cluster.server}`;
    token = (await cluster.kubectl`create token intruder`).trim();
    const ca = {
      certificatePem: readFileSync(home("pki", "ca.crt"), "utf8"),
      privateKeyPem: readFileSync(home("pki", "ca.key"), "utf8"),
    };
    const known = {
      node: clientCertificate(ca, "system:node:n1", "system:nodes"),
      master: clientCertificate(ca, "master", "system:masters"),
    };
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const foreign = await selfSigned(home("foreign"), privateKey.export({ type: "pkcs8", format: "pem" }).toString());
    Object.assign(identities, known, { stranger: foreign });
  });
  afterAll(() => {
    for (const agent of agents.values()) agent.destroy();
  });

  /** Signed by itself, in the name of the masters. */
  async function selfSigned(stem: string, key: string): Promise<{ certificatePem: string; privateKeyPem: string }> {
    writeFileSync(`${stem}.key`, key, { mode: 0o600 });
    const subject = "/O=system:masters/CN=kubernetes-admin";
    await cluster.host("openssl", "req", "-x509", "-key", `${stem}.key`, "-subj", subject, "-out", `${stem}.crt`);
    return { certificatePem: readFileSync(`${stem}.crt`, "utf8"), privateKeyPem: key };
  }

  /** Connections of one user: a certificate is proved once for all that comes over it. */
  function agentOf(who: string): Agent {
    const identity = identities[who];
    const proof = identity ? { cert: identity.certificatePem, key: identity.privateKeyPem } : {};
    const agent = agents.get(who) ?? new Agent({ keepAlive: true, rejectUnauthorized: false, ...proof });
    agents.set(who, agent);
    return agent;
  }

  /** The log is asked for it by the name of the program that `signature` lets it pretend to be. */
  function attempt(
    { method = "GET", path, headers = [], body, type: otherType, as = { token } }: Attack,
    signature = "attack",
  ): Promise<{ code: number; text: string }> {
    const type = otherType ?? (method === "PATCH" ? "application/merge-patch+json" : "application/json");
    const sent: Record<string, string> = { "user-agent": signature };
    if (typeof as === "object") sent["authorization"] = `Bearer ${as.token}`;
    for (const header of headers) sent[header.slice(0, header.indexOf(":"))] = header.slice(header.indexOf(":") + 2);
    if (body) sent["content-type"] = type;
    const { hostname, port } = new URL(server);
    const agent = agentOf(typeof as === "object" ? "nobody" : as);
    return new Promise((resolve, reject) => {
      const asking = request({ hostname, port, method, path, headers: sent, agent }, async (response) => {
        let text = "";
        for await (const chunk of response) text += chunk;
        resolve({ code: response.statusCode ?? 0, text });
      });
      asking.once("error", reject);
      asking.end(body && JSON.stringify(body));
    });
  }

  test.each(Object.keys(attacks))("%s", async (name) => {
    const { code, text } = await attempt(attacks[name]!, `attack/${name}`);
    expect([400, 401, 403, 404, 405, 422], text).toContain(code);
    expect(text).not.toContain(Buffer.from("opensesame").toString("base64"));
  });

  test("a certificate of the masters", async () => {
    const subject = "/O=system:masters/CN=me";
    const pem = await cluster.host("openssl", "req", "-new", "-key", home("foreign.key"), "-subj", subject);
    const spec = {
      request: Buffer.from(pem).toString("base64"),
      signerName: "kubernetes.io/kube-apiserver-client",
      usages: ["client auth"],
    };
    const path = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    const body = {
      apiVersion: "certificates.k8s.io/v1",
      kind: "CertificateSigningRequest",
      metadata: { name: "evil" },
      spec,
    };
    const { code, text } = await attempt({ method: "POST", path, body });
    expect(code).toBe(403);
    expect(text).toContain("system:masters group is not allowed");
  });

  const bearer = (value: string) => attempt({ path: `${inDefault}/pods`, as: { token: value } }, "token/tried");

  test("a token that was changed, is for others, or has outlived what it stands for", async () => {
    expect((await bearer(token)).code).toBe(200);
    const [head, , signature] = token.split(".");
    const claims = {
      sub: "system:serviceaccount:default:powerful",
      aud: ["https://kubernetes.default.svc.cluster.local"],
    };
    const forged = `${head}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
    expect((await bearer(`${forged}.${signature}`)).code).toBe(401);
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const own = sign("sha256", Buffer.from(forged), { key: privateKey, dsaEncoding: "ieee-p1363" });
    expect((await bearer(`${forged}.${own.toString("base64url")}`)).code).toBe(401);
    expect((await bearer(`${token}x`)).code).toBe(401);
    const elsewhere = (await cluster.kubectl`create token intruder --audience=vault`).trim();
    expect((await bearer(elsewhere)).code).toBe(401);
    const bound = (await cluster.kubectl`create token default --bound-object-kind=Pod --bound-object-name=web`).trim();
    expect((await bearer(bound)).code).toBe(403);
    await cluster.kubectl`delete pod web --grace-period=0 --force`;
    expect((await bearer(bound)).code).toBe(401);
    const left = (await cluster.kubectl`create token forgotten`).trim();
    expect((await bearer(left)).code).toBe(403);
    await cluster.kubectl`delete serviceaccount forgotten`;
    expect((await bearer(left)).code).toBe(401);
  });

  test("a token review does not take a token for one that is meant for another", async () => {
    const body = (audiences: string[]) => ({
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenReview",
      spec: { token, audiences },
    });
    const ask = async (audiences: string[]) => {
      const path = "/apis/authentication.k8s.io/v1/tokenreviews";
      const { text } = await attempt({ method: "POST", path, body: body(audiences), as: "master" });
      return (JSON.parse(text) as { status: { authenticated?: boolean; audiences?: string[] } }).status;
    };
    expect(await ask(["vault"])).not.toHaveProperty("authenticated");
    const api = "https://kubernetes.default.svc.cluster.local";
    expect(await ask(["vault", api])).toMatchObject({ authenticated: true, audiences: [api] });
  });

  const raw = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const { hostname, port } = new URL(server);
      const socket = connect({
        host: hostname,
        port: Number(port),
        rejectUnauthorized: false,
        ALPNProtocols: ["http/1.1"],
      });
      const chunks: Buffer[] = [];
      socket.once("secureConnect", () => socket.end(text));
      socket.on("data", (chunk: Buffer) => chunks.push(chunk));
      socket.once("close", () => resolve(Buffer.concat(chunks).toString("latin1")));
      socket.once("error", reject);
    });
  const lines = (...all: string[]) => `${all.join("\r\n")}\r\n\r\n`;
  const smuggled = `GET ${secrets}/treasure HTTP/1.1\r\nHost: x\r\n\r\n`;

  test.each<[string, () => string]>([
    [
      "two lengths",
      () =>
        lines("POST /version HTTP/1.1", "Host: x", "Content-Length: 4", `Content-Length: ${smuggled.length}`) +
        smuggled,
    ],
    [
      "a length beside chunks",
      () =>
        `${lines("POST /version HTTP/1.1", "Host: x", "Content-Length: 4", "Transfer-Encoding: chunked")}0\r\n\r\n${smuggled}`,
    ],
    ["a space before the colon", () => lines("GET /version HTTP/1.1", "Host: x", "Authorization : Bearer x")],
    ["a header that goes on in the next line", () => lines("GET /version HTTP/1.1", "Host: x", "A: b", " c: d")],
    ["a line feed in the target", () => "GET /version\n/api/v1/secrets HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["more headers than anyone needs", () => lines("GET /version HTTP/1.1", "Host: x", `A: ${"a".repeat(300_000)}`)],
  ])("a request that is two: %s", async (_, text) => {
    const answer = await raw(text());
    expect(answer).toMatch(/^(HTTP\/1\.1 4\d\d |$)/);
    expect(answer).not.toContain("opensesame");
    expect(answer).not.toContain(Buffer.from("opensesame").toString("base64"));
  });

  /** Says this over HTTP/2, with no more care for what may be said than a literal header needs; resolves with all that comes back. */
  const overHttp2 = (headers: [name: string, value: string][], body = "") =>
    new Promise<{ frames: number[]; text: string }>((resolve, reject) => {
      const { hostname, port } = new URL(server);
      const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ["h2"] });
      const frame = (type: number, flags: number, stream: number, payload: Buffer) => {
        const head = Buffer.alloc(9);
        head.writeUIntBE(payload.length, 0, 3);
        head.writeUInt8(type, 3);
        head.writeUInt8(flags, 4);
        head.writeUInt32BE(stream, 5);
        return Buffer.concat([head, payload]);
      };
      const literal = (text: string) => {
        const bytes = Buffer.from(text, "latin1");
        // HPACK: seven bits of length, and more of seven each where that does not do.
        const length = [Math.min(bytes.length, 127)];
        for (let rest = bytes.length - 127; rest >= 0; rest = rest < 128 ? -1 : rest >> 7)
          length.push(rest < 128 ? rest : (rest & 127) | 128);
        return Buffer.concat([Buffer.from(length), bytes]);
      };
      const block = Buffer.concat(
        headers.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]),
      );
      const chunks: Buffer[] = [];
      socket.once("secureConnect", () => {
        socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        socket.write(frame(4, 0, 0, Buffer.alloc(0)));
        socket.write(frame(1, body ? 4 : 5, 1, block));
        if (body) socket.write(frame(0, 1, 1, Buffer.from(body)));
        // A ping is answered after all that came before it.
        socket.write(frame(6, 0, 0, Buffer.from("8 bytes.")));
      });
      const seen = () => {
        const all = Buffer.concat(chunks);
        const frames: number[] = [];
        for (let at = 0; at + 9 <= all.length; at += 9 + all.readUIntBE(at, 3)) frames.push(all[at + 3]!);
        return { frames, text: all.toString("latin1") };
      };
      socket.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        const { frames } = seen();
        // A reset, a goodbye, or an answer.
        if (frames.some((type) => type === 3 || type === 7) || (frames.includes(1) && frames.includes(6))) socket.end();
      });
      socket.once("close", () => resolve(seen()));
      socket.once("error", (error) => (chunks.length > 0 ? resolve(seen()) : reject(error)));
    });

  const asked = (path: string): [string, string][] => [
    [":method", "GET"],
    [":scheme", "https"],
    [":authority", "x"],
    [":path", path],
    ["authorization", `Bearer ${token}`],
  ];
  test.each<[string, () => [string, string][], string?]>([
    ["a chunked body", () => [...asked("/version"), ["transfer-encoding", "chunked"]], smuggled],
    ["a connection of its own", () => [...asked("/version"), ["connection", "upgrade"], ["upgrade", "websocket"]]],
    [
      "another header within a value",
      () => [...asked(`${secrets}/treasure`), ["a", "b\r\nimpersonate-user: kubernetes-admin"]],
    ],
    [
      "another header within a name",
      () => [...asked(`${secrets}/treasure`), ["impersonate-user: kubernetes-admin\r\na", "b"]],
    ],
    ["capitals", () => [...asked(`${secrets}/treasure`), ["Impersonate-User", "kubernetes-admin"]]],
    ["two paths", () => [...asked("/version"), [":path", `${secrets}/treasure`]]],
    ["a request line in the path", () => asked(`/version HTTP/1.1\r\nHost: x\r\n\r\nGET ${secrets}/treasure`)],
    ["another length than the body has", () => [...asked("/version"), ["content-length", "4"]], smuggled],
  ])("a request over HTTP/2 that is more than one: %s", async (_, headers, body) => {
    const { frames, text } = await overHttp2(headers(), body);
    // Reset, or the connection ended, or answered in one piece; and in no case with what is another's.
    expect(frames.some((type) => type === 1 || type === 3 || type === 7)).toBe(true);
    expect(frames.filter((type) => type === 1).length).toBeLessThan(2);
    expect(text).not.toContain(Buffer.from("opensesame").toString("base64"));
  });

  test("the log tells of each", () => {
    const events = readFileSync(home("audit.log"), "utf8")
      .trim()
      .split("\n")
      .map(
        (line) =>
          JSON.parse(line) as { user: { username?: string }; userAgent: string; responseStatus?: { code: number } },
      );
    const refused = events.filter(({ responseStatus }) => (responseStatus?.code ?? 0) >= 400);
    const signatures = new Set(refused.map(({ userAgent }) => userAgent));
    expect(Object.keys(attacks).filter((name) => !signatures.has(`attack/${name}`))).toEqual([]);
    // Nobody is named whose token was none.
    const tokens = refused.filter(({ userAgent }) => userAgent === "token/tried");
    const unproven = tokens.filter(({ responseStatus }) => responseStatus?.code === 401);
    expect(unproven.map(({ user }) => user.username)).toEqual(Array(6).fill(undefined));
    expect(new Set(refused.map(({ user }) => user.username))).toContain("system:node:n1");
  });

  test("no log tells a secret, a token or a key", () => {
    const folder = home();
    const logs = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
      (one) => one.isFile() && /\.log/.test(one.name),
    );
    expect(logs.map(({ name }) => name)).toEqual(expect.arrayContaining(["audit.log", "server.log"]));
    const secret = ["opensesame", Buffer.from("opensesame").toString("base64"), token.split(".")[2]!, "PRIVATE KEY"];
    for (const { parentPath, name } of logs) {
      const text = readFileSync(join(parentPath, name), "utf8");
      for (const one of secret) expect(text.includes(one), `${name} tells ${one.slice(0, 8)}…`).toBe(false);
    }
  });
});
