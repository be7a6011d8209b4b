import { describe, expect, test } from "vitest";
import type { Container, Pod } from "../../api/core/v1.ts";
import { classesByResource, extendedRequests } from "./extended-resources.ts";
import type { ReadClass } from "./pools.ts";

const deviceClass = (name: string, extendedResourceName?: string, creationTimestamp = "2026-01-01T00:00:00Z") =>
  ({ metadata: { name, creationTimestamp }, spec: { extendedResourceName } }) as unknown as ReadClass;

test("a class stands for its resource and for its own name; of several the youngest is taken, then the first by name", () => {
  const classes = [
    deviceClass("b", "example.com/gpu"),
    deviceClass("a", "example.com/gpu"),
    deviceClass("z", "example.com/net"),
    deviceClass("y", "example.com/net", "2026-01-02T00:00:00Z"),
    deviceClass("plain"),
  ];
  const prefix = "deviceclass.resource.kubernetes.io/";
  expect(Object.fromEntries(classesByResource(classes))).toEqual({
    "example.com/gpu": "a",
    "example.com/net": "y",
    ...Object.fromEntries(["a", "b", "plain", "y", "z"].map((name) => [prefix + name, name])),
  });
});

const gpu = "example.com/gpu";
const classes = new Map([
  [gpu, "gpu"],
  ["example.com/net", "net"],
]);
const container = (name: string, requests: Record<string, string>, restartPolicy?: string) =>
  ({ name, resources: { requests }, ...(restartPolicy ? { restartPolicy } : {}) }) as Container;
const asked = (containers: Container[], initContainers: Container[] = [], resources = [gpu]) => {
  const { requests, mappings } = extendedRequests({ spec: { containers, initContainers } } as Pod, resources, classes);
  return {
    requests: requests.map(({ name, exactly }) => `${name}: ${exactly?.count} ${exactly?.deviceClassName}`),
    mappings: mappings.map(({ containerName, resourceName, requestName }) =>
      [containerName, resourceName.slice("example.com/".length), requestName].join(" "),
    ),
  };
};

describe("what containers ask for", () => {
  test("each has devices of its own, named by its place and the resource's", () => {
    expect(
      asked(
        [container("a", { cpu: "1", [gpu]: "2", "example.com/net": "1" }), container("b", { [gpu]: "1" })],
        [],
        ["example.com/net", gpu],
      ),
    ).toEqual({
      requests: ["container-0-request-1: 2 gpu", "container-0-request-2: 1 net", "container-1-request-0: 1 gpu"],
      mappings: ["a gpu container-0-request-1", "b gpu container-1-request-0", "a net container-0-request-2"],
    });
  });

  test("of a resource that no class stands for nothing, as of an amount of zero", () => {
    expect(asked([container("a", { "example.com/other": "1", [gpu]: "0" })], [], ["example.com/other", gpu])).toEqual({
      requests: [],
      mappings: [],
    });
  });

  test("an init container uses the devices of those after it", () => {
    expect(asked([container("a", { [gpu]: "2" })], [container("init", { [gpu]: "1" })])).toEqual({
      requests: ["container-1-request-0: 2 gpu"],
      mappings: ["a gpu container-1-request-0", "init gpu container-1-request-0"],
    });
  });

  test("init containers that need more share what the hungriest of them lacks; a sidecar keeps its own", () => {
    expect(
      asked(
        [container("a", { [gpu]: "1" })],
        [
          container("first", { [gpu]: "3" }),
          container("side", { [gpu]: "1" }, "Always"),
          container("second", { [gpu]: "4" }),
        ],
      ),
    ).toEqual({
      requests: ["container-1-request-0: 1 gpu", "container-2-request-0: 3 gpu", "container-3-request-0: 1 gpu"],
      mappings: [
        "side gpu container-1-request-0",
        "a gpu container-3-request-0",
        "first gpu container-1-request-0",
        "first gpu container-3-request-0",
        "first gpu container-2-request-0",
        "second gpu container-3-request-0",
        "second gpu container-2-request-0",
      ],
    });
  });
});
