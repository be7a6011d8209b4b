import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createNetns, deleteNetns, netnsPath, spawnIn } from "../base/node/netns.ts";
import { diffRules, printChange } from "./diff.ts";
import { type Nft, openNft } from "./nft.ts";
import { match, type Rules, type SetDeclaration, verdict, verdictMap } from "./ruleset.ts";
import { Table } from "./table.ts";

const name = `pnt-table-${process.pid}`;
const tableName = { family: "ip", name: "t" } as const;
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

const kernelRules = () =>
  execFileSync("ip", ["netns", "exec", name, "nft", "list", "ruleset"], { maxBuffer: 16 << 20 }).toString();

const ports: SetDeclaration = { kind: "map", body: "type inet_service : verdict;" };
const seen: SetDeclaration = {
  kind: "set",
  body: "type ipv4_addr; flags dynamic,timeout; timeout 3h;",
  isDynamic: true,
};
const base: Rules = {
  sets: new Map([["ports", ports]]),
  chains: new Map([
    [
      "in",
      {
        hook: { type: "filter", hook: "input", priority: "0" },
        rules: [[verdictMap(["th dport"], { named: "ports" })]],
      },
    ],
  ]),
};
const service = (port: number, ...addresses: string[]): Rules => ({
  sets: new Map([[`seen-${port}`, seen]]),
  chains: new Map([[`port-${port}`, { rules: [[match("ip saddr", ...addresses), verdict("drop")]] }]]),
  elements: new Map([["ports", new Map([[String(port), { value: `goto port-${port}`, comment: `port "${port}"` }]])]]),
});

test("parts come and go, and the kernel has what they say", async () => {
  const table = new Table(nft, tableName);
  table.contents.state("base", base);
  table.contents.state("a", service(80, "10.0.0.1"));
  await table.apply();
  table.contents.state("b", service(81, "10.0.0.1", "10.0.0.9"));
  table.contents.state("a", service(80, "10.0.0.2"));
  await table.apply();
  expect(kernelRules()).toMatchInlineSnapshot(`
    "table ip t {
    	map ports {
    		type inet_service : verdict
    		elements = { 80 comment "port '80'" : goto port-80, 81 comment "port '81'" : goto port-81 }
    	}

    	set seen-80 {
    		type ipv4_addr
    		flags dynamic,timeout
    		timeout 3h
    	}

    	set seen-81 {
    		type ipv4_addr
    		flags dynamic,timeout
    		timeout 3h
    	}

    	chain in {
    		type filter hook input priority filter; policy accept;
    		th dport vmap @ports
    	}

    	chain port-80 {
    		ip saddr 10.0.0.2 drop
    	}

    	chain port-81 {
    		ip saddr { 10.0.0.1, 10.0.0.9 } drop
    	}
    }
    "
  `);
  table.contents.state("a", undefined);
  table.contents.state("b", undefined);
  await table.apply();
  expect(kernelRules()).not.toContain("port-");
});

test("a change costs what changed", () => {
  expect(printChange(tableName, diffRules(service(80, "10.0.0.1"), service(80, "10.0.0.2")))).toBe(
    "flush chain ip t port-80\nadd rule ip t port-80 ip saddr 10.0.0.2 drop",
  );
  expect(printChange(tableName, diffRules(service(80, "10.0.0.1"), service(80, "10.0.0.1")))).toBe("");
});

test("of contradicting parts the lowest rank holds until it goes", async () => {
  const table = new Table(nft, tableName);
  table.contents.state("base", base);
  const other: Rules = { elements: new Map([["ports", new Map([["80", { value: "accept" }]])]]) };
  table.contents.state("late", other, "2");
  await table.apply();
  table.contents.state("early", service(80, "10.0.0.1"), "1");
  await table.apply();
  expect(kernelRules()).toContain("goto port-80");
  table.contents.state("early", undefined);
  await table.apply();
  expect(kernelRules()).toMatch(/80 : accept/);
});

test("a table that another server left is taken over with what packets remembered", async () => {
  const first = new Table(nft, tableName);
  first.contents.state("base", base);
  first.contents.state("a", service(80, "10.0.0.1"));
  first.contents.state("gone", service(99, "10.0.0.1"));
  await first.apply();
  await nft.run("add element ip t seen-80 { 192.0.2.7 }");
  const second = new Table(nft, tableName);
  second.contents.state("base", base);
  second.contents.state("a", service(80, "10.0.0.3"));
  await second.apply();
  expect(kernelRules()).toContain("192.0.2.7");
  expect(kernelRules()).toContain("10.0.0.3");
  expect(kernelRules()).not.toContain("99");
});

