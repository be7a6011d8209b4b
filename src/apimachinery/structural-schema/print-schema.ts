/** A schema as upstream's messages print it: its internal form, every field by its Go name. */
import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";
import { printedRule } from "./schema-rules.ts";

type Part = JSONSchemaProps | undefined;

/** Null for none. */
export function printedSchema(schema: Part): object | null {
  if (!schema) return null;
  const list = (parts: readonly JSONSchemaProps[] | undefined) => parts?.map(printedSchema) ?? null;
  const map = (parts: Readonly<Record<string, JSONSchemaProps>> | undefined) =>
    parts
      ? Object.fromEntries(
          Object.keys(parts)
            .sort()
            .map((key) => [key, printedSchema(parts[key])]),
        )
      : null;
  const either = (value: JSONSchemaProps | boolean | undefined) =>
    value === undefined
      ? null
      : { Allows: value !== false, Schema: printedSchema(typeof value === "object" ? value : undefined) };
  const { items } = schema;
  const itemList = Array.isArray(items) ? (items as JSONSchemaProps[]) : undefined;
  return {
    ID: schema.id ?? "",
    Schema: schema.$schema ?? "",
    Ref: schema.$ref ?? null,
    Description: schema.description ?? "",
    Type: schema.type ?? "",
    Nullable: schema.nullable ?? false,
    Format: schema.format ?? "",
    Title: schema.title ?? "",
    Default: schema.default ?? null,
    Maximum: schema.maximum ?? null,
    ExclusiveMaximum: schema.exclusiveMaximum ?? false,
    Minimum: schema.minimum ?? null,
    ExclusiveMinimum: schema.exclusiveMinimum ?? false,
    MaxLength: schema.maxLength ?? null,
    MinLength: schema.minLength ?? null,
    Pattern: schema.pattern ?? "",
    MaxItems: schema.maxItems ?? null,
    MinItems: schema.minItems ?? null,
    UniqueItems: schema.uniqueItems ?? false,
    MultipleOf: schema.multipleOf ?? null,
    Enum: schema.enum ?? null,
    MaxProperties: schema.maxProperties ?? null,
    MinProperties: schema.minProperties ?? null,
    Required: schema.required ?? null,
    Items: items
      ? { Schema: printedSchema(itemList ? undefined : (items as JSONSchemaProps)), JSONSchemas: list(itemList) }
      : null,
    AllOf: list(schema.allOf),
    OneOf: list(schema.oneOf),
    AnyOf: list(schema.anyOf),
    Not: printedSchema(schema.not),
    Properties: map(schema.properties),
    AdditionalProperties: either(schema.additionalProperties as JSONSchemaProps | boolean | undefined),
    PatternProperties: map(schema.patternProperties),
    Dependencies: schema.dependencies ?? null,
    AdditionalItems: either(schema.additionalItems as JSONSchemaProps | boolean | undefined),
    Definitions: map(schema.definitions),
    ExternalDocs: schema.externalDocs
      ? { Description: schema.externalDocs.description ?? "", URL: schema.externalDocs.url ?? "" }
      : null,
    Example: schema.example ?? null,
    XPreserveUnknownFields: schema["x-kubernetes-preserve-unknown-fields"] ?? null,
    XEmbeddedResource: schema["x-kubernetes-embedded-resource"] ?? false,
    XIntOrString: schema["x-kubernetes-int-or-string"] ?? false,
    XListMapKeys: schema["x-kubernetes-list-map-keys"] ?? null,
    XListType: schema["x-kubernetes-list-type"] ?? null,
    XMapType: schema["x-kubernetes-map-type"] ?? null,
    XValidations: schema["x-kubernetes-validations"]?.map(printedRule) ?? null,
  };
}
