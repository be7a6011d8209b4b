import { expect, test } from "vitest";
import type { Service } from "../api/core/v1.ts";
import type { Endpoint, EndpointSlice } from "../api/discovery/v1.ts";
import { diffRules, printChange } from "../nftables/diff.ts";
import { compileService } from "./compile-ruleset.ts";
import type { NodeView } from "./node-view.ts";

const node: NodeView = {
  name: "worker-1",
  zone: "a",
  addresses: ["10.0.2.5"],
  podCIDRs: ["10.244.0.0/16"],
  serviceCIDRs: ["10.96.0.0/16"],
};

function service(spec: Service["spec"], status: Service["status"] = {}): Service {
  const metadata = {
    name: "web",
    namespace: "default",
    uid: "u",
    resourceVersion: "1",
    creationTimestamp: "2026-01-01T00:00:00Z",
  };
  return {
    kind: "Service",
    apiVersion: "v1",
    metadata,
    spec: { clusterIP: "10.96.0.20", clusterIPs: ["10.96.0.20"], ...spec },
    status,
  };
}

function slice(
  endpoints: Endpoint[],
  ports: EndpointSlice["ports"] = [{ name: "http", port: 8080, protocol: "TCP" }],
): EndpointSlice {
  const metadata = {
    name: "web-1",
    namespace: "default",
    uid: "s",
    resourceVersion: "1",
    creationTimestamp: "2026-01-01T00:00:00Z",
  };
  return { kind: "EndpointSlice", apiVersion: "discovery.k8s.io/v1", metadata, addressType: "IPv4", ports, endpoints };
}

const endpoint = (number: number, more: Partial<Endpoint> = {}): Endpoint => ({
  addresses: [`10.244.1.${number}`],
  nodeName: "worker-2",
  conditions: { ready: true, serving: true, terminating: false },
  ...more,
});

const ports = [{ name: "http", port: 80, protocol: "TCP", nodePort: 30080 }];

function print(service: Service, slices: EndpointSlice[]): string {
  return printChange({ family: "ip", name: "t" }, diffRules({}, compileService(service, slices, node, "ipv4")));
}

const chosen = (service: Service, slices: EndpointSlice[]) =>
  [...(compileService(service, slices, node, "ipv4").elements?.get("service-endpoints")?.values() ?? [])].map(
    ({ value }) => value,
  );

test("a NodePort Service is elements of maps, and chains that all Services share", () => {
  const local = endpoint(3, { nodeName: "worker-1" });
  expect(print(service({ type: "NodePort", ports }), [slice([endpoint(2), local])])).toMatchInlineSnapshot(`
    "add chain ip t endpoints-2
    add chain ip t nodeport-endpoints-2
    add rule ip t endpoints-2 meta l4proto { tcp, udp, sctp } meta mark set numgen random mod 2 dnat ip to ip daddr . meta l4proto . th dport . meta mark map @service-endpoints
    add rule ip t nodeport-endpoints-2 jump mark-for-masquerade
    add rule ip t nodeport-endpoints-2 meta l4proto { tcp, udp, sctp } meta mark set numgen random mod 2 dnat ip to meta l4proto . th dport . meta mark map @nodeport-endpoints
    add element ip t cluster-ips { 10.96.0.20 }
    add element ip t service-endpoints { 10.96.0.20 . tcp . 80 . 0 : 10.244.1.2 . 8080, 10.96.0.20 . tcp . 80 . 1 : 10.244.1.3 . 8080 }
    add element ip t service-ips { 10.96.0.20 . tcp . 80 comment "default/web:http" : goto endpoints-2 }
    add element ip t nodeport-endpoints { tcp . 30080 . 0 : 10.244.1.2 . 8080, tcp . 30080 . 1 : 10.244.1.3 . 8080 }
    add element ip t service-nodeports { tcp . 30080 comment "default/web:http" : goto nodeport-endpoints-2 }
    add element ip t hairpin-connections { 10.244.1.3 . 10.244.1.3 }"
  `);
});

