/** Every combination of external policy, endpoints, entries and clients, followed through the rules in memory. */
import { expect, test } from "vitest";
import type { Service } from "../api/core/v1.ts";
import type { Endpoint, EndpointSlice } from "../api/discovery/v1.ts";
import { Patchwork } from "../nftables/patchwork.ts";
import { type Packet, trace } from "../nftables/trace.ts";
import { compileBase, compileService } from "./compile-ruleset.ts";
import type { NodeView } from "./node-view.ts";

/** The packets are looked at on n1. */
const node: NodeView = {
  name: "n1",
  addresses: ["10.0.2.4"],
  podCIDRs: ["10.244.0.0/16"],
  serviceCIDRs: ["10.96.0.0/16"],
};
const here = "10.244.1.2";
const there = "10.244.2.2";

const entries = {
  "cluster address": { daddr: "10.96.0.20", dport: 80 },
  "node port": { daddr: "10.0.2.4", dport: 30080, toHere: true },
  "balancer's address": { daddr: "203.0.113.10", dport: 80 },
} satisfies Record<string, Partial<Packet>>;

const clients = {
  pod: { saddr: "10.244.1.9" },
  node: { saddr: "10.0.2.4", fromHere: true },
  outside: { saddr: "198.51.100.7" },
} satisfies Record<string, Partial<Packet>>;

const ready = { ready: true, serving: true, terminating: false };
const terminating = { ready: false, serving: true, terminating: true };
const endpoint = (ip: string, conditions = ready): Endpoint => ({
  addresses: [ip],
  nodeName: ip === here ? "n1" : "n2",
  conditions,
});
const endpoints = {
  here: [endpoint(here)],
  there: [endpoint(there)],
  both: [endpoint(here), endpoint(there)],
  "here terminating": [endpoint(here, terminating), endpoint(there)],
  "all terminating": [endpoint(here, terminating)],
  none: [],
};

type Policy = "Cluster" | "Local";

function rulesWith(external: Policy, list: Endpoint[]) {
  const metadata = { name: "web", namespace: "default", uid: "u", resourceVersion: "1", creationTimestamp: "" };
  const service: Service = {
    kind: "Service",
    apiVersion: "v1",
    metadata,
    spec: {
      type: "LoadBalancer",
      clusterIP: "10.96.0.20",
      clusterIPs: ["10.96.0.20"],
      externalTrafficPolicy: external,
      ports: [{ port: 80, protocol: "TCP", nodePort: 30080 }],
    },
    status: { loadBalancer: { ingress: [{ ip: "203.0.113.10", ipMode: "VIP" }] } },
  };
  const slice: EndpointSlice = {
    kind: "EndpointSlice",
    apiVersion: "discovery.k8s.io/v1",
    metadata,
    addressType: "IPv4",
    ports: [{ name: "", port: 8080, protocol: "TCP" }],
    endpoints: list,
  };
  const table = new Patchwork();
  table.state("", compileBase(node, "ipv4"));
  table.state("web", compileService(service, [slice], node, "ipv4"));
  return table.rules();
}

/** Where the packet comes out, `*` when its source was hidden. */
function outcome(rules: ReturnType<typeof rulesWith>, packet: Packet): string {
  const reached = new Set<string>();
  for (const draw of [0, 1]) {
    const before = packet.fromHere ? (["output"] as const) : (["prerouting"] as const);
    const first = trace({ rules, hooks: before, packet, draw: (among) => draw % among });
    const arrived = first.packet;
    const isRewritten = arrived.daddr !== packet.daddr;
    const rest = packet.toHere && !isRewritten ? (["input"] as const) : packet.fromHere ? [] : (["forward"] as const);
    // The mark of the connection is made before and read after: one walk through all hooks.
    const whole = trace({ rules, hooks: [...before, ...rest, "postrouting"], packet, draw: (among) => draw % among });
    if (whole.verdict !== "accept") reached.add(whole.verdict);
    else if (!isRewritten) reached.add("nobody");
    else reached.add(`${whole.packet.daddr === here ? "here" : "there"}${whole.masqueraded ? "*" : ""}`);
  }
  return [...reached].sort().join("|");
}

function table(external: Policy): string[] {
  return Object.entries(endpoints).flatMap(([which, list]) => {
    const rules = rulesWith(external, list);
    return Object.entries(entries).map(([entry, to]) => {
      const row = Object.entries(clients).map(
        ([who, from]) => `${who} ${outcome(rules, { protocol: "tcp", ...from, ...to } as Packet)}`,
      );
      return `${which}, ${entry}: ${row.join(", ")}`;
    });
  });
}

test("external policy Cluster: everybody reaches every endpoint, and who comes from outside is hidden", () => {
  expect(table("Cluster")).toMatchInlineSnapshot(`
    [
      "here, cluster address: pod here, node here*, outside here*",
      "here, node port: pod here*, node here*, outside here*",
      "here, balancer's address: pod here*, node here*, outside here*",
      "there, cluster address: pod there, node there*, outside there*",
      "there, node port: pod there*, node there*, outside there*",
      "there, balancer's address: pod there*, node there*, outside there*",
      "both, cluster address: pod here|there, node here*|there*, outside here*|there*",
      "both, node port: pod here*|there*, node here*|there*, outside here*|there*",
      "both, balancer's address: pod here*|there*, node here*|there*, outside here*|there*",
      "here terminating, cluster address: pod there, node there*, outside there*",
      "here terminating, node port: pod there*, node there*, outside there*",
      "here terminating, balancer's address: pod there*, node there*, outside there*",
      "all terminating, cluster address: pod here, node here*, outside here*",
      "all terminating, node port: pod here*, node here*, outside here*",
      "all terminating, balancer's address: pod here*, node here*, outside here*",
      "none, cluster address: pod reject, node reject, outside reject",
      "none, node port: pod reject, node reject, outside reject",
      "none, balancer's address: pod reject, node reject, outside reject",
    ]
  `);
});

test("external policy Local: who comes from outside is seen, and reaches endpoints of the node only", () => {
  expect(table("Local")).toMatchInlineSnapshot(`
    [
      "here, cluster address: pod here, node here*, outside here*",
      "here, node port: pod here, node here*, outside here",
      "here, balancer's address: pod here, node here*, outside here",
      "there, cluster address: pod there, node there*, outside there*",
      "there, node port: pod there, node there*, outside drop",
      "there, balancer's address: pod there, node there*, outside drop",
      "both, cluster address: pod here|there, node here*|there*, outside here*|there*",
      "both, node port: pod here|there, node here*|there*, outside here",
      "both, balancer's address: pod here|there, node here*|there*, outside here",
      "here terminating, cluster address: pod there, node there*, outside there*",
      "here terminating, node port: pod there, node there*, outside here",
      "here terminating, balancer's address: pod there, node there*, outside here",
      "all terminating, cluster address: pod here, node here*, outside here*",
      "all terminating, node port: pod here, node here*, outside here",
      "all terminating, balancer's address: pod here, node here*, outside here",
      "none, cluster address: pod reject, node reject, outside reject",
      "none, node port: pod reject, node reject, outside reject",
      "none, balancer's address: pod reject, node reject, outside reject",
    ]
  `);
});
