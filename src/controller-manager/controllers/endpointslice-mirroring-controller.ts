/** Mirrors hand-made Endpoints of Services without a selector into EndpointSlices, which the proxies read. */
import type { EndpointAddress, Endpoints as EndpointsObject } from "../../api/core/v1.ts";
import type { Endpoint, EndpointSlice } from "../../api/discovery/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { EndpointSlices, Endpoints, Services } from "../../api/resources.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { refOf } from "../../client/client.ts";
import { objectKey } from "../../controller-runtime/cache.ts";
import { defineController, wake } from "../../controller-runtime/controller.ts";
import { serviceNameLabel, slicesByService } from "../../controller-runtime/service-indexes.ts";
import { sameName } from "../../controller-runtime/wakes.ts";
import { controllerReferenceTo } from "../ownership.ts";
import { type EndpointGroup, planSlices } from "./endpoints/plan-slices.ts";
import { managedByLabel } from "./endpointslice-controller.ts";

const managedBy = "endpointslicemirroring-controller.k8s.io";
const skipMirrorLabel = "endpointslice.kubernetes.io/skip-mirror";
const leaderAnnotation = "control-plane.alpha.kubernetes.io/leader";
const maxEndpointsPerSubset = 1000;

export const endpointSliceMirroringController = defineController<EndpointsObject>({
  name: "endpointslice-mirroring-controller",
  reconciles: Endpoints,
  wakesOn: [
    sameName(Services),
    wake<EndpointSlice>({
      resource: EndpointSlices,
      *keys({ metadata }) {
        const name = metadata.labels?.[serviceNameLabel];
        if (name && metadata.labels?.[managedByLabel] === managedBy) yield objectKey(name, metadata.namespace);
      },
    }),
  ],
  indexes: [slicesByService],
  writes: [EndpointSlices],
  async reconcile({ key, cache, api }) {
    const existing = cache
      .byIndex(EndpointSlices, slicesByService.name, key)
      .filter(({ metadata }) => metadata.labels?.[managedByLabel] === managedBy && !metadata.deletionTimestamp);
    const endpoints = cache.get(Endpoints, key);
    const service = cache.get(Services, key);
    const isMirrored = endpoints && service && !service.spec.selector && shouldMirror(endpoints);
    const plan = isMirrored
      ? planSlices(mirrorGroups(endpoints), [], existing)
      : { create: [], update: [], delete: [...existing] };
    if (isMirrored) {
      const labels = {
        ...endpoints.metadata.labels,
        [serviceNameLabel]: service.metadata.name,
        [managedByLabel]: managedBy,
      };
      const annotations = mirroredAnnotations(endpoints);
      for (const { addressType, ports, endpoints: mirrored } of plan.create) {
        await api.create(EndpointSlices, {
          metadata: {
            generateName: `${endpoints.metadata.name}-`,
            namespace: endpoints.metadata.namespace,
            labels,
            annotations,
            ownerReferences: [controllerReferenceTo(Endpoints, endpoints)],
          },
          addressType,
          ports: [...ports],
          // The server copies what it is given.
          endpoints: mirrored as Endpoint[],
        });
      }
      const updates = new Map(plan.update.map((update) => [update.slice, update.endpoints]));
      for (const slice of existing) {
        if (plan.delete.includes(slice)) continue;
        const changed = updates.get(slice);
        if (!changed && semanticEqual(slice.metadata.labels, labels)) continue;
        const metadata = { ...slice.metadata, labels, annotations };
        await api.update(EndpointSlices, { ...slice, metadata, endpoints: changed ?? slice.endpoints ?? [] });
      }
    }
    for (const slice of plan.delete) {
      try {
        await api.delete(EndpointSlices, refOf(slice), { preconditions: { uid: slice.metadata.uid } });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
  },
});

function shouldMirror({ metadata }: DeepReadonly<EndpointsObject>): boolean {
  return (
    metadata.labels?.[skipMirrorLabel] !== "true" &&
    metadata.annotations?.[leaderAnnotation] === undefined &&
    !metadata.deletionTimestamp
  );
}

function mirroredAnnotations({ metadata }: DeepReadonly<EndpointsObject>): Record<string, string> {
  const { "kubectl.kubernetes.io/last-applied-configuration": _, ...rest } = metadata.annotations ?? {};
  return rest;
}

/** One group per subset and address family. */
export function mirrorGroups(endpoints: DeepReadonly<EndpointsObject>): EndpointGroup[] {
  const groups: EndpointGroup[] = [];
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of endpoints.subsets ?? []) {
    const all = [
      ...addresses.map((address) => ({ address, ready: true })),
      ...notReadyAddresses.map((address) => ({ address, ready: false })),
    ].slice(0, maxEndpointsPerSubset);
    for (const addressType of ["IPv4", "IPv6"]) {
      const family = all.filter(({ address }) => address.ip.includes(":") === (addressType === "IPv6"));
      if (family.length === 0) continue;
      groups.push({
        addressType,
        ports: ports.map(({ name = "", port, protocol = "TCP", appProtocol }) => ({
          name,
          port,
          protocol,
          ...(appProtocol ? { appProtocol } : {}),
        })),
        endpoints: family.map(({ address, ready }) => mirrored(address, ready)),
      });
    }
  }
  return groups;
}

function mirrored({ ip, hostname, nodeName, targetRef }: DeepReadonly<EndpointAddress>, ready: boolean): Endpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    ...(targetRef ? { targetRef: { ...targetRef } } : {}),
  };
}
