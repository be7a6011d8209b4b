import { expect, test } from "vitest";
import type { Service } from "../../api/core/v1.ts";
import { addressFor, compileBalancers, healthCheckOf } from "./plan-balancer.ts";

function service(spec: Partial<Service["spec"]> = {}, held?: string): Service {
  const metadata = { name: "web", namespace: "default", uid: "web", resourceVersion: "1", creationTimestamp: "" };
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata,
    spec: { type: "LoadBalancer", ports: [{ port: 80, nodePort: 30080 }], ...spec },
    status: { loadBalancer: held ? { ingress: [{ ip: held }] } : {} },
  };
}

test("a Service keeps its address, or gets the last free one of the LAN", () => {
  const lan = "172.30.0.0/24";
  expect(addressFor(service(), lan, new Set())).toBe("172.30.0.254");
  expect(addressFor(service(), lan, new Set(["172.30.0.254"]))).toBe("172.30.0.253");
  expect(addressFor(service({}, "172.30.0.9"), lan, new Set())).toBe("172.30.0.9");
  expect(addressFor(service({ loadBalancerIP: "172.30.0.8" }, "172.30.0.9"), lan, new Set())).toBe("172.30.0.8");
  expect(() => addressFor(service({ loadBalancerIP: "172.30.0.8" }), lan, new Set(["172.30.0.8"]))).toThrow(
    "already in use",
  );
  expect(() => addressFor(service({ loadBalancerIP: "10.0.0.1" }), lan, new Set())).toThrow("is not in 172.30.0.0/24");
});

test("policy Local asks for the node's own endpoints, Cluster for a working proxy", () => {
  expect(healthCheckOf(service()).port).toBe(10256);
  expect(healthCheckOf(service({ externalTrafficPolicy: "Local", healthCheckNodePort: 31000 })).port).toBe(31000);
});

test("packets are dealt among the healthy nodes' ports, and only from where the Service allows", () => {
  const targets = [
    { node: "a", address: "172.30.0.2" },
    { node: "b", address: "172.30.0.3" },
  ];
  const limited = service({ loadBalancerSourceRanges: ["172.30.0.0/24"] });
  expect(
    compileBalancers([{ service: limited, address: "172.30.0.254", targets }])
      .split("\n")
      .slice(-2),
  ).toEqual([
    "add rule ip balancer firewall ip daddr 172.30.0.254 tcp dport 80 ip saddr != { 172.30.0.0/24 } ct state new drop",
    "add rule ip balancer prerouting ip daddr 172.30.0.254 tcp dport 80 dnat ip to numgen random mod 2 map { 0 : 172.30.0.2 . 30080, 1 : 172.30.0.3 . 30080 }",
  ]);
  const idle = compileBalancers([{ service: service(), address: "172.30.0.254", targets: [] }]);
  expect(idle).not.toContain("172.30.0.254");
});
