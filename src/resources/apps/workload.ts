/** What the kinds that run copies of a pod template have in common. */
import type { PodTemplateSpec } from "../../api/core/v1.ts";
import type { LabelSelector } from "../../api/meta/v1.ts";
import type { KubeObject } from "../../api/object.ts";
import {
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  notSupported,
  required,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import { type LabelMatcher, labelSelectorMatcher, SelectorError } from "../../apimachinery/selectors.ts";
import { validatePodTemplate } from "../core/pod-spec/validate-pod-spec.ts";
import { nameWarnings, podWarnings } from "../core/pod-spec/warnings.ts";
import { isEmptySelector, validLabelSelector } from "../validation/label-selector.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";

export const selectorPath = specPath.child("selector");
export const templatePath = specPath.child("template");

/** The first generation, with the status that the kind begins with. */
export function firstGeneration<T extends KubeObject & { status: object }>(status: T["status"]) {
  return (object: T): void => {
    object.metadata.generation = 1;
    object.status = structuredClone(status);
  };
}

/** The generation counts changes of what is asked for; annotations and status do not count. */
export function bumpGenerationOnSpecChange<T extends KubeObject & { spec: object }>(next: T, previous: T): void {
  if (!semanticallyEqual(next.spec, previous.spec)) next.metadata.generation = (previous.metadata.generation ?? 0) + 1;
}

/** A selector that chooses something, but not everything. `kind` as the message says it: `deployment`. */
export function validWorkloadSelector(selector: LabelSelector | undefined | null, kind: string): FieldError[] {
  if (!selector) return [required(selectorPath)];
  const errors = validLabelSelector(selector, selectorPath);
  if (isEmptySelector(selector)) errors.push(invalid(selectorPath, selector, `empty selector is invalid for ${kind}`));
  return errors;
}

/** Undefined when the selector cannot be understood. */
export function matcherOrUndefined(selector: LabelSelector | undefined | null): LabelMatcher | undefined {
  try {
    return labelSelectorMatcher(selector ?? undefined);
  } catch (error) {
    if (error instanceof SelectorError) return undefined;
    throw error;
  }
}

export function templateMatchesSelector(
  matcher: LabelMatcher,
  template: PodTemplateSpec,
  path: FieldPath,
): FieldError[] {
  if (matcher.requirements?.length === 0 || matcher.matches(template.metadata?.labels)) return [];
  const labels = template.metadata?.labels;
  const shown = labels && Object.keys(labels).length > 0 ? labels : null;
  return [invalid(path.child("metadata", "labels"), shown, "`selector` does not match template `labels`")];
}

/** The template of a workload whose pods are replaced when they end. `kind` as the message says it: `ReplicaSet`. */
export function validLongRunningTemplate(
  template: PodTemplateSpec | undefined,
  path: FieldPath,
  kind: string,
): FieldError[] {
  if (!template) return [required(path)];
  return [...validatePodTemplate(template, path), ...runsOn(template, path, kind)];
}

/** Pods that are replaced when they end neither end by themselves nor in time. */
export function runsOn(template: PodTemplateSpec, path: FieldPath, kind: string): FieldError[] {
  const errors: FieldError[] = [];
  const policyPath = path.child("spec", "restartPolicy");
  const policy = template.spec?.restartPolicy ?? "";
  if (policy !== "Always") errors.push(notSupported(policyPath, policy, ["Always"]));
  if (template.spec?.activeDeadlineSeconds !== undefined) {
    const detail = `activeDeadlineSeconds in ${kind} is not Supported`;
    errors.push(forbidden(path.child("spec", "activeDeadlineSeconds"), detail));
  }
  return errors;
}

/** Selectors decide which pods are whose: changing one would set pods adrift. */
export function unchangedSelector(next: LabelSelector | undefined, previous: LabelSelector | undefined): FieldError[] {
  return semanticallyEqual(next, previous) ? [] : [invalid(selectorPath, next, "field is immutable")];
}

/** For `status` counts: each at least zero. */
export function nonNegativeCounts<T extends object>(
  status: T | undefined,
  fields: readonly (keyof T & string)[],
  path: FieldPath,
): FieldError[] {
  return fields.flatMap((field) => {
    const value = status?.[field] as number | undefined;
    return (value ?? 0) < 0 ? [invalid(path.child(field), value, "must be greater than or equal to 0")] : [];
  });
}

/** `a cannot be greater than b`, for pairs of counts. */
export function atMostCount(
  value: number | undefined,
  limit: number | undefined,
  path: FieldPath,
  of: string,
): FieldError[] {
  return (value ?? 0) > (limit ?? 0) ? [invalid(path, value ?? 0, `cannot be greater than ${of}`)] : [];
}

/** The count that tells apart names which would collide only ever grows. */
export function notDecremented(next: number | undefined, previous: number | undefined): FieldError[] {
  if (previous === undefined || (next !== undefined && next >= previous)) return [];
  return [invalid(statusPath.child("collisionCount"), next ?? 0, "cannot be decremented")];
}

export function templateWarnings(template: PodTemplateSpec | undefined, path: FieldPath): string[] {
  const spec = template?.spec;
  return spec ? podWarnings({ metadata: template.metadata, spec }, path, true) : [];
}

/** Of a kind that names pods after its objects: of the name when it is given, of the rest whenever the spec changes. */
export function namingWorkloadWarnings(
  next: KubeObject,
  previous: KubeObject | undefined,
  warningsOfSpec: () => string[],
): string[] {
  if (!previous) return [...nameWarnings(next.metadata.name, "Pod names and hostnames"), ...warningsOfSpec()];
  return isNewGeneration(next, previous) ? warningsOfSpec() : [];
}

/** False where only what surrounds the spec was written: there is nothing new to warn of. */
export function isNewGeneration(next: KubeObject, previous: KubeObject | undefined): boolean {
  return next.metadata.generation !== previous?.metadata.generation;
}
