/** The LAN of a cluster as data: which namespaces, links, addresses, routes, kernel settings and nft rules make it. Pure. */
import { createHash } from "node:crypto";
import { addressAt, cidr, cidrSize, formatIp } from "../../base/ip.ts";
import { describeChange, type LinkChange, macOf } from "../../base/node/links.ts";
import { netnsPath } from "../../base/node/netns.ts";

export interface LanSpec {
  cluster: string;
  /** The block that host and nodes share, such as 172.30.0.0/24. */
  lan: string;
  /** This machine's own address on it: the nodes' way out. */
  hostAddress: string;
  /** All nodes' pods. */
  podCIDR: string;
  /** The local nodes; those of other kinds have no namespace. */
  nodes: readonly { name: string; address: string; podCIDR: string; ipv6?: { address: string; podCIDR: string } }[];
  /** The same of the second family. */
  ipv6?: { lan: string; hostAddress: string; podCIDR: string };
  /** Others make the pods' network: no bridge for them, only the ways between nodes. */
  hasOwnPodNetwork?: boolean;
  /** A namespace of its own for load balancers that are no node's: it gets its addresses with the Services. */
  hasBalancer?: boolean;
}

export interface LanPlan {
  /** The switch and the nodes. Every namespace exists before any change is made, for links have ends in two. */
  namespaces: NamespacePlan[];
  /** What joins this machine to the LAN. */
  host: Omit<NamespacePlan, "netns">;
}

export interface NamespacePlan {
  /** As `ip netns` knows it. */
  netns: string;
  /** Kernel settings by their path under /proc/sys, made before the links that inherit them. */
  sysctls: Record<string, string>;
  changes: LinkChange[];
  /** A script that states one table as a whole; empty for none. */
  nft: string;
}

/** Inside a node: its card on the LAN, and the bridge of its pods. */
export const nodeLink = "eth0";
export const podBridge = "cni0";
const switchBridge = "lan";

/** Cluster names have no dot and no underscore, so that one cluster's namespaces are never another's. */
export function nodeNetns(cluster: string, node: string): string {
  return `pinnace-${cluster}.${node}`;
}

export function switchNetns(cluster: string): string {
  return `pinnace-${cluster}_switch`;
}

/** The host's end of the cable to the switch. */
export function hostLink(cluster: string): string {
  return linkName("pn-", cluster);
}

export function balancerNetns(cluster: string): string {
  return `pinnace-${cluster}_balancer`;
}

export function hostTable(cluster: string): string {
  return `pinnace-${cluster}`;
}

/** The first address of a node's pod CIDR: the pods' gateway. */
function podGateway(podCIDR: string): string {
  return formatIp(addressAt(cidr(podCIDR), 1));
}

export function planLan(spec: LanSpec): LanPlan {
  return {
    namespaces: [
      planSwitch(spec),
      ...spec.nodes.map((node) => planNode(spec, node)),
      ...(spec.hasBalancer ? [planBalancer(spec)] : []),
    ],
    host: planHost(spec),
  };
}

/** The plan in the words of iproute2, nft and sysctl, for people. */
export function describeLan(plan: LanPlan): string {
  const sections = [...plan.namespaces, { netns: "host", ...plan.host }].map(({ netns, sysctls, changes, nft }) =>
    [
      `# ${netns}`,
      ...Object.entries(sysctls).map(([path, value]) => `sysctl ${path.replaceAll("/", ".")}=${value}`),
      ...changes.map((change) => `ip ${describeChange(change)}`),
      ...(nft ? [nft] : []),
    ].join("\n"),
  );
  return `${sections.join("\n\n")}\n`;
}

