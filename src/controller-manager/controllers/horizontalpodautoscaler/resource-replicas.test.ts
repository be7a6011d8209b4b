import { expect, test } from "vitest";
import type { Pod } from "../../../api/core/v1.ts";
import { type ResourceQuestion, replicasForResource } from "./resource-replicas.ts";

const nowMs = Date.parse("2026-01-01T01:00:00Z");

interface PodShape {
  /** Thousandths of a core. Absent: not measured. */
  use?: number;
  phase?: string;
  ready?: boolean;
  request?: string;
  isDeleted?: boolean;
}

function question(shapes: readonly PodShape[], more: Partial<ResourceQuestion> = {}): ResourceQuestion {
  const pods = shapes.map(({ phase = "Running", ready = true, request = "1", isDeleted }, i): Pod => {
    const status = ready ? "True" : "False";
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: `p${i}`,
        namespace: "default",
        uid: `p${i}`,
        resourceVersion: "1",
        creationTimestamp: "",
        ...(isDeleted ? { deletionTimestamp: "2026-01-01T00:59:00Z" } : {}),
      },
      spec: { containers: [{ name: "c", resources: { requests: request ? { cpu: request } : {} } }] },
      status: {
        phase,
        startTime: "2026-01-01T00:00:00Z",
        conditions: [{ type: "Ready", status, lastTransitionTime: "2026-01-01T00:00:01Z" }],
      },
    };
  });
  const measured = shapes.flatMap(({ use }, i) =>
    use === undefined ? [] : [[`p${i}`, { milliValue: use, atMs: nowMs, windowMs: 15_000 }] as const],
  );
  return {
    resource: "cpu",
    target: { kind: "utilization", percent: 50 },
    currentReplicas: shapes.length,
    pods,
    metrics: new Map(measured),
    tolerance: { up: 0.1, down: 0.1 },
    nowMs,
    ...more,
  };
}

const pods = (count: number, shape: PodShape): PodShape[] => Array.from({ length: count }, () => shape);

test.each<[string, PodShape[], Partial<ResourceQuestion>, number]>([
  ["twice the target doubles", pods(3, { use: 1000 }), {}, 6],
  ["a little more than the target changes nothing", pods(3, { use: 540 }), {}, 3],
  ["half the target halves, rounded up", pods(3, { use: 250 }), {}, 2],
  ["a wider tolerance calms", pods(2, { use: 700 }), { tolerance: { up: 0.5, down: 0.5 } }, 2],
  ["an amount per pod", pods(2, { use: 900 }), { target: { kind: "averageValue", milliValue: 300 } }, 6],
  [
    "pods that start count as idle when others are busy",
    [...pods(2, { use: 1000 }), { use: 900, ready: false }],
    {},
    4,
  ],
  ["pending pods calm a rise", [...pods(1, { use: 1000 }), ...pods(2, { phase: "Pending" })], {}, 3],
  ["pods without metrics count as full when others are idle", [{ use: 100 }, { use: 100 }, {}], {}, 3],
  ["pods without metrics count as idle when others are busy", [{ use: 900 }, {}], {}, 2],
  [
    "pods that leave or have failed do not count",
    [{ use: 1000 }, { use: 0, isDeleted: true }, { phase: "Failed" }],
    {},
    2,
  ],
])("%s", (_, shapes, more, expected) => {
  const shaped = question(shapes, more);
  expect(replicasForResource(shaped).replicas).toBe(expected);
});

test("what cannot be told is an error in words", () => {
  expect(() => replicasForResource(question([]))).toThrow("no pods returned by selector");
  expect(() => replicasForResource(question([{ use: 1, request: "" }]))).toThrow(
    "missing request for cpu in container c of Pod p0",
  );
  expect(() => replicasForResource(question([{}]))).toThrow("did not receive metrics for targeted pods");
});

test("usage is told in percent of the requests and as an average", () => {
  expect(replicasForResource(question([{ use: 300 }, { use: 500 }]))).toEqual({
    replicas: 2,
    utilization: 40,
    averageMilliValue: 400,
  });
});
