import { describe, expect, it } from "vitest";
import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";
import { FieldPath } from "../field-error.ts";
import { decodeValue } from "../serializer/json.ts";
import { withoutUnchanged } from "./correlate.ts";
import { compileDefaulting } from "./defaulting.ts";
import { compileJsonPath } from "./json-path.ts";
import { compileRulesValidation } from "./rules.ts";
import { customType } from "./type-schema.ts";
import { validateSchema } from "./validate-schema.ts";
import { compileValidation } from "./validate-value.ts";

const ofSpec = (properties: Record<string, JSONSchemaProps>, more: JSONSchemaProps = {}): JSONSchemaProps => ({
  type: "object",
  properties: { spec: { type: "object", properties, ...more } },
});
const gvk = { group: "example.com", version: "v1", kind: "Ship" };
const texts = (errors: readonly { field: string; message: string }[]) => errors.map((e) => `${e.field}: ${e.message}`);

describe("pruning", () => {
  const prune = (schema: JSONSchemaProps, object: object) => decodeValue<object>(object, customType(gvk, schema));

  it("drops what the schema does not know and keeps what is to be preserved", () => {
    const schema = ofSpec({
      known: { type: "integer" },
      free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
      map: { type: "object", additionalProperties: { type: "object", properties: { a: { type: "string" } } } },
      list: { type: "array", items: { type: "object", properties: { a: { type: "string" } } } },
    });
    const spec = {
      known: 1,
      other: 2,
      free: { x: { y: 1 } },
      map: { k: { a: "a", b: "b" } },
      list: [{ a: "1", b: 2 }],
    };
    const { object, problems } = prune(schema, { spec });
    expect(object).toEqual({ spec: { known: 1, free: { x: { y: 1 } }, map: { k: { a: "a" } }, list: [{ a: "1" }] } });
    expect(problems).toEqual([
      'unknown field "spec.other"',
      'unknown field "spec.map.k.b"',
      'unknown field "spec.list[0].b"',
    ]);
  });

  it("knows the envelope of an embedded resource", () => {
    const schema = ofSpec({
      template: { type: "object", "x-kubernetes-embedded-resource": true, properties: { data: { type: "string" } } },
    });
    const template = { apiVersion: "v1", kind: "X", metadata: { name: "a", nonsense: 1 }, data: "d", more: 1 };
    const { object } = prune(schema, { spec: { template } });
    expect(object).toEqual({ spec: { template: { apiVersion: "v1", kind: "X", metadata: { name: "a" }, data: "d" } } });
  });
});

describe("defaulting", () => {
  it("fills in defaults from the outside in, and takes nulls that may not be for absent", () => {
    const schema = ofSpec(
      {
        size: { type: "integer", default: 3 },
        name: { type: "string", nullable: true, default: "x" },
        gone: { type: "string" },
        list: { type: "array", items: { type: "object", properties: { on: { type: "boolean", default: true } } } },
      },
      { default: {} },
    );
    const fill = (object: object) => {
      compileDefaulting(schema)?.(object);
      return object;
    };
    expect(fill({})).toEqual({ spec: { size: 3, name: "x" } });
    expect(fill({ spec: { size: null, name: null, gone: null, list: [{}] } })).toEqual({
      spec: { size: 3, name: null, list: [{ on: true }] },
    });
  });
});

describe("values are refused with upstream's words:", () => {
  it.each<[string, JSONSchemaProps, unknown, string[]]>([
    [
      "a type",
      { type: "string" },
      1,
      ['spec.v: Invalid value: "integer": spec.v in body must be of type string: "integer"'],
    ],
    [
      "a pattern",
      { type: "string", pattern: "^a+$" },
      "b",
      ["spec.v: Invalid value: \"b\": spec.v in body should match '^a+$'"],
    ],
    [
      "a length",
      { type: "string", minLength: 2 },
      "b",
      ['spec.v: Invalid value: "b": spec.v in body should be at least 2 chars long'],
    ],
    [
      "more than 32 bits hold",
      { type: "integer", format: "int32" },
      2147483648,
      ["spec.v: Invalid value: 2147483648: Checked value must be of type integer with format int32 in spec.v"],
    ],
    [
      "more than a float holds",
      { type: "number", format: "float" },
      3.5e38,
      ["spec.v: Invalid value: 3.5e+38: Checked value must be of type number with format float in spec.v"],
    ],
    ["as much as 32 bits hold", { type: "integer", format: "int32" }, -2147483648, []],
    [
      "a multiple",
      { type: "integer", multipleOf: 3 },
      4,
      ["spec.v: Invalid value: 4: spec.v in body should be a multiple of 3"],
    ],
    [
      "null",
      { type: "string" },
      null,
      ['spec.v: Invalid value: "null": spec.v in body must be of type string: "null"'],
    ],
    [
      "a duplicate in a set",
      { type: "array", "x-kubernetes-list-type": "set", items: { type: "string" } },
      ["a", "a"],
      ['spec.v[1]: Duplicate value: "a"'],
    ],
    [
      "a key given twice",
      {
        type: "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["port"],
        items: { type: "object", properties: { port: { type: "integer" } } },
      },
      [{ port: 1 }, { port: 1 }],
      ['spec.v[1]: Duplicate value: {"port":1}'],
    ],
    [
      "no alternative",
      {
        type: "object",
        properties: { a: { type: "string" }, b: { type: "string" } },
        oneOf: [{ required: ["a"] }, { required: ["b"] }],
      },
      {},
      [
        '<nil>: Invalid value: "": "spec.v" must validate one and only one schema (oneOf). Found none valid',
        "spec.v.a: Required value",
      ],
    ],
    [
      "too many properties",
      { type: "object", maxProperties: 1, additionalProperties: { type: "string" } },
      { a: "1", b: "2" },
      ["spec.v: Too many: 2: must have at most 1 items"],
    ],
  ])("%s", (_, schema, value, expected) => {
    expect(texts(compileValidation(ofSpec({ v: schema }))({ spec: { v: value } }))).toEqual(expected);
  });

  it("what has not changed may stay as it is", () => {
    const schema = ofSpec({ a: { type: "string", maxLength: 1 }, b: { type: "string", maxLength: 1 } });
    const next = { spec: { a: "long", b: "longer" } };
    const errors = compileValidation(schema)(next);
    expect(texts(withoutUnchanged(errors, schema, next, { spec: { a: "long", b: "x" } }))).toEqual([
      "spec.b: Too long: may not be more than 1 bytes",
    ]);
  });
});

