/** Gives each Node that has none a range of pod addresses, out of the cluster's: a /24, or less where the cluster's is small. */
import type { Node } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Nodes } from "../../api/resources.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { addressAt, type Cidr, cidr, cidrSize, cidrsOverlap, formatIp, networkOf, offsetIn } from "../../base/ip.ts";
import { refOf } from "../../client/client.ts";
import { type ControllerDefinition, defineController } from "../../controller-runtime/controller.ts";

export function nodeIpamController(clusterCIDR: string): ControllerDefinition {
  const ranges = new NodeRanges(clusterCIDR);
  return defineController<Node>({
    name: "node-ipam-controller",
    eventSource: "cidrAllocator",
    reconciles: Nodes,
    when: ({ type, object }) => type !== "DELETED" && !object.spec?.podCIDR,
    writes: [Nodes],
    async reconcile({ key, cache, api }) {
      const node = cache.get(Nodes, key);
      if (!node || node.spec?.podCIDR || node.metadata.deletionTimestamp) return;
      ranges.keep(cache.list(Nodes));
      const podCIDR = ranges.rangeOf(node.metadata.uid);
      if (podCIDR === undefined)
        throw new Error(`CIDR allocation failed; there are no remaining CIDRs left to allocate in ${clusterCIDR}`);
      const body = { metadata: { uid: node.metadata.uid }, spec: { podCIDR, podCIDRs: [podCIDR] } };
      try {
        await api.patch(Nodes, refOf(node), { type: "merge", body });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
  });
}

/** Equal ranges of one block, each a Node's: those its Nodes have and those given out that no cache shows yet. */
export class NodeRanges {
  readonly #block: Cidr;
  readonly #prefixLength: number;
  readonly #count: number;
  /** By the Node's uid: its ranges as its spec has them, and which of ours they touch, counted from the block's start. */
  readonly #held = new Map<string, { text: string; touched: readonly number[] }>();

  constructor(clusterCIDR: string) {
    this.#block = networkOf(cidr(clusterCIDR));
    const { prefixLength } = this.#block;
    this.#prefixLength = prefixLength <= 24 ? 24 : Math.min(28, prefixLength + 2);
    this.#count = 2 ** Math.max(0, this.#prefixLength - prefixLength);
  }

  /** Forgets Nodes that are gone and learns what others brought with them; what it knows is not read again. */
  keep(nodes: readonly DeepReadonly<Node>[]): void {
    const present = new Set(nodes.map(({ metadata }) => metadata.uid));
    for (const uid of this.#held.keys()) if (!present.has(uid)) this.#held.delete(uid);
    for (const { metadata, spec } of nodes) {
      const own = spec?.podCIDRs ?? (spec?.podCIDR ? [spec.podCIDR] : []);
      const text = own.join();
      if (text && this.#held.get(metadata.uid)?.text !== text)
        this.#held.set(metadata.uid, { text, touched: own.flatMap((range) => this.#touchedBy(range)) });
    }
  }

  /** The range this Node was given before, or the first that touches nobody's, as text; undefined when none is left. */
  rangeOf(uid: string): string | undefined {
    const before = this.#held.get(uid);
    if (before) return before.text;
    const index = this.#firstFree();
    if (index === undefined) return undefined;
    const text = `${formatIp(addressAt(this.#block, index * this.#size()))}/${this.#prefixLength}`;
    this.#held.set(uid, { text, touched: [index] });
    return text;
  }

  #firstFree(): number | undefined {
    const taken = new Set([...this.#held.values()].flatMap(({ touched }) => touched));
    for (let index = 0; index < this.#count; index++) if (!taken.has(index)) return index;
    return undefined;
  }

  #touchedBy(range: string): number[] {
    const other = cidr(range);
    if (!cidrsOverlap(this.#block, other)) return [];
    const first = Number(offsetIn(this.#block, networkOf(other).address)) / this.#size();
    const last = first + Number(cidrSize(other)) / this.#size();
    const touched: number[] = [];
    for (let index = Math.max(0, Math.floor(first)); index < Math.min(this.#count, last); index++) touched.push(index);
    return touched;
  }

  /** Addresses a range. */
  #size(): number {
    return 2 ** (32 - this.#prefixLength);
  }
}
