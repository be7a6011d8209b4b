/** How `describe` shows Ingresses, NetworkPolicies and the address kinds. */
import { isNotFound } from "../../apimachinery/status-error.ts";
import { rfc1123 } from "../ages.ts";
import type { Unstructured } from "../api.ts";
import { pathOf } from "../resource-catalog.ts";
import {
  type Describers,
  type Describing,
  type Fields,
  fields,
  list,
  selectorText,
  writeAnnotations,
  writeHead,
} from "./describing.ts";
import type { Outline } from "./outline.ts";
import { endpointsText, slicesOf } from "./services.ts";

export const network: Describers = {
  "networking.k8s.io/Ingress": ingress,
  "networking.k8s.io/IngressClass": ingressClass,
  "networking.k8s.io/NetworkPolicy": networkPolicy,
  "networking.k8s.io/IPAddress": ipAddress,
  "networking.k8s.io/ServiceCIDR": serviceCidr,
};

interface Backend {
  service?: { name: string; port?: { number?: number; name?: string } };
  resource?: { apiGroup?: string; kind: string; name: string };
}

async function ingress(object: Unstructured, describing: Describing) {
  const { outline } = describing;
  const spec = fields(object["spec"]);
  const { name, namespace } = object.metadata;
  const backendText = (backend: Backend) => describeBackend(describing, namespace, backend);
  outline.field(0, "Name", name);
  outline.map(0, "Labels", object.metadata.labels);
  outline.field(0, "Namespace", namespace);
  const addresses = list<{ ip?: string; hostname?: string }>(
    fields(fields(object["status"])["loadBalancer"])["ingress"],
  );
  outline.field(0, "Address", addresses.map(({ ip, hostname }) => ip ?? hostname).join(","));
  outline.field(0, "Ingress Class", spec["ingressClassName"] ?? "<none>");
  const fallback = spec["defaultBackend"] as Backend | undefined;
  outline.field(0, "Default backend", fallback ? await backendText(fallback) : "<default>");
  const secured = list<{ hosts?: string[]; secretName?: string }>(spec["tls"]);
  if (secured.length > 0) outline.line(0, "TLS:");
  for (const { hosts = [], secretName = "" } of secured) {
    outline.line(1, secretName ? `${secretName} terminates ${hosts.join(",")}` : `SNI routes ${hosts.join(",")}`);
  }
  outline.line(0, "Rules:\n  Host\tPath\tBackends\n  ----\t----\t--------");
  let count = 0;
  for (const rule of list(spec["rules"])) {
    if (!rule["http"]) continue;
    count++;
    outline.line(1, `${String(rule["host"] ?? "*")}\t`);
    for (const { path = "", backend } of list<{ path?: string; backend: Backend }>(fields(rule["http"])["paths"]))
      outline.line(1, `\t${path} \t${await backendText(backend)}`);
  }
  if (count === 0) outline.line(1, `*\t*\t${fallback ? await backendText(fallback) : "<default>"}`);
  writeAnnotations(outline, object.metadata.annotations);
}

async function describeBackend(
  { api }: Describing,
  namespace: string | undefined,
  { service, resource }: Backend,
): Promise<string> {
  if (resource) return `APIGroup: ${resource.apiGroup ?? ""}, Kind: ${resource.kind}, Name: ${resource.name}`;
  if (!service) return "";
  const { name, port = {} } = service;
  const text = `${name}:${port.number ?? port.name ?? ""}`;
  try {
    const found = await api.get(pathOf({ group: "", version: "v1", plural: "services" }, namespace, name));
    const ports = list<{ name?: string; port: number }>(fields(found["spec"])["ports"]);
    const chosen = ports.find((each) => (port.number ? each.port === port.number : each.name === port.name));
    return `${text} (${endpointsText(await slicesOf(api, namespace, name), chosen?.name ?? "")})`;
  } catch (error) {
    if (!isNotFound(error)) throw error;
    return `${text} (<error: ${(error as Error).message}>)`;
  }
}

async function ingressClass(object: Unstructured, { outline }: Describing) {
  writeHead(outline, object);
  const spec = fields(object["spec"]);
  outline.field(0, "Controller", spec["controller"]);
  const parameters = spec["parameters"] as Fields | undefined;
  if (!parameters) return;
  outline.line(0, "Parameters:");
  if (parameters["apiGroup"] !== undefined) outline.field(1, "APIGroup", parameters["apiGroup"]);
  outline.field(1, "Kind", parameters["kind"]);
  outline.field(1, "Name", parameters["name"]);
}

