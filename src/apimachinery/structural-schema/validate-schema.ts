/** What is wrong with a CustomResourceDefinition's schema: unsupported keywords, no structural schema, rules that do not compile or cost too much. */
import type { JSONSchemaProps, ValidationRule } from "../../api/apiextensions/v1.ts";
import { compileRegex } from "../cel/regex.ts";
import { type FieldError, type FieldPath, forbidden, invalid, notSupported, required } from "../field-error.ts";
import { compileDefaulting } from "./defaulting.ts";
import { simpleSteps } from "./json-path.ts";
import { compileRules } from "./rules.ts";
import { compileValidation } from "./validate-value.ts";

/** Upstream's limits for rules by estimate: of one rule, and of all rules of a schema. */
const ruleCostLimit = 10_000_000;
const schemaCostLimit = 100_000_000;

const types = ["array", "boolean", "integer", "number", "object", "string"];
const maximumRequestBytes = 3 * 1024 * 1024;

/** `path` is where the schema stands: `spec.validation.openAPIV3Schema`. */
export function validateSchema(schema: JSONSchemaProps, path: FieldPath): FieldError[] {
  const run = new Run();
  if (schema.type !== "object" && schema["x-kubernetes-int-or-string"] !== true) {
    if (schema.type) run.errors.push(invalid(path.child("type"), schema.type, "must be object at the root"));
    else run.structural.push(required(path.child("type"), "must not be empty at the root"));
  }
  if (schema.nullable) run.errors.push(forbidden(path.child("nullable"), "nullable cannot be true at the root"));
  visit(schema, path, run, { isRoot: true, cardinality: 1 });
  if (run.errors.length === 0) structural(schema, path, run.structural, true);
  run.errors.push(...run.structural);
  if (run.totalCost > schemaCostLimit) {
    for (const { path: at, cost } of run.costs.toSorted((a, b) => b.cost - a.cost).slice(0, 4)) {
      if (cost < schemaCostLimit / 100) continue;
      run.errors.push(
        forbidden(at, "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"),
      );
    }
    run.errors.push(
      forbidden(
        path,
        `x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of ${factor(run.totalCost / schemaCostLimit)} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`,
      ),
    );
  }
  return run.errors;
}

class Run {
  readonly errors: FieldError[] = [];
  readonly structural: FieldError[] = [];
  readonly costs: { path: FieldPath; cost: number }[] = [];
  totalCost = 0;
}

interface Place {
  isRoot: boolean;
  /** How often the value may stand in one object. */
  cardinality: number;
}

function visit(schema: JSONSchemaProps, path: FieldPath, run: Run, place: Place): void {
  const { errors } = run;
  const { type, items, properties, additionalProperties } = schema;
  if (type && !types.includes(type)) errors.push(notSupported(path.child("type"), type, types));
  if (schema.$ref !== undefined) errors.push(forbidden(path.child("$ref"), "$ref is not supported"));
  if (schema.uniqueItems)
    errors.push(
      forbidden(
        path.child("uniqueItems"),
        "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
      ),
    );
  for (const keyword of ["definitions", "dependencies", "patternProperties"] as const)
    if (schema[keyword] && Object.keys(schema[keyword]).length > 0)
      errors.push(forbidden(path.child(keyword), `${keyword} is not supported`));
  if (schema.additionalItems !== undefined)
    errors.push(forbidden(path.child("additionalItems"), "additionalItems is not supported"));
  if (additionalProperties !== undefined && properties && Object.keys(properties).length > 0)
    errors.push(
      forbidden(path.child("additionalProperties"), "additionalProperties and properties are mutual exclusive"),
    );
  if (additionalProperties === false)
    errors.push(forbidden(path.child("additionalProperties"), "additionalProperties cannot be set to false"));
  if (schema.pattern !== undefined) validPattern(schema.pattern, path, errors);
  if (type === "array" && items === undefined) errors.push(required(path.child("items"), "must be specified"));
  if (Array.isArray(items))
    errors.push(forbidden(path.child("items"), "items must be a schema object and not an array"));
  extensions(schema, path, errors);
  rulesOf(schema, path, run, place);
  for (const [name, property] of Object.entries(properties ?? {}))
    visit(property, path.child("properties").key(name), run, { ...place, isRoot: false });
  if (items && !Array.isArray(items))
    visit(items, path.child("items"), run, {
      isRoot: false,
      cardinality: place.cardinality * (schema.maxItems ?? unbounded(items, 1)),
    });
  if (typeof additionalProperties === "object")
    visit(additionalProperties, path.child("additionalProperties"), run, {
      isRoot: false,
      cardinality: place.cardinality * (schema.maxProperties ?? unbounded(additionalProperties, 6)),
    });
  for (const keyword of ["allOf", "anyOf", "oneOf"] as const)
    schema[keyword]?.forEach((one, i) => {
      logical(one, path.child(keyword).index(i), run, keyword);
    });
  if (schema.not) logical(schema.not, path.child("not"), run, "not");
  if (schema.default !== undefined) validDefault(schema, path, run, place);
}

