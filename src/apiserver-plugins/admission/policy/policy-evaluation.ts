/** What both kinds of admission policies share: which bindings concern a request, with which parameters, and evaluation with a budget. */
import type {
  MatchCondition,
  MatchResources,
  NamedRuleWithOperations,
  ParamKind,
  ParamRef,
  Variable,
} from "../../../api/admissionregistration/v1.ts";
import type { LabelSelector } from "../../../api/meta/v1.ts";
import type { DeepReadonly, KubeObject } from "../../../api/object.ts";
import type { Resource } from "../../../api/resource.ts";
import { PolicyExpressions, variablesTypeName } from "../../../apimachinery/cel/admission.ts";
import { CostExceeded } from "../../../apimachinery/cel/code.ts";
import { type Compiled, type Program, perCallCostLimit } from "../../../apimachinery/cel/compile.ts";
import { Dyn } from "../../../apimachinery/cel/types.ts";
import { CelError, LazyStruct, type Value } from "../../../apimachinery/cel/values.ts";
import { labelSelectorMatcher } from "../../../apimachinery/selectors.ts";
import type { AdmissionRequest } from "../../../apiserver/admission.ts";
import type { Authorizer } from "../../../apiserver/authorization.ts";
import type { ResourceRegistry } from "../../../apiserver/resource-registry.ts";
import type { ObjectReader } from "../../object-reader.ts";
import { askAuthorizers, authorizerVariables, requestFacts } from "../generic/cel-request.ts";
import { isExempt, type MatchCriteria, type MatchedAs, matchCriteria, RequestMatcher } from "../generic/matching.ts";
import { RequestVersions } from "../generic/request-versions.ts";

export interface PolicyOptions {
  objects: ObjectReader;
  registry: ResourceRegistry;
  authorizers: () => readonly Authorizer[];
}

/** What all expressions of one policy may cost for one binding and parameter, and its match conditions. */
const evaluationBudget = 10_000_000;
const conditionBudget = 2_500_000;

const outOfBudget = "validation failed due to running out of cost budget, no further validation rules will be run";

/** The fields that both kinds of policies have. */
export interface PolicySpec {
  readonly paramKind?: ParamKind;
  readonly matchConstraints?: MatchResources;
  readonly variables?: readonly Variable[];
  readonly failurePolicy?: string;
  readonly matchConditions?: readonly MatchCondition[];
}

interface BindingSpec {
  readonly policyName?: string;
  readonly paramRef?: ParamRef;
  readonly matchResources?: MatchResources;
}

export type Policy = KubeObject & { spec: PolicySpec };
export type Binding = KubeObject & { spec: BindingSpec };

/** One expression, ready to run, or why it is not. */
export interface Expression {
  readonly source: string;
  readonly program: Program | undefined;
  readonly problem: string;
}

export function expressionOf(source: string, compiled: Compiled): Expression {
  if (compiled.program) return { source, program: compiled.program, problem: "" };
  return { source, program: undefined, problem: compiled.message };
}

/** A policy's variables and conditions, and whatever the kind of policy has besides (`parts`). */
export interface CompiledPolicy<Parts> {
  readonly criteria: MatchCriteria;
  readonly variables: readonly { name: string; expression: Expression }[];
  readonly conditions: readonly { name: string; expression: Expression }[];
  readonly parts: Parts;
}

export function compilePolicy<Parts>(
  spec: PolicySpec,
  compileParts: (expressions: PolicyExpressions) => Parts,
): CompiledPolicy<Parts> {
  const expressions = new PolicyExpressions({ hasVariables: true, ...(spec.paramKind ? { paramsType: Dyn } : {}) });
  const conditions = (spec.matchConditions ?? []).map(({ name, expression }) => ({
    name,
    expression: expressionOf(expression, expressions.condition(expression)),
  }));
  const variables = (spec.variables ?? []).map(({ name, expression }) => ({
    name,
    expression: expressionOf(expression, expressions.addVariable(name, expression)),
  }));
  return { criteria: criteriaOf(spec.matchConstraints), variables, conditions, parts: compileParts(expressions) };
}

function criteriaOf(match: MatchResources | undefined): MatchCriteria {
  return matchCriteria({ ...match, resourceRules: match?.resourceRules ?? [] });
}

/** A binding without rules of its own takes the policy's. */
const anything: NamedRuleWithOperations = {
  apiGroups: ["*"],
  apiVersions: ["*"],
  resources: ["*", "*/*"],
  operations: ["*"],
};

/** One look at a request for one binding and one parameter. */
export interface Evaluation {
  readonly as: MatchedAs;
  readonly binding: DeepReadonly<Binding>;
  /** Of its parameter, where it has one: `namespace/name`. */
  readonly param: string;
  run(expression: Expression): Outcome;
  /** As it is after a change: the object anew, variables not yet evaluated, nothing spent. */
  again(): Promise<Evaluation>;
}

export type Outcome = { kind: "value"; value: Value } | { kind: "error"; message: string; final?: boolean };

