/** The check of the configuration file against its schema, held against ajv's. */
import { Ajv } from "ajv";
import fc from "fast-check";
import { expect, test } from "vitest";
import schemaFile from "../../../schema/cluster-v1alpha1.schema.json" with { type: "json" };
import { documentFormats } from "./checked-document.ts";
import { type Schema, schemaErrors } from "./schema-errors.ts";

const schema = schemaFile as Schema;

/** Documents that are mostly as the schema has them, with something else here and there. */
function documents(part: Schema): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 9, arbitrary: sound(part) }, { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 1 }) });
}

function sound(part: Schema): fc.Arbitrary<unknown> {
  if (part.$ref) return documents(schema.definitions![part.$ref.replace("#/definitions/", "")]!);
  if ("const" in part) return fc.constant(part.const);
  if (part.enum) return fc.constantFrom(...part.enum);
  switch (part.type) {
    case "object": {
      const known = Object.entries(part.properties ?? {}).map(([name, inner]) => [name, documents(inner)] as const);
      const more =
        typeof part.additionalProperties === "object" ? documents(part.additionalProperties) : fc.constant(1);
      const extra = fc.oneof({ weight: 9, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: fc.record({ more }) });
      return fc
        .tuple(fc.record(Object.fromEntries(known), { requiredKeys: [] }), extra)
        .map(([fields, others]) => ({ ...fields, ...others }));
    }
    case "array":
      return fc.array(documents(part.items ?? {}), { maxLength: 3 });
    case "integer":
      return fc.integer({ min: (part.minimum ?? 0) - 2, max: (part.maximum ?? 70_000) + 2 });
    case "boolean":
      return fc.boolean();
    default:
      return fc.constantFrom(
        "",
        "a",
        "lab",
        "10.0.2.4",
        "10.0.2.0/24",
        "fd00::/64",
        "15s",
        "1-2",
        "https://a",
        "ö".repeat(70),
      );
  }
}

test("the check finds what ajv finds", () => {
  const ajv = new Ajv({ allErrors: true, strict: false, formats: documentFormats });
  const validate = ajv.compile(schemaFile);
  fc.assert(
    fc.property(documents(schema), (document) => {
      validate(document);
      const theirs = (validate.errors ?? []).map(({ instancePath, keyword, params }) =>
        [instancePath, keyword, params["additionalProperty"] ?? params["missingProperty"]].join(" "),
      );
      const ours = schemaErrors(schema, document, documentFormats).map(({ path, keyword, field }) =>
        [path.map((step) => `/${`${step}`.replaceAll("~", "~0").replaceAll("/", "~1")}`).join(""), keyword, field].join(
          " ",
        ),
      );
      expect(ours.sort()).toEqual(theirs.sort());
    }),
    { numRuns: 150 },
  );
});

test("the check knows every keyword of the schema", () => {
  const silent = ["$schema", "$id", "title", "description", "errorMessage"];
  const keywords = new Set(
    (function* walk(part: Schema): Generator<string> {
      yield* Object.keys(part);
      const { properties = {}, definitions = {}, items, additionalProperties: more } = part;
      for (const inner of [...Object.values(properties), ...Object.values(definitions)]) yield* walk(inner);
      if (items) yield* walk(items);
      if (typeof more === "object") yield* walk(more);
    })(schema),
  );
  const known = [
    ...["$ref", "additionalProperties", "const", "definitions", "enum", "format", "items", "maxItems", "maxLength"],
    ...["maximum", "minItems", "minLength", "minimum", "pattern", "properties", "required", "type", "uniqueItems"],
  ];
  expect([...keywords].filter((keyword) => !silent.includes(keyword)).sort()).toEqual(known.sort());
});
