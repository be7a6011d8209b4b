/** Which of a Service's fields its type calls for. */
import type { Service } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";

type AnyService = DeepReadonly<Pick<Service, "spec">>;

export const headlessAddress = "None";

export function isHeadless({ spec }: AnyService): boolean {
  return spec.clusterIPs?.length === 1 && spec.clusterIPs[0] === headlessAddress;
}

export function needsClusterIp({ spec }: AnyService): boolean {
  return spec.type === "ClusterIP" || spec.type === "NodePort" || spec.type === "LoadBalancer";
}

/** A load balancer may do without, but gets them unless it says so. */
export function needsNodePort({ spec }: AnyService): boolean {
  return spec.type === "NodePort" || spec.type === "LoadBalancer";
}

export function wantsNewNodePorts({ spec }: AnyService): boolean {
  return spec.type === "NodePort" || (spec.type === "LoadBalancer" && spec.allocateLoadBalancerNodePorts !== false);
}

export function needsHealthCheckNodePort({ spec }: AnyService): boolean {
  return spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local";
}

export function isExternallyAccessible({ spec }: AnyService): boolean {
  return needsNodePort({ spec }) || (spec.type === "ClusterIP" && (spec.externalIPs?.length ?? 0) > 0);
}
