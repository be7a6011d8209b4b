/** Conditions as most statuses hold them: each type once, with a reason, and since when. */
import type { Condition } from "../../api/meta/v1.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  invalid,
  required,
  tooLong,
} from "../../apimachinery/field-error.ts";
import { qualifiedNameProblems, regexMessage } from "../../apimachinery/name-validation.ts";
import { utf8Length } from "../../base/utf8.ts";
import { each, obeys, oneOf } from "./rules.ts";

const longestReason = 1024;
const longestMessage = 32 * 1024;
const reasonFormat = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?";
const reasonPattern = new RegExp(`^${reasonFormat}$`);
const badReason = regexMessage(
  "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'",
  reasonFormat,
  "my_name",
  "MY_NAME",
  "MyName",
  "ReasonA,ReasonB",
  "ReasonA:ReasonB",
);

export function validConditions(conditions: readonly Condition[] | undefined, path: FieldPath): FieldError[] {
  const types = new Set<string>();
  return each(conditions, path, (condition, at) => {
    const { type = "", status = "", observedGeneration = 0, lastTransitionTime, reason = "", message = "" } = condition;
    const errors = types.has(type) ? [duplicate(at.child("type"), type)] : [];
    types.add(type);
    errors.push(...obeys(type, qualifiedNameProblems, at.child("type")));
    errors.push(...oneOf(status, ["False", "True", "Unknown"], at.child("status")));
    if (observedGeneration < 0) {
      errors.push(invalid(at.child("observedGeneration"), observedGeneration, "must be greater than or equal to zero"));
    }
    if (!lastTransitionTime) errors.push(required(at.child("lastTransitionTime")));
    const reasonPath = at.child("reason");
    if (!reason) errors.push(required(reasonPath));
    else if (!reasonPattern.test(reason)) errors.push(invalid(reasonPath, reason, badReason));
    if (utf8Length(reason) > longestReason) errors.push(tooLong(reasonPath, longestReason));
    if (utf8Length(message) > longestMessage) errors.push(tooLong(at.child("message"), longestMessage));
    return errors;
  });
}

/** As validConditions, of those that are only asked to have a type, and each another. */
export function distinctConditions(
  conditions: readonly { type?: string }[] | undefined,
  path: FieldPath,
): FieldError[] {
  const types = new Set<string>();
  return each(conditions, path, ({ type = "" }, at) => {
    const errors = types.has(type) ? [duplicate(at.child("type"), type)] : [];
    types.add(type);
    return type ? errors : [...errors, required(at.child("type"), "must not be empty")];
  });
}
