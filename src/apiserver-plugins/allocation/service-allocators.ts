/**
 * The allocators of one cluster. They keep no state of their own: what is taken follows from the Services in the store, so that a
 * crash between a write and its bookkeeping cannot leak an address.
 */
import type { Service } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { Random } from "../../base/random.ts";
import { ClusterIpAllocator } from "./cluster-ip-allocator.ts";
import { defaultNodePortRange, NodePortAllocator, type PortRange } from "./node-port-allocator.ts";

export interface ServiceAllocators {
  /** The cluster's families, the default one first. */
  readonly addresses: readonly ClusterIpAllocator[];
  readonly nodePorts: NodePortAllocator;
}

export interface ServiceAllocatorOptions {
  /** One CIDR a family, the default family's first. */
  serviceCidrs: readonly string[];
  nodePortRange?: PortRange;
  random: Random;
}

export function createServiceAllocators({
  serviceCidrs,
  nodePortRange = defaultNodePortRange,
  random,
}: ServiceAllocatorOptions): ServiceAllocators {
  return {
    addresses: serviceCidrs.map((block) => new ClusterIpAllocator(block, random)),
    nodePorts: new NodePortAllocator(nodePortRange, random),
  };
}

export interface AllocationProblem {
  namespace: string;
  name: string;
  /** Such as `clusterIP 10.96.0.9: provided IP is already allocated`. */
  problem: string;
}

/** Takes what the stored Services have, at start. Returns what two of them have both, or what is out of range. */
export function restoreAllocations(
  allocators: ServiceAllocators,
  services: Iterable<DeepReadonly<Service>>,
): AllocationProblem[] {
  const problems: AllocationProblem[] = [];
  for (const { metadata, spec } of services) {
    const note = (what: string, problem: string | undefined) => {
      if (problem)
        problems.push({ namespace: metadata.namespace, name: metadata.name, problem: `${what}: ${problem}` });
    };
    for (const address of spec.clusterIPs ?? []) {
      if (address === "None") continue;
      const family = address.includes(":") ? "IPv6" : "IPv4";
      const allocator = allocators.addresses.find((candidate) => candidate.family === family);
      note(`clusterIP ${address}`, allocator ? allocator.take(address) : `no ${family} range is configured`);
    }
    // Ports of one Service may share a number when their protocols differ.
    for (const port of new Set(spec.ports?.map(({ nodePort }) => nodePort))) {
      if (port) note(`nodePort ${port}`, allocators.nodePorts.take(port));
    }
    const health = spec.healthCheckNodePort;
    if (health) note(`healthCheckNodePort ${health}`, allocators.nodePorts.take(health));
  }
  return problems;
}
