import { describe, expect, it } from "vitest";
import type { Deployment } from "../../api/apps/v1.ts";
import type { ConfigMap, Pod } from "../../api/core/v1.ts";
import { schemaForKind } from "../../api/schema.ts";
import { parseExactly, stringifyExactly } from "./big-integers.ts";
import { summarizeBody } from "./decode-error.ts";
import { decodeJson, decodeValue, parseJson, readTypeMeta } from "./json.ts";

const type = (group: string, version: string, kind: string) => schemaForKind(group, version, kind)!;
const configMap = (text: string) => decodeJson<ConfigMap>(text, type("", "v1", "ConfigMap"));
const pod = (spec: unknown) =>
  decodeValue<Pod>({ apiVersion: "v1", kind: "Pod", metadata: { name: "a" }, spec }, type("", "v1", "Pod")).object;

describe("decoding JSON", () => {
  it("names unknown fields in document order", () => {
    const text = JSON.stringify({
      apiVersion: "apps/v1",
      kind: "Deployment",
      spec: { template: { spec: { containers: [{ name: "a", imagee: "b" }], foo: 1 } }, replicass: 1, selector: {} },
      bar: 2,
    });
    const { object, problems } = decodeJson<Deployment>(text, type("apps", "v1", "Deployment"));
    expect(problems).toEqual([
      'unknown field "spec.template.spec.containers[0].imagee"',
      'unknown field "spec.template.spec.foo"',
      'unknown field "spec.replicass"',
      'unknown field "bar"',
    ]);
    expect(object.spec.template.spec?.containers).toEqual([{ name: "a", resources: {} }]);
  });

  it("names duplicate fields, in structs and maps, and keeps the last value", () => {
    const { object, problems } = configMap(
      '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","name":"b"},"data":{"k\\"":"1","k\\"":"2"}}',
    );
    expect(problems).toEqual(['duplicate field "metadata.name"', 'duplicate field "data.k\\""']);
    expect(object.metadata.name).toBe("b");
    expect(object.data).toEqual({ 'k"': "2" });
  });

  it("does not take text inside strings for keys", () => {
    expect(
      configMap('{"kind":"ConfigMap","data":{"a":"{\\"x\\": 1, \\"x\\": 2}\\\\","b":"\\"\\\\\\":"}}').problems,
    ).toEqual([]);
  });

  it.each([
    ['{"data":[]}', "json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string"],
    ['{"data":{"a":1}}', "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"],
    [
      '{"metadata":{"labels":{"a":true}}}',
      "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string",
    ],
    [
      '{"metadata":{"generation":1e400}}',
      "json: cannot unmarshal number 1e400 into Go struct field ObjectMeta.metadata.generation of type int64",
    ],
    [
      '{"metadata":{"uid":{}}}',
      "json: cannot unmarshal object into Go struct field ObjectMeta.metadata.uid of type types.UID",
    ],
    ['{"metadata":"x"}', "json: cannot unmarshal string into Go struct field ConfigMap.metadata of type v1.ObjectMeta"],
    ['{"binaryData":{"a":"%%"}}', "illegal base64 data at input byte 0"],
    ['{"binaryData":{"a":"YWJj\\nYWI"}}', "illegal base64 data at input byte 5"],
    [
      '{"metadata":{"creationTimestamp":"x"}}',
      'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"',
    ],
    [
      '{"metadata":{"creationTimestamp":"2024-02-30T00:00:00Z"}}',
      'parsing time "2024-02-30T00:00:00Z": day out of range',
    ],
    [`{"metadata":{"managedFields":[{"fieldsV1":${"[".repeat(5000)}${"]".repeat(5000)}}]}}`, "exceeded max depth"],
    [`{"zz":${"[".repeat(500_000)}${"]".repeat(500_000)}}`, "exceeded max depth"],
  ])("refuses %.60s", (text, message) => {
    expect(() => configMap(text)).toThrow(message);
  });

  it.each([
    ["", "unexpected end of JSON input"],
    ['{"apiVersion":"v1",', "unexpected end of JSON input"],
    ['{"a":1}}', "invalid character '}' after top-level value"],
    ["{'a':1}", "invalid character '\\'' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b"}', "invalid character '\"' after object key:value pair"],
    ["[1 2]", "invalid character '2' after array element"],
    ["[tru]", "invalid character ']' in literal true (expecting 'e')"],
    ['"\n"', "invalid character '\\n' in string literal"],
    ["ï", "invalid character 'Ã' looking for beginning of value"],
  ])("says of %j what Go says", (text, message) => {
    expect(() => parseJson(text)).toThrow(message);
  });

  it("leaves out what a round trip through Go leaves out, and fills in what it fills in", () => {
    expect(
      pod({
        containers: [
          {
            name: "a",
            image: "",
            ports: [],
            env: [{ name: "E", value: "" }],
            resources: { limits: { cpu: "1000m", memory: 1024 } },
            tty: false,
          },
        ],
        nodeSelector: {},
        hostNetwork: false,
        terminationGracePeriodSeconds: 0,
        securityContext: null,
        volumes: [{ name: "v", emptyDir: {} }, null],
      }),
    ).toEqual({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "a" },
      spec: {
        containers: [{ name: "a", env: [{ name: "E" }], resources: { limits: { cpu: "1", memory: "1024" } } }],
        terminationGracePeriodSeconds: 0,
        volumes: [{ name: "v", emptyDir: {} }, { name: "" }],
      },
      status: {},
    });
    expect(decodeValue({}, type("rbac.authorization.k8s.io", "v1", "Role")).object).toEqual({
      metadata: {},
      rules: null,
    });
    expect(decodeValue({ spec: {} }, type("", "v1", "Pod")).object).toEqual({
      metadata: {},
      spec: { containers: [] },
      status: {},
    });
  });

  it("brings times to UTC", () => {
    const meta = (creationTimestamp: string) =>
      decodeValue<ConfigMap>({ metadata: { creationTimestamp } }, type("", "v1", "ConfigMap")).object.metadata;
    expect(meta("2024-01-01T01:30:00.5+02:00").creationTimestamp).toBe("2023-12-31T23:30:00Z");
    const lease = (renewTime: string) =>
      decodeValue({ spec: { renewTime } }, type("coordination.k8s.io", "v1", "Lease")).object;
    expect(lease("2024-01-01T01:30:00.123456+02:00")).toEqual({
      metadata: {},
      spec: { renewTime: "2023-12-31T23:30:00.123456Z" },
    });
    expect(() => lease("2024-01-02T03:04:05Z")).toThrow(
      'parsing time "2024-01-02T03:04:05Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"',
    );
  });

  it("takes a schema or a boolean where a CustomResourceDefinition allows both", () => {
    const decode = (schema: unknown) =>
      decodeValue<{ spec: { versions: unknown[] } }>(
        { spec: { versions: [{ name: "v1", schema: { openAPIV3Schema: schema } }] } },
        type("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
      );
    const { object, problems } = decode({
      additionalProperties: { type: "string", zz: 1 },
      items: { type: "object" },
      default: { any: [1] },
      "x-kubernetes-preserve-unknown-fields": true,
    });
    expect(problems).toEqual(['unknown field "spec.versions[0].schema.openAPIV3Schema.additionalProperties.zz"']);
    expect(object.spec.versions[0]).toMatchObject({
      schema: {
        openAPIV3Schema: { additionalProperties: { type: "string" }, items: { type: "object" }, default: { any: [1] } },
      },
    });
    expect(decode({ additionalProperties: false }).object.spec.versions[0]).toMatchObject({
      schema: { openAPIV3Schema: { additionalProperties: false } },
    });
  });

  it("keeps the key __proto__ a key", () => {
    const { object } = configMap('{"data":{"__proto__":"x"}}');
    expect(JSON.stringify(object.data)).toBe('{"__proto__":"x"}');
  });

  it("reads apiVersion and kind, or says what stands in their place", () => {
    expect(readTypeMeta({ apiVersion: "v1", kind: "Pod", x: 1 })).toEqual({ apiVersion: "v1", kind: "Pod" });
    expect(() => readTypeMeta([])).toThrow(
      'couldn\'t get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }',
    );
    expect(summarizeBody(Buffer.from("[]"))).toBe("5b5d");
    expect(summarizeBody(Buffer.from('{"apiVersion":"a/b/c","kind":"ConfigMap"}'))).toBe(
      '{"apiVersion":"a/b/c","kind":" ...',
    );
  });
});

describe("integers beyond 2^53", () => {
  it.each([
    ["9007199254740993", "9007199254740993"],
    ["9223372036854775807", "9223372036854775807"],
    ["-9223372036854775808", "-9223372036854775808"],
    ["9223372036854775808", "9223372036854776000"],
    ["12", "12"],
    ["1e3", "1000"],
  ])("%s is written as %s", (spelled, written) => {
    const read = parseExactly(`{"a":[${spelled}],"b":"1, 12345678901234567890"}`);
    expect(stringifyExactly(read)).toBe(`{"a":[${written}],"b":"1, 12345678901234567890"}`);
  });

  it("are told from texts that look like them", () => {
    const value = { big: 9007199254740993n, "int64:5": "int64:7", list: ["-int64:8"] };
    expect(JSON.parse(stringifyExactly(value))).toEqual({ ...value, big: 9007199254740992 });
    expect(stringifyExactly(value)).toContain('"big":9007199254740993,');
  });
});
