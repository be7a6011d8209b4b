import { describe, expect, test } from "vitest";
import type { Deployment, ReplicaSet } from "../../../api/apps/v1.ts";
import {
  maximumReplicas,
  planHistoryCleanup,
  planNewReplicaSet,
  planOldReplicaSets,
  planScaling,
  type Resize,
  surgeAndUnavailable,
} from "./plan-rollout.ts";

const meta = (name: string, extra: object = {}) => ({
  name,
  namespace: "default",
  uid: name,
  resourceVersion: "1",
  creationTimestamp: "2026-01-01T00:00:00Z",
  generation: 1,
  ...extra,
});

function deployment(
  replicas: number,
  rollingUpdate: object | "Recreate" = {},
  extra: Partial<Deployment["spec"]> = {},
) {
  const strategy = rollingUpdate === "Recreate" ? { type: "Recreate" } : { type: "RollingUpdate", rollingUpdate };
  const template = { metadata: { labels: { app: "web" } }, spec: { containers: [] } };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: meta("web"),
    spec: { replicas, selector: { matchLabels: { app: "web" } }, template, strategy, ...extra },
    status: {},
  } satisfies Deployment;
}

/** `size/available`, with the size of the Deployment and its maximum at the last scaling. */
function replicaSet(
  name: string,
  size: number,
  available = size,
  scaledFor?: [desired: number, max: number],
  revision = 1,
): ReplicaSet {
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: meta(name, {
      creationTimestamp: `2026-01-0${revision}T00:00:00Z`,
      annotations: {
        "deployment.kubernetes.io/revision": String(revision),
        ...(scaledFor
          ? {
              "deployment.kubernetes.io/desired-replicas": String(scaledFor[0]),
              "deployment.kubernetes.io/max-replicas": String(scaledFor[1]),
            }
          : {}),
      },
    }),
    spec: { replicas: size, selector: {} },
    status: { replicas: size, availableReplicas: available, observedGeneration: 1 },
  };
}

const sizes = (plan: readonly Resize[]) =>
  Object.fromEntries(plan.map((r) => [r.replicaSet.metadata.name, r.replicas]));

describe("maxSurge rounds up and maxUnavailable down", () => {
  test.each([
    [10, "25%", "25%", { maxSurge: 3, maxUnavailable: 2 }],
    [3, "25%", "25%", { maxSurge: 1, maxUnavailable: 0 }],
    [1, "25%", "25%", { maxSurge: 1, maxUnavailable: 0 }],
    [10, "100%", "0%", { maxSurge: 10, maxUnavailable: 0 }],
    [3, "150%", "0%", { maxSurge: 5, maxUnavailable: 0 }],
    [10, 0, 0, { maxSurge: 0, maxUnavailable: 1 }],
    [3, 0, "10%", { maxSurge: 0, maxUnavailable: 1 }],
    [2, 0, 5, { maxSurge: 0, maxUnavailable: 2 }],
  ])("%i replicas, surge %s, unavailable %s", (replicas, maxSurge, maxUnavailable, expected) => {
    expect(surgeAndUnavailable(deployment(replicas, { maxSurge, maxUnavailable }))).toEqual(expected);
  });

  test("a Deployment scaled to nothing has no surge", () => {
    expect(maximumReplicas(deployment(0))).toBe(0);
  });
});

describe("the new ReplicaSet grows into the room that surge leaves", () => {
  test.each([
    ["first step", 10, 10, 0, 3],
    ["no room", 10, 13, 0, undefined],
    ["room came free", 10, 8, 3, 5],
    ["never beyond the replicas", 10, 1, 9, 10],
    ["too large after the Deployment shrank", 3, 0, 5, 3],
    ["done", 3, 0, 3, undefined],
  ])("%s", (_name, replicas, oldSize, newSize, expected) => {
    const newReplicaSet = replicaSet("new", newSize, newSize, undefined, 2);
    const plan = planNewReplicaSet({
      deployment: deployment(replicas),
      newReplicaSet,
      oldReplicaSets: [replicaSet("old", oldSize)],
    });
    expect(plan?.replicas).toBe(expected);
  });
});

