/** Who answers for an address, by what advertisements, nodes and endpoints say. */
import { expect, test } from "vitest";
import type { Node, Service } from "../../api/core/v1.ts";
import type { Endpoint, EndpointSlice } from "../../api/discovery/v1.ts";
import { type ElectionView, elect } from "./elect.ts";
import type { IPAddressPool, L2Advertisement } from "./kinds.ts";
import { readPools } from "./pools.ts";

const metadata = (name: string, labels: Record<string, string> = {}) => ({
  name,
  namespace: "metallb-system",
  uid: name,
  resourceVersion: "1",
  creationTimestamp: "2026-01-01T00:00:00Z",
  labels,
});

const pool = (name: string, addresses: string[], labels?: Record<string, string>): IPAddressPool => ({
  apiVersion: "metallb.io/v1beta1",
  kind: "IPAddressPool",
  metadata: metadata(name, labels),
  spec: { addresses },
});
const pools = [
  pool("front", ["192.168.108.100-192.168.108.110"], { tier: "front" }),
  pool("back", ["192.168.108.120/30"]),
];

const node = (name: string, labels: Record<string, string> = {}, isUnavailable = false) =>
  ({
    metadata: { ...metadata(name), labels: { "kubernetes.io/hostname": name, ...labels } },
    status: isUnavailable ? { conditions: [{ type: "NetworkUnavailable", status: "True" }] } : {},
  }) as unknown as Node;
const nodes = [node("n1"), node("n2", { rack: "a" }), node("n3", { rack: "a" })];

const advertisement = (spec: L2Advertisement["spec"]): L2Advertisement => ({
  apiVersion: "metallb.io/v1beta1",
  kind: "L2Advertisement",
  metadata: metadata("l2"),
  spec: spec ?? {},
});

const service = (addresses: string[], spec: Partial<Service["spec"]> = {}): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { ...metadata("web"), namespace: "default" },
  spec: { type: "LoadBalancer", ports: [{ port: 80 }], ...spec },
  status: { loadBalancer: { ingress: addresses.map((ip) => ({ ip })) } },
});

const slice = (endpoints: Partial<Endpoint>[]): EndpointSlice => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: metadata("web-1"),
  addressType: "IPv4",
  endpoints: endpoints.map((each, i) => ({ addresses: [`10.244.1.${i + 2}`], ...each })),
});
const everywhere = slice(["n1", "n2", "n3"].map((nodeName) => ({ nodeName })));

/** The nodes that announce the Service's addresses. */
function announcers(
  advertisements: L2Advertisement[],
  {
    of = service(["192.168.108.100"]),
    behind = everywhere,
    among = nodes,
  }: { of?: Service; behind?: EndpointSlice; among?: Node[] } = {},
): (string | undefined)[] {
  const view: ElectionView = {
    pools: readPools(pools).pools,
    poolObjects: pools,
    advertisements,
    nodes: among,
    link: "eth0",
  };
  return elect(of, [behind], view).map((election) => (election.lacksLink ? "lacks the link" : election.node));
}

const all = advertisement({});
const winner = announcers([all])[0]!;

test("every node may be elected, one is, and it stays while others come and go", () => {
  expect(announcers([all])).toEqual([winner]);
  for (const lost of nodes.filter(({ metadata }) => metadata.name !== winner))
    expect(announcers([all], { among: nodes.filter((each) => each !== lost) })).toEqual([winner]);
  const [next] = announcers([all], { among: nodes.filter(({ metadata }) => metadata.name !== winner) });
  expect(next).toMatch(/^n[123]$/);
  const elected = Array.from({ length: 10 }, (_, i) =>
    announcers([all], { of: service([`192.168.108.${100 + i}`]) }).at(0),
  );
  expect([...new Set(elected)].sort()).toEqual(["n1", "n2", "n3"]);
});

test("an advertisement is for the pools that it names or selects, and for all when it does neither", () => {
  const back = { of: service(["192.168.108.121"]) };
  expect(announcers([])).toEqual([undefined]);
  expect(announcers([advertisement({ ipAddressPools: ["front"] })])).toEqual([winner]);
  expect(announcers([advertisement({ ipAddressPools: ["front"] })], back)).toEqual([undefined]);
  const selecting = advertisement({ ipAddressPoolSelectors: [{ matchLabels: { tier: "front" } }] });
  expect(announcers([selecting])).toEqual([winner]);
  expect(announcers([selecting], back)).toEqual([undefined]);
  expect(announcers([all], back)[0]).toMatch(/^n[123]$/);
});

test("only nodes that an advertisement selects announce its pools, on links that it names", () => {
  const only = (name: string) => ({ matchLabels: { "kubernetes.io/hostname": name } });
  expect(announcers([advertisement({ nodeSelectors: [only("n2")] })])).toEqual(["n2"]);
  expect(announcers([advertisement({ nodeSelectors: [{ matchLabels: { rack: "a" } }] })])[0]).toMatch(/^n[23]$/);
  expect(announcers([advertisement({ nodeSelectors: [only("n9")] })])).toEqual([undefined]);
  // Of two advertisements each may bring its nodes.
  const [of2] = announcers([
    advertisement({ nodeSelectors: [only("n9")] }),
    advertisement({ nodeSelectors: [only("n3")] }),
  ]);
  expect(of2).toBe("n3");
  expect(announcers([advertisement({ interfaces: ["eth0", "eth9"] })])).toEqual([winner]);
  expect(announcers([advertisement({ interfaces: ["eth9"] })])).toEqual(["lacks the link"]);
  expect(announcers([advertisement({ interfaces: ["eth9"] }), all])).toEqual([winner]);
});

test("a node that is kept from load balancers, or has no network, is not elected", () => {
  const excluded = node("n1", { "node.kubernetes.io/exclude-from-external-load-balancers": "" });
  expect(announcers([all], { among: [excluded, node("n2", {}, true), node("n3")] })).toEqual(["n3"]);
});

test("an address is announced while an endpoint serves, by policy Local only from where one is", () => {
  const gone = slice([{ nodeName: "n1", conditions: { ready: false, serving: false } }]);
  expect(announcers([all], { behind: gone })).toEqual([undefined]);
  const leaving = slice([{ nodeName: "n1", conditions: { ready: false, serving: true, terminating: true } }]);
  expect(announcers([all], { behind: leaving })).toEqual([winner]);
  const local = service(["192.168.108.100"], { externalTrafficPolicy: "Local" });
  for (const nodeName of ["n1", "n2", "n3"])
    expect(announcers([all], { of: local, behind: slice([{ nodeName }]) })).toEqual([nodeName]);
});
