/** Gives addresses of the pools to Services of type LoadBalancer (MetalLB's controller). */
import type { Service } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Namespaces, Services } from "../../api/resources.ts";
import { keyOf, objectKey, type ReadCache } from "../../controller-runtime/cache.ts";
import { defineController, index, type Reconcile, statusOf, wake } from "../../controller-runtime/controller.ts";
import { AllocationError, allocate, heldAddresses, quoted, whyNoLonger } from "./allocate.ts";
import { IPAddressPools } from "./kinds.ts";
import { readPools } from "./pools.ts";

const byAddress = "load-balancer-address";
const byState = "load-balancer-state";
const poolAnnotation = "metallb.io/ip-allocated-from-pool";

/** One at a time: two that look for a free address at once would find the same. */
export const metallbController = defineController<Service>({
  name: "metallb-controller",
  reconciles: Services,
  reads: [Namespaces],
  indexes: [
    index<Service>({ resource: Services, name: byAddress, values: heldAddresses }),
    index<Service>({ resource: Services, name: byState, values: stateOf }),
  ],
  wakesOn: [
    wake({ resource: IPAddressPools, keys: (_, cache) => balancers(cache) }),
    // An address that came free, or a port on one, may be what others wait for.
    wake<Service>({
      resource: Services,
      when: ({ object, previous, type }) =>
        heldAddresses(previous ?? object).length > 0 && (type === "DELETED" || previous !== undefined),
      keys: (_, cache) => cache.byIndex(Services, byState, "pending").map(keyOf),
    }),
  ],
  writes: [Services, statusOf(Services)],
  concurrency: 1,
  async reconcile(context) {
    const { key, cache, events } = context;
    const service = cache.get(Services, key);
    if (!service || service.metadata.deletionTimestamp || service.spec.loadBalancerClass) return;
    const { pools } = readPools(cache.list(IPAddressPools));
    const held = heldAddresses(service);
    if (service.spec.type !== "LoadBalancer" || pools.length === 0) return clear(service, context);
    const namespace = cache.get(Namespaces, objectKey(service.metadata.namespace));
    const view = {
      pools,
      namespaceLabels: namespace?.metadata.labels,
      holdersOf: (address: string) => cache.byIndex(Services, byAddress, address),
    };
    try {
      if (held.length > 0) {
        const why = whyNoLonger(service, view);
        if (!why) return;
        const message = `current IP for "${key}" not allowed by config, will attempt for new IP assignment: ${why}`;
        events.event(service, "Normal", "ClearAssignment", message);
      }
      const { addresses, pool } = allocate(service, view);
      await assign(service, addresses, pool, context);
      events.event(service, "Normal", "IPAllocated", `Assigned IP ${quoted(addresses)}`);
    } catch (error) {
      if (!(error instanceof AllocationError)) throw error;
      events.event(service, "Warning", "AllocationFailed", `Failed to allocate IP for "${key}": ${error.message}`);
      await clear(service, context);
    }
  },
});

async function assign(
  service: DeepReadonly<Service>,
  addresses: readonly string[],
  pool: string,
  { api }: Reconcile,
): Promise<void> {
  const body = { metadata: { annotations: { [poolAnnotation]: pool } } };
  const annotated =
    service.metadata.annotations?.[poolAnnotation] === pool
      ? service
      : await api.patch(Services, service.metadata, { type: "merge", body });
  const ingress = addresses.map((ip) => ({ ip, ipMode: "VIP" }));
  await api.updateStatus(Services, { ...annotated, status: { ...annotated.status, loadBalancer: { ingress } } });
}

async function clear(service: DeepReadonly<Service>, { api }: Reconcile): Promise<void> {
  // What carries no mark of a pool was given by somebody else.
  if (service.metadata.annotations?.[poolAnnotation] === undefined) return;
  const body = { metadata: { annotations: { [poolAnnotation]: null } } };
  const bare = await api.patch(Services, service.metadata, { type: "merge", body });
  if (heldAddresses(bare).length > 0)
    await api.updateStatus(Services, { ...bare, status: { ...bare.status, loadBalancer: {} } });
}

function stateOf(service: DeepReadonly<Service>): string[] {
  if (service.spec.type !== "LoadBalancer") return [];
  return heldAddresses(service).length > 0 ? ["balancer"] : ["balancer", "pending"];
}

function balancers(cache: ReadCache) {
  return cache.byIndex(Services, byState, "balancer").map(keyOf);
}
