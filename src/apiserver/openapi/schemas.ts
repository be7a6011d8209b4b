/** JSON schemas of API types, from the schema tables, for OpenAPI 2 and 3. */
import { describeField, describeType, describeValue } from "../../api/descriptions/index.ts";
import { enumerationOf } from "../../api/enumerations.ts";
import { type FieldSchema, type TypeSchema, typeSchema, type ValueSchema } from "../../api/schema.ts";

type Json = Record<string, unknown>;

/** Types that OpenAPI names although they are a single value in JSON. */
const namedScalars = {
  quantity: "io.k8s.apimachinery.pkg.api.resource.Quantity",
  time: "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
  microtime: "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
  "int-or-string": "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
} as const;

/** Collects the schemas of types and of everything they refer to, under the names that references use. */
export class SchemaCollector {
  readonly schemas: Record<string, Json> = {};
  readonly #version: 2 | 3;
  readonly #prefix: string;

  constructor(version: 2 | 3) {
    this.#version = version;
    this.#prefix = version === 2 ? "#/definitions/" : "#/components/schemas/";
  }

  /** A reference to the type; its schema is in `schemas` from now on. */
  ref(type: TypeSchema): Json {
    const { fullName } = type;
    if (!this.schemas[fullName]) {
      this.schemas[fullName] = {}; // Stands while its own fields are visited: types may contain themselves.
      this.schemas[fullName] = this.#struct(type);
    }
    return { $ref: this.#prefix + fullName };
  }

  /** A reference to what a patch is: any JSON. */
  patch(): Json {
    const name = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
    this.#free(name);
    return { $ref: this.#prefix + name };
  }

  #struct(type: TypeSchema): Json {
    if (type.published) return this.#published(type, type.published(this.#version));
    const schema: Json = { ...described(describeType(type)), type: "object" };
    if (type.fields.length > 0) {
      const properties: Json = {};
      for (const field of type.fields) {
        properties[field.name] = { ...described(describeField(type, field.name)), ...this.#field(field) };
      }
      schema["properties"] = properties;
    }
    const required = type.fields.filter((field) => field.required).map((field) => field.name);
    if (required.length > 0) schema["required"] = required;
    if (type.atomic) schema["x-kubernetes-map-type"] = "atomic";
    if (type.preserveUnknown) schema["x-kubernetes-preserve-unknown-fields"] = true;
    if (type.gvk) schema["x-kubernetes-group-version-kind"] = [type.gvk];
    if (type.unions) schema["x-kubernetes-unions"] = type.unions;
    return schema;
  }

  /** A custom resource's own schema, and what every object has. */
  #published(type: TypeSchema, published: Json | undefined): Json {
    const schema: Json = published ? this.#withEnvelope(type, published) : { type: "object" };
    if (type.gvk) schema["x-kubernetes-group-version-kind"] = [type.gvk];
    return schema;
  }

  #withEnvelope(type: TypeSchema, published: Json): Json {
    const metadata = type.byName.get("metadata");
    const apiVersion = "APIVersion defines in which version of the API this object is written.";
    return {
      ...published,
      properties: {
        apiVersion: { type: "string", description: apiVersion },
        kind: { type: "string", description: "What sort of object this is." },
        ...(metadata ? { metadata: { description: "Standard object's metadata.", ...this.#field(metadata) } } : {}),
        ...withoutEnvelope(published["properties"] as Json | undefined),
      },
    };
  }

  #field(field: FieldSchema): Json {
    const schema = this.value(field.value);
    const words = enumerationOf(field);
    if (words) Object.assign(field.value.kind === "list" ? (schema["items"] as Json) : schema, { enum: words });
    if (field.mapType) schema["x-kubernetes-map-type"] = field.mapType;
    if (field.patchStrategy?.length) schema["x-kubernetes-patch-strategy"] = field.patchStrategy.join(",");
    if (field.patchMergeKey) schema["x-kubernetes-patch-merge-key"] = field.patchMergeKey;
    return schema;
  }

  value(value: ValueSchema): Json {
    const schema = this.#bare(value);
    if (value.nullable) schema["nullable"] = true;
    if (value.default !== undefined) schema["default"] = value.default;
    return schema;
  }

  #bare(value: ValueSchema): Json {
    switch (value.kind) {
      case "scalar":
        return this.#scalar(value.scalar);
      case "struct":
        return this.#reference(this.ref(value.type));
      case "list": {
        const schema: Json = { type: "array", items: this.value(value.items) };
        if (value.listTypeGiven) schema["x-kubernetes-list-type"] = value.listType;
        if (value.mapKeys.length > 0) schema["x-kubernetes-list-map-keys"] = [...value.mapKeys];
        return schema;
      }
      case "map": {
        const schema: Json = { type: "object", additionalProperties: this.value(value.values) };
        if (value.atomic) schema["x-kubernetes-map-type"] = "atomic";
        return schema;
      }
      case "any":
        return value.fullName ? this.#free(value.fullName) : { "x-kubernetes-preserve-unknown-fields": true };
      case "either":
        // Struct or something simpler: OpenAPI 2 can only say that it is free.
        return this.#free(value.fullName);
    }
  }

  #scalar(scalar: string): Json {
    switch (scalar) {
      case "boolean":
        return { type: "boolean" };
      case "int32":
      case "int64":
        return { type: "integer", format: scalar };
      case "double":
        return { type: "number", format: "double" };
      case "bytes":
        return { type: "string", format: "byte" };
      case "quantity":
      case "time":
      case "microtime":
      case "int-or-string":
        return this.#named(scalar);
      default:
        return { type: "string" };
    }
  }

  #named(scalar: keyof typeof namedScalars): Json {
    const name = namedScalars[scalar];
    this.schemas[name] ??= { ...described(describeValue(name)), ...this.#namedSchema(scalar) };
    return this.#reference({ $ref: this.#prefix + name });
  }

  #namedSchema(scalar: keyof typeof namedScalars): Json {
    switch (scalar) {
      case "quantity":
        return this.#version === 2 ? { type: "string" } : { oneOf: [{ type: "string" }, { type: "number" }] };
      case "time":
      case "microtime":
        return { type: "string", format: "date-time" };
      case "int-or-string":
        return this.#version === 2
          ? { type: "string", format: "int-or-string" }
          : { format: "int-or-string", oneOf: [{ type: "integer" }, { type: "string" }] };
    }
  }

  #free(name: string): Json {
    this.schemas[name] ??= {
      ...described(describeValue(name)),
      ...(freeIsObject.test(name) ? { type: "object" } : {}),
    };
    return this.#reference({ $ref: this.#prefix + name });
  }

  /** OpenAPI 3 allows nothing beside `$ref`, so upstream wraps references; a wrapped one can carry a description. */
  #reference(ref: Json): Json {
    return this.#version === 2 ? ref : { allOf: [ref] };
  }
}

function described(description: string | undefined): Json {
  return description === undefined ? {} : { description };
}

function withoutEnvelope(properties: Json | undefined): Json {
  const { apiVersion: _1, kind: _2, metadata: _3, ...own } = properties ?? {};
  return own;
}

const freeIsObject = /\.(RawExtension|FieldsV1|Patch)$/;

/** Kinds that every group-version's operations speak of. */
export const statusType = (): TypeSchema => known("io.k8s.apimachinery.pkg.apis.meta.v1.Status");
export const deleteOptionsType = (): TypeSchema => known("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions");
export const watchEventType = (): TypeSchema => known("io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent");

function known(fullName: string): TypeSchema {
  const type = typeSchema(fullName);
  if (!type) throw new Error(`the schema tables have no ${fullName}`);
  return type;
}
