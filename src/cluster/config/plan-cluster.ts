/** Decides everything a configuration leaves open. Pure: what is taken on the machine comes as an argument. */
import { parseDuration } from "../../apimachinery/cel/time.ts";
import { addressAt, cidr, cidrSize, cidrsOverlap, formatIp, ip, networkOf, offsetIn } from "../../base/ip.ts";
import { parseSysctlPatterns } from "../../kubelet/sysctls.ts";
import {
  type ClusterConfig,
  type ClusterPlan,
  controlPlaneTaint,
  type Ipv6Ranges,
  type NodeConfig,
  type NodePlan,
} from "./cluster-config.ts";
import { lanOfNodes, leaderElectionMs } from "./implied-config.ts";

/** What the machine already uses. */
export interface MachineFacts {
  /** CIDRs of the host's routes and of other clusters' LANs. */
  takenRanges: readonly string[];
  /** The same, with whose they are, but for what lies behind gateways: a LAN of one's own may be carved out of that. */
  neighbours?: readonly { range: string; owner: string }[];
  /** Ports that are taken, and by whom. */
  takenPorts?: ReadonlyMap<number, string>;
  /** A port on which nothing listens, from 6443 on. */
  freeApiPort: number;
  /** False where namespaces are not permitted: then nodes are simulated unless the file says otherwise. */
  canRunLocalNodes: boolean;
  /** Programs and plugins that a node with containerd needs and this machine has not. Absent: it has all. */
  missingForContainerd?: readonly string[];
  /** False where the kernel has no IPv6. Absent: it has. */
  hasIpv6?: boolean;
}

/** Thrown when a configuration cannot be met on this machine; the message says what to change. */
export class PlanError extends Error {
  override name = "PlanError";
}

const defaultNodes: NodeConfig[] = [
  { name: "control-plane", role: "control-plane" },
  { name: "worker-1" },
  { name: "worker-2" },
];

