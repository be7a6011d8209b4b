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
  expect(containerResources(of, of.spec.containers[0]!, { memoryBytes: 4 * 1024 ** 3 })).toEqual({
    cpuShares: 512,
    cpuQuotaMicroseconds: 150_000,
    cpuPeriodMicroseconds: 100_000,
    memoryLimitBytes: 2 * 1024 ** 3,
    oomScoreAdj: 750,
  });
  const none = pod({});
  expect(containerResources(none, none.spec.containers[0]!, { memoryBytes: 1 })).toEqual({
    cpuShares: 2,
    oomScoreAdj: 1000,
  });
});

test("a pod's cgroup is limited when every container is", () => {
  expect(podResources(pod(both("1", "1Gi"), both("1", "1Gi")))).toMatchObject({
    cpuShares: 2048,
    memoryLimitBytes: 2 * 1024 ** 3,
  });
  expect(podResources(pod(both("1", "1Gi"), {}))).not.toHaveProperty("memoryLimitBytes");
});

test("a container without limits of its own has the pod's", () => {
  const of = pod({}, { requests: { cpu: "20m" }, limits: { cpu: "50m" } });
  const whole = { requests: { cpu: "50m", memory: "50Mi" }, limits: { cpu: "100m", memory: "100Mi" } };
  const spec = { ...of.spec, resources: whole };
  const [first, second] = spec.containers.map((one) =>
    containerResources({ ...of, spec }, one, { memoryBytes: 2 ** 30 }),
  );
  expect(first).toMatchObject({ cpuShares: 102, cpuQuotaMicroseconds: 10_000, memoryLimitBytes: 100 * 1024 ** 2 });
  expect(second).toMatchObject({ cpuShares: 20, cpuQuotaMicroseconds: 5_000, memoryLimitBytes: 100 * 1024 ** 2 });
});

test("what a pod asked for as a whole counts for each of its containers when memory is short, and sidecars go last", () => {
  const score = (of: PodObject, name: string) => {
    const found = [...of.spec.containers, ...(of.spec.initContainers ?? [])].find((one) => one.name === name)!;
    return containerResources(of, found, { memoryBytes: 1000 * 2 ** 20 }).oomScoreAdj;
  };
  const asked = (memory: string) => ({ requests: { memory } });
  const shared = pod(asked("100Mi"), {});
  expect(score({ ...shared, spec: { ...shared.spec, resources: asked("300Mi") } }, "c0")).toBe(800);
  expect(score({ ...shared, spec: { ...shared.spec, resources: asked("300Mi") } }, "c1")).toBe(900);
  const served = pod(asked("200Mi"), asked("100Mi"));
  const sidecar = { name: "s", restartPolicy: "Always", resources: asked("10Mi") };
  expect(score({ ...served, spec: { ...served.spec, initContainers: [sidecar] } } as PodObject, "s")).toBe(900);
});

test("a container gets none of the huge pages that it does not ask for, and what cgroup v2 is told of every container", () => {
  const node = {
    memoryBytes: 2 ** 30,
    hugePageSizes: ["1Gi", "2Mi"],
    containerGroupFiles: { "memory.oom.group": "1" },
  };
  const of = pod({ limits: { "hugepages-2Mi": "4Mi", memory: "64Mi", cpu: "1" } });
  expect(containerResources(of, of.spec.containers[0]!, node)).toMatchObject({
    hugepageLimits: { "1GB": 0, "2MB": 4 * 2 ** 20 },
    unified: { "memory.oom.group": "1" },
  });
});
