/** kube-proxy's ConfigMap as kubeadm writes it: labs and installers read it, and set strictARP in it, which in nftables mode changes nothing. */
import { ConfigMaps } from "../api/resources.ts";
import type { Client } from "../client/client.ts";
import type { ClusterPlan } from "./config/cluster-config.ts";
import { ensureObject } from "./ensure-object.ts";

/** Once it is there it is the users' own. */
export async function writeKubeProxyConfig(client: Client, { name, network }: ClusterPlan): Promise<void> {
  await ensureObject(client, ConfigMaps, {
    metadata: { name: "kube-proxy", namespace: "kube-system", labels: { app: "kube-proxy" } },
    data: { "config.conf": configOf(name, [network.podCIDR, network.ipv6?.podCIDR].filter(Boolean).join(",")) },
  });
}

function configOf(cluster: string, clusterCIDR: string): string {
  return `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
bindAddress: 0.0.0.0
clusterCIDR: ${clusterCIDR}
healthzBindAddress: 0.0.0.0:10256
hostnameOverride: ""
iptables:
  masqueradeAll: false
ipvs:
  scheduler: ""
  strictARP: false
metricsBindAddress: 127.0.0.1:10249
mode: nftables
nftables:
  masqueradeAll: false
# The proxies of the cluster ${cluster} run in its server.
`;
}
