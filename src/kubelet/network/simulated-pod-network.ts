/** Pod addresses without a network, for simulated nodes: unique in the node's pod CIDR, unreachable. */
import { addressAt, cidr, cidrSize, formatIp } from "../../base/ip.ts";
import { NoFreeAddress, type PodAttachment, type PodNetwork } from "./pod-network.ts";

export class SimulatedPodNetwork implements PodNetwork {
  readonly #podCIDRs: readonly string[];
  readonly #attached = new Map<string, PodAttachment>();
  readonly #taken = new Set<string>();

  /** One block a family. */
  constructor(podCIDRs: readonly string[]) {
    this.#podCIDRs = podCIDRs;
  }

  async attach(podUid: string): Promise<PodAttachment> {
    const existing = this.#attached.get(podUid);
    if (existing) return existing;
    const attachment: PodAttachment = {
      podUid,
      netnsPath: "",
      ips: this.#podCIDRs.map((block) => this.#freeAddress(block)),
    };
    for (const address of attachment.ips) this.#taken.add(address);
    this.#attached.set(podUid, attachment);
    return attachment;
  }

  async detach(podUid: string): Promise<void> {
    const attachment = this.#attached.get(podUid);
    for (const address of attachment?.ips ?? []) this.#taken.delete(address);
    this.#attached.delete(podUid);
  }

  async list(): Promise<PodAttachment[]> {
    return [...this.#attached.values()];
  }

  #freeAddress(podCIDR: string): string {
    const block = cidr(podCIDR);
    // The first address is the gateway's, as on a real node.
    for (let offset = 2n; offset < cidrSize(block) - 1n; offset++) {
      const address = formatIp(addressAt(block, offset));
      if (!this.#taken.has(address)) return address;
    }
    throw new NoFreeAddress(podCIDR);
  }
}
