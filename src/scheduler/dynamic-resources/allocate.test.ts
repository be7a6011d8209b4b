import { describe, expect, test } from "vitest";
import type {
  Device,
  DeviceClass,
  DeviceClassSpec,
  DeviceConstraint,
  DeviceRequest,
  ExactDeviceRequest,
  ResourceClaim,
  ResourceClaimSpec,
  ResourceSlice,
  ResourceSliceSpec,
} from "../../api/resource/v1.ts";
import { allocate } from "./allocate.ts";
import { ClaimLedger } from "./claim-ledger.ts";
import { publishedPools } from "./pools.ts";

const driver = "d.example.com";
const node = { name: "node-1", labels: { zone: "a" } };
const creationTimestamp = "2026-01-01T00:00:00Z";
const meta = (name: string) => ({ name, uid: name, resourceVersion: "1", creationTimestamp });

let slices = 0;
const slice = (devices: Device[], spec: Partial<ResourceSliceSpec> = {}): ResourceSlice => ({
  apiVersion: "resource.k8s.io/v1",
  kind: "ResourceSlice",
  metadata: meta(`slice-${slices++}`),
  spec: {
    driver,
    pool: { name: "pool", generation: 1, resourceSliceCount: 1 },
    ...(spec.nodeSelector || spec.allNodes || spec.perDeviceNodeSelection ? {} : { nodeName: "node-1" }),
    devices,
    ...spec,
  },
});

const devices = (...names: string[]): Device[] => names.map((name) => ({ name }));
const sized = (name: string, size: number, more: Partial<Device> = {}): Device => ({
  name,
  attributes: { size: { int: size }, version: { version: `1.${size}.0` } },
  capacity: { memory: { value: `${size}Gi` } },
  ...more,
});

const cel = (expression: string) => [{ cel: { expression } }];
const want = (exactly: Partial<ExactDeviceRequest> = {}, name = "r"): DeviceRequest => ({
  name,
  exactly: { deviceClassName: "any", allocationMode: "ExactCount", count: 1, ...exactly },
});
const oneOf = (...ways: Partial<ExactDeviceRequest>[]): DeviceRequest => ({
  name: "r",
  firstAvailable: ways.map((way, i) => ({
    name: `way-${i}`,
    deviceClassName: "any",
    allocationMode: "ExactCount",
    count: 1,
    ...way,
  })),
});
const claim = (
  requests: DeviceRequest[],
  more: Partial<NonNullable<ResourceClaimSpec["devices"]>> = {},
  name = "claim",
): ResourceClaim => ({
  apiVersion: "resource.k8s.io/v1",
  kind: "ResourceClaim",
  metadata: { ...meta(name), namespace: "default" },
  spec: { devices: { requests, ...more } },
  status: {},
});

interface Case {
  slices: ResourceSlice[];
  claims: ResourceClaim[];
  taken?: string[];
  classes?: Record<string, DeviceClassSpec>;
}

function run({ slices: published, claims, taken = [], classes = {} }: Case) {
  const ledger = new ClaimLedger();
  const results = taken.map((device) => ({ request: "r", driver, pool: "pool", device }));
  const other = claim([want()], {}, "other");
  ledger.see({ ...other, status: { allocation: { devices: { results } } } }, false);
  const all: Record<string, DeviceClassSpec> = { any: {}, ...classes };
  let shares = 0;
  const allocation = allocate(
    {
      claims,
      pools: publishedPools(published),
      taken: ledger,
      classOf: (name) =>
        all[name] && ({ kind: "DeviceClass", metadata: meta(name), spec: all[name] } as unknown as DeviceClass),
      shareId: () => `share-${shares++}`,
    },
    node,
  );
  return allocation;
}

/** `request:device` of all claims, one text a claim; or why not. */
function given(one: Case): string[] | string {
  const allocation = run(one);
  if (allocation.kind === "impossible") return allocation.reason ?? "no";
  return allocation.results.map((result) =>
    (result.devices?.results ?? []).map(({ request, device }) => `${request}:${device}`).join(" "),
  );
}

const full = (name: string, distinct = false): DeviceConstraint[] => [
  distinct ? { distinctAttribute: `${driver}/${name}` } : { matchAttribute: `${driver}/${name}` },
];

