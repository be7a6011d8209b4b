import { expect, test } from "vitest";
import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";
import { publishedSchema } from "./published-schema.ts";

const open = { "x-kubernetes-preserve-unknown-fields": true } as const;

test.each<[string, JSONSchemaProps, unknown]>([
  [
    "whose root takes anything is nothing said",
    { type: "object", ...open, properties: { a: { type: "string" } } },
    undefined,
  ],
  [
    "an object that takes anything has no type, and so may hold nulls",
    { type: "object", properties: { spec: { type: "object", ...open, properties: { a: { type: "object" } } } } },
    { type: "object", properties: { spec: open } },
  ],
  [
    "a list that takes anything has no type either",
    { type: "object", properties: { all: { type: "array", ...open, items: { type: "object" } } } },
    { type: "object", properties: { all: open } },
  ],
  [
    "what may be null has no type",
    { type: "object", properties: { a: { type: "object", nullable: true, properties: { b: { type: "string" } } } } },
    { type: "object", properties: { a: {} } },
  ],
])("in OpenAPI 2, of a schema %s", (_, schema, expected) => {
  expect(publishedSchema(schema, 2)).toEqual(expected);
  expect(publishedSchema(schema, 3)).toBe(schema);
});
