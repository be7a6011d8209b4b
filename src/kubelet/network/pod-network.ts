/**
 * The built-in pod network of one local node, upstream's CNI plugin: each pod gets a namespace of its own, joined by a veth
 * to the node's pod bridge, and an address of the node's pod CIDR.
 *
 * A pod's packets go through the node even to a neighbour on the same bridge (its only on-link route is the gateway), so
 * that a Service's reply always passes the node's connection tracking, without netfilter on the bridge and without hairpin
 * ports: a pod reaches itself through its Service by the same way.
 */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { addressAt, cidr, cidrContains, formatIp, ip, offsetIn } from "../../base/ip.ts";
import { type LinkChange, Links, macOf } from "../../base/node/links.ts";
import { createNetns, deleteNetns, inNetns, listNetns, netnsPath } from "../../base/node/netns.ts";

/** What the kubelet asks of a network. Every call is idempotent; a pod is named by its UID. */
export interface PodNetwork {
  /** Gives the pod a namespace and addresses. For a pod that is attached already it answers with what it has. Rejects with NoFreeAddress when the pod CIDR is used up. */
  attach(podUid: string, pod?: PodIdentity): Promise<PodAttachment>;
  /** Of networks that the runtime makes: told what it gave, to be awaited before the pod's first process. */
  attached?: ((podUid: string, ips: readonly string[]) => Promise<void>) | undefined;
  /** Takes both away. No error when there is nothing. */
  detach(podUid: string): Promise<void>;
  /** The attachments that a server before this one left, to adopt or to detach. */
  list(): Promise<PodAttachment[]>;
  /** Why no pod can be attached now; undefined when they can. Default: they can. */
  problem?(): string | undefined;
  /** Hears, until the signal fires, when `problem` may be another one. */
  onChange?(listener: () => void, signal: AbortSignal): void;
}

/** By what a network may know a pod besides: CNI plugins are told. */
export interface PodIdentity {
  namespace: string;
  name: string;
}

export interface PodAttachment {
  podUid: string;
  /** The file a runtime joins. */
  netnsPath: string;
  /** One per pod CIDR, in its order: what goes to `status.podIPs`. */
  ips: string[];
}

export interface BridgePodNetworkConfig {
  /** The node's namespace, by its name. */
  node: string;
  /** The bridge inside it; it has the first address of each pod CIDR. */
  bridge: string;
  /** The node's pod CIDRs, one per family. */
  podCIDRs: readonly string[];
  mtu?: number;
}

export class NoFreeAddress extends Error {
  constructor(podCIDR: string) {
    super(`no free address in pod CIDR ${podCIDR}`);
    this.name = "NoFreeAddress";
  }
}

/** Pods on a bridge in the node's namespace. The attachments themselves are the only record: names in the file system, addresses in the namespaces. */
export class BridgePodNetwork implements PodNetwork {
  readonly #config: BridgePodNetworkConfig;
  readonly #attached = new Map<string, PodAttachment>();
  readonly #pools: AddressPool[];
  /** Addresses given back, with the links that had them last. */
  readonly #leaving = new Map<string, string>();
  #nodeLinks: Links | undefined;

  constructor(config: BridgePodNetworkConfig) {
    this.#config = config;
    this.#pools = config.podCIDRs.map((podCIDR) => new AddressPool(podCIDR));
  }

