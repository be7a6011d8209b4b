/** How Services and their EndpointSlices are found without asking every one: for whoever follows both. */
import type { Service } from "../api/core/v1.ts";
import type { EndpointSlice } from "../api/discovery/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { EndpointSlices, Services } from "../api/resources.ts";
import { type ObjectKey, objectKey } from "./cache.ts";
import { type IndexDefinition, index } from "./controller.ts";

export const serviceNameLabel = "kubernetes.io/service-name";

/** The key of the Service that a slice belongs to; undefined for a slice of none. */
export function serviceOfSlice({ metadata }: DeepReadonly<Pick<EndpointSlice, "metadata">>): ObjectKey | undefined {
  const name = metadata.labels?.[serviceNameLabel];
  return name ? objectKey(name, metadata.namespace) : undefined;
}

/** Slices by the key of their Service. */
export const slicesByService: IndexDefinition = index<EndpointSlice>({
  resource: EndpointSlices,
  name: "service",
  values: serviceOfSlice,
});

/** Services by `namespace/key=value` of one pair of their selector: a Pod looks under its own labels. */
export const servicesBySelectorPair: IndexDefinition = index<Service>({
  resource: Services,
  name: "selectorPair",
  values: ({ metadata, spec }) => {
    for (const key in spec?.selector) return `${metadata.namespace}/${key}=${spec.selector[key]}`;
    return undefined;
  },
});
