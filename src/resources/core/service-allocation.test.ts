import { describe, expect, it } from "vitest";
import type { Service } from "../../api/core/v1.ts";
import type { WriteContext } from "../../apimachinery/resource-definition.ts";
import { type AllocationPool, type ServicePools, serviceAllocation } from "./service-allocation.ts";

/** A pool that gives out what it was made with, in order. */
function pool<T>(...items: T[]): AllocationPool<T> & { taken: Set<T> } {
  const taken = new Set<T>();
  return {
    taken,
    take: (item) => (taken.has(item) ? "already allocated" : void taken.add(item)),
    takeNext() {
      const free = items.find((item) => !taken.has(item));
      if (free !== undefined) taken.add(free);
      return free;
    },
    release: (item) => void taken.delete(item),
  };
}

function cluster() {
  const addresses = Object.assign(pool("10.96.1.1", "10.96.1.2"), { family: "IPv4" as const });
  const nodePorts = pool(30100, 30101, 30102);
  const pools: ServicePools = { addresses: [addresses], nodePorts };
  return { addresses: addresses.taken, nodePorts: nodePorts.taken, begin: serviceAllocation(pools) };
}

const context = { subresource: "" } as WriteContext;
const service = (spec: object) =>
  ({ metadata: { name: "web", namespace: "default" }, spec: { type: "ClusterIP", ...spec } }) as Service;

describe("a Service that is written", () => {
  it("gets an address, and gives it back when the write fails", () => {
    const { addresses, begin } = cluster();
    const web = service({ ports: [{ port: 80 }] });
    const finish = begin(web, undefined, context)!;
    expect(web.spec).toMatchObject({
      clusterIP: "10.96.1.1",
      clusterIPs: ["10.96.1.1"],
      ipFamilies: ["IPv4"],
      ipFamilyPolicy: "SingleStack",
    });
    finish(false);
    expect([...addresses]).toEqual([]);
  });

  it("shares one node port between protocols of one port", () => {
    const { begin } = cluster();
    const dns = service({
      type: "NodePort",
      ports: [
        { name: "u", port: 53, protocol: "UDP" },
        { name: "t", port: 53, protocol: "TCP" },
      ],
    });
    begin(dns, undefined, context);
    expect(dns.spec.ports?.map(({ nodePort }) => nodePort)).toEqual([30100, 30100]);
  });

  it("keeps what it has when a writer leaves it out", () => {
    const { begin } = cluster();
    const before = service({ type: "NodePort", ports: [{ port: 80 }] });
    begin(before, undefined, context)!(true);
    const after = service({ type: "NodePort", ports: [{ port: 80, targetPort: 8080 }] });
    begin(after, before, context)!(true);
    expect(after.spec.clusterIP).toBe("10.96.1.1");
    expect(after.spec.ports?.[0]?.nodePort).toBe(30100);
  });

  it("gives its node port back when it stops being a NodePort, once that is stored", () => {
    const { nodePorts, begin } = cluster();
    const before = service({ type: "NodePort", ports: [{ port: 80 }] });
    begin(before, undefined, context)!(true);
    const finish = begin(service({ ...before.spec, type: "ClusterIP" }), before, context)!;
    expect([...nodePorts]).toEqual([30100]);
    finish(true);
    expect([...nodePorts]).toEqual([]);
  });

  it("gives all back when it is deleted", () => {
    const { addresses, nodePorts, begin } = cluster();
    const web = service({ type: "LoadBalancer", externalTrafficPolicy: "Local", ports: [{ port: 80 }] });
    begin(web, undefined, context)!(true);
    expect(nodePorts.size).toBe(2);
    begin(undefined, web, context)!(true);
    expect([addresses.size, nodePorts.size]).toEqual([0, 0]);
  });

  it("takes nothing when one of its wishes cannot be met", () => {
    const { addresses, nodePorts, begin } = cluster();
    nodePorts.add(30000);
    const web = service({
      type: "NodePort",
      ports: [
        { name: "a", port: 80 },
        { name: "b", port: 81, nodePort: 30000 },
      ],
    });
    expect(() => begin(web, undefined, context)).toThrow(
      'Service "web" is invalid: spec.ports[1].nodePort: Invalid value: 30000: already allocated',
    );
    expect([addresses.size, nodePorts.size]).toEqual([0, 1]);
  });

  it("asks for families the cluster has", () => {
    const { begin } = cluster();
    const message = "this cluster is not configured for dual-stack services";
    expect(() => begin(service({ ipFamilyPolicy: "RequireDualStack" }), undefined, context)).toThrow(message);
    expect(() => begin(service({ ipFamilies: ["IPv6"] }), undefined, context)).toThrow(
      "not configured on this cluster",
    );
  });
});
