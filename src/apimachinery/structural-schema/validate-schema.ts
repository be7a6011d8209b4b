/**
 * What is wrong with a CustomResourceDefinition's schema, in upstream's words and order: it must be structural, its defaults valid, its
 * keywords such as are supported, its rules must compile and cost little.
 */
import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";
import { type FieldError, type FieldPath, forbidden, invalid, notSupported, required } from "../field-error.ts";
import { printedSchema } from "./print-schema.ts";
import { RuleCosts, type RulePlace, validateRuleExpressions, validateRuleFields } from "./schema-rules.ts";
import { unsupportedKeyword, validateStructural } from "./structural.ts";
import { validateDefaults } from "./validate-default.ts";

const types = ["array", "boolean", "integer", "number", "object", "string"];

/** `path` is where the schema stands: `spec.validation.openAPIV3Schema`. `hasStatus`: the status is a subresource. */
export function validateSchema(schema: JSONSchemaProps, path: FieldPath, { hasStatus = false } = {}): FieldError[] {
  const errors = hasStatus ? validateRootOfStatus(schema, path) : [];
  if (schema.nullable) errors.push(forbidden(path.child("nullable"), "nullable cannot be true at the root"));
  const unsupported = unsupportedKeyword(schema);
  let structural: FieldError[] = [];
  if (!unsupported) {
    structural = validateStructural(schema, path);
    if (structural.length === 0) structural = validateDefaults(schema, path);
    errors.push(...structural);
  }
  const costs = unsupported || structural.length > 0 ? undefined : new RuleCosts();
  const { schemaErrors, ruleErrors } = visit(schema, path, costs, {
    isRoot: true,
    cardinality: 1,
    uncorrelatable: undefined,
    isInMeta: false,
    noDefaults: undefined,
  });
  errors.push(...schemaErrors, ...ruleErrors);
  if (errors.length === 0 && unsupported) errors.push(invalid(path, "", unsupported));
  if (costs) errors.push(...costs.errors(path));
  return errors;
}

/** Fields of upstream's type in its order, as far as they may not stand at the root beside a status subresource. */
const forbiddenBesideStatus: readonly (keyof JSONSchemaProps)[] = [
  "id",
  "$schema",
  "$ref",
  "nullable",
  "default",
  "enum",
  "maxProperties",
  "minProperties",
  "allOf",
  "oneOf",
  "anyOf",
  "not",
  "additionalProperties",
  "patternProperties",
  "dependencies",
  "additionalItems",
  "definitions",
  "x-kubernetes-embedded-resource",
  "x-kubernetes-int-or-string",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-list-type",
  "x-kubernetes-map-type",
];

const allowedBesideStatus =
  "[Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations]";

/** The status is checked on its own: what is said of the whole object would be lost. */
function validateRootOfStatus(schema: JSONSchemaProps, path: FieldPath): FieldError[] {
  const says = forbiddenBesideStatus.filter(
    (name) => schema[name] !== undefined && schema[name] !== "" && schema[name] !== false,
  );
  const isForbidden = (name: keyof JSONSchemaProps) => name === "id" || name === "$schema" || name === "$ref"; // They stand before the type.
  if (schema.type && schema.type !== "object" && !says.some(isForbidden))
    return [
      invalid(
        path.child("type"),
        schema.type,
        'only "object" is allowed as the type at the root of the schema if the status subresource is enabled',
      ),
    ];
  if (says.length === 0) return [];
  const why = `only ${allowedBesideStatus} fields are allowed at the root of the schema if the status subresource is enabled`;
  return [invalid(path, printedSchema(schema), why)];
}

interface Place extends RulePlace {
  readonly isInMeta: boolean;
  /** Why there may be no defaults. */
  readonly noDefaults: string | undefined;
}

interface Found {
  readonly schemaErrors: FieldError[];
  readonly ruleErrors: FieldError[];
}

