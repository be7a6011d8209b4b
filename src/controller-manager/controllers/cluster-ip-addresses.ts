/** Keeps an IPAddress for each address that a Service has, and none for others (upstream's allocator and its repair loop). */
import type { Service } from "../../api/core/v1.ts";
import type { IPAddress } from "../../api/networking/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { IPAddresses, Services } from "../../api/resources.ts";
import { isAlreadyExists, isNotFound } from "../../apimachinery/status-error.ts";
import { refOf } from "../../client/client.ts";
import { objectKey } from "../../controller-runtime/cache.ts";
import { defineController, type IndexDefinition, index, wake } from "../../controller-runtime/controller.ts";

const managedByLabel = "ipaddress.kubernetes.io/managed-by";
const managedBy = "ipallocator.k8s.io";

const servicesByAddress: IndexDefinition = index<Service>({
  resource: Services,
  name: "clusterIP",
  values: addressesOf,
});

export const clusterIpAddresses = defineController<IPAddress>({
  name: "ipallocator-repair-controller",
  reconciles: IPAddresses,
  wakesOn: [
    wake<Service>({
      resource: Services,
      *keys(service) {
        for (const address of addressesOf(service)) yield objectKey(address);
      },
    }),
  ],
  indexes: [servicesByAddress],
  writes: [IPAddresses],
  async reconcile({ key, cache, api }) {
    const address = cache.get(IPAddresses, key);
    const [service] = cache.byIndex(Services, servicesByAddress.name, key) as DeepReadonly<Service>[];
    if (address) {
      if (address.metadata.labels?.[managedByLabel] !== managedBy) return; // A user's own.
      if (service && isOf(address, service)) return;
      await api.delete(IPAddresses, refOf(address)).catch((error) => {
        if (!isNotFound(error)) throw error;
      });
      return; // Its end wakes us for the Service that has it now.
    }
    if (!service) return;
    const family = key.includes(":") ? "IPv6" : "IPv4";
    const labels = { "ipaddress.kubernetes.io/ip-family": family, [managedByLabel]: managedBy };
    const { name, namespace } = service.metadata;
    try {
      await api.create(IPAddresses, {
        metadata: { name: key, labels },
        spec: { parentRef: { group: "", resource: "services", namespace, name } },
      });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  },
});

function addressesOf({ spec }: DeepReadonly<Service>): string[] {
  return (spec.clusterIPs ?? []).filter((address) => address !== "None" && address !== "");
}

function isOf({ spec }: DeepReadonly<IPAddress>, { metadata }: DeepReadonly<Service>): boolean {
  return spec.parentRef?.name === metadata.name && spec.parentRef.namespace === metadata.namespace;
}
