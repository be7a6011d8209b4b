/**
 * What packets should meet on a node: Services and their endpoints compiled into one nft table per family (upstream's
 * kube-proxy in nftables mode). Pure: same inputs, same rules.
 *
 * A Service's usual address costs map elements only. `service-ips` says by address, protocol and port how many endpoints
 * there are to choose from (`goto endpoints-3`); the chain of that number, shared by all Services, draws one of them and
 * finds it in `service-endpoints`. So a packet costs two look-ups whatever the number of Services, and a change costs the
 * elements that changed. Only session affinity and external policy Local need chains of their own.
 */
import type { Service, ServicePort } from "../api/core/v1.ts";
import type { EndpointSlice } from "../api/discovery/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { familyOf, parseIp } from "../base/ip.ts";
import { disjointBlocks } from "../nftables/disjoint-blocks.ts";
import {
  type Chain,
  type Element,
  type Field,
  inSet,
  match,
  matchNot,
  type Rule,
  type Rules,
  type SetDeclaration,
  verdict,
  verdictMap,
} from "../nftables/ruleset.ts";
import { type Backend, type Backends, backendsOf } from "./endpoints.ts";
import type { NodeView } from "./node-view.ts";

export type IpFamily = "ipv4" | "ipv6";

export const tableName = "kube-proxy";
const masqueradeBit = 0x4000;
const defaultAffinityTimeoutSeconds = 10_800;

/** What stands in a node's table whatever Services there are. */
export function compileBase(node: NodeView, family: IpFamily): Rules {
  const { address, saddr, daddr } = words(family);
  const ofFamily = (blocks: readonly string[]) => blocks.filter((block) => familyOf(block) === family);
  const podBlocks = ofFamily(node.podCIDRs);
  const serviceBlocks = ofFamily(node.serviceCIDRs);
  const vip: readonly Field[] = [daddr, "meta l4proto", "th dport"];
  const nodePort: readonly Field[] = ["meta l4proto", "th dport"];
  const isNew = match("ct state", "new");

  const sets = new Map<string, SetDeclaration>([
    ["cluster-ips", { kind: "set", body: `type ${address};` }],
    ["nodeport-ips", { kind: "set", body: `type ${address};` }],
    ["hairpin-connections", { kind: "set", body: `type ${address} . ${address};` }],
    ["service-ips", { kind: "map", body: `type ${address} . inet_proto . inet_service : verdict;` }],
    ["service-nodeports", { kind: "map", body: "type inet_proto . inet_service : verdict;" }],
    ["no-endpoint-services", { kind: "map", body: `type ${address} . inet_proto . inet_service : verdict;` }],
    ["no-endpoint-nodeports", { kind: "map", body: "type inet_proto . inet_service : verdict;" }],
    ["firewall-ips", { kind: "map", body: `type ${address} . inet_proto . inet_service : verdict;` }],
    [
      "service-endpoints",
      { kind: "map", body: `type ${address} . inet_proto . inet_service . mark : ${address} . inet_service;` },
    ],
    ["nodeport-endpoints", { kind: "map", body: `type inet_proto . inet_service . mark : ${address} . inet_service;` }],
  ]);

  const chains = new Map<string, Chain>([
    [
      "nat-prerouting",
      { hook: { type: "nat", hook: "prerouting", priority: "dstnat" }, rules: [[verdict("jump services")]] },
    ],
    ["nat-output", { hook: { type: "nat", hook: "output", priority: "-100" }, rules: [[verdict("jump services")]] }],
    // A packet that is in the chains above while a transaction takes effect may meet an entry of the old rules and an
    // endpoint's number of the new ones, and so find nothing. The kernel enters these only for what found nothing.
    [
      "nat-prerouting-again",
      { hook: { type: "nat", hook: "prerouting", priority: "dstnat + 1" }, rules: [[verdict("jump services")]] },
    ],
    [
      "nat-output-again",
      { hook: { type: "nat", hook: "output", priority: "-99" }, rules: [[verdict("jump services")]] },
    ],
    [
      "services",
      {
        rules: [
          ...(podBlocks.length > 0
            ? [[matchNot(saddr, ...podBlocks), inSet(daddr, "cluster-ips"), verdict("jump mark-for-masquerade")]]
            : []),
          [verdictMap(vip, { named: "service-ips" })],
          [inSet(daddr, "nodeport-ips"), verdictMap(nodePort, { named: "service-nodeports" })],
        ],
      },
    ],
    ["mark-for-masquerade", { rules: [[{ kind: "mark", bit: masqueradeBit }]] }],
    [
      "nat-postrouting",
      { hook: { type: "nat", hook: "postrouting", priority: "srcnat" }, rules: [[verdict("jump masquerading")]] },
    ],
    [
      "masquerading",
      {
        rules: [
          // A pod that reached itself through its Service must not see a packet from itself.
          [inSet([saddr, daddr], "hairpin-connections"), { kind: "masquerade" }],
          [{ kind: "is-marked", bit: masqueradeBit }, { kind: "masquerade" }],
        ],
      },
    ],
    // Before destinations are rewritten: who may speak to a load balancer's address.
    [
      "filter-prerouting-pre-dnat",
      {
        hook: { type: "filter", hook: "prerouting", priority: "-110" },
        rules: [[isNew, verdict("jump firewall-check")]],
      },
    ],
    [
      "filter-output-pre-dnat",
      { hook: { type: "filter", hook: "output", priority: "-110" }, rules: [[isNew, verdict("jump firewall-check")]] },
    ],
    ["firewall-check", { rules: [[verdictMap(vip, { named: "firewall-ips" })]] }],
    // After that: what still carries a Service's address found no endpoint.
    [
      "filter-input",
      {
        hook: { type: "filter", hook: "input", priority: "-110" },
        rules: [
          [isNew, verdict("jump nodeport-endpoints-check")],
          [isNew, verdict("jump service-endpoints-check")],
        ],
      },
    ],
    [
      "filter-forward",
      {
        hook: { type: "filter", hook: "forward", priority: "-110" },
        rules: [
          [isNew, verdict("jump service-endpoints-check")],
          [isNew, verdict("jump cluster-ips-check")],
        ],
      },
    ],
    [
      "filter-output",
      {
        hook: { type: "filter", hook: "output", priority: "-90" },
        rules: [
          [isNew, verdict("jump service-endpoints-check")],
          [isNew, verdict("jump cluster-ips-check")],
        ],
      },
    ],
    ["service-endpoints-check", { rules: [[verdictMap(vip, { named: "no-endpoint-services" })]] }],
    [
      "nodeport-endpoints-check",
      { rules: [[inSet(daddr, "nodeport-ips"), verdictMap(nodePort, { named: "no-endpoint-nodeports" })]] },
    ],
    [
      "cluster-ips-check",
      {
        rules: [
          [inSet(daddr, "cluster-ips"), verdict("goto reject-chain")],
          ...(serviceBlocks.length > 0 ? [[match(daddr, ...serviceBlocks), verdict("drop")] as Rule] : []),
        ],
      },
    ],
    // A reset, since the kernel sends only so many ICMP errors a second, and a client that gets none tries for long.
    [
      "reject-chain",
      { rules: [[match("meta l4proto", "tcp"), { kind: "reject", with: "tcp reset" }], [{ kind: "reject" }]] },
    ],
  ]);

  const nodeAddresses = ofFamily(node.addresses).map((ip): [string, Element] => [ip, inTheSet]);
  return { sets, chains, elements: new Map([["nodeport-ips", new Map(nodeAddresses)]]) };
}