/** Without `costs` rules are not looked at. */
function visit(schema: JSONSchemaProps, path: FieldPath, costs: RuleCosts | undefined, place: Place): Found {
  const found: Found = { schemaErrors: validateKeywords(schema, path, place), ruleErrors: [] };
  const { schemaErrors: errors } = found;
  const into = (one: JSONSchemaProps, at: FieldPath, below: Partial<Place>, hasRules = true) => {
    const inner = visit(one, at, hasRules ? costs : undefined, { ...place, isRoot: false, ...below });
    errors.push(...inner.schemaErrors);
    found.ruleErrors.push(...inner.ruleErrors);
  };
  const times = (most: number | undefined) =>
    place.cardinality === undefined || most === undefined ? undefined : place.cardinality * most;
  const { items, properties = {}, additionalProperties } = schema;
  if (schema.uniqueItems)
    errors.push(
      forbidden(
        path.child("uniqueItems"),
        "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
      ),
    );
  if (additionalProperties !== undefined) {
    if (Object.keys(properties).length > 0 && additionalProperties !== true)
      errors.push(
        forbidden(path.child("additionalProperties"), "additionalProperties and properties are mutual exclusive"),
      );
    if (typeof additionalProperties === "object")
      into(additionalProperties, path.child("additionalProperties"), {
        cardinality: times(schema.maxProperties),
        ...(place.isInMeta ? { noDefaults: "inside additionalProperties applying to object metadata" } : {}),
      });
  }
  const isEmbedded = schema["x-kubernetes-embedded-resource"] === true;
  for (const [name, property] of Object.entries(properties)) {
    const isMeta = (place.isRoot || isEmbedded) && ["metadata", "kind", "apiVersion"].includes(name);
    into(property, path.child("properties").key(name), {
      ...(schema["x-kubernetes-map-type"] === "atomic" ? { uncorrelatable: place.uncorrelatable ?? path } : {}),
      ...(isMeta ? { isInMeta: true } : {}),
      ...(isMeta && place.isRoot ? { noDefaults: `in top-level ${name}` } : {}),
    });
  }
  if (schema.not) into(schema.not, path.child("not"), {}, false);
  for (const keyword of ["allOf", "oneOf", "anyOf"] as const)
    schema[keyword]?.forEach((one, i) => {
      into(one, path.child(keyword).index(i), {}, false);
    });
  for (const [name, one] of Object.entries(schema.definitions ?? {}))
    into(one, path.child("definitions").key(name), {}, false);
  if (items) {
    const below = {
      cardinality: times(schema.maxItems),
      ...(schema["x-kubernetes-list-type"] === "map" ? {} : { uncorrelatable: place.uncorrelatable ?? path }),
    };
    if (!Array.isArray(items)) into(items, path.child("items"), below);
    else
      (items as JSONSchemaProps[]).forEach((one, i) => {
        into(one, path.child("items").index(i), below);
      });
  }
  errors.push(...validateExtensions(schema, path), ...validateRuleFields(schema, path));
  if (errors.length === 0 && costs) found.ruleErrors.push(...validateRuleExpressions(schema, path, place, costs));
  return found;
}

function validateKeywords(schema: JSONSchemaProps, path: FieldPath, place: Place): FieldError[] {
  const errors: FieldError[] = [];
  const refuse = (keyword: keyof JSONSchemaProps, why = `${keyword} is not supported`) =>
    errors.push(forbidden(path.child(keyword), why));
  const { type } = schema;
  if (type && !types.includes(type)) errors.push(notSupported(path.child("type"), type, types));
  if (schema.default !== undefined && place.noDefaults) refuse("default", `must not be set ${place.noDefaults}`);
  if (schema.id) refuse("id");
  if (schema.additionalItems !== undefined) refuse("additionalItems");
  if (Object.keys(schema.patternProperties ?? {}).length > 0) refuse("patternProperties");
  if (Object.keys(schema.definitions ?? {}).length > 0) refuse("definitions");
  if (schema.dependencies) refuse("dependencies");
  if (schema.$ref !== undefined) refuse("$ref");
  if (type === "null") refuse("type", "type cannot be set to null, use nullable as an alternative");
  if (Array.isArray(schema.items)) refuse("items", "items must be a schema object and not an array");
  if (place.isInMeta && schema["x-kubernetes-embedded-resource"])
    refuse("x-kubernetes-embedded-resource", "must not be used inside of resource meta");
  return errors;
}