/** A policy with a binding that cannot be judged, because of how they are set up. */
export class ConfigurationProblem extends Error {}

export class PolicySource<P extends Policy, B extends Binding, Parts> {
  readonly #options: PolicyOptions;
  readonly #policies: Resource<P>;
  readonly #bindings: Resource<B>;
  /** What expressions see of a request, and what becomes of what they make. */
  readonly versions: RequestVersions;
  readonly #matcher: RequestMatcher;
  readonly #compile: (policy: DeepReadonly<P>) => CompiledPolicy<Parts>;
  readonly #compiled = new WeakMap<object, CompiledPolicy<Parts>>();
  readonly #bindingCriteria = new WeakMap<object, MatchCriteria>();

  constructor(
    options: PolicyOptions,
    policies: Resource<P>,
    bindings: Resource<B>,
    compile: (policy: DeepReadonly<P>) => CompiledPolicy<Parts>,
  ) {
    this.#options = options;
    this.#policies = policies;
    this.#bindings = bindings;
    this.versions = new RequestVersions(options.registry);
    this.#matcher = new RequestMatcher(options.objects, options.registry);
    this.#compile = compile;
  }

  /** Nearly free when nothing is bound. */
  concerns(request: AdmissionRequest): boolean {
    return !this.#options.objects.hasNone(this.#bindings) && !isExempt(request);
  }

  /** Policies by name with their bindings, as far as they are about this request. */
  async *matching(request: AdmissionRequest): AsyncGenerator<
    { policy: DeepReadonly<P>; compiled: CompiledPolicy<Parts>; as: MatchedAs } & (
      | { binding: DeepReadonly<B>; problem?: undefined }
      // A policy that is set up so that it cannot be judged, whatever binds it.
      | { binding: undefined; problem: ConfigurationProblem }
    )
  > {
    const bindings = await this.#options.objects.list(this.#bindings, "");
    for (const policy of await this.#options.objects.list(this.#policies, "")) {
      const own = bindings.filter((binding) => specOf(binding).policyName === policy.metadata.name);
      if (own.length === 0) continue;
      const compiled = this.#compiledOf(policy);
      const as = await this.#matcher.match(compiled.criteria, request);
      if (!as) continue;
      const problem = this.#problemOf(policy.spec as PolicySpec);
      if (problem) {
        yield { policy, compiled, binding: undefined, as, problem };
        continue;
      }
      for (const binding of own) {
        const criteria = this.#criteriaOf(binding);
        if (!criteria || (await this.#matcher.match(criteria, request))) yield { policy, compiled, binding, as };
      }
    }
  }

  /**
   * One evaluation for each parameter, or a single one without; none when conditions leave the request out.
   * Throws a ConfigurationProblem, or an Error when conditions fail.
   */
  async *evaluations(
    policy: DeepReadonly<P>,
    compiled: CompiledPolicy<Parts>,
    binding: DeepReadonly<B>,
    as: MatchedAs,
    request: AdmissionRequest,
  ): AsyncGenerator<Evaluation> {
    const spec = policy.spec as PolicySpec;
    const params = await this.#params(spec.paramKind, specOf(binding).paramRef as ParamRef | undefined, request);
    const namespace = await this.#matcher.namespaceOf(request);
    for (const param of params) {
      const constant = {
        request: requestFacts(request, as),
        namespaceObject: namespace ?? null,
        params: param,
        ...authorizerVariables(request, as, askAuthorizers(this.#options.authorizers, request.user)),
      };
      const seen = this.versions.objects(request, as);
      const variables: Record<string, unknown> = { ...constant, ...(seen instanceof Promise ? await seen : seen) };
      const meter = new Meter(compiled, variables, conditionBudget);
      if (!meetsConditions(compiled, meter)) continue;
      const { name = "", namespace: of = "" } = (param as KubeObject | null)?.metadata ?? {};
      const evaluationOf = (variables: Record<string, unknown>): Evaluation => {
        const budgeted = new Meter(compiled, variables, evaluationBudget);
        return {
          as,
          binding,
          param: param === null ? "" : `${of}/${name}`,
          run: (expression) => budgeted.run(expression),
          again: async () => evaluationOf({ ...constant, ...(await this.versions.objects(request, as)) }),
        };
      };
      yield evaluationOf(variables);
    }
  }

  #problemOf({ paramKind }: PolicySpec): ConfigurationProblem | undefined {
    if (!paramKind || this.#options.registry.findKind(paramKind.apiVersion ?? "", paramKind.kind ?? ""))
      return undefined;
    return new ConfigurationProblem(
      `failed to configure policy: failed to find resource referenced by paramKind: '${paramKind.apiVersion}, Kind=${paramKind.kind}'`,
    );
  }

  #compiledOf(policy: DeepReadonly<P>): CompiledPolicy<Parts> {
    let compiled = this.#compiled.get(policy);
    if (!compiled) {
      compiled = this.#compile(policy);
      this.#compiled.set(policy, compiled);
    }
    return compiled;
  }

  #criteriaOf(binding: DeepReadonly<B>): MatchCriteria | undefined {
    const match = specOf(binding).matchResources as MatchResources | undefined;
    if (!match) return undefined;
    let criteria = this.#bindingCriteria.get(binding);
    if (!criteria) {
      criteria = matchCriteria({
        ...match,
        resourceRules: match.resourceRules?.length ? match.resourceRules : [anything],
      });
      this.#bindingCriteria.set(binding, criteria);
    }
    return criteria;
  }

  async #params(kind: ParamKind | undefined, ref: ParamRef | undefined, request: AdmissionRequest): Promise<unknown[]> {
    if (!kind || !ref) return [null];
    const served = this.#options.registry.findKind(kind.apiVersion ?? "", kind.kind ?? "");
    // Looked for above; it may have gone since.
    if (!served) return [];
    const resource: Resource = {
      group: served.group,
      version: served.version,
      kind: served.kind,
      plural: served.plural,
      scope: served.definition.scope,
    };
    let namespace = "";
    if (served.namespaced) {
      namespace = ref.namespace || request.namespace;
      if (!namespace) {
        throw new ConfigurationProblem(
          "failed to configure binding: cannot use namespaced paramRef in policy binding that matches cluster-scoped resources",
        );
      }
    } else if (ref.namespace) {
      throw new ConfigurationProblem(
        "failed to configure binding: paramRef.namespace must not be provided for a cluster-scoped `paramKind`",
      );
    }
    const found = await this.#findParams(resource, namespace, ref);
    if (found.length > 0)
      return found.map((param) => ({ apiVersion: served.apiVersion, kind: served.kind, ...(param as object) }));
    if (ref.parameterNotFoundAction !== "Deny") return [];
    throw new ConfigurationProblem(
      "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction",
    );
  }

  async #findParams(resource: Resource, namespace: string, ref: ParamRef): Promise<readonly object[]> {
    if (ref.name) {
      const found = await this.#options.objects.get(resource, namespace, ref.name);
      return found ? [found] : [];
    }
    const selector = labelSelectorMatcher((ref.selector ?? {}) as LabelSelector);
    const all = await this.#options.objects.list(resource, namespace);
    return all.filter(({ metadata }) => selector.matches(metadata.labels));
  }
}

