/** Objects as Go writes the struct of their kind: its fields in their order, and those of them that it always writes. */
import { type FieldSchema, schemaForKind, type TypeSchema, type ValueSchema } from "../../api/schema.ts";
import type { Unstructured } from "../api.ts";
import { splitApiVersion } from "../resource-catalog.ts";

/** Unchanged for a kind that no schema describes. */
export function asTyped(object: Unstructured): Unstructured {
  const { group, version } = splitApiVersion(object.apiVersion ?? "");
  const schema = schemaForKind(group, version, object.kind ?? "");
  if (!schema) return object;
  const { kind, apiVersion, ...rest } = object;
  return { kind, apiVersion, ...structOf(schema, rest) } as unknown as Unstructured;
}

function structOf(schema: TypeSchema, value: Record<string, unknown>): Record<string, unknown> {
  const written: Record<string, unknown> = {};
  for (const field of schema.fields) {
    const given = writtenValue(schema, field, value[field.name]);
    if (given !== undefined) written[field.name] = given;
  }
  const unknown = Object.entries(value).filter(([name]) => !schema.byName.has(name));
  return { ...written, ...Object.fromEntries(unknown) };
}

function writtenValue(schema: TypeSchema, { name, value: type, whenEmpty, required }: FieldSchema, given: unknown) {
  if (given !== undefined && given !== null) {
    return whenEmpty === "omit" && isZero(given) ? undefined : writtenAs(type, given);
  }
  // Since 1.34 a head or template that was never stored has no time.
  if (schema.name === "ObjectMeta" && name === "creationTimestamp") return undefined;
  if (whenEmpty === "null") return null;
  if (whenEmpty !== "emit") return undefined;
  switch (type.kind) {
    case "struct":
      return structOf(type.type, {});
    case "list":
      return required ? [] : null;
    case "scalar":
      return zeroOf(type.scalar);
    default:
      return undefined;
  }
}

function writtenAs(type: ValueSchema, value: unknown): unknown {
  if (type.kind === "struct" && typeof value === "object") {
    return structOf(type.type, value as Record<string, unknown>);
  }
  if (type.kind === "list" && Array.isArray(value)) return value.map((item) => writtenAs(type.items, item));
  if (type.kind === "map" && typeof value === "object") {
    const entries = Object.entries(value as object).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(entries.map(([key, item]) => [key, writtenAs(type.values, item)]));
  }
  return value;
}

function isZero(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === "" || value === 0 || value === false;
}

function zeroOf(scalar: string): unknown {
  if (scalar === "boolean") return false;
  if (scalar === "int32" || scalar === "int64" || scalar === "double") return 0;
  return scalar === "time" || scalar === "microtime" ? null : "";
}
