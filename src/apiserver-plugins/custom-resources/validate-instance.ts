/** Validation of custom resources: their schema, list types, embedded resources and rules, in upstream's order. */
import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";
import type { FieldError, FieldErrorReason } from "../../apimachinery/field-error.ts";
import type { ResourceDefinition } from "../../apimachinery/resource-definition.ts";
import { withoutUnchanged } from "../../apimachinery/structural-schema/correlate.ts";
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

/** Compiled when the first object comes: most definitions of a cluster are never used. */
export function instanceValidation(
  schema: JSONSchemaProps | undefined,
): Pick<ResourceDefinition, "validate" | "validateStatus"> {
  if (!schema) return {};
  const main = lazily(() => compileValidation(schema));
  const statusSchema = schema.properties?.["status"];
  const status = lazily<ValueValidator>(() => (statusSchema ? compileValidation(statusSchema, false) : () => []));
  const rules = lazily(() => compileRulesValidation(schema));
  const withRules = (errors: FieldError[], next: object, previous: object | undefined): FieldError[] => {
    const judge = rules();
    if (!judge) return errors;
    if (errors.some(({ reason }) => blocking.has(reason))) return [...errors, unchecked];
    return [...errors, ...judge(next, previous)];
  };
  return {
    validate(next, previous) {
      const errors = main()(next);
      const counted = previous && errors.length > 0 ? withoutUnchanged(errors, schema, next, previous) : errors;
      return withRules(counted.map(placeless), next, previous);
    },
    validateStatus(next, previous) {
      const now = (next as { status?: unknown }).status;
      const errors = now === undefined ? [] : status()(now);
      const before = (previous as { status?: unknown }).status;
      const counted = errors.length > 0 ? withoutUnchanged(errors, statusSchema ?? {}, now, before) : errors;
      const placed = counted.map((error) => ({ ...placeless(error), field: below("status", error) }));
      return withRules(placed, next, previous);
    },
  };
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