describe("devices for claims", () => {
  test.each<[string, Case, string[] | string]>([
    ["one of a kind", { slices: [slice(devices("a", "b"))], claims: [claim([want()])] }, ["r:a"]],
    ["none that another has", { slices: [slice(devices("a", "b"))], claims: [claim([want()])], taken: ["a"] }, ["r:b"]],
    ["none at all", { slices: [slice(devices("a"))], claims: [claim([want()])], taken: ["a"] }, "no"],
    ["several", { slices: [slice(devices("a", "b", "c"))], claims: [claim([want({ count: 2 })])] }, ["r:a r:b"]],
    ["not half of what is asked for", { slices: [slice(devices("a"))], claims: [claim([want({ count: 2 })])] }, "no"],
    [
      "two claims at once",
      { slices: [slice(devices("a", "b"))], claims: [claim([want()]), claim([want()], {}, "second")] },
      ["r:a", "r:b"],
    ],
    [
      "a greedy first request gives way",
      {
        slices: [slice([sized("big", 8), sized("small", 1)])],
        claims: [claim([want({}, "x"), want({ selectors: cel(`device.attributes["${driver}"].size > 4`) }, "y")])],
      },
      ["x:small y:big"],
    ],
    [
      "by driver, attribute, version and capacity",
      {
        slices: [slice([sized("a", 1), sized("b", 2), sized("c", 3)])],
        claims: [
          claim([
            want({
              selectors: cel(
                `device.driver == "${driver}" && device.attributes["${driver}"].version.isGreaterThan(semver("1.1.0")) && device.capacity["${driver}"].memory.compareTo(quantity("3Gi")) >= 0`,
              ),
            }),
          ]),
        ],
      },
      ["r:c"],
    ],
    [
      "a domain that a device does not know is empty",
      {
        slices: [slice(devices("a"))],
        claims: [claim([want({ selectors: cel('!("x" in device.attributes["o.com"])') })])],
      },
      ["r:a"],
    ],
    [
      "class and request must both agree",
      {
        slices: [slice([sized("a", 1), sized("b", 2)])],
        claims: [claim([want({ deviceClassName: "big" })])],
        classes: { big: { selectors: cel(`device.attributes["${driver}"].size == 2`) } },
      },
      ["r:b"],
    ],
    [
      "the first alternative that can be had",
      { slices: [slice(devices("a", "b"))], claims: [claim([oneOf({ count: 3 }, { count: 2 }, { count: 1 })])] },
      ["r/way-1:a r/way-1:b"],
    ],
    [
      "a later alternative lets the others in",
      {
        slices: [slice(devices("a", "b"))],
        claims: [claim([oneOf({ count: 2 }, { count: 1 }), want({}, "x")])],
      },
      ["r/way-1:a x:b"],
    ],
    [
      "all that match",
      {
        slices: [slice([sized("a", 1), sized("b", 2), sized("c", 2)])],
        claims: [
          claim([
            want({ allocationMode: "All", count: 0, selectors: cel(`device.attributes["${driver}"].size == 2`) }),
          ]),
        ],
      },
      ["r:b r:c"],
    ],
    [
      "not all when one is taken",
      { slices: [slice(devices("a", "b"))], claims: [claim([want({ allocationMode: "All" })])], taken: ["b"] },
      "no",
    ],
    ["not all of none", { slices: [], claims: [claim([want({ allocationMode: "All" })])] }, "no"],
    [
      "an administrator looks at what others have",
      { slices: [slice(devices("a"))], claims: [claim([want({ adminAccess: true })])], taken: ["a"] },
      ["r:a"],
    ],
    [
      "alike",
      {
        slices: [slice([sized("a", 1), sized("b", 2), sized("c", 2)])],
        claims: [claim([want({ count: 2 })], { constraints: full("size") })],
      },
      ["r:b r:c"],
    ],
    [
      "unlike",
      {
        slices: [slice([sized("a", 1), sized("b", 1), sized("c", 2)])],
        claims: [claim([want({ count: 2 })], { constraints: full("size", true) })],
      },
      ["r:a r:c"],
    ],
    [
      "a constraint of some requests leaves others alone",
      {
        slices: [slice([sized("a", 1), sized("b", 2), sized("c", 1)])],
        claims: [
          claim([want({}, "x"), want({}, "y"), want({}, "z")], {
            constraints: [{ requests: ["x", "z"], matchAttribute: `${driver}/size` }],
          }),
        ],
      },
      ["x:a y:b z:c"],
    ],
    [
      "nothing without the attribute that must match",
      { slices: [slice(devices("a", "b"))], claims: [claim([want()], { constraints: full("size") })] },
      "no",
    ],
    [
      "the newest generation alone",
      {
        slices: [
          slice(devices("old")),
          slice(devices("new"), { pool: { name: "pool", generation: 2, resourceSliceCount: 1 } }),
        ],
        claims: [claim([want()])],
      },
      ["r:new"],
    ],
    [
      "nothing of a pool that is being written",
      {
        slices: [slice(devices("a"), { pool: { name: "pool", generation: 1, resourceSliceCount: 2 } })],
        claims: [claim([want()])],
      },
      "no",
    ],
    [
      "all of a pool that is being written: not yet",
      {
        slices: [slice(devices("a"), { pool: { name: "pool", generation: 1, resourceSliceCount: 2 } })],
        claims: [claim([want({ allocationMode: "All" })])],
      },
      "claim default/claim, request r: asks for all devices, but resource pool d.example.com/pool is currently being updated",
    ],
    [
      "nothing of a pool with two devices of one name",
      { slices: [slice(devices("a", "a"))], claims: [claim([want()])] },
      "invalid resource pools were encountered",
    ],
    [
      "of other Nodes nothing",
      { slices: [slice(devices("a"), { nodeName: "node-2" })], claims: [claim([want()])] },
      "no",
    ],
    [
      "device by device",
      {
        slices: [
          slice(
            [
              { name: "a", nodeName: "node-2" },
              { name: "b", allNodes: true },
            ],
            { perDeviceNodeSelection: true },
          ),
        ],
        claims: [claim([want()])],
      },
      ["r:b"],
    ],
    [
      "rather one that need not be made ready first",
      {
        slices: [
          slice([{ name: "a", bindingConditions: ["Ready"], bindingFailureConditions: ["Failed"] }, { name: "b" }]),
        ],
        claims: [claim([want()])],
      },
      ["r:b"],
    ],
    [
      "no tainted one",
      {
        slices: [slice([{ name: "a", taints: [{ key: "k", effect: "NoSchedule" }] }, { name: "b" }])],
        claims: [claim([want()])],
      },
      ["r:b"],
    ],
    [
      "a tainted one that is tolerated, and taints without effect",
      {
        slices: [
          slice([
            {
              name: "a",
              taints: [
                { key: "k", value: "v", effect: "NoExecute" },
                { key: "x", effect: "None" },
              ],
            },
          ]),
        ],
        claims: [claim([want({ tolerations: [{ key: "k", operator: "Equal", value: "v", effect: "NoExecute" }] })])],
      },
      ["r:a"],
    ],
  ])("%s", (_, one, expected) => expect(given(one)).toEqual(expected));

  const parts = (taken: string[], ...names: string[]): Case => {
    const counters = (value: string) => [{ counterSet: "chip", counters: { memory: { value } } }];
    const half = (name: string): Device => ({ name, consumesCounters: counters("40Gi") });
    const pool = { name: "pool", generation: 1, resourceSliceCount: 2 };
    const shared = [{ name: "chip", counters: { memory: { value: "80Gi" } } }];
    return {
      slices: [
        slice([], { pool, sharedCounters: shared }),
        slice([{ name: "whole", consumesCounters: counters("80Gi") }, half("left"), half("right")], { pool }),
      ],
      claims: [claim(names.map((name, i) => want({ selectors: cel(`device.driver == "${driver}"`) }, `${name}${i}`)))],
      taken,
    };
  };

  test("parts of a device share what it has", () => {
    expect(given(parts([], "r"))).toEqual(["r0:whole"]);
    expect(given(parts([], "r", "r"))).toEqual(["r0:left r1:right"]);
    expect(given(parts(["left"], "r"))).toEqual(["r0:right"]);
    expect(given(parts(["whole"], "r"))).toEqual("no");
    expect(given(parts([], "r", "r", "r"))).toEqual("no");
  });

  test("claims share a device as long as its capacity lasts, in the amounts that it gives", () => {
    const requestPolicy = { default: "1Gi", validRange: { min: "1Gi", max: "6Gi", step: "2Gi" } };
    const device: Device = {
      name: "nic",
      allowMultipleAllocations: true,
      capacity: { memory: { value: "8Gi", requestPolicy } },
    };
    const asks = (memory: string | undefined, name: string) =>
      claim([want(memory === undefined ? {} : { capacity: { requests: { memory } } })], {}, name);
    const shared = run({ slices: [slice([device])], claims: [asks("4Gi", "a"), asks(undefined, "b")] });
    expect(shared.kind === "allocated" && shared.results.map((result) => result.devices?.results)).toEqual([
      [{ request: "r", driver, pool: "pool", device: "nic", shareID: "share-0", consumedCapacity: { memory: "5Gi" } }],
      [{ request: "r", driver, pool: "pool", device: "nic", shareID: "share-1", consumedCapacity: { memory: "1Gi" } }],
    ]);
    expect(given({ slices: [slice([device])], claims: [asks("5Gi", "a"), asks("4Gi", "b")] })).toBe("no");
    expect(given({ slices: [slice([device])], claims: [asks("7Gi", "a")] })).toBe("no");
    // A device that is not shared is had whole, if it is large enough.
    expect(given({ slices: [slice([sized("a", 2), sized("b", 4)])], claims: [asks("3Gi", "a")] })).toEqual(["r:b"]);
  });

  test("the result says where the devices are, and what class and claim tell their drivers", () => {
    const opaque = (mode: string) => ({ opaque: { driver, parameters: { mode } as never } });
    const nodeSelector = {
      nodeSelectorTerms: [{ matchExpressions: [{ key: "zone", operator: "In", values: ["a"] }] }],
    };
    const config = [
      { requests: ["x"], ...opaque("claim") },
      { requests: ["r/way-1"], ...opaque("not chosen") },
      opaque("everybody"),
    ];
    const way = { ...oneOf({}, {}) };
    const allocation = run({
      slices: [slice(devices("a", "b"), { nodeSelector })],
      claims: [claim([want({ deviceClassName: "tuned" }, "x"), way], { config })],
      classes: { tuned: { config: [opaque("class")] } },
    });
    expect(allocation.kind === "allocated" && allocation.results).toEqual([
      {
        devices: {
          results: [
            { request: "x", driver, pool: "pool", device: "a" },
            { request: "r/way-0", driver, pool: "pool", device: "b" },
          ],
          config: [
            { source: "FromClass", requests: ["x"], ...opaque("class") },
            { source: "FromClaim", requests: ["x"], ...opaque("claim") },
            { source: "FromClaim", ...opaque("everybody") },
          ],
        },
        nodeSelector,
      },
    ]);
    const local = run({ slices: [slice(devices("a"))], claims: [claim([want()])] });
    expect(local.kind === "allocated" && local.results[0]?.nodeSelector).toEqual({
      nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: ["node-1"] }] }],
    });
  });

  test("what makes no sense is an error that says so", () => {
    const tries = (request: DeviceRequest, more = {}) => {
      const one = { slices: [slice([sized("a", 1), sized("b", 2)])], claims: [claim([request], more)] };
      return () => run(one);
    };
    expect(tries(want({ deviceClassName: "none" }))).toThrow(
      "claim default/claim, request r: could not retrieve device class none",
    );
    expect(tries(want({ count: 33 }))).toThrow(
      "claim default/claim: number of requested devices 33 exceeds the claim limit of 32",
    );
    expect(tries(want({ selectors: cel('device.attributes["o.com"].x == 1') }))).toThrow(
      "claim default/claim: selector #0 on device d.example.com/pool/a: CEL runtime error: no such key: x",
    );
    expect(tries(want({ allocationMode: "All" }), { constraints: full("size") })).toThrow(
      "claim default/claim, request r: cannot add device d.example.com/pool/b because a claim constraint would not be satisfied",
    );
  });

  test("a search without end is given up", () => {
    const many = devices(...Array.from({ length: 40 }, (_, i) => `d${i}`));
    const impossible = want({ selectors: cel("false") }, "never");
    const allocation = run({ slices: [slice(many)], claims: [claim([want({ count: 10 }), impossible])] });
    expect(allocation).toEqual({ kind: "impossible", reason: "timed out trying to allocate devices" });
  });
});
