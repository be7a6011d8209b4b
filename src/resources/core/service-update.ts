/** Drops what a changed Service no longer needs, so that a change of type alone is enough. */
import type { Service } from "../../api/core/v1.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import { isExternallyAccessible, needsClusterIp, needsHealthCheckNodePort, needsNodePort } from "./service-needs.ts";

/** A field goes only when its need has gone and the writer did not change it. */
export function dropUnneededFields(next: Service, previous: Service): void {
  const { spec } = next;
  const same = (field: keyof Service["spec"]) => semanticallyEqual(spec[field], previous.spec[field]);
  const lost = (needs: (service: Service) => boolean) => needs(previous) && !needs(next);

  if (lost(needsClusterIp)) {
    if (same("clusterIP") && same("clusterIPs")) {
      delete spec.clusterIP;
      delete spec.clusterIPs;
    }
    if (same("ipFamilies")) delete spec.ipFamilies;
    if (same("ipFamilyPolicy")) delete spec.ipFamilyPolicy;
  }
  if (lost(needsNodePort) && sameNodePorts(next, previous)) for (const port of spec.ports ?? []) delete port.nodePort;
  if (lost(needsHealthCheckNodePort) && same("healthCheckNodePort")) delete spec.healthCheckNodePort;
  if (lost(isLoadBalancer)) {
    if (same("allocateLoadBalancerNodePorts")) delete spec.allocateLoadBalancerNodePorts;
    if (same("loadBalancerClass")) delete spec.loadBalancerClass;
  }
  if (lost(isExternallyAccessible) && same("externalTrafficPolicy")) delete spec.externalTrafficPolicy;
  if (!isLoadBalancer(next)) next.status = { ...next.status, loadBalancer: {} };
}

const isLoadBalancer = ({ spec }: Service) => spec.type === "LoadBalancer";

function sameNodePorts(next: Service, previous: Service): boolean {
  const numbers = (service: Service) => (service.spec.ports ?? []).map(({ nodePort }) => nodePort ?? 0);
  // Cleared ports count as the same: they were never asked for.
  const wanted = numbers(next).filter((port) => port !== 0);
  return wanted.length === 0 || semanticallyEqual(numbers(next).sort(), numbers(previous).sort());
}
