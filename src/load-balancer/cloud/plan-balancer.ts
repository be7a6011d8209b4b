/** What a cloud's balancer does with packets: addresses and ports of Services, and the node ports behind them, as one nft table. Pure. */
import type { Node, Service } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { addressAt, cidr, cidrContains, cidrSize, familyOf, formatIp, ip, parseIp } from "../../base/ip.ts";
import { disjointBlocks } from "../../nftables/disjoint-blocks.ts";
import { awsBalancerOf } from "./aws.ts";

export interface Target {
  node: string;
  address: string;
}

export interface Balancer {
  service: DeepReadonly<Service>;
  address: string;
  /** The nodes that passed their health check. */
  targets: readonly Target[];
}

/** Where a node says whether it has what the Service needs. */
export interface HealthCheck {
  port: number;
  path: string;
}

const proxyHealth: HealthCheck = { port: 10256, path: "/healthz" };

/** On the Service, of which the status holds only a name: the address behind it. */
export const addressAnnotation = "pinnace.local/load-balancer-address";

/** The address that a Service's balancer has, whatever its status shows. */
export function heldAddress({ metadata, status }: DeepReadonly<Service>): string | undefined {
  const ingress = status?.loadBalancer?.ingress?.[0];
  return ingress?.ip ?? (ingress?.hostname ? metadata.annotations?.[addressAnnotation] : undefined);
}

/** With policy Local a node must have an endpoint of the Service; otherwise a working proxy is enough. */
export function healthCheckOf(service: DeepReadonly<Service>): HealthCheck {
  const { spec } = service;
  const usual =
    spec.externalTrafficPolicy === "Local" && spec.healthCheckNodePort
      ? { port: spec.healthCheckNodePort, path: "/healthz" }
      : proxyHealth;
  const { port = usual.port, path = usual.path } = awsBalancerOf(service)?.healthCheck ?? {};
  return { port, path };
}

/** The nodes that a balancer may send to at all. */
export function targetsAmong(nodes: readonly DeepReadonly<Node>[]): Target[] {
  return nodes.flatMap(({ metadata, status }) => {
    const isOut =
      metadata.deletionTimestamp !== undefined ||
      metadata.labels?.["node.kubernetes.io/exclude-from-external-load-balancers"] !== undefined;
    const address = status.addresses?.find(({ type }) => type === "InternalIP")?.address;
    return isOut || !address ? [] : [{ node: metadata.name, address }];
  });
}

/** Thrown with what the Service's event says. */
export class BalancerError extends Error {
  override name = "BalancerError";
}

/** Why no balancer could do what the Service asks for; undefined when one can. */
export function whyImpossible({ spec }: DeepReadonly<Service>): string | undefined {
  if (spec.ipFamilies?.length && !spec.ipFamilies.includes("IPv4")) return "load balancers have IPv4 addresses only";
  if (spec.ports?.length && spec.ports.every(({ nodePort }) => !nodePort))
    return "load balancers send to node ports, and the Service has none";
  return undefined;
}

/** The Service's address: the one that it holds, the one that it asks for, or the last free one of the LAN. Throws BalancerError. */
export function addressFor(service: DeepReadonly<Service>, lan: string, taken: ReadonlySet<string>): string {
  const block = cidr(lan);
  const requested = service.spec.loadBalancerIP;
  const held = heldAddress(service);
  if (requested) {
    const bytes = parseIp(requested);
    if (!bytes || !cidrContains(block, bytes))
      throw new BalancerError(`requested address ${requested} is not in ${lan}`);
    if (taken.has(requested)) throw new BalancerError(`requested address ${requested} is already in use`);
    return requested;
  }
  if (held && parseIp(held) && cidrContains(block, ip(held)) && !taken.has(held)) return held;
  for (let offset = cidrSize(block) - 2n; offset > 0n; offset--) {
    const address = formatIp(addressAt(block, offset));
    if (!taken.has(address)) return address;
  }
  throw new BalancerError(`the LAN ${lan} has no address left`);
}

const tableName = "balancer";

/** Replaces the table as a whole, in one transaction. Connections that are under way stay with their node. */
export function compileBalancers(balancers: readonly Balancer[]): string {
  const lines = [
    `add table ip ${tableName}`,
    `delete table ip ${tableName}`,
    `add table ip ${tableName}`,
    `add chain ip ${tableName} firewall { type filter hook prerouting priority -110; }`,
    `add chain ip ${tableName} prerouting { type nat hook prerouting priority dstnat; }`,
    `add chain ip ${tableName} postrouting { type nat hook postrouting priority srcnat; }`,
    `add rule ip ${tableName} postrouting ct status dnat masquerade`,
  ];
  for (const { service, address, targets } of balancers) {
    const ranges = disjointBlocks(sourceRangesOf(service).filter((range) => familyOf(range) === "ipv4"));
    // A client that comes again comes to the same node.
    const choice = service.spec.sessionAffinity === "ClientIP" ? "jhash ip saddr" : "numgen random";
    for (const { protocol = "TCP", port, nodePort } of service.spec.ports ?? []) {
      const match = `ip daddr ${address} ${protocol.toLowerCase()} dport ${port}`;
      if (ranges.length > 0)
        lines.push(`add rule ip ${tableName} firewall ${match} ip saddr != { ${ranges.join(", ")} } ct state new drop`);
      if (!nodePort || targets.length === 0) continue;
      const places = targets.map((target, i) => `${i} : ${target.address} . ${nodePort}`).join(", ");
      lines.push(
        `add rule ip ${tableName} prerouting ${match} dnat ip to ${choice} mod ${targets.length} map { ${places} }`,
      );
    }
  }
  return lines.join("\n");
}

const sourceRangesAnnotation = "service.beta.kubernetes.io/load-balancer-source-ranges";
/** Whom an internal balancer answers, when the Service names nobody. */
const privateRanges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"];

/** Empty: everybody. */
function sourceRangesOf(service: DeepReadonly<Service>): readonly string[] {
  const { spec, metadata } = service;
  const stated = spec.loadBalancerSourceRanges?.length
    ? spec.loadBalancerSourceRanges
    : (metadata.annotations?.[sourceRangesAnnotation] ?? "").split(",").filter((range) => range.trim() !== "");
  return stated.length === 0 && awsBalancerOf(service)?.isInternal ? privateRanges : stated;
}
