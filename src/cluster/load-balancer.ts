/** Who gives addresses to the cluster's Services of type LoadBalancer, as the configuration says. */
import { CustomResourceDefinitions, Namespaces } from "../api/resources.ts";
import { isNotFound } from "../apimachinery/status-error.ts";
import { sleep } from "../base/clock.ts";
import type { Owner } from "../base/disposal.ts";
import { macOf } from "../base/node/links.ts";
import { netnsPath } from "../base/node/netns.ts";
import type { Client } from "../client/client.ts";
import { runControllers } from "../controller-runtime/run-controllers.ts";
import { cloudBalancer } from "../load-balancer/cloud/cloud-balancer.ts";
import { bgpSpeaker } from "../load-balancer/metallb/bgp/speaker.ts";
import { metallbController } from "../load-balancer/metallb/controller.ts";
import { metallbCustomResources } from "../load-balancer/metallb/custom-resources.ts";
import {
  BFDProfiles,
  BGPAdvertisements,
  BGPPeers,
  Communities,
  IPAddressPools,
  L2Advertisements,
  metallbNamespace,
} from "../load-balancer/metallb/kinds.ts";
import { metallbSpeaker } from "../load-balancer/metallb/speaker.ts";
import type { ClusterPlan } from "./config/cluster-config.ts";
import { ensureObject } from "./ensure-object.ts";
import { nodeNetnsPath } from "./network/lan.ts";
import { balancerNetns, nodeLink } from "./network/plan-lan.ts";
import type { Surroundings } from "./surroundings.ts";

export interface LoadBalancerOptions extends Surroundings {
  plan: ClusterPlan;
  clientOf(component: string): Client;
  owner: Owner;
}

/** Resolves when it looks after Services. */
export async function startLoadBalancer(options: LoadBalancerOptions): Promise<void> {
  if (options.plan.loadBalancer === "metallb") await startMetallb(options);
  if (options.plan.loadBalancer === "cloud") await startCloud(options);
}

async function startCloud(options: LoadBalancerOptions): Promise<void> {
  const { plan, clientOf, owner } = options;
  // Simulated nodes have no ports to send to.
  if (!plan.nodes.some(({ kind }) => kind === "local")) return;
  const balancer = cloudBalancer({
    netnsPath: netnsPath(balancerNetns(plan.name)),
    link: nodeLink,
    lan: plan.network.lan,
    gateway: plan.network.hostAddress,
    reserved: [plan.network.hostAddress, ...plan.nodes.map(({ address }) => address)],
  });
  const log = options.log.with({ component: "cloud-controller-manager" });
  const running = runControllers([balancer], { ...options, client: clientOf("cloud-controller-manager"), log });
  owner.own(() => running.done);
  await running.ready;
}

async function startMetallb(options: LoadBalancerOptions): Promise<void> {
  const { plan, clientOf, clock, owner, signal } = options;
  const client = clientOf("metallb");
  await Promise.all([
    ensureObject(client, Namespaces, { metadata: { name: metallbNamespace }, spec: {} }),
    ...metallbCustomResources.map((definition) =>
      ensureObject(client, CustomResourceDefinitions, definition, "create"),
    ),
  ]);
  const followed = [IPAddressPools, L2Advertisements, BGPPeers, BGPAdvertisements, BFDProfiles, Communities] as const;
  for (const resource of followed) {
    while (!(await isServed(() => client.list(resource as typeof IPAddressPools)))) await sleep(clock, 20, signal);
  }
  const nodes = plan.nodes
    .filter(({ kind }) => kind === "local")
    .map(({ name, address }) => ({ name, address, netnsPath: nodeNetnsPath(plan.name, name), mac: macOf(address) }));
  const observer = { address: plan.network.hostAddress, netnsPath: "/proc/thread-self/ns/net" };
  const speaker = metallbSpeaker({ nodes, observer, link: nodeLink });
  const log = options.log.with({ component: "metallb" });
  const running = runControllers([metallbController, speaker, bgpSpeaker({ nodes })], { ...options, client, log });
  owner.own(() => running.done);
  await running.ready;
}

async function isServed(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask();
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