test("one owner's rules that the kernel refuses keep nobody else's out", async () => {
  const table = new Table(nft, tableName);
  table.contents.state("base", base);
  table.contents.state("bad", service(7, "10.0.9.1"));
  await table.apply();
  for (let i = 100; i < 120; i++) table.contents.state(`good-${i}`, service(i, "10.0.0.1"));
  table.contents.state("bad", service(7, "10.0.9.2-10.0.9.1"));
  table.contents.state("worse", { elements: new Map([["absent", new Map([["1", { value: "accept" }]])]]) });
  await expect(table.apply()).rejects.toMatchObject({ name: "PartsRefused", owners: ["bad", "worse"] });
  for (let i = 100; i < 120; i++) expect(kernelRules()).toContain(`goto port-${i}`);
  expect(kernelRules()).toContain("10.0.9.1 drop");
  table.contents.state("bad", service(7, "10.0.9.3"));
  await table.apply();
  expect(kernelRules()).toContain("10.0.9.3 drop");
  // Also when the kernel's table is unknown, as after a start.
  const next = new Table(nft, tableName);
  next.contents.state("base", base);
  next.contents.state("good", service(90, "10.0.0.1"));
  next.contents.state("bad", service(7, "10.0.9.2-10.0.9.1"));
  await expect(next.apply()).rejects.toMatchObject({ owners: ["bad"] });
  expect(kernelRules()).toContain("goto port-90");
});

test("a refused change leaves the old rules, and the next apply repairs", async () => {
  const table = new Table(nft, tableName);
  table.contents.state("base", base);
  table.contents.state("a", service(80, "10.0.0.1"));
  await table.apply();
  table.contents.state("a", service(80, "not-an-address-at-all.invalid"));
  await expect(table.apply()).rejects.toThrow();
  expect(kernelRules()).toContain("10.0.0.1");
  table.contents.state("a", service(80, "10.0.0.4"));
  await table.apply();
  expect(kernelRules()).toContain("10.0.0.4");
  await nft.run("delete table ip t"); // Somebody else meddles.
  table.contents.state("a", service(80, "10.0.0.5"));
  await table.apply();
  expect(kernelRules()).toContain("10.0.0.5");
  await table.remove();
  expect(kernelRules()).toBe("");
});

test("whoever is killed in the middle of a transaction leaves all of the old rules or all of the new; the next states the table anew", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pnt-table-"));
  try {
    const addresses = (generation: number) =>
      Array.from({ length: 2000 }, (_, i) => `10.${generation}.${i >> 8}.${i & 255}`);
    const script = join(folder, "script.nft");
    /** Replaces all elements; killed after so many milliseconds. Returns how long it ran. */
    const replace = async (generation: number, killAfterMs?: number): Promise<number> => {
      writeFileSync(script, `flush set ip t s\nadd element ip t s { ${addresses(generation).join(", ")} }\n`);
      const since = performance.now();
      const child = spawnIn(netnsPath(name), "nft", ["-f", script], { stdio: "ignore" });
      const timer = setTimeout(() => child.kill("SIGKILL"), killAfterMs ?? 60_000);
      await once(child, "exit");
      clearTimeout(timer);
      return performance.now() - since;
    };
    const generations = () => {
      const counts = new Map<string, number>();
      for (const [, generation] of kernelRules().matchAll(/\b10\.(\d+)\.\d+\.\d+/g))
        counts.set(generation!, (counts.get(generation!) ?? 0) + 1);
      return Object.fromEntries(counts);
    };
    await nft.run("add table ip t; add set ip t s { type ipv4_addr; }");
    const wholeMs = await replace(1);
    expect(generations()).toEqual({ 1: 2000 });
    for (let attempt = 2; attempt < 9; attempt++) {
      const [before] = Object.keys(generations());
      await replace(attempt, (wholeMs * attempt) / 8);
      expect([{ [before!]: 2000 }, { [attempt]: 2000 }]).toContainEqual(generations());
    }
    const next = new Table(nft, tableName);
    next.contents.state("base", base);
    next.contents.state("a", service(80, "10.77.0.1"));
    await next.apply();
    expect(generations()).toEqual({ 77: 1 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 100_000);
