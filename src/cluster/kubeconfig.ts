/** The cluster's kubeconfig, and its context in the user's own, as kind merges it. */
import type { ClusterPki } from "./certificates.ts";
import type { ClusterPlan } from "./config/cluster-config.ts";
import { writeAtomically } from "./state-folder.ts";

/** Cluster, user and context all carry this name. */
export function contextName(clusterName: string): string {
  return clusterName === "pinnace" ? "pinnace" : `pinnace-${clusterName}`;
}

/** A complete kubeconfig with the administrator's client certificate. */
export function clusterKubeconfig(plan: ClusterPlan, pki: ClusterPki): string {
  const name = contextName(plan.name);
  const base64 = (pem: string) => Buffer.from(pem).toString("base64");
  return `apiVersion: v1
kind: Config
clusters:
- name: ${name}
  cluster:
    server: https://${plan.apiServer.address}:${plan.apiServer.port}
    certificate-authority-data: ${base64(pki.ca.certificatePem)}
users:
- name: ${name}
  user:
    client-certificate-data: ${base64(pki.admin.certificatePem)}
    client-key-data: ${base64(pki.admin.privateKeyPem)}
contexts:
- name: ${name}
  context:
    cluster: ${name}
    user: ${name}
current-context: ${name}
`;
}

export function writeClusterKubeconfig(plan: ClusterPlan, pki: ClusterPki, file: string): void {
  writeAtomically(file, clusterKubeconfig(plan, pki), 0o600);
}