/** What one Service adds to the table of a family. Empty for headless and ExternalName Services, and for families it does not have. */
export function compileService(
  service: DeepReadonly<Service>,
  slices: Iterable<DeepReadonly<EndpointSlice>>,
  node: NodeView,
  family: IpFamily,
): Rules {
  const { spec } = service;
  const clusterIPs = (spec.clusterIPs ?? [spec.clusterIP ?? ""]).filter((ip) => isOfFamily(ip, family));
  if (spec.type === "ExternalName" || clusterIPs.length === 0) return {};
  const allSlices = [...slices];
  const compiler = new ServiceCompiler(service, node, family);
  for (const ip of clusterIPs) compiler.element("cluster-ips", ip, "");
  for (const port of spec.ports ?? []) compiler.port(port, backendsOf(port, allSlices, node, family), clusterIPs);
  return compiler.rules;
}

/** Where traffic to a Service comes in, and by which rules. */
interface Entry {
  /** `service-ips` or `service-nodeports`, and the key there. */
  map: "service-ips" | "service-nodeports";
  key: string;
  external: boolean;
}

class ServiceCompiler {
  readonly rules: {
    sets: Map<string, SetDeclaration>;
    chains: Map<string, Chain>;
    elements: Map<string, Map<string, Element>>;
  } = {
    sets: new Map(),
    chains: new Map(),
    elements: new Map(),
  };
  readonly #service: DeepReadonly<Service>;
  readonly #node: NodeView;
  readonly #family: IpFamily;
  readonly #name: string;

  constructor(service: DeepReadonly<Service>, node: NodeView, family: IpFamily) {
    this.#service = service;
    this.#node = node;
    this.#family = family;
    this.#name = `${service.metadata.namespace}/${service.metadata.name}`;
  }

