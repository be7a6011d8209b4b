/** Defaults in a schema must be values that it describes: without unknown fields, valid, and good enough for its rules. */
import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";
import { type FieldError, type FieldPath, invalid } from "../field-error.ts";
import { DecodeError } from "../serializer/decode-error.ts";
import { decodeValue } from "../serializer/json.ts";
import { compileEmbedded } from "./embedded-resources.ts";
import { compileRulesValidation } from "./rules.ts";
import { customType } from "./type-schema.ts";
import { compileValidation } from "./validate-value.ts";

/** `path` is where the schema stands. Defaults within additionalProperties are nobody's, as upstream. */
export function validateDefaults(schema: JSONSchemaProps, path: FieldPath, isRoot = true): FieldError[] {
  const errors: FieldError[] = [];
  visit(isRoot ? { ...schema, "x-kubernetes-embedded-resource": true } : schema, path, errors, false);
  return errors;
}

function visit(schema: JSONSchemaProps, path: FieldPath, errors: FieldError[], isInMeta: boolean): void {
  const isEmbedded = schema["x-kubernetes-embedded-resource"] === true;
  if (schema.default !== undefined && schema.default !== null)
    errors.push(...validDefault(schema, path.child("default"), isInMeta && !isEmbedded));
  const { items, properties = {} } = schema;
  const within = isInMeta && !isEmbedded;
  if (items && !Array.isArray(items)) visit(items, path.child("items"), errors, within);
  for (const [name, property] of Object.entries(properties))
    visit(property, path.child("properties").key(name), errors, within || (isEmbedded && envelope.has(name)));
}

const envelope = new Set(["apiVersion", "kind", "metadata"]);

function validDefault(schema: JSONSchemaProps, path: FieldPath, isInMeta: boolean): FieldError[] {
  const value = schema.default;
  const errors: FieldError[] = [];
  if (!isInMeta && hasUnknownFields(schema)) errors.push(invalid(path, value, "must not have unknown fields"));
  const embedded = isInMeta ? [] : (compileEmbedded(schema)?.(value, path) ?? []);
  if (embedded.length > 0) return [...errors, ...embedded];
  const wrong = compileValidation(
    schema,
    false,
  )(value).map(({ field, message, reason }) => ({
    field: field === "" || field === "<nil>" ? path.toString() : `${path}.${field}`,
    message,
    reason,
  }));
  if (wrong.length > 0) return [...errors, ...wrong];
  const judge = compileRulesValidation(schema, schema["x-kubernetes-embedded-resource"] === true);
  if (!judge) return errors;
  const broken = judge(value, value, path).errors;
  return [...errors, ...(broken.length > 0 ? broken : judge(value, undefined, path).errors)];
}

function hasUnknownFields(schema: JSONSchemaProps): boolean {
  const around = { type: "object", properties: { value: schema } } as JSONSchemaProps;
  try {
    return decodeValue({ value: schema.default }, customType(anyKind, around)).problems.length > 0;
  } catch (error) {
    if (error instanceof DecodeError) return false; // Not of its type, which is said elsewhere.
    throw error;
  }
}

const anyKind = { group: "validation", version: "v1", kind: "Validation" };
