/** Pods by their labels: found through an index instead of by asking each. */
import type { Pod } from "../api/core/v1.ts";
import type { LabelSelector } from "../api/meta/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Pods } from "../api/resources.ts";
import type { ReadCache } from "../controller-runtime/cache.ts";
import { matchesMap } from "../controller-runtime/compiled-selector.ts";
import { type IndexDefinition, index } from "../controller-runtime/controller.ts";

export function isEmptySelector(selector: DeepReadonly<LabelSelector> | undefined): boolean {
  return (
    !!selector && Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0
  );
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
