/** Finds for a place in an object the same place in its previous state: by field, by map key, by the keys of list maps. */
import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";
import { deepEqual } from "../patch/deep-equal.ts";
import type { PlacedError } from "./validate-value.ts";

/** The item of `previous` that `item` continues; undefined when there is none, or when the list is not a map. */
export function previousItem(schema: JSONSchemaProps, previous: unknown, item: unknown): unknown {
  if (schema["x-kubernetes-list-type"] !== "map" || !Array.isArray(previous)) return undefined;
  const items = schema.items && !Array.isArray(schema.items) ? schema.items : undefined;
  const keyOf = (of: unknown, key: string) =>
    (of as Record<string, unknown> | null | undefined)?.[key] ?? items?.properties?.[key]?.default;
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  return previous.find((other) => keys.every((key) => deepEqual(keyOf(other, key), keyOf(item, key))));
}

/** Leaves out the errors of parts that are as they were: an object that was let in under older rules may stay (ratcheting). */
export function withoutUnchanged(
  errors: readonly PlacedError[],
  schema: JSONSchemaProps,
  next: unknown,
  previous: unknown,
): PlacedError[] {
  return errors.filter((error) => !isUnchanged(error, schema, next, previous));
}

function isUnchanged(
  { steps, reason }: PlacedError,
  schema: JSONSchemaProps,
  next: unknown,
  previous: unknown,
): boolean {
  let at: JSONSchemaProps | undefined = schema;
  // What is missing belongs to the object that lacks it.
  const last = reason === "FieldValueRequired" ? steps.length - 1 : steps.length;
  for (let i = 0; i <= last; i++) {
    if (previous === undefined) return false;
    if (i > 0 && deepEqual(next, previous)) return true;
    const step = steps[i];
    if (step === undefined || !at) return false;
    if (typeof step === "number") {
      const item = (next as unknown[] | undefined)?.[step];
      previous = previousItem(at, previous, item);
      next = item;
      at = at.items && !Array.isArray(at.items) ? at.items : undefined;
    } else {
      next = (next as Record<string, unknown> | undefined)?.[step];
      previous = (previous as Record<string, unknown> | undefined)?.[step];
      const values: JSONSchemaProps | undefined =
        typeof at.additionalProperties === "object" ? at.additionalProperties : undefined;
      at = at.properties?.[step] ?? values;
    }
  }
  return false;
}
