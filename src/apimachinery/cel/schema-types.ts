/** CEL types of what a schema describes: an OpenAPI v3 schema as CustomResourceDefinitions hold it, or a built-in kind's schema table. */
import type { TypeSchema, ValueSchema } from "../../api/schema.ts";
import {
  Bool,
  Bytes,
  type CelType,
  Double,
  Duration,
  Dyn,
  Int,
  type ListType,
  type MapType,
  type ObjectField,
  type ObjectType,
  objectOf,
  Text,
  Timestamp,
} from "./types.ts";

/** The keywords of a structural schema that matter to CEL. */
export interface OpenApiSchema {
  readonly type?: string;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, OpenApiSchema>>;
  readonly additionalProperties?: OpenApiSchema | boolean;
  readonly items?: OpenApiSchema;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly default?: unknown;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
  readonly "x-kubernetes-embedded-resource"?: boolean;
  readonly "x-kubernetes-list-type"?: string;
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
}

/** Bytes of a request: what bounds the sizes that a schema leaves open. */
const maximumRequestBytes = 3 * 1024 * 1024;

const metadataType = objectOf("ObjectMeta", { name: Text, generateName: Text });

/**
 * The type of values that the schema describes; undefined when expressions cannot see them (preserved unknown content without a type).
 * `isResourceRoot`: apiVersion, kind, and metadata's name and generateName are there too.
 */
export function celTypeOfOpenApi(schema: OpenApiSchema, name = "object", isResourceRoot = false): CelType | undefined {
  if (schema["x-kubernetes-int-or-string"])
    return { kind: "dyn", maxSize: schema.maxLength ?? maximumRequestBytes - 2 };
  switch (schema.type) {
    case "object":
      return objectType(schema, name, isResourceRoot || schema["x-kubernetes-embedded-resource"] === true);
    case "array":
      return arrayType(schema, name);
    case "string":
      return stringType(schema);
    case "boolean":
      return Bool;
    case "integer":
      return Int;
    case "number":
      return Double;
    default:
      return undefined;
  }
}

function objectType(schema: OpenApiSchema, name: string, isResource: boolean): CelType | undefined {
  const { properties, additionalProperties } = schema;
  if (typeof additionalProperties === "object" && !isResource) {
    const value = celTypeOfOpenApi(additionalProperties, `${name}.@values`);
    if (!value) return undefined;
    // Each entry takes at least a quoted key, a colon, a comma and its value.
    const most = schema.maxProperties ?? itemsWithin(smallestSize(additionalProperties) + 6);
    return {
      kind: "map",
      key: { kind: "string", maxSize: maximumRequestBytes - 2 },
      value,
      maxSize: most,
    } satisfies MapType;
  }
  const fields = new Map<string, ObjectField>();
  for (const [key, property] of Object.entries(properties ?? {})) {
    const escaped = escapeName(key);
    if (escaped === undefined || (isResource && key === "metadata")) continue;
    const type = celTypeOfOpenApi(property, `${name}.${key}`);
    if (type) fields.set(escaped, { type, jsonName: key });
  }
  if (isResource) {
    fields.set("apiVersion", { type: Text, jsonName: "apiVersion" });
    fields.set("kind", { type: Text, jsonName: "kind" });
    fields.set("metadata", { type: metadataType, jsonName: "metadata" });
  }
  return { kind: "object", name, fields } satisfies ObjectType;
}

function arrayType(schema: OpenApiSchema, name: string): CelType | undefined {
  if (!schema.items) return undefined;
  const element = celTypeOfOpenApi(schema.items, `${name}.@idx`);
  if (!element) return undefined;
  const listType = schema["x-kubernetes-list-type"];
  return {
    kind: "list",
    element,
    maxSize: schema.maxItems ?? itemsWithin(smallestSize(schema.items) + 1),
    ...(listType === "set" || listType === "map" ? { listType } : {}),
    ...(listType === "map"
      ? { mapKeys: (schema["x-kubernetes-list-map-keys"] ?? []).map((key) => escapeName(key) ?? key) }
      : {}),
  } satisfies ListType;
}

