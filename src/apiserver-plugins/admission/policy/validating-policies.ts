/** ValidatingAdmissionPolicy: rules in CEL that are judged in this process. */
import type {
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  Validation,
} from "../../../api/admissionregistration/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";
import { ValidatingAdmissionPolicies, ValidatingAdmissionPolicyBindings } from "../../../api/resources.ts";
import { StatusError } from "../../../apimachinery/status-error.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../../apiserver/admission.ts";
import { refuse } from "../refusal.ts";
import {
  type CompiledPolicy,
  ConfigurationProblem,
  compilePolicy,
  type Evaluation,
  type Expression,
  expressionOf,
  type PolicyOptions,
  PolicySource,
} from "./policy-evaluation.ts";

interface Parts {
  validations: { validation: DeepReadonly<Validation>; expression: Expression; message: Expression | undefined }[];
  annotations: { key: string; expression: Expression }[];
}

/** A validation that does not hold, or could not be judged. */
interface Failure {
  policy: DeepReadonly<ValidatingAdmissionPolicy>;
  /** Absent: it is the policy that cannot be judged, whatever binds it. */
  binding: DeepReadonly<ValidatingAdmissionPolicyBinding> | undefined;
  message: string;
  reason: string | undefined;
  expressionIndex: number;
  /** How policy and binding are set up, or an annotation: it is denied whatever the binding's actions are. */
  isConfiguration: boolean;
}

const maximumMessageBytes = 5 * 1024;
const maximumAnnotationBytes = 10 * 1024;

export function validatingAdmissionPolicy(options: PolicyOptions): AdmissionPlugin {
  const source = new PolicySource<ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, Parts>(
    options,
    ValidatingAdmissionPolicies,
    ValidatingAdmissionPolicyBindings,
    compileValidating,
  );
  return {
    name: "ValidatingAdmissionPolicy",
    handles: (request) => source.concerns(request),
    async validate(request) {
      const failures: Failure[] = [];
      const annotations = new Map<string, Set<string>>();
      for await (const { policy, compiled, binding, as, problem } of source.matching(request)) {
        const fail = (message: string, more: Partial<Failure> = {}) => {
          failures.push({
            policy,
            binding,
            message,
            reason: undefined,
            expressionIndex: 0,
            isConfiguration: false,
            ...more,
          });
        };
        const ignores = policy.spec.failurePolicy === "Ignore";
        try {
          if (problem) throw problem;
          for await (const evaluation of source.evaluations(policy, compiled, binding, as, request)) {
            const judged = judge(compiled, evaluation, ignores);
            const noted = await annotate(compiled, evaluation, ignores);
            for (const { message, ...more } of [...judged, ...noted.findings]) fail(message, more);
            for (const [key, value] of noted.values) {
              const name = `${policy.metadata.name}/${key}`;
              annotations.set(name, (annotations.get(name) ?? new Set()).add(value));
            }
          }
        } catch (error) {
          if (!(error instanceof Error) || error instanceof TypeError) throw error;
          if (!ignores) fail(error.message, { isConfiguration: error instanceof ConfigurationProblem });
        }
      }
      for (const [key, values] of annotations) request.annotate(key, [...values].join(", "));
      report(failures, request);
    },
  };
}

function compileValidating(policy: DeepReadonly<ValidatingAdmissionPolicy>): CompiledPolicy<Parts> {
  const { spec } = policy as ValidatingAdmissionPolicy;
  return compilePolicy(spec, (expressions) => ({
    validations: (spec.validations ?? []).map((validation) => ({
      validation,
      expression: expressionOf(validation.expression, expressions.expression(validation.expression, "bool")),
      message: validation.messageExpression
        ? expressionOf(validation.messageExpression, expressions.message(validation.messageExpression, "string"))
        : undefined,
    })),
    annotations: (spec.auditAnnotations ?? []).map(({ key, valueExpression }) => ({
      key,
      expression: expressionOf(valueExpression, expressions.expression(valueExpression, "string", "null_type")),
    })),
  }));
}

type Finding = Pick<Failure, "message"> & Partial<Failure>;

/** Whoever spends all that one look may cost is judged by that alone. */
class OutOfBudget extends Error {}