function validateExtensions(schema: JSONSchemaProps, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const { type } = schema;
  const listType = schema["x-kubernetes-list-type"];
  const mapType = schema["x-kubernetes-map-type"];
  const items = schema.items && !Array.isArray(schema.items) ? schema.items : undefined;
  const at = (...names: string[]) => path.child(...names);
  const mustBe = (wanted: string, why: string) =>
    errors.push(type ? invalid(at("type"), type, why) : required(at("type"), why)) && wanted;
  if (schema["x-kubernetes-preserve-unknown-fields"] === false)
    errors.push(invalid(at("x-kubernetes-preserve-unknown-fields"), false, "must be true or undefined"));
  if (mapType !== undefined && type !== "object")
    mustBe("object", "must be object if x-kubernetes-map-type is specified");
  if (mapType !== undefined && mapType !== "atomic" && mapType !== "granular")
    errors.push(notSupported(at("x-kubernetes-map-type"), mapType, ["atomic", "granular"]));
  if (listType !== undefined && type !== "array")
    mustBe("array", "must be array if x-kubernetes-list-type is specified");
  else if (listType === "set" && items) {
    const why = "must be atomic as item of a list with x-kubernetes-list-type=set";
    const inner = items["x-kubernetes-list-type"];
    if (items.type === "array" && inner !== undefined && inner !== "atomic")
      errors.push(invalid(at("items", "x-kubernetes-list-type"), inner, why));
    if (items.type === "object" && items["x-kubernetes-map-type"] !== "atomic")
      errors.push(invalid(at("items", "x-kubernetes-map-type"), inner ?? null, why));
  }
  if (listType !== undefined && !["atomic", "set", "map"].includes(listType))
    errors.push(notSupported(at("x-kubernetes-list-type"), listType, ["atomic", "set", "map"]));
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  if (keys.length > 0 && listType !== "map") {
    const why = "must be map if x-kubernetes-list-map-keys is non-empty";
    const place = at("x-kubernetes-list-type");
    errors.push(listType === undefined ? required(place, why) : invalid(place, listType, why));
  }
  if (listType === "map") errors.push(...validateKeys(schema, keys, path));
  if (items && (listType === "set" || listType === "map")) {
    if (items.nullable)
      errors.push(forbidden(at("items", "nullable"), `cannot be nullable when x-kubernetes-list-type is ${listType}`));
    if (listType === "map") errors.push(...validateKeyValues(items, keys, path));
  }
  return errors;
}

function validateKeys(schema: JSONSchemaProps, keys: readonly string[], path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const listed = path.child("x-kubernetes-list-map-keys");
  if (keys.length === 0) errors.push(required(listed, "must not be empty if x-kubernetes-list-type is map"));
  const { items } = schema;
  if (!items) return [...errors, required(path.child("items"), "must have a schema if x-kubernetes-list-type is map")];
  if (Array.isArray(items)) {
    const printed = { Schema: null, JSONSchemas: (items as JSONSchemaProps[]).map(printedSchema) };
    const why = "must only have a single schema if x-kubernetes-list-type is map";
    return [...errors, invalid(path.child("items"), printed, why)];
  }
  if (items.type !== "object") {
    const why = "must be object if parent array's x-kubernetes-list-type is map";
    return [...errors, invalid(path.child("items", "type"), items.type ?? "", why)];
  }
  const seen = new Set<string>();
  for (const key of keys) {
    const property = items.properties?.[key];
    if (!property) errors.push(invalid(listed, keys, "entries must all be names of item properties"));
    else if (property.type === "object" || property.type === "array")
      errors.push(
        invalid(
          path.child("items", "properties").key(key).child("type"),
          items.type,
          "must be a scalar type if parent array's x-kubernetes-list-type is map",
        ),
      );
    if (seen.has(key)) errors.push(invalid(listed, keys, "must not contain duplicate entries"));
    seen.add(key);
  }
  return errors;
}

function validateKeyValues(items: JSONSchemaProps, keys: readonly string[], path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  for (const key of keys) {
    const property = items.properties?.[key];
    if (!property) continue;
    const at = path.child("items", "properties").key(key);
    const isKey = "this property is in x-kubernetes-list-map-keys, so it";
    if (!items.required?.includes(key) && property.default === undefined)
      errors.push(required(at.child("default"), `${isKey} must have a default or be a required property`));
    if (property.nullable) errors.push(forbidden(at.child("nullable"), `${isKey} cannot be nullable`));
  }
  return errors;
}
