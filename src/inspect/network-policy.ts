/** Which NetworkPolicies a connection meets, and whether they let it through. Pure; upstream leaves this to network plugins. */
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from "../api/networking/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { labelSelectorMatcher } from "../apimachinery/selectors.ts";
import { cidrContains, parseCidr, parseIp } from "../base/ip.ts";
import { keyOf, type PodView, type World } from "./world.ts";

/** One end of a connection. */
export interface Party {
  /** Absent for what is no pod. */
  pod?: PodView;
  address: string;
}

export interface PolicyVerdict {
  direction: "ingress" | "egress";
  /** The policies that select the pod for this direction; none of them allows the connection. */
  policies: readonly string[];
}

type Policy = DeepReadonly<NetworkPolicy>;

/** The first direction in which policies forbid the connection, egress before ingress; undefined when it may pass. */
export function forbiddenBy(
  world: World,
  from: Party,
  to: Party,
  port: number,
  protocol: string,
): PolicyVerdict | undefined {
  const leaving = from.pod && !from.pod.spec.hostNetwork ? selecting(world, from.pod, "Egress") : [];
  const lets = (policy: Policy, rules: { ports?: Ports; peers?: Peers }[], other: Party) =>
    rules.some(
      (rule) =>
        matchesPort(rule.ports, port, protocol, to.pod) &&
        (!rule.peers?.length || rule.peers.some((peer) => matchesPeer(world, policy, peer, other))),
    );
  const mayLeave = leaving.some((policy) =>
    lets(
      policy,
      (policy.spec.egress ?? []).map(({ ports, to }) => ({
        ...(ports ? { ports } : {}),
        ...(to ? { peers: to } : {}),
      })),
      to,
    ),
  );
  if (leaving.length > 0 && !mayLeave) return { direction: "egress", policies: leaving.map(keyOf) };
  const entering = to.pod && !to.pod.spec.hostNetwork ? selecting(world, to.pod, "Ingress") : [];
  const mayEnter = entering.some((policy) =>
    lets(
      policy,
      (policy.spec.ingress ?? []).map(({ ports, from: peers }) => ({
        ...(ports ? { ports } : {}),
        ...(peers ? { peers } : {}),
      })),
      from,
    ),
  );
  if (entering.length > 0 && !mayEnter) return { direction: "ingress", policies: entering.map(keyOf) };
  return undefined;
}

type Ports = readonly DeepReadonly<NetworkPolicyPort>[];
type Peers = readonly DeepReadonly<NetworkPolicyPeer>[];

/** The policies that isolate a pod in one direction. */
function selecting({ policies }: World, pod: PodView, type: "Ingress" | "Egress"): Policy[] {
  return policies.filter(({ metadata, spec }) => {
    const types = spec.policyTypes ?? (spec.egress ? ["Ingress", "Egress"] : ["Ingress"]);
    return (
      metadata.namespace === pod.metadata.namespace &&
      types.includes(type) &&
      labelSelectorMatcher((spec.podSelector ?? {}) as never).matches(pod.metadata.labels)
    );
  });
}

function matchesPort(ports: Ports | undefined, port: number, protocol: string, to: PodView | undefined): boolean {
  if (!ports?.length) return true;
  return ports.some((wanted) => {
    if ((wanted.protocol ?? "TCP") !== protocol) return false;
    if (wanted.port === undefined) return true;
    if (typeof wanted.port === "number") return port >= wanted.port && port <= (wanted.endPort ?? wanted.port);
    return to?.spec.containers.some((container) =>
      container.ports?.some(({ name, containerPort }) => name === wanted.port && containerPort === port),
    );
  });
}

function matchesPeer(world: World, policy: Policy, peer: DeepReadonly<NetworkPolicyPeer>, other: Party): boolean {
  if (peer.ipBlock) {
    const address = parseIp(other.address);
    const within = (block: string) => {
      const parsed = parseCidr(block);
      return parsed !== undefined && address !== undefined && cidrContains(parsed, address);
    };
    return within(peer.ipBlock.cidr) && !(peer.ipBlock.except ?? []).some(within);
  }
  const { pod } = other;
  if (!pod || pod.spec.hostNetwork) return false;
  if (peer.podSelector && !labelSelectorMatcher(peer.podSelector as never).matches(pod.metadata.labels)) return false;
  if (!peer.namespaceSelector) return pod.metadata.namespace === policy.metadata.namespace;
  const namespace = world.namespaces.find(({ metadata }) => metadata.name === pod.metadata.namespace);
  return labelSelectorMatcher(peer.namespaceSelector as never).matches(namespace?.metadata.labels);
}
