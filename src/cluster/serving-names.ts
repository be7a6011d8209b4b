/** By which names and addresses clients know a cluster's API server. */
import type { ClusterPlan } from "./config/cluster-config.ts";

export function servingNames(plan: ClusterPlan): { dnsNames: string[]; ipAddresses: string[] } {
  const { dnsDomain, kubernetesAddress, hostAddress } = plan.network;
  const service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", `kubernetes.default.svc.${dnsDomain}`];
  return {
    dnsNames: [...service, "localhost", ...plan.nodes.map((node) => node.name)],
    ipAddresses: [
      ...new Set([
        kubernetesAddress,
        plan.apiServer.address,
        "127.0.0.1",
        hostAddress,
        ...plan.nodes.map((node) => node.address),
      ]),
    ],
  };
}