test("one endpoint more changes the elements of this Service only", () => {
  const before = compileService(service({ ports }), [slice([endpoint(2)])], node, "ipv4");
  const after = compileService(service({ ports }), [slice([endpoint(2), endpoint(3)])], node, "ipv4");
  expect(printChange({ family: "ip", name: "t" }, diffRules(before, after))).toMatchInlineSnapshot(`
    "flush chain ip t endpoints-1
    flush chain ip t nodeport-endpoints-1
    delete element ip t service-ips { 10.96.0.20 . tcp . 80 }
    delete element ip t service-nodeports { tcp . 30080 }
    delete chain ip t endpoints-1
    delete chain ip t nodeport-endpoints-1
    add chain ip t endpoints-2
    add chain ip t nodeport-endpoints-2
    add rule ip t endpoints-2 meta l4proto { tcp, udp, sctp } meta mark set numgen random mod 2 dnat ip to ip daddr . meta l4proto . th dport . meta mark map @service-endpoints
    add rule ip t nodeport-endpoints-2 jump mark-for-masquerade
    add rule ip t nodeport-endpoints-2 meta l4proto { tcp, udp, sctp } meta mark set numgen random mod 2 dnat ip to meta l4proto . th dport . meta mark map @nodeport-endpoints
    add element ip t service-endpoints { 10.96.0.20 . tcp . 80 . 1 : 10.244.1.3 . 8080 }
    add element ip t service-ips { 10.96.0.20 . tcp . 80 comment "default/web:http" : goto endpoints-2 }
    add element ip t nodeport-endpoints { tcp . 30080 . 1 : 10.244.1.3 . 8080 }
    add element ip t service-nodeports { tcp . 30080 comment "default/web:http" : goto nodeport-endpoints-2 }"
  `);
});

test("session affinity gives each endpoint a set of the clients that it keeps", () => {
  const spec = { ports: [{ name: "http", port: 80 }], sessionAffinity: "ClientIP" };
  expect(print(service(spec), [slice([endpoint(2), endpoint(3)])])).toMatchInlineSnapshot(`
    "add set ip t affinity-default/web/tcp/80/10.244.1.2/8080 { type ipv4_addr; flags dynamic,timeout; timeout 10800s; }
    add set ip t affinity-default/web/tcp/80/10.244.1.3/8080 { type ipv4_addr; flags dynamic,timeout; timeout 10800s; }
    add chain ip t endpoint-default/web/tcp/80/10.244.1.2/8080
    add chain ip t endpoint-default/web/tcp/80/10.244.1.3/8080
    add chain ip t service-default/web/tcp/80
    add rule ip t endpoint-default/web/tcp/80/10.244.1.2/8080 update @affinity-default/web/tcp/80/10.244.1.2/8080 { ip saddr }
    add rule ip t endpoint-default/web/tcp/80/10.244.1.2/8080 meta l4proto tcp dnat ip to numgen random mod 1 map { 0 : 10.244.1.2 . 8080 }
    add rule ip t endpoint-default/web/tcp/80/10.244.1.3/8080 update @affinity-default/web/tcp/80/10.244.1.3/8080 { ip saddr }
    add rule ip t endpoint-default/web/tcp/80/10.244.1.3/8080 meta l4proto tcp dnat ip to numgen random mod 1 map { 0 : 10.244.1.3 . 8080 }
    add rule ip t service-default/web/tcp/80 ip saddr @affinity-default/web/tcp/80/10.244.1.2/8080 goto endpoint-default/web/tcp/80/10.244.1.2/8080
    add rule ip t service-default/web/tcp/80 ip saddr @affinity-default/web/tcp/80/10.244.1.3/8080 goto endpoint-default/web/tcp/80/10.244.1.3/8080
    add rule ip t service-default/web/tcp/80 numgen random mod 2 vmap { 0 : goto endpoint-default/web/tcp/80/10.244.1.2/8080, 1 : goto endpoint-default/web/tcp/80/10.244.1.3/8080 }
    add element ip t cluster-ips { 10.96.0.20 }
    add element ip t service-ips { 10.96.0.20 . tcp . 80 comment "default/web:http" : goto service-default/web/tcp/80 }"
  `);
});

test("external policy Local keeps outsiders on this node, and drops them where it has no endpoint", () => {
  const spec = {
    type: "LoadBalancer",
    ports,
    externalTrafficPolicy: "Local",
    loadBalancerSourceRanges: ["192.0.2.0/24", "192.0.2.7/32"],
  };
  const status = {
    loadBalancer: {
      ingress: [{ ip: "198.51.100.7" }, { ip: "198.51.100.8", ipMode: "Proxy" }, { hostname: "example.org" }],
    },
  };
  expect(print(service(spec, status), [slice([endpoint(2)])])).toMatchInlineSnapshot(`
    "add chain ip t endpoints-1
    add chain ip t service-default/web/tcp/80
    add chain ip t external-default/web/tcp/80
    add chain ip t firewall-default/web/tcp/80
    add rule ip t endpoints-1 meta l4proto { tcp, udp, sctp } meta mark set numgen random mod 1 dnat ip to ip daddr . meta l4proto . th dport . meta mark map @service-endpoints
    add rule ip t service-default/web/tcp/80 meta l4proto tcp dnat ip to numgen random mod 1 map { 0 : 10.244.1.2 . 8080 }
    add rule ip t external-default/web/tcp/80 ip saddr 10.244.0.0/16 goto service-default/web/tcp/80
    add rule ip t external-default/web/tcp/80 fib saddr type local jump mark-for-masquerade
    add rule ip t external-default/web/tcp/80 fib saddr type local goto service-default/web/tcp/80
    add rule ip t firewall-default/web/tcp/80 ip saddr 192.0.2.0/24 return
    add rule ip t firewall-default/web/tcp/80 drop
    add element ip t cluster-ips { 10.96.0.20 }
    add element ip t service-endpoints { 10.96.0.20 . tcp . 80 . 0 : 10.244.1.2 . 8080 }
    add element ip t service-ips { 10.96.0.20 . tcp . 80 comment "default/web:http" : goto endpoints-1, 198.51.100.7 . tcp . 80 comment "default/web:http" : goto external-default/web/tcp/80 }
    add element ip t no-endpoint-services { 198.51.100.7 . tcp . 80 comment "default/web:http" : drop }
    add element ip t no-endpoint-nodeports { tcp . 30080 comment "default/web:http" : drop }
    add element ip t service-nodeports { tcp . 30080 comment "default/web:http" : goto external-default/web/tcp/80 }
    add element ip t firewall-ips { 198.51.100.7 . tcp . 80 comment "default/web:http" : goto firewall-default/web/tcp/80 }"
  `);
});

