/** Small rules that validators are put together from. Each returns the mistakes it finds, in upstream's words. */
import { type FieldError, type FieldPath, invalid, notSupported, required } from "../../apimachinery/field-error.ts";
import {
  dns1123LabelProblems,
  dns1123SubdomainProblems,
  portNumberProblems,
} from "../../apimachinery/name-validation.ts";
import { semanticallyEqual } from "./semantic-equality.ts";

export const immutableMessage = "field is immutable";
export const nonNegativeMessage = "must be greater than or equal to 0";

/** Absent counts as zero. */
export function nonNegative(value: number | undefined | null, path: FieldPath): FieldError[] {
  return (value ?? 0) < 0 ? [invalid(path, value, nonNegativeMessage)] : [];
}

export function positive(value: number | undefined | null, path: FieldPath): FieldError[] {
  return (value ?? 0) <= 0 ? [invalid(path, value ?? 0, "must be greater than 0")] : [];
}

export const inRangeMessage = (minimum: number, maximum: number) =>
  `must be between ${minimum} and ${maximum}, inclusive`;

export function inRange(value: number | undefined, minimum: number, maximum: number, path: FieldPath): FieldError[] {
  if (value === undefined || (value >= minimum && value <= maximum)) return [];
  return [invalid(path, value, inRangeMessage(minimum, maximum))];
}

/** The value must be one of `supported`, listed in the message in this order. */
export function oneOf(value: string | undefined, supported: readonly string[], path: FieldPath): FieldError[] {
  return value !== undefined && supported.includes(value) ? [] : [notSupported(path, value ?? "", supported)];
}

/** As oneOf, but absent and empty are Required. */
export function requiredOneOf(value: string | undefined, supported: readonly string[], path: FieldPath): FieldError[] {
  return value ? oneOf(value, supported, path) : [required(path)];
}

/** As oneOf, and absent is fine. */
export function optionalOneOf(value: string | undefined, supported: readonly string[], path: FieldPath): FieldError[] {
  return value === undefined ? [] : oneOf(value, supported, path);
}

export function unchanged(next: unknown, previous: unknown, path: FieldPath): FieldError[] {
  return semanticallyEqual(next, previous) ? [] : [invalid(path, next, immutableMessage)];
}

/** One Invalid per complaint of a naming rule. */
export function obeys(value: string, rule: (value: string) => string[], path: FieldPath): FieldError[] {
  return rule(value).map((problem) => invalid(path, value, problem));
}

export const validDnsLabel = (value: string, path: FieldPath) => obeys(value, dns1123LabelProblems, path);
export const validDnsSubdomain = (value: string, path: FieldPath) => obeys(value, dns1123SubdomainProblems, path);

/** `said` stands before each complaint. */
export function validPort(port: number, path: FieldPath, said = ""): FieldError[] {
  return portNumberProblems(port).map((problem) => invalid(path, port, said + problem));
}

/** Runs a rule over every item of a list that may be absent. */
export function each<T>(
  items: readonly T[] | null | undefined,
  path: FieldPath,
  rule: (item: T, path: FieldPath, index: number) => FieldError[],
): FieldError[] {
  if (!items) return [];
  return items.flatMap((item, index) => rule(item, path.index(index), index));
}