  port(port: DeepReadonly<ServicePort>, backends: Backends, clusterIPs: readonly string[]): void {
    const { spec, status } = this.#service;
    const protocol = (port.protocol ?? "TCP").toLowerCase();
    const name = `${this.#name}/${protocol}/${port.port}`;
    const comment = `${this.#name}${port.name ? `:${port.name}` : ""}`;
    const vip = (ip: string, external: boolean): Entry => ({
      map: "service-ips",
      key: `${ip} . ${protocol} . ${port.port}`,
      external,
    });

    const entries = clusterIPs.map((ip) => vip(ip, false));
    const balancerIPs = (status?.loadBalancer?.ingress ?? [])
      .filter(({ ipMode }) => (ipMode ?? "VIP") === "VIP")
      .flatMap(({ ip }) => (isOfFamily(ip, this.#family) ? [ip] : []));
    const externalIPs = (spec.externalIPs ?? []).filter((ip) => isOfFamily(ip, this.#family));
    for (const ip of new Set([...externalIPs, ...balancerIPs])) entries.push(vip(ip, true));
    if (port.nodePort)
      entries.push({ map: "service-nodeports", key: `${protocol} . ${port.nodePort}`, external: true });

    for (const entry of entries) this.#enter(entry, name, protocol, backends, comment);
    this.#firewall(name, protocol, port.port, balancerIPs, comment);
    for (const { ip, isLocal } of backends.cluster.concat(backends.local)) {
      if (isLocal) this.element("hairpin-connections", `${ip} . ${ip}`, "");
    }
  }

  element(set: string, key: string, value: string, comment?: string): void {
    let elements = this.rules.elements.get(set);
    if (!elements) this.rules.elements.set(set, (elements = new Map()));
    if (!elements.has(key))
      elements.set(key, value === "" ? inTheSet : comment === undefined ? { value } : { value, comment });
  }

  #enter(entry: Entry, name: string, protocol: string, backends: Backends, comment: string): void {
    const { spec } = this.#service;
    const isLocalOnly = (entry.external ? spec.externalTrafficPolicy : spec.internalTrafficPolicy) === "Local";
    const usable = isLocalOnly ? backends.local : backends.cluster;
    if (usable.length === 0) {
      const somewhere = backends.cluster.length > 0 || backends.local.length > 0;
      const noEndpoints = entry.map === "service-ips" ? "no-endpoint-services" : "no-endpoint-nodeports";
      this.element(noEndpoints, entry.key, somewhere ? "drop" : "goto reject-chain", comment);
    }
    const target =
      entry.external && isLocalOnly
        ? this.#externalLocalChain(name, protocol, backends)
        : usable.length > 0
          ? this.#choose(entry, name, protocol, usable, isLocalOnly)
          : undefined;
    if (target) this.element(entry.map, entry.key, `goto ${target}`, comment);
  }

  /** The chain that draws one of the backends; for traffic from outside it masquerades on the way. */
  #choose(entry: Entry, name: string, protocol: string, backends: readonly Backend[], isLocalOnly: boolean): string {
    if (this.#affinitySeconds !== undefined) {
      const chain = this.#ownChain(isLocalOnly ? "local" : "service", name, protocol, backends);
      return entry.external ? this.#chain(`external-${name}`, [markForMasquerade, [verdict(`goto ${chain}`)]]) : chain;
    }
    const { daddr, family } = words(this.#family);
    const isVip = entry.map === "service-ips";
    const endpointMap = isVip ? "service-endpoints" : "nodeport-endpoints";
    for (const [i, { ip, port }] of backends.entries())
      this.element(endpointMap, `${entry.key} . ${i}`, `${ip} . ${port}`);
    const number = backends.length;
    const key: Field[] = [...(isVip ? [daddr] : []), "meta l4proto", "th dport", "meta mark"];
    const draw: Rule = [
      match("meta l4proto", "tcp", "udp", "sctp"),
      { kind: "draw", among: number },
      { kind: "dnat", family, key, map: { named: endpointMap } },
    ];
    if (!isVip) return this.#sharedChain(`nodeport-endpoints-${number}`, [markForMasquerade, draw]);
    const chain = this.#sharedChain(`endpoints-${number}`, [draw]);
    if (!entry.external) return chain;
    return this.#sharedChain(`external-endpoints-${number}`, [markForMasquerade, [verdict(`goto ${chain}`)]]);
  }

  /** External policy Local: clients outside keep their address and reach this node's endpoints; pods and the node itself reach all. */
  #externalLocalChain(name: string, protocol: string, backends: Backends): string | undefined {
    if (backends.cluster.length === 0 && backends.local.length === 0) return undefined;
    const { saddr } = words(this.#family);
    const rules: Rule[] = [];
    if (backends.cluster.length > 0) {
      const all = this.#ownChain("service", name, protocol, backends.cluster);
      const podBlocks = this.#node.podCIDRs.filter((block) => familyOf(block) === this.#family);
      if (podBlocks.length > 0) rules.push([match(saddr, ...podBlocks), verdict(`goto ${all}`)]);
      const fromHere = match("fib saddr type", "local");
      rules.push([fromHere, verdict("jump mark-for-masquerade")], [fromHere, verdict(`goto ${all}`)]);
    }
    if (backends.local.length > 0)
      rules.push([verdict(`goto ${this.#ownChain("local", name, protocol, backends.local)}`)]);
    return this.#chain(`external-${name}`, rules);
  }

  /** A chain of the Service's own over the given backends. */
  #ownChain(prefix: "service" | "local", name: string, protocol: string, backends: readonly Backend[]): string {
    const { family, saddr, address } = words(this.#family);
    const draw: Field = `numgen random mod ${backends.length}`;
    const timeout = this.#affinitySeconds;
    if (timeout === undefined) {
      const entries = backends.map(({ ip, port }, i) => [String(i), `${ip} . ${port}`] as const);
      return this.#chain(`${prefix}-${name}`, [
        [match("meta l4proto", protocol), { kind: "dnat", family, key: [draw], map: { entries } }],
      ]);
    }
    const targets = backends.map(({ ip, port }) => {
      const suffix = `${name}/${ip.replaceAll(":", ".")}/${port}`;
      const body = `type ${address}; flags dynamic,timeout; timeout ${timeout}s;`;
      this.rules.sets.set(`affinity-${suffix}`, { kind: "set", body, isDynamic: true });
      const entries = [["0", `${ip} . ${port}`]] as const;
      const chain = this.#chain(`endpoint-${suffix}`, [
        [{ kind: "remember", key: [saddr], set: `affinity-${suffix}` }],
        [match("meta l4proto", protocol), { kind: "dnat", family, key: ["numgen random mod 1"], map: { entries } }],
      ]);
      return { set: `affinity-${suffix}`, chain };
    });
    const known = targets.map(({ set, chain }): Rule => [inSet(saddr, set), verdict(`goto ${chain}`)]);
    const entries = targets.map(({ chain }, i) => [String(i), `goto ${chain}`] as const);
    return this.#chain(`${prefix}-${name}`, [...known, [verdictMap([draw], { entries })]]);
  }

