/** LabelSelector fields, in upstream's words. */
import type { LabelSelector, LabelSelectorRequirement } from "../../api/meta/v1.ts";
import { type FieldError, type FieldPath, forbidden, invalid, required } from "../../apimachinery/field-error.ts";
import { labelValueProblems } from "../../apimachinery/name-validation.ts";
import { validateLabelKey, validateLabels } from "../../apimachinery/object-meta-validation.ts";
import { each, obeys } from "./rules.ts";

export interface LabelSelectorOptions {
  /** Values of expressions need not be label values (pods' affinities of old). */
  allowInvalidValues?: boolean;
}

export function validLabelSelector(
  selector: LabelSelector | undefined | null,
  path: FieldPath,
  options: LabelSelectorOptions = {},
): FieldError[] {
  if (!selector) return [];
  return [
    ...validateLabels(selector.matchLabels, path.child("matchLabels")),
    ...each(selector.matchExpressions, path.child("matchExpressions"), (expression, at) =>
      validRequirement(expression, at, options),
    ),
  ];
}

function validRequirement(
  { key = "", operator = "", values }: Partial<LabelSelectorRequirement>,
  path: FieldPath,
  options: LabelSelectorOptions,
): FieldError[] {
  const errors: FieldError[] = [];
  switch (operator) {
    case "In":
    case "NotIn":
      if (!values?.length) {
        errors.push(required(path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'"));
      }
      break;
    case "Exists":
    case "DoesNotExist":
      if (values?.length) {
        errors.push(
          forbidden(path.child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        );
      }
      break;
    default:
      errors.push(invalid(path.child("operator"), operator, "not a valid selector operator"));
  }
  errors.push(...validateLabelKey(key, path.child("key")));
  if (!options.allowInvalidValues) {
    errors.push(...each(values, path.child("values"), (value, at) => obeys(value, labelValueProblems, at)));
  }
  return errors;
}

/** Whether expressions of the selector ask for what no label's value can be. */
export function hasInvalidValue(selector: LabelSelector | undefined | null): boolean {
  const values = selector?.matchExpressions?.flatMap((expression) => expression.values ?? []) ?? [];
  return values.some((value) => labelValueProblems(value).length > 0);
}

/** Whether the selector is there but asks for nothing. */
export function isEmptySelector(selector: LabelSelector | undefined | null): boolean {
  return (
    !!selector && Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0
  );
}
