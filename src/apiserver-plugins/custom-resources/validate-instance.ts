/** Validation of custom resources: their schema, list types, embedded resources and rules, in upstream's order. */
import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";
import { type FieldError, type FieldErrorReason, FieldPath, invalid } from "../../apimachinery/field-error.ts";
import { goPrint } from "../../apimachinery/patch/go-print.ts";
import type { ResourceDefinition } from "../../apimachinery/resource-definition.ts";
import { withoutUnchanged } from "../../apimachinery/structural-schema/correlate.ts";
import { compileEmbedded } from "../../apimachinery/structural-schema/embedded-resources.ts";
import { compileRulesValidation } from "../../apimachinery/structural-schema/rules.ts";
import {
  compileValidation,
  type PlacedError,
  type ValueValidator,
} from "../../apimachinery/structural-schema/validate-value.ts";

/** Objects so wrong that rules cannot be expected to make sense of them. */
const blocking = new Set<FieldErrorReason>([
  "FieldValueNotSupported",
  "FieldValueRequired",
  "FieldValueTooLong",
  "FieldValueTooMany",
  "FieldValueTypeInvalid",
]);

const unchecked: FieldError = {
  reason: "FieldValueInvalid",
  field: "<nil>",
  message:
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
};

/** How an object's scale is read, as far as it must be numbers that a Scale can hold. */
export type ScalePaths = Pick<
  NonNullable<ResourceDefinition["scale"]>,
  "specReplicasPath" | "statusReplicasPath" | "selectorPath"
>;

/** Compiled when the first object comes: most definitions of a cluster are never used. */
export function instanceValidation(
  schema: JSONSchemaProps | undefined,
  scale: ScalePaths | undefined,
): Pick<ResourceDefinition, "validate" | "validateStatus"> & { ratcheted(next: object): string[] } {
  const none: ValueValidator = () => [];
  const main = lazily(() => (schema ? compileValidation(schema) : none));
  const statusSchema = schema?.properties?.["status"];
  const status = lazily(() => (statusSchema ? compileValidation(statusSchema, false) : none));
  const embedded = lazily(() => schema && compileEmbedded(schema));
  const rules = lazily(() => schema && compileRulesValidation(schema));
  // What updates are told of, until the write is through.
  const told = new WeakMap<object, readonly FieldError[]>();
  const further = (errors: FieldError[], next: object, previous: object | undefined): FieldError[] => {
    errors.push(...(embedded()?.(next, FieldPath.root) ?? []));
    const judge = rules();
    if (!judge) return errors;
    if (errors.some(({ reason }) => blocking.has(reason))) return [...errors, unchecked];
    const judged = judge(next, previous);
    if (judged.ratcheted.length > 0) told.set(next, judged.ratcheted);
    return [...errors, ...judged.errors];
  };
  return {
    validate(next, previous) {
      const errors = main()(next);
      const counted = previous && errors.length > 0 ? withoutUnchanged(errors, schema!, next, previous) : errors;
      return further([...counted.map(placeless), ...validateScale(next, scale)], next, previous);
    },
    validateStatus(next, previous) {
      const now = (next as { status?: unknown }).status;
      const errors = now === undefined ? [] : status()(now);
      const before = (previous as { status?: unknown }).status;
      const counted = errors.length > 0 ? withoutUnchanged(errors, statusSchema ?? {}, now, before) : errors;
      const placed = counted.map((error) => ({ ...placeless(error), field: below("status", error) }));
      return further([...placed, ...validateScaleStatus(next, scale)], next, previous);
    },
    ratcheted: (next) => (told.get(next) ?? []).map(({ field, message }) => `${field}: ${message}`),
  };
}

function validateScale(object: object, scale: ScalePaths | undefined): FieldError[] {
  if (!scale) return [];
  return [...validateReplicas(object, scale.specReplicasPath), ...validateScaleStatus(object, scale)];
}

function validateScaleStatus(object: object, scale: ScalePaths | undefined): FieldError[] {
  if (!scale) return [];
  const { statusReplicasPath, selectorPath } = scale;
  const errors = validateReplicas(object, statusReplicasPath);
  if (!selectorPath) return errors;
  const selector = read(object, selectorPath);
  if (selector.problem) errors.push(invalid(FieldPath.root.child(selectorPath), "", selector.problem));
  else if (selector.value !== undefined && typeof selector.value !== "string")
    errors.push(invalid(FieldPath.root.child(selectorPath), "", typeProblem(selectorPath, selector.value, "string")));
  return errors;
}

function validateReplicas(object: object, path: string): FieldError[] {
  const { value, problem } = read(object, path);
  const refuse = (shown: unknown, why: string) => [invalid(FieldPath.root.child(path), shown, why)];
  if (problem) return refuse(0, problem);
  if (value === undefined) return [];
  if (typeof value !== "number" || !Number.isInteger(value)) return refuse(0, typeProblem(path, value, "int64"));
  if (value < 0) return refuse(value, "should be a non-negative integer");
  if (value > largestReplicas) return refuse(value, `should be less than or equal to ${largestReplicas}`);
  return [];
}

const largestReplicas = 2 ** 31 - 1;

/** What stands at a simple path; a problem when something on the way to it is no object. */
function read(object: object, path: string): { value?: unknown; problem?: string } {
  let value: unknown = object;
  const steps = path.replace(/^\./, "").split(".");
  for (const [i, step] of steps.entries()) {
    if (value === null) return {};
    if (typeof value !== "object" || Array.isArray(value))
      return { problem: typeProblem(`.${steps.slice(0, i + 1).join(".")}`, value, "map[string]interface{}") };
    value = (value as Record<string, unknown>)[step];
    if (value === undefined) return {};
  }
  return { value };
}

function typeProblem(path: string, value: unknown, wanted: string): string {
  const [shown, type] = goValue(value);
  return `${path} accessor error: ${shown} is of the type ${type}, expected ${wanted}`;
}

/** A value and its type as Go prints them. */
function goValue(value: unknown): [string, string] {
  if (value === null || value === undefined) return ["<nil>", "<nil>"];
  if (Array.isArray(value)) return [goPrint(value), "[]interface {}"];
  switch (typeof value) {
    case "object":
      return [goPrint(value), "map[string]interface {}"];
    case "boolean":
      return [String(value), "bool"];
    case "bigint":
      return [String(value), "int64"];
    case "number":
      return [String(value), Number.isInteger(value) ? "int64" : "float64"];
    default:
      return [String(value), "string"];
  }
}

const placeless = ({ reason, field, message }: PlacedError): FieldError => ({ reason, field, message });

function below(parent: string, { field, steps }: PlacedError): string {
  if (field === "<nil>") return steps.length === 0 ? parent : field;
  return field.startsWith("[") ? `${parent}${field}` : `${parent}.${field}`;
}

function lazily<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
