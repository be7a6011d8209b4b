import { describe, expect, test } from "vitest";
import type { Endpoint, EndpointSlice } from "../../../api/discovery/v1.ts";
import { planSlices } from "./plan-slices.ts";

const ports = [{ name: "http", port: 8080, protocol: "TCP" }];

function endpoint(n: number, ready = true): Endpoint {
  return { addresses: [`10.0.0.${n}`], conditions: { ready }, targetRef: { kind: "Pod", name: `p${n}`, uid: `u${n}` } };
}

function slice(name: string, endpoints: Endpoint[], slicePorts: EndpointSlice["ports"] = ports): EndpointSlice {
  const metadata = { name, namespace: "default", uid: name, resourceVersion: "1", creationTimestamp: "" };
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata,
    addressType: "IPv4",
    ports: slicePorts,
    endpoints,
  };
}

function plan(endpoints: Endpoint[], existing: EndpointSlice[], maxPerSlice = 3) {
  const {
    create,
    update,
    delete: gone,
  } = planSlices([{ addressType: "IPv4", ports, endpoints }], ["IPv4"], existing, maxPerSlice);
  const names = (list: readonly { targetRef?: { name?: string } }[]) => list.map(({ targetRef }) => targetRef?.name);
  return {
    create: create.map((contents) => names(contents.endpoints)),
    update: Object.fromEntries(update.map((change) => [change.slice.metadata.name, names(change.endpoints)])),
    delete: gone.map(({ metadata }) => metadata.name),
  };
}

describe("the slices of a Service", () => {
  test("a Service without endpoints has one empty slice", () => {
    expect(plan([], [])).toEqual({ create: [[]], update: {}, delete: [] });
    expect(plan([], [slice("empty", [], [])])).toEqual({ create: [], update: {}, delete: [] });
  });

  test("the empty slice gives way to one with endpoints", () => {
    expect(plan([endpoint(1)], [slice("empty", [], [])])).toEqual({ create: [["p1"]], update: {}, delete: ["empty"] });
  });

  test("the last endpoint leaves an empty slice behind", () => {
    expect(plan([], [slice("s", [endpoint(1)])])).toEqual({ create: [], update: { s: [] }, delete: [] });
  });

  test("nothing is written when nothing changed", () => {
    expect(plan([endpoint(2), endpoint(1)], [slice("s", [endpoint(1), endpoint(2)])])).toEqual({
      create: [],
      update: {},
      delete: [],
    });
  });

  test("an endpoint whose condition changed stays in its slice", () => {
    expect(plan([endpoint(1, false), endpoint(2)], [slice("s", [endpoint(1), endpoint(2)])]).update).toEqual({
      s: ["p1", "p2"],
    });
  });

  test("new endpoints fill a slice that changes anyway before a fuller one that would not", () => {
    const existing = [
      slice("full", [endpoint(1), endpoint(2), endpoint(3)]),
      slice("changing", [endpoint(4), endpoint(5)]),
    ];
    const wanted = [1, 2, 3, 5, 6, 7].map((n) => endpoint(n));
    expect(plan(wanted, existing)).toEqual({ create: [], update: { changing: ["p5", "p6", "p7"] }, delete: [] });
  });

  test("what has no room gets new slices", () => {
    const wanted = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => endpoint(n));
    expect(plan(wanted, [slice("s", [endpoint(1), endpoint(2), endpoint(3)])])).toEqual({
      create: [
        ["p4", "p5", "p6"],
        ["p7", "p8"],
      ],
      update: {},
      delete: [],
    });
  });

  test("slices of ports that no Pod has any more go", () => {
    const old = slice("old", [endpoint(1)], [{ name: "http", port: 80, protocol: "TCP" }]);
    expect(plan([endpoint(1)], [old])).toEqual({ create: [["p1"]], update: {}, delete: ["old"] });
  });
});
