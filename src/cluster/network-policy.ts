/** NetworkPolicies in effect on the local nodes of one cluster. */
import type { Owner } from "../base/disposal.ts";
import type { Client } from "../client/client.ts";
import { InformerCache } from "../controller-runtime/informer-cache.ts";
import { PolicyEnforcer } from "../network-policy/enforcer.ts";
import { informedPolicySource } from "../network-policy/policy-source.ts";
import type { ClusterPlan, NodePlan } from "./config/cluster-config.ts";
import { nodeNetnsPath } from "./network/lan.ts";
import type { Surroundings } from "./surroundings.ts";

export interface NetworkPolicyOptions extends Surroundings {
  plan: ClusterPlan;
  clientOf(component: string): Client;
  nodes: readonly NodePlan[];
  owner: Owner;
}

/** Returns at once; undefined where no node is local. */
export function startNetworkPolicy(options: NetworkPolicyOptions): PolicyEnforcer | undefined {
  const { plan, nodes, clientOf, clock, signal, owner } = options;
  if (nodes.length === 0) return undefined;
  const log = options.log.with({ component: "network-policy" });
  const cache = new InformerCache({ client: clientOf("network-policy"), clock, log, signal });
  // Cluster DNS listens on this node's address; for policies it is the pod it is elsewhere.
  const dnsNode = nodes.find(({ role }) => role === "control-plane");
  const dnsPorts = (["udp", "tcp"] as const).map((protocol) => ({ protocol, port: 53 }));
  const enforcer = new PolicyEnforcer({
    nodes: nodes.map((node) => ({
      name: node.name,
      netnsPath: nodeNetnsPath(plan.name, node.name),
      endpoints: node === dnsNode ? dnsPorts.map((port) => ({ address: node.address, ...port })) : [],
    })),
    source: informedPolicySource(cache),
    standIns: dnsNode ? [{ namespace: "kube-system", labels: { "k8s-app": "kube-dns" }, ips: [dnsNode.address] }] : [],
    clock,
    log,
  });
  const running = enforcer
    .run(signal)
    .catch((error) => log.error("network policies are no longer followed", { error }));
  owner.own(() => running);
  return enforcer;
}
