/** Makes a cluster's LAN on this machine and takes it away again: the thin doer beside plan-lan.ts. */
import { readFileSync, writeFileSync } from "node:fs";
import { Links } from "../../base/node/links.ts";
import { createNetns, deleteNetns, isSystemError, listNetns, netnsPath } from "../../base/node/netns.ts";
import { type Nft, openNft } from "../../nftables/nft.ts";
import { admitForwarded, dismissForwarded } from "./host-firewall.ts";
import {
  balancerNetns,
  hostLink,
  hostTable,
  type LanPlan,
  type LanSpec,
  type NamespacePlan,
  nodeNetns,
  planLan,
  switchNetns,
} from "./plan-lan.ts";

/**
 * Makes the LAN, or completes and repairs one that is there. Traffic that already flows is not disturbed: links and
 * namespaces that exist are kept, addresses, routes and tables are stated again.
 */
export async function buildLan(spec: LanSpec): Promise<void> {
  const plan = planLan(spec);
  await prepareHost(spec.cluster, plan.host);
  const parts: { part: NamespacePlan; links: Links; nft: Nft }[] = [];
  const host = new Links();
  try {
    for (const part of plan.namespaces) {
      createNetns(part.netns, () => {
        writeSettings(part.sysctls);
        parts.push({ part, links: new Links(), nft: openNft() });
      });
    }
    for (const { part, links } of parts) links.apply(part.changes);
    host.apply(plan.host.changes);
    for (const { part, links } of parts) {
      links.settle(part.changes.flatMap((change) => (change.kind === "veth" ? [change.name] : [])));
    }
    for (const { part, nft } of parts) if (part.nft) await nft.run(part.nft);
  } finally {
    host.close();
    for (const { links, nft } of parts) {
      links.close();
      nft.close();
    }
  }
}

/** Takes away every namespace of the cluster (its pods' too), the host's link and table. Idempotent; needs no plan. */
export async function takeDownLan(cluster: string): Promise<void> {
  const links = new Links();
  const nft = openNft();
  try {
    links.apply([{ kind: "delete-link", name: hostLink(cluster) }]);
    for (const name of clusterNamespaces(cluster)) deleteNetns(name);
    await restoreForwarding(cluster, nft);
    await dismissForwarded(nft, hostLink(cluster));
    await nft.run(`table ip ${hostTable(cluster)}\ndelete table ip ${hostTable(cluster)}`);
  } finally {
    links.close();
    nft.close();
  }
}

/** What there is of the cluster: nothing is left after `takeDownLan`. */
export function clusterNamespaces(cluster: string): string[] {
  return [
    ...listNetns(nodeNetns(cluster, "")),
    ...[switchNetns(cluster), balancerNetns(cluster)].flatMap((name) =>
      listNetns(name).filter((found) => found === name),
    ),
  ];
}

export function nodeNetnsPath(cluster: string, node: string): string {
  return netnsPath(nodeNetns(cluster, node));
}

function writeSettings(settings: Record<string, string>): void {
  for (const [path, value] of Object.entries(settings)) {
    try {
      writeFileSync(`/proc/sys/${path}`, value);
    } catch (error) {
      // Settings of what this kernel lacks (IPv6, netfilter on bridges) are met already.
      if (!isSystemError(error, "ENOENT")) throw new Error(`set ${path} to ${value}`, { cause: error });
    }
  }
}

const forwardingPath = "/proc/sys/net/ipv4/ip_forward";
const marker = "found-forwarding-off";

/** The table comes before the settings: a chain in it, without a hook, remembers that forwarding was off before the first cluster came. */
async function prepareHost(cluster: string, plan: LanPlan["host"]): Promise<void> {
  const nft = openNft();
  try {
    const wasOff =
      readFileSync(forwardingPath, "utf8").trim() === "0" || (await clustersThatFoundItOff(nft)).length > 0;
    await nft.run(wasOff ? `${plan.nft}\nadd chain ip ${hostTable(cluster)} ${marker}` : plan.nft);
    await admitForwarded(nft, hostLink(cluster));
  } finally {
    nft.close();
  }
  writeSettings(plan.sysctls);
}

/** The last cluster to go switches forwarding off again if the first found it so. */
async function restoreForwarding(cluster: string, nft: Nft): Promise<void> {
  const rememberers = await clustersThatFoundItOff(nft);
  if (rememberers.length === 1 && rememberers[0] === hostTable(cluster)) writeFileSync(forwardingPath, "0");
}

async function clustersThatFoundItOff(nft: Nft): Promise<string[]> {
  const { nftables } = (await nft.list("list chains ip")) as {
    nftables: { chain?: { table: string; name: string } }[];
  };
  return nftables.flatMap(({ chain }) => (chain?.name === marker ? [chain.table] : []));
}
