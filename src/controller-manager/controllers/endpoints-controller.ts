/** The older form of EndpointSlices: one Endpoints object per Service with a selector, of the Service's name. */
import type {
  EndpointAddress,
  EndpointPort,
  EndpointSubset,
  Endpoints as EndpointsObject,
  Pod,
  Service,
} from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Endpoints, Pods, Services } from "../../api/resources.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { splitKey } from "../../controller-runtime/cache.ts";
import { defineController } from "../../controller-runtime/controller.ts";
import { servicesBySelectorPair } from "../../controller-runtime/service-indexes.ts";
import { sameName } from "../../controller-runtime/wakes.ts";
import { isPodReady, isPodTerminal } from "../pod-facts.ts";
import { podsByLabel, podsMatching } from "../selectors.ts";
import { isHeadless, portsKey, servedPorts } from "./endpoints/service-ports.ts";
import { selectedPods } from "./endpoints/service-wakes.ts";
import { headlessLabel } from "./endpointslice-controller.ts";

const managedByLabel = "endpoints.kubernetes.io/managed-by";
const managedBy = "endpoint-controller";
const overCapacityAnnotation = "endpoints.kubernetes.io/over-capacity";
const maxAddresses = 1000;

export const endpointsController = defineController<Service>({
  name: "endpoints-controller",
  eventSource: "endpoint-controller",
  reconciles: Services,
  wakesOn: [selectedPods, sameName(Endpoints)],
  reads: [Pods],
  indexes: [podsByLabel, servicesBySelectorPair],
  writes: [Endpoints],
  concurrency: 16,
  async reconcile({ key, cache, api }) {
    const service = cache.get(Services, key);
    const existing = cache.get(Endpoints, key);
    if (!service) {
      // Ours go with their Service; hand-made ones are their maker's.
      if (existing?.metadata.labels?.[managedByLabel] !== managedBy) return;
      const { name, namespace = "" } = splitKey(key);
      try {
        await api.delete(Endpoints, { name, namespace }, { preconditions: { uid: existing.metadata.uid } });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      return;
    }
    const { selector, type } = service.spec;
    if (!selector || type === "ExternalName" || service.metadata.deletionTimestamp) return;

    const pods = podsMatching(cache, service.metadata.namespace, selector);
    const all = subsetsOf(service, pods);
    const { subsets, isCut } = cutTo(all, maxAddresses);
    const { [headlessLabel]: _, ...serviceLabels } = service.metadata.labels ?? {};
    const labels = {
      ...serviceLabels,
      [managedByLabel]: managedBy,
      ...(isHeadless(service) ? { [headlessLabel]: "" } : {}),
    };
    const { [overCapacityAnnotation]: __, ...kept } = existing?.metadata.annotations ?? {};
    const annotations = isCut ? { ...kept, [overCapacityAnnotation]: "truncated" } : kept;
    if (!existing) {
      const { name, namespace } = service.metadata;
      await api.create(Endpoints, { metadata: { name, namespace, labels, annotations }, subsets });
      return;
    }
    const isSame =
      semanticEqual(existing.subsets, subsets) &&
      semanticEqual(existing.metadata.labels, labels) &&
      semanticEqual(existing.metadata.annotations, annotations);
    if (isSame) return;
    const metadata = { ...existing.metadata, labels, annotations };
    await api.update(Endpoints, { ...existing, metadata, subsets } satisfies DeepReadonly<EndpointsObject>);
  },
});

/** Addresses with equal ports share a subset; the order is always the same for the same Pods. */
export function subsetsOf(service: DeepReadonly<Service>, pods: readonly DeepReadonly<Pod>[]): EndpointSubset[] {
  const family = service.spec.ipFamilies?.[0] ?? "IPv4";
  const subsets = new Map<string, Required<Pick<EndpointSubset, "addresses" | "notReadyAddresses" | "ports">>>();
  const includeNotReady = service.spec.publishNotReadyAddresses === true;
  for (const pod of pods) {
    const { name, namespace, uid, deletionTimestamp } = pod.metadata;
    const ips = pod.status?.podIPs?.map((podIp) => podIp.ip) ?? (pod.status?.podIP ? [pod.status.podIP] : []);
    const ip = ips.find((candidate) => candidate.includes(":") === (family === "IPv6"));
    if (!ip || isPodTerminal(pod) || (deletionTimestamp && !includeNotReady)) continue;
    const ports: EndpointPort[] = servedPorts(service, pod).map(({ name: portName, ...rest }) => ({
      ...(portName ? { name: portName } : {}),
      ...rest,
    }));
    if (ports.length === 0 && !isHeadless(service)) continue;
    const key = portsKey(servedPorts(service, pod));
    const subset = subsets.get(key) ?? { addresses: [], notReadyAddresses: [], ports };
    subsets.set(key, subset);
    const { nodeName, hostname, subdomain } = pod.spec;
    const address: EndpointAddress = {
      ip,
      ...(hostname && subdomain === service.metadata.name ? { hostname } : {}),
      ...(nodeName ? { nodeName } : {}),
      targetRef: { kind: "Pod", namespace, name, uid },
    };
    (includeNotReady || isPodReady(pod) ? subset.addresses : subset.notReadyAddresses).push(address);
  }
  return [...subsets.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { addresses, notReadyAddresses, ports }]) => ({
      ...(addresses.length > 0 ? { addresses: addresses.sort(byAddress) } : {}),
      ...(notReadyAddresses.length > 0 ? { notReadyAddresses: notReadyAddresses.sort(byAddress) } : {}),
      ...(ports.length > 0 ? { ports } : {}),
    }));
}

function byAddress(a: EndpointAddress, b: EndpointAddress): number {
  const [left, right] = [`${a.ip} ${a.targetRef?.uid}`, `${b.ip} ${b.targetRef?.uid}`];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** One object must not grow without bound: beyond the limit ready addresses are kept first. */
function cutTo(subsets: EndpointSubset[], limit: number): { subsets: EndpointSubset[]; isCut: boolean } {
  const count = subsets.reduce((n, s) => n + (s.addresses?.length ?? 0) + (s.notReadyAddresses?.length ?? 0), 0);
  if (count <= limit) return { subsets, isCut: false };
  let ready = limit;
  const cut = subsets.map((subset) => {
    const addresses = subset.addresses?.slice(0, ready) ?? [];
    ready -= addresses.length;
    return { ...subset, addresses };
  });
  let notReady = ready;
  const both = cut.map((subset) => {
    const notReadyAddresses = subset.notReadyAddresses?.slice(0, notReady) ?? [];
    notReady -= notReadyAddresses.length;
    return { ...subset, notReadyAddresses };
  });
  return { subsets: both.filter((s) => s.addresses.length + s.notReadyAddresses.length > 0), isCut: true };
}
