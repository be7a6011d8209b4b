/** x-kubernetes-validations: rules in CEL beside a schema, compiled once, evaluated against an object and its previous state. */
import type { JSONSchemaProps, ValidationRule } from "../../api/apiextensions/v1.ts";
import { compile, type Program } from "../cel/compile.ts";
import { kubernetesEnvironment } from "../cel/kubernetes-environment.ts";
import { celTypeOfOpenApi } from "../cel/schema-types.ts";
import { type CelType, optionalOf } from "../cel/types.ts";
import { CelError, fromJson, none, OptionalValue, type Value } from "../cel/values.ts";
import { duplicate, type FieldError, FieldPath, forbidden, invalid, required } from "../field-error.ts";
import { deepEqual } from "../patch/deep-equal.ts";
import { previousItem } from "./correlate.ts";
import { simpleSteps } from "./json-path.ts";
import { pathText } from "./validate-value.ts";

/** Upstream's limit for all rules of one request. */
const requestCostLimit = 10_000_000;
const maximumMessageLength = 10_000;

export interface CompiledRule {
  readonly rule: ValidationRule;
  readonly program: Program | undefined;
  /** Why it does not compile. */
  readonly problem: string | undefined;
  readonly messageProgram: Program | undefined;
  readonly messageProblem: string | undefined;
  /** Reads oldSelf, so it judges changes. */
  readonly isTransition: boolean;
  readonly selfType: CelType;
}

/** The rules that stand at one place of a schema. Empty when expressions cannot see what the schema describes. */
export function compileRules(schema: JSONSchemaProps, isResource: boolean): CompiledRule[] {
  const rules = schema["x-kubernetes-validations"] ?? [];
  if (rules.length === 0) return [];
  const self = celTypeOfOpenApi(schema as never, "object", isResource);
  if (!self) return [];
  return rules.map((rule) => {
    const oldSelf = rule.optionalOldSelf ? optionalOf(self) : self;
    const environment = kubernetesEnvironment({ variables: { self, oldSelf } });
    const compiled = compile(rule.rule, environment);
    const message = rule.messageExpression ? compile(rule.messageExpression, environment) : undefined;
    let problem: string | undefined;
    if (!compiled.program) problem = `compilation failed: ${compiled.message}`;
    else if (!isOf(compiled.program, "bool")) problem = "cel expression must evaluate to a bool";
    let messageProblem: string | undefined;
    if (message && !message.program) messageProblem = `messageExpression compilation failed: ${message.message}`;
    else if (message?.program && !isOf(message.program, "string"))
      messageProblem = "messageExpression must evaluate to a string";
    return {
      rule,
      program: problem ? undefined : compiled.program,
      problem,
      messageProgram: messageProblem ? undefined : message?.program,
      messageProblem,
      isTransition: compiled.program?.variables.has("oldSelf") ?? false,
      selfType: self,
    };
  });
}

const isOf = (program: Program, kind: string) => program.type.kind === kind || program.type.kind === "dyn";

/** Judges `next` against `previous` (absent on create). */
export type RulesValidator = (next: unknown, previous: unknown) => FieldError[];

/** Undefined when the schema has no rules. */
export function compileRulesValidation(schema: JSONSchemaProps): RulesValidator | undefined {
  const check = compileNode(schema, true);
  if (!check) return undefined;
  return (next, previous) => {
    const run = new Run();
    check(next, previous, run);
    return run.errors;
  };
}

class Run {
  readonly errors: FieldError[] = [];
  readonly steps: (string | number)[] = [];
  budget = requestCostLimit;
  get isOver(): boolean {
    return this.budget < 0;
  }
}

type Check = (next: unknown, previous: unknown, run: Run) => void;

