import { expect, test } from "vitest";
import type { Pod } from "../../../api/core/v1.ts";
import { staleAtMs } from "./stale-disruptions.ts";

const pod = (status: string, phase = "Running", deletionTimestamp?: string): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name: "web",
    namespace: "default",
    uid: "web",
    resourceVersion: "1",
    creationTimestamp: "2026-01-01T00:00:00Z",
    ...(deletionTimestamp ? { deletionTimestamp } : {}),
  },
  spec: { containers: [] },
  status: { phase, conditions: [{ type: "DisruptionTarget", status, lastTransitionTime: "2026-01-01T12:00:00Z" }] },
});

test.each<[string, Pod, string | undefined]>([
  ["a Pod that was to go and has not", pod("True"), "2026-01-01T12:02:00.000Z"],
  ["a Pod that is going", pod("True", "Running", "2026-01-01T12:00:00Z"), undefined],
  ["a Pod that has ended", pod("True", "Failed"), undefined],
  ["a Pod of which it has been taken back", pod("False"), undefined],
])("the announcement of a disruption is stale for %s: %#", (_, subject, expected) => {
  const at = staleAtMs(subject);
  expect(at === undefined ? undefined : new Date(at).toISOString()).toBe(expected);
});
