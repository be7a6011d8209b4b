import { describe, expect, it } from "vitest";
import type { ConfigMap } from "../../api/core/v1.ts";
import { schemaForKind } from "../../api/schema.ts";
import { decodeYaml, encodeYaml, parseYaml, parseYamlStream } from "./yaml.ts";

const configMap = schemaForKind("", "v1", "ConfigMap")!;

describe("YAML", () => {
  it("reads YAML 1.1 as kubectl does, with neither timestamps nor base 60", () => {
    const text =
      "a: yes\nb: 0777\nc: 80:80\nd: 2024-01-01\ne: 2024-01-01T00:00:00Z\nf: ~\ng: 1_000\nh: !!str 1\ni: 1:20.5\n1: x\ntrue: y\n";
    expect(parseYaml(text).value).toEqual({
      a: true,
      b: 511,
      c: "80:80",
      d: "2024-01-01",
      e: "2024-01-01T00:00:00Z",
      f: null,
      g: 1000,
      h: "1",
      i: "1:20.5",
      1: "x",
      true: true,
    });
  });

  it("follows anchors and merge keys", () => {
    expect(parseYaml("base: &b {x: 1, z: 2}\nuse:\n  <<: *b\n  z: 3\n").value).toMatchObject({ use: { x: 1, z: 3 } });
  });

  it("reads every document of a stream and skips empty ones", () => {
    expect(parseYamlStream("# comment\n---\na: 1\n---\n---\nb: 2\n").map((d) => d.value)).toEqual([{ a: 1 }, { b: 2 }]);
  });

  it("reads JSON too, and names its duplicate keys as YAML's", () => {
    expect(parseYaml('{"a": {"b": [{"c": "\\"x\\": 1"}]}}')).toEqual({
      value: { a: { b: [{ c: '"x": 1' }] } },
      problems: [],
    });
    expect(parseYaml('{"data":{"a":"1",\n"a":"2"}}')).toEqual({
      value: { data: { a: "2" } },
      problems: ['line 2: key "a" already set in map'],
    });
  });

  it("names duplicate keys by line and unknown fields by path", () => {
    const { object, problems } = decodeYaml<ConfigMap>(
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shop\ndata:\n  a: "1"\n  a: "2"\nzz: 1\n',
      configMap,
    );
    expect(problems).toEqual(['line 7: key "a" already set in map', 'unknown field "zz"']);
    expect(object.data).toEqual({ a: "2" });
  });

  it.each([
    ["a: b: c", "yaml: mapping values are not allowed in this context"],
    ["a: [1", "yaml: line 1: did not find expected ',' or ']'"],
    ['{"a":', "yaml: line 1: did not find expected node content"],
    ["a:\n\t- b", "yaml: line 2: found character that cannot start any token"],
    ["a: *x", "yaml: unknown anchor 'x' referenced"],
  ])("says of %j what upstream says", (text, message) => {
    expect(() => parseYaml(text)).toThrow(message);
  });

  it("refuses an alias bomb", () => {
    const bomb = ["a: &a [x, x, x, x, x, x, x, x, x, x]"];
    for (let i = 0; i < 8; i++)
      bomb.push(`${"bcdefghij"[i]}: &${"bcdefghij"[i]} [${Array(10).fill(`*${"abcdefghi"[i]}`).join(", ")}]`);
    expect(() => parseYaml(bomb.join("\n"))).toThrow("alias");
  });

  it("writes what upstream writes", () => {
    const value = {
      kind: "ConfigMap",
      apiVersion: "v1",
      metadata: {
        name: "a",
        creationTimestamp: "2024-01-01T00:00:00Z",
        managedFields: [{ fieldsV1: { "f:data": { ".": {}, 'k:{"a":1}': {} } } }],
        finalizers: [],
      },
      data: {
        n: "123",
        b: "true",
        s: "plain text",
        m: "line 1\nline 2\n",
        e: "",
        star: "*x",
        colon: "a: b",
        k10: "x",
        k9: "y",
        hash: "a #b",
        time: "10:30",
        dot: "1.5",
        v: "v1.2.3",
      },
    };
    expect(encodeYaml(value)).toBe(`apiVersion: v1
data:
  b: "true"
  colon: 'a: b'
  dot: "1.5"
  e: ""
  hash: 'a #b'
  k9: "y"
  k10: x
  m: |
    line 1
    line 2
  "n": "123"
  s: plain text
  star: '*x'
  time: "10:30"
  v: v1.2.3
kind: ConfigMap
metadata:
  creationTimestamp: "2024-01-01T00:00:00Z"
  finalizers: []
  managedFields:
  - fieldsV1:
      f:data:
        .: {}
        k:{"a":1}: {}
  name: a
`);
    expect(parseYaml(encodeYaml(value)).value).toEqual(value);
  });
});
