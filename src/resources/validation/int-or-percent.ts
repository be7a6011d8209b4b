/** Fields that hold a number or a percentage: `maxUnavailable`, `maxSurge`. */
import type { IntOrString } from "../../api/meta/v1.ts";
import { type FieldError, type FieldPath, invalid } from "../../apimachinery/field-error.ts";
import { nonNegative } from "./rules.ts";

const percentMessage =
  "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

/** Upstream's complaint about the type itself. */
export function validIntOrPercent(value: IntOrString | undefined, path: FieldPath): FieldError[] {
  if (value === undefined) return [];
  if (typeof value === "number") return nonNegative(value, path);
  return percentOf(value) === undefined ? [invalid(path, value, percentMessage)] : [];
}

export function atMostHundredPercent(value: IntOrString | undefined, path: FieldPath): FieldError[] {
  const percent = typeof value === "string" ? percentOf(value) : undefined;
  return percent !== undefined && percent > 100 ? [invalid(path, value, "must not be greater than 100%")] : [];
}

/** The number, or the number before the percent sign; 0 for anything else. */
export function numberPart(value: IntOrString | undefined): number {
  if (typeof value === "number") return value;
  return value === undefined ? 0 : (percentOf(value) ?? 0);
}

function percentOf(text: string): number | undefined {
  const match = /^([0-9]+)%$/.exec(text);
  return match ? Number(match[1]) : undefined;
}
