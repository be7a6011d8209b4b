/** Names of conditions, which must be told apart when one of them decides. */
import { duplicate, type FieldError, type FieldPath, required, tooMany } from "../../apimachinery/field-error.ts";
import { qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { each, obeys } from "../validation/rules.ts";

const maximumConditions = 64;

interface Condition {
  name?: string;
  expression?: string;
}

/** `rule` checks the expression. */
export function validMatchConditions(
  conditions: readonly Condition[] | undefined,
  path: FieldPath,
  rule: (expression: string, path: FieldPath) => FieldError[],
): FieldError[] {
  const names = new Set<string>();
  const errors =
    conditions && conditions.length > maximumConditions ? [tooMany(path, conditions.length, maximumConditions)] : [];
  return [
    ...errors,
    ...each(conditions, path, ({ name, expression }, at) => {
      const expressionPath = at.child("expression");
      const found = expression?.trim() ? rule(expression, expressionPath) : [required(expressionPath)];
      if (!name) return [...found, required(at.child("name"))];
      found.push(...obeys(name, qualifiedNameProblems, at.child("name")));
      if (names.has(name)) found.push(duplicate(at.child("name"), name));
      names.add(name);
      return found;
    }),
  ];
}
