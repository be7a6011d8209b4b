/** How `kubectl get services` words a Service. */
import type { Service } from "../../api/core/v1.ts";
import type { Column } from "../../apimachinery/resource-definition.ts";
import { age, labelsText, name, none, text, wide } from "../printing/columns.ts";

export const serviceColumns: readonly Column<Service>[] = [
  name,
  text("Type", ({ spec }) => spec.type ?? ""),
  text("Cluster-IP", ({ spec }) => spec.clusterIPs?.[0] || spec.clusterIP || none),
  text("External-IP", externalIpText),
  text("Port(s)", portsText),
  age,
  wide(text("Selector", ({ spec }) => labelsText(spec.selector))),
];

function externalIpText({ spec, status }: Service): string {
  const externalIps = spec.externalIPs ?? [];
  switch (spec.type) {
    case "ExternalName":
      return spec.externalName ?? "";
    case "LoadBalancer": {
      const ingress = ingressText(status?.loadBalancer?.ingress ?? []);
      if (externalIps.length > 0) return [...(ingress ? [ingress] : []), ...externalIps].join(",");
      return ingress || "<pending>";
    }
    default:
      return externalIps.join(",") || none;
  }
}

function ingressText(ingresses: readonly { ip?: string; hostname?: string }[]): string {
  const addresses = [...new Set(ingresses.map(({ ip, hostname }) => ip || hostname || "").filter(Boolean))];
  return addresses.sort().join(",");
}

function portsText({ spec }: Service): string {
  const ports = spec.ports ?? [];
  if (ports.length === 0) return none;
  return ports
    .map(({ port, nodePort, protocol }) => (nodePort ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`))
    .join(",");
}
