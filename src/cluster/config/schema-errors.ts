/**
 * Checks a document against the configuration file's JSON schema. It is read as it stands: compiling it, as ajv does, takes longer than
 * all that `pinnace up` does besides, for a document that is checked once.
 */
import { isDeepStrictEqual } from "node:util";

/** Every keyword that the schema uses; its test says when there is one more. */
export interface Schema {
  $ref?: string;
  definitions?: Record<string, Schema>;
  type?: "object" | "array" | "string" | "integer" | "boolean";
  const?: unknown;
  enum?: unknown[];
  /** What would be right, in place of the keyword's own words. */
  errorMessage?: string;
  pattern?: string;
  format?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  required?: string[];
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
}

export interface SchemaError {
  path: readonly (string | number)[];
  keyword: keyof Schema;
  /** What stands at the path. */
  value: unknown;
  /** What the document breaks; of `additionalProperties` and `required`, whose fields these are. */
  schema: Schema;
  /** As ajv says it. */
  message: string;
  /** The field that is unknown or missing. */
  field?: string;
}

type Formats = Readonly<Record<string, (text: string) => boolean>>;

/** All that is wrong, from the top down. `root` holds the definitions that `schema` refers to. */
export function schemaErrors(schema: Schema, document: unknown, formats: Formats, root = schema): SchemaError[] {
  return [...check(document, schema, [], { root, formats })];
}

interface Rules {
  root: Schema;
  formats: Formats;
}

function* check(value: unknown, schema: Schema, path: SchemaError["path"], rules: Rules): Generator<SchemaError> {
  if (schema.$ref !== undefined) {
    yield* check(value, rules.root.definitions![schema.$ref.replace("#/definitions/", "")]!, path, rules);
    return;
  }
  const wrong = (keyword: keyof Schema, message: string, field?: string): SchemaError => ({
    path,
    keyword,
    value,
    schema,
    message,
    ...(field === undefined ? {} : { field }),
  });
  const { type } = schema;
  if (type && !isOfType[type](value)) yield wrong("type", `must be ${type}`);
  if ("const" in schema && !isDeepStrictEqual(value, schema.const)) yield wrong("const", "must be equal to constant");
  if (schema.enum && !schema.enum.some((known) => isDeepStrictEqual(known, value)))
    yield wrong("enum", "must be equal to one of the allowed values");
  if (typeof value === "string") {
    const length = [...value].length;
    const { minLength = 0, maxLength = length, pattern, format } = schema;
    if (length < minLength) yield wrong("minLength", `must NOT have fewer than ${minLength} characters`);
    if (length > maxLength) yield wrong("maxLength", `must NOT have more than ${maxLength} characters`);
    if (pattern && !new RegExp(pattern, "u").test(value)) yield wrong("pattern", `must match pattern "${pattern}"`);
    if (format && !rules.formats[format]!(value)) yield wrong("format", `must match format "${format}"`);
  } else if (typeof value === "number") {
    const { minimum = value, maximum = value } = schema;
    if (value < minimum) yield wrong("minimum", `must be >= ${minimum}`);
    if (value > maximum) yield wrong("maximum", `must be <= ${maximum}`);
  } else if (Array.isArray(value)) {
    const { items, minItems = 0, maxItems = value.length } = schema;
    if (value.length < minItems) yield wrong("minItems", `must NOT have fewer than ${minItems} items`);
    if (value.length > maxItems) yield wrong("maxItems", `must NOT have more than ${maxItems} items`);
    if (items) for (const [i, item] of value.entries()) yield* check(item, items, [...path, i], rules);
    if (
      schema.uniqueItems &&
      value.some((item, i) => value.slice(0, i).some((other) => isDeepStrictEqual(item, other)))
    )
      yield wrong("uniqueItems", "must NOT have duplicate items");
  } else if (isOfType.object(value)) {
    const { required = [], properties = {}, additionalProperties = true } = schema;
    for (const field of required)
      if (!Object.hasOwn(value, field)) yield wrong("required", `must have required property '${field}'`, field);
    for (const [field, inner] of Object.entries(value)) {
      const known = Object.hasOwn(properties, field) ? properties[field] : additionalProperties;
      if (known === false) yield wrong("additionalProperties", "must NOT have additional properties", field);
      else if (typeof known === "object") yield* check(inner, known, [...path, field], rules);
    }
  }
}

const isOfType = {
  object: (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value),
  array: Array.isArray,
  string: (value: unknown) => typeof value === "string",
  integer: Number.isInteger,
  boolean: (value: unknown) => typeof value === "boolean",
};
