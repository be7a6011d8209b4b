/** Which node answers for a Service's address on the LAN (MetalLB's layer 2 mode). Pure. */
import { createHash } from "node:crypto";
import type { Node, Service } from "../../api/core/v1.ts";
import type { EndpointSlice } from "../../api/discovery/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { selectorOf } from "../../controller-runtime/compiled-selector.ts";
import { heldAddresses } from "./allocate.ts";
import type { IPAddressPool, L2Advertisement } from "./kinds.ts";
import { type Pool, poolOf } from "./pools.ts";

export interface ElectionView {
  pools: readonly Pool[];
  poolObjects: readonly DeepReadonly<IPAddressPool>[];
  advertisements: readonly DeepReadonly<L2Advertisement>[];
  /** Those that can be heard on the LAN. */
  nodes: readonly DeepReadonly<Node>[];
  /** The nodes' links on the LAN. */
  link: string;
}

export interface Election {
  address: string;
  /** Undefined: nobody announces it. */
  node: string | undefined;
  /** Advertisements name links that the elected node does not have. */
  lacksLink: boolean;
}

/** One election per address. All nodes that reckon with the same state come to the same result; of an address that Services share all elect one node. */
export function elect(
  service: DeepReadonly<Service>,
  slices: readonly DeepReadonly<EndpointSlice>[],
  view: ElectionView,
): Election[] {
  const addresses = heldAddresses(service);
  const serving = slices.flatMap(({ endpoints }) =>
    (endpoints ?? []).filter(({ conditions }) => conditions?.serving ?? conditions?.ready ?? true),
  );
  const nobody = (address: string): Election => ({ address, node: undefined, lacksLink: false });
  if (serving.length === 0) return addresses.map(nobody);
  const isLocal = service.spec.externalTrafficPolicy === "Local";
  const withEndpoints = new Set(serving.map(({ nodeName }) => nodeName));
  return addresses.map((address) => {
    const pool = poolOf(view.pools, address);
    const object = view.poolObjects.find(({ metadata }) => metadata.name === pool?.name);
    if (!object) return nobody(address);
    const advertisements = view.advertisements.filter((advertisement) => advertises(advertisement, object));
    const candidates = view.nodes.filter(
      (node) =>
        isEligible(node) &&
        advertisements.some((advertisement) => isAmong(node, advertisement)) &&
        (!isLocal || withEndpoints.has(node.metadata.name)),
    );
    // By the first address for all of them, so that both families of a Service stay together.
    const [winner] = candidates
      .map((node) => ({ node, digest: digestOf(`${node.metadata.name}#${addresses[0]}`) }))
      .sort((a, b) => (a.digest < b.digest ? -1 : 1));
    if (!winner) return nobody(address);
    const links = advertisements
      .filter((advertisement) => isAmong(winner.node, advertisement))
      .map(({ spec }) => spec?.interfaces ?? []);
    const lacksLink = !links.some((names) => names.length === 0 || names.includes(view.link));
    return { address, node: lacksLink ? undefined : winner.node.metadata.name, lacksLink };
  });
}

/** Without names and selectors an advertisement is for every pool. */
export function advertises(
  { spec }: DeepReadonly<Pick<L2Advertisement, "spec">>,
  { metadata }: DeepReadonly<IPAddressPool>,
): boolean {
  const { ipAddressPools = [], ipAddressPoolSelectors = [] } = spec ?? {};
  if (ipAddressPools.length === 0 && ipAddressPoolSelectors.length === 0) return true;
  return (
    ipAddressPools.includes(metadata.name) ||
    ipAddressPoolSelectors.some((selector) => selectorOf(selector).matches(metadata.labels))
  );
}

export function isAmong(
  { metadata }: DeepReadonly<Node>,
  { spec }: DeepReadonly<Pick<L2Advertisement, "spec">>,
): boolean {
  const selectors = spec?.nodeSelectors ?? [];
  return selectors.length === 0 || selectors.some((selector) => selectorOf(selector).matches(metadata.labels));
}

export function isEligible({ metadata, status }: DeepReadonly<Node>): boolean {
  return (
    metadata.labels?.["node.kubernetes.io/exclude-from-external-load-balancers"] === undefined &&
    !status.conditions?.some((condition) => condition.type === "NetworkUnavailable" && condition.status === "True")
  );
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
