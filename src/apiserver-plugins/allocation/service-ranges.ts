/** ServiceCIDRs widen and narrow what Services' addresses are given from, and IPAddresses that users write keep addresses away (upstream's multi-CIDR allocator). */
import type { IPAddress, ServiceCIDR } from "../../api/networking/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { IPAddresses, ServiceCIDRs } from "../../api/resources.ts";
import { familyOf } from "../../base/ip.ts";
import type { InformerCache } from "../../controller-runtime/informer-cache.ts";
import type { ServiceAllocators } from "./service-allocators.ts";

const managedByLabel = "ipaddress.kubernetes.io/managed-by";

/** At start, before the addresses of stored Services are taken: those of ranges that are about to go, too. */
export function openRanges(allocators: ServiceAllocators, ranges: Iterable<DeepReadonly<ServiceCIDR>>): void {
  for (const range of ranges) open(allocators, range);
}

/** `isHeld` says whether a Service has the address. The ranges of the cluster's own configuration stay open whatever happens. */
export function followServiceRanges(
  allocators: ServiceAllocators,
  own: readonly string[],
  cache: InformerCache,
  isHeld: (address: string) => Promise<boolean>,
): void {
  const ranges = cache.informer(ServiceCIDRs);
  ranges.addHandler(({ type, object }) => {
    if (type !== "DELETED" && !object.metadata.deletionTimestamp) return open(allocators, object);
    const others = ranges.list().filter(({ metadata }) => metadata.uid !== object.metadata.uid);
    const kept = new Set([...own, ...others.flatMap(({ spec }) => spec.cidrs ?? [])]);
    for (const block of object.spec.cidrs ?? []) if (!kept.has(block)) poolOf(allocators, block)?.closeRange(block);
  });
  cache.informer(IPAddresses).addHandler(({ type, object }) => {
    if (isOurs(object)) return;
    const address = object.metadata.name;
    const pool = poolOf(allocators, address);
    if (type === "ADDED") pool?.take(address);
    else if (type === "DELETED") void isHeld(address).then((held) => held || pool?.release(address));
  });
}

function open(allocators: ServiceAllocators, { spec }: DeepReadonly<ServiceCIDR>): void {
  for (const block of spec.cidrs ?? []) poolOf(allocators, block)?.addRange(block);
}

function poolOf({ addresses }: ServiceAllocators, address: string) {
  const family = familyOf(address) === "ipv4" ? "IPv4" : "IPv6";
  return addresses.find((pool) => pool.family === family);
}

/** Written for a Service that has its address already. */
function isOurs({ metadata }: DeepReadonly<IPAddress>): boolean {
  return metadata.labels?.[managedByLabel] === "ipallocator.k8s.io";
}
