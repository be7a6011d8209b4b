import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createNetns, deleteNetns, netnsPath } from "../base/node/netns.ts";
import { type Nft, NftError, NftProgram, openNft } from "./nft.ts";

const name = `pnt-nft-${process.pid}`;

beforeAll(() => createNetns(name, () => {}));
afterAll(() => deleteNetns(name));

describe.each([
  ["the library", () => openNft(netnsPath(name))],
  ["the program", () => new NftProgram(netnsPath(name))],
])("%s", (_, open) => {
  let nft: Nft;
  beforeAll(() => (nft = open()));
  afterAll(async () => {
    await nft.run("table ip t; delete table ip t");
    nft.close();
  });

  test("a script changes the rules of the namespace, and only there", async () => {
    await nft.run("table ip t {\n chain c {\n counter accept\n }\n }");
    expect(JSON.stringify(await nft.list("list table ip t"))).toContain(
      '"chain":{"family":"ip","table":"t","name":"c"',
    );
    await expect(openNft().list("list table ip t")).rejects.toThrow("No such file or directory");
  });

  test("a refused script changes nothing and says where it is wrong", async () => {
    const refused = nft.run("add table ip u\nadd rule ip u absent accept");
    await expect(refused).rejects.toThrow(NftError);
    await expect(refused).rejects.toThrow("No such file or directory");
    await expect(nft.list("list table ip u")).rejects.toThrow(NftError);
  });

  test("scripts run in the order given", async () => {
    const script = (i: number) =>
      nft.run(`add table ip t; add chain ip t c${i}; ${i ? `delete chain ip t c${i - 1}` : ""}`);
    await Promise.all(Array.from({ length: 20 }, (_, i) => script(i)));
    expect(JSON.stringify(await nft.list("list chains"))).toContain('"name":"c19"');
  });
});

test("long scripts for several namespaces at the same time arrive each in its own", async () => {
  const names = ["a", "b", "c"].map((each) => `${name}-${each}`);
  for (const each of names) createNetns(each, () => {});
  try {
    const addresses = Array.from({ length: 10_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
    const elements = addresses.map((address) => `${address} comment "${"long ".repeat(24)}"`);
    const opened = names.map((each) => openNft(netnsPath(each)));
    await Promise.all(
      opened.map(async (nft, i) => {
        const first = nft.run(
          `add table ip t${i}; add set ip t${i} s { type ipv4_addr; }; add element ip t${i} s { ${elements.join(", ")} }`,
        );
        const second = nft.run(`delete element ip t${i} s { ${addresses.slice(1).join(", ")} }`); // In the order given.
        await Promise.all([first, second]);
        const listing = JSON.stringify(await nft.list("list ruleset"));
        expect([listing.match(/"table":{[^}]*"name":"([^"]+)"/)?.[1], listing.split("10.0.0.").length]).toEqual([
          `t${i}`,
          2,
        ]);
      }),
    );
    for (const nft of opened) nft.close();
  } finally {
    for (const each of names) deleteNetns(each);
  }
}, 100_000);
