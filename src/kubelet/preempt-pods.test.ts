import { expect, test } from "vitest";
import type { PodObject } from "./pod-state.ts";
import { planPreemption } from "./preempt-pods.ts";

const sizes: Record<string, Record<string, number>> = {
  idle: {},
  small: { cpu: 100, memory: 100 },
  big: { cpu: 500, memory: 1000 },
  exact: { cpu: 300, memory: 300 },
  sure: { cpu: 300, memory: 300 },
};

const all = Object.keys(sizes).map((name) => pod(name));

function pod(name: string, priority = 0): PodObject {
  const amounts = Object.fromEntries(Object.entries(sizes[name] ?? {}).map(([key, value]) => [key, String(value)]));
  const resources = name === "idle" ? {} : { requests: amounts, ...(name === "sure" ? { limits: amounts } : {}) };
  return {
    metadata: { name, uid: name },
    spec: { priority, containers: [{ name: "c", resources }] },
  } as unknown as PodObject;
}

function plan(missing: Record<string, number>, pods = all): string[] | undefined {
  const requestsOf = ({ metadata }: PodObject) => new Map(Object.entries(sizes[metadata.name] ?? {}));
  return planPreemption(pods, new Map(Object.entries(missing)), requestsOf)?.map(({ metadata }) => metadata.name);
}

test.each([
  [{ cpu: 50 }, ["small"]],
  [{ cpu: 300 }, ["exact"]],
  [{ cpu: 300, memory: 900 }, ["big"]],
  [{ cpu: 550 }, ["big", "small"]],
  [{ pods: 1 }, ["idle"]],
  [{ cpu: 1000 }, ["big", "exact", "sure"]],
  [{ cpu: 1300 }, undefined],
])("to make room for %o these end: %o", (missing, names) => {
  expect(plan(missing)?.toSorted()).toEqual(names?.toSorted());
});

test("what the system needs itself is left alone", () => {
  expect(plan({ cpu: 50 }, [pod("small", 2_000_000_000)])).toBeUndefined();
});
