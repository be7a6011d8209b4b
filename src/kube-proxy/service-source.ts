/** Services with their EndpointSlices, as the proxies of all nodes in this process read them. */
import type { Node, Service } from "../api/core/v1.ts";
import type { EndpointSlice } from "../api/discovery/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { EndpointSlices, Nodes, Services } from "../api/resources.ts";
import { keyOf, type ObjectKey, objectKey } from "../controller-runtime/cache.ts";
import type { InformerCache } from "../controller-runtime/informer-cache.ts";
import { serviceOfSlice, slicesByService } from "../controller-runtime/service-indexes.ts";

export interface ServiceSource {
  /** Resolves when Services and slices were listed once. */
  synced(): Promise<void>;
  get(service: ObjectKey): DeepReadonly<Service> | undefined;
  slicesOf(service: ObjectKey): readonly DeepReadonly<EndpointSlice>[];
  /** Calls with the key of every Service that exists now, and of each whose own state or slices change later. */
  onChange(listener: (service: ObjectKey, of: "service" | "endpoint") => void): void;
  /** The zone that a node's label names now. A change of it counts as one of every Service. */
  zoneOf?(node: string): string | undefined;
}

/** The component whose kind of proxying a Service or slice was given to, when not this one: it is then left alone. */
const proxyNameLabel = "service.kubernetes.io/service-proxy-name";
const headlessLabel = "service.kubernetes.io/headless";

export function informedServiceSource(cache: InformerCache): ServiceSource {
  const services = cache.informer(Services);
  const slices = cache.informer(EndpointSlices);
  const nodes = cache.informer(Nodes);
  slices.addIndex(slicesByService);
  return {
    async synced() {
      await Promise.all([services.synced, slices.synced]);
    },
    get(key) {
      const service = services.get(key);
      return service && isOurs(service) ? service : undefined;
    },
    slicesOf: (key) => slices.byIndex(slicesByService.name, key).filter(isOurs),
    zoneOf: (node) => zoneIn(nodes.get(objectKey(node))),
    onChange(listener) {
      services.addHandler(({ object }) => listener(keyOf(object), "service"));
      slices.addHandler(({ object, previous }) => {
        const service = serviceOfSlice(object);
        const previously = previous && serviceOfSlice(previous);
        if (service) listener(service, "endpoint");
        if (previously && previously !== service) listener(previously, "endpoint");
      });
      nodes.addHandler(({ object, previous }) => {
        if (zoneIn(object) !== zoneIn(previous))
          for (const service of services.list()) listener(keyOf(service), "service");
      });
    },
  };
}

function zoneIn(node: DeepReadonly<Node> | undefined): string | undefined {
  return node?.metadata.labels?.["topology.kubernetes.io/zone"];
}

function isOurs({ metadata }: { readonly metadata: { readonly labels?: Readonly<Record<string, string>> } }): boolean {
  return metadata.labels?.[proxyNameLabel] === undefined && metadata.labels?.[headlessLabel] === undefined;
}
