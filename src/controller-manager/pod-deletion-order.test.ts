import { expect, test } from "vitest";
import type { Pod } from "../api/core/v1.ts";
import { compareForDeletion } from "./pod-deletion-order.ts";

const nowMs = Date.parse("2026-01-02T00:00:00Z");

interface PodShape {
  node?: string;
  phase?: string;
  readySince?: string;
  cost?: string;
  restarts?: number;
  created?: string;
  rank?: number;
}

function ranked(name: string, shape: PodShape) {
  const { node = "n1", phase = "Running", readySince, cost, restarts = 0, created = "2026-01-01T00:00:00Z" } = shape;
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: "default",
      uid: name,
      resourceVersion: "1",
      creationTimestamp: created,
      ...(cost ? { annotations: { "controller.kubernetes.io/pod-deletion-cost": cost } } : {}),
    },
    spec: { containers: [], ...(node ? { nodeName: node } : {}) },
    status: {
      phase,
      ...(readySince ? { conditions: [{ type: "Ready", status: "True", lastTransitionTime: readySince }] } : {}),
      containerStatuses: [{ name: "a", ready: true, restartCount: restarts, image: "", imageID: "" }],
    },
  };
  return { pod, rank: shape.rank ?? 0 };
}

const ready = "2026-01-01T00:01:00Z";

test.each<[string, PodShape, PodShape]>([
  ["without a Node before with one", { node: "" }, {}],
  ["Pending before Running", { phase: "Pending" }, { phase: "Running" }],
  ["Unknown before Running", { phase: "Unknown" }, { phase: "Running" }],
  ["not ready before ready", {}, { readySince: ready }],
  ["cheap before dear", { readySince: ready, cost: "-1" }, { readySince: ready }],
  ["an unreadable cost counts as 0", { readySince: ready, cost: "-5" }, { readySince: ready, cost: "+7" }],
  ["on a crowded Node before alone", { readySince: ready, rank: 2 }, { readySince: ready, rank: 1 }],
  ["ready for a short time before ready for long", { readySince: "2026-01-01T23:59:00Z" }, { readySince: ready }],
  ["often restarted before seldom", { readySince: ready, restarts: 3 }, { readySince: ready }],
  ["young before old", { readySince: ready, created: "2026-01-01T23:00:00Z" }, { readySince: ready }],
])("%s", (_name, first, second) => {
  const [a, b] = [ranked("a", first), ranked("b", second)];
  expect(compareForDeletion(a, b, nowMs)).toBeLessThan(0);
  expect(compareForDeletion(b, a, nowMs)).toBeGreaterThan(0);
});
