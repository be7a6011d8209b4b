import { expect, test } from "vitest";
import type { Node } from "../../../api/core/v1.ts";
import type { Endpoint } from "../../../api/discovery/v1.ts";
import { planZoneHints, zoneShares } from "./zone-hints.ts";

const node = (zone: string | undefined, cpu: string, { ready = "True", labels = {} } = {}) =>
  ({
    metadata: { labels: { ...labels, ...(zone ? { "topology.kubernetes.io/zone": zone } : {}) } },
    status: { allocatable: { cpu }, conditions: [{ type: "Ready", status: ready }] },
  }) as unknown as Node;

/** `{ a: 3 }`: three endpoints in zone a. */
const endpointsIn = (zones: Record<string, number>): Endpoint[] =>
  Object.entries(zones).flatMap(([zone, count], z) =>
    Array.from({ length: count }, (_, i) => ({
      addresses: [`10.244.${z}.${i + 10}`],
      conditions: { ready: true },
      ...(zone === "nowhere" ? {} : { zone }),
    })),
  );

test("zones share as their ready workers' CPUs do", () => {
  const master = node(undefined, "8", { labels: { "node-role.kubernetes.io/control-plane": "" } });
  const nodes = [master, node("a", "2"), node("a", "1"), node("b", "1"), node("c", "4", { ready: "False" })];
  expect(zoneShares(nodes)).toEqual(
    new Map([
      ["a", 0.75],
      ["b", 0.25],
    ]),
  );
  expect(zoneShares([node("a", "2")])).toBeUndefined();
  expect(zoneShares([node("a", "2"), node("b", "2"), node(undefined, "2")])).toBeUndefined();
  expect(zoneShares([node("a", "2"), node("b", "0")])).toBeUndefined();
});

test.each<[endpoints: Record<string, number>, shares: Record<string, number>, hints: Record<string, string[]>]>([
  [
    { a: 2, b: 2 },
    { a: 0.5, b: 0.5 },
    { a: ["a", "a"], b: ["b", "b"] },
  ],
  [
    { a: 5, b: 1 },
    { a: 0.5, b: 0.5 },
    { a: ["b", "b", "a", "a", "a"], b: ["b"] },
  ],
  [
    { a: 3, b: 3 },
    { a: 0.75, b: 0.25 },
    { a: ["a", "a", "a"], b: ["a", "b", "b"] },
  ],
  // A zone without workers keeps its endpoints to itself.
  [
    { a: 2, b: 2, c: 2 },
    { a: 0.5, b: 0.5 },
    { a: ["a", "a"], b: ["b", "b"], c: ["c", "c"] },
  ],
])("of endpoints %j with shares %j each serves a zone", (present, shares, expected) => {
  const endpoints = endpointsIn(present);
  const hints = planZoneHints(endpoints, new Map(Object.entries(shares)));
  const found: Record<string, string[]> = {};
  for (const endpoint of endpoints) {
    const zone = "zoneOf" in hints ? hints.zoneOf.get(endpoint)! : hints.why;
    (found[endpoint.zone!] ??= []).push(zone);
  }
  expect(found).toEqual(expected);
});

test.each<[Record<string, number>, Record<string, number> | undefined, string]>([
  [{ a: 1 }, { a: 0.5, b: 0.5 }, "Insufficient number of endpoints (1 endpoints, 2 zones)"],
  [{ a: 3, nowhere: 1 }, { a: 0.5, b: 0.5 }, "One or more endpoints do not have a zone specified"],
  [
    { a: 2, b: 1 },
    { a: 0.5, b: 0.5 },
    "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold (3 endpoints, 2 zones)",
  ],
  [{ a: 2 }, undefined, "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"],
])("of endpoints %j with shares %j none has a hint", (present, shares, why) => {
  const of = shares && new Map(Object.entries(shares));
  expect(planZoneHints(endpointsIn(present), of)).toEqual({ why });
});