/** How many values of the smallest sort fit into a request. */
function unbounded(schema: JSONSchemaProps, separators: number): number {
  const smallest = schema["x-kubernetes-int-or-string"]
    ? 1
    : ({ object: 2, array: 2, string: 2, boolean: 4 }[schema.type ?? ""] ?? 1);
  return Math.floor(maximumRequestBytes / (smallest + separators));
}

function validPattern(pattern: string, path: FieldPath, errors: FieldError[]): void {
  try {
    compileRegex(pattern);
  } catch (error) {
    errors.push(
      invalid(
        path.child("pattern"),
        pattern,
        `must be a valid regular expression, but isn't: ${(error as Error).message}`,
      ),
    );
  }
}

function extensions(schema: JSONSchemaProps, path: FieldPath, errors: FieldError[]): void {
  const { type } = schema;
  const listType = schema["x-kubernetes-list-type"];
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  const mapType = schema["x-kubernetes-map-type"];
  const at = (name: string) => path.child(name);
  if (schema["x-kubernetes-preserve-unknown-fields"] === false)
    errors.push(invalid(at("x-kubernetes-preserve-unknown-fields"), false, "must be true or undefined"));
  if (mapType !== undefined) {
    if (type !== "object")
      errors.push(
        type
          ? invalid(at("type"), type, "must be object if x-kubernetes-map-type is specified")
          : required(at("type"), "must be object if x-kubernetes-map-type is specified"),
      );
    if (mapType !== "atomic" && mapType !== "granular")
      errors.push(notSupported(at("x-kubernetes-map-type"), mapType, ["atomic", "granular"]));
  }
  if (listType !== undefined) {
    if (type !== "array")
      errors.push(
        type
          ? invalid(at("type"), type, "must be array if x-kubernetes-list-type is specified")
          : required(at("type"), "must be array if x-kubernetes-list-type is specified"),
      );
    if (!["atomic", "set", "map"].includes(listType))
      errors.push(notSupported(at("x-kubernetes-list-type"), listType, ["atomic", "map", "set"]));
  }
  if (keys.length > 0 && listType !== "map") {
    const why = "must be map if x-kubernetes-list-map-keys is non-empty";
    errors.push(
      listType === undefined
        ? required(at("x-kubernetes-list-type"), why)
        : invalid(at("x-kubernetes-list-type"), listType, why),
    );
  }
  if (listType === "map" && keys.length === 0)
    errors.push(required(at("x-kubernetes-list-map-keys"), "must not be empty if x-kubernetes-list-type is map"));
  if (listType === "map" && keys.length > 0 && schema.items && !Array.isArray(schema.items)) {
    const { items } = schema;
    if (items.type !== "object")
      errors.push(
        invalid(
          at("items").child("type"),
          items.type ?? "",
          "must be object if parent array's x-kubernetes-list-type is map",
        ),
      );
    else
      keys.forEach((key, i) => {
        const property = items.properties?.[key];
        if (!property)
          errors.push(
            invalid(at("x-kubernetes-list-map-keys").index(i), key, "entries must all be names of item properties"),
          );
        else if (property.type === "object" || property.type === "array")
          errors.push(
            invalid(
              at("items").child("properties").key(key).child("type"),
              property.type,
              "must be a scalar type if parent array's x-kubernetes-list-type is map",
            ),
          );
        else if (property.default === undefined && !items.required?.includes(key))
          errors.push(
            required(
              at("items").child("properties").key(key).child("default"),
              "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
            ),
          );
      });
  }
  if (listType === "set" && schema.items && !Array.isArray(schema.items)) {
    const { items } = schema;
    if (items.nullable)
      errors.push(forbidden(at("items").child("nullable"), "cannot be nullable when x-kubernetes-list-type is set"));
    if (items.type === "object" && items["x-kubernetes-map-type"] !== "atomic")
      errors.push(
        invalid(
          at("items").child("x-kubernetes-map-type"),
          items["x-kubernetes-map-type"] ?? null,
          "must be atomic as item of a list with x-kubernetes-list-type=set",
        ),
      );
    if (items.type === "array" && (items["x-kubernetes-list-type"] ?? "atomic") !== "atomic")
      errors.push(
        invalid(
          at("items").child("x-kubernetes-list-type"),
          items["x-kubernetes-list-type"],
          "must be atomic as item of a list with x-kubernetes-list-type=set",
        ),
      );
  }
}

