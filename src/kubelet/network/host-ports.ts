/**
 * Ports of the node that lead to pods (`hostPort`; upstream's portmap plugin): one small nft table per node, made when the first
 * pod asks. The kernel keeps it when this process ends; after a restart it is stated anew from the pods that are there.
 */
import { writeFileSync } from "node:fs";
import { familyOf } from "../../base/ip.ts";
import { inNetns } from "../../base/node/netns.ts";
import { type Nft, openNft } from "../../nftables/nft.ts";
import { type Element, type Field, inSet, match, matchNot, type Rules, verdict } from "../../nftables/ruleset.ts";
import { Table } from "../../nftables/table.ts";
import type { PodObject } from "../pod-state.ts";

export class HostPorts {
  readonly #netnsPath: string;
  #nft: Nft | undefined;
  #table: Table | undefined;
  #applying: Promise<void> | undefined;

  constructor(netnsPath: string) {
    this.#netnsPath = netnsPath;
  }

  /** Resolves when connections to the pod's host ports reach it. Rejects when the kernel refuses the rules. */
  async open(pod: PodObject, ips: readonly string[]): Promise<void> {
    const part = compileHostPorts(pod, ips);
    if (!part) return;
    this.#opened().contents.state(pod.metadata.uid, part);
    await this.#apply();
  }

  async close(pod: PodObject): Promise<void> {
    if (!this.#table || !hostPortsOf(pod).length) return;
    this.#table.contents.state(pod.metadata.uid, undefined);
    await this.#apply();
  }

  /** Lets go of the kernel; the rules stay. */
  release(): void {
    this.#nft?.close();
    this.#nft = undefined;
    this.#table = undefined;
  }

  #opened(): Table {
    if (this.#table) return this.#table;
    this.#nft = openNft(this.#netnsPath);
    this.#table = new Table(this.#nft, { family: "ip", name: "pinnace-host-ports" });
    this.#table.contents.state("", base);
    // Connections to 127.0.0.1 leave for their pod; the rules keep others from coming in to it.
    inNetns(this.#netnsPath, () => writeFileSync("/proc/sys/net/ipv4/conf/all/route_localnet", "1"));
    return this.#table;
  }

  /** What many pods ask for at once goes in one transaction. */
  #apply(): Promise<void> {
    this.#applying ??= Promise.resolve().then(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      this.#applying = undefined;
      await this.#table?.apply();
    });
    return this.#applying;
  }
}

const byPort: readonly Field[] = ["meta l4proto", "th dport"];
const byAddress: readonly Field[] = ["ip daddr", ...byPort];
const withPorts = match("meta l4proto", "tcp", "udp", "sctp");
const chain = [
  [withPorts, { kind: "dnat", family: "ip", key: byAddress, map: { named: "address-ports" } }],
  [
    match("fib daddr type", "local"),
    withPorts,
    { kind: "dnat", family: "ip", key: byPort, map: { named: "host-ports" } },
  ],
] as const;

const loopback = "127.0.0.0/8";

const base: Rules = {
  sets: new Map([
    ["host-ports", { kind: "map", body: "type inet_proto . inet_service : ipv4_addr . inet_service;" }],
    ["address-ports", { kind: "map", body: "type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service;" }],
    ["hairpin", { kind: "set", body: "type ipv4_addr . ipv4_addr;" }],
  ]),
  chains: new Map([
    [
      "strangers",
      {
        hook: { type: "filter", hook: "prerouting", priority: "-300" },
        rules: [[matchNot("iifname", "lo"), match("ip daddr", loopback), verdict("drop")]],
      },
    ],
    // Before kube-proxy's: a pod's own port goes before a NodePort of the same number, as with upstream's plugin.
    ["prerouting", { hook: { type: "nat", hook: "prerouting", priority: "-105" }, rules: chain }],
    ["output", { hook: { type: "nat", hook: "output", priority: "-105" }, rules: chain }],
    [
      "postrouting",
      {
        hook: { type: "nat", hook: "postrouting", priority: "95" },
        rules: [
          [inSet(["ip saddr", "ip daddr"], "hairpin"), { kind: "masquerade" }],
          [match("ip saddr", loopback), matchNot("oifname", "lo"), { kind: "masquerade" }],
        ],
      },
    ],
  ]),
};

/** Undefined: the pod asks for none. A hostNetwork pod listens there itself. */
export function compileHostPorts(pod: PodObject, ips: readonly string[]): Rules | undefined {
  const ports = hostPortsOf(pod);
  const ip = ips.find((each) => familyOf(each) === "ipv4");
  if (ports.length === 0 || !ip) return undefined;
  const open = new Map<string, Element>();
  const openAt = new Map<string, Element>();
  const comment = `${pod.metadata.namespace}/${pod.metadata.name}`;
  for (const { hostPort, hostIP, protocol, containerPort } of ports) {
    const key = `${(protocol ?? "TCP").toLowerCase()} . ${hostPort}`;
    const element = { value: `${ip} . ${containerPort}`, comment };
    if (!hostIP || hostIP === "0.0.0.0") open.set(key, element);
    else if (familyOf(hostIP) === "ipv4") openAt.set(`${hostIP} . ${key}`, element);
  }
  return {
    elements: new Map([
      ["host-ports", open],
      ["address-ports", openAt],
      ["hairpin", new Map([[`${ip} . ${ip}`, { value: "" }]])],
    ]),
  };
}

function hostPortsOf({ spec }: PodObject) {
  if (spec.hostNetwork) return [];
  return [...spec.containers, ...(spec.initContainers ?? [])].flatMap(({ ports }) =>
    (ports ?? []).filter(({ hostPort }) => hostPort),
  );
}
