import { describe, expect, it } from "vitest";
import { schemaForKind } from "../../api/schema.ts";
import type { StatusError } from "../status-error.ts";
import { strategicMergePatch } from "./strategic.ts";

const deployment = schemaForKind("apps", "v1", "Deployment")!;
const pod = {
  containers: [
    {
      name: "main",
      image: "a",
      env: [
        { name: "A", value: "1" },
        { name: "B", value: "2" },
      ],
      ports: [
        { containerPort: 80, name: "h" },
        { containerPort: 53, protocol: "UDP" },
      ],
      args: ["x", "y"],
    },
    { name: "sidecar", image: "b" },
  ],
  volumes: [{ name: "d", emptyDir: {} }],
  tolerations: [{ key: "k", operator: "Exists" }],
};
const patchPod = (spec: object): Record<string, unknown> =>
  (
    strategicMergePatch({ spec: { template: { spec: pod } } }, { spec: { template: { spec } } }, deployment) as {
      spec: { template: { spec: Record<string, unknown> } };
    }
  ).spec.template.spec;
const names = (list: unknown): string[] => (list as { name: string }[]).map((item) => item.name);
const patchMeta = (metadata: object, patch: object): object =>
  (strategicMergePatch({ metadata }, { metadata: patch }, deployment) as { metadata: object }).metadata;
const refusal = (spec: object): [number, string] => {
  try {
    patchPod(spec);
  } catch (error) {
    return [(error as StatusError).code, (error as StatusError).message];
  }
  return [0, ""];
};