describe("rules", () => {
  const judge = (schema: JSONSchemaProps, next: object, previous?: object) =>
    texts(compileRulesValidation(schema)!({ spec: next }, previous && { spec: previous }).errors);

  it("judge values, with messages made by expressions, reasons and field paths", () => {
    const rules = [
      {
        rule: "self.min <= self.max",
        messageExpression: "'min %d'.format([self.min])",
        reason: "FieldValueForbidden",
        fieldPath: ".max",
      },
    ];
    const schema = ofSpec(
      { min: { type: "integer" }, max: { type: "integer" } },
      { "x-kubernetes-validations": rules },
    );
    expect(judge(schema, { min: 1, max: 2 })).toEqual([]);
    expect(judge(schema, { min: 3, max: 2 })).toEqual(["spec.max: Forbidden: min 3"]);
    expect(judge(schema, { min: 3 })).toEqual([
      'spec: Invalid value: "object": no such key: max evaluating rule: self.min <= self.max',
    ]);
  });

  it("judge changes only where there was something before, unless they ask for its absence", () => {
    const name: JSONSchemaProps = { type: "string", "x-kubernetes-validations": [{ rule: "self == oldSelf" }] };
    expect(judge(ofSpec({ name }), { name: "a" })).toEqual([]);
    expect(judge(ofSpec({ name }), { name: "a" }, { name: "b" })).toEqual([
      'spec.name: Invalid value: "a": failed rule: self == oldSelf',
    ]);
    const first: JSONSchemaProps = {
      type: "string",
      "x-kubernetes-validations": [
        { rule: "oldSelf.hasValue() || self == 'new'", optionalOldSelf: true, message: "begin new" },
      ],
    };
    expect(judge(ofSpec({ first }), { first: "old" })).toEqual(['spec.first: Invalid value: "old": begin new']);
    expect(judge(ofSpec({ first }), { first: "old" }, { first: "new" })).toEqual([]);
  });

  it("follow the items of list maps by their keys", () => {
    const list: JSONSchemaProps = {
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name"],
      items: {
        type: "object",
        required: ["name"],
        properties: {
          name: { type: "string" },
          v: { type: "integer", "x-kubernetes-validations": [{ rule: "self >= oldSelf" }] },
        },
      },
    };
    const before = {
      list: [
        { name: "a", v: 1 },
        { name: "b", v: 5 },
      ],
    };
    expect(
      judge(
        ofSpec({ list }),
        {
          list: [
            { name: "b", v: 5 },
            { name: "a", v: 0 },
          ],
        },
        before,
      ),
    ).toEqual(["spec.list[1].v: Invalid value: 0: failed rule: self >= oldSelf"]);
  });
});

describe("a schema is refused", () => {
  const problems = (v: JSONSchemaProps) => texts(validateSchema(ofSpec({ v }), FieldPath.root.child("s")));
  it.each<[string, JSONSchemaProps, string]>([
    [
      "without a type",
      {},
      "s.properties[spec].properties[v].type: Required value: must not be empty for specified object fields",
    ],
    [
      "with a default that is not valid",
      { type: "integer", default: "x" },
      's.properties[spec].properties[v].default: Invalid value: "string":  in body must be of type integer: "string"',
    ],
    [
      "whose rule costs too much",
      {
        type: "array",
        items: { type: "string" },
        "x-kubernetes-validations": [{ rule: "self.all(a, self.all(b, a == b))" }],
      },
      "s.properties[spec].properties[v].x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)",
    ],
  ])("%s", (_, schema, expected) => {
    expect(problems(schema)).toContain(expected);
  });
});

describe("printer columns' paths", () => {
  const object = {
    spec: {
      a: { "x.y": 1 },
      list: [
        { type: "Ready", status: "True" },
        { type: "Ok", status: "False" },
      ],
    },
  };
  it.each<[string, unknown[]]>([
    [".spec.a['x.y']", [1]],
    [".spec.a.x\\.y", [1]],
    [".spec.list[0].type", ["Ready"]],
    [".spec.list[*].type", ["Ready", "Ok"]],
    ['.spec.list[?(@.type=="Ok")].status', ["False"]],
    [".spec.nothing.there", []],
    [".spec[", []],
  ])("%s", (path, expected) => {
    expect(compileJsonPath(path)(object)).toEqual(expected);
  });
});
