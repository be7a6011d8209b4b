import { describe, expect, it } from "vitest";
import type { Service } from "../../api/core/v1.ts";
import { seededRandom } from "../../base/random.ts";
import { ClusterIpAllocator } from "./cluster-ip-allocator.ts";
import { defaultNodePortRange, NodePortAllocator } from "./node-port-allocator.ts";
import { createServiceAllocators, restoreAllocations } from "./service-allocators.ts";

const random = () => seededRandom(7);

describe("cluster addresses", () => {
  it("are drawn from the upper band, so that low ones stay free for those who name them", () => {
    const allocator = new ClusterIpAllocator("10.96.0.0/16", random());
    for (let i = 0; i < 500; i++) {
      const [, , third, fourth] = allocator.takeNext()!.split(".").map(Number);
      expect(third! * 256 + fourth!).toBeGreaterThan(256);
    }
  });

  it("are given once, and again after they came back", () => {
    const allocator = new ClusterIpAllocator("10.96.0.0/16", random());
    expect(allocator.take("10.96.0.10")).toBeUndefined();
    expect(allocator.take("10.96.0.10")).toBe("provided IP is already allocated");
    allocator.release("10.96.0.10");
    expect(allocator.take("10.96.0.10")).toBeUndefined();
    expect(allocator.take("10.97.0.1")).toBe("the provided network does not match the current range");
    expect(allocator.take("10.96.0.0")).toBe("the provided network does not match the current range");
    expect(allocator.take("10.96.255.255")).toBe("the provided network does not match the current range");
  });

  it("run out only when every one is taken", () => {
    const allocator = new ClusterIpAllocator("10.96.0.0/27", random());
    const drawn = new Set(Array.from({ length: 30 }, () => allocator.takeNext()));
    expect(drawn.size).toBe(30);
    expect(allocator.takeNext()).toBeUndefined();
    allocator.release("10.96.0.5");
    expect(allocator.takeNext()).toBe("10.96.0.5");
  });

  it("come from further ranges when the first is used up, and from closed ones no more", () => {
    const allocator = new ClusterIpAllocator("10.96.0.0/29", random());
    for (let i = 0; i < 6; i++) allocator.takeNext();
    expect(allocator.takeNext()).toBeUndefined();
    allocator.addRange("10.97.0.0/29");
    const further = allocator.takeNext()!;
    expect(further).toMatch(/^10\.97\.0\.[1-6]$/);
    expect(allocator.take(further)).toBe("provided IP is already allocated");
    allocator.closeRange("10.97.0.0/29");
    expect(allocator.takeNext()).toBeUndefined();
    expect(allocator.take("10.97.0.6")).toBe("the provided network does not match the current range");
    allocator.release(further);
    allocator.addRange("10.97.0.0/29");
    expect(allocator.take(further)).toBeUndefined();
  });

  it("are given once where ranges overlap", () => {
    const allocator = new ClusterIpAllocator("10.96.0.0/29", random());
    allocator.addRange("10.96.0.0/28");
    const drawn = Array.from({ length: 14 }, () => allocator.takeNext());
    expect(new Set(drawn).size).toBe(14);
    expect(allocator.takeNext()).toBeUndefined();
  });

  it("exist in both families", () => {
    const allocator = new ClusterIpAllocator("fd00:10::/108", random());
    expect(allocator.family).toBe("IPv6");
    expect(allocator.takeNext()).toMatch(/^fd00:10::/);
  });
});

describe("node ports", () => {
  it("are drawn above the first 86", () => {
    const allocator = new NodePortAllocator(defaultNodePortRange, random());
    for (let i = 0; i < 500; i++) expect(allocator.takeNext()).toBeGreaterThanOrEqual(30086);
  });

  it("must be free and in range", () => {
    const allocator = new NodePortAllocator(defaultNodePortRange, random());
    expect(allocator.take(30000)).toBeUndefined();
    expect(allocator.take(30000)).toBe("provided port is already allocated");
    expect(allocator.take(20000)).toBe(
      "provided port is not in the valid range. The range of valid ports is 30000-32767",
    );
  });
});

describe("after a restart", () => {
  const service = (name: string, spec: Partial<Service["spec"]>) =>
    ({ metadata: { name, namespace: "default" }, spec }) as Service;

  it("what the stored Services have is taken, and what two of them have is told", () => {
    const allocators = createServiceAllocators({ serviceCidrs: ["10.96.0.0/16"], random: random() });
    const problems = restoreAllocations(allocators, [
      service("a", {
        clusterIPs: ["10.96.0.10"],
        ports: [
          { port: 80, nodePort: 30001 },
          { port: 80, protocol: "UDP", nodePort: 30001 },
        ],
      }),
      service("b", { clusterIPs: ["10.96.0.10"], healthCheckNodePort: 30002 }),
      service("c", { clusterIPs: ["None"] }),
    ]);
    expect(problems).toEqual([
      { namespace: "default", name: "b", problem: "clusterIP 10.96.0.10: provided IP is already allocated" },
    ]);
    expect(allocators.nodePorts.take(30001)).toBe("provided port is already allocated");
    expect(allocators.nodePorts.take(30002)).toBe("provided port is already allocated");
  });
});
