/** Which Services a change of a Pod, a Node or a slice concerns: shared by the controllers of EndpointSlices and Endpoints. */
import type { Node, Pod } from "../../../api/core/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";
import { Nodes, Pods, Services } from "../../../api/resources.ts";
import { semanticEqual } from "../../../apimachinery/semantic-equal.ts";
import { keyOf } from "../../../controller-runtime/cache.ts";
import { matchesMap } from "../../../controller-runtime/compiled-selector.ts";
import { type Wake, wake } from "../../../controller-runtime/controller.ts";
import { servicesBySelectorPair } from "../../../controller-runtime/service-indexes.ts";
import { isPodReady } from "../../pod-facts.ts";

/** Pods wake the Services that select them, when something changed that an endpoint shows. */
export const selectedPods: Wake = wake<Pod>({
  resource: Pods,
  when: ({ type, object, previous }) => type !== "MODIFIED" || !previous || concernsEndpoints(previous, object),
  *keys(pod, cache) {
    const { labels, namespace } = pod.metadata;
    for (const key in labels) {
      const value = `${namespace}/${key}=${labels[key]}`;
      for (const service of cache.byIndex(Services, servicesBySelectorPair.name, value)) {
        if (matchesMap(service.spec.selector ?? {}, labels)) yield keyOf(service);
      }
    }
  },
});

function concernsEndpoints(before: DeepReadonly<Pod>, after: DeepReadonly<Pod>): boolean {
  return (
    before.metadata.uid !== after.metadata.uid ||
    before.metadata.deletionTimestamp !== after.metadata.deletionTimestamp ||
    before.spec.nodeName !== after.spec.nodeName ||
    before.status?.phase !== after.status?.phase ||
    before.status?.podIP !== after.status?.podIP ||
    isPodReady(before) !== isPodReady(after) ||
    before.spec.hostname !== after.spec.hostname ||
    before.spec.subdomain !== after.spec.subdomain ||
    !semanticEqual(before.status?.podIPs, after.status?.podIPs) ||
    !semanticEqual(before.metadata.labels, after.metadata.labels)
  );
}

export const zoneLabel = "topology.kubernetes.io/zone";

/** A Node that gets, changes or loses its zone concerns every Service with Pods on it. */
export const nodeZones: Wake = wake<Node>({
  resource: Nodes,
  when: ({ type, object, previous }) =>
    type !== "MODIFIED" || object.metadata.labels?.[zoneLabel] !== previous?.metadata.labels?.[zoneLabel],
  *keys(_node, cache) {
    for (const service of cache.list(Services)) yield keyOf(service);
  },
});
