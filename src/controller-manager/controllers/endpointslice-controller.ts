/** Writes down which Pods stand behind each Service: EndpointSlices for Services with a selector. */
import type { Node, Pod, Service } from "../../api/core/v1.ts";
import type { Endpoint, EndpointSlice } from "../../api/discovery/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { EndpointSlices, Nodes, Services } from "../../api/resources.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { type Client, refOf } from "../../client/client.ts";
import { keyOf, objectKey } from "../../controller-runtime/cache.ts";
import { defineController, wake } from "../../controller-runtime/controller.ts";
import { serviceNameLabel, servicesBySelectorPair, slicesByService } from "../../controller-runtime/service-indexes.ts";
import { controllerReferenceTo } from "../ownership.ts";
import { isPodReady, isPodTerminal } from "../pod-facts.ts";
import { podsByLabel, podsMatching } from "../selectors.ts";
import { type EndpointGroup, planSlices, type SlicePlan } from "./endpoints/plan-slices.ts";
import { isHeadless, portsKey, servedPorts } from "./endpoints/service-ports.ts";
import { nodeZones, selectedPods, zoneLabel } from "./endpoints/service-wakes.ts";
import { planZoneHints, shareOfNode, wantsZoneHints, zoneShares } from "./endpoints/zone-hints.ts";

export const managedByLabel = "endpointslice.kubernetes.io/managed-by";
export const headlessLabel = "service.kubernetes.io/headless";
const managedBy = "endpointslice-controller.k8s.io";

export const endpointSliceController = defineController<Service>({
  name: "endpointslice-controller",
  eventSource: "endpoint-slice-controller",
  reconciles: Services,
  wakesOn: [
    selectedPods,
    nodeZones,
    // Zones' shares follow their Nodes' CPUs and readiness.
    wake<Node>({
      resource: Nodes,
      when: ({ type, object, previous }) =>
        type === "DELETED" || !previous || shareOfNode(object) !== shareOfNode(previous),
      *keys(_node, cache) {
        for (const service of cache.list(Services)) if (wantsZoneHints(service)) yield keyOf(service);
      },
    }),
    wake<EndpointSlice>({
      resource: EndpointSlices,
      *keys({ metadata }) {
        const service = metadata.labels?.[serviceNameLabel];
        if (service && metadata.labels?.[managedByLabel] === managedBy) yield objectKey(service, metadata.namespace);
      },
    }),
  ],
  reads: [Nodes],
  indexes: [podsByLabel, servicesBySelectorPair, slicesByService],
  writes: [EndpointSlices],
  concurrency: 16,
  async reconcile({ key, cache, api, events }) {
    const existing = cache
      .byIndex(EndpointSlices, slicesByService.name, key)
      .filter(({ metadata }) => metadata.labels?.[managedByLabel] === managedBy && !metadata.deletionTimestamp);
    const service = cache.get(Services, key);
    // Slices of a Service that is gone are the garbage collector's: they are owned by it.
    if (!service || service.metadata.deletionTimestamp) return;
    // Without a selector the endpoints are somebody else's to write; an external name has none.
    if (!service.spec.selector || service.spec.type === "ExternalName") {
      if (service.spec.type === "ExternalName") await deleteSlices(api, existing);
      return;
    }
    const pods = podsMatching(cache, service.metadata.namespace, service.spec.selector);
    const addressTypes = service.spec.ipFamilies?.length ? service.spec.ipFamilies : ["IPv4"];
    const nodeOf = (name: string) => cache.get(Nodes, objectKey(name));
    const shares = wantsZoneHints(service) ? zoneShares(cache.list(Nodes)) : undefined;
    const groups = addressTypes.flatMap((addressType) => {
      const ofType = groupEndpoints(service, pods, addressType, nodeOf);
      const isHinted = existing.some((slice) => slice.addressType === addressType && hasZoneHints(slice));
      if (wantsZoneHints(service)) {
        const why = hintZones(ofType, shares);
        const because = `, addressType: ${addressType}`;
        if (why !== undefined) events.event(service, "Warning", "TopologyAwareHintsDisabled", why + because);
        else if (!isHinted)
          events.event(
            service,
            "Normal",
            "TopologyAwareHintsEnabled",
            `Topology Aware Hints has been enabled${because}`,
          );
      }
      return ofType;
    });
    await carryOut(api, service, planSlices(groups, addressTypes, existing), existing);
  },
});

/** Writes the zones that endpoints of one address type should serve into them, or returns why none should. */
function hintZones(
  groups: readonly (EndpointGroup & { endpoints: Endpoint[] })[],
  shares: ReadonlyMap<string, number> | undefined,
): string | undefined {
  const hints = planZoneHints(
    groups.flatMap(({ endpoints }) => endpoints),
    shares,
  );
  for (const { endpoints } of groups) {
    for (const endpoint of endpoints) {
      const zone = "zoneOf" in hints ? hints.zoneOf.get(endpoint) : undefined;
      if (zone === undefined) delete endpoint.hints;
      else endpoint.hints = { forZones: [{ name: zone }] };
    }
  }
  return "why" in hints ? hints.why : undefined;
}

function hasZoneHints({ endpoints }: DeepReadonly<EndpointSlice>): boolean {
  // Those with a node as well come from `trafficDistribution`.
  return endpoints?.some(({ hints }) => hints?.forZones?.length && !hints.forNodes?.length) ?? false;
}

