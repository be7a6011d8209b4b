import { expect, test } from "vitest";
import type { PodStats } from "../stats/node-stats.ts";
import { overLocalLimits, planEviction, rankPods, shortages } from "./plan-eviction.ts";
import { defaultThresholds, type Observations, thresholdValue } from "./signals.ts";

const mebibyte = 1024 ** 2;
const plenty: Observations = {
  "memory.available": { available: 8e9, capacity: 16e9 },
  "nodefs.available": { available: 5e11, capacity: 1e12 },
  "nodefs.inodesFree": { available: 1e6, capacity: 2e6 },
  "pid.available": { available: 30_000, capacity: 32_768 },
};

function stats(
  name: string,
  options: { memory?: number; request?: string; priority?: number; spec?: object; disk?: number },
): PodStats {
  const { memory = 0, request, priority = 0, spec = {}, disk = 0 } = options;
  const resources = request ? { requests: { memory: request } } : {};
  const usage = { memory: { workingSetBytes: memory } };
  return {
    pod: { metadata: { name, uid: name }, spec: { priority, containers: [{ name: "c", resources }], ...spec } },
    usage,
    processes: 1,
    containers: [{ name: "c", usage, writable: { bytes: disk, inodes: 1 }, logs: { bytes: 0, inodes: 0 } }],
    volumes: [],
  } as unknown as PodStats;
}

test("a well filled large disk is not taken for a full one", () => {
  expect(thresholdValue(defaultThresholds["nodefs.available"], 1e12)).toBe(1024 ** 3);
  expect(shortages({ ...plenty, "nodefs.available": { available: 5e10, capacity: 1e12 } }, defaultThresholds)).toEqual(
    [],
  );
});

test("first goes who uses more than they asked for, then the less important, then the greediest", () => {
  const pods = [
    stats("modest", { memory: 50 * mebibyte, request: "100Mi" }),
    stats("important", { memory: 300 * mebibyte, priority: 10 }),
    stats("greedy", { memory: 200 * mebibyte }),
    stats("small", { memory: 10 * mebibyte }),
  ];
  expect(rankPods("memory.available", pods).map(({ pod }) => pod.metadata.name)).toEqual([
    "greedy",
    "small",
    "important",
    "modest",
  ]);
});

test("memory running out evicts one pod and says who used what", () => {
  const [shortage] = shortages(
    { ...plenty, "memory.available": { available: 50 * mebibyte, capacity: 16e9 } },
    defaultThresholds,
  );
  expect(planEviction(shortage!, [stats("greedy", { memory: 200 * mebibyte })])).toMatchObject({
    signal: "memory.available",
    message:
      "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container c was using 200Mi, request is 0, has larger consumption of memory. ",
  });
});

test("what the system needs is never evicted", () => {
  const [shortage] = shortages({ ...plenty, "pid.available": { available: 10, capacity: 32_768 } }, defaultThresholds);
  expect(shortage?.condition).toBe("PIDPressure");
  expect(planEviction(shortage!, [stats("dns", { priority: 2_000_001_000 })])).toBeUndefined();
});

test("a pod over its own limits of local storage goes, whatever the node has left", () => {
  const limited = { containers: [{ name: "c", resources: { limits: { "ephemeral-storage": "1Mi" } } }] };
  expect(overLocalLimits(stats("filler", { spec: limited, disk: 2 * mebibyte }))?.message).toBe(
    "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ",
  );
  const volumes = [{ name: "cache", emptyDir: { sizeLimit: "1Mi" } }];
  const filler = {
    ...stats("filler", { spec: { volumes } }),
    volumes: [{ name: "cache", bytes: 2 * mebibyte, inodes: 1, isEphemeral: true }],
  };
  expect(overLocalLimits(filler)?.message).toBe('Usage of EmptyDir volume "cache" exceeds the limit "1Mi". ');
});
