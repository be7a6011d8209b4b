/** A CustomResourceDefinition's schema as the TypeSchema that decoding, pruning, patches, server-side apply and OpenAPI read. */
import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";
import {
  type FieldSchema,
  type GroupVersionKind,
  type TypeSchema,
  typeSchema,
  type ValueSchema,
} from "../../api/schema.ts";
import { publishedSchema } from "./published-schema.ts";

const text: ValueSchema = { kind: "scalar", scalar: "string" };
const free: ValueSchema = { kind: "any", fullName: "", atomic: false };

/** The type of a custom kind. A definition that preserves unknown fields throughout has no schema of its own: everything is kept. */
export function customType(gvk: GroupVersionKind, schema: JSONSchemaProps | undefined): TypeSchema {
  const fullName = `${gvk.group.split(".").reverse().join(".")}.${gvk.version}.${gvk.kind}`;
  const type = structType(fullName, schema ?? { "x-kubernetes-preserve-unknown-fields": true }, true);
  return { ...type, gvk, published: (version) => publishedSchema(schema, version) };
}

/** The list of a custom kind, for OpenAPI. */
export function customListType(items: TypeSchema, listKind: string): TypeSchema {
  const { gvk } = items;
  const listMeta = typeSchema("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta")!;
  const list: ValueSchema = {
    kind: "list",
    items: { kind: "struct", type: items, atomic: false },
    listType: "atomic",
    listTypeGiven: false,
    mapKeys: [],
    wrapped: false,
  };
  return makeType(
    `${items.fullName.slice(0, -items.name.length)}${listKind}`,
    [
      field("apiVersion", text),
      field("items", list, true),
      field("kind", text),
      field("metadata", { kind: "struct", type: listMeta, atomic: false }),
    ],
    { ...(gvk ? { gvk: { ...gvk, kind: listKind } } : {}) },
  );
}

function structType(fullName: string, schema: JSONSchemaProps, isResource: boolean): TypeSchema {
  const required = new Set(schema.required ?? []);
  const fields: FieldSchema[] = [];
  if (isResource) {
    const metadata = typeSchema("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")!;
    fields.push(field("apiVersion", text), field("kind", text));
    fields.push(field("metadata", { kind: "struct", type: metadata, atomic: false }));
  }
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (isResource && (name === "apiVersion" || name === "kind" || name === "metadata")) continue;
    fields.push(field(name, schemaValue(property, `${fullName}.${name}`), required.has(name)));
  }
  return makeType(fullName, fields, {
    atomic: schema["x-kubernetes-map-type"] === "atomic",
    preserveUnknown: schema["x-kubernetes-preserve-unknown-fields"] === true,
  });
}

function makeType(fullName: string, fields: readonly FieldSchema[], more: Partial<TypeSchema>): TypeSchema {
  return {
    fullName,
    name: fullName.slice(fullName.lastIndexOf(".") + 1),
    fields,
    byName: new Map(fields.map((one) => [one.name, one])),
    atomic: false,
    preserveUnknown: false,
    custom: true,
    ...more,
  };
}

function field(name: string, value: ValueSchema, required = false): FieldSchema {
  return { name, value, required, whenEmpty: "keep" };
}

function schemaValue(schema: JSONSchemaProps, fullName: string): ValueSchema {
  const more = {
    ...(schema.nullable ? { nullable: true } : {}),
    ...(schema.default !== undefined ? { default: schema.default } : {}),
  };
  return { ...bareValue(schema, fullName), ...more } as ValueSchema;
}

function bareValue(schema: JSONSchemaProps, fullName: string): ValueSchema {
  if (schema["x-kubernetes-int-or-string"]) return { kind: "scalar", scalar: "int-or-string" };
  switch (schema.type) {
    case "object": {
      const isResource = schema["x-kubernetes-embedded-resource"] === true;
      const atomic = schema["x-kubernetes-map-type"] === "atomic";
      const { additionalProperties, properties } = schema;
      if (additionalProperties && !isResource) {
        const values = additionalProperties === true ? free : schemaValue(additionalProperties, `${fullName}.values`);
        return { kind: "map", values, atomic, wrapped: false };
      }
      const isFree = !properties && !isResource && schema["x-kubernetes-preserve-unknown-fields"] === true;
      if (isFree) return { ...free, atomic } as ValueSchema;
      return { kind: "struct", type: structType(fullName, schema, isResource), atomic };
    }
    case "array": {
      const items =
        schema.items && !Array.isArray(schema.items) ? schemaValue(schema.items, `${fullName}.items`) : free;
      const given = schema["x-kubernetes-list-type"];
      return {
        kind: "list",
        items,
        listType: given === "set" || given === "map" ? given : "atomic",
        listTypeGiven: given !== undefined,
        mapKeys: schema["x-kubernetes-list-map-keys"] ?? [],
        wrapped: false,
      };
    }
    case "string":
      return text;
    case "boolean":
      return { kind: "scalar", scalar: "boolean" };
    case "integer":
      return { kind: "scalar", scalar: "int64" };
    case "number":
      return { kind: "scalar", scalar: "double" };
    default:
      return free;
  }
}