function stringType(schema: OpenApiSchema): CelType {
  switch (schema.format) {
    case "byte":
      return { ...Bytes, maxSize: schema.maxLength ?? maximumRequestBytes - 2 };
    case "duration":
      return Duration;
    case "date":
    case "date-time":
      return Timestamp;
    default: {
      const longest = longestOfEnum(schema.enum);
      return { ...Text, maxSize: schema.maxLength ?? longest ?? maximumRequestBytes - 2 };
    }
  }
}

function longestOfEnum(values: readonly unknown[] | undefined): number | undefined {
  if (!values?.length) return undefined;
  return Math.max(...values.map((value) => (typeof value === "string" ? value.length : 0)));
}

function itemsWithin(bytesEach: number): number {
  return Math.floor((maximumRequestBytes - 2) / bytesEach);
}

/** The fewest bytes that a value takes in JSON: of an object, with all that it must have and that no default fills in. */
export function smallestSize(schema: OpenApiSchema): number {
  if (schema["x-kubernetes-int-or-string"]) return 1;
  switch (schema.type) {
    case "object": {
      if (typeof schema.additionalProperties === "object") return 2;
      let size = 2;
      for (const name of schema.required ?? []) {
        const property = schema.properties?.[name];
        if (property && property.default === undefined) size += name.length + smallestSize(property) + 4;
      }
      return size;
    }
    case "array":
      return 2;
    case "string":
      return schema.format === "date-time" ? 22 : schema.format === "date" ? 12 : schema.format === "duration" ? 4 : 2;
    case "boolean":
      return 4;
    default:
      return 1;
  }
}

const reservedNames = new Set(
  "true false null in as break const continue else for function if import let loop package namespace return var void while".split(
    " ",
  ),
);

/** How expressions call a property: `foo-bar` is `foo__dash__bar`. Undefined: they cannot. */
export function escapeName(name: string): string | undefined {
  if (reservedNames.has(name)) return `__${name}__`;
  const escaped = name
    .replaceAll("__", "\0")
    .replaceAll(".", "__dot__")
    .replaceAll("-", "__dash__")
    .replaceAll("/", "__slash__")
    .replaceAll("\0", "__underscores__");
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(escaped) ? escaped : undefined;
}

const known = new WeakMap<TypeSchema, ObjectType>();

/** The type of a built-in kind; fields are read when they are first asked for, since kinds may contain themselves. */
export function celTypeOfSchema(schema: TypeSchema): ObjectType {
  const made = known.get(schema);
  if (made) return made;
  let fields: ReadonlyMap<string, ObjectField> | undefined;
  const type: ObjectType = {
    kind: "object",
    name: schema.fullName,
    get fields() {
      fields ??= fieldsOf(schema);
      return fields;
    },
  };
  known.set(schema, type);
  return type;
}

function fieldsOf(schema: TypeSchema): ReadonlyMap<string, ObjectField> {
  const fields = new Map<string, ObjectField>();
  for (const { name, value } of schema.fields) {
    const escaped = escapeName(name);
    if (escaped !== undefined) fields.set(escaped, { type: celTypeOfValue(value), jsonName: name });
  }
  return fields;
}

function celTypeOfValue(value: ValueSchema): CelType {
  switch (value.kind) {
    case "scalar":
      switch (value.scalar) {
        case "boolean":
          return Bool;
        case "int32":
        case "int64":
          return Int;
        case "double":
          return Double;
        case "bytes":
          return Bytes;
        case "time":
        case "microtime":
          return Timestamp;
        case "int-or-string":
          return Dyn;
        default:
          return Text;
      }
    case "struct":
      return celTypeOfSchema(value.type);
    case "list":
      return { kind: "list", element: celTypeOfValue(value.items) };
    case "map":
      return { kind: "map", key: Text, value: celTypeOfValue(value.values) };
    default:
      return Dyn;
  }
}
