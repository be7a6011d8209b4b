/** MutatingAdmissionPolicy: changes in CEL, as apply configurations or JSON patches. */
import type { MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding } from "../../../api/admissionregistration/v1.ts";
import type { DeepReadonly, KubeObject } from "../../../api/object.ts";
import { MutatingAdmissionPolicies, MutatingAdmissionPolicyBindings } from "../../../api/resources.ts";
import { CelError, ListValue, MapValue, toJson, type Value } from "../../../apimachinery/cel/values.ts";
import { applyJsonPatch, JsonPatchError, readJsonPatch } from "../../../apimachinery/patch/json.ts";
import { mergeApplied } from "../../../apimachinery/patch/typed-apply.ts";
import { DecodeError } from "../../../apimachinery/serializer/decode-error.ts";
import { StatusError } from "../../../apimachinery/status-error.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../../apiserver/admission.ts";
import { schemaOfDefinition } from "../../../apiserver/resource-registry.ts";
import type { MatchedAs } from "../generic/matching.ts";
import { Course, decodedAs, replaceObject } from "../generic/replace-object.ts";
import { refuse } from "../refusal.ts";
import {
  type CompiledPolicy,
  compilePolicy,
  type Expression,
  expressionOf,
  type PolicyOptions,
  PolicySource,
} from "./policy-evaluation.ts";

interface Parts {
  mutations: { kind: "apply" | "json"; expression: Expression }[];
}

export function mutatingAdmissionPolicy(options: PolicyOptions): AdmissionPlugin {
  const source = new PolicySource<MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, Parts>(
    options,
    MutatingAdmissionPolicies,
    MutatingAdmissionPolicyBindings,
    compileMutating,
  );
  const courses = new WeakMap<AdmissionRequest, Course>();
  return {
    name: "MutatingAdmissionPolicy",
    handles: (request) => request.object !== undefined && source.concerns(request),
    async mutate(request) {
      const course = courses.get(request) ?? new Course();
      courses.set(request, course);
      course.begin(request);
      for await (const { policy, compiled, binding, as } of source.matching(request)) {
        const { name } = policy.metadata;
        const id = `${name}/${binding.metadata.name}`;
        if (!course.takesPart(id, request)) continue;
        try {
          for await (const evaluation of source.evaluations(policy, compiled, binding, as, request)) {
            for (const { kind, expression } of compiled.parts.mutations) {
              const outcome = evaluation.run(expression);
              if (outcome.kind === "error") throw new Error(outcome.message);
              const { object: seen } = (await source.versions.objects(request, as)) as { object: KubeObject };
              const made = kind === "apply" ? applied(seen, outcome.value, as, request) : patched(seen, outcome.value);
              const restored = await source.versions.restored(decodedAs(made, as, request), as, request);
              if (!replaceObject(request, restored)) continue;
              course.changed();
              request.reinvoke = true;
            }
          }
        } catch (error) {
          if (!(error instanceof Error) || error instanceof TypeError) throw error;
          if (policy.spec.failurePolicy !== "Ignore") throw failed(request, name, binding.metadata.name, error.message);
        }
        if (policy.spec.reinvocationPolicy === "IfNeeded") course.settle(id);
      }
      course.end(request);
    },
  };
}

function compileMutating(policy: DeepReadonly<MutatingAdmissionPolicy>): CompiledPolicy<Parts> {
  const { spec } = policy as MutatingAdmissionPolicy;
  return compilePolicy(spec, { mutations: true }, (expressions) => ({
    mutations: (spec.mutations ?? []).map(({ patchType, applyConfiguration, jsonPatch }) => {
      const text = (patchType === "JSONPatch" ? jsonPatch : applyConfiguration)?.expression ?? "";
      const wanted = patchType === "JSONPatch" ? "list" : "object";
      const kind = patchType === "JSONPatch" ? "json" : "apply";
      return { kind, expression: expressionOf(text, expressions.expression(text, wanted)) };
    }),
  }));
}

function applied(seen: KubeObject, value: Value, as: MatchedAs, request: AdmissionRequest): unknown {
  if (!(value instanceof MapValue) || value.objectName !== "Object") {
    throw new Error("type mismatch: apply configuration must evaluate to Object");
  }
  const configuration = toJson(value) as Record<string, unknown>;
  if (configuration["kind"] !== undefined || configuration["apiVersion"] !== undefined) {
    throw new Error("error applying patch: apiVersion and kind may not be changed");
  }
  const type = schemaOfDefinition(as.converted?.definition ?? request.definition);
  if (!type) throw new Error("error applying patch: the object has no schema");
  return mergeApplied(seen, configuration, { kind: "struct", type, atomic: false });
}

function patched(seen: KubeObject, value: Value): unknown {
  if (!(value instanceof ListValue))
    throw new Error("type mismatch: JSONPatchType.expression should evaluate to array");
  try {
    const operations = readJsonPatch(toJson(value));
    return applyJsonPatch(seen, operations);
  } catch (error) {
    if (error instanceof JsonPatchError || error instanceof DecodeError || error instanceof CelError) {
      throw new Error(`error applying JSON Patch: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

function failed(request: AdmissionRequest, policy: string, binding: string, why: string): StatusError {
  const { message, details } = refuse(request, `policy '${policy}' with binding '${binding}' denied request: ${why}`);
  return new StatusError(422, "Invalid", message, details);
}