/** In the order and by the names of upstream's internal type, as its messages print it. */
function printedRule(rule: ValidationRule): object {
  const { message = "", messageExpression = "", reason = null, fieldPath = "", optionalOldSelf = null } = rule;
  return {
    Rule: rule.rule,
    Message: message,
    MessageExpression: messageExpression,
    Reason: reason,
    FieldPath: fieldPath,
    OptionalOldSelf: optionalOldSelf,
  };
}

const reasons = ["FieldValueRequired", "FieldValueForbidden", "FieldValueInvalid", "FieldValueDuplicate"];

function rulesOf(schema: JSONSchemaProps, path: FieldPath, run: Run, place: Place): void {
  const rules = schema["x-kubernetes-validations"] ?? [];
  if (rules.length === 0) return;
  const { errors } = run;
  const isResource = place.isRoot || schema["x-kubernetes-embedded-resource"] === true;
  const before = errors.length;
  rules.forEach((rule, i) => {
    const at = path.child("x-kubernetes-validations").index(i);
    if (!rule.rule.trim()) errors.push(required(at.child("rule"), "rule is not specified"));
    if (rule.message && !rule.message.trim())
      errors.push(invalid(at.child("message"), rule.message, "message must be non-empty if specified"));
    if (rule.message && rule.message.length > 2048)
      errors.push(
        invalid(
          at.child("message"),
          `${rule.message.slice(0, 10)}...`,
          "message must have a maximum length of 2048 characters",
        ),
      );
    if (rule.message?.includes("\n"))
      errors.push(invalid(at.child("message"), rule.message, "message must not contain line breaks"));
    if (rule.rule.includes("\n") && !rule.message?.trim())
      errors.push(required(at.child("message"), "message must be specified if rule contains line breaks"));
    if (rule.messageExpression && !rule.messageExpression.trim())
      errors.push(required(at.child("messageExpression"), "messageExpression must be non-empty if specified"));
    if (rule.reason !== undefined && !reasons.includes(rule.reason))
      errors.push(notSupported(at.child("reason"), rule.reason, reasons));
    if (rule.fieldPath && !hasField(schema, rule.fieldPath))
      errors.push(invalid(at.child("fieldPath"), rule.fieldPath, "fieldPath must be a valid path"));
  });
  if (errors.length > before) return;
  compileRules(schema, isResource).forEach((compiled, i) => {
    const at = path.child("x-kubernetes-validations").index(i);
    const { rule, program, problem, messageProgram, messageProblem } = compiled;
    if (problem) {
      errors.push(invalid(at.child("rule"), printedRule(rule), problem));
      return;
    }
    if (messageProblem) errors.push(invalid(at.child("messageExpression"), printedRule(rule), messageProblem));
    if (rule.optionalOldSelf !== undefined && !compiled.isTransition)
      errors.push(
        invalid(at.child("optionalOldSelf"), rule.optionalOldSelf, "may not be set if oldSelf is not used in rule"),
      );
    const cost = program!.estimatedCost.max * place.cardinality;
    run.totalCost += cost;
    run.costs.push({ path: at.child("rule"), cost });
    if (cost > ruleCostLimit) errors.push(forbidden(at.child("rule"), tooCostly("rule", cost)));
    const messageCost = messageProgram?.estimatedCost.max ?? 0;
    if (messageCost > ruleCostLimit)
      errors.push(forbidden(at.child("messageExpression"), tooCostly("messageExpression", messageCost)));
    run.totalCost += messageCost;
  });
}

function tooCostly(what: string, cost: number): string {
  return `estimated ${what} cost exceeds budget by factor of ${factor(cost / ruleCostLimit)} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`;
}

function factor(exceeded: number): string {
  return exceeded > 100 ? "more than 100x" : `${exceeded.toFixed(1)}x`;
}

/** Whether a simple path leads to a property that the schema describes. */
function hasField(schema: JSONSchemaProps, fieldPath: string): boolean {
  return fieldAt(schema, fieldPath) !== undefined;
}

export function fieldAt(schema: JSONSchemaProps, fieldPath: string): JSONSchemaProps | undefined {
  let at: JSONSchemaProps | undefined = schema;
  const steps = simpleSteps(fieldPath);
  if (steps.length === 0) return undefined;
  for (const step of steps) {
    const values: JSONSchemaProps | undefined =
      typeof at.additionalProperties === "object" ? at.additionalProperties : undefined;
    at = at.properties?.[step] ?? values;
    if (!at) return undefined;
  }
  return at;
}

