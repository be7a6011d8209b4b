/** Label selectors compiled once per object: cached objects are shared, so the compiled form is kept beside them. */
import type { Pod } from "../api/core/v1.ts";
import type { LabelSelector } from "../api/meta/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Pods } from "../api/resources.ts";
import { labelSelectorMatcher } from "../apimachinery/selectors.ts";
import type { ReadCache } from "../controller-runtime/cache.ts";
import { type IndexDefinition, index } from "../controller-runtime/controller.ts";

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

export function isEmptySelector(selector: DeepReadonly<LabelSelector> | undefined): boolean {
  return (
    !!selector && Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0
  );
}

export function matchesMap(
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  for (const key in selector) if (labels?.[key] !== selector[key]) return false;
  return true;
}

/** Pods found by each of their labels. */
export const podsByLabel: IndexDefinition = index<Pod>({
  resource: Pods,
  name: "label",
  *values(pod) {
    const { labels, namespace } = pod.metadata;
    for (const key in labels) yield `${namespace}/${key}=${labels[key]}`;
  },
});

/** Pods of a namespace that carry all of a selector's labels; needs the index podsByLabel. */
export function podsMatching(
  cache: ReadCache,
  namespace: string,
  selector: Readonly<Record<string, string>>,
): DeepReadonly<Pod>[] {
  let rarest: string | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const key in selector) {
    const value = `${namespace}/${key}=${selector[key]}`;
    const count = cache.countByIndex(Pods, podsByLabel.name, value);
    if (count === 0) return [];
    if (count < fewest) [rarest, fewest] = [value, count];
  }
  if (rarest === undefined) return cache.list(Pods, namespace);
  return cache.byIndex(Pods, podsByLabel.name, rarest).filter((pod) => matchesMap(selector, pod.metadata.labels));
}
