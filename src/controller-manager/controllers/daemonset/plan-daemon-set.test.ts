import { expect, test } from "vitest";
import type { DaemonSet } from "../../../api/apps/v1.ts";
import type { Node, Pod } from "../../../api/core/v1.ts";
import { planDaemonSet } from "../daemonset-controller.ts";

const nowMs = Date.UTC(2026, 0, 1);
const meta = (name: string, extra: object = {}) => ({
  name,
  namespace: "default",
  uid: name,
  resourceVersion: "1",
  creationTimestamp: "2025-12-01T00:00:00Z",
  ...extra,
});

type Shape = "new" | "new waiting" | "old" | "old waiting" | "old leaving" | "older waiting" | "failed";

function pod(node: string, shape: Shape, i: number): Pod {
  const hash = shape.split(" ")[0] === "failed" ? "new" : shape.split(" ")[0]!;
  const isReady = !shape.includes("waiting") && shape !== "failed";
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: meta(`${node} ${shape} ${i}`, {
      labels: { "controller-revision-hash": hash },
      creationTimestamp: new Date(Date.UTC(2025, 11, 2, 0, 0, i)).toISOString(),
      ...(shape === "old leaving" ? { deletionTimestamp: "2025-12-03T00:00:00Z" } : {}),
    }),
    spec: { nodeName: node, containers: [] },
    status: {
      phase: shape === "failed" ? "Failed" : "Running",
      conditions: [{ type: "Ready", status: isReady ? "True" : "False", lastTransitionTime: "2025-12-02T00:00:00Z" }],
    },
  };
}

/** Nodes a, b, c … with the Pods that each has. */
function plan(rollingUpdate: object | "OnDelete", ...podsByNode: Shape[][]) {
  const names = podsByNode.map((_, i) => "abcdefgh"[i]!);
  const updateStrategy = rollingUpdate === "OnDelete" ? { type: "OnDelete" } : { type: "RollingUpdate", rollingUpdate };
  const daemonSet: DaemonSet = {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: meta("d", { generation: 1 }),
    spec: { selector: {}, template: { spec: { containers: [] } }, updateStrategy },
    status: {} as DaemonSet["status"],
  };
  const nodes = names.map(
    (name): Node => ({ apiVersion: "v1", kind: "Node", metadata: meta(name), spec: {}, status: {} }),
  );
  const pods = podsByNode.flatMap((shapes, i) => shapes.map((shape, k) => pod(names[i]!, shape, k)));
  const { create, delete: gone } = planDaemonSet(daemonSet, nodes, pods, "new", nowMs);
  return { create, gone: gone.map(({ metadata }) => metadata.name.slice(0, -2)).sort() };
}

const one = { maxUnavailable: 1, maxSurge: 0 };
const surge = { maxUnavailable: 0, maxSurge: 1 };

test.each<[string, ReturnType<typeof plan>, ReturnType<typeof plan>]>([
  ["a Node without one gets one", plan(one, [], ["new"]), { create: ["a"], gone: [] }],
  ["a failed one is replaced", plan(one, ["failed"]), { create: [], gone: ["a failed"] }],
  ["of two alike the older stays", plan(one, ["new", "new"]), { create: [], gone: ["a new"] }],
  ["while one leaves its successor waits", plan(one, ["old leaving"]), { create: [], gone: [] }],
  ["one at a time is replaced", plan(one, ["old"], ["old"], ["old"]), { create: [], gone: ["a old"] }],
  ["not while another is missed", plan(one, ["old"], ["new waiting"], ["old"]), { create: [], gone: [] }],
  [
    "half of five, rounded up",
    plan({ maxUnavailable: "50%" }, ["old"], ["old"], ["old"], ["old"], ["old"]),
    { create: [], gone: ["a old", "b old", "c old"] },
  ],
  [
    "100 % and more is all of them",
    plan({ maxUnavailable: "150%" }, ["old"], ["old"], ["old"]),
    { create: [], gone: ["a old", "b old", "c old"] },
  ],
  [
    "0 % still allows one, or nothing would move",
    plan({ maxUnavailable: "0%" }, ["old"], ["old"]),
    { create: [], gone: ["a old"] },
  ],
  [
    "those that do not serve cost nothing",
    plan(one, ["old waiting"], ["old waiting"], ["old"]),
    { create: [], gone: ["a old waiting", "b old waiting"] },
  ],
  ["with OnDelete nothing goes", plan("OnDelete", ["old"], ["old waiting"]), { create: [], gone: [] }],
  ["with a surge the new one comes first", plan(surge, ["old"], ["old"]), { create: ["a"], gone: [] }],
  ["also where the old one does not serve", plan(surge, ["old waiting"], ["old"]), { create: ["a", "b"], gone: [] }],
  ["which then goes at once", plan(surge, ["old waiting", "new waiting"]), { create: [], gone: ["a old waiting"] }],
  ["and the old one waits for it", plan(surge, ["old", "new waiting"], ["old"]), { create: [], gone: [] }],
  ["and goes when it serves", plan(surge, ["old", "new"], ["old"]), { create: [], gone: ["a old"] }],
  [
    "changed twice at once, the one too many goes before another comes",
    plan(surge, ["old", "older waiting"], ["old"]),
    { create: [], gone: ["a older waiting"] },
  ],
])("%s", (_, actual, expected) => {
  expect(actual).toEqual(expected);
});