describe("old ReplicaSets shrink as availability allows", () => {
  test.each([
    ["what maxUnavailable allows goes at once", 10, [10, 10], [3, 0], { old: 8 }],
    ["nothing while new Pods are not available", 10, [8, 8], [5, 0], {}],
    ["as many as new ones became available", 10, [8, 8], [5, 3], { old: 5 }],
    ["the last ones", 10, [2, 2], [10, 10], { old: 0 }],
    ["unavailable old Pods go first, they cost nothing", 10, [10, 5], [3, 0], { old: 8 }],
    ["maxUnavailable 0 in a small Deployment", 3, [3, 3], [1, 0], {}],
    ["a stuck rollout stays where it is", 3, [3, 3], [1, 0], {}],
    ["Pods that were just told to go are no longer counted on", 4, [4, 5], [0, 0], { old: 3 }],
  ])("%s", (_name, replicas, [oldSize, oldAvailable], [newSize, newAvailable], expected) => {
    const plan = planOldReplicaSets({
      deployment: deployment(replicas),
      newReplicaSet: replicaSet("new", newSize!, newAvailable!, undefined, 2),
      oldReplicaSets: [replicaSet("old", oldSize!, oldAvailable!)],
    });
    expect(sizes(plan)).toEqual(expected);
  });

  test("of several, broken Pods go before healthy ones of older ReplicaSets", () => {
    const plan = planOldReplicaSets({
      deployment: deployment(10, { maxSurge: 2, maxUnavailable: 2 }),
      newReplicaSet: replicaSet("new", 2, 0, undefined, 3),
      oldReplicaSets: [replicaSet("oldest", 8, 8, undefined, 1), replicaSet("broken", 2, 0, undefined, 2)],
    });
    expect(sizes(plan)).toEqual({ broken: 0 });
  });
});

describe("scaling in the middle of a rollout", () => {
  test("spreads growth in proportion", () => {
    const plan = planScaling({
      deployment: deployment(15, { maxSurge: 3, maxUnavailable: 2 }),
      newReplicaSet: replicaSet("new", 5, 0, [10, 13], 2),
      oldReplicaSets: [replicaSet("old", 8, 8, [10, 13], 1)],
    });
    expect(sizes(plan)).toEqual({ old: 11, new: 7 });
  });

  test("spreads shrinking in proportion", () => {
    const plan = planScaling({
      deployment: deployment(5, { maxSurge: 0, maxUnavailable: 2 }),
      newReplicaSet: replicaSet("new", 4, 0, [10, 10], 2),
      oldReplicaSets: [replicaSet("old", 6, 6, [10, 10], 1)],
    });
    expect(sizes(plan)).toEqual({ old: 3, new: 2 });
  });

  test("takes everything down to 0", () => {
    const plan = planScaling({
      deployment: deployment(0),
      newReplicaSet: replicaSet("new", 5, 0, [10, 13], 2),
      oldReplicaSets: [replicaSet("old", 8, 8, [10, 13], 1)],
    });
    expect(sizes(plan)).toEqual({ old: 0, new: 0 });
  });

  test("changes only the one ReplicaSet that has Pods", () => {
    const plan = planScaling({
      deployment: deployment(7),
      newReplicaSet: replicaSet("new", 3, 3, [3, 4], 2),
      oldReplicaSets: [replicaSet("old", 0)],
    });
    expect(sizes(plan)).toEqual({ new: 7 });
  });
});

test("history beyond the limit goes, oldest revision first, and only what is empty", () => {
  const old = [
    replicaSet("r3", 0, 0, undefined, 3),
    replicaSet("r1", 0, 0, undefined, 1),
    replicaSet("r2", 1, 1, undefined, 2),
    replicaSet("r4", 0, 0, undefined, 4),
  ];
  const plan = planHistoryCleanup(deployment(3, {}, { revisionHistoryLimit: 1 }), old);
  expect(plan.map(({ metadata }) => metadata.name)).toEqual(["r1", "r3"]);
});
