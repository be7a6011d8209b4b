/** What works in a Service but is probably not meant. In upstream's order. */
import type { Service } from "../../api/core/v1.ts";
import { spec as specPath } from "../../apimachinery/field-error.ts";
import { cidrWarnings, ipWarnings } from "../validation/ip.ts";

export function serviceWarnings({ metadata, spec }: Service): string[] {
  const warnings: string[] = [];
  const { type, clusterIP, clusterIPs = [], externalIPs = [], loadBalancerSourceRanges = [] } = spec;
  if (metadata.annotations?.["service.kubernetes.io/topology-aware-hints"] !== undefined) {
    warnings.push(
      "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead",
    );
  }
  for (const [index, address] of clusterIPs.entries()) {
    warnings.push(...ipWarnings(address, specPath.child("clusterIPs").index(index)));
  }
  if (type === "ClusterIP" && clusterIP === "None") {
    if (spec.loadBalancerIP) warnings.push("spec.loadBalancerIP is ignored for headless services");
    if (externalIPs.length > 0) warnings.push("spec.externalIPs is ignored for headless services");
    if (spec.sessionAffinity !== "None") warnings.push("spec.SessionAffinity is ignored for headless services");
  }
  if (externalIPs.length > 0) warnings.push("spec.externalIPs is deprecated");
  for (const [index, address] of externalIPs.entries()) {
    warnings.push(...ipWarnings(address, specPath.child("externalIPs").index(index)));
  }
  warnings.push(...ipWarnings(spec.loadBalancerIP, specPath.child("loadBalancerIP")));
  for (const [index, range] of loadBalancerSourceRanges.entries()) {
    warnings.push(...cidrWarnings(range.trim(), specPath.child("loadBalancerSourceRanges").index(index)));
  }
  if (type === "ExternalName" && externalIPs.length > 0) {
    warnings.push('spec.externalIPs is ignored when spec.type is "ExternalName"');
  }
  if (type !== "ExternalName" && spec.externalName) {
    warnings.push('spec.externalName is ignored when spec.type is not "ExternalName"');
  }
  if (spec.trafficDistribution === "PreferClose") {
    warnings.push('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"');
  }
  return warnings;
}
