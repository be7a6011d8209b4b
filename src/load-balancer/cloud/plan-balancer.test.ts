import { expect, test } from "vitest";
import type { Service } from "../../api/core/v1.ts";
import { awsBalancerOf, hostNameOf, isCloudClass, whyAwsRefuses } from "./aws.ts";
import { addressFor, compileBalancers, healthCheckOf, whyImpossible } from "./plan-balancer.ts";

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

test("who wants IPv6 alone, or has no node ports, is refused in words", () => {
  expect(whyImpossible(service())).toBeUndefined();
  expect(whyImpossible(service({ ipFamilies: ["IPv6", "IPv4"] }))).toBeUndefined();
  expect(whyImpossible(service({ ipFamilies: ["IPv6"] }))).toBe("load balancers have IPv4 addresses only");
  const bare = service({ allocateLoadBalancerNodePorts: false, ports: [{ port: 80 }] });
  expect(whyImpossible(bare)).toBe("load balancers send to node ports, and the Service has none");
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

const annotated = (annotations: Record<string, string>, spec: Partial<Service["spec"]> = {}) => {
  const each = service(spec);
  each.metadata.uid = "a7a34037-1f47-b427-9bd4-3f04fd3ad8ff";
  each.metadata.annotations = Object.fromEntries(
    Object.entries(annotations).map(([key, value]) => [`service.beta.kubernetes.io/${key}`, value]),
  );
  return each;
};

test("AWS' annotations and class say which kind of balancer, for whom, and when a node is out", () => {
  expect(awsBalancerOf(service())).toBeUndefined();
  expect(awsBalancerOf(annotated({ "aws-load-balancer-connection-idle-timeout": "60" }))).toEqual({
    kind: "classic",
    isInternal: false,
    healthCheck: {},
  });
  const network = annotated({
    "aws-load-balancer-type": "nlb",
    "aws-load-balancer-internal": "true",
    "aws-load-balancer-healthcheck-port": "31000",
    "aws-load-balancer-healthcheck-path": "/ready",
    "aws-load-balancer-healthcheck-unhealthy-threshold": "5",
  });
  expect(awsBalancerOf(network)).toEqual({
    kind: "network",
    isInternal: true,
    healthCheck: { port: 31000, path: "/ready", failuresUntilOut: 5 },
  });
  expect(healthCheckOf(network)).toEqual({ port: 31000, path: "/ready" });
  expect(awsBalancerOf(service({ loadBalancerClass: "service.k8s.aws/nlb" }))?.kind).toBe("network");
  expect([undefined, "service.k8s.aws/nlb", "example.com/other"].map(isCloudClass)).toEqual([true, true, false]);
});

test("a balancer's name comes from its Service's UID", () => {
  const name = (annotations: Record<string, string>) => {
    const each = annotated(annotations);
    return hostNameOf(each, awsBalancerOf(each)!, "elb.pinnace.local");
  };
  const classic = name({ "aws-load-balancer-scheme": "internet-facing" });
  expect(classic).toMatch(/^aa7a340371f47b4279bd43f04fd3ad8f-\d{10}\.elb\.pinnace\.local$/);
  expect(name({ "aws-load-balancer-scheme": "internal" })).toBe(`internal-${classic}`);
  expect(name({ "aws-load-balancer-type": "nlb" })).toMatch(/-[0-9a-f]{16}\.elb\.pinnace\.local$/);
});

test("a classic balancer refuses UDP and affinity; a network one deals by the client's address", () => {
  const why = (type: string, spec: Partial<Service["spec"]>) => {
    const each = annotated({ "aws-load-balancer-type": type }, spec);
    return whyAwsRefuses(each, awsBalancerOf(each)!);
  };
  const udp = { ports: [{ port: 53, protocol: "UDP", nodePort: 30053 }] };
  expect(why("classic", udp)).toBe("Only TCP LoadBalancer is supported for AWS ELB");
  expect(why("classic", { sessionAffinity: "ClientIP" })).toBe("unsupported load balancer affinity: ClientIP");
  expect(why("nlb", { ...udp, sessionAffinity: "ClientIP" })).toBeUndefined();
  const targets = [{ node: "a", address: "172.30.0.2" }];
  const sticky = annotated(
    { "aws-load-balancer-type": "nlb", "load-balancer-source-ranges": "10.0.0.0/8, 10.1.0.0/16" },
    { sessionAffinity: "ClientIP" },
  );
  const script = compileBalancers([{ service: sticky, address: "172.30.0.254", targets }]);
  expect(script).toContain("dnat ip to jhash ip saddr mod 1 map");
  expect(script).toContain("ip saddr != { 10.0.0.0/8 } ct state new drop");
  const internal = annotated({ "aws-load-balancer-scheme": "internal" });
  expect(compileBalancers([{ service: internal, address: "172.30.0.254", targets }])).toContain(
    "ip saddr != { 10.0.0.0/8, 172.16.0.0/12",
  );
});