function planSwitch(spec: LanSpec): NamespacePlan {
  const cable = (port: string, name: string, netns: string, address: string): LinkChange => ({
    kind: "veth",
    name: port,
    master: switchBridge,
    peer: { name, netns, mac: macOf(address) },
  });
  return {
    netns: switchNetns(spec.cluster),
    sysctls: bridgeSettings,
    changes: [
      { kind: "up", name: "lo" },
      { kind: "bridge", name: switchBridge, mac: macOf(formatIp(addressAt(cidr(spec.lan), 0))) },
      cable("host", hostLink(spec.cluster), hostNetns, spec.hostAddress),
      ...spec.nodes.map((node) =>
        cable(linkName("to-", node.name), nodeLink, netnsPath(nodeNetns(spec.cluster, node.name)), node.address),
      ),
      ...(spec.hasBalancer
        ? [cable("balancer", nodeLink, netnsPath(balancerNetns(spec.cluster)), lastAddress(spec.lan))]
        : []),
    ],
    nft: "",
  };
}

function planNode(spec: LanSpec, node: LanSpec["nodes"][number]): NamespacePlan {
  const gateway = podGateway(node.podCIDR);
  const others = spec.nodes.filter((other) => other !== node);
  return {
    netns: nodeNetns(spec.cluster, node.name),
    // A bridge that a plugin makes hands its frames to the packet filter, as upstream asks: replies between neighbours too.
    sysctls: {
      ...(spec.hasOwnPodNetwork ? filteredBridges : bridgeSettings),
      ...routerSettings,
      ...(spec.ipv6 ? ipv6RouterSettings : {}),
    },
    changes: [
      { kind: "up", name: "lo" },
      { kind: "up", name: nodeLink },
      ...bridgeOf(spec, { kind: "bridge", name: podBridge, mac: macOf(gateway) }),
      { kind: "address", link: nodeLink, address: `${node.address}/${cidr(spec.lan).prefixLength}` },
      ...bridgeOf(spec, {
        kind: "address",
        link: podBridge,
        address: `${gateway}/${cidr(node.podCIDR).prefixLength}`,
      }),
      { kind: "route", to: "default", via: spec.hostAddress, link: nodeLink },
      ...others.map((other): LinkChange => ({ kind: "route", to: other.podCIDR, via: other.address, link: nodeLink })),
      ...planIpv6(spec, node, others),
    ],
    // Who is not in the cluster has no route back to a pod: it sees the node instead.
    nft: [masqueradePods("ip", spec.podCIDR), ...(spec.ipv6 ? [masqueradePods("ip6", spec.ipv6.podCIDR)] : [])].join(
      "\n",
    ),
  };
}

function bridgeOf(spec: LanSpec, change: LinkChange): LinkChange[] {
  return spec.hasOwnPodNetwork ? [] : [change];
}

/** The second family's addresses of a node, and its ways to the others' pods. */
function planIpv6(spec: LanSpec, node: LanSpec["nodes"][number], others: LanSpec["nodes"]): LinkChange[] {
  if (!spec.ipv6 || !node.ipv6) return [];
  const lengthOf = (block: string) => cidr(block).prefixLength;
  const gateway = podGateway(node.ipv6.podCIDR);
  return [
    { kind: "address", link: nodeLink, address: `${node.ipv6.address}/${lengthOf(spec.ipv6.lan)}` },
    ...bridgeOf(spec, {
      kind: "address",
      link: podBridge,
      address: `${gateway}/${lengthOf(node.ipv6.podCIDR)}`,
    }),
    { kind: "route", to: "default", via: spec.ipv6.hostAddress, link: nodeLink },
    ...others.flatMap(({ ipv6 }): LinkChange[] =>
      ipv6 ? [{ kind: "route", to: ipv6.podCIDR, via: ipv6.address, link: nodeLink }] : [],
    ),
  ];
}

function masqueradePods(family: "ip" | "ip6", podCIDR: string): string {
  return restate(
    `${family} pinnace-node`,
    "postrouting",
    "type nat hook postrouting priority srcnat + 10",
    `${family} saddr ${podCIDR} ${family} daddr != ${podCIDR} oifname "${nodeLink}" masquerade fully-random`,
  );
}

