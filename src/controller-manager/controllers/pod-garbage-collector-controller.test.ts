import { expect, test } from "vitest";
import type { Pod } from "../../api/core/v1.ts";
import { evictedAndOldestFirst } from "./pod-garbage-collector-controller.ts";

const pod = (name: string, hour: number, status: Pod["status"]): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name,
    namespace: "default",
    uid: name,
    resourceVersion: "1",
    creationTimestamp: `2026-01-01T0${hour}:00:00Z`,
  },
  spec: { containers: [] },
  status,
});

test("of too many finished Pods evicted ones are removed first, then the oldest", () => {
  const pods = [
    pod("young", 5, { phase: "Succeeded" }),
    pod("twin-b", 3, { phase: "Failed" }),
    pod("twin-a", 3, { phase: "Failed" }),
    pod("evicted-late", 9, { phase: "Failed", reason: "Evicted" }),
    pod("old", 1, { phase: "Succeeded" }),
    pod("evicted", 8, { phase: "Failed", reason: "Evicted" }),
  ];
  expect(pods.sort(evictedAndOldestFirst).map(({ metadata }) => metadata.name)).toEqual([
    "evicted",
    "evicted-late",
    "old",
    "twin-a",
    "twin-b",
    "young",
  ]);
});
