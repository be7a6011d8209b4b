import { expect, test } from "vitest";
import type { NamespaceCondition } from "../../api/core/v1.ts";
import type { KubeObject } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";
import { Deployments, Pods } from "../../api/resources.ts";
import { deletionConditions } from "./namespace-controller.ts";

const nowMs = Date.UTC(2026, 0, 1, 12);
const now = "2026-01-01T12:00:00Z";

const left = (resource: Resource, finalizers: readonly string[][], error?: Error) => ({
  served: { resource, verbs: [] },
  items: finalizers.map((names) => ({ metadata: { finalizers: names } })) as unknown as KubeObject[],
  ...(error ? { error } : {}),
});

const told = (...args: Parameters<typeof deletionConditions>) =>
  Object.fromEntries(
    deletionConditions(...args).map(({ type, status, reason, message }) => [type, [status, reason, message]]),
  );

test("a Namespace that is being emptied says in five conditions what holds it, counted and in order", () => {
  const leftovers = [
    left(Pods as Resource, [["a/hold", "b/hold"], ["b/hold"], []]),
    left(Deployments as Resource, [["b/hold"]]),
    left({ group: "x.io", version: "v1", kind: "W", plural: "ws", scope: "Namespaced" }, [], new Error("no answer")),
  ];
  const failures = [{ groupVersion: "metrics.k8s.io/v1beta1", message: "the server is down" }];
  expect(told([], leftovers, { failures }, nowMs)).toEqual({
    NamespaceDeletionDiscoveryFailure: [
      "True",
      "DiscoveryFailed",
      "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: metrics.k8s.io/v1beta1: the server is down",
    ],
    NamespaceDeletionGroupVersionParsingFailure: [
      "False",
      "ParsedGroupVersions",
      "All legacy kube types successfully parsed",
    ],
    NamespaceDeletionContentFailure: [
      "True",
      "ContentDeletionFailed",
      "Failed to delete all resource types, 1 remaining: no answer",
    ],
    NamespaceContentRemaining: [
      "True",
      "SomeResourcesRemain",
      "Some resources are remaining: deployments.apps has 1 resource instances, pods. has 3 resource instances",
    ],
    NamespaceFinalizersRemaining: [
      "True",
      "SomeFinalizersRemain",
      "Some content in the namespace has finalizers remaining: a/hold in 1 resource instances, b/hold in 3 resource instances",
    ],
  });
});

test("several failures are told as one list", () => {
  const leftovers = [left(Pods as Resource, [], new Error("one")), left(Deployments as Resource, [], new Error("two"))];
  expect(told([], leftovers, { failures: [] }, nowMs)["NamespaceDeletionContentFailure"]).toEqual([
    "True",
    "ContentDeletionFailed",
    "Failed to delete all resource types, 2 remaining: [one, two]",
  ]);
});

test("what has not changed keeps its time, and nothing is written for it", () => {
  const before = deletionConditions([], [left(Pods as Resource, [[]])], { failures: [] }, nowMs - 60_000);
  expect(deletionConditions(before, [left(Pods as Resource, [[]])], { failures: [] }, nowMs)).toBe(before);
  const foreign: NamespaceCondition = { type: "Other", status: "True" };
  const after = deletionConditions([foreign, ...before], [left(Pods as Resource, [])], { failures: [] }, nowMs);
  expect(after.map(({ type, lastTransitionTime }) => `${type} ${lastTransitionTime}`)).toEqual([
    "Other undefined",
    "NamespaceDeletionDiscoveryFailure 2026-01-01T11:59:00Z",
    "NamespaceDeletionGroupVersionParsingFailure 2026-01-01T11:59:00Z",
    "NamespaceDeletionContentFailure 2026-01-01T11:59:00Z",
    `NamespaceContentRemaining ${now}`,
    "NamespaceFinalizersRemaining 2026-01-01T11:59:00Z",
  ]);
});
