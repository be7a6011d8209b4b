/** Whether a schema is structural: every value has a type outside of the alternatives, which only restrict values (ValidateStructural upstream). */
import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";
import { compileRegex } from "../cel/regex.ts";
import { type FieldError, type FieldPath, forbidden, invalid, required } from "../field-error.ts";
import { deepEqual } from "../patch/deep-equal.ts";

type Level = "root" | "items" | "field";

/** In upstream's order: by text. */
export function validateStructural(schema: JSONSchemaProps, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  visit(schema, "root", path, errors);
  complete(schema, schema, path, path, errors);
  const textOf = ({ field, message }: FieldError) => `${field}: ${message}`;
  return errors.sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1));
}

/** Keywords that no structural form knows. Undefined when there are none. */
export function unsupportedKeyword(schema: JSONSchemaProps): string | undefined {
  const not = (name: string) => `OpenAPIV3Schema '${name}' is not supported`;
  if (schema.id) return not("id");
  if (schema.$schema) return not("schema");
  if (schema.$ref) return not("$ref");
  if (hasKeys(schema.patternProperties)) return not("patternProperties");
  if (hasKeys(schema.dependencies)) return not("dependencies");
  if (schema.additionalItems !== undefined) return not("additionalItems");
  if (hasKeys(schema.definitions)) return not("definitions");
  for (const one of [schema.not, ...(schema.allOf ?? []), ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) {
    const problem = one && unsupportedKeyword(one);
    if (problem) return problem;
  }
  if (typeof schema.additionalProperties === "object") {
    const problem = unsupportedKeyword(schema.additionalProperties);
    if (problem) return problem;
  }
  if (schema["x-kubernetes-preserve-unknown-fields"] === false)
    return "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined";
  if (Array.isArray(schema.items)) return "OpenAPIV3Schema 'items' must be a schema, but is an array";
  for (const one of [schema.items, ...Object.values(schema.properties ?? {})] as (JSONSchemaProps | undefined)[]) {
    const problem = one && unsupportedKeyword(one);
    if (problem) return problem;
  }
  return undefined;
}

const hasKeys = (value: object | undefined) => value !== undefined && Object.keys(value).length > 0;

const itemsOf = ({ items }: JSONSchemaProps) =>
  items && !Array.isArray(items) ? (items as JSONSchemaProps) : undefined;

const whereTypesAreMissing: Readonly<Record<Level, string>> = {
  root: "must not be empty at the root",
  items: "must not be empty for specified array items",
  field: "must not be empty for specified object fields",
};

function visit(schema: JSONSchemaProps, level: Level, path: FieldPath, errors: FieldError[]): void {
  const { type, properties, additionalProperties } = schema;
  const items = itemsOf(schema);
  if (type === "array" && !items) errors.push(required(path.child("items"), "must be specified"));
  if (items) visit(items, "items", path.child("items"), errors);
  for (const [name, property] of Object.entries(properties ?? {}))
    visit(property, "field", path.child("properties").key(name), errors);
  if (additionalProperties !== undefined) {
    if (level === "root") errors.push(forbidden(path.child("additionalProperties"), "must not be used at the root"));
    if (typeof additionalProperties === "object")
      visit(additionalProperties, "field", path.child("additionalProperties"), errors);
  }
  const isIntOrString = schema["x-kubernetes-int-or-string"] === true;
  const isEmbedded = schema["x-kubernetes-embedded-resource"] === true;
  const keepsUnknown = schema["x-kubernetes-preserve-unknown-fields"] === true;
  for (const keyword of ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"] as const)
    if (isIntOrString && schema[keyword])
      errors.push(invalid(path.child(keyword), true, "must be false if x-kubernetes-int-or-string is true"));
  const mayNameTypes = deepEqual(schema.anyOf, intOrString);
  const firstMayNameTypes = deepEqual(schema.allOf?.[0]?.anyOf, intOrString);
  restrictions(schema, path, errors, mayNameTypes, firstMayNameTypes);
  if (isEmbedded && type !== "object") {
    const why = "must be object if x-kubernetes-embedded-resource is true";
    errors.push(type ? invalid(path.child("type"), type, why) : required(path.child("type"), why));
  } else if (!type && !isIntOrString && !keepsUnknown) {
    errors.push(required(path.child("type"), whereTypesAreMissing[level]));
  }
  if (isEmbedded && additionalProperties !== undefined)
    errors.push(
      forbidden(path.child("additionalProperties"), "must not be used if x-kubernetes-embedded-resource is set"),
    );
  if (level === "root" && type && type !== "object")
    errors.push(invalid(path.child("type"), type, "must be object at the root"));
  if (level === "root" || isEmbedded) envelope(schema, level, path, errors);
  if (isEmbedded && !keepsUnknown && !hasKeys(properties))
    errors.push(
      required(
        path.child("properties"),
        "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
      ),
    );
}

const intOrString = [{ type: "integer" }, { type: "string" }];

/** What every object has anyway may be described only so far. */
function envelope({ properties }: JSONSchemaProps, level: Level, path: FieldPath, errors: FieldError[]): void {
  for (const name of ["kind", "apiVersion"]) {
    const property = properties?.[name];
    if (property && property.type !== "string")
      errors.push(invalid(path.child("properties").key(name).child("type"), property.type ?? "", "must be string"));
  }
  const metadata = properties?.["metadata"];
  if (!metadata) return;
  const at = path.child("properties").key("metadata");
  if (metadata.type !== "object") errors.push(invalid(at.child("type"), metadata.type ?? "", "must be object"));
  if (level !== "root") return;
  const { type: _1, default: _2, properties: fields = {}, externalDocs: _3, example: _4, ...rest } = metadata;
  const onlyNames = Object.keys(fields).every((name) => name === "name" || name === "generateName");
  const says = Object.values(rest).some((value) => value !== undefined && value !== "" && value !== false);
  if (!onlyNames || says)
    errors.push(
      forbidden(at, "must not specify anything other than name and generateName, but metadata is implicitly specified"),
    );
}

/** Alternatives and patterns. `mayNameTypes`: that a value is an integer or a string may be said in anyOf. */
function restrictions(
  { allOf, anyOf, oneOf, not, pattern }: JSONSchemaProps,
  path: FieldPath,
  errors: FieldError[],
  mayNameTypes: boolean,
  firstMayNameTypes: boolean,
): void {
  if (!mayNameTypes)
    anyOf?.forEach((one, i) => {
      restriction(one, path.child("anyOf").index(i), errors);
    });
  allOf?.forEach((one, i) => {
    restriction(one, path.child("allOf").index(i), errors, firstMayNameTypes && i === 0);
  });
  oneOf?.forEach((one, i) => {
    restriction(one, path.child("oneOf").index(i), errors);
  });
  if (not) restriction(not, path.child("not"), errors);
  if (pattern) validPattern(pattern, path, errors);
}

function restriction(schema: JSONSchemaProps, path: FieldPath, errors: FieldError[], mayNameTypes = false): void {
  restrictions(schema, path, errors, mayNameTypes, false);
  const items = itemsOf(schema);
  if (items) restriction(items, path.child("items"), errors);
  for (const [name, property] of Object.entries(schema.properties ?? {}))
    restriction(property, path.child("properties").key(name), errors);
  const refuse = (keyword: keyof JSONSchemaProps, must: string) =>
    errors.push(forbidden(path.child(keyword), `must be ${must} to be structural`));
  if (schema.type) refuse("type", "empty");
  if (schema.additionalProperties !== undefined) refuse("additionalProperties", "undefined");
  if (schema.default !== undefined) refuse("default", "undefined");
  if (schema.title) refuse("title", "empty");
  if (schema.description) refuse("description", "empty");
  for (const keyword of flags) if (schema[keyword]) refuse(keyword, "false");
  if (schema["x-kubernetes-list-map-keys"]?.length) refuse("x-kubernetes-list-map-keys", "empty");
  for (const keyword of ["x-kubernetes-list-type", "x-kubernetes-map-type"] as const)
    if (schema[keyword] !== undefined) refuse(keyword, "undefined");
  if (schema["x-kubernetes-validations"]?.length) refuse("x-kubernetes-validations", "empty");
  if (schema.properties?.["metadata"])
    errors.push(forbidden(path.child("properties").key("metadata"), "must not be specified in a nested context"));
}

const flags = [
  "nullable",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-embedded-resource",
  "x-kubernetes-int-or-string",
] as const;

function validPattern(pattern: string, path: FieldPath, errors: FieldError[]): void {
  try {
    compileRegex(pattern);
  } catch (error) {
    const why = `must be a valid regular expression, but isn't: ${(error as Error).message}`;
    errors.push(invalid(path.child("pattern"), pattern, why));
  }
}

/** What alternatives speak of must be described outside of them (`spine`), at the same place. */
function complete(
  schema: JSONSchemaProps,
  spine: JSONSchemaProps,
  spinePath: FieldPath,
  path: FieldPath,
  errors: FieldError[],
): void {
  const below = (one: JSONSchemaProps, at: FieldPath) => completeRestriction(one, spine, spinePath, at, errors);
  if (schema.not) below(schema.not, path.child("not"));
  for (const keyword of ["allOf", "anyOf", "oneOf"] as const)
    schema[keyword]?.forEach((one, i) => {
      below(one, path.child(keyword).index(i));
    });
}

function completeRestriction(
  schema: JSONSchemaProps,
  spine: JSONSchemaProps | undefined,
  spinePath: FieldPath,
  path: FieldPath,
  errors: FieldError[],
): void {
  if (!spine) {
    errors.push(required(spinePath, `because it is defined in ${path}`));
    return;
  }
  complete(schema, spine, spinePath, path, errors);
  const items = itemsOf(schema);
  if (items) completeRestriction(items, itemsOf(spine), spinePath.child("items"), path.child("items"), errors);
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const at = (of: FieldPath) => of.child("properties").key(name);
    completeRestriction(property, spine.properties?.[name], at(spinePath), at(path), errors);
  }
}
