/** What a cluster must hold so that machines may join it by a token: kubeadm's bootstrap-token and kubelet-config phases, by their names. */
import type { Role, RoleBinding, Subject } from "../../api/rbac/v1.ts";
import { ClusterRoleBindings, ClusterRoles, ConfigMaps, RoleBindings, Roles } from "../../api/resources.ts";
import type { Client } from "../../client/client.ts";
import type { ClusterPlan } from "../config/cluster-config.ts";
import { ensureObject } from "../ensure-object.ts";
import { joinersGroup } from "./bootstrap-token.ts";

export const clusterInfo = { name: "cluster-info", namespace: "kube-public" } as const;
export const kubeletConfig = { name: "kubelet-config", namespace: "kube-system" } as const;

const rbac = "rbac.authorization.k8s.io";
const csr = { apiGroups: ["certificates.k8s.io"], resources: ["certificatesigningrequests"] };
const toGroup = (name: string): Subject => ({ apiGroup: rbac, kind: "Group", name });

/** `server` is where joining machines reach the API. */
export async function writeJoinObjects(client: Client, plan: ClusterPlan, ca: string, server: string): Promise<void> {
  const clusterRole = (name: string, rules: Role["rules"]) =>
    ensureObject(client, ClusterRoles, { metadata: { name }, rules: rules ?? [] } as never);
  const clusterBinding = (name: string, role: string, ...subjects: Subject[]) =>
    ensureObject(client, ClusterRoleBindings, {
      metadata: { name },
      roleRef: { apiGroup: rbac, kind: "ClusterRole", name: role },
      subjects,
    });
  const readable = async (
    name: string,
    object: { name: string; namespace: string },
    subjects: Subject[],
    verbs = ["get"],
  ) => {
    const metadata = { name, namespace: object.namespace };
    const rules = [{ apiGroups: [""], resources: ["configmaps"], resourceNames: [object.name], verbs }];
    await ensureObject(client, Roles, { metadata, rules } as Role);
    const roleRef = { apiGroup: rbac, kind: "Role", name };
    await ensureObject(client, RoleBindings, { metadata, roleRef, subjects } as RoleBinding);
  };
  const nodes = toGroup("system:nodes");
  const joiners = toGroup(joinersGroup);
  const ofClients = "system:certificates.k8s.io:certificatesigningrequests";
  await Promise.all([
    clusterRole("system:node-bootstrapper", [{ ...csr, verbs: ["create", "get", "list", "watch"] }]),
    clusterRole(`${ofClients}:nodeclient`, [
      { ...csr, resources: ["certificatesigningrequests/nodeclient"], verbs: ["create"] },
    ]),
    clusterRole(`${ofClients}:selfnodeclient`, [
      { ...csr, resources: ["certificatesigningrequests/selfnodeclient"], verbs: ["create"] },
    ]),
    clusterBinding("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", joiners),
    clusterBinding("kubeadm:node-autoapprove-bootstrap", `${ofClients}:nodeclient`, joiners),
    clusterBinding("kubeadm:node-autoapprove-certificate-rotation", `${ofClients}:selfnodeclient`, nodes),
    // Logs, exec and the like: the API server asks the kubelet, and the kubelet asks whether it may.
    clusterRole("system:kubelet-api-admin", [
      { apiGroups: [""], resources: ["nodes"], verbs: ["get", "list", "watch", "proxy"] },
      { apiGroups: [""], resources: kubeletSubresources.map((name) => `nodes/${name}`), verbs: ["*"] },
    ]),
    clusterBinding("pinnace:kubelet-api", "system:kubelet-api-admin", {
      apiGroup: rbac,
      kind: "User",
      name: "kube-apiserver",
    }),
    // A joined node's proxy runs in its kubelet's process, as its kubelet's user.
    clusterBinding("pinnace:node-proxier", "system:node-proxier", nodes),
    readable("kubeadm:bootstrap-signer-clusterinfo", clusterInfo, [
      { apiGroup: rbac, kind: "User", name: "system:anonymous" },
    ]),
    // Joined nodes see there when the cluster changes its authority.
    readable("pinnace:cluster-info", clusterInfo, [nodes], ["get", "list", "watch"]),
    readable("kubeadm:kubelet-config", kubeletConfig, [nodes, joiners]),
    ensureObject(client, ConfigMaps, { metadata: kubeletConfig, data: { kubelet: kubeletText(plan) } }),
    ensureObject(client, ConfigMaps, { metadata: clusterInfo, data: { kubeconfig: kubeconfigText(ca, server) } }),
  ]);
}

const kubeletSubresources = ["proxy", "log", "stats", "metrics", "spec", "configz", "healthz", "pods"];

function kubeletText({ network, allowedUnsafeSysctls = [], enableSystemLogQuery = false }: ClusterPlan): string {
  return `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
clusterDNS:
- ${network.dnsAddress}
clusterDomain: ${network.dnsDomain}
allowedUnsafeSysctls: ${JSON.stringify(allowedUnsafeSysctls)}
enableSystemLogQuery: ${enableSystemLogQuery}
# Of kube-proxy, which runs in the same process.
# podCIDR: ${network.podCIDR}
# serviceCIDR: ${network.serviceCIDR}
`;
}

/** What a joined node is told of the cluster. Throws when the text is not what was written here. */
export function parseKubeletText(text: string) {
  const find = (pattern: RegExp) => {
    const found = pattern.exec(text)?.[1];
    if (!found) throw new Error(`the cluster's kubelet-config lacks ${pattern.source}`);
    return found;
  };
  return {
    dns: find(/clusterDNS:\s*-\s*(\S+)/),
    domain: find(/clusterDomain:\s*(\S+)/),
    podCIDR: find(/podCIDR:\s*(\S+)/),
    serviceCIDR: find(/serviceCIDR:\s*(\S+)/),
    // Clusters before did not say.
    allowedUnsafeSysctls: JSON.parse(/^allowedUnsafeSysctls: (\[.*\])$/m.exec(text)?.[1] ?? "[]") as string[],
    enableSystemLogQuery: /^enableSystemLogQuery: true$/m.test(text),
  };
}

function kubeconfigText(ca: string, server: string): string {
  return `apiVersion: v1
kind: Config
clusters:
- name: ""
  cluster:
    certificate-authority-data: ${Buffer.from(ca).toString("base64")}
    server: ${server}
contexts: null
current-context: ""
preferences: {}
users: null
`;
}
