/** `matchConditions`: CEL that says whether a webhook or a policy is asked at all. */
import type { MatchCondition } from "../../../api/admissionregistration/v1.ts";
import { CostExceeded } from "../../../apimachinery/cel/code.ts";
import { compile, type Program, perCallCostLimit } from "../../../apimachinery/cel/compile.ts";
import type { Environment } from "../../../apimachinery/cel/environment.ts";
import { CelError } from "../../../apimachinery/cel/values.ts";

/** All match conditions of one webhook together; a quarter of what validations may cost. */
const budget = 2_500_000;

export type ConditionResult =
  | { kind: "match" }
  | { kind: "no-match"; condition: string }
  | { kind: "error"; message: string };

export class MatchConditions {
  readonly #conditions: { name: string; expression: string; program: Program | undefined; problem: string }[];

  constructor(conditions: readonly MatchCondition[] | undefined, environment: Environment) {
    this.#conditions = (conditions ?? []).map(({ name, expression }) => {
      const { program, message } = { message: "", ...compile(expression, environment) };
      return { name, expression, program, problem: message };
    });
  }

  get isEmpty(): boolean {
    return this.#conditions.length === 0;
  }

  /** One that is false decides, even when others fail. */
  evaluate(variables: Readonly<Record<string, unknown>>): ConditionResult {
    let spent = 0;
    const problems: string[] = [];
    for (const { name, expression, program, problem } of this.#conditions) {
      if (!program) {
        problems.push(`compilation failed: ${problem}`);
        continue;
      }
      try {
        const { value, cost } = program.evaluate(variables, Math.min(perCallCostLimit, budget - spent));
        spent += cost;
        if (value === false) return { kind: "no-match", condition: name };
        if (value !== true) problems.push("cel expression evaluation must evaluate to bool");
      } catch (error) {
        if (error instanceof CostExceeded) {
          return {
            kind: "error",
            message: "validation failed due to running out of cost budget, no further validation rules will be run",
          };
        }
        if (!(error instanceof CelError)) throw error;
        problems.push(`expression '${expression}' resulted in error: ${error.message}`);
      }
    }
    if (problems.length === 0) return { kind: "match" };
    return { kind: "error", message: problems.length === 1 ? problems[0]! : `[${problems.join(", ")}]` };
  }
}
