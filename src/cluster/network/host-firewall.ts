/**
 * Lets the LAN's traffic through a host firewall that forwards nothing by default, as Docker and ufw set it up. An accept in
 * a table of ours would not do: a packet must pass every table.
 */
import type { Nft } from "../../nftables/nft.ts";

/** Adds the rules if the firewall is there and they are not. */
export async function admitForwarded(nft: Nft, link: string): Promise<void> {
  const chain = await restrictiveChain(nft);
  if (!chain || (await ourRules(nft, chain, link)).length > 0) return;
  const rules = [`iifname "${link}"`, `oifname "${link}" ct state established,related`];
  await nft.run(
    rules.map((rule) => `insert rule ip filter ${chain} ${rule} accept comment "${commentOf(link)}"`).join("\n"),
  );
}

/** Takes them away again. Idempotent. */
export async function dismissForwarded(nft: Nft, link: string): Promise<void> {
  const found: string[] = [];
  for (const chain of ["DOCKER-USER", "FORWARD"]) {
    for (const handle of await ourRules(nft, chain, link))
      found.push(`delete rule ip filter ${chain} handle ${handle}`);
  }
  if (found.length > 0) await nft.run(found.join("\n"));
}

/** Docker leaves DOCKER-USER to others and asks them to stay out of the rest. */
async function restrictiveChain(nft: Nft): Promise<string | undefined> {
  const listing = (await nft.list("list chains ip")) as Listing;
  const chains = listing.nftables.flatMap(({ chain }) => (chain?.table === "filter" ? [chain] : []));
  if (chains.some(({ name }) => name === "DOCKER-USER")) return "DOCKER-USER";
  return chains.find(({ name, policy }) => name === "FORWARD" && policy === "drop")?.name;
}

async function ourRules(nft: Nft, chain: string, link: string): Promise<number[]> {
  const listing = (await nft.list(`list chain ip filter ${chain}`).catch(() => ({ nftables: [] }))) as Listing;
  return listing.nftables.flatMap(({ rule }) => (rule?.comment === commentOf(link) ? [rule.handle] : []));
}

function commentOf(link: string): string {
  return `pinnace ${link}`;
}

interface Listing {
  nftables: { chain?: { table: string; name: string; policy?: string }; rule?: { handle: number; comment?: string } }[];
}