/** Only its hardware address follows from the last address of the LAN, which no node can have. */
function planBalancer(spec: LanSpec): NamespacePlan {
  return {
    netns: balancerNetns(spec.cluster),
    sysctls: {
      "net/ipv4/ip_forward": "1",
      "net/ipv4/conf/all/send_redirects": "0",
      "net/ipv4/conf/default/send_redirects": "0",
    },
    changes: [
      { kind: "up", name: "lo" },
      { kind: "up", name: nodeLink },
      { kind: "route", to: spec.lan, link: nodeLink },
      { kind: "route", to: "default", via: spec.hostAddress, link: nodeLink },
    ],
    nft: "",
  };
}

function lastAddress(lan: string): string {
  return formatIp(addressAt(cidr(lan), cidrSize(cidr(lan)) - 1n));
}

function planHost(spec: LanSpec): LanPlan["host"] {
  return {
    sysctls: { "net/ipv4/ip_forward": "1" },
    changes: [
      { kind: "up", name: hostLink(spec.cluster) },
      {
        kind: "address",
        link: hostLink(spec.cluster),
        address: `${spec.hostAddress}/${cidr(spec.lan).prefixLength}`,
      },
      ...(spec.ipv6
        ? [
            {
              kind: "address" as const,
              link: hostLink(spec.cluster),
              address: `${spec.ipv6.hostAddress}/${cidr(spec.ipv6.lan).prefixLength}`,
            },
          ]
        : []),
    ],
    nft: restate(
      `ip ${hostTable(spec.cluster)}`,
      "postrouting",
      "type nat hook postrouting priority srcnat",
      `ip saddr ${spec.lan} ip daddr != ${spec.lan} masquerade fully-random`,
    ),
  };
}

/** States a chain as a whole, whether it was there or not. It is not removed first: the kernel would make the next change wait some 30 ms. */
export function restate(table: string, chain: string, hook: string, rule: string): string {
  return [
    `add table ${table}`,
    `add chain ${table} ${chain} { ${hook}; policy accept; }`,
    `flush chain ${table} ${chain}`,
    `add rule ${table} ${chain} ${rule}`,
  ].join("\n");
}

const hostNetns = "/proc/thread-self/ns/net";

/** Frames between ports of a bridge are no business of the packet filter. */
const bridgeSettings = {
  "net/bridge/bridge-nf-call-iptables": "0",
  "net/bridge/bridge-nf-call-ip6tables": "0",
  "net/bridge/bridge-nf-call-arptables": "0",
};

const filteredBridges = {
  "net/bridge/bridge-nf-call-iptables": "1",
  "net/bridge/bridge-nf-call-ip6tables": "1",
  "net/bridge/bridge-nf-call-arptables": "0",
};

const routerSettings = {
  "net/ipv4/ip_forward": "1",
  // Replies may take another way than requests, and neighbours on a bridge speak through the node on purpose.
  "net/ipv4/conf/all/rp_filter": "0",
  "net/ipv4/conf/default/rp_filter": "0",
  "net/ipv4/conf/all/send_redirects": "0",
  "net/ipv4/conf/default/send_redirects": "0",
  // Every client of a Service without endpoints is told so, not one a second.
  "net/ipv4/icmp_ratelimit": "0",
  "net/ipv6/conf/default/accept_dad": "0",
  "net/ipv6/conf/default/accept_ra": "0",
};

/** A name of at most 15 bytes, as the kernel wants it; what is too long ends in a digest of the whole. */
function linkName(prefix: string, name: string): string {
  if (prefix.length + name.length <= 15) return prefix + name;
  const digest = createHash("sha1").update(name).digest("hex").slice(0, 5);
  return `${prefix}${name.slice(0, 15 - prefix.length - 6)}-${digest}`;
}

const ipv6RouterSettings = {
  "net/ipv6/conf/all/forwarding": "1",
  "net/ipv6/icmp/ratelimit": "0",
};
