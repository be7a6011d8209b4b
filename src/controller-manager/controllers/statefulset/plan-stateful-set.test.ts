import { expect, test } from "vitest";
import type { StatefulSet, StatefulSetSpec } from "../../../api/apps/v1.ts";
import type { Pod } from "../../../api/core/v1.ts";
import { planStatefulSet } from "../statefulset-controller.ts";

const nowMs = Date.UTC(2026, 0, 1);
const meta = (name: string, extra: object = {}) => ({
  name,
  namespace: "default",
  uid: name,
  resourceVersion: "1",
  creationTimestamp: "2025-12-01T00:00:00Z",
  ...extra,
});

/** `2 old`, `0 new waiting`, `1 new leaving`, `1 new failed`. */
function pod(text: string): Pod {
  const [ordinal, hash, state] = text.split(" ");
  const isReady = state === undefined || state === "leaving";
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: meta(`s-${ordinal}`, {
      labels: { "controller-revision-hash": hash },
      ...(state === "leaving" ? { deletionTimestamp: "2025-12-31T00:00:00Z" } : {}),
    }),
    spec: { containers: [] },
    status: {
      phase: state === "failed" ? "Failed" : "Running",
      conditions: [{ type: "Ready", status: isReady ? "True" : "False", lastTransitionTime: "2025-12-02T00:00:00Z" }],
    },
  };
}

function plan(spec: Partial<StatefulSetSpec>, ...pods: string[]) {
  const set = {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: meta("s"),
    spec: { selector: {}, template: {}, serviceName: "s", replicas: 3, ...spec },
  } as StatefulSet;
  const { create, delete: gone } = planStatefulSet(set, pods.map(pod), "new", nowMs);
  return [create, gone.map(({ metadata }) => Number(metadata.name.slice(2)))];
}

const parallel = { podManagementPolicy: "Parallel" };
const rolling = (rollingUpdate: object, extra: Partial<StatefulSetSpec> = {}) => ({
  updateStrategy: { type: "RollingUpdate", rollingUpdate },
  ...extra,
});

test.each<[string, ReturnType<typeof plan>, number[], number[]]>([
  ["one at a time comes", plan({}), [0], []],
  ["the next when the one before is ready", plan({}, "0 new"), [1], []],
  ["not before", plan({}, "0 new waiting"), [], []],
  ["all at once, if told so", plan(parallel, "1 new waiting"), [0, 2], []],
  ["numbers begin where they are to", plan({ ordinals: { start: 5 } }, "5 new"), [6], []],
  ["those below the start go", plan({ ordinals: { start: 1 } }, "0 new", "1 new", "2 new", "3 new"), [], [0]],
  ["a failed one is replaced", plan({}, "0 new", "1 new failed"), [], [1]],
  ["the highest goes first", plan({ replicas: 1 }, "0 new", "1 new", "2 new"), [], [2]],
  ["the next when that one is gone", plan({ replicas: 1 }, "0 new", "1 new", "2 new leaving"), [], []],
  ["nobody goes while one that stays is not well", plan({ replicas: 1 }, "0 new waiting", "1 new"), [], []],
  ["all at once, if told so", plan({ ...parallel, replicas: 1 }, "0 new", "1 new", "2 new"), [], [2, 1]],
  ["an update begins with the highest", plan({}, "0 old", "1 old", "2 old"), [], [2]],
  ["and goes on when that is ready", plan({}, "0 old", "1 old", "2 new"), [], [1]],
  ["but not before", plan({}, "0 old", "1 old", "2 new waiting"), [], []],
  ["a broken one of the old template holds up its own repair", plan({}, "0 old", "1 old", "2 old waiting"), [], []],
  ["but not where order does not count", plan(parallel, "0 old", "1 old", "2 old waiting"), [], [2]],
  ["not below the partition", plan(rolling({ partition: 2 }), "0 old", "1 old", "2 new"), [], []],
  ["two at a time, in order too", plan(rolling({ maxUnavailable: 2 }), "0 old", "1 old", "2 old"), [], [2, 1]],
  [
    "one of the two is on its way",
    plan(rolling({ maxUnavailable: 2 }, parallel), "0 old", "1 old", "2 new leaving"),
    [],
    [1],
  ],
  [
    "a share rounds down: half of three is one",
    plan(rolling({ maxUnavailable: "50%" }, parallel), "0 old", "1 old", "2 old"),
    [],
    [2],
  ],
  ["but never to none", plan(rolling({ maxUnavailable: "1%" }, parallel), "0 old", "1 old", "2 old"), [], [2]],
  ["100 % is all", plan(rolling({ maxUnavailable: "100%" }, parallel), "0 old", "1 old", "2 old"), [], [2, 1, 0]],
  ["with OnDelete nobody", plan({ updateStrategy: { type: "OnDelete" } }, "0 old", "1 old", "2 old"), [], []],
])("%s", (_, actual, create, gone) => {
  expect(actual).toEqual([create, gone]);
});
