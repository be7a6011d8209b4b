/** Says in the status of ValidatingAdmissionPolicies where their expressions do not fit the kinds that they are about. */
import type {
  ExpressionWarning,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicySpec,
} from "../../api/admissionregistration/v1.ts";
import { resources as discovered } from "../../api/discovery.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { ValidatingAdmissionPolicies } from "../../api/resources.ts";
import { schemaForKind, type TypeSchema } from "../../api/schema.ts";
import { namedResources, PolicyExpressions } from "../../apimachinery/cel/admission.ts";
import type { Compiled } from "../../apimachinery/cel/compile.ts";
import { celTypeOfSchema } from "../../apimachinery/cel/schema-types.ts";
import { type CelType, Dyn } from "../../apimachinery/cel/types.ts";
import { defineController, statusOf } from "../../controller-runtime/controller.ts";

/** As many kinds of one policy are looked at. */
const maximumKinds = 10;

export const validatingAdmissionPolicyStatusController = defineController<ValidatingAdmissionPolicy>({
  name: "validatingadmissionpolicy-status-controller",
  reconciles: ValidatingAdmissionPolicies,
  writes: [statusOf(ValidatingAdmissionPolicies)],
  async reconcile({ key, cache, api }) {
    const policy = cache.get(ValidatingAdmissionPolicies, key);
    if (!policy || policy.metadata.deletionTimestamp) return;
    const { generation } = policy.metadata;
    if (generation !== undefined && policy.status?.observedGeneration === generation) return;
    const warnings = typeWarnings(policy.spec);
    const status = {
      ...policy.status,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      typeChecking: warnings.length > 0 ? { expressionWarnings: warnings } : {},
    };
    await api.updateStatus(ValidatingAdmissionPolicies, { ...policy, status });
  },
});

interface Kind {
  text: string;
  schema: TypeSchema;
}

/** One warning an expression, with a paragraph for each kind that it does not fit. */
export function typeWarnings(spec: DeepReadonly<ValidatingAdmissionPolicySpec>): ExpressionWarning[] {
  const { matchConstraints, paramKind, variables = [], validations = [] } = spec as ValidatingAdmissionPolicySpec;
  const kinds = [...namedResources(matchConstraints?.resourceRules)].flatMap((name) => kindOf(name) ?? []);
  const found = new Map<string, string[]>();
  for (const kind of kinds.slice(0, maximumKinds)) {
    const expressions = new PolicyExpressions({
      objectType: celTypeOfSchema(kind.schema),
      ...(paramKind ? { paramsType: paramsType(paramKind.apiVersion ?? "", paramKind.kind ?? "") } : {}),
    });
    const note = (field: string, problem: string | undefined) => {
      if (problem) found.set(field, [...(found.get(field) ?? []), `${kind.text}: ${problem}`]);
    };
    for (const { name, expression } of variables) expressions.addVariable(name, expression);
    for (const [i, { expression, messageExpression }] of validations.entries()) {
      note(`spec.validations[${i}].expression`, problemOf(expressions.expression(expression)));
      if (messageExpression) {
        note(`spec.validations[${i}].messageExpression`, problemOf(expressions.message(messageExpression)));
      }
    }
  }
  return [...found].map(([fieldRef, texts]) => ({ fieldRef, warning: texts.join("\n") }));
}

function problemOf(compiled: Compiled): string | undefined {
  return compiled.program ? undefined : compiled.message;
}

function kindOf({ group, version, resource }: { group: string; version: string; resource: string }): Kind | undefined {
  const apiVersion = group ? `${group}/${version}` : version;
  const kind = discovered[apiVersion]?.find(({ name }) => name === resource)?.kind;
  const schema = kind === undefined ? undefined : schemaForKind(group, version, kind);
  return schema && { text: `${apiVersion}, Kind=${kind}`, schema };
}

/** Custom resources are not known here: their fields may be anything. */
function paramsType(apiVersion: string, kind: string): CelType {
  const [version = "", group = ""] = apiVersion.split("/").reverse();
  const schema = schemaForKind(group, version, kind);
  return schema ? celTypeOfSchema(schema) : Dyn;
}
