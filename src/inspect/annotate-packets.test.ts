import { expect, test } from "vitest";
import { annotate, namesOf, readTranslations } from "./annotate-packets.ts";
import type { World } from "./world.ts";

const world = {
  network: { hostAddress: "172.30.0.1" },
  nodes: [{ metadata: { name: "worker-1" }, status: { addresses: [{ type: "InternalIP", address: "172.30.0.3" }] } }],
  pods: [
    { metadata: { name: "web-1", namespace: "default" }, spec: {}, status: { podIP: "10.244.1.2", phase: "Running" } },
    { metadata: { name: "job-1", namespace: "shop" }, spec: {}, status: { podIP: "10.244.1.3", phase: "Running" } },
  ],
  services: [{ metadata: { name: "web", namespace: "default" }, spec: { clusterIP: "10.96.0.7" } }],
} as unknown as World;

const remembered = readTranslations(
  [
    "ipv4     2 tcp      6 98 TIME_WAIT src=10.244.1.3 dst=10.96.0.7 sport=40000 dport=80 src=10.244.1.2 dst=10.244.1.3 sport=8080 dport=40000 [ASSURED] mark=0 use=1",
    "ipv4     2 tcp      6 98 ESTABLISHED src=10.244.1.3 dst=1.2.3.4 sport=40001 dport=80 src=1.2.3.4 dst=10.244.1.3 sport=80 dport=40001 mark=0 use=1",
  ].join("\n"),
);

test("only rewritten connections are remembered", () => {
  expect(remembered).toEqual([
    {
      source: "10.244.1.3",
      sourcePort: 40000,
      destination: "10.96.0.7",
      port: 80,
      newDestination: "10.244.1.2",
      newPort: 8080,
    },
  ]);
});

test.each([
  [
    "12:00:00.1 IP 10.244.1.3.40000 > 10.96.0.7.80: Flags [S], length 0",
    "12:00:00.1 IP 10.244.1.3:40000 (pod shop/job-1) > 10.96.0.7:80 (Service web)  → 10.244.1.2:8080 (pod web-1): Flags [S], length 0",
  ],
  [
    "cni0  Out IP 10.244.1.3.40000 > 10.244.1.2.8080: Flags [S], length 0",
    "cni0  Out IP 10.244.1.3:40000 (pod shop/job-1) > 10.244.1.2:8080 (pod web-1)  ← 10.96.0.7:80 (Service web): Flags [S], length 0",
  ],
  [
    "IP 172.30.0.1 > 172.30.0.3: ICMP echo request",
    "IP 172.30.0.1 (this machine) > 172.30.0.3 (node worker-1): ICMP echo request",
  ],
  ["IP 8.8.8.8.53 > 9.9.9.9.1: UDP", "IP 8.8.8.8:53 > 9.9.9.9:1: UDP"],
  ["ARP, Request who-has 172.30.0.3", "ARP, Request who-has 172.30.0.3"],
])("%s", (line, annotated) => {
  expect(annotate(line, namesOf(world), remembered)).toBe(annotated);
});
