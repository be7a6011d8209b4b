/** x-kubernetes-validations: rules in CEL beside a schema, compiled once, evaluated against an object and its previous state. */
import type { JSONSchemaProps, ValidationRule } from "../../api/apiextensions/v1.ts";
import { utf8Length } from "../../base/utf8.ts";
import { compile, type Program } from "../cel/compile.ts";
import { kubernetesEnvironment } from "../cel/kubernetes-environment.ts";
import { celTypeOfOpenApi } from "../cel/schema-types.ts";
import { type CelType, optionalOf } from "../cel/types.ts";
import { CelError, fromJson, none, OptionalValue, type Value } from "../cel/values.ts";
import { duplicate, type FieldError, FieldPath, forbidden, invalid, required } from "../field-error.ts";
import { deepEqual } from "../patch/deep-equal.ts";
import { previousItem } from "./correlate.ts";
import { findField } from "./field-path.ts";

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
  /** Where its errors are said to be, below the value that it judges. */
  readonly fieldPath: string | undefined;
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
    else if (compiled.program.type.kind !== "bool") problem = "cel expression must evaluate to a bool";
    let messageProblem: string | undefined;
    if (message && !message.program) messageProblem = `messageExpression compilation failed: ${message.message}`;
    else if (message?.program && message.program.type.kind !== "string")
      messageProblem = "messageExpression must evaluate to a string";
    return {
      rule,
      program: problem ? undefined : compiled.program,
      problem,
      messageProgram: messageProblem ? undefined : message?.program,
      messageProblem,
      isTransition: compiled.program?.variables.has("oldSelf") ?? false,
      selfType: self,
      fieldPath: fieldPathOf(rule, schema),
    };
  });
}

function fieldPathOf({ fieldPath }: ValidationRule, schema: JSONSchemaProps): string | undefined {
  const found = fieldPath ? findField(fieldPath, schema) : undefined;
  return found && found.problem === undefined ? found.path.toString() : undefined;
}

/** Judges `next` against `previous` (absent on create). Places get names below `path`. */
export type RulesValidator = (next: unknown, previous: unknown, path?: FieldPath) => Judged;

export interface Judged {
  readonly errors: FieldError[];
  /** Broken rules of parts that are as they were: such are told, not refused. */
  readonly ratcheted: FieldError[];
}

/** Undefined when the schema has no rules. */
export function compileRulesValidation(schema: JSONSchemaProps, isResource = true): RulesValidator | undefined {
  const check = compileNode(schema, isResource);
  if (!check) return undefined;
  return (next, previous, path) => {
    const run = new Run(path);
    check(next, previous, new Correlation(next, previous, undefined), run);
    return run;
  };
}

type Step = { readonly field: string } | { readonly key: string } | number;

class Run implements Judged {
  readonly errors: FieldError[] = [];
  readonly ratcheted: FieldError[] = [];
  readonly steps: Step[] = [];
  budget = requestCostLimit;
  readonly #root: FieldPath | undefined;

  constructor(root: FieldPath | undefined) {
    this.#root = root;
  }

  get isOver(): boolean {
    return this.budget < 0;
  }

  /** Undefined at the root of an object. */
  get path(): FieldPath | undefined {
    let path = this.#root;
    for (const step of this.steps) {
      const above: FieldPath = path ?? FieldPath.root;
      path =
        typeof step === "number" ? above.index(step) : "key" in step ? above.key(step.key) : above.child(step.field);
    }
    return path;
  }
}

/** The nearest value around a place, or at it, whose previous state is known. */
class Correlation {
  readonly #next: unknown;
  readonly previous: unknown;
  readonly #above: Correlation | undefined;
  #isUnchanged: boolean | undefined;

  constructor(next: unknown, previous: unknown, above: Correlation | undefined) {
    this.#next = next;
    this.previous = previous;
    this.#above = above;
  }

  get isUnchanged(): boolean {
    if (this.previous === undefined) return this.#above?.isUnchanged ?? false;
    this.#isUnchanged ??= deepEqual(this.#next, this.previous);
    return this.#isUnchanged;
  }

  /** `previous` is undefined when it cannot be told. */
  below(next: unknown, previous: unknown): Correlation {
    return this.previous === undefined ? this : new Correlation(next, previous, this);
  }
}

type Check = (next: unknown, previous: unknown, correlation: Correlation, run: Run) => void;

