/** The schemas right inside a schema. */
import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";

export function schemaParts(schema: JSONSchemaProps): JSONSchemaProps[] {
  const { items, additionalProperties: values } = schema;
  return [
    ...(Array.isArray(items) ? items : items ? [items] : []),
    ...(schema.allOf ?? []),
    ...(schema.oneOf ?? []),
    ...(schema.anyOf ?? []),
    ...(schema.not ? [schema.not] : []),
    ...Object.values(schema.properties ?? {}),
    ...(typeof values === "object" ? [values] : []),
  ] as JSONSchemaProps[];
}
