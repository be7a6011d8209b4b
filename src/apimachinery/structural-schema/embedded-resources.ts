/** What objects inside of objects (x-kubernetes-embedded-resource) must have: apiVersion, kind and valid metadata. */
import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";
import type { KubeObject } from "../../api/object.ts";
import { type FieldError, type FieldPath, invalid, required } from "../field-error.ts";
import { dns1035LabelProblems } from "../name-validation.ts";
import { nameRuleOf, validateObjectMeta } from "../object-meta-validation.ts";

/** Places in `value` get names below `path`. */
export type EmbeddedCheck = (value: unknown, path: FieldPath) => FieldError[];

type Walk = (value: unknown, path: FieldPath, errors: FieldError[]) => void;

/** Undefined when the schema has no embedded resources. */
export function compileEmbedded(schema: JSONSchemaProps): EmbeddedCheck | undefined {
  const walk = compile(schema);
  return (
    walk &&
    ((value, path) => {
      const errors: FieldError[] = [];
      walk(value, path, errors);
      return errors;
    })
  );
}

function compile(schema: JSONSchemaProps): Walk | undefined {
  const { items, additionalProperties } = schema;
  const isEmbedded = schema["x-kubernetes-embedded-resource"] === true;
  const item = items && !Array.isArray(items) ? compile(items) : undefined;
  const value = typeof additionalProperties === "object" ? compile(additionalProperties) : undefined;
  const properties = Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const walk = compile(property);
    return walk ? [{ name, walk }] : [];
  });
  if (!isEmbedded && !item && !value && properties.length === 0) return undefined;
  return (found, path, errors) => {
    if (typeof found !== "object" || found === null) return;
    if (Array.isArray(found)) {
      if (item) for (const [i, one] of found.entries()) item(one, path.index(i), errors);
      return;
    }
    const object = found as Record<string, unknown>;
    if (isEmbedded) checkEnvelope(object, path, errors);
    for (const { name, walk } of properties) walk(object[name], path.child(name), errors);
    if (value)
      for (const key of Object.keys(object)) if (!schema.properties?.[key]) value(object[key], path.key(key), errors);
  };
}

function checkEnvelope(object: Record<string, unknown>, path: FieldPath, errors: FieldError[]): void {
  const { apiVersion, kind, metadata } = object;
  for (const [name, value] of Object.entries({ apiVersion, kind }))
    if (value === undefined) errors.push(required(path.child(name)));
  for (const [name, value] of Object.entries({ apiVersion, kind })) {
    if (value === undefined) continue;
    if (typeof value !== "string") errors.push(invalid(path.child(name), value, "must be a string"));
    else if (!value) errors.push(required(path.child(name)));
  }
  if (typeof apiVersion === "string" && apiVersion.split("/").length > 2)
    errors.push(invalid(path.child("apiVersion"), apiVersion, `unexpected GroupVersion string: ${apiVersion}`));
  if (typeof kind === "string" && kind)
    for (const problem of dns1035LabelProblems(kind.toLowerCase()))
      errors.push(invalid(path.child("kind"), kind, `may have mixed case, but should otherwise match: ${problem}`));
  if (typeof metadata !== "object" || metadata === null) return;
  const meta = metadata as KubeObject["metadata"] & { namespace?: string };
  const named = meta.name ? meta : { ...meta, name: "fakename" };
  errors.push(...validateObjectMeta(named, !!meta.namespace, nameRuleOf("path-segment"), path.child("metadata"), true));
}
