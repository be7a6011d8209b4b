/** Cluster DNS of one cluster: its Service, its endpoint on the control-plane node, and the server behind it. */

import { EndpointSlices, Endpoints, Services } from "../api/resources.ts";
import type { Owner } from "../base/disposal.ts";
import type { Client } from "../client/client.ts";
import { BalancerNames } from "../cluster-dns/balancer-names.ts";
import { bindDnsSockets, ClusterDns, informZone, metricsPort } from "../cluster-dns/server.ts";
import { SettingsPlugin } from "../cluster-dns/settings-plugin.ts";
import { InformerCache } from "../controller-runtime/informer-cache.ts";
import type { ClusterPlan, NodePlan } from "./config/cluster-config.ts";
import { followCorefile, writeCorefile } from "./corefile.ts";
import { type DnsStandbyOptions, endDnsStandby, keepDnsStandby } from "./dns-standby.ts";
import { ensureObject } from "./ensure-object.ts";
import { nodeNetnsPath } from "./network/lan.ts";
import type { Surroundings } from "./surroundings.ts";

export interface ClusterDnsOptions extends Surroundings {
  plan: ClusterPlan;
  clientOf(component: string): Client;
  /** Where DNS listens: on this node's LAN address. Undefined: a cluster without local nodes has nobody who could ask. */
  node: NodePlan | undefined;
  /** Who answers when this process dies. Undefined: nobody. */
  standby: DnsStandbyOptions | undefined;
  owner: Owner;
}

const ports = [
  { name: "dns", port: 53, protocol: "UDP" },
  { name: "dns-tcp", port: 53, protocol: "TCP" },
  { name: "metrics", port: metricsPort, protocol: "TCP" },
];
const metadata = { name: "kube-dns", namespace: "kube-system" };

/** Resolves when names can be asked for. */
export async function startClusterDns(options: ClusterDnsOptions): Promise<void> {
  const { plan, node, standby, clientOf, clock, random, signal, owner } = options;
  const log = options.log.with({ component: "dns" });
  const client = clientOf("kube-dns");
  if (!node) return;
  const cache = new InformerCache({ client, clock, log, signal });
  const sockets = bindDnsSockets(nodeNetnsPath(plan.name, node.name), node.address);
  const balancerNames = new BalancerNames();
  // From the node: a stub domain's resolver may be a Service of this cluster.
  const settings = new SettingsPlugin({ clock, random, log, netnsPath: nodeNetnsPath(plan.name, node.name) });
  const fieldSelectors = { configmaps: "metadata.name=coredns" };
  followCorefile(new InformerCache({ client, clock, log, signal, fieldSelectors }), settings, log);
  const dns = new ClusterDns({
    async inform(zone) {
      await Promise.all([
        informZone(zone, cache),
        ...(plan.loadBalancer === "cloud" ? [balancerNames.inform(cache)] : []),
      ]);
    },
    plugins: plan.loadBalancer === "cloud" ? [balancerNames] : [],
    settings,
    clock,
    random,
    log,
    domain: plan.network.dnsDomain,
    serviceAddresses: [plan.network.dnsAddress],
    listen: [sockets],
  });
  await Promise.all([dns.start(), writeService(client, plan, node), writeCorefile(client, plan.network.dnsDomain)]);
  owner.own(() => dns.close());
  if (standby) {
    endDnsStandby(standby.paths);
    owner.own(keepDnsStandby(standby, sockets));
  }
}

/** Under CoreDNS' names, so that what looks for cluster DNS finds it. Without a selector: the endpoint is ours to write. */
async function writeService(client: Client, { network }: ClusterPlan, { address }: NodePlan): Promise<void> {
  const labels = { "k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS" };
  await ensureObject(client, Services, {
    metadata: { ...metadata, labels },
    spec: { clusterIP: network.dnsAddress, ports: ports.map((port) => ({ ...port, targetPort: port.port })) },
  });
  await ensureObject(client, Endpoints, {
    metadata: { ...metadata, labels: { ...labels, "endpointslice.kubernetes.io/skip-mirror": "true" } },
    subsets: [{ addresses: [{ ip: address }], ports }],
  });
  await ensureObject(client, EndpointSlices, {
    metadata: { ...metadata, labels: { "kubernetes.io/service-name": metadata.name } },
    addressType: "IPv4",
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports,
  });
}