async function networkPolicy(object: Unstructured, { outline }: Describing) {
  const { metadata } = object;
  const spec = fields(object["spec"]);
  const types = list<string>(spec["policyTypes"]);
  outline.field(0, "Name", metadata.name);
  outline.field(0, "Namespace", metadata.namespace);
  outline.field(0, "Created on", `${metadata.creationTimestamp?.replace("T", " ").replace("Z", "")} +0000 UTC`);
  outline.map(0, "Labels", metadata.labels);
  writeAnnotations(outline, metadata.annotations);
  outline.line(0, "Spec:");
  const selected = selectorText(spec["podSelector"]);
  const everyone = selected === "<none>" ? " (Allowing the specific traffic to all pods in this namespace)" : "";
  outline.line(1, `PodSelector:     ${selected}${everyone}`);
  for (const [direction, type, word] of [
    ["ingress", "Ingress", "From"],
    ["egress", "Egress", "To"],
  ] as const) {
    if (!types.includes(type)) outline.line(1, `Not affecting ${direction} traffic`);
    else {
      outline.line(1, `Allowing ${direction} traffic:`);
      writeTraffic(outline, direction, word, list(spec[direction]));
    }
  }
  outline.line(1, `Policy Types: ${types.join(", ")}`);
}

interface Peer {
  podSelector?: unknown;
  namespaceSelector?: unknown;
  ipBlock?: { cidr: string; except?: string[] };
}

interface PolicyPort {
  port?: number | string;
  endPort?: number;
  protocol?: string;
}

function writeTraffic(outline: Outline, direction: string, word: "From" | "To", rules: readonly Fields[]): void {
  if (rules.length === 0) outline.line(2, `<none> (Selected pods are isolated for ${direction} connectivity)`);
  for (const [i, rule] of rules.entries()) {
    const ports = list<PolicyPort>(rule["ports"]);
    if (ports.length === 0) outline.line(2, "To Port: <any> (traffic allowed to all ports)");
    for (const { port, endPort, protocol = "TCP" } of ports) {
      outline.line(
        2,
        endPort ? `To Port Range: ${port}-${endPort}/${protocol}` : `To Port: ${port ?? "<any>"}/${protocol}`,
      );
    }
    const peers = list<Peer>(rule[word.toLowerCase()]);
    if (peers.length === 0) {
      outline.line(2, `${word}: <any> (traffic not restricted by ${word === "From" ? "source" : "destination"})`);
    }
    for (const peer of peers) {
      outline.line(2, `${word}:`);
      writePeer(outline, peer);
    }
    if (i < rules.length - 1) outline.line(2, "----------");
  }
}

function writePeer(outline: Outline, { podSelector, namespaceSelector, ipBlock }: Peer): void {
  if (namespaceSelector) outline.line(3, `NamespaceSelector: ${selectorText(namespaceSelector)}`);
  if (podSelector) outline.line(3, `PodSelector: ${selectorText(podSelector)}`);
  if (!ipBlock) return;
  outline.line(3, "IPBlock:");
  outline.line(4, `CIDR: ${ipBlock.cidr}`);
  outline.line(4, `Except: ${(ipBlock.except ?? []).join(", ")}`);
}

async function ipAddress(object: Unstructured, { outline }: Describing) {
  writeHead(outline, object);
  const parent = fields(object["spec"])["parentRef"] as Record<string, string> | undefined;
  if (!parent) return;
  outline.line(0, "Parent Reference:");
  outline.field(1, "Group", parent["group"]);
  outline.field(1, "Resource", parent["resource"]);
  outline.field(1, "Namespace", parent["namespace"]);
  outline.field(1, "Name", parent["name"]);
}

async function serviceCidr(object: Unstructured, { outline }: Describing) {
  writeHead(outline, object);
  outline.field(0, "CIDRs", list<string>(fields(object["spec"])["cidrs"]).join(", "));
  const conditions = list<Record<string, string>>(fields(object["status"])["conditions"]);
  if (conditions.length === 0) return;
  outline.line(0, "Status:\nConditions:\n  Type\tStatus\tLastTransitionTime\tReason\tMessage");
  outline.line(1, "----\t------\t------------------\t------\t-------");
  for (const { type, status, lastTransitionTime, reason = "", message = "" } of conditions)
    outline.line(1, `${type} \t${status} \t${rfc1123(lastTransitionTime)} \t${reason} \t${message}`);
}
