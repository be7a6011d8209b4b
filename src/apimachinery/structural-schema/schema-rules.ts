/** Whether the rules of a schema (x-kubernetes-validations) may stand: they compile, and what they may cost stays within upstream's limits. */
import type { JSONSchemaProps, ValidationRule } from "../../api/apiextensions/v1.ts";
import { type OpenApiSchema, smallestSize } from "../cel/schema-types.ts";
import { type FieldError, type FieldPath, forbidden, invalid, notSupported, required } from "../field-error.ts";
import { findField } from "./field-path.ts";
import { compileRules } from "./rules.ts";

/** Upstream's limits by estimate: of one expression, and of all expressions of a schema. */
const expressionCostLimit = 10_000_000;
const schemaCostLimit = 100_000_000;
const maximumRequestBytes = 3 * 1024 * 1024;

const reasons = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/** Where rules stand, as far as it matters to them. */
export interface RulePlace {
  readonly isRoot: boolean;
  /** How often the value may be in one object; undefined when nothing bounds it. */
  readonly cardinality: number | undefined;
  /** The highest place below which what was before cannot be found. */
  readonly uncorrelatable: FieldPath | undefined;
}

/** Adds up what the rules of a schema may cost. */
export class RuleCosts {
  #total = 0;
  readonly #expensive: { path: FieldPath; cost: number }[] = [];

  observe(path: FieldPath, cost: number): void {
    this.#total += cost;
    if (cost >= schemaCostLimit / 100) this.#expensive.push({ path, cost });
  }

  /** `path` is where the schema stands. */
  errors(path: FieldPath): FieldError[] {
    if (this.#total <= schemaCostLimit) return [];
    const most = this.#expensive.toSorted((a, b) => b.cost - a.cost).slice(0, 4);
    const why = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
    const what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
    return [
      ...most.map(({ path: at }) => forbidden(at, why)),
      forbidden(path, tooCostly(what, this.#total, schemaCostLimit)),
    ];
  }
}

/** In the order and by the names of upstream's internal type, as its messages print it. */
export function printedRule(rule: ValidationRule): object {
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

/** What is wrong with them without looking at the expressions. */
export function validateRuleFields(schema: JSONSchemaProps, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  schema["x-kubernetes-validations"]?.forEach((rule, i) => {
    const at = (field: string) => path.child("x-kubernetes-validations").index(i).child(field);
    const { message = "", messageExpression = "", fieldPath = "", reason } = rule;
    if (!rule.rule.trim()) errors.push(required(at("rule"), "rule is not specified"));
    else if (message && !message.trim()) errors.push(invalid(at("message"), message, "must be non-empty if specified"));
    else if (hasLineBreaks(message.trim()))
      errors.push(invalid(at("message"), message, "must not contain line breaks"));
    else if (hasLineBreaks(rule.rule.trim()) && !message.trim())
      errors.push(required(at("message"), "message must be specified if rule contains line breaks"));
    if (messageExpression && !messageExpression.trim())
      errors.push(required(at("messageExpression"), "messageExpression must be non-empty if specified"));
    if (reason !== undefined && !reasons.includes(reason)) errors.push(notSupported(at("reason"), reason, reasons));
    if (fieldPath && !fieldPath.trim())
      errors.push(invalid(at("fieldPath"), fieldPath, "must be non-empty if specified"));
    if (hasLineBreaks(fieldPath)) errors.push(invalid(at("fieldPath"), fieldPath, "must not contain line breaks"));
    if (fieldPath && findField(fieldPath, schema).problem !== undefined)
      errors.push(invalid(at("fieldPath"), fieldPath, "must be a valid path"));
  });
  return errors;
}

const hasLineBreaks = (text: string) => /[\n\r]/.test(text);

/** What is wrong with the expressions of a schema that is in order otherwise. */
export function validateRuleExpressions(
  schema: JSONSchemaProps,
  path: FieldPath,
  place: RulePlace,
  costs: RuleCosts,
): FieldError[] {
  const rules = schema["x-kubernetes-validations"] ?? [];
  if (rules.length === 0) return [];
  const all = path.child("x-kubernetes-validations");
  const compiledRules = compileRules(schema, place.isRoot || schema["x-kubernetes-embedded-resource"] === true);
  if (compiledRules.length === 0) {
    const message = "Internal error: internal error: failed to retrieve type information for x-kubernetes-validations";
    return [{ reason: "InternalError", field: all.toString(), message }];
  }
  const errors: FieldError[] = [];
  const times = place.cardinality ?? Math.floor(maximumRequestBytes / (smallestSize(schema as OpenApiSchema) + 1));
  compiledRules.forEach((compiled, i) => {
    const at = (field: string) => all.index(i).child(field);
    const { rule, program, problem, messageProgram, messageProblem } = compiled;
    const cost = (program?.estimatedCost.max ?? 0) * times;
    if (cost > expressionCostLimit)
      errors.push(forbidden(at("rule"), tooCostly("estimated rule cost", cost, expressionCostLimit)));
    costs.observe(at("rule"), cost);
    if (problem) errors.push(invalid(at("rule"), printedRule(rule), problem));
    if (messageProblem) errors.push(invalid(at("messageExpression"), printedRule(rule), messageProblem));
    else if (messageProgram) {
      const { max } = messageProgram.estimatedCost;
      if (max > expressionCostLimit)
        errors.push(
          forbidden(at("messageExpression"), tooCostly("estimated messageExpression cost", max, expressionCostLimit)),
        );
      costs.observe(at("messageExpression"), max);
    }
    if (compiled.isTransition) {
      if (place.uncorrelatable)
        errors.push(
          invalid(
            at("rule"),
            rule.rule,
            `oldSelf cannot be used on the uncorrelatable portion of the schema within ${place.uncorrelatable}`,
          ),
        );
    } else if (rule.optionalOldSelf !== undefined) {
      errors.push(
        invalid(at("optionalOldSelf"), rule.optionalOldSelf, "may not be set if oldSelf is not used in rule"),
      );
    }
  });
  return errors;
}

function tooCostly(what: string, cost: number, limit: number): string {
  const exceeded = cost / limit;
  const factor =
    exceeded > 100 ? "more than 100x" : exceeded < 1.5 ? `${exceeded.toFixed(6)}x` : `${exceeded.toFixed(1)}x`;
  return `${what} exceeds budget by factor of ${factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`;
}
