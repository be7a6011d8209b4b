/** Gives each Node that has none a range of pod addresses, out of the cluster's: a /24, or less where the cluster's is small. */
import type { Node } from "../../api/core/v1.ts";
import { Nodes } from "../../api/resources.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { addressAt, cidr, cidrSize, cidrsOverlap, formatIp, networkOf } from "../../base/ip.ts";
import { refOf } from "../../client/client.ts";
import { type ControllerDefinition, defineController } from "../../controller-runtime/controller.ts";

export function nodeIpamController(clusterCIDR: string): ControllerDefinition {
  /** Given out and perhaps not seen in the cache yet, by the Node's uid. */
  const given = new Map<string, string>();
  return defineController<Node>({
    name: "node-ipam-controller",
    eventSource: "cidrAllocator",
    reconciles: Nodes,
    when: ({ type, object }) => type !== "DELETED" && !object.spec?.podCIDR,
    writes: [Nodes],
    async reconcile({ key, cache, api }) {
      const node = cache.get(Nodes, key);
      if (!node || node.spec?.podCIDR || node.metadata.deletionTimestamp) return;
      const others = cache.list(Nodes);
      const present = new Set(others.map(({ metadata }) => metadata.uid));
      for (const uid of given.keys()) if (!present.has(uid)) given.delete(uid);
      const { uid } = node.metadata;
      const taken = [...others.flatMap(({ spec }) => spec?.podCIDRs ?? spec?.podCIDR ?? []), ...given.values()];
      const podCIDR = given.get(uid) ?? freeRange(clusterCIDR, taken);
      if (podCIDR === undefined)
        throw new Error(`CIDR allocation failed; there are no remaining CIDRs left to allocate in ${clusterCIDR}`);
      given.set(uid, podCIDR);
      const body = { metadata: { uid }, spec: { podCIDR, podCIDRs: [podCIDR] } };
      try {
        await api.patch(Nodes, refOf(node), { type: "merge", body });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
  });
}

/** The first that touches none of those taken. */
export function freeRange(clusterCIDR: string, taken: readonly string[]): string | undefined {
  const block = networkOf(cidr(clusterCIDR));
  const size = block.prefixLength <= 24 ? 24 : Math.min(28, block.prefixLength + 2);
  const ranges = taken.map((range) => cidr(range));
  for (let offset = 0n; offset < cidrSize(block); offset += 1n << BigInt(32 - size)) {
    const candidate = `${formatIp(addressAt(block, offset))}/${size}`;
    if (!ranges.some((range) => cidrsOverlap(range, cidr(candidate)))) return candidate;
  }
  return undefined;
}