test.each<[string, Partial<Service["spec"]>]>([
  ["headless", { clusterIP: "None", clusterIPs: ["None"] }],
  ["ExternalName", { type: "ExternalName", externalName: "example.org" }],
  ["of another family only", { clusterIP: "fd00::1", clusterIPs: ["fd00::1"] }],
])("a Service that is %s has no rules", (_, spec) => {
  expect(print(service({ ports, ...spec }), [slice([endpoint(2)])])).toBe("");
});

test("without endpoints clients are refused", () => {
  expect(print(service({ type: "NodePort", ports }), [])).toMatchInlineSnapshot(`
    "add element ip t cluster-ips { 10.96.0.20 }
    add element ip t no-endpoint-services { 10.96.0.20 . tcp . 80 comment "default/web:http" : goto reject-chain }
    add element ip t no-endpoint-nodeports { tcp . 30080 comment "default/web:http" : goto reject-chain }"
  `);
});

test("ports are matched by name, each with the number that its slice gives", () => {
  const two = [
    { name: "http", port: 80 },
    { name: "admin", port: 81 },
  ];
  const slices = [
    slice(
      [endpoint(2)],
      [
        { name: "http", port: 8080 },
        { name: "admin", port: 9090 },
      ],
    ),
    slice([endpoint(3)], [{ name: "http", port: 8081 }]),
  ];
  expect(chosen(service({ ports: two }), slices)).toEqual([
    "10.244.1.2 . 8080",
    "10.244.1.3 . 8081",
    "10.244.1.2 . 9090",
  ]);
});

const conditions = (ready: boolean, serving: boolean, terminating: boolean) => ({
  conditions: { ready, serving, terminating },
});

test.each<[string, Endpoint[], string[]]>([
  ["ready ones before those that terminate", [endpoint(2), endpoint(3, conditions(false, true, true))], ["10.244.1.2"]],
  [
    "those that terminate but serve when none is ready",
    [endpoint(2, conditions(false, true, true)), endpoint(3, conditions(false, false, true))],
    ["10.244.1.2"],
  ],
  ["none when none serves", [endpoint(2, conditions(false, false, false))], []],
  ["ones without conditions", [endpoint(2, { conditions: {} })], ["10.244.1.2"]],
  [
    "an endpoint once, though two slices have it",
    [endpoint(2, conditions(false, true, true)), endpoint(2)],
    ["10.244.1.2"],
  ],
  [
    "those hinted for the node's zone",
    [endpoint(2, { hints: { forZones: [{ name: "a" }] } }), endpoint(3, { hints: { forZones: [{ name: "b" }] } })],
    ["10.244.1.2"],
  ],
  [
    "all when one has no hint",
    [endpoint(2, { hints: { forZones: [{ name: "a" }] } }), endpoint(3)],
    ["10.244.1.2", "10.244.1.3"],
  ],
  ["all when none is for this zone", [endpoint(3, { hints: { forZones: [{ name: "b" }] } })], ["10.244.1.3"]],
  [
    "those hinted for this node before those of its zone",
    [
      endpoint(2, { hints: { forZones: [{ name: "a" }], forNodes: [{ name: "worker-1" }] } }),
      endpoint(3, { hints: { forZones: [{ name: "a" }], forNodes: [{ name: "worker-2" }] } }),
    ],
    ["10.244.1.2"],
  ],
])("it chooses %s", (_, endpoints, expected) => {
  expect(
    chosen(
      service({ ports }),
      endpoints.map((each) => slice([each])),
    ),
  ).toEqual(expected.map((ip) => `${ip} . 8080`));
});
