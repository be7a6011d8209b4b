/** Names of conditions, which must be told apart when one of them decides. */
import type { PolicyExpressions } from "../../apimachinery/cel/admission.ts";
import { duplicate, type FieldError, type FieldPath, required, tooMany } from "../../apimachinery/field-error.ts";
import { qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { each, obeys } from "../validation/rules.ts";
import { validExpression } from "./expressions.ts";

const maximumConditions = 64;

interface Condition {
  name?: string;
  expression?: string;
}

export function validMatchConditions(
  conditions: readonly Condition[] | undefined,
  path: FieldPath,
  expressions: PolicyExpressions,
): FieldError[] {
  const names = new Set<string>();
  const errors =
    conditions && conditions.length > maximumConditions ? [tooMany(path, conditions.length, maximumConditions)] : [];
  return [
    ...errors,
    ...each(conditions, path, ({ name, expression }, at) => {
      const found = validExpression(expression?.trim(), at.child("expression"), "", (text) =>
        expressions.condition(text),
      );
      if (!name) return [...found, required(at.child("name"))];
      found.push(...obeys(name, qualifiedNameProblems, at.child("name")));
      if (names.has(name)) found.push(duplicate(at.child("name"), name));
      names.add(name);
      return found;
    }),
  ];
}