function compileNode(schema: JSONSchemaProps, isResource: boolean): Check | undefined {
  const rules = compileRules(schema, isResource).filter(({ program }) => program);
  const children = Object.entries(schema.properties ?? {})
    .filter(([name]) => !isResource || name !== "metadata")
    .flatMap(([name, property]) => {
      const check = compileNode(property, property["x-kubernetes-embedded-resource"] === true);
      return check ? [{ name, step: { field: name }, check }] : [];
    });
  const inner = (of: JSONSchemaProps | undefined) =>
    of && compileNode(of, of["x-kubernetes-embedded-resource"] === true);
  const values = inner(typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined);
  const items = inner(schema.items && !Array.isArray(schema.items) ? schema.items : undefined);
  if (rules.length === 0 && children.length === 0 && !values && !items) return undefined;
  const isAtomic = schema["x-kubernetes-map-type"] === "atomic";
  const type = schema["x-kubernetes-int-or-string"] ? "" : (schema.type ?? "");
  return (next, previous, correlation, run) => {
    if (next === undefined || next === null || run.isOver) return;
    for (const rule of rules) {
      evaluate(rule, type, next, previous, correlation, run);
      if (run.isOver) return;
    }
    const into = (step: Step, check: Check, child: unknown, before: unknown, around: Correlation) => {
      run.steps.push(step);
      check(child, before, around, run);
      run.steps.pop();
    };
    if (Array.isArray(next)) {
      if (!items) return;
      for (const [i, item] of next.entries()) {
        const before = previousItem(schema, previous, item);
        into(i, items, item, before, correlation.below(item, before));
      }
    } else if (typeof next === "object") {
      const now = next as Record<string, unknown>;
      const [old, known] = [previous, correlation.previous].map((of) => (of ?? {}) as Record<string, unknown>);
      const go = (name: string, step: Step, check: Check) => {
        if (now[name] === undefined) return;
        into(step, check, now[name], isAtomic ? undefined : old![name], correlation.below(now[name], known![name]));
      };
      if (values) for (const key in now) go(key, { key }, values);
      for (const { name, step, check } of children) go(name, step, check);
    }
  };
}

function evaluate(
  compiled: CompiledRule,
  type: string,
  next: unknown,
  previous: unknown,
  correlation: Correlation,
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
  const place = () => run.path ?? nowhere;
  const fail = (why: string) => run.errors.push(invalid(place(), type, why));
  const quoted = rule.message?.trim() || rule.rule.trim();
  try {
    const { value, cost } = compiled.program!.evaluate(variables);
    run.budget -= cost;
    if (run.isOver) {
      fail("validation failed due to running out of cost budget, no further validation rules will be run");
      return;
    }
    if (value === true) return;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const text = error.message;
    if (text.startsWith("operation cancelled: actual cost limit exceeded")) {
      run.budget = -1;
      fail(`'${text}': no further validation rules will be run due to call cost exceeds limit for rule: ${quoted}`);
      return;
    }
    if (!(error instanceof CelError)) throw error;
    fail(
      text.startsWith("no such overload")
        ? `'${text}': call arguments did not match a supported operator, function or macro signature for rule: ${quoted}`
        : `${text} evaluating rule: ${quoted}`,
    );
    return;
  }
  // What is as it was was let in by older rules; transitions are judged all the same.
  const errors = !isTransition && correlation.isUnchanged ? run.ratcheted : run.errors;
  const at = (compiled.fieldPath ? (run.path ?? FieldPath.root).child(compiled.fieldPath) : run.path) ?? nowhere;
  let message = rule.message?.trim() || `failed rule: ${rule.rule.trim()}`;
  if (compiled.messageProgram) {
    const said = evaluatedMessage(compiled.messageProgram, variables, run);
    if (said.problem !== undefined) {
      errors.push(invalid(at, type, said.problem));
      run.budget = -1;
      return;
    }
    message = said.message ?? message;
  }
  errors.push(errorOf(rule.reason, at, type === "object" || type === "array" ? omitted : next, message));
}

const nowhere = FieldPath.root.child("<nil>");

/** A message, or why no further rules may be asked. Neither: it fails or says nothing, and the plain message stands in. */
function evaluatedMessage(
  program: Program,
  variables: Record<string, unknown>,
  run: Run,
): { message?: string | undefined; problem?: string } {
  try {
    const { value, cost } = program.evaluate(variables);
    if (cost > run.budget)
      return {
        problem:
          "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run",
      };
    run.budget -= cost;
    if (typeof value !== "string") return {};
    const message = value.trim();
    if (message.includes("\n") || utf8Length(message) > maximumMessageLength) return {};
    return { message: message || undefined };
  } catch (error) {
    if ((error as Error).message.startsWith("operation cancelled: actual cost limit exceeded")) {
      const source = JSON.stringify(program.source);
      return {
        problem: `no further validation rules will be run due to call cost exceeds limit for messageExpression: ${source}`,
      };
    }
    return {};
  }
}

/** Values that would take much room are not repeated in messages. */
const omitted = Symbol("omitted");

function errorOf(reason: string | undefined, path: FieldPath, value: unknown, message: string): FieldError {
  switch (reason) {
    case "FieldValueForbidden":
      return forbidden(path, message);
    case "FieldValueRequired":
      return required(path, message);
    case "FieldValueDuplicate":
      return value === omitted
        ? { reason: "FieldValueDuplicate", field: path.toString(), message: "Duplicate value" }
        : duplicate(path, value);
    default:
      return value === omitted
        ? { reason: "FieldValueInvalid", field: path.toString(), message: `Invalid value: ${message}` }
        : invalid(path, value, message);
  }
}
