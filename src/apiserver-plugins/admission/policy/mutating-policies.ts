/** MutatingAdmissionPolicy: changes in CEL, as apply configurations or JSON patches. */
import type { MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding } from "../../../api/admissionregistration/v1.ts";
import type { DeepReadonly, KubeObject } from "../../../api/object.ts";
import { MutatingAdmissionPolicies, MutatingAdmissionPolicyBindings } from "../../../api/resources.ts";
import { CelError, ListValue, MapValue, toJson, type Value } from "../../../apimachinery/cel/values.ts";
import {
  applyJsonPatch,
  JsonPatchError,
  JsonPatchTestFailed,
  readJsonPatch,
} from "../../../apimachinery/patch/json.ts";
import { appliedFields, atomicParts, mergeApplied, TypedError } from "../../../apimachinery/patch/typed-apply.ts";
import { DecodeError } from "../../../apimachinery/serializer/decode-error.ts";
import { StatusError } from "../../../apimachinery/status-error.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../../apiserver/admission.ts";
import { schemaOfDefinition } from "../../../apiserver/resource-registry.ts";
import type { MatchedAs } from "../generic/matching.ts";
import { Course, decodedAs, replaceObject } from "../generic/replace-object.ts";
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

interface Mutation {
  kind: "apply" | "json";
  expression: Expression;
}

interface Parts {
  mutations: Mutation[];
}

interface Problem {
  message: string;
  reason: "Invalid" | "Forbidden";
}

export function mutatingAdmissionPolicy(options: PolicyOptions): AdmissionPlugin {
  const source = new PolicySource<MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, Parts>(
    options,
    MutatingAdmissionPolicies,
    MutatingAdmissionPolicyBindings,
    compileMutating,
  );
  const courses = new WeakMap<AdmissionRequest, Course>();
  /** Says whether anything changed. */
  const mutate = async ({ kind, expression }: Mutation, { as, run }: Evaluation, request: AdmissionRequest) => {
    const outcome = run(expression);
    if (outcome.kind === "error") throw new Error(outcome.message);
    const { object: seen } = (await source.versions.objects(request, as)) as { object: KubeObject };
    const made = kind === "apply" ? applied(seen, outcome.value, as, request) : patched(seen, outcome.value);
    const restored = await source.versions.restored(decodedAs(made, as, request), as, request);
    return replaceObject(request, restored);
  };
  return {
    name: "MutatingAdmissionPolicy",
    handles: (request) => request.object !== undefined && source.concerns(request),
    async mutate(request) {
      const course = courses.get(request) ?? new Course();
      courses.set(request, course);
      course.begin(request);
      const problems: Problem[] = [];
      let hasMutated = false;
      for await (const { policy, compiled, binding, as, problem } of source.matching(request)) {
        const { name } = policy.metadata;
        const failed = (error: unknown) => {
          if (!(error instanceof Error) || error instanceof TypeError || error instanceof StatusError) throw error;
          if (policy.spec.failurePolicy === "Ignore") return;
          const which = binding ? `'${name}' with binding '${binding.metadata.name}'` : JSON.stringify(name);
          const message = `policy ${which} denied request: ${error.message}`;
          problems.push({ message, reason: error instanceof ConfigurationProblem ? "Forbidden" : "Invalid" });
        };
        try {
          if (problem) throw problem;
          for await (const evaluation of source.evaluations(policy, compiled, binding, as, request)) {
            const id = `${name}/${binding.metadata.name}/${evaluation.param}`;
            if (!course.takesPart(id, request)) continue;
            let current = evaluation;
            for (const mutation of compiled.parts.mutations) {
              // What fails does not keep those after it from their turn: all is told at once.
              try {
                const hasChanged = await mutate(mutation, current, request);
                hasMutated = true;
                if (!hasChanged) continue;
                current = await evaluation.again();
                course.changed();
                request.reinvoke = true;
              } catch (error) {
                failed(error);
              }
            }
            if (policy.spec.reinvocationPolicy === "IfNeeded") course.settle(id);
          }
        } catch (error) {
          failed(error);
        }
      }
      if (hasMutated) {
        course.changed();
        request.reinvoke = true;
      }
      course.end(request);
      if (problems.length > 0) throw refusal(request, problems);
    },
  };
}

function compileMutating(policy: DeepReadonly<MutatingAdmissionPolicy>): CompiledPolicy<Parts> {
  const { spec } = policy as MutatingAdmissionPolicy;
  return compilePolicy(spec, (expressions) => ({
    mutations: (spec.mutations ?? []).map(({ patchType, applyConfiguration, jsonPatch }) => {
      const text = (patchType === "JSONPatch" ? jsonPatch : applyConfiguration)?.expression ?? "";
      const wanted = patchType === "JSONPatch" ? "list(JSONPatch)" : "Object";
      const kind = patchType === "JSONPatch" ? "json" : "apply";
      return { kind, expression: expressionOf(text, expressions.mutation(text, wanted)) };
    }),
  }));
}

function applied(seen: KubeObject, value: Value, as: MatchedAs, request: AdmissionRequest): unknown {
  if (!(value instanceof MapValue) || value.objectName !== "Object") {
    throw new Error("type mismatch: apply configuration must evaluate to Object");
  }
  const configuration = toJson(value) as Record<string, unknown>;
  // Whatever it says of that, it is about this object.
  for (const key of ["apiVersion", "kind"] as const) configuration[key] = seen[key];
  const type = schemaOfDefinition(as.converted?.definition ?? request.definition);
  if (!type) throw new Error("error applying patch: the object has no schema");
  const schema = { kind: "struct", type, atomic: false } as const;
  try {
    appliedFields(configuration, type);
  } catch (error) {
    if (!(error instanceof TypedError)) throw error;
    throw new Error(`error applying patch: failed to convert patch object to typed object: ${error.message}`, {
      cause: error,
    });
  }
  const atomics = atomicParts(configuration, schema);
  if (atomics.length > 0) {
    throw new Error(
      `error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${atomics.join(", ")}`,
    );
  }
  return mergeApplied(seen, configuration, schema);
}

function patched(seen: KubeObject, value: Value): unknown {
  if (!(value instanceof ListValue))
    throw new Error("type mismatch: JSONPatchType.expression should evaluate to array");
  try {
    const operations = readJsonPatch(toJson(value));
    return applyJsonPatch(seen, operations);
  } catch (error) {
    // A test that fails leaves the object as it was.
    if (error instanceof JsonPatchTestFailed) return seen;
    if (error instanceof JsonPatchError || error instanceof DecodeError || error instanceof CelError) {
      throw new Error(`JSON Patch: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

/** The first one's words and reason, and all of them as causes. */
function refusal(request: AdmissionRequest, problems: readonly Problem[]): StatusError {
  const [{ message, reason }] = problems as [Problem, ...Problem[]];
  const { details } = refuse(request, message);
  return new StatusError(403, reason, message, { ...details, causes: problems.map(({ message }) => ({ message })) });
}
