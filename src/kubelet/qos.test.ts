import { expect, test } from "vitest";
import type { ResourceRequirements } from "../api/core/v1.ts";
import type { PodObject } from "./pod-state.ts";
import { containerResources, podCgroup, podQosClass, podResources } from "./qos.ts";

function pod(...resources: ResourceRequirements[]): PodObject {
  const containers = resources.map((requirement, i) => ({ name: `c${i}`, resources: requirement }));
  return { metadata: { uid: "u" }, spec: { containers } } as unknown as PodObject;
}

const both = (cpu: string, memory: string) => ({ requests: { cpu, memory }, limits: { cpu, memory } });

test.each([
  ["BestEffort", pod({}), "/r/kubepods/besteffort/podu"],
  ["Burstable", pod({ requests: { cpu: "1" } }), "/r/kubepods/burstable/podu"],
  ["Burstable", pod(both("1", "1Gi"), {}), "/r/kubepods/burstable/podu"],
  ["Guaranteed", pod(both("1", "1Gi")), "/r/kubepods/podu"],
  ["Guaranteed", pod({ limits: { cpu: "1", memory: "1Gi" } }), "/r/kubepods/podu"],
])("%s pods have their place among the cgroups", (qos, of, cgroup) => {
  expect(podQosClass(of)).toBe(qos);
  expect(podCgroup("/r", of)).toBe(cgroup);
});

test("requests and limits become shares, quota, bytes and an OOM score", () => {
  const of = pod({ requests: { cpu: "500m", memory: "1Gi" }, limits: { cpu: "1500m", memory: "2Gi" } });
  expect(containerResources(of, of.spec.containers[0]!, 4 * 1024 ** 3)).toEqual({
    cpuShares: 512,
    cpuQuotaMicroseconds: 150_000,
    cpuPeriodMicroseconds: 100_000,
    memoryLimitBytes: 2 * 1024 ** 3,
    oomScoreAdj: 750,
  });
  const none = pod({});
  expect(containerResources(none, none.spec.containers[0]!, 1)).toEqual({ cpuShares: 2, oomScoreAdj: 1000 });
});

test("a pod's cgroup is limited when every container is", () => {
  expect(podResources(pod(both("1", "1Gi"), both("1", "1Gi")))).toMatchObject({
    cpuShares: 2048,
    memoryLimitBytes: 2 * 1024 ** 3,
  });
  expect(podResources(pod(both("1", "1Gi"), {}))).not.toHaveProperty("memoryLimitBytes");
});
