/** Which Pods belong together when their templates say nothing about spreading: those of one Service or one controller. */
import type { ReplicaSet, StatefulSet } from "../api/apps/v1.ts";
import type { ReplicationController } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { ReplicaSets, ReplicationControllers, Services, StatefulSets } from "../api/resources.ts";
import { labelSelectorMatcher } from "../apimachinery/selectors.ts";
import { type ObjectKey, objectKey, type ReadCache } from "../controller-runtime/cache.ts";
import { matchesMap } from "../controller-runtime/compiled-selector.ts";
import { servicesBySelectorPair } from "../controller-runtime/service-indexes.ts";
import type { DefaultSpreading } from "./plugins/pod-topology-spread.ts";
import type { PodInfo } from "./pod-info.ts";

type Owner = DeepReadonly<ReplicaSet | StatefulSet | ReplicationController>;

/** A function that is cheap to call for every Pod: selectors are put together once per combination. */
export function defaultSpreadingFrom(cache: ReadCache): (pod: PodInfo) => DefaultSpreading | undefined {
  const known = new Map<string, DefaultSpreading>();
  return (pod) => {
    const labels: Record<string, string> = {};
    for (const name in pod.labels) {
      const value = `${pod.namespace}/${name}=${pod.labels[name]}`;
      for (const service of cache.byIndex(Services, servicesBySelectorPair.name, value)) {
        if (matchesMap(service.spec.selector ?? {}, pod.labels)) Object.assign(labels, service.spec.selector);
      }
    }
    const owner = ownerOf(pod, cache);
    const selector =
      owner &&
      ("matchLabels" in (owner.spec.selector ?? {}) || "matchExpressions" in (owner.spec.selector ?? {})
        ? (owner.spec.selector as DeepReadonly<ReplicaSet>["spec"]["selector"])
        : { matchLabels: (owner.spec as DeepReadonly<ReplicationController>["spec"])?.selector ?? {} });
    const matchLabels = { ...selector?.matchLabels, ...labels };
    const matchExpressions = selector?.matchExpressions ?? [];
    const pairs = Object.entries(matchLabels);
    if (pairs.length === 0 && matchExpressions.length === 0) return undefined;
    const key = JSON.stringify([matchLabels, matchExpressions]);
    let spreading = known.get(key);
    if (!spreading) {
      if (known.size > 10_000) known.clear();
      // The compiler only reads what it is given.
      const compiled = labelSelectorMatcher({ matchLabels, matchExpressions: matchExpressions as never });
      spreading = { key, selector: compiled, pair: pairs[0] };
      known.set(key, spreading);
    }
    return spreading;
  };
}

function ownerOf(pod: PodInfo, cache: ReadCache): Owner | undefined {
  const reference = pod.pod.metadata.ownerReferences?.find(({ controller }) => controller);
  if (!reference) return undefined;
  const key: ObjectKey = objectKey(reference.name, pod.namespace);
  switch (reference.kind) {
    case "ReplicaSet":
      return cache.get(ReplicaSets, key);
    case "StatefulSet":
      return cache.get(StatefulSets, key);
    case "ReplicationController":
      return cache.get(ReplicationControllers, key);
    default:
      return undefined;
  }
}
