/**
 * Which pods end so that one that the system needs fits the node (upstream's pkg/kubelet/preemption): as few and as small as do, of the
 * lowest quality of service first. Pure.
 */
import { isCritical } from "./eviction/plan-eviction.ts";
import type { PodObject } from "./pod-state.ts";
import { podQosClass, type QosClass } from "./qos.ts";

/** By resource, what is missing; of `pods`, how many. Amounts are of `requestsOf`'s unit. */
export type Shortfalls = ReadonlyMap<string, number>;

/** Undefined: all of them together would not be enough. */
export function planPreemption(
  others: readonly PodObject[],
  missing: Shortfalls,
  requestsOf: (pod: PodObject) => ReadonlyMap<string, number>,
): PodObject[] | undefined {
  const candidates = others.filter((pod) => !isCritical(pod));
  const gives = (pod: PodObject, resource: string) => (resource === "pods" ? 1 : (requestsOf(pod).get(resource) ?? 0));
  if (without(candidates).size > 0) return undefined;
  const of = (wanted: QosClass) => candidates.filter((pod) => podQosClass(pod) === wanted);
  const [bestEffort, burstable] = [of("BestEffort"), of("Burstable")];
  // The better are asked for only what all of the lesser would leave open; then the lesser for what the better leave.
  const guaranteed = nearest(of("Guaranteed"), without([...bestEffort, ...burstable]));
  const ofBurstable = nearest(burstable, without([...bestEffort, ...guaranteed]));
  const ofBestEffort = nearest(bestEffort, without([...ofBurstable, ...guaranteed]));
  return [...ofBestEffort, ...ofBurstable, ...guaranteed];

  function without(pods: readonly PodObject[], from: Shortfalls = missing): Shortfalls {
    const left = [...from].map(([resource, amount]): [string, number] => [
      resource,
      pods.reduce((rest, pod) => rest - gives(pod, resource), amount),
    ]);
    return new Map(left.filter(([, amount]) => amount > 0));
  }

  /** One after the other the pod that comes nearest to what is still missing; of two as near, the smaller. */
  function nearest(pods: readonly PodObject[], from: Shortfalls): PodObject[] {
    const chosen: PodObject[] = [];
    for (let [left, rest] = [from, [...pods]]; left.size > 0 && rest.length > 0; ) {
      const distance = (pod: PodObject) =>
        [...left].reduce((sum, [resource, amount]) => {
          const open = Math.max(0, amount - gives(pod, resource)) / amount;
          return sum + open * open;
        }, 0);
      const best = rest.reduce((a, b) => (distance(b) < distance(a) || isSmaller(b, a, distance) ? b : a));
      chosen.push(best);
      rest = rest.filter((pod) => pod !== best);
      left = without([best], left);
    }
    return chosen;
  }

  function isSmaller(a: PodObject, b: PodObject, distance: (pod: PodObject) => number): boolean {
    if (distance(a) !== distance(b)) return false;
    for (const resource of ["memory", "cpu"]) {
      const difference = gives(a, resource) - gives(b, resource);
      if (difference !== 0) return difference < 0;
    }
    return false;
  }
}