/** The Service's endpoints of one address type, grouped by the ports they serve. */
export function groupEndpoints(
  service: DeepReadonly<Service>,
  pods: readonly DeepReadonly<Pod>[],
  addressType: string,
  nodeOf: (name: string) => DeepReadonly<Node> | undefined,
): (EndpointGroup & { endpoints: Endpoint[] })[] {
  const groups = new Map<string, EndpointGroup & { endpoints: Endpoint[] }>();
  for (const pod of pods) {
    const addresses = addressesOf(pod, addressType);
    if (isPodTerminal(pod) || addresses.length === 0) continue;
    const ports = servedPorts(service, pod);
    // A headless Service may do without ports; for others a Pod without them serves nothing.
    if (ports.length === 0 && !isHeadless(service)) continue;
    const key = portsKey(ports);
    const group = groups.get(key) ?? { addressType, ports, endpoints: [] };
    groups.set(key, group);
    group.endpoints.push(endpointOf(service, pod, addresses, nodeOf(pod.spec.nodeName ?? "")));
  }
  return [...groups.values()];
}

function endpointOf(
  service: DeepReadonly<Service>,
  pod: DeepReadonly<Pod>,
  addresses: string[],
  node: DeepReadonly<Node> | undefined,
): Endpoint {
  const { name, namespace, uid, deletionTimestamp } = pod.metadata;
  const { nodeName, hostname, subdomain } = pod.spec;
  const serving = isPodReady(pod);
  const terminating = deletionTimestamp !== undefined;
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
  const zone = node?.metadata.labels?.[zoneLabel];
  const hints = hintsOf(service, zone, nodeName);
  return {
    addresses,
    conditions: { ready, serving, terminating },
    targetRef: { kind: "Pod", namespace, name, uid },
    ...(nodeName ? { nodeName } : {}),
    ...(zone ? { zone } : {}),
    ...(hostname && subdomain === service.metadata.name ? { hostname } : {}),
    ...(ready && hints ? { hints } : {}),
  };
}

/** Where traffic of a Service with a trafficDistribution should come from: the endpoint's own zone, or its own node. */
function hintsOf({ spec }: DeepReadonly<Service>, zone: string | undefined, nodeName: string | undefined) {
  const forZones = zone ? { forZones: [{ name: zone }] } : {};
  switch (spec.trafficDistribution) {
    case "PreferClose":
    case "PreferSameZone":
      return zone ? forZones : undefined;
    case "PreferSameNode":
      return nodeName ? { ...forZones, forNodes: [{ name: nodeName }] } : undefined;
    default:
      return undefined;
  }
}

function addressesOf({ status }: DeepReadonly<Pod>, addressType: string): string[] {
  const ips = status?.podIPs?.length ? status.podIPs.map(({ ip }) => ip) : status?.podIP ? [status.podIP] : [];
  return ips.filter((ip) => ip.includes(":") === (addressType === "IPv6"));
}

async function carryOut(
  api: Client,
  service: DeepReadonly<Service>,
  plan: SlicePlan,
  existing: readonly DeepReadonly<EndpointSlice>[],
): Promise<void> {
  const labels = labelsOf(service);
  const touched = new Set([...plan.update.map(({ slice }) => slice), ...plan.delete]);
  const relabelled = existing.filter((slice) => !touched.has(slice) && !semanticEqual(slice.metadata.labels, labels));
  const update = (slice: DeepReadonly<EndpointSlice>, endpoints: DeepReadonly<EndpointSlice>["endpoints"]) =>
    api.update(EndpointSlices, {
      ...slice,
      metadata: { ...slice.metadata, labels },
      endpoints: endpoints ?? [],
      // A slice without endpoints serves no ports: it is the placeholder.
      ...(endpoints?.length ? {} : { ports: [] }),
    });
  await Promise.all([
    ...plan.update.map(({ slice, endpoints }) => update(slice, endpoints)),
    ...relabelled.map((slice) => update(slice, slice.endpoints)),
    ...plan.create.map(({ addressType, ports, endpoints }) =>
      api.create(EndpointSlices, {
        metadata: {
          generateName: `${service.metadata.name}-`,
          namespace: service.metadata.namespace,
          labels,
          ownerReferences: [controllerReferenceTo(Services, service)],
        },
        addressType,
        ports: [...ports],
        // The server copies what it is given.
        endpoints: endpoints as Endpoint[],
      }),
    ),
    deleteSlices(api, plan.delete),
  ]);
}

async function deleteSlices(api: Client, slices: readonly DeepReadonly<EndpointSlice>[]): Promise<void> {
  for (const slice of slices) {
    try {
      await api.delete(EndpointSlices, refOf(slice), { preconditions: { uid: slice.metadata.uid } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

/** The Service's labels, and those by which slices are found. */
function labelsOf(service: DeepReadonly<Service>): Record<string, string> {
  const { [headlessLabel]: _, ...own } = service.metadata.labels ?? {};
  return {
    ...own,
    [serviceNameLabel]: service.metadata.name,
    [managedByLabel]: managedBy,
    ...(isHeadless(service) ? { [headlessLabel]: "" } : {}),
  };
}