/** Upstream's folders, and where Debian's package puts its plugins. */
const defaultCni = { confDir: "/etc/cni/net.d", binDirs: ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"] };

export function planCluster(config: ClusterConfig, name: string, facts: MachineFacts): ClusterPlan {
  const podCIDR = config.network?.podCIDR ?? "10.244.0.0/16";
  const serviceCIDR = config.network?.serviceCIDR ?? "10.96.0.0/16";
  const lan = config.network?.lan ?? lanOfNodes(config) ?? freeLan([...facts.takenRanges, podCIDR, serviceCIDR]);
  const nodeConfigs = config.nodes ?? defaultNodes;
  refuseConflicts(config, lan, facts);
  const hostAddress = pickHostAddress(lan, nodeConfigs);
  const ipv6 = planIpv6(config, lan, hostAddress);
  const nodes = planNodes(nodeConfigs, config.containerRuntime, lan, hostAddress, podCIDR, facts.canRunLocalNodes);
  const contained = nodes.find((node) => node.containerRuntime === "containerd");
  if (contained && facts.missingForContainerd?.length) {
    throw new PlanError(
      `node "${contained.name}" is to run its pods in containerd, but this machine lacks ${facts.missingForContainerd.join(", ")}: install the packages containerd and containernetworking-plugins, or leave out containerRuntime`,
    );
  }
  return {
    name,
    nodes: ipv6 ? withIpv6(nodes, lan, ipv6) : nodes,
    network: {
      lan,
      hostAddress,
      podCIDR,
      serviceCIDR,
      nodePortRange: portsOf(config.network?.nodePortRange ?? "30000-32767"),
      dnsDomain: config.network?.dnsDomain ?? "cluster.local",
      dnsAddress: formatIp(addressAt(cidr(serviceCIDR), 10)),
      kubernetesAddress: formatIp(addressAt(cidr(serviceCIDR), 1)),
      ...(ipv6 ? { ipv6 } : {}),
      ...(config.network?.cni ? { cni: { ...defaultCni, ...config.network.cni } } : {}),
    },
    apiServer: {
      ...config.apiServer,
      address: config.apiServer?.address ?? "127.0.0.1",
      port: config.apiServer?.port ?? facts.freeApiPort,
    },
    ...(config.featureGates ? { featureGates: config.featureGates } : {}),
    ...(config.runtimeConfig ? { runtimeConfig: config.runtimeConfig } : {}),
    ...shutdownOf(config),
    ...sysctlsOf(config),
    ...(config.kubelet?.enableSystemLogQuery ? { enableSystemLogQuery: true } : {}),
    ...(config.scheduler ? { scheduler: config.scheduler } : {}),
    ...(config.leaderElection ? { leaderElection: leaderElectionMs(config.leaderElection) } : {}),
    ...(config.store ? { store: config.store } : {}),
    ...(config.certificates ? { certificates: config.certificates } : {}),
    ...(config.certificateValidityPeriod
      ? { certificateValiditySeconds: Number(parseDuration(config.certificateValidityPeriod)! / 1_000_000_000n) }
      : {}),
    ...(config.caCertificateValidityPeriod
      ? { caCertificateValiditySeconds: Number(parseDuration(config.caCertificateValidityPeriod)! / 1_000_000_000n) }
      : {}),
    images: {
      mirrors: config.images?.mirrors ?? {},
      registries: config.images?.registries ?? {},
      substitutions: config.images?.substitutions ?? {},
    },
    ingress: config.ingress ?? "nginx",
    loadBalancer: config.loadBalancer ?? "none",
  };
}

function shutdownOf({ kubelet = {} }: ClusterConfig): Pick<ClusterPlan, "shutdown"> {
  const { shutdownGracePeriod, shutdownGracePeriodCriticalPods, shutdownGracePeriodByPodPriority } = kubelet;
  const seconds = (text: string | undefined) => (text ? Number(parseDuration(text)! / 1_000_000_000n) : 0);
  const gracePeriodSeconds = seconds(shutdownGracePeriod);
  if (gracePeriodSeconds === 0 && !shutdownGracePeriodByPodPriority?.length) return {};
  return {
    shutdown: {
      gracePeriodSeconds,
      criticalPodsSeconds: Math.min(gracePeriodSeconds, seconds(shutdownGracePeriodCriticalPods)),
      ...(shutdownGracePeriodByPodPriority ? { byPodPriority: shutdownGracePeriodByPodPriority } : {}),
    },
  };
}

function sysctlsOf({
  kubelet: { allowedUnsafeSysctls } = {},
}: ClusterConfig): Pick<ClusterPlan, "allowedUnsafeSysctls"> {
  if (!allowedUnsafeSysctls?.length) return {};
  try {
    parseSysctlPatterns(allowedUnsafeSysctls);
  } catch (error) {
    throw new PlanError(`kubelet.allowedUnsafeSysctls: ${(error as Error).message}`);
  }
  return { allowedUnsafeSysctls };
}

function refuseConflicts(config: ClusterConfig, lan: string, facts: MachineFacts): void {
  const neighbour = facts.neighbours?.find(({ range }) => cidrsOverlap(cidr(range), cidr(lan)));
  if (neighbour) {
    throw new PlanError(
      `the LAN ${lan} overlaps ${neighbour.range}, ${neighbour.owner}; choose another network.lan, or leave it out and Pinnace finds a free one`,
    );
  }
  if (wantsIpv6(config) && facts.hasIpv6 === false)
    throw new PlanError("this machine's kernel has no IPv6; leave it out of network.ipFamilies");
  const { port } = config.apiServer ?? {};
  const holder = port && facts.takenPorts?.get(port);
  if (holder) {
    throw new PlanError(
      `apiServer.port ${port} is in use by ${holder}; choose another, or leave it out and Pinnace finds a free one`,
    );
  }
  const real = config.nodes?.find((node) => node.kind === "local");
  if (real && !facts.canRunLocalNodes) {
    throw new PlanError(
      `node "${real.name}" is to be of kind local, but this machine cannot run containers yet: "pinnace doctor" says what it lacks`,
    );
  }
}

function planNodes(
  configs: readonly NodeConfig[],
  containerRuntime: ClusterConfig["containerRuntime"],
  lan: string,
  hostAddress: string,
  podCIDR: string,
  canRunLocalNodes: boolean,
): NodePlan[] {
  const takenAddresses = new Set([hostAddress, ...configs.flatMap((node) => node.address ?? [])]);
  const takenPodCidrs = configs.flatMap((node) => node.podCIDR ?? []);
  const someoneLeads = configs.some((node) => node.role === "control-plane");
  const roles = configs.map((node, i) => node.role ?? (!someoneLeads && i === 0 ? "control-plane" : "worker"));
  // Without workers, pods have nowhere else to go.
  const ownTaints = roles.includes("worker") ? [controlPlaneTaint] : [];
  return configs.map((node, i) => {
    const role = roles[i]!;
    const address = node.address ?? nextAddress(lan, takenAddresses);
    takenAddresses.add(address);
    const podRange = node.podCIDR ?? nextPodCidr(podCIDR, takenPodCidrs);
    takenPodCidrs.push(podRange);
    const kind = node.kind ?? (canRunLocalNodes ? "local" : "simulated");
    const runtime = node.containerRuntime ?? containerRuntime;
    return {
      name: node.name,
      role,
      kind,
      ...(kind === "local" && runtime === "containerd" ? { containerRuntime: runtime } : {}),
      address,
      podCIDR: podRange,
      labels: node.labels ?? {},
      taints: node.taints ?? (role === "control-plane" ? ownTaints : []),
    };
  });
}

/** `30000-32767` as first and last port. For text that was checked before. */
export function portsOf(range: string): [first: number, last: number] {
  const [first = 0, last = 0] = range.split("-").map(Number);
  return [first, last];
}

function wantsIpv6({ network }: ClusterConfig): boolean {
  return network?.ipFamilies?.includes("IPv6") ?? network?.ipv6 !== undefined;
}

/** Hosts have the same place in both families' LANs; the second's follows from the first's, so that clusters differ in both. */
function planIpv6(config: ClusterConfig, lan: string, hostAddress: string): Ipv6Ranges | undefined {
  if (!wantsIpv6(config)) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = networkOf(cidr(lan)).address;
  const group = (high: number, low: number) => ((high << 8) | low).toString(16);
  const { lan: ownLan = `fd00:${group(a, b)}:${group(c, d)}::/64`, ...rest } = config.network?.ipv6 ?? {};
  return {
    lan: ownLan,
    hostAddress: samePlace(hostAddress, lan, ownLan),
    podCIDR: rest.podCIDR ?? "fd00:10:244::/56",
    serviceCIDR: rest.serviceCIDR ?? "fd00:10:96::/112",
  };
}

function samePlace(address: string, lan: string, otherLan: string): string {
  return formatIp(addressAt(cidr(otherLan), offsetIn(cidr(lan), ip(address))));
}

function withIpv6(nodes: readonly NodePlan[], lan: string, ranges: Ipv6Ranges): NodePlan[] {
  const pods = networkOf(cidr(ranges.podCIDR));
  return nodes.map((node, i) => {
    const podCIDR = `${formatIp(addressAt(pods, BigInt(i) << 64n))}/64`;
    if (!cidrsOverlap(pods, cidr(podCIDR)))
      throw new PlanError(
        `network.ipv6.podCIDR ${ranges.podCIDR} has no /64 left for another node; choose a larger one`,
      );
    return { ...node, ipv6: { address: samePlace(node.address, lan, ranges.lan), podCIDR } };
  });
}

/** The first /24 of 172.30.0.0/16, then of 172.31.0.0/16, that touches nothing. */
function freeLan(takenRanges: readonly string[]): string {
  for (const second of [30, 31]) {
    for (let third = 0; third < 256; third++) {
      const candidate = `172.${second}.${third}.0/24`;
      if (!takenRanges.some((taken) => cidrsOverlap(cidr(taken), cidr(candidate)))) return candidate;
    }
  }
  throw new PlanError(
    "no free /24 is left in 172.30.0.0/15 for the cluster's LAN; name one as network.lan in the configuration file",
  );
}

/** The gateway's usual place, .1, or the highest address when a node wants that one. */
function pickHostAddress(lan: string, nodes: readonly NodeConfig[]): string {
  const wanted = new Set(nodes.map((node) => node.address));
  const block = cidr(lan);
  const first = formatIp(addressAt(block, 1));
  return wanted.has(first) ? formatIp(addressAt(block, cidrSize(block) - 2n)) : first;
}

function nextAddress(lan: string, taken: ReadonlySet<string>): string {
  const block = networkOf(cidr(lan));
  for (let offset = 2n; offset < cidrSize(block) - 1n; offset++) {
    const address = formatIp(addressAt(block, offset));
    if (!taken.has(address)) return address;
  }
  throw new PlanError(`the LAN ${lan} has no address left for another node; choose a larger network.lan`);
}

function nextPodCidr(podCIDR: string, taken: readonly string[]): string {
  const block = networkOf(cidr(podCIDR));
  const size = block.prefixLength <= 24 ? 24 : Math.min(28, block.prefixLength + 2);
  for (let offset = 0n; offset < cidrSize(block); offset += 1n << BigInt(32 - size)) {
    const candidate = `${formatIp(addressAt(block, offset))}/${size}`;
    if (!taken.some((other) => cidrsOverlap(cidr(other), cidr(candidate)))) return candidate;
  }
  throw new PlanError(`network.podCIDR ${podCIDR} has no /${size} left for another node; choose a larger one`);
}