describe("strategic merge patch", () => {
  it("merges list items by their key and leaves the rest alone", () => {
    const patched = patchPod({ containers: [{ name: "main", image: "new", env: [{ name: "B", value: "3" }] }] });
    expect(patched["containers"]).toEqual([
      {
        ...pod.containers[0],
        image: "new",
        env: [
          { name: "A", value: "1" },
          { name: "B", value: "3" },
        ],
      },
      pod.containers[1],
    ]);
    expect(patched["volumes"]).toBe(pod.volumes);
  });

  it("puts new items before those the patch does not name", () => {
    expect(names(patchPod({ containers: [{ name: "third", image: "y" }] })["containers"])).toEqual([
      "third",
      "main",
      "sidecar",
    ]);
    expect(names(patchPod({ containers: [{ name: "sidecar", image: "y" }] })["containers"])).toEqual([
      "main",
      "sidecar",
    ]);
  });

  it("replaces lists that do not merge", () => {
    expect(patchPod({ tolerations: [], containers: [{ name: "main", args: ["z"] }] })).toMatchObject({
      tolerations: [],
      containers: [{ args: ["z"] }, {}],
    });
  });

  it("deletes and replaces as $patch says", () => {
    expect(patchPod({ containers: [{ name: "main", $patch: "delete" }] })["containers"]).toEqual([pod.containers[1]]);
    expect(patchPod({ containers: [{ $patch: "replace" }, { name: "only", image: "y" }] })["containers"]).toEqual([
      { name: "only", image: "y" },
    ]);
    expect(patchPod({ volumes: [{ $patch: "replace", name: "x" }] })["volumes"]).toEqual([]);
    // What is not there yet takes no directive, and nothing of a map that has one.
    expect(patchPod({ nodeSelector: { a: "b", $patch: "replace" } })["nodeSelector"]).toBeUndefined();
    expect(
      strategicMergePatch({ data: { a: "1" } }, { data: { $patch: "delete" } }, schemaForKind("", "v1", "ConfigMap")!),
    ).toEqual({ data: {} });
    expect(
      strategicMergePatch(
        { data: { a: "1" } },
        { data: { $patch: "replace", b: "2" } },
        schemaForKind("", "v1", "ConfigMap")!,
      ),
    ).toEqual({ data: { b: "2" } });
  });

  it("keeps only the keys that $retainKeys names", () => {
    expect(
      patchPod({ volumes: [{ name: "d", $retainKeys: ["name", "configMap"], configMap: { name: "c" } }] })["volumes"],
    ).toEqual([{ name: "d", configMap: { name: "c" } }]);
    expect(refusal({ volumes: [{ name: "d", $retainKeys: ["name"], configMap: {} }] })).toEqual([
      400,
      "invalid patch format of retainKeys",
    ]);
  });

  it("adds to and deletes from lists of plain values", () => {
    expect(patchMeta({ finalizers: ["a", "b"] }, { finalizers: ["b", "c"] })).toEqual({ finalizers: ["a", "b", "c"] });
    expect(patchMeta({ finalizers: ["a", "b", "a"] }, { "$deleteFromPrimitiveList/finalizers": ["a"] })).toEqual({
      finalizers: ["b"],
    });
    expect(patchMeta({}, { "$deleteFromPrimitiveList/finalizers": ["a"] })).toEqual({});
  });

  it("sorts as $setElementOrder says, and keeps what it does not name in place", () => {
    const order = (list: string[], extra: object = {}) =>
      patchPod({ "$setElementOrder/containers": list.map((name) => ({ name })), ...extra })["containers"];
    expect(names(order(["sidecar", "main"]))).toEqual(["sidecar", "main"]);
    expect(names(order(["new", "main"], { containers: [{ name: "new", image: "n" }] }))).toEqual([
      "new",
      "main",
      "sidecar",
    ]);
    expect(
      patchMeta({ finalizers: ["a", "b", "c"] }, { "$setElementOrder/finalizers": ["d", "c", "a"], finalizers: ["d"] }),
    ).toEqual({ finalizers: ["d", "b", "c", "a"] });
    expect(refusal({ "$setElementOrder/containers": [{ name: "x" }], containers: [{ name: "main" }] })[1]).toContain(
      "doesn't match $setElementOrder list",
    );
    expect(refusal({ "$setElementOrder/containers": "x" })).toEqual([
      500,
      "expected a []interface {}, but received a string",
    ]);
  });

  it("removes with null and drops directives from what it adds", () => {
    expect(
      patchMeta(
        { labels: { a: "1", b: "2" } },
        { labels: { a: null, c: null, d: "4" }, annotations: { x: null, y: "1" } },
      ),
    ).toEqual({ labels: { b: "2", d: "4" }, annotations: { y: "1" } });
    expect(
      patchPod({ imagePullSecrets: [{ name: "a" }, { name: "b", $patch: "delete" }] })["imagePullSecrets"],
    ).toEqual([{ name: "a" }]);
  });

  it("refuses what makes no sense, in upstream's words", () => {
    expect(refusal({ containers: [{ image: "y" }] })).toEqual([
      500,
      "map: map[image:y] does not contain declared merge key: name",
    ]);
    expect(refusal({ containers: [{ $patch: "frob" }] })).toEqual([
      500,
      "unknown patch type: frob in map: map[$patch:frob]",
    ]);
  });

  it("never changes what it is given", () => {
    const before = JSON.stringify(pod);
    patchPod({
      containers: [{ name: "main", env: [{ name: "A", $patch: "delete" }] }, { name: "z" }],
      volumes: [{ $patch: "replace" }],
    });
    expect(JSON.stringify(pod)).toBe(before);
  });

  it("says in Go's words what does not fit together", () => {
    const pair = "[map[containerPort:80 name:h] map[containerPort:53 protocol:UDP]]";
    for (const [patch, code, message] of [
      [{ containers: [{ name: "main", ports: ["x"] }] }, 500, `list element types are not identical: [${pair} [x]]`],
      [{ "$setElementOrder/containers": ["x"] }, 500, "value for key 0 is not a map"],
      [
        { "$setElementOrder/containers": [{ a: "b" }], containers: [{ name: "main" }] },
        500,
        "map: map[a:b] does not contain declared merge key: name",
      ],
      [{ "$setElementOrder/foo": ["x"] }, 500, 'unable to find api field in struct PodSpec for the json field "foo"'],
      [{ $setElementOrder: ["x"] }, 400, "invalid patch format of setElementOrder list"],
      [{ $deleteFromPrimitiveList: ["x"] }, 400, "invalid patch format of primitive list"],
      [{ $patch: "merge" }, 500, "unknown patch type: merge in map: map[$patch:merge]"],
      [{ $patch: 1 }, 500, "unknown patch type: %!s(int64=1) in map: map[$patch:1]"],
    ] as const) {
      expect(refusal(patch)).toEqual([code, message]);
    }
  });

  it("does not merge into maps of objects, whose items have no type to ask", () => {
    const definition = schemaForKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")!;
    const spec = (properties: object) => ({ spec: { conversion: { webhook: { clientConfig: properties } } } });
    expect(() => strategicMergePatch(spec({ url: "a" }), spec({ url: "b" }), definition)).not.toThrow();
    const revision = schemaForKind("apps", "v1", "ControllerRevision")!;
    expect(() => strategicMergePatch({ data: { a: { b: 1 } } }, { data: { a: { c: 1 } } }, revision)).toThrow(
      'unable to find api field in struct RawExtension for the json field "a"',
    );
  });
});