/** Inside allOf, anyOf, oneOf and not only values may be restricted; structure stands outside. */
function logical(schema: JSONSchemaProps, path: FieldPath, run: Run, keyword: string): void {
  const { structural: errors } = run;
  const why = `must be empty to be structural`;
  if (schema.pattern !== undefined) validPattern(schema.pattern, path, run.errors);
  if (schema.additionalProperties !== undefined)
    errors.push(forbidden(path.child("additionalProperties"), "must be undefined to be structural"));
  const isIntOrString = keyword === "anyOf" || keyword === "allOf";
  if (schema.type && !(isIntOrString && (schema.type === "integer" || schema.type === "string")))
    errors.push(forbidden(path.child("type"), why));
  if (schema.default !== undefined) errors.push(forbidden(path.child("default"), "must be undefined to be structural"));
  for (const key of ["title", "description"] as const) if (schema[key]) errors.push(forbidden(path.child(key), why));
  if (schema.nullable) errors.push(forbidden(path.child("nullable"), "must be false to be structural"));
  for (const [name, property] of Object.entries(schema.properties ?? {}))
    logical(property, path.child("properties").key(name), run, keyword);
  if (schema.items && !Array.isArray(schema.items)) logical(schema.items, path.child("items"), run, keyword);
  for (const inner of ["allOf", "anyOf", "oneOf"] as const)
    schema[inner]?.forEach((one, i) => {
      logical(one, path.child(inner).index(i), run, inner);
    });
  if (schema.not) logical(schema.not, path.child("not"), run, "not");
}

/** Every value's type must be known. */
function structural(schema: JSONSchemaProps, path: FieldPath, errors: FieldError[], isRoot = false): void {
  const isIntOrString = schema["x-kubernetes-int-or-string"] === true;
  if (!isRoot && !schema.type && !isIntOrString && !schema["x-kubernetes-preserve-unknown-fields"])
    errors.push(required(path.child("type"), "must not be empty for specified object fields"));
  if (isIntOrString && schema.type)
    errors.push(forbidden(path.child("type"), "must be empty if x-kubernetes-int-or-string is true"));
  if (schema["x-kubernetes-embedded-resource"]) {
    if (schema.type !== "object")
      errors.push(
        schema.type
          ? invalid(path.child("type"), schema.type, "must be object if x-kubernetes-embedded-resource is true")
          : required(path.child("type"), "must be object if x-kubernetes-embedded-resource is true"),
      );
    if (!schema["x-kubernetes-preserve-unknown-fields"] && !Object.keys(schema.properties ?? {}).length)
      errors.push(
        required(
          path.child("properties"),
          "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
        ),
      );
  }
  if (isRoot || schema["x-kubernetes-embedded-resource"]) {
    const metadata = schema.properties?.["metadata"];
    for (const key of Object.keys(metadata ?? {})) {
      if (key === "type" || key === "properties" || key === "description") continue;
      errors.push(
        forbidden(
          path.child("properties").key("metadata"),
          "must not specify anything other than name and generateName, but metadata is implicitly specified",
        ),
      );
      break;
    }
    const extra = Object.keys(metadata?.properties ?? {}).some((key) => key !== "name" && key !== "generateName");
    if (extra)
      errors.push(
        forbidden(
          path.child("properties").key("metadata"),
          "must not specify anything other than name and generateName, but metadata is implicitly specified",
        ),
      );
  }
  for (const [name, property] of Object.entries(schema.properties ?? {}))
    structural(property, path.child("properties").key(name), errors);
  if (schema.items && !Array.isArray(schema.items)) structural(schema.items, path.child("items"), errors);
  if (typeof schema.additionalProperties === "object")
    structural(schema.additionalProperties, path.child("additionalProperties"), errors);
}

/** A default must itself be valid, with the defaults within it filled in. */
function validDefault(schema: JSONSchemaProps, path: FieldPath, run: Run, place: Place): void {
  const at = path.child("default");
  if (place.isRoot) {
    run.errors.push(forbidden(at, "must not be set"));
    return;
  }
  const value = structuredClone(schema.default);
  if (typeof value === "object" && value !== null) compileDefaulting(schema)?.(value);
  for (const { steps, message, reason } of compileValidation(schema, false)(value)) {
    const below = steps.reduce<FieldPath>(
      (to, step) => (typeof step === "number" ? to.index(step) : to.child(step)),
      at,
    );
    run.errors.push({ field: below.toString(), message, reason });
  }
}
