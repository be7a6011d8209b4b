/**
 * What packets of a node's pods should meet: NetworkPolicies and pods compiled into one nft table. Pure: same inputs, same
 * rules.
 *
 * A pod that policies select is found by its address in `ingress-4` or `egress-4` (`-6`), which lead to a chain of exactly the
 * policies that select it; where none of them allows the packet, that chain drops it. Whom a policy's selectors mean stands in
 * a set of addresses each, which all policies with the same selectors share: a pod that comes or goes costs its elements and
 * no rule.
 */
import type { LabelSelector } from "../api/meta/v1.ts";
import type { IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from "../api/networking/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { familyOf } from "../base/ip.ts";
import { disjointBlocks } from "../nftables/disjoint-blocks.ts";
import {
  type Chain,
  type Element,
  inSet,
  match,
  matchNot,
  type Rule,
  type Rules,
  type SetDeclaration,
  type Statement,
  type Verdict,
  verdict,
  verdictMap,
} from "../nftables/ruleset.ts";

export const tableName = "network-policy";

/** Pods that selectors mean: those of one namespace, or of all that the namespace selector matches. */
export interface AddressGroup {
  /** Of the sets that hold the pods' addresses, without the family at its end. */
  name: string;
  /** A namespace's name, or a selector of namespaces. */
  namespaces: string | DeepReadonly<LabelSelector>;
  pods: DeepReadonly<LabelSelector> | undefined;
}

/** A port by its name in the pods' specs. */
export interface NamedPort {
  name: string;
  port: string;
  protocol: string;
}

export interface CompiledPolicy {
  rules: Rules;
  groups: readonly AddressGroup[];
  namedPorts: readonly NamedPort[];
  /** The directions in which the pods selected are isolated, with the chain of what is allowed. */
  directions: { readonly ingress?: string; readonly egress?: string };
}

/** What a node's services for pods are reached at, though they are no pods: cluster DNS. */
export interface NodeEndpoint {
  address: string;
  protocol: "tcp" | "udp";
  port: number;
}

const families = [4, 6] as const;
type FamilyNumber = (typeof families)[number];

const protocolAndPort = ["meta l4proto", "th dport"] as const;
/** How the ways of a packet end that nothing forbade to leave its pod: at who it is for. */
const onwards: Verdict = "goto ingress-check";

/** What stands in a node's table whatever policies there are. `nodeEndpoints` are of this node. */
export function compileBase(nodeEndpoints: readonly NodeEndpoint[]): Rules {
  const sets = new Map<string, SetDeclaration>();
  const established: Rule = [match("ct state", "established", "related"), verdict("accept")];
  const egress: Rule[] = [];
  const ingress: Rule[] = [];
  const forward: Rule[] = [];
  const input: Rule[] = [];
  for (const family of families) {
    const { address, saddr, daddr } = words(family);
    sets.set(`self-${family}`, { kind: "set", body: `type ${address} . ${address};` });
    sets.set(`node-endpoints-${family}`, { kind: "set", body: `type ${address} . inet_proto . inet_service;` });
    for (const direction of ["ingress", "egress"]) {
      sets.set(`${direction}-${family}`, { kind: "map", body: `type ${address} : verdict;` });
    }
    // No policy keeps a pod from itself.
    forward.push([inSet([saddr, daddr], `self-${family}`), verdict("accept")]);
    input.push([inSet([daddr, ...protocolAndPort], `node-endpoints-${family}`), verdict("goto egress-check")]);
    egress.push([verdictMap([saddr], { named: `egress-${family}` })]);
    ingress.push([verdictMap([daddr], { named: `ingress-${family}` })]);
  }
  const endpoints = new Map<string, Map<string, Element>>();
  for (const { address, protocol, port } of nodeEndpoints) {
    put(endpoints, `node-endpoints-${numberOf(address)}`, `${address} . ${protocol} . ${port}`, inTheSet);
  }
  const chains = new Map<string, Chain>([
    [
      "forward",
      {
        hook: { type: "filter", hook: "forward", priority: "0" },
        rules: [established, ...forward, [verdict("goto egress-check")]],
      },
    ],
    // Between a pod and its own node everything goes, but for what is a pod's elsewhere. What the node itself sends out is not looked at.
    ["input", { hook: { type: "filter", hook: "input", priority: "0" }, rules: [established, ...input] }],
    ["egress-check", { rules: [...egress, [verdict(onwards)]] }],
    ["ingress-check", { rules: [...ingress, [verdict("accept")]] }],
  ]);
  return { sets, chains, elements: endpoints };
}

/** One policy's chains, and which pods and ports the caller must fill its sets with. */
export function compilePolicy({ metadata, spec }: DeepReadonly<NetworkPolicy>): CompiledPolicy {
  const id = chainId(`${metadata.namespace}/${metadata.name}`);
  const compiler = new PolicyCompiler(metadata.namespace);
  const chains = new Map<string, Chain>();
  const directions: { ingress?: string; egress?: string } = {};
  if (spec.policyTypes?.includes("Ingress") ?? true) {
    directions.ingress = `from-${id}`;
    const rules = (spec.ingress ?? []).flatMap(({ from, ports }) => compiler.rules("saddr", from, ports, "accept"));
    chains.set(directions.ingress, { rules });
  }
  if (spec.policyTypes?.includes("Egress") ?? (spec.egress?.length ?? 0) > 0) {
    directions.egress = `to-${id}`;
    const rules = (spec.egress ?? []).flatMap(({ to, ports }) => compiler.rules("daddr", to, ports, onwards));
    chains.set(directions.egress, { rules });
  }
  return {
    rules: { sets: compiler.sets, chains },
    groups: [...compiler.groups.values()],
    namedPorts: [...compiler.namedPorts.values()],
    directions,
  };
}

class PolicyCompiler {
  readonly sets = new Map<string, SetDeclaration>();
  readonly groups = new Map<string, AddressGroup>();
  readonly namedPorts = new Map<string, NamedPort>();
  readonly #namespace: string;

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  /** Every peer with every port, as one rule each. No peers, or no ports, stand for any. */
  rules(
    side: "saddr" | "daddr",
    peers: readonly DeepReadonly<NetworkPolicyPeer>[] | undefined,
    ports: readonly DeepReadonly<NetworkPolicyPort>[] | undefined,
    allowed: Verdict,
  ): Rule[] {
    const rules: Rule[] = [];
    for (const family of families) {
      const whom = peers?.length ? peers.flatMap((peer) => this.#peer(peer, side, family)) : [[]];
      const where = ports?.length ? this.#ports(ports, family) : [[]];
      for (const peer of whom) for (const port of where) rules.push([...peer, ...port, verdict(allowed)]);
    }
    return distinct(rules);
  }

  #peer(peer: DeepReadonly<NetworkPolicyPeer>, side: "saddr" | "daddr", family: FamilyNumber): Statement[][] {
    const field = words(family)[side];
    if (peer.ipBlock) return compileBlock(peer.ipBlock, field, family);
    const namespaces = peer.namespaceSelector ?? this.#namespace;
    const name = `pods-${shortName(JSON.stringify([namespaces, peer.podSelector ?? {}]))}`;
    this.groups.set(name, { name, namespaces, pods: peer.podSelector });
    this.sets.set(`${name}-${family}`, { kind: "set", body: `type ${words(family).address};` });
    return [[inSet(field, `${name}-${family}`)]];
  }

  #ports(ports: readonly DeepReadonly<NetworkPolicyPort>[], family: FamilyNumber): Statement[][] {
    const numbers = new Map<string, [first: number, last: number][]>();
    const matches: Statement[][] = [];
    for (const { protocol = "TCP", port, endPort } of ports) {
      const transport = protocol.toLowerCase();
      if (typeof port === "string") {
        matches.push([inSet([words(family).daddr, ...protocolAndPort], this.#namedPort(port, transport, family))]);
      } else {
        const range: [number, number] = port === undefined ? [0, 65535] : [port, endPort ?? port];
        numbers.set(transport, [...(numbers.get(transport) ?? []), range]);
      }
    }
    for (const [transport, ranges] of numbers) {
      matches.push([match("meta l4proto", transport), match("th dport", ...disjointRanges(ranges))]);
    }
    return matches;
  }

  #namedPort(port: string, protocol: string, family: FamilyNumber): string {
    const name = `port-${protocol}-${port}`;
    const set = `${name}-${family}`;
    this.namedPorts.set(name, { name, port, protocol });
    this.sets.set(set, { kind: "set", body: `type ${words(family).address} . inet_proto . inet_service;` });
    return set;
  }
}

function compileBlock(
  { cidr, except }: DeepReadonly<IPBlock>,
  field: "ip saddr" | "ip daddr" | "ip6 saddr" | "ip6 daddr",
  family: FamilyNumber,
): Statement[][] {
  const [block] = numberOf(cidr) === family ? disjointBlocks([cidr]) : [];
  if (block === undefined) return [];
  const exceptions = disjointBlocks((except ?? []).filter((each) => numberOf(each) === family));
  return [[match(field, block), ...(exceptions.length > 0 ? [matchNot(field, ...exceptions)] : [])]];
}

/** A pod as policies see it. */
export interface PolicyPod {
  uid: string;
  ips: readonly string[];
  /** By number, as container ports are declared. */
  ports: readonly { name: string; protocol: string; number: number }[];
}

/** Where a pod's packets are looked at: the chain of exactly the policies that isolate it. */
export interface Isolation {
  name: string;
  chain: Chain;
}

/** The isolation by policies whose chains are given. Undefined where there are none. */
export function isolationBy(direction: "ingress" | "egress", policies: readonly string[]): Isolation | undefined {
  if (policies.length === 0) return undefined;
  return {
    name: `${direction}-of-${shortName(policies.join(" "))}`,
    chain: { rules: [...policies.map((policy): Rule => [verdict(`jump ${policy}`)]), [verdict("drop")]] },
  };
}

export interface PodMembership {
  /** Names of the groups it belongs to, and the named ports that anybody asks for. */
  groups: readonly string[];
  namedPorts: readonly NamedPort[];
  /** On the pod's own node. */
  ingress?: Isolation | undefined;
  egress?: Isolation | undefined;
}

/** One pod's elements on a node: as a peer, and as one that policies isolate. */
export function compilePod(pod: PolicyPod, membership: PodMembership): Rules {
  const elements = new Map<string, Map<string, Element>>();
  const chains = new Map<string, Chain>();
  for (const ip of pod.ips) {
    const family = numberOf(ip);
    for (const group of membership.groups) put(elements, `${group}-${family}`, ip, inTheSet);
    for (const { name, port, protocol } of membership.namedPorts) {
      for (const each of pod.ports) {
        if (each.name === port && each.protocol === protocol) {
          put(elements, `${name}-${family}`, `${ip} . ${protocol} . ${each.number}`, inTheSet);
        }
      }
    }
    for (const direction of ["ingress", "egress"] as const) {
      const isolation = membership[direction];
      if (!isolation) continue;
      chains.set(isolation.name, isolation.chain);
      put(elements, `${direction}-${family}`, ip, { value: `goto ${isolation.name}` });
      put(elements, `self-${family}`, `${ip} . ${ip}`, inTheSet);
    }
  }
  return { chains, elements };
}

const inTheSet: Element = { value: "" };

function put(elements: Map<string, Map<string, Element>>, set: string, key: string, element: Element): void {
  let those = elements.get(set);
  if (!those) elements.set(set, (those = new Map()));
  those.set(key, element);
}

/** Ranges that meet or overlap become one: nft refuses overlaps. */
function disjointRanges(ranges: readonly [number, number][]): string[] {
  const joined: [number, number][] = [];
  for (const [first, last] of [...ranges].sort(([a], [b]) => a - b)) {
    const previous = joined.at(-1);
    if (previous && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last);
    else joined.push([first, last]);
  }
  return joined.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`));
}

/** Rules that look at no address come out the same for both families. */
function distinct(rules: readonly Rule[]): Rule[] {
  return [...new Map(rules.map((rule) => [JSON.stringify(rule), rule])).values()];
}

/** Sixteen hexadecimal digits that stand for a text (FNV-1a, 64 bits). */
function shortName(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (let i = 0; i < text.length; i++) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(i))) * 0x100000001b3n);
  }
  return hash.toString(16).padStart(16, "0");
}

/** A policy's name may be longer than a chain's. */
function chainId(key: string): string {
  return key.length <= longestId ? key : `${key.slice(0, longestId - 17)}-${shortName(key)}`;
}

const longestId = 100;

function numberOf(address: string): FamilyNumber {
  return familyOf(address) === "ipv4" ? 4 : 6;
}

function words(family: FamilyNumber) {
  return family === 4
    ? ({ address: "ipv4_addr", saddr: "ip saddr", daddr: "ip daddr" } as const)
    : ({ address: "ipv6_addr", saddr: "ip6 saddr", daddr: "ip6 daddr" } as const);
}
