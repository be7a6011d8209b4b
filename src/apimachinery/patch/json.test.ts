import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyJsonPatch, type JsonPatchOperation, jsonPatchProblems, readJsonPatch } from "./json.ts";
import { mergePatch } from "./merge.ts";

const document = { data: { a: "1", b: "2" }, list: [1, 2, 3], metadata: { labels: { l: "m" } } };
const apply = (...patch: JsonPatchOperation[]) => applyJsonPatch(document, patch) as typeof document;

describe("JSON patch", () => {
  it("adds, replaces, removes, moves and copies", () => {
    expect(apply({ op: "add", path: "/data/c", value: "x" }).data).toEqual({ a: "1", b: "2", c: "x" });
    expect(apply({ op: "add", path: "/metadata/labels/a.test~1b~0", value: "v" }).metadata.labels).toEqual({
      l: "m",
      "a.test/b~": "v",
    });
    expect(apply({ op: "replace", path: "/data/zz", value: "1" }).data).toEqual({ a: "1", b: "2", zz: "1" });
    expect(apply({ op: "remove", path: "/data/a" }).data).toEqual({ b: "2" });
    expect(apply({ op: "move", from: "/data/a", path: "/data/z" }).data).toEqual({ b: "2", z: "1" });
    expect(apply({ op: "copy", from: "/data/b", path: "/data/z" }).data).toEqual({ a: "1", b: "2", z: "2" });
    expect(
      apply(
        { op: "add", path: "/list/-", value: 4 },
        { op: "add", path: "/list/0", value: 0 },
        { op: "remove", path: "/list/-1" },
      ).list,
    ).toEqual([0, 1, 2, 3]);
    expect(apply({ op: "test", path: "/data/a", value: "1" }, { op: "test", path: "/data/zz", value: null })).toEqual(
      document,
    );
  });

  it.each<[JsonPatchOperation, string]>([
    [{ op: "remove", path: "/data/zz" }, "Unable to remove nonexistent key: zz: missing value"],
    [{ op: "add", value: 1 }, 'add operation does not apply: doc is missing path: "": missing value'],
    [{ op: "add", path: "", value: 1 }, 'add operation does not apply: doc is missing path: "": missing value'],
    [
      { op: "add", path: "/metadata/annotations/x", value: "1" },
      "add operation does not apply: doc is missing path: /metadata/annotations/x: missing value",
    ],
    [{ op: "test", path: "/data/a", value: "2" }, "testing path /data/a failed: test failed"],
    [{ op: "replace", path: "/list/9", value: 1 }, "Unable to access invalid index: 9: invalid index referenced"],
    [{ op: "add", path: "/list/x", value: 1 }, 'strconv.Atoi: parsing "x": invalid syntax'],
    [{ op: "frob", path: "/data" }, "Unexpected kind: frob"],
  ])("refuses %j", (operation, message) => {
    expect(() => apply(operation)).toThrow(message);
  });

  it("never changes the document it is given", () => {
    const before = JSON.stringify(document);
    apply(
      { op: "add", path: "/list/1", value: 9 },
      { op: "remove", path: "/metadata/labels/l" },
      { op: "replace", path: "/data", value: {} },
    );
    expect(JSON.stringify(document)).toBe(before);
  });

  it("reads a body, or says what is wrong with it", () => {
    expect(() => readJsonPatch({})).toThrow(
      "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
    );
    expect(() => readJsonPatch({}, false)).toThrow(
      "json: cannot unmarshal object into Go value of type jsonpatch.Patch",
    );
    expect(() => readJsonPatch([1])).toThrow(
      "json: cannot unmarshal number into Go value of type handlers.jsonPatchOp",
    );
    expect(() => readJsonPatch(Array(10_001).fill({}))).toThrow(
      "The allowed maximum operations in a JSON patch is 10000, got 10001",
    );
    expect(jsonPatchProblems('[{"op":"add","path":"/zz","value":{"foo":1},"foo":"bar"},{"op":"x","op":"y"}]')).toEqual([
      'json patch unknown field "[0].foo"',
      'json patch duplicate field "[1].op"',
    ]);
  });

  it("stops a patch that doubles the document over and over", () => {
    const doubling = Array.from({ length: 40 }, () => ({ op: "copy", from: "/list", path: "/list/-" }));
    expect(() => apply(...doubling)).toThrow("Unable to complete the copy, the accumulated size increase of copy is");
  });

  it("restores a document when what was added is removed", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string(), (value, key) => {
        const path = `/data/n${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
        expect(apply({ op: "add", path, value }, { op: "test", path, value }, { op: "remove", path })).toEqual(
          document,
        );
      }),
    );
  });
});

describe("merge patch", () => {
  it("sets, replaces lists and removes with null", () => {
    expect(
      mergePatch(document, {
        data: { a: null, c: "n" },
        list: [9, null, { x: null, y: 1 }],
        new: { x: null, y: { z: null } },
      }),
    ).toEqual({
      ...document,
      data: { b: "2", c: "n" },
      list: [9, null, { y: 1 }],
      new: { y: {} },
    });
    expect(mergePatch({ a: "x" }, { a: { b: 1 } })).toEqual({ a: { b: 1 } });
    expect(document.data).toEqual({ a: "1", b: "2" });
  });

  it("keeps the parts it does not touch", () => {
    expect((mergePatch(document, { data: { a: "3" } }) as typeof document).metadata).toBe(document.metadata);
  });

  it("settles: laid over again, it changes nothing", () => {
    fc.assert(
      fc.property(fc.object(), fc.object(), (target, patch) => {
        const once = mergePatch(target, patch);
        expect(mergePatch(once, patch)).toEqual(once);
      }),
    );
  });
});
