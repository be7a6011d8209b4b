/**
 * Service addresses and node ports where several API servers share a store, each with allocators of its own (upstream keeps
 * IPAddress objects and a bitmap of ports for this).
 *
 * Each address and port stands as a key of its own in the store, written and removed in the same transaction as its Service:
 * what two servers give away at the same moment, one of them gets; the other draws again, unless its client asked for just that.
 * Allocators follow the others' Services, so that this is rare.
 */
import type { Service } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { ResourceDefinition } from "../../apimachinery/resource-definition.ts";
import { StatusError } from "../../apimachinery/status-error.ts";
import type { Change } from "../../controller-runtime/informer.ts";
import { restoreAllocations, type ServiceAllocators } from "./service-allocators.ts";

const addressClaims = "/pinnace/claims/service-addresses/";
const portClaims = "/pinnace/claims/node-ports/";

function claimsOf({ spec }: DeepReadonly<Service>): string[] {
  const addresses = (spec.clusterIPs ?? []).filter((address) => address !== "None");
  const ports = [...(spec.ports ?? []).map(({ nodePort }) => nodePort), spec.healthCheckNodePort];
  const keys = [
    ...addresses.map((address) => addressClaims + address),
    ...ports.filter(Boolean).map((port) => `${portClaims}${port}`),
  ];
  return [...new Set(keys)];
}

export const serviceClaims: NonNullable<ResourceDefinition<Service>["claims"]> = {
  keysOf: claimsOf,
  refusal: (keys) => {
    const what = keys.map((key) => key.slice(key.lastIndexOf("/") + 1)).join(", ");
    // Clients come again by themselves; by then this server has heard.
    return new StatusError(500, "ServerTimeout", `another API server has just allocated ${what}, please try again`, {
      retryAfterSeconds: 1,
    });
  },
};

/** What must be claimed for Services from before claims were made, or from a snapshot. */
export function claimsOfAll(services: Iterable<DeepReadonly<Service>>): string[] {
  return [...services].flatMap(claimsOf);
}

/** Takes from the allocators what other servers' Services take, and gives back what nobody has any more. */
export function followServices(
  allocators: ServiceAllocators,
  list: () => Iterable<DeepReadonly<Service>>,
): (change: Change<Service>) => void {
  return ({ type, object, previous }) => {
    const gone = new Set(type === "DELETED" ? claimsOf(object) : previous ? claimsOf(previous) : []);
    if (gone.size > 0) for (const service of list()) for (const key of claimsOf(service)) gone.delete(key);
    for (const key of gone) release(allocators, key);
    // What is taken already is this server's own.
    if (type !== "DELETED") restoreAllocations(allocators, [object]);
  };
}

function release(allocators: ServiceAllocators, key: string): void {
  const text = key.slice(key.lastIndexOf("/") + 1);
  if (key.startsWith(portClaims)) allocators.nodePorts.release(Number(text));
  else {
    const family = text.includes(":") ? "IPv6" : "IPv4";
    allocators.addresses.find((pool) => pool.family === family)?.release(text);
  }
}
