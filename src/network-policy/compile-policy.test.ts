import { describe, expect, test } from "vitest";
import { keyOf } from "../controller-runtime/cache.ts";
import { printChange } from "../nftables/diff.ts";
import { Patchwork } from "../nftables/patchwork.ts";
import type { Rules } from "../nftables/ruleset.ts";
import { trace } from "../nftables/trace.ts";
import { compileBase, compilePod } from "./compile-policy.ts";
import { Memberships } from "./membership.ts";
import {
  namespaces,
  nodeOf,
  type Place,
  type PolicyCase,
  podAddresses,
  podAddresses6,
  pods,
  policy,
  policyCases,
} from "./policy-cases.ts";

function rulesOf(nodeName: string, policies: PolicyCase["policies"]): Patchwork {
  const memberships = new Memberships();
  const table = new Patchwork();
  table.state("", compileBase([{ address: "198.18.80.4", protocol: "udp", port: 53 }]));
  for (const [name, labels] of Object.entries(namespaces)) memberships.namespace(name, labels);
  for (const pod of pods()) memberships.pod(pod.metadata.uid, pod);
  for (const each of policies) table.state(keyOf(each), memberships.policy(keyOf(each), each)!.rules);
  for (const [uid, selected] of memberships.takeDirty()) {
    const { groups, namedPorts, ingress, egress, nodeName: on } = selected!;
    table.state(
      uid,
      compilePod(selected!.pod, { groups, namedPorts, ...(on === nodeName ? { ingress, egress } : {}) }),
    );
  }
  return table;
}

/** What becomes of a connection's first packet on every node that it crosses. */
function outcome(rules: (node: string) => Rules, [from, to, port]: [Place, Place, string], isIpv6: boolean): string {
  const [protocol, number] = port.split("/") as ["tcp" | "udp", string];
  const addresses = (isIpv6 ? podAddresses6 : podAddresses) as Record<Place, string>;
  const packet = { saddr: addresses[from], daddr: addresses[to], protocol, dport: Number(number) };
  const nodes = new Set([from, to].flatMap((place) => (place === "outside" ? [] : [nodeOf[place]])));
  const verdicts = [...nodes].map((node) => trace({ rules: rules(node), hooks: ["forward"], packet }).verdict);
  return verdicts.every((each) => each === "accept") ? "allowed" : "denied";
}

describe.each(policyCases)("$title", ({ policies, allowed, denied }) => {
  const rules = { n1: rulesOf("n1", policies).rules(), n2: rulesOf("n2", policies).rules() };
  const on = (node: string) => rules[node as "n1" | "n2"];

  test("in memory, over IPv4", () => {
    expect(allowed.map((each) => [...each, outcome(on, each, false)])).toEqual(
      allowed.map((each) => [...each, "allowed"]),
    );
    expect(denied.map((each) => [...each, outcome(on, each, false)])).toEqual(
      denied.map((each) => [...each, "denied"]),
    );
  });

  test("in memory, over IPv6", () => {
    const hasIpv6 = ([from, to]: [Place, Place, string]) => from !== "outside" && to !== "outside";
    // Blocks of IPv4 addresses say nothing about IPv6.
    if (policies.some((each) => JSON.stringify(each.spec).includes("ipBlock"))) return;
    for (const each of allowed.filter(hasIpv6))
      expect([...each, outcome(on, each, true)]).toEqual([...each, "allowed"]);
    for (const each of denied.filter(hasIpv6)) expect([...each, outcome(on, each, true)]).toEqual([...each, "denied"]);
  });
});

test("a policy's rules name sets of addresses, and a pod that comes costs its elements", () => {
  const table = rulesOf("n1", [
    policy("db", "shop", {
      podSelector: { matchLabels: { app: "db" } },
      policyTypes: ["Ingress"],
      ingress: [{ from: [{ podSelector: { matchLabels: { app: "web" } } }], ports: [{ protocol: "TCP", port: 5432 }] }],
    }),
  ]);
  expect([...table.rules().chains!.get("from-shop/db")!.rules].length).toBe(2);
  table.takeChange();
  const peer = { uid: "web-2", ips: ["10.244.1.9"], ports: [] };
  const group = [...table.rules().sets!.keys()].find((name) => name.startsWith("pods-"))!.slice(0, -2);
  table.state("web-2", compilePod(peer, { groups: [group], namedPorts: [] }));
  expect(printChange({ family: "inet", name: "t" }, table.takeChange())).toBe(
    `add element inet t ${group}-4 { 10.244.1.9 }`,
  );
});

test("a pod asks its own node for what it may ask of it elsewhere, and for everything else freely", () => {
  const rules = rulesOf("n1", [policy("deny", "shop", { podSelector: {}, policyTypes: ["Egress"] })]).rules();
  const packet = { saddr: podAddresses.web, daddr: "198.18.80.4", protocol: "udp" as const, dport: 53 };
  expect(trace({ rules, hooks: ["input"], packet }).verdict).toBe("drop");
  expect(trace({ rules, hooks: ["input"], packet: { ...packet, dport: 10250 } }).verdict).toBe("accept");
});

test("a connection that is there goes on, and so does what belongs to it", () => {
  const rules = rulesOf("n1", [
    policy("deny", "shop", { podSelector: {}, policyTypes: ["Ingress", "Egress"] }),
  ]).rules();
  const packet = { saddr: podAddresses.web, daddr: podAddresses.db, protocol: "tcp" as const, dport: 8080 };
  expect(trace({ rules, hooks: ["forward"], packet }).verdict).toBe("drop");
  expect(trace({ rules, hooks: ["forward"], packet: { ...packet, ctState: "established" } }).verdict).toBe("accept");
  expect(trace({ rules, hooks: ["forward"], packet: { ...packet, ctState: "related" } }).verdict).toBe("accept");
});
