/** The table of policies, followed through the rules in memory. proxier.test.ts tries the same one with real packets. */
import { describe, expect, test } from "vitest";
import type { Service } from "../api/core/v1.ts";
import type { Endpoint, EndpointSlice } from "../api/discovery/v1.ts";
import { Patchwork } from "../nftables/patchwork.ts";
import { type Packet, trace } from "../nftables/trace.ts";
import { compileBase, compileService } from "./compile-ruleset.ts";
import type { NodeView } from "./node-view.ts";
import {
  type Client,
  clients,
  conditionsOf,
  type EndpointCase,
  type Entry,
  endpointCases,
  entries,
  expectedOutcome,
  type Policies,
  policies,
} from "./ruleset-cases.ts";

/** The packets are looked at on n1. */
const node: NodeView = {
  name: "n1",
  addresses: ["10.0.2.4"],
  podCIDRs: ["10.244.0.0/16"],
  serviceCIDRs: ["10.96.0.0/16"],
};
const places = { here: "10.244.1.2", there: "10.244.2.2" };

const entryPackets = {
  "cluster address": { daddr: "10.96.0.20", dport: 80 },
  "node port": { daddr: "10.0.2.4", dport: 30080, toHere: true },
  "balancer's address": { daddr: "203.0.113.10", dport: 80 },
} satisfies Record<Entry, Partial<Packet>>;

const clientPackets = {
  pod: { saddr: "10.244.1.9" },
  node: { saddr: "10.0.2.4", fromHere: true },
  outside: { saddr: "198.51.100.7" },
} satisfies Record<Client, Partial<Packet>>;

function rulesWith(policy: Policies, which: EndpointCase) {
  const metadata = { name: "web", namespace: "default", uid: "u", resourceVersion: "1", creationTimestamp: "" };
  const service: Service = {
    kind: "Service",
    apiVersion: "v1",
    metadata,
    spec: {
      type: "LoadBalancer",
      clusterIP: "10.96.0.20",
      clusterIPs: ["10.96.0.20"],
      ...policy,
      ports: [{ port: 80, protocol: "TCP", nodePort: 30080 }],
    },
    status: { loadBalancer: { ingress: [{ ip: "203.0.113.10", ipMode: "VIP" }] } },
  };
  const list = Object.entries(endpointCases[which]).map(
    ([place, state]): Endpoint => ({
      addresses: [places[place as keyof typeof places]],
      nodeName: place === "here" ? "n1" : "n2",
      conditions: conditionsOf[state],
    }),
  );
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
    else reached.add(`${whole.packet.daddr === places.here ? "here" : "there"}${whole.masqueraded ? "*" : ""}`);
  }
  return [...reached].sort().join("|");
}

describe.each(policies)(
  "external policy $externalTrafficPolicy, internal policy $internalTrafficPolicy, affinity $sessionAffinity",
  (policy) => {
    test.each(Object.keys(endpointCases) as EndpointCase[])("endpoints: %s", (which) => {
      const rules = rulesWith(policy, which);
      for (const entry of entries) {
        for (const client of clients) {
          const packet = { protocol: "tcp", ...clientPackets[client], ...entryPackets[entry] } as Packet;
          const story = `${client} to the ${entry}`;
          expect(`${story}: ${outcome(rules, packet)}`).toBe(
            `${story}: ${expectedOutcome(policy, which, entry, client)}`,
          );
        }
      }
    });
  },
);

test("a Service of external policy Local, spelt out", () => {
  const policy = { externalTrafficPolicy: "Local", internalTrafficPolicy: "Cluster", sessionAffinity: "None" } as const;
  const rows = (Object.keys(endpointCases) as EndpointCase[]).map((which) => {
    const cells = clients.map((client) => `${client} ${expectedOutcome(policy, which, "node port", client)}`);
    return `${which}: ${cells.join(", ")}`;
  });
  expect(rows).toEqual([
    "here: pod here, node here*, outside here",
    "there: pod there, node there*, outside drop",
    "both: pod here|there, node here*|there*, outside here",
    "here terminating: pod there, node there*, outside here",
    "all terminating: pod here, node here*, outside here",
    "none: pod reject, node reject, outside reject",
  ]);
});

test.each(["prerouting", "output"] as const)(
  "%s: a packet that drew an endpoint's number of the old rules and found the new ones without it is dealt again",
  (hook) => {
    const policy = {
      externalTrafficPolicy: "Cluster",
      internalTrafficPolicy: "Cluster",
      sessionAffinity: "None",
    } as const;
    const draws = [2, 1];
    const { packet, verdict } = trace({
      rules: rulesWith(policy, "both"),
      hooks: [hook],
      packet: { protocol: "tcp", ...clientPackets.pod, ...entryPackets["cluster address"] },
      draw: () => draws.shift()!,
    });
    expect({ verdict, daddr: packet.daddr, draws }).toEqual({ verdict: "accept", daddr: places.there, draws: [] });
  },
);
