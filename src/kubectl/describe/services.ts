/** How `describe` shows Services, Endpoints and EndpointSlices. */
import type { Api, Unstructured } from "../api.ts";
import { pathOf } from "../resource-catalog.ts";
import { type Describers, type Describing, fields, list, writeHead } from "./describing.ts";

export const services: Describers = {
  "/Service": service,
  "/Endpoints": endpoints,
  "discovery.k8s.io/EndpointSlice": endpointSlice,
};

async function service(object: Unstructured, { api, outline }: Describing) {
  const spec = fields(object["spec"]);
  const { namespace, name } = object.metadata;
  writeHead(outline, object);
  outline.map(0, "Selector", fields(spec["selector"]) as Record<string, string>);
  outline.field(0, "Type", spec["type"]);
  if (spec["ipFamilyPolicy"]) outline.field(0, "IP Family Policy", spec["ipFamilyPolicy"]);
  outline.field(0, "IP Families", list<string>(spec["ipFamilies"]).join(",") || "<none>");
  outline.field(0, "IP", spec["clusterIP"] ?? "");
  outline.field(0, "IPs", list<string>(spec["clusterIPs"]).join(",") || "<none>");
  if (list(spec["externalIPs"]).length > 0)
    outline.field(0, "External IPs", list<string>(spec["externalIPs"]).join(","));
  if (spec["loadBalancerIP"]) outline.field(0, "Desired LoadBalancer IP", spec["loadBalancerIP"]);
  if (spec["externalName"]) outline.field(0, "External Name", spec["externalName"]);
  const ingress = list<{ ip?: string; hostname?: string; ipMode?: string }>(
    fields(fields(object["status"])["loadBalancer"])["ingress"],
  );
  if (ingress.length > 0) {
    outline.field(
      0,
      "LoadBalancer Ingress",
      ingress.map(({ ip, hostname, ipMode }) => `${ip ?? hostname}${ipMode ? ` (${ipMode})` : ""}`).join(", "),
    );
  }
  const slices = await slicesOf(api, namespace, name);
  for (const port of list<{
    name?: string;
    port: number;
    protocol: string;
    targetPort: string | number;
    nodePort?: number;
  }>(spec["ports"])) {
    const portName = port.name || "<unset>";
    outline.line(0, `Port:\t${portName}\t${port.port}/${port.protocol}`);
    outline.line(0, `TargetPort:\t${port.targetPort}/${port.protocol}`);
    if (port.nodePort) outline.line(0, `NodePort:\t${portName}\t${port.nodePort}/${port.protocol}`);
    outline.line(0, `Endpoints:\t${endpointsText(slices, port.name ?? "")}`);
  }
  outline.field(0, "Session Affinity", spec["sessionAffinity"]);
  if (spec["externalTrafficPolicy"]) outline.field(0, "External Traffic Policy", spec["externalTrafficPolicy"]);
  if (spec["internalTrafficPolicy"]) outline.field(0, "Internal Traffic Policy", spec["internalTrafficPolicy"]);
  if (spec["healthCheckNodePort"]) outline.field(0, "HealthCheck NodePort", spec["healthCheckNodePort"]);
  if (list(spec["loadBalancerSourceRanges"]).length > 0) {
    outline.field(0, "LoadBalancer Source Ranges", list<string>(spec["loadBalancerSourceRanges"]).join(","));
  }
}

/** The EndpointSlices of a Service. */
export async function slicesOf(api: Api, namespace: string | undefined, name: string): Promise<Unstructured[]> {
  const path = pathOf({ group: "discovery.k8s.io", version: "v1", plural: "endpointslices" }, namespace);
  const selector = encodeURIComponent(`kubernetes.io/service-name=${name}`);
  return (await api.get<{ items: Unstructured[] }>(`${path}?labelSelector=${selector}`)).items;
}

/** At most three addresses, then how many more there are. */
export function endpointsText(slices: readonly Unstructured[], portName: string): string {
  if (slices.length === 0) return "<none>";
  const all = slices.flatMap((slice) => {
    const port = list<{ name?: string; port?: number }>(slice["ports"]).find((each) => (each.name ?? "") === portName);
    if (!port) return [];
    return list<{ addresses: string[]; conditions?: { ready?: boolean } }>(slice["endpoints"])
      .filter(({ conditions }) => conditions?.ready !== false)
      .flatMap(({ addresses }) =>
        addresses.map((address) => `${address.includes(":") ? `[${address}]` : address}:${port.port}`),
      );
  });
  const shown = all.slice(0, 3).join(",");
  return all.length > 3 ? `${shown} + ${all.length - 3} more...` : shown;
}

async function endpoints(object: Unstructured, { outline }: Describing) {
  writeHead(outline, object);
  outline.line(0, "Subsets:");
  for (const subset of list(object["subsets"])) {
    const addresses = (value: unknown) =>
      list<{ ip: string }>(value)
        .map(({ ip }) => ip)
        .join(",") || "<none>";
    outline.field(1, "Addresses", addresses(subset["addresses"]));
    outline.field(1, "NotReadyAddresses", addresses(subset["notReadyAddresses"]));
    const ports = list<{ name?: string; port: number; protocol: string }>(subset["ports"]);
    if (ports.length > 0) {
      outline.line(1, "Ports:\n    Name\tPort\tProtocol\n    ----\t----\t--------");
      for (const { name, port, protocol } of ports) outline.line(2, `${name || "<unset>"}\t${port}\t${protocol}`);
    }
    outline.line(0, "");
  }
}

async function endpointSlice(object: Unstructured, { outline }: Describing) {
  writeHead(outline, object);
  outline.field(0, "AddressType", object["addressType"]);
  const ports = list<{ name?: string; port?: number; protocol: string }>(object["ports"]);
  if (ports.length === 0) outline.line(0, "Ports: <unset>");
  else {
    outline.line(0, "Ports:\n  Name\tPort\tProtocol\n  ----\t----\t--------");
    for (const { name, port, protocol } of ports)
      outline.line(1, `${name || "<unset>"}\t${port ?? "<unset>"}\t${protocol}`);
  }
  const all = list(object["endpoints"]);
  outline.line(0, all.length === 0 ? "Endpoints: <none>" : "Endpoints:");
  for (const endpoint of all) {
    const target = endpoint["targetRef"] as { kind: string; name: string } | undefined;
    outline.line(1, `- Addresses:\t${list<string>(endpoint["addresses"]).join(", ")}`);
    outline.line(2, "Conditions:");
    outline.field(3, "Ready", fields(endpoint["conditions"])["ready"] ?? "<unset>");
    outline.field(2, "Hostname", endpoint["hostname"] ?? "<unset>");
    if (target) outline.field(2, "TargetRef", `${target.kind}/${target.name}`);
    outline.field(2, "NodeName", endpoint["nodeName"] ?? "<unset>");
    outline.field(2, "Zone", endpoint["zone"] ?? "<unset>");
  }
}
