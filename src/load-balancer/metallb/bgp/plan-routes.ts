/** Which node tells which BGP peer which routes (MetalLB's BGP mode). Pure. */
import type { Node, Service } from "../../../api/core/v1.ts";
import type { EndpointSlice } from "../../../api/discovery/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";
import { formatCidr, networkOf, parseIp } from "../../../base/ip.ts";
import { selectorOf } from "../../../controller-runtime/compiled-selector.ts";
import { heldAddresses } from "../allocate.ts";
import { advertises, isAmong, isEligible } from "../elect.ts";
import type { BGPAdvertisement, BGPPeer, Community, IPAddressPool } from "../kinds.ts";
import { type Pool, poolOf } from "../pools.ts";
import { parseCommunity, parseLargeCommunity, type RouteAttributes } from "./message.ts";

export interface RouteView {
  pools: readonly Pool[];
  poolObjects: readonly DeepReadonly<IPAddressPool>[];
  advertisements: readonly DeepReadonly<BGPAdvertisement>[];
  communities: readonly DeepReadonly<Community>[];
  /** With the address that traffic to a Service comes to. */
  nodes: readonly { node: DeepReadonly<Node>; address: string }[];
  services: readonly { service: DeepReadonly<Service>; slices: readonly DeepReadonly<EndpointSlice>[] }[];
}

/** Whether a node speaks to a peer. */
export function isPeerOf(node: DeepReadonly<Node>, peer: DeepReadonly<BGPPeer>): boolean {
  const selectors = peer.spec.nodeSelectors ?? [];
  const { labels } = node.metadata;
  return (
    isEligible(node) && (selectors.length === 0 || selectors.some((selector) => selectorOf(selector).matches(labels)))
  );
}

/** What one node announces to one peer, by prefix. IPv4 only. */
export function planRoutes(
  { node, address: nextHop }: RouteView["nodes"][number],
  peerName: string,
  view: RouteView,
): Map<string, RouteAttributes> {
  const routes = new Map<string, RouteAttributes>();
  for (const { service, slices } of view.services) {
    if (!hasEndpoints(service, slices, node.metadata.name)) continue;
    for (const address of heldAddresses(service)) {
      const bytes = parseIp(address);
      const pool = poolOf(view.pools, address);
      const object = view.poolObjects.find(({ metadata }) => metadata.name === pool?.name);
      if (!object || bytes?.length !== 4) continue;
      for (const advertisement of view.advertisements) {
        const spec: NonNullable<DeepReadonly<BGPAdvertisement>["spec"]> = advertisement.spec ?? {};
        if (!advertises(advertisement, object) || !isAmong(node, advertisement)) continue;
        if (spec.peers?.length && !spec.peers.includes(peerName)) continue;
        const block = networkOf({ address: bytes, prefixLength: spec.aggregationLength ?? 32 });
        const prefix = formatCidr(block);
        const before = routes.get(prefix);
        const communities = new Set([
          ...(before?.communities ?? []),
          ...(spec.communities ?? []).flatMap((each) => resolveCommunity(each, view.communities) ?? []),
        ]);
        const localPref = Math.max(before?.localPref ?? 0, spec.localPref ?? 0);
        routes.set(prefix, { nextHop, communities: [...communities].sort(), ...(localPref ? { localPref } : {}) });
      }
    }
  }
  return routes;
}

/** A value, or the name of one that a Community object gives. Undefined when it is neither. */
function resolveCommunity(text: string, objects: readonly DeepReadonly<Community>[]): string | undefined {
  for (const { spec } of objects) {
    const named = spec?.communities?.find(({ name }) => name === text);
    if (named?.value) return named.value;
  }
  return parseCommunity(text) || parseLargeCommunity(text) ? text : undefined;
}

function hasEndpoints(
  { spec }: DeepReadonly<Service>,
  slices: readonly DeepReadonly<EndpointSlice>[],
  nodeName: string,
): boolean {
  return slices.some(({ endpoints }) =>
    endpoints?.some(
      ({ conditions, nodeName: on }) =>
        (conditions?.serving ?? conditions?.ready ?? true) &&
        (spec.externalTrafficPolicy !== "Local" || on === nodeName),
    ),
  );
}

/** `90s`, `1m30s`, `500ms` in seconds; undefined when the text is no such duration. */
export function parseSeconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001 };
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)];
  if (parts.length === 0 || parts.map(([all]) => all).join("") !== text) return undefined;
  return parts.reduce((sum, [, value, unit]) => sum + Number(value) * units[unit!]!, 0);
}