function compileNode(schema: JSONSchemaProps, isRoot = false): Check | undefined {
  const isResource = isRoot || schema["x-kubernetes-embedded-resource"] === true;
  const rules = compileRules(schema, isResource).filter(({ program }) => program);
  const children = Object.entries(schema.properties ?? {})
    .filter(([name]) => !isResource || name !== "metadata")
    .flatMap(([name, property]) => {
      const check = compileNode(property);
      return check ? [{ name, check }] : [];
    });
  const values = typeof schema.additionalProperties === "object" ? compileNode(schema.additionalProperties) : undefined;
  const items = schema.items && !Array.isArray(schema.items) ? compileNode(schema.items) : undefined;
  if (rules.length === 0 && children.length === 0 && !values && !items) return undefined;
  const type = schema["x-kubernetes-int-or-string"] ? "" : (schema.type ?? "");
  return (next, previous, run) => {
    if (next === undefined || next === null || run.isOver) return;
    const unchanged = previous !== undefined && deepEqual(next, previous);
    for (const rule of rules) {
      evaluate(rule, type, next, previous, unchanged, run);
      if (run.isOver) return;
    }
    const into = (step: string | number, check: Check, child: unknown, before: unknown) => {
      run.steps.push(step);
      check(child, before, run);
      run.steps.pop();
    };
    if (Array.isArray(next)) {
      if (!items) return;
      for (const [i, item] of next.entries()) into(i, items, item, previousItem(schema, previous, item));
    } else if (typeof next === "object") {
      const [now, before] = [next as Record<string, unknown>, (previous ?? {}) as Record<string, unknown>];
      for (const { name, check } of children) into(name, check, now[name], before[name]);
      if (values) for (const key in now) into(key, values, now[key], before[key]);
    }
  };
}

function evaluate(
  compiled: CompiledRule,
  type: string,
  next: unknown,
  previous: unknown,
  unchanged: boolean,
  run: Run,
): void {
  const { rule, isTransition, selfType } = compiled;
  const hasOld = previous !== undefined && previous !== null;
  if (isTransition && !hasOld && !rule.optionalOldSelf) return;
  const variables = {
    self: next,
    ...(rule.optionalOldSelf
      ? { oldSelf: (hasOld ? new OptionalValue(fromJson(previous, selfType)) : none) as Value }
      : hasOld
        ? { oldSelf: previous }
        : {}),
  };
  const place = () => (run.steps.length === 0 ? nowhere : FieldPath.root.child(pathText(run.steps)));
  const quoted = rule.message?.trim() || rule.rule.trim();
  let message = rule.message?.trim() || `failed rule: ${rule.rule.trim()}`;
  try {
    const { value, cost } = compiled.program!.evaluate(variables);
    run.budget -= cost;
    if (run.isOver) {
      run.errors.push(
        invalid(
          place(),
          type,
          "validation failed due to running out of cost budget, no further validation rules will be run",
        ),
      );
      return;
    }
    // What is unchanged and broken was let in by older rules; transitions are judged all the same.
    if (value === true || (unchanged && !isTransition)) return;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const text = error.message;
    if (text.startsWith("operation cancelled: actual cost limit exceeded")) {
      run.budget = -1;
      run.errors.push(
        invalid(
          place(),
          type,
          `'${text}': no further validation rules will be run due to call cost exceeds limit for rule: ${quoted}`,
        ),
      );
      return;
    }
    if (!(error instanceof CelError)) throw error;
    const why = text.startsWith("no such overload")
      ? `'${text}': call arguments did not match a supported operator, function or macro signature for rule: ${quoted}`
      : `${text} evaluating rule: ${quoted}`;
    run.errors.push(invalid(place(), type, why));
    return;
  }
  if (compiled.messageProgram) message = evaluatedMessage(compiled.messageProgram, variables, run) ?? message;
  const below = rule.fieldPath ? simpleSteps(rule.fieldPath) : [];
  const path = below.length > 0 ? FieldPath.root.child(pathText([...run.steps, ...below])) : place();
  run.errors.push(errorOf(rule.reason, path, type, message));
}

const nowhere = FieldPath.root.child("<nil>");

/** Undefined when it fails or says nothing: the plain message stands in. */
function evaluatedMessage(program: Program, variables: Record<string, unknown>, run: Run): string | undefined {
  try {
    const { value, cost } = program.evaluate(variables);
    run.budget -= cost;
    if (typeof value !== "string" || value.includes("\n") || value.length > maximumMessageLength) return undefined;
    return value.trim() || undefined;
  } catch {
    return undefined;
  }
}

function errorOf(reason: string | undefined, path: FieldPath, type: string, message: string): FieldError {
  switch (reason) {
    case "FieldValueForbidden":
      return forbidden(path, message);
    case "FieldValueRequired":
      return required(path, message);
    case "FieldValueDuplicate":
      return duplicate(path, type);
    default:
      return invalid(path, type, message);
  }
}
