/** Fills in what a structural schema says of absent values; nulls that may not be are taken for absent first. */
import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";

/** Changes the object in place. */
export type Defaulter = (object: object) => void;

type Walk = (value: unknown) => void;

/** Compiled once a schema; undefined when there is nothing to do in any object. */
export function compileDefaulting(schema: JSONSchemaProps | undefined): Defaulter | undefined {
  return schema && (compile(schema, true) as Defaulter | undefined);
}

/** Whether an object without nulls could come out changed. */
export function hasDefaults(schema: JSONSchemaProps | undefined): boolean {
  if (!schema) return false;
  const { properties, items, additionalProperties } = schema;
  return (
    schema.default !== undefined ||
    Object.values(properties ?? {}).some(hasDefaults) ||
    (items !== undefined && !Array.isArray(items) && hasDefaults(items)) ||
    (typeof additionalProperties === "object" && hasDefaults(additionalProperties))
  );
}

function compile(schema: JSONSchemaProps, isRoot = false): Walk | undefined {
  switch (schema.type) {
    case "object":
      return compileObject(schema, isRoot || schema["x-kubernetes-embedded-resource"] === true);
    case "array":
      return compileArray(schema);
    default:
      return undefined;
  }
}

interface Property {
  name: string;
  fallback: unknown;
  isNullable: boolean;
  walk: Walk | undefined;
}

function compileObject(schema: JSONSchemaProps, isResource: boolean): Walk | undefined {
  const properties = Object.entries(schema.properties ?? {})
    .filter(([name]) => !isResource || !envelope.has(name))
    .map(
      ([name, property]): Property => ({
        name,
        fallback: property.default,
        isNullable: property.nullable === true,
        walk: compile(property),
      }),
    );
  const values = typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined;
  const walkValue = values && compile(values);
  if (properties.length === 0 && !values) return undefined;
  return (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return;
    const object = value as Record<string, unknown>;
    for (const { name, fallback, isNullable, walk } of properties) {
      let child = object[name];
      if (child === undefined || (child === null && !isNullable)) {
        if (fallback === undefined) {
          if (child === null) delete object[name];
          continue;
        }
        object[name] = child = structuredClone(fallback);
      }
      walk?.(child);
    }
    if (!values) return;
    for (const key in object) {
      if (object[key] === null && !values.nullable) {
        if (values.default === undefined) delete object[key];
        else object[key] = structuredClone(values.default);
      }
      walkValue?.(object[key]);
    }
  };
}

const envelope = new Set(["apiVersion", "kind", "metadata"]);

function compileArray({ items }: JSONSchemaProps): Walk | undefined {
  if (!items || Array.isArray(items)) return undefined;
  const walk = compile(items);
  const fallback = items.nullable ? undefined : items.default;
  if (!walk && fallback === undefined) return undefined;
  return (value) => {
    if (!Array.isArray(value)) return;
    for (let i = 0; i < value.length; i++) {
      if (value[i] === null && fallback !== undefined) value[i] = structuredClone(fallback);
      walk?.(value[i]);
    }
  };
}
