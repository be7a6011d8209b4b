/** A custom kind's schema as /openapi shows it. OpenAPI 2 cannot say all of it: what older clients would misunderstand is left out there. */
import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";

type Json = Record<string, unknown>;

/**
 * Without what every kind has (apiVersion, kind, metadata), which the document adds as references. Undefined where any field may stand
 * at the root and the version cannot say so: kubectl refuses what it does not know as soon as one property is named.
 */
export function publishedSchema(schema: JSONSchemaProps | undefined, version: 2 | 3): Json | undefined {
  if (!schema) return undefined;
  if (version === 3) return schema as Json;
  return schema["x-kubernetes-preserve-unknown-fields"] ? undefined : (forVersion2(schema) as Json);
}

/** Keywords that OpenAPI 2 does not have, or that its users misread. */
const unspeakable = new Set(["nullable", "oneOf", "anyOf", "not", "default", "x-kubernetes-validations"]);

function forVersion2(schema: JSONSchemaProps): JSONSchemaProps {
  const out: Json = {};
  for (const [key, value] of Object.entries(schema)) if (!unspeakable.has(key)) out[key] = value;
  const { properties, items, additionalProperties } = schema;
  if (schema["x-kubernetes-preserve-unknown-fields"]) {
    // kubectl takes an object without properties for a map, and a map's values for anything but null.
    for (const key of ["type", "properties", "items"]) delete out[key];
    return out;
  }
  if (schema["x-kubernetes-int-or-string"] || schema.nullable) {
    // A type would forbid null, or one of the two.
    delete out["type"];
    if (schema.nullable) for (const key of ["properties", "items", "additionalProperties"]) delete out[key];
    return out;
  }
  if (properties) out["properties"] = mapValues(properties, forVersion2);
  if (items && !Array.isArray(items)) {
    if (items.nullable) {
      // A list that may hold nulls cannot be described.
      delete out["type"];
      delete out["items"];
    } else out["items"] = forVersion2(items);
  }
  if (typeof additionalProperties === "object") out["additionalProperties"] = forVersion2(additionalProperties);
  return out as JSONSchemaProps;
}

function mapValues<T, U>(record: Readonly<Record<string, T>>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