/** Throws OutOfBudget. */
function judge({ parts }: CompiledPolicy<Parts>, evaluation: Evaluation, ignores: boolean): Finding[] {
  const findings: Finding[] = [];
  for (const [expressionIndex, { validation, expression, message }] of parts.validations.entries()) {
    const outcome = evaluation.run(expression);
    if (outcome.kind === "error") {
      if (outcome.final) throw new OutOfBudget(outcome.message);
      if (!ignores) findings.push({ message: outcome.message, expressionIndex });
    } else if (outcome.value !== true) {
      const made = messageOf(message, evaluation);
      if (made.kind === "error") {
        if (!ignores) findings.push({ message: `failed messageExpression: ${made.message}`, expressionIndex });
        continue;
      }
      const text = made.text || (validation.message?.trim() ?? "");
      findings.push({
        message: text || `failed expression: ${validation.expression.trim()}`,
        reason: validation.reason,
        expressionIndex,
      });
    }
  }
  return findings;
}

/** Empty when there is none, or when what it makes is no message; an error when there was nothing left to spend on it. */
function messageOf(
  expression: Expression | undefined,
  evaluation: Evaluation,
): { kind: "text"; text: string } | { kind: "error"; message: string } {
  const none = { kind: "text", text: "" } as const;
  if (!expression) return none;
  const outcome = evaluation.run(expression);
  if (outcome.kind === "error") return outcome.final ? outcome : none;
  if (typeof outcome.value !== "string") return none;
  const text = outcome.value.trim();
  return text.includes("\n") || Buffer.byteLength(text) > maximumMessageBytes ? none : { kind: "text", text };
}

/** With a budget of its own. Throws OutOfBudget. */
async function annotate(
  { parts }: CompiledPolicy<Parts>,
  judged: Evaluation,
  ignores: boolean,
): Promise<{ findings: Finding[]; values: [key: string, value: string][] }> {
  const findings: Finding[] = [];
  const values: [string, string][] = [];
  if (parts.annotations.length === 0) return { findings, values };
  const evaluation = await judged.again();
  for (const { key, expression } of parts.annotations) {
    const outcome = evaluation.run(expression);
    if (outcome.kind === "error") {
      if (outcome.final) throw new OutOfBudget(outcome.message);
      if (!ignores) findings.push({ message: outcome.message, isConfiguration: true });
      continue;
    }
    if (typeof outcome.value !== "string") continue;
    const value = outcome.value.trim();
    if (value) values.push([key, Buffer.from(value).subarray(0, maximumAnnotationBytes).toString()]);
  }
  return { findings, values };
}

const codes: Readonly<Record<string, number>> = { Unauthorized: 401, Forbidden: 403, RequestEntityTooLarge: 413 };

/** Warns, records and refuses, as the bindings say. */
function report(failures: readonly Failure[], request: AdmissionRequest): void {
  let denied: Failure | undefined;
  let audited: object | undefined;
  for (const failure of failures) {
    const { policy, binding, message, expressionIndex, isConfiguration } = failure;
    const actions = isConfiguration || !binding ? ["Deny"] : binding.spec.validationActions;
    if (actions.includes("Deny")) denied ??= failure;
    if (!binding) continue;
    if (actions.includes("Warn")) {
      request.warn(
        `Validation failed for ValidatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}': ${message}`,
      );
    }
    if (actions.includes("Audit")) {
      // The first one's: an annotation is not written over.
      audited ??= {
        message,
        policy: policy.metadata.name,
        binding: binding.metadata.name,
        expressionIndex,
        validationActions: actions,
      };
    }
  }
  if (audited) request.annotate("validation.policy.admission.k8s.io/validation_failure", JSON.stringify([audited]));
  if (!denied) return;
  const by = denied.binding ? ` with binding '${denied.binding.metadata.name}'` : "";
  const message = `ValidatingAdmissionPolicy '${denied.policy.metadata.name}'${by} denied request: ${denied.message}`;
  const forbidden = refuse(request, message);
  const reason = denied.reason || "Invalid";
  throw new StatusError(codes[reason] ?? 422, reason, forbidden.message, {
    ...forbidden.details,
    causes: [{ message }],
  });
}
