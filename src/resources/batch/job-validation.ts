/** What a Job's spec must fulfil, in a Job or in a CronJob's template. */
import type { Job, JobSpec } from "../../api/batch/v1.ts";
import { validDomainPrefixedPath } from "../../apimachinery/domain-prefixed-path.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  invalid,
  metadata as metadataPath,
  notSupported,
  required,
  spec as specPath,
  tooLong,
  tooMany,
} from "../../apimachinery/field-error.ts";
import { dns1123LabelProblems, qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { matcherOrUndefined, templateMatchesSelector } from "../apps/workload.ts";
import { internalPodSpec } from "../core/internal-form.ts";
import { validatePodTemplate } from "../core/pod-spec/validate-pod-spec.ts";
import { internalPrinter } from "../internal-printer.ts";
import { validLabelSelector } from "../validation/label-selector.ts";
import { each, nonNegative, obeys, oneOf, unchanged } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import { countIndexes, parseIndexes } from "./job-indexes.ts";
import { generateSelector, validGeneratedSelector } from "./job-selector.ts";

const maximumIndexes = 100_000;
const maximumOfMany = 10_000;
const maximumManagerLength = 63;
const maximumRules = 20;
const maximumExitCodes = 255;
const maximumIndexesLength = 64 * 1024;
const needsIndexed = "requires indexed completion mode";

/** A complaint about a whole that would be too long to show. */
export function invalidWhole(path: FieldPath, detail: string): FieldError {
  return { reason: "FieldValueInvalid", field: path.toString(), message: `Invalid value: ${detail}` };
}

/** Upstream words a missing choice with the choices as Go prints them. */
const missingChoice = (path: FieldPath, choices: readonly string[]) =>
  required(path, `valid values: [${choices.map((choice) => JSON.stringify(choice)).join(" ")}]`);

export function validateJob(next: Job, previous: Job | undefined): FieldError[] {
  const errors = [...validGeneratedSelector(next), ...validSelectedSpec(next.spec), ...validPodNames(next)];
  // Upstream checks the spec on its own once more before what may not change.
  return previous ? [...errors, ...validSelectedSpec(next.spec), ...validChange(next.spec, previous.spec)] : errors;
}

/** The pods of an Indexed Job are named after it and their index: the last one's name must still be a label. */
function validPodNames({ metadata, spec: { completionMode, completions = 0 } }: Job): FieldError[] {
  if (completionMode !== "Indexed" || completions <= 0 || !metadata.name) return [];
  const longest = `${metadata.name}-${completions - 1}`;
  if (dns1123LabelProblems(longest).length === 0) return [];
  const detail = `will not able to create pod with invalid DNS label: ${longest}`;
  return [invalid(metadataPath.child("name"), metadata.name, detail)];
}

export const printJob = internalPrinter({
  PodFailurePolicy: "Rules:[]PodFailurePolicyRule",
  PodFailurePolicyRule: "Action OnExitCodes:*OnExitCodes OnPodConditions:[]OnPodCondition",
  OnExitCodes: "ContainerName* Operator Values*",
  OnPodCondition: "Type Status",
  SuccessPolicy: "Rules:[]SuccessPolicyRule",
  SuccessPolicyRule: "SucceededIndexes* SucceededCount*",
  UncountedTerminatedPods: "Succeeded* Failed*",
});

export { generateSelector };

function validSelectedSpec(spec: JobSpec): FieldError[] {
  const errors = validateJobSpec(spec, specPath);
  const selectorPath = specPath.child("selector");
  if (!spec.selector) errors.push(required(selectorPath));
  else errors.push(...validLabelSelector(spec.selector, selectorPath));
  const matcher = matcherOrUndefined(spec.selector);
  if (matcher) errors.push(...templateMatchesSelector(matcher, spec.template, specPath.child("template")));
  return errors;
}

export function validateJobSpec(spec: JobSpec, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of [
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
  ] as const) {
    errors.push(...nonNegative(spec[field], path.child(field)));
  }
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined) {
    errors.push(required(path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"));
  }
  if (spec.managedBy !== undefined) {
    const managerPath = path.child("managedBy");
    errors.push(...validDomainPrefixedPath(spec.managedBy, managerPath));
    if (spec.managedBy.length > maximumManagerLength) errors.push(tooLong(managerPath, maximumManagerLength));
  }
  errors.push(...validCompletionMode(spec, path));
  errors.push(...validFailurePolicy(spec, path.child("podFailurePolicy")));
  errors.push(...validSuccessPolicy(spec, path.child("successPolicy")));
  if (spec.podReplacementPolicy !== undefined) {
    const supported = spec.podFailurePolicy ? ["Failed"] : ["Failed", "TerminatingOrFailed"];
    errors.push(...oneOf(spec.podReplacementPolicy, supported, path.child("podReplacementPolicy")));
  }
  errors.push(...validatePodTemplate(spec.template, path.child("template")));
  return [...errors, ...validRestartPolicy(spec, path.child("template", "spec", "restartPolicy"))];
}

function validCompletionMode(spec: JobSpec, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const { completionMode, completions, parallelism } = spec;
  if (completionMode !== undefined) {
    errors.push(...oneOf(completionMode, ["NonIndexed", "Indexed"], path.child("completionMode")));
  }
  if (completionMode === "Indexed") {
    const suffix = "when completion mode is Indexed";
    if (completions === undefined) errors.push(required(path.child("completions"), suffix));
    const limit = `must be less than or equal to ${maximumIndexes} ${suffix}`;
    if ((parallelism ?? 0) > maximumIndexes) errors.push(invalid(path.child("parallelism"), parallelism, limit));
    return [...errors, ...validIndexLimits(spec, path)];
  }
  for (const field of ["backoffLimitPerIndex", "maxFailedIndexes"] as const) {
    if (spec[field] !== undefined) errors.push(invalid(path.child(field), spec[field], needsIndexed));
  }
  return errors;
}

/** With very many indexes, those that run or fail are fewer. */
function validIndexLimits(spec: JobSpec, path: FieldPath): FieldError[] {
  const { completions, parallelism, maxFailedIndexes, backoffLimitPerIndex } = spec;
  const failedPath = path.child("maxFailedIndexes");
  const errors: FieldError[] = [];
  if (maxFailedIndexes !== undefined && completions !== undefined && maxFailedIndexes > completions) {
    errors.push(invalid(failedPath, maxFailedIndexes, "must be less than or equal to completions"));
  }
  if ((maxFailedIndexes ?? 0) > maximumIndexes) {
    errors.push(invalid(failedPath, maxFailedIndexes, `must be less than or equal to ${maximumIndexes}`));
  }
  if ((completions ?? 0) <= maximumIndexes || backoffLimitPerIndex === undefined) return errors;
  const detail = `must be less than or equal to ${maximumOfMany} when completions are above ${maximumIndexes} and used with backoff limit per index`;
  if (maxFailedIndexes === undefined) {
    errors.push(required(failedPath, `must be specified when completions is above ${maximumIndexes}`));
  }
  if ((parallelism ?? 0) > maximumOfMany) errors.push(invalid(path.child("parallelism"), parallelism, detail));
  if ((maxFailedIndexes ?? 0) > maximumOfMany) errors.push(invalid(failedPath, maxFailedIndexes, detail));
  return errors;
}

function validRestartPolicy(spec: JobSpec, path: FieldPath): FieldError[] {
  const policy = spec.template.spec?.restartPolicy ?? "";
  // Always is what a template says that leaves it out: a Job has to decide.
  if (policy === "Always") return [required(path, 'valid values: "OnFailure", "Never"')];
  if (policy !== "OnFailure" && policy !== "Never") return [notSupported(path, policy, ["OnFailure", "Never"])];
  if (spec.podFailurePolicy && policy !== "Never") {
    return [invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')];
  }
  return [];
}

function validFailurePolicy(spec: JobSpec, path: FieldPath): FieldError[] {
  const names = new Set(
    [...(spec.template.spec?.initContainers ?? []), ...(spec.template.spec?.containers ?? [])].map((c) => c.name),
  );
  const rules = spec.podFailurePolicy?.rules;
  const rulesPath = path.child("rules");
  const tooManyRules = rules && rules.length > maximumRules ? [tooMany(rulesPath, rules.length, maximumRules)] : [];
  const found = each(rules, rulesPath, (rule, at) => {
    const actions = ["Count", "FailIndex", "FailJob", "Ignore"];
    const errors = rule.action
      ? oneOf(rule.action, actions, at.child("action"))
      : [missingChoice(at.child("action"), actions)];
    if (rule.action === "FailIndex" && spec.backoffLimitPerIndex === undefined) {
      errors.push(invalid(at.child("action"), rule.action, "requires the backoffLimitPerIndex to be set"));
    }
    const codes = rule.onExitCodes;
    const conditions = rule.onPodConditions ?? [];
    if (codes) {
      const codesPath = at.child("onExitCodes");
      const operators = ["In", "NotIn"];
      const operatorPath = codesPath.child("operator");
      errors.push(
        ...(codes.operator ? oneOf(codes.operator, operators, operatorPath) : [missingChoice(operatorPath, operators)]),
      );
      if (codes.containerName !== undefined && !names.has(codes.containerName)) {
        const detail = "must be one of the container or initContainer names in the pod template";
        errors.push(invalid(codesPath.child("containerName"), codes.containerName, detail));
      }
      const values = new Set<number>();
      const valuesPath = codesPath.child("values");
      if (!codes.values?.length)
        errors.push(invalid(valuesPath, codes.values ?? null, "at least one value is required"));
      else if (codes.values.length > maximumExitCodes) {
        errors.push(tooMany(valuesPath, codes.values.length, maximumExitCodes));
      }
      for (const [index, value] of (codes.values ?? []).entries()) {
        if (value === 0 && codes.operator === "In") {
          errors.push(invalid(valuesPath.index(index), value, "must not be 0 for the In operator"));
        }
        if (values.has(value)) errors.push(duplicate(valuesPath.index(index), value));
        values.add(value);
      }
      const isOrdered = (codes.values ?? []).every((value, index, all) => index === 0 || all[index - 1]! <= value);
      if (!isOrdered) errors.push(invalid(valuesPath, codes.values, "must be ordered"));
    }
    const conditionsPath = at.child("onPodConditions");
    const states = ["False", "True", "Unknown"];
    if (conditions.length > maximumRules) errors.push(tooMany(conditionsPath, conditions.length, maximumRules));
    errors.push(
      ...each(conditions, conditionsPath, ({ type, status }, conditionPath) => [
        ...obeys(type, qualifiedNameProblems, conditionPath.child("type")),
        ...(status
          ? oneOf(status, states, conditionPath.child("status"))
          : [missingChoice(conditionPath.child("status"), states)]),
      ]),
    );
    if (codes && conditions.length > 0) {
      errors.push(invalidWhole(at, "specifying both OnExitCodes and OnPodConditions is not supported"));
    }
    if (!codes && conditions.length === 0) {
      errors.push(invalidWhole(at, "specifying one of OnExitCodes and OnPodConditions is required"));
    }
    return errors;
  });
  return [...tooManyRules, ...found];
}

function validSuccessPolicy(spec: JobSpec, path: FieldPath): FieldError[] {
  if (!spec.successPolicy) return [];
  if (spec.completionMode !== "Indexed") {
    return [invalid(path, printJob("SuccessPolicy", spec.successPolicy), needsIndexed)];
  }
  const rulesPath = path.child("rules");
  const { rules } = spec.successPolicy;
  if (!rules?.length) {
    return [required(rulesPath, "at least one rules must be specified when the successPolicy is specified")];
  }
  const tooManyRules = rules.length > maximumRules ? [tooMany(rulesPath, rules.length, maximumRules)] : [];
  const found = each(rules, rulesPath, ({ succeededCount, succeededIndexes }, at) => {
    const errors: FieldError[] = [];
    if (succeededCount === undefined && succeededIndexes === undefined) {
      errors.push(required(at, "at least one of succeededCount or succeededIndexes must be specified"));
    }
    let total: number | undefined;
    if (succeededIndexes !== undefined) {
      if (succeededIndexes.length > maximumIndexesLength) {
        errors.push(tooLong(at.child("succeededIndexes"), maximumIndexesLength));
      }
      const parsed = parseIndexes(succeededIndexes, spec.completions ?? 0);
      if (!("problem" in parsed)) total = countIndexes(parsed);
      else {
        const detail = `error parsing succeededIndexes: ${parsed.problem}`;
        errors.push(invalid(at.child("succeededIndexes"), succeededIndexes, detail));
      }
    }
    if (succeededCount !== undefined) {
      const countPath = at.child("succeededCount");
      errors.push(...nonNegative(succeededCount, countPath));
      if (succeededCount > (spec.completions ?? 0)) {
        const detail = `must be less than or equal to ${spec.completions} (the number of specified completions)`;
        errors.push(invalid(countPath, succeededCount, detail));
      }
      if (total !== undefined && succeededCount > total) {
        const detail = `must be less than or equal to ${total} (the number of indexes in the specified succeededIndexes field)`;
        errors.push(invalid(countPath, succeededCount, detail));
      }
    }
    return errors;
  });
  return [...tooManyRules, ...found];
}

function validChange(next: JobSpec, previous: JobSpec): FieldError[] {
  const errors: FieldError[] = [];
  const completionsPath = specPath.child("completions");
  if (next.completionMode === "Indexed") {
    if (next.completions !== previous.completions && next.completions !== next.parallelism) {
      errors.push(invalid(completionsPath, next.completions, "can only be modified in tandem with spec.parallelism"));
    }
  } else {
    errors.push(...unchanged(next.completions, previous.completions, completionsPath));
  }
  errors.push(...unchanged(next.selector, previous.selector, specPath.child("selector")));
  if (!semanticallyEqual(next.template, mutableTemplate(next, previous))) {
    const shown = { ...next.template.metadata, Spec: internalPodSpec(next.template.spec ?? { containers: [] }) };
    errors.push(invalid(specPath.child("template"), shown, "field is immutable"));
  }
  const fixed = (field: "podFailurePolicy" | "successPolicy", struct: string) =>
    semanticallyEqual(next[field], previous[field])
      ? []
      : [invalid(specPath.child(field), next[field] ? printJob(struct, next[field]) : null, "field is immutable")];
  return [
    ...errors,
    ...unchanged(next.completionMode, previous.completionMode, specPath.child("completionMode")),
    ...fixed("podFailurePolicy", "PodFailurePolicy"),
    ...unchanged(next.backoffLimitPerIndex, previous.backoffLimitPerIndex, specPath.child("backoffLimitPerIndex")),
    ...unchanged(next.managedBy, previous.managedBy, specPath.child("managedBy")),
    ...fixed("successPolicy", "SuccessPolicy"),
  ];
}

/** While a Job is suspended, where its pods will run and what they will ask for may still change. */
function mutableTemplate(next: JobSpec, previous: JobSpec): JobSpec["template"] {
  if (!previous.suspend) return previous.template;
  const { metadata, spec } = next.template;
  const template = structuredClone(previous.template);
  const { annotations: _annotations, labels: _labels, ...fixed } = template.metadata ?? {};
  template.metadata = { ...fixed, annotations: metadata?.annotations ?? {}, labels: metadata?.labels ?? {} };
  if (template.spec && spec) {
    const placement = ["nodeSelector", "tolerations", "schedulingGates"] as const;
    template.spec = { ...template.spec };
    // Of where its pods run relative to others nothing may change.
    const { nodeAffinity: _, ...others } = template.spec.affinity ?? {};
    template.spec.affinity = {
      ...others,
      ...(spec.affinity?.nodeAffinity ? { nodeAffinity: spec.affinity.nodeAffinity } : {}),
    };
    for (const field of placement) {
      if (spec[field] === undefined) delete template.spec[field];
      else (template.spec as unknown as Record<string, unknown>)[field] = spec[field];
    }
    for (const list of ["containers", "initContainers"] as const) {
      for (const [index, container] of (template.spec[list] ?? []).entries()) {
        const resources = spec[list]?.[index]?.resources;
        if (resources) container.resources = resources;
      }
    }
  }
  return template;
}
