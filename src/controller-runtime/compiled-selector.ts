/** Label selectors compiled once per object: cached objects are shared, so the compiled form is kept beside them. */
import type { LabelSelector } from "../api/meta/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { labelSelectorMatcher } from "../apimachinery/selectors.ts";

export interface CompiledSelector {
  matches(labels: Readonly<Record<string, string>> | undefined): boolean;
}

const compiled = new WeakMap<object, CompiledSelector>();
const nothing: CompiledSelector = { matches: () => false };

/** Absent selects nothing, empty everything. */
export function selectorOf(selector: DeepReadonly<LabelSelector> | undefined): CompiledSelector {
  if (!selector) return nothing;
  let result = compiled.get(selector);
  if (!result) {
    // The compiler only reads; its parameter is not declared so.
    result = labelSelectorMatcher(selector as LabelSelector);
    compiled.set(selector, result);
  }
  return result;
}

export function matchesMap(
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  for (const key in selector) if (labels?.[key] !== selector[key]) return false;
  return true;
}
