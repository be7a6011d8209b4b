import { describe, expect, test } from "vitest";
import type { Service } from "../../api/core/v1.ts";
import { type AllocationView, allocate, heldAddresses, whyNoLonger } from "./allocate.ts";
import type { IPAddressPool } from "./kinds.ts";
import { readPools } from "./pools.ts";

function pool(name: string, addresses: string[], spec: Partial<IPAddressPool["spec"]> = {}, age = 0): IPAddressPool {
  const creationTimestamp = `2026-01-01T00:00:${String(age).padStart(2, "0")}Z`;
  const metadata = { name, namespace: "metallb-system", uid: name, resourceVersion: "1", creationTimestamp };
  return { apiVersion: "metallb.io/v1beta1", kind: "IPAddressPool", metadata, spec: { addresses, ...spec } };
}

function service(
  name: string,
  {
    annotations = {},
    held = [],
    spec = {},
    labels = {},
  }: {
    annotations?: Record<string, string>;
    held?: string[];
    spec?: Partial<Service["spec"]>;
    labels?: Record<string, string>;
  } = {},
): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name,
      namespace: "default",
      uid: name,
      resourceVersion: "1",
      creationTimestamp: "2026-01-01T00:00:00Z",
      annotations,
      labels,
    },
    spec: { type: "LoadBalancer", clusterIP: "10.96.0.7", clusterIPs: ["10.96.0.7"], ports: [{ port: 80 }], ...spec },
    status: { loadBalancer: { ingress: held.map((ip) => ({ ip })) } },
  };
}

function view(pools: IPAddressPool[], holders: Service[] = []): AllocationView {
  return {
    pools: readPools(pools).pools,
    holdersOf: (address) => holders.filter((holder) => heldAddresses(holder).includes(address)),
    namespaceLabels: { team: "web" },
  };
}

const lab = pool("default-pool", ["192.168.108.100-192.168.108.110"]);

describe("pools", () => {
  test("a bad address, a range that runs backwards and an overlap are told, and the rest of the pools stays", () => {
    const { pools, mistakes } = readPools([
      lab,
      pool("bad", ["192.168.1.0/33"], {}, 1),
      pool("backwards", ["10.0.0.9-10.0.0.1"], {}, 2),
      pool("over", ["192.168.108.0/24"], {}, 3),
      pool("six", ["fd00::10-fd00::20"], {}, 4),
    ]);
    expect(pools.map(({ name }) => name)).toEqual(["default-pool", "six"]);
    expect(mistakes.map(({ message }) => message)).toEqual([
      'invalid CIDR "192.168.1.0/33"',
      'invalid IP range "10.0.0.9-10.0.0.1": start IP "10.0.0.9" is after the end IP "10.0.0.1"',
      'CIDR "192.168.108.0/24" in pool "over" overlaps with already defined CIDR in pool "default-pool"',
    ]);
  });
});

