import { describe, expect, test } from "vitest";
import type { Pod } from "../../api/core/v1.ts";
import type { PodDisruptionBudget, PodDisruptionBudgetSpec } from "../../api/policy/v1.ts";
import { planBudget, type ScaleOf } from "./disruption-controller.ts";

const nowMs = Date.UTC(2026, 0, 1, 12);
const created = { resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z", namespace: "default" };

const pod = (name: string, { ready = true, going = false, owned = true } = {}): Pod =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...created,
      name,
      uid: name,
      ...(owned
        ? {
            ownerReferences: [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: "o", uid: "owner", controller: true }],
          }
        : {}),
      ...(going ? { deletionTimestamp: created.creationTimestamp } : {}),
    },
    spec: { containers: [] },
    status: { phase: "Running", conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
  }) as unknown as Pod;

const pods = (ready: number, unready = 0) => [
  ...Array.from({ length: ready }, (_, i) => pod(`ready-${i}`)),
  ...Array.from({ length: unready }, (_, i) => pod(`unready-${i}`, { ready: false })),
];

const budget = (spec: PodDisruptionBudgetSpec, disruptedPods: Record<string, string> = {}): PodDisruptionBudget =>
  ({
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { ...created, name: "budget", uid: "budget", generation: 1 },
    spec,
    status: { disruptedPods, currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 },
  }) as PodDisruptionBudget;

const scaleTo =
  (replicas: number): ScaleOf =>
  () => ({ uid: "owner", replicas });

function counts(...args: Parameters<typeof planBudget>) {
  const status = planBudget(...args);
  if (typeof status === "string") return status;
  const { disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods } = status;
  return [disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods];
}

describe("a budget allows so many disruptions, with so many healthy, wanted and expected", () => {
  test.each<[string, PodDisruptionBudgetSpec, Pod[], number, number[]]>([
    ["minAvailable 2 of 3", { minAvailable: 2 }, pods(3), 3, [1, 3, 2, 3]],
    ["minAvailable 2 of 3, one not ready", { minAvailable: 2 }, pods(2, 1), 3, [0, 2, 2, 3]],
    ["minAvailable beyond what there is can never be met", { minAvailable: 9 }, pods(3), 3, [0, 3, 9, 3]],
    ["minAvailable 50 % of 3 rounds up", { minAvailable: "50%" }, pods(3), 3, [1, 3, 2, 3]],
    ["maxUnavailable 1 of 3", { maxUnavailable: 1 }, pods(3), 3, [1, 3, 2, 3]],
    ["maxUnavailable 30 % of 10 rounds up", { maxUnavailable: "30%" }, pods(10), 10, [3, 10, 7, 10]],
    ["maxUnavailable 34 % of 10 rounds up, too", { maxUnavailable: "34%" }, pods(10), 10, [4, 10, 6, 10]],
    ["maxUnavailable 0 allows none", { maxUnavailable: 0 }, pods(3), 3, [0, 3, 3, 3]],
    ["maxUnavailable 100 % allows all", { maxUnavailable: "100%" }, pods(3), 3, [3, 3, 0, 3]],
    ["a share is of what is wanted, not of what is there", { maxUnavailable: "50%" }, pods(2), 4, [0, 2, 2, 4]],
    [
      "Pods that are going are not healthy",
      { maxUnavailable: 1 },
      [...pods(2), pod("x", { going: true })],
      3,
      [0, 2, 2, 3],
    ],
  ])("%s", (_, spec, all, replicas, expected) => {
    expect(counts(budget(spec), all, scaleTo(replicas), nowMs)).toEqual(expected);
  });

  test("a Pod whose eviction was granted counts as gone for two minutes", () => {
    const granted = (secondsAgo: number) => ({ "ready-0": new Date(nowMs - secondsAgo * 1000).toISOString() });
    expect(counts(budget({ maxUnavailable: 1 }, granted(10)), pods(3), scaleTo(3), nowMs)).toEqual([0, 2, 2, 3]);
    expect(counts(budget({ maxUnavailable: 1 }, granted(121)), pods(3), scaleTo(3), nowMs)).toEqual([1, 3, 2, 3]);
  });

  test("a share cannot be said when nobody knows how many a controller wants; Pods without one are not counted", () => {
    expect(counts(budget({ maxUnavailable: "50%" }), pods(1), () => undefined, nowMs)).toBe(
      'found no controllers for pod "ready-0"',
    );
    expect(counts(budget({ minAvailable: 1 }), pods(2), () => undefined, nowMs)).toEqual([1, 2, 1, 2]);
    const loose = pod("loose", { owned: false });
    expect(counts(budget({ maxUnavailable: "50%" }), [...pods(2), loose], scaleTo(2), nowMs)).toEqual([2, 3, 1, 2]);
    expect(counts(budget({ maxUnavailable: "50%" }), [loose], scaleTo(2), nowMs)).toEqual([0, 1, 0, 0]);
  });
});
