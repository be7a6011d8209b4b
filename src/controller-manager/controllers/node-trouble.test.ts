import { describe, expect, test } from "vitest";
import type { Node, Taint, Toleration } from "../../api/core/v1.ts";
import { silentConditions, wantedTaints } from "./node-lifecycle-controller.ts";
import { evictionTime } from "./taint-eviction-controller.ts";

const nowMs = Date.UTC(2026, 0, 1, 12);
const now = "2026-01-01T12:00:00Z";

function node(conditions: Record<string, string>, spec: Node["spec"] = {}): Node {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "n", uid: "n", resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" },
    spec,
    status: { conditions: Object.entries(conditions).map(([type, status]) => ({ type, status })) },
  };
}

const taint = (key: string, effect: string): Taint => ({ key: `node.kubernetes.io/${key}`, effect });

describe("a Node's taints follow its conditions", () => {
  test.each<[string, Node, string[] | undefined]>([
    ["ready", node({ Ready: "True" }), undefined],
    ["not ready", node({ Ready: "False" }), ["not-ready:NoSchedule", "not-ready:NoExecute"]],
    ["silent", node({ Ready: "Unknown" }), ["unreachable:NoSchedule", "unreachable:NoExecute"]],
    [
      "back from silence",
      node({ Ready: "True" }, { taints: [taint("unreachable", "NoSchedule"), taint("unreachable", "NoExecute")] }),
      [],
    ],
    ["short of memory", node({ Ready: "True", MemoryPressure: "True" }), ["memory-pressure:NoSchedule"]],
    ["short of disk", node({ Ready: "True", DiskPressure: "True" }), ["disk-pressure:NoSchedule"]],
    ["without network", node({ Ready: "True", NetworkUnavailable: "True" }), ["network-unavailable:NoSchedule"]],
    ["cordoned", node({ Ready: "True" }, { unschedulable: true }), ["unschedulable:NoSchedule"]],
    [
      "never heard of keeps the taint it came with",
      node({}, { taints: [taint("not-ready", "NoSchedule")] }),
      undefined,
    ],
    ["of others stay", node({ Ready: "True" }, { taints: [{ key: "gpu", effect: "NoExecute" }] }), undefined],
  ])("%s", (_, subject, expected) => {
    const taints = wantedTaints(subject, nowMs)?.map(({ key, effect }) => `${key.slice(19)}:${effect}`);
    expect(taints).toEqual(expected);
  });
});

test("a Node that may not lose its Pods takes no new ones, and loses the taint that it had", () => {
  const silent = node({ Ready: "Unknown" }, { taints: [taint("unreachable", "NoExecute")] });
  expect(wantedTaints(silent, nowMs, false)?.map(({ key, effect }) => `${key}:${effect}`)).toEqual([
    "node.kubernetes.io/unreachable:NoSchedule",
  ]);
});

test("a silent Node's conditions become Unknown, and those it never had are added", () => {
  const conditions = silentConditions(node({ Ready: "True", PIDPressure: "False" }), nowMs)!;
  expect(conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`)).toEqual([
    "Ready Unknown NodeStatusUnknown",
    "MemoryPressure Unknown NodeStatusNeverUpdated",
    "DiskPressure Unknown NodeStatusNeverUpdated",
    "PIDPressure Unknown NodeStatusUnknown",
  ]);
  expect(conditions[0]!.lastTransitionTime).toBe(now);
  const silent = { ...node({}), status: { conditions: [...conditions] } } as Node;
  expect(silentConditions(silent, nowMs + 60_000), "nothing changes any more").toBe(silent.status!.conditions);
});

describe("a Pod must leave a tainted Node", () => {
  const noExecute: Taint = { key: "k", value: "v", effect: "NoExecute", timeAdded: now };
  const later: Taint = { key: "other", effect: "NoExecute", timeAdded: "2026-01-01T12:01:00Z" };
  const tolerates = (extra: Partial<Toleration> = {}): Toleration => ({ key: "k", operator: "Exists", ...extra });
  test.each<[string, Taint[], Toleration[], number | undefined]>([
    ["never without taints", [], [], undefined],
    ["at once when it does not tolerate it", [noExecute], [], 0],
    ["never when it tolerates it for ever", [noExecute], [tolerates()], undefined],
    ["after its seconds", [noExecute], [tolerates({ tolerationSeconds: 300 })], nowMs + 300_000],
    ["at once with 0 seconds", [noExecute], [tolerates({ tolerationSeconds: 0 })], nowMs],
    ["at once with negative seconds", [noExecute], [tolerates({ tolerationSeconds: -5 })], nowMs],
    [
      "after the first of several that fit",
      [noExecute],
      [tolerates({ tolerationSeconds: 300 }), tolerates({ tolerationSeconds: 30 })],
      nowMs + 300_000,
    ],
    [
      "never when the first of several is for ever",
      [noExecute],
      [tolerates(), tolerates({ tolerationSeconds: 5 })],
      undefined,
    ],
    [
      "when the first of several taints is over",
      [noExecute, later],
      [tolerates({ tolerationSeconds: 300 }), { key: "other", operator: "Exists", tolerationSeconds: 60 }],
      nowMs + 120_000,
    ],
    ["at once when one of several is not tolerated", [noExecute, later], [tolerates()], 0],
    ["a value must be equal", [noExecute], [{ key: "k", value: "other" }], 0],
    ["without a key everything is tolerated", [noExecute, later], [{ operator: "Exists" }], undefined],
    ["tolerating another effect does not help", [noExecute], [tolerates({ effect: "NoSchedule" })], 0],
  ])("%s", (_, taints, tolerations, expected) => {
    expect(evictionTime(taints, tolerations, ({ timeAdded }) => Date.parse(timeAdded!))).toBe(expected);
  });
});