  async attach(podUid: string): Promise<PodAttachment> {
    this.#recover();
    const existing = this.#attached.get(podUid);
    if (existing) return existing;
    const name = podNetnsName(this.#config.node, podUid);
    const attachment: PodAttachment = { podUid, netnsPath: netnsPath(name), ips: [] };
    try {
      for (const pool of this.#pools) attachment.ips.push(pool.take());
      this.#evict(attachment);
      const plan = planPod(this.#config, attachment);
      const podLinks = createNetns(name, () => {
        for (const [path, value] of plan.sysctls) writeFileSync(path, value);
        return new Links();
      });
      try {
        this.#linksOfNode().apply(plan.inNode);
        podLinks.apply(plan.inPod);
        this.#linksOfNode().settle([hostLinkName(name)]);
      } finally {
        podLinks.close();
      }
    } catch (error) {
      this.#release(attachment);
      this.#takeApart(name);
      throw new Error(`attach pod ${podUid} to the network of ${this.#config.node}: ${(error as Error).message}`, {
        cause: error,
      });
    }
    this.#attached.set(podUid, attachment);
    return attachment;
  }

  async detach(podUid: string): Promise<void> {
    this.#recover();
    const name = podNetnsName(this.#config.node, podUid);
    // The kernel takes the links away in the background once nothing holds the namespace; waiting for that would take some 30 ms a pod.
    deleteNetns(name);
    const attachment = this.#attached.get(podUid);
    if (!attachment) return;
    this.#attached.delete(podUid);
    this.#release(attachment);
    for (const address of attachment.ips) this.#leaving.set(address, hostLinkName(name));
  }

  async list(): Promise<PodAttachment[]> {
    this.#recover();
    return [...this.#attached.values()];
  }

  close(): void {
    this.#nodeLinks?.close();
    this.#nodeLinks = undefined;
  }

  /** Links of earlier pods that a lingering process or socket kept, and that would answer for this pod's addresses. */
  #evict(attachment: PodAttachment): void {
    const names = new Set([hostLinkName(attachment.netnsPath.replace(/.*\//, ""))]);
    for (const address of attachment.ips) {
      const name = this.#leaving.get(address);
      if (name) names.add(name);
      this.#leaving.delete(address);
    }
    const links = this.#linksOfNode();
    for (const name of names) if (links.find(name)) links.apply([{ kind: "delete-link", name }]);
  }

  #release(attachment: PodAttachment): void {
    for (const [i, address] of attachment.ips.entries()) this.#pools[i]!.release(address);
  }

  #linksOfNode(): Links {
    this.#nodeLinks ??= Links.openIn(netnsPath(this.#config.node));
    return this.#nodeLinks;
  }

  /** The link goes at once, not when the last process has left the namespace. */
  #takeApart(netnsName: string): void {
    this.#linksOfNode().apply([{ kind: "delete-link", name: hostLinkName(netnsName) }]);
    deleteNetns(netnsName);
  }

  #isRecovered = false;

  /** Reads the attachments of an earlier life from the namespaces that are there. One without its addresses was interrupted before anybody learnt of it, and goes. */
  #recover(): void {
    if (this.#isRecovered) return;
    this.#isRecovered = true;
    const prefix = podNetnsName(this.#config.node, "");
    const known = new Set<string>();
    for (const name of listNetns(prefix)) {
      const podUid = name.slice(prefix.length);
      const ips = this.#addressesIn(netnsPath(name));
      if (ips.length !== this.#pools.length) {
        this.#takeApart(name);
        continue;
      }
      for (const [i, address] of ips.entries()) this.#pools[i]!.reserve(address);
      this.#attached.set(podUid, { podUid, netnsPath: netnsPath(name), ips });
      known.add(hostLinkName(name));
    }
    for (const { name } of this.#linksOfNode().list()) {
      if (hostLinkPattern.test(name) && !known.has(name)) this.#linksOfNode().apply([{ kind: "delete-link", name }]);
    }
  }

  #addressesIn(path: string): string[] {
    try {
      const addresses = inNetns(path, () => {
        const links = new Links();
        try {
          return links.addresses(podLinkName);
        } finally {
          links.close();
        }
      });
      return this.#pools.flatMap((pool) => addresses.find((address) => pool.contains(address)) ?? []);
    } catch {
      return []; // A file without a namespace: creation was interrupted.
    }
  }
}

/** The name of a pod's namespace. Node names have no underscore, so that one node's prefix is never another's. */
function podNetnsName(node: string, podUid: string): string {
  return `${node}_${podUid}`;
}

const podLinkName = "eth0";

/** What makes an empty namespace the pod's: pure. */
export function planPod(config: BridgePodNetworkConfig, attachment: PodAttachment) {
  const netns = attachment.netnsPath.replace(/.*\//, "");
  const inNode: LinkChange[] = [
    {
      kind: "veth",
      name: hostLinkName(netns),
      master: config.bridge,
      mtu: config.mtu,
      peer: { name: podLinkName, netns: attachment.netnsPath, mac: macOf(attachment.ips[0]!) },
    },
  ];
  const inPod: LinkChange[] = [
    { kind: "up", name: "lo" },
    { kind: "up", name: podLinkName },
  ];
  for (const [i, address] of attachment.ips.entries()) {
    const podCIDR = cidr(config.podCIDRs[i]!);
    const gateway = formatIp(addressAt(podCIDR, 1));
    inPod.push(
      { kind: "address", link: podLinkName, address: `${address}/${podCIDR.prefixLength}`, onLink: false },
      { kind: "route", to: gateway, link: podLinkName, source: address },
      { kind: "route", to: "default", via: gateway, link: podLinkName },
    );
  }
  const sysctls: [path: string, value: string][] = [
    // Any process may bind low ports and send pings in its own pod, as containerd has it.
    ["/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"],
    ["/proc/sys/net/ipv4/ping_group_range", "0 2147483647"],
  ];
  // A router tells neighbours on one link to speak without it; here they must not.
  if (attachment.ips.some((address) => address.includes(":")))
    sysctls.push(["/proc/sys/net/ipv6/conf/default/accept_redirects", "0"]);
  return { inNode, inPod, sysctls };
}

/** The bridge's end of a pod's veth. Derived, so that detaching needs no record. */
function hostLinkName(netnsName: string): string {
  return `veth${createHash("sha1").update(netnsName).digest("hex").slice(0, 8)}`;
}

const hostLinkPattern = /^veth[0-9a-f]{8}$/;

/** Hands out a pod CIDR's addresses in turn: an address just given back is the last to be given out again. */
export class AddressPool {
  readonly #podCIDR: string;
  readonly #block: ReturnType<typeof cidr>;
  readonly #size: number;
  readonly #taken = new Set<string>();
  /** Network, gateway and (IPv4) broadcast are not for pods. */
  #next = firstPodOffset;

  constructor(podCIDR: string) {
    this.#podCIDR = podCIDR;
    this.#block = cidr(podCIDR);
    const hostBits = this.#block.address.length * 8 - this.#block.prefixLength;
    this.#size = hostBits > 20 ? 2 ** 20 : 2 ** hostBits - (this.#block.address.length === 4 ? 1 : 0);
  }

  take(): string {
    for (let tried = firstPodOffset; tried < this.#size; tried++) {
      const address = formatIp(addressAt(this.#block, this.#next));
      this.#next = this.#next + 1 < this.#size ? this.#next + 1 : firstPodOffset;
      if (this.#taken.has(address)) continue;
      this.#taken.add(address);
      return address;
    }
    throw new NoFreeAddress(this.#podCIDR);
  }

  /** Marks an address that a pod of an earlier life holds; the next ones are given out after it. */
  reserve(address: string): void {
    this.#taken.add(address);
    const offset = Number(offsetIn(this.#block, ip(address)));
    if (offset >= this.#next) this.#next = offset + 1 < this.#size ? offset + 1 : firstPodOffset;
  }

  release(address: string): void {
    this.#taken.delete(address);
  }

  contains(address: string): boolean {
    return cidrContains(this.#block, ip(address));
  }
}
const firstPodOffset = 2;