  /** loadBalancerSourceRanges: others get no answer. */
  #firewall(name: string, protocol: string, port: number, balancerIPs: readonly string[], comment: string): void {
    const ranges = this.#service.spec.loadBalancerSourceRanges ?? [];
    if (ranges.length === 0 || this.#service.spec.type !== "LoadBalancer") return;
    const ofFamily = disjointBlocks(ranges.filter((range) => familyOf(range) === this.#family));
    const allow: Rule[] =
      ofFamily.length > 0 ? [[match(words(this.#family).saddr, ...ofFamily), verdict("return")]] : [];
    const chain = this.#chain(`firewall-${name}`, [...allow, [verdict("drop")]]);
    for (const ip of balancerIPs)
      this.element("firewall-ips", `${ip} . ${protocol} . ${port}`, `goto ${chain}`, comment);
  }

  /** Of one name and family there is one chain object, so that comparing it costs nothing. */
  #sharedChain(name: string, rules: readonly Rule[]): string {
    const known = sharedChains[this.#family].get(name);
    const chain = known ?? { rules };
    if (!known) sharedChains[this.#family].set(name, chain);
    this.rules.chains.set(name, chain);
    return name;
  }

  #chain(name: string, rules: readonly Rule[]): string {
    this.rules.chains.set(name, { rules });
    return name;
  }

  get #affinitySeconds(): number | undefined {
    const { spec } = this.#service;
    if (spec.sessionAffinity !== "ClientIP") return undefined;
    return spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? defaultAffinityTimeoutSeconds;
  }
}

const sharedChains = { ipv4: new Map<string, Chain>(), ipv6: new Map<string, Chain>() };
const inTheSet: Element = { value: "" };
const markForMasquerade: Rule = [verdict("jump mark-for-masquerade")];

function words(family: IpFamily) {
  return family === "ipv4"
    ? ({ family: "ip", address: "ipv4_addr", saddr: "ip saddr", daddr: "ip daddr" } as const)
    : ({ family: "ip6", address: "ipv6_addr", saddr: "ip6 saddr", daddr: "ip6 daddr" } as const);
}

function isOfFamily(ip: string | undefined, family: IpFamily): ip is string {
  return ip !== undefined && parseIp(ip)?.length === (family === "ipv4" ? 4 : 16);
}