function specOf(binding: DeepReadonly<Binding>): DeepReadonly<BindingSpec> {
  return binding.spec;
}

/** False: the request is left out. Throws when conditions fail and none is false. */
function meetsConditions({ conditions }: CompiledPolicy<unknown>, meter: Meter): boolean {
  const problems: string[] = [];
  for (const { expression } of conditions) {
    const outcome = meter.run(expression);
    if (outcome.kind === "error") problems.push(outcome.message);
    else if (outcome.value !== true) return false;
  }
  if (problems.length === 0) return true;
  throw new Error(problems.length === 1 ? problems[0]! : `[${problems.join(", ")}]`);
}

/** Runs expressions against one set of variables, the policy's own among them, until the budget is spent. */
class Meter {
  readonly #variables: Record<string, unknown>;
  readonly #budget: number;
  #spent = 0;

  constructor(compiled: CompiledPolicy<unknown>, variables: Record<string, unknown>, budget: number) {
    this.#budget = budget;
    const fields = new Map<string, () => Value>();
    for (const { name, expression } of compiled.variables) fields.set(name, () => this.#variable(name, expression));
    this.#variables = { ...variables, variables: new LazyStruct(variablesTypeName, fields) };
  }

  run(expression: Expression): Outcome {
    const { source, program, problem } = expression;
    if (!program) return { kind: "error", message: `compilation error: compilation failed: ${problem}` };
    try {
      return { kind: "value", value: this.#evaluate(program) };
    } catch (error) {
      if (error instanceof CostExceeded) {
        if (this.#spent >= this.#budget) return { kind: "error", message: outOfBudget, final: true };
        return { kind: "error", message: `expression '${source}' resulted in error: ${error.message}` };
      }
      if (!(error instanceof CelError)) throw error;
      return { kind: "error", message: `expression '${source}' resulted in error: ${error.message}` };
    }
  }

  #variable(name: string, { program, problem }: Expression): Value {
    if (!program) throw new CelError(`composited variable ${JSON.stringify(name)} fails to compile: ${problem}`);
    try {
      return this.#evaluate(program);
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      throw new CelError(`composited variable ${JSON.stringify(name)} fails to evaluate: ${error.message}`);
    }
  }

  #evaluate(program: Program): Value {
    const remaining = this.#budget - this.#spent;
    try {
      const { value, cost } = program.evaluate(this.#variables, Math.min(perCallCostLimit, remaining));
      this.#spent += cost;
      return value;
    } catch (error) {
      if (error instanceof CostExceeded) this.#spent += Math.min(perCallCostLimit, remaining);
      throw error;
    }
  }
}