describe("allocate", () => {
  test("the first free address of the pool is given", () => {
    expect(allocate(service("a"), view([lab], [service("b", { held: ["192.168.108.100"] })]))).toEqual({
      addresses: ["192.168.108.101"],
      pool: "default-pool",
    });
  });

  test("addresses that end in 0 and 255 are left out where the pool says so", () => {
    const buggy = pool("buggy", ["10.0.0.0/31", "10.0.1.255-10.0.2.1"], { avoidBuggyIPs: true });
    const taken = service("b", { held: ["10.0.0.1"] });
    expect(allocate(service("a"), view([buggy], [taken])).addresses).toEqual(["10.0.2.1"]);
  });

  test("a pool without autoAssign serves only those who ask for it", () => {
    const shy = pool("shy", ["10.0.0.1/32"], { autoAssign: false });
    expect(() => allocate(service("a"), view([shy]))).toThrow("no available IPs");
    const asking = service("a", { annotations: { "metallb.universe.tf/address-pool": "shy" } });
    expect(allocate(asking, view([shy])).addresses).toEqual(["10.0.0.1"]);
    const mistaken = service("a", { annotations: { "metallb.io/address-pool": "other" } });
    expect(() => allocate(mistaken, view([shy]))).toThrow('unknown pool "other"');
  });

  test("an address may be asked for by annotation or by spec.loadBalancerIP, not by both", () => {
    const byAnnotation = service("a", { annotations: { "metallb.io/loadBalancerIPs": "192.168.108.105" } });
    expect(allocate(byAnnotation, view([lab])).addresses).toEqual(["192.168.108.105"]);
    const byField = service("a", { spec: { loadBalancerIP: "192.168.108.106" } });
    expect(allocate(byField, view([lab])).addresses).toEqual(["192.168.108.106"]);
    const both = service("a", {
      annotations: { "metallb.io/loadBalancerIPs": "192.168.108.105" },
      spec: { loadBalancerIP: "192.168.108.105" },
    });
    expect(() => allocate(both, view([lab]))).toThrow("service can not have both");
  });

  test("an address outside every pool, or no address at all, is refused in words", () => {
    const outside = service("a", { spec: { loadBalancerIP: "192.168.1.1" } });
    expect(() => allocate(outside, view([lab]))).toThrow('["192.168.1.1"] is not allowed in config');
    const nonsense = service("a", { annotations: { "metallb.io/loadBalancerIPs": "first" } });
    expect(() => allocate(nonsense, view([lab]))).toThrow('invalid metallb.io/loadBalancerIPs: "first"');
    const wrongFamily = service("a", { spec: { loadBalancerIP: "fd00::1" } });
    expect(() => allocate(wrongFamily, view([lab]))).toThrow("does not match the ipFamily of the service");
  });

  test("an address is shared by those who agree on a key and on different ports", () => {
    const annotations = {
      "metallb.universe.tf/allow-shared-ip": "web",
      "metallb.io/loadBalancerIPs": "192.168.108.100",
    };
    const holder = service("holder", { annotations, held: ["192.168.108.100"] });
    const udp = service("udp", { annotations, spec: { ports: [{ port: 80, protocol: "UDP" }] } });
    expect(allocate(udp, view([lab], [holder])).addresses).toEqual(["192.168.108.100"]);
    expect(() => allocate(service("same", { annotations }), view([lab], [holder]))).toThrow(
      'port TCP/80 is already in use on "192.168.108.100"',
    );
    const stranger = service("stranger", { annotations: { "metallb.io/loadBalancerIPs": "192.168.108.100" } });
    expect(() => allocate(stranger, view([lab], [holder]))).toThrow("address also in use by default/holder");
    const local = service("local", { annotations, spec: { ...udp.spec, externalTrafficPolicy: "Local" } });
    expect(() => allocate(local, view([lab], [holder]))).toThrow("address also in use by default/holder");
  });

  test("pools kept for a Service come first, by priority, and are closed to others", () => {
    const pools = [
      lab,
      pool(
        "second",
        ["10.0.2.1/32"],
        { serviceAllocation: { priority: 2, namespaceSelectors: [{ matchLabels: { team: "web" } }] } },
        1,
      ),
      pool(
        "first",
        ["10.0.1.1/32"],
        { serviceAllocation: { priority: 1, serviceSelectors: [{ matchLabels: { tier: "front" } }] } },
        2,
      ),
      pool("others", ["10.0.3.1/32"], { serviceAllocation: { priority: 1, namespaces: ["elsewhere"] } }, 3),
    ];
    expect(allocate(service("a", { labels: { tier: "front" } }), view(pools)).pool).toBe("first");
    expect(allocate(service("b"), view(pools)).pool).toBe("second");
    expect(() => allocate(service("c", { spec: { loadBalancerIP: "10.0.3.1" } }), view(pools))).toThrow(
      "pool others not compatible for ip assignment",
    );
  });

  test("a dual-stack Service gets an address of each family from one pool", () => {
    const spec = { clusterIPs: ["10.96.0.7", "fd00:96::7"], ipFamilyPolicy: "RequireDualStack" };
    const both = pool("both", ["10.0.0.1/32", "fd00::1/128"], {}, 1);
    expect(allocate(service("a", { spec }), view([lab, both]))).toEqual({
      addresses: ["10.0.0.1", "fd00::1"],
      pool: "both",
    });
    expect(() => allocate(service("a", { spec }), view([lab]))).toThrow("no available IPs");
    const preferring = service("a", { spec: { ...spec, ipFamilyPolicy: "PreferDualStack" } });
    expect(allocate(preferring, view([lab])).addresses).toEqual(["192.168.108.100"]);
  });

  test("what a Service holds is taken away when its pool is gone or it asks for something else", () => {
    const holder = service("a", { held: ["192.168.108.100"] });
    expect(whyNoLonger(holder, view([lab], [holder]))).toBeUndefined();
    expect(whyNoLonger(holder, view([pool("new", ["10.0.0.1/32"])], [holder]))).toBe(
      '["192.168.108.100"] is not allowed in config',
    );
    const asking = service("a", { held: ["192.168.108.100"], spec: { loadBalancerIP: "192.168.108.101" } });
    expect(whyNoLonger(asking, view([lab], [asking]))).toBe("a different IP was requested");
  });
});
