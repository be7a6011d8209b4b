import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createNetns, deleteNetns, netnsPath } from "../../base/node/netns.ts";
import { type Nft, openNft } from "../../nftables/nft.ts";
import { admitForwarded, dismissForwarded } from "./host-firewall.ts";

const name = `pnt-firewall-${process.pid}`;
let nft: Nft;

beforeAll(() => {
  createNetns(name, () => {});
  nft = openNft(netnsPath(name));
});
beforeEach(() => nft.run("flush ruleset"));
afterAll(() => {
  nft.close();
  deleteNetns(name);
});

const rules = async () => JSON.stringify(await nft.list("list ruleset"));
const docker =
  "table ip filter {\n chain DOCKER-USER {\n return\n }\n chain FORWARD {\n type filter hook forward priority 0; policy drop;\n jump DOCKER-USER\n }\n}";
const ufw = "table ip filter {\n chain FORWARD {\n type filter hook forward priority 0; policy drop;\n }\n}";

test.each([
  ["Docker's", docker],
  ["a plain one that drops", ufw],
])("%s firewall gets the rules once, and loses them again", async (_, script) => {
  await nft.run(script);
  const before = (await rules()).replace(/"handle": ?\d+/g, "");
  await admitForwarded(nft, "pn-lab");
  await admitForwarded(nft, "pn-lab");
  await admitForwarded(nft, "pn-other");
  expect((await rules()).match(/pinnace pn-lab/g)?.length).toBe(2);
  await dismissForwarded(nft, "pn-lab");
  await dismissForwarded(nft, "pn-lab");
  await dismissForwarded(nft, "pn-other");
  expect((await rules()).replace(/"handle": ?\d+/g, "")).toBe(before);
});

test("a host that forwards by default is left alone", async () => {
  await nft.run("table ip filter {\n chain FORWARD {\n type filter hook forward priority 0; policy accept;\n }\n}");
  await admitForwarded(nft, "pn-lab");
  expect(await rules()).not.toContain("pinnace");
});
