/** One describer a kind, in kubectl's layout; other kinds are described by their fields. */
import { quantityMilliValue, quantityValue } from "../../apimachinery/quantity.ts";
import { formatLabelSelector } from "../../apimachinery/selectors.ts";
import { age, rfc1123 } from "../ages.ts";
import type { Api, Unstructured } from "../api.ts";
import { pathOf } from "../resource-catalog.ts";
import { writeFields } from "./generic.ts";
import type { Outline } from "./outline.ts";
import {
  type ContainerStatus,
  type PodSpec,
  podIndent,
  writeConstraints,
  writeContainers,
  writePodTemplate,
  writeVolumes,
} from "./pod-template.ts";

export interface Describing {
  api: Api;
  nowMs: number;
  outline: Outline;
}

type Describe = (object: Unstructured, describing: Describing) => void | Promise<void>;
type Fields = Record<string, unknown>;

const fields = (value: unknown): Fields => (value ?? {}) as Fields;
const list = <T = Fields>(value: unknown): T[] => (value as T[] | undefined) ?? [];
const orNone = (value: unknown): string =>
  value === undefined || value === null || value === "" ? "<none>" : String(value);

/** Labels and annotations, as every kind begins. */
export function writeHead(
  outline: Outline,
  { metadata }: Unstructured,
  { annotations = true, labels = true } = {},
): void {
  outline.field(0, "Name", metadata.name);
  if (metadata.namespace) outline.field(0, "Namespace", metadata.namespace);
  if (labels) outline.map(0, "Labels", metadata.labels);
  if (annotations) writeAnnotations(outline, metadata.annotations);
}

/** What apply remembers is left out; long values go on lines of their own. */
export function writeAnnotations(outline: Outline, annotations: Record<string, string> = {}): void {
  const shown = Object.entries(annotations)
    .filter(([key]) => key !== "kubectl.kubernetes.io/last-applied-configuration")
    .sort(([a], [b]) => (a < b ? -1 : 1));
  if (shown.length === 0) outline.line(0, "Annotations:\t<none>");
  for (const [i, [key, value]] of shown.entries()) {
    const head = i === 0 ? "Annotations:" : "";
    const lines = value.split("\n");
    if (lines.length === 1 && value.length + key.length < 140) outline.line(0, `${head}\t${key}: ${value}`);
    else {
      outline.line(0, `${head}\t${key}:`);
      for (const line of lines) outline.line(0, `\t  ${line.length > 140 ? `${line.slice(0, 137)}...` : line}`);
    }
  }
}

function controllerOf({ metadata }: Unstructured): string | undefined {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  return owner && `${owner.kind}/${owner.name}`;
}

const selectorText = (selector: unknown): string => formatLabelSelector(selector as never) || "<none>";

async function pod(object: Unstructured, { outline }: Describing) {
  const { metadata } = object;
  const spec = object["spec"] as PodSpec & { nodeName?: string; priority?: number; priorityClassName?: string };
  const status = fields(object["status"]);
  outline.field(0, "Name", metadata.name);
  outline.field(0, "Namespace", metadata.namespace);
  outline.field(0, "Priority", spec.priority ?? 0);
  if (spec.priorityClassName) outline.field(0, "Priority Class Name", spec.priorityClassName);
  if (spec.serviceAccountName) outline.field(0, "Service Account", spec.serviceAccountName);
  outline.field(
    0,
    "Node",
    spec.nodeName ? `${spec.nodeName}/${(status["hostIP"] as string | undefined) ?? ""}` : "<none>",
  );
  if (status["startTime"]) outline.field(0, "Start Time", rfc1123(status["startTime"] as string));
  outline.map(0, "Labels", metadata.labels);
  writeAnnotations(outline, metadata.annotations);
  if (metadata.deletionTimestamp) {
    outline.field(
      0,
      "Status",
      `Terminating (lasts ${age(metadata.deletionTimestamp, Date.parse(metadata.deletionTimestamp))})`,
    );
    outline.field(0, "Termination Grace Period", `${String(metadata["deletionGracePeriodSeconds"] ?? 0)}s`);
  } else outline.field(0, "Status", status["phase"]);
  if (status["reason"]) outline.field(0, "Reason", status["reason"]);
  if (status["message"]) outline.field(0, "Message", status["message"]);
  outline.field(0, "IP", status["podIP"]);
  const ips = list<{ ip: string }>(status["podIPs"]);
  outline.line(0, `IPs:${ips.length === 0 ? "\t<none>" : ""}`);
  for (const { ip } of ips) outline.field(1, "IP", ip);
  const controller = controllerOf(object);
  if (controller) outline.field(0, "Controlled By", controller);
  if (spec.initContainers?.length) {
    writeContainers(
      outline,
      podIndent,
      "Init Containers",
      spec.initContainers,
      list<ContainerStatus>(status["initContainerStatuses"]),
    );
  }
  writeContainers(
    outline,
    podIndent,
    "Containers",
    spec.containers,
    list<ContainerStatus>(status["containerStatuses"]),
  );
  if (spec.ephemeralContainers?.length) {
    writeContainers(
      outline,
      podIndent,
      "Ephemeral Containers",
      spec.ephemeralContainers,
      list<ContainerStatus>(status["ephemeralContainerStatuses"]),
    );
  }
  const conditions = list<{ type: string; status: string }>(status["conditions"]);
  if (conditions.length > 0) {
    outline.line(0, "Conditions:\n  Type\tStatus");
    for (const condition of conditions) outline.line(1, `${condition.type} \t${condition.status} `);
  }
  writeVolumes(outline, podIndent, spec.volumes);
  if (status["qosClass"]) outline.field(0, "QoS Class", status["qosClass"]);
  writeConstraints(outline, 0, spec);
}

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
  const slices = await api.get<{ items: Unstructured[] }>(
    `${pathOf({ group: "discovery.k8s.io", version: "v1", plural: "endpointslices" }, namespace)}?labelSelector=${encodeURIComponent(`kubernetes.io/service-name=${name}`)}`,
  );
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
    outline.line(0, `Endpoints:\t${endpointsText(slices.items, port.name ?? "")}`);
  }
  outline.field(0, "Session Affinity", spec["sessionAffinity"]);
  if (spec["externalTrafficPolicy"]) outline.field(0, "External Traffic Policy", spec["externalTrafficPolicy"]);
  if (spec["internalTrafficPolicy"]) outline.field(0, "Internal Traffic Policy", spec["internalTrafficPolicy"]);
  if (spec["healthCheckNodePort"]) outline.field(0, "HealthCheck NodePort", spec["healthCheckNodePort"]);
  if (list(spec["loadBalancerSourceRanges"]).length > 0) {
    outline.field(0, "LoadBalancer Source Ranges", list<string>(spec["loadBalancerSourceRanges"]).join(","));
  }
}

/** At most three addresses, then how many more there are. */
function endpointsText(slices: readonly Unstructured[], portName: string): string {
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

async function deployment(object: Unstructured, { api, outline }: Describing) {
  const spec = fields(object["spec"]);
  const status = fields(object["status"]) as Record<string, number | undefined>;
  const { metadata } = object;
  outline.field(0, "Name", metadata.name);
  outline.field(0, "Namespace", metadata.namespace);
  outline.field(0, "CreationTimestamp", rfc1123(metadata.creationTimestamp));
  outline.map(0, "Labels", metadata.labels);
  writeAnnotations(outline, metadata.annotations);
  outline.field(0, "Selector", selectorText(spec["selector"]));
  const count = (name: string) => status[name] ?? 0;
  outline.field(
    0,
    "Replicas",
    `${spec["replicas"]} desired | ${count("updatedReplicas")} updated | ${count("replicas")} total | ${count("availableReplicas")} available | ${count("unavailableReplicas")} unavailable`,
  );
  const strategy = fields(spec["strategy"]);
  outline.field(0, "StrategyType", strategy["type"]);
  outline.field(0, "MinReadySeconds", spec["minReadySeconds"] ?? 0);
  const rolling = strategy["rollingUpdate"] as
    | { maxUnavailable: string | number; maxSurge: string | number }
    | undefined;
  if (rolling)
    outline.field(
      0,
      "RollingUpdateStrategy",
      `${rolling.maxUnavailable} max unavailable, ${rolling.maxSurge} max surge`,
    );
  writePodTemplate(outline, spec["template"]);
  const conditions = list<{ type: string; status: string; reason?: string }>(fields(object["status"])["conditions"]);
  if (conditions.length > 0) {
    outline.line(0, "Conditions:\n  Type\tStatus\tReason");
    outline.line(1, "----\t------\t------");
    for (const { type, status: value, reason = "" } of conditions) outline.line(1, `${type} \t${value}\t${reason}`);
  }
  const { items } = await api.get<{ items: Unstructured[] }>(
    pathOf({ group: "apps", version: "v1", plural: "replicasets" }, metadata.namespace),
  );
  const own = items.filter((set) =>
    set.metadata.ownerReferences?.some(({ uid, controller }) => controller && uid === metadata.uid),
  );
  const revision = metadata.annotations?.[revisionAnnotation];
  const newest = own.find((set) => set.metadata.annotations?.[revisionAnnotation] === revision);
  const describe = (sets: readonly Unstructured[]) =>
    sets
      .map(
        (set) =>
          `${set.metadata.name} (${String(fields(set["status"])["replicas"] ?? 0)}/${String(fields(set["spec"])["replicas"] ?? 0)} replicas created)`,
      )
      .join(", ") || "<none>";
  outline.line(0, `OldReplicaSets:\t${describe(own.filter((set) => set !== newest))}`);
  outline.line(0, `NewReplicaSet:\t${describe(newest ? [newest] : [])}`);
}

const revisionAnnotation = "deployment.kubernetes.io/revision";

/** What owns pods by a template: their count by phase. */
async function podCounts(api: Api, { metadata, ...object }: Unstructured): Promise<string> {
  const selector = formatLabelSelector(fields(object["spec"])["selector"] as never);
  const path = pathOf({ group: "", version: "v1", plural: "pods" }, metadata.namespace);
  const { items } = await api.get<{ items: Unstructured[] }>(`${path}?labelSelector=${encodeURIComponent(selector)}`);
  const own = items.filter((item) =>
    item.metadata.ownerReferences?.some(({ uid, controller }) => controller && uid === metadata.uid),
  );
  const of = (phase: string) => own.filter((item) => fields(item["status"])["phase"] === phase).length;
  return `${of("Running")} Running / ${of("Pending")} Waiting / ${of("Succeeded")} Succeeded / ${of("Failed")} Failed`;
}

async function replicaSet(object: Unstructured, { api, outline }: Describing) {
  const spec = fields(object["spec"]);
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace);
  outline.field(0, "Selector", selectorText(spec["selector"]));
  outline.map(0, "Labels", object.metadata.labels);
  writeAnnotations(outline, object.metadata.annotations);
  const controller = controllerOf(object);
  if (controller) outline.field(0, "Controlled By", controller);
  outline.field(
    0,
    "Replicas",
    `${String(fields(object["status"])["replicas"] ?? 0)} current / ${String(spec["replicas"])} desired`,
  );
  outline.field(0, "Pods Status", await podCounts(api, object));
  writePodTemplate(outline, spec["template"]);
}

async function statefulSet(object: Unstructured, { api, outline }: Describing) {
  const spec = fields(object["spec"]);
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace);
  outline.field(0, "CreationTimestamp", rfc1123(object.metadata.creationTimestamp));
  outline.field(0, "Selector", selectorText(spec["selector"]));
  outline.map(0, "Labels", object.metadata.labels);
  writeAnnotations(outline, object.metadata.annotations);
  outline.field(
    0,
    "Replicas",
    `${String(spec["replicas"])} desired | ${String(fields(object["status"])["replicas"] ?? 0)} total`,
  );
  const strategy = fields(spec["updateStrategy"]);
  outline.field(0, "Update Strategy", strategy["type"]);
  const rolling = strategy["rollingUpdate"] as { partition?: number } | undefined;
  if (rolling?.partition !== undefined) outline.field(1, "Partition", rolling.partition);
  outline.field(0, "Pods Status", await podCounts(api, object));
  writePodTemplate(outline, spec["template"]);
  const claims = list<Unstructured>(spec["volumeClaimTemplates"]);
  outline.line(0, `Volume Claims:${claims.length === 0 ? "\t<none>" : ""}`);
  for (const claim of claims) {
    const claimSpec = fields(claim["spec"]);
    outline.field(1, "Name", claim.metadata.name);
    outline.field(1, "StorageClass", claimSpec["storageClassName"]);
    outline.map(1, "Labels", claim.metadata.labels);
    outline.map(1, "Annotations", claim.metadata.annotations);
    outline.field(1, "Capacity", orNone(fields(fields(claimSpec["resources"])["requests"])["storage"]));
    outline.field(1, "Access Modes", `[${list<string>(claimSpec["accessModes"]).join(" ")}]`);
  }
}

async function daemonSet(object: Unstructured, { api, outline }: Describing) {
  const spec = fields(object["spec"]);
  const status = fields(object["status"]) as Record<string, number | undefined>;
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace);
  outline.field(0, "Selector", selectorText(spec["selector"]));
  outline.map(
    0,
    "Node-Selector",
    fields(fields(fields(spec["template"])["spec"])["nodeSelector"]) as Record<string, string>,
  );
  outline.map(0, "Labels", object.metadata.labels);
  writeAnnotations(outline, object.metadata.annotations);
  outline.field(0, "Desired Number of Nodes Scheduled", status["desiredNumberScheduled"] ?? 0);
  outline.field(0, "Current Number of Nodes Scheduled", status["currentNumberScheduled"] ?? 0);
  outline.field(0, "Number of Nodes Scheduled with Up-to-date Pods", status["updatedNumberScheduled"] ?? 0);
  outline.field(0, "Number of Nodes Scheduled with Available Pods", status["numberAvailable"] ?? 0);
  outline.field(0, "Number of Nodes Misscheduled", status["numberMisscheduled"] ?? 0);
  outline.field(0, "Pods Status", await podCounts(api, object));
  writePodTemplate(outline, spec["template"]);
}

async function job(object: Unstructured, { outline }: Describing) {
  const spec = fields(object["spec"]);
  const status = fields(object["status"]) as Record<string, unknown>;
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace);
  outline.field(0, "Selector", selectorText(spec["selector"]));
  outline.map(0, "Labels", object.metadata.labels);
  writeAnnotations(outline, object.metadata.annotations);
  const controller = controllerOf(object);
  if (controller) outline.field(0, "Controlled By", controller);
  outline.field(0, "Parallelism", spec["parallelism"] ?? "<unset>");
  outline.field(0, "Completions", spec["completions"] ?? "<unset>");
  outline.field(0, "Completion Mode", spec["completionMode"] ?? "<unset>");
  outline.field(0, "Suspend", spec["suspend"] === true);
  outline.field(0, "Backoff Limit", spec["backoffLimit"] ?? "<unset>");
  if (status["startTime"]) outline.field(0, "Start Time", rfc1123(status["startTime"] as string));
  if (status["completionTime"]) outline.field(0, "Completed At", rfc1123(status["completionTime"] as string));
  if (status["startTime"] && status["completionTime"]) {
    outline.field(0, "Duration", age(status["startTime"] as string, Date.parse(status["completionTime"] as string)));
  }
  const counts = `${String(status["active"] ?? 0)} Active${status["ready"] === undefined ? "" : ` (${String(status["ready"])} Ready)`}`;
  outline.field(
    0,
    "Pods Statuses",
    `${counts} / ${String(status["succeeded"] ?? 0)} Succeeded / ${String(status["failed"] ?? 0)} Failed`,
  );
  writePodTemplate(outline, spec["template"]);
}

async function configMap(object: Unstructured, { outline }: Describing) {
  writeHead(outline, object);
  outline.line(0, "\nData\n====");
  for (const [key, value] of Object.entries(fields(object["data"])).sort(([a], [b]) => (a < b ? -1 : 1))) {
    outline.line(0, `${key}:\n----\n${String(value)}\n`);
  }
  outline.line(0, "\nBinaryData\n====");
  for (const [key, value] of Object.entries(fields(object["binaryData"]))) {
    outline.line(0, `${key}: ${Buffer.from(String(value), "base64").length} bytes`);
  }
  outline.line(0, "");
}

async function secret(object: Unstructured, { outline }: Describing) {
  writeHead(outline, object);
  outline.line(0, `\nType:  ${String(object["type"])}`);
  outline.line(0, "\nData\n====");
  for (const [key, value] of Object.entries(fields(object["data"])).sort(([a], [b]) => (a < b ? -1 : 1))) {
    outline.line(0, `${key}:\t${Buffer.from(String(value), "base64").length} bytes`);
  }
}

async function namespace(object: Unstructured, { api, outline }: Describing) {
  writeHead(outline, object);
  outline.field(0, "Status", fields(object["status"])["phase"]);
  const in_ = (plural: string) =>
    api.get<{ items: Unstructured[] }>(pathOf({ group: "", version: "v1", plural }, object.metadata.name));
  const [quotas, limits] = await Promise.all([in_("resourcequotas"), in_("limitranges")]);
  if (quotas.items.length === 0) outline.line(0, "\nNo resource quota.");
  else {
    outline.line(0, "\nResource Quotas");
    for (const quota of quotas.items) writeQuota(outline, quota, 1);
  }
  if (limits.items.length === 0) outline.line(0, "\nNo LimitRange resource.");
  else {
    outline.line(
      0,
      "\nResource Limits\n Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio",
    );
    outline.line(0, " ----\t--------\t---\t---\t---------------\t-------------\t-----------------------");
    for (const limit of limits.items) for (const row of limitRows(limit)) outline.line(0, ` ${row.join("\t")}`);
  }
}

function writeQuota(outline: Outline, quota: Unstructured, indent: number): void {
  const status = fields(quota["status"]);
  const [hard, used] = [fields(status["hard"]), fields(status["used"])];
  const space = " ".repeat(indent);
  outline.line(0, `${space}Name:\t${quota.metadata.name}`);
  outline.line(0, `${space}Resource\tUsed\tHard`);
  outline.line(0, `${space}--------\t---\t---`);
  for (const name of Object.keys(hard).sort())
    outline.line(0, `${space}${name}\t${String(used[name] ?? 0)}\t${String(hard[name])}`);
}

function limitRows(limit: Unstructured): string[][] {
  return list(fields(limit["spec"])["limits"]).flatMap((item) => {
    const of = (field: string) => fields(item[field]) as Record<string, string>;
    const names = new Set(
      ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"].flatMap((field) => Object.keys(of(field))),
    );
    return [...names].map((name) => [
      String(item["type"]),
      name,
      ...["min", "max", "defaultRequest", "default", "maxLimitRequestRatio"].map((field) => of(field)[name] ?? "-"),
    ]);
  });
}

async function serviceAccount(object: Unstructured, { outline }: Describing) {
  writeHead(outline, object);
  const names = (value: unknown) => list<{ name: string }>(value).map(({ name }) => name);
  for (const [title, found] of [
    ["Image pull secrets", names(object["imagePullSecrets"])],
    ["Mountable secrets", names(object["secrets"])],
    ["Tokens", []],
  ] as const) {
    for (const [i, name] of (found.length > 0 ? found : ["<none>"]).entries())
      outline.line(0, `${i === 0 ? `${title}:` : ""}\t${name}`);
  }
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

async function node(object: Unstructured, { api, outline, nowMs }: Describing) {
  const { metadata } = object;
  const [spec, status] = [fields(object["spec"]), fields(object["status"])];
  const roles = Object.keys(metadata.labels ?? {}).flatMap((label) =>
    label.startsWith("node-role.kubernetes.io/") ? [label.split("/")[1]!] : [],
  );
  outline.field(0, "Name", metadata.name);
  outline.field(0, "Roles", roles.sort().join(",") || "<none>");
  outline.map(0, "Labels", metadata.labels);
  writeAnnotations(outline, metadata.annotations);
  outline.field(0, "CreationTimestamp", rfc1123(metadata.creationTimestamp));
  const taints = list<{ key: string; value?: string; effect: string }>(spec["taints"]).map(
    ({ key, value, effect }) => `${key}${value ? `=${value}` : ""}:${effect}`,
  );
  for (const [i, taint] of (taints.length > 0 ? taints : ["<none>"]).entries())
    outline.line(0, `${i === 0 ? "Taints:" : ""}\t${taint}`);
  outline.field(0, "Unschedulable", spec["unschedulable"] === true);
  const lease = await api
    .get(pathOf({ group: "coordination.k8s.io", version: "v1", plural: "leases" }, "kube-node-lease", metadata.name))
    .catch(() => undefined);
  outline.line(0, "Lease:");
  const leaseSpec = fields(lease?.["spec"]);
  outline.field(1, "HolderIdentity", leaseSpec["holderIdentity"] ?? "<unset>");
  outline.field(1, "AcquireTime", rfc1123(leaseSpec["acquireTime"] as string | undefined));
  outline.field(1, "RenewTime", rfc1123(leaseSpec["renewTime"] as string | undefined));
  const conditions = list<Record<string, string>>(status["conditions"]);
  if (conditions.length > 0) {
    outline.line(0, "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage");
    outline.line(1, "----\t------\t-----------------\t------------------\t------\t-------");
    for (const {
      type,
      status: value,
      lastHeartbeatTime,
      lastTransitionTime,
      reason = "",
      message = "",
    } of conditions) {
      outline.line(
        1,
        `${type} \t${value} \t${rfc1123(lastHeartbeatTime)} \t${rfc1123(lastTransitionTime)} \t${reason} \t${message}`,
      );
    }
  }
  outline.line(0, "Addresses:");
  for (const { type, address } of list<{ type: string; address: string }>(status["addresses"]))
    outline.field(1, type, address);
  for (const title of ["Capacity", "Allocatable"]) {
    const amounts = fields(status[title.toLowerCase()]);
    outline.line(0, `${title}:`);
    for (const name of Object.keys(amounts).sort()) outline.field(1, name, amounts[name]);
  }
  const info = fields(status["nodeInfo"]);
  outline.line(0, "System Info:");
  for (const [title, field] of systemInfo) outline.field(1, title, info[field]);
  if (spec["podCIDR"]) outline.field(0, "PodCIDR", spec["podCIDR"]);
  if (list(spec["podCIDRs"]).length > 0) outline.field(0, "PodCIDRs", list<string>(spec["podCIDRs"]).join(","));
  if (spec["providerID"]) outline.field(0, "ProviderID", spec["providerID"]);
  const path = pathOf({ group: "", version: "v1", plural: "pods" }, undefined);
  const selector = encodeURIComponent(`spec.nodeName=${metadata.name},status.phase!=Failed,status.phase!=Succeeded`);
  const { items } = await api.get<{ items: Unstructured[] }>(`${path}?fieldSelector=${selector}`);
  writeNodePods(outline, items, fields(status["allocatable"]) as Record<string, string>, nowMs);
}

const systemInfo = [
  ["Machine ID", "machineID"],
  ["System UUID", "systemUUID"],
  ["Boot ID", "bootID"],
  ["Kernel Version", "kernelVersion"],
  ["OS Image", "osImage"],
  ["Operating System", "operatingSystem"],
  ["Architecture", "architecture"],
  ["Container Runtime Version", "containerRuntimeVersion"],
  ["Kubelet Version", "kubeletVersion"],
  ["Kube-Proxy Version", "kubeProxyVersion"],
] as const;

type Amounts = Record<"requests" | "limits", Record<string, number>>;

/** Of a whole pod, in units (memory) and thousandths (cpu); init containers count where they are larger. */
function amountsOf(object: Unstructured): Amounts {
  const spec = object["spec"] as PodSpec;
  const amountOf = (name: string, text: string) => (name === "cpu" ? quantityMilliValue(text) : quantityValue(text));
  const of = (which: "requests" | "limits") => {
    const sums: Record<string, number> = {};
    for (const { resources } of spec.containers) {
      for (const [name, text] of Object.entries(resources?.[which] ?? {}))
        sums[name] = (sums[name] ?? 0) + amountOf(name, text);
    }
    for (const { resources } of spec.initContainers ?? []) {
      for (const [name, text] of Object.entries(resources?.[which] ?? {}))
        sums[name] = Math.max(sums[name] ?? 0, amountOf(name, text));
    }
    return sums;
  };
  return { requests: of("requests"), limits: of("limits") };
}

function writeNodePods(
  outline: Outline,
  pods: readonly Unstructured[],
  allocatable: Record<string, string>,
  nowMs: number,
): void {
  const total: Amounts = { requests: {}, limits: {} };
  const show = (name: string, value: number) => {
    const text = name === "cpu" ? (value % 1000 === 0 ? String(value / 1000) : `${value}m`) : binary(value);
    const whole = name === "cpu" ? quantityMilliValue(allocatable[name]) : quantityValue(allocatable[name]);
    return `${text} (${whole > 0 ? Math.trunc((value / whole) * 100) : 0}%)`;
  };
  outline.line(0, `Non-terminated Pods:\t(${pods.length} in total)`);
  outline.line(1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge");
  outline.line(1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---");
  for (const each of pods) {
    const amounts = amountsOf(each);
    for (const which of ["requests", "limits"] as const) {
      for (const [name, value] of Object.entries(amounts[which]))
        total[which][name] = (total[which][name] ?? 0) + value;
    }
    const cells = [
      show("cpu", amounts.requests["cpu"] ?? 0),
      show("cpu", amounts.limits["cpu"] ?? 0),
      show("memory", amounts.requests["memory"] ?? 0),
      show("memory", amounts.limits["memory"] ?? 0),
    ];
    outline.line(
      1,
      `${each.metadata.namespace}\t${each.metadata.name}\t\t${cells.join("\t")}\t${age(each.metadata.creationTimestamp, nowMs)}`,
    );
  }
  outline.line(
    0,
    "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)\n  Resource\tRequests\tLimits",
  );
  outline.line(1, "--------\t--------\t------");
  const names = [
    "cpu",
    "memory",
    "ephemeral-storage",
    ...Object.keys(allocatable)
      .filter((name) => name.startsWith("hugepages-"))
      .sort(),
  ];
  for (const name of names) {
    outline.line(1, `${name}\t${show(name, total.requests[name] ?? 0)}\t${show(name, total.limits[name] ?? 0)}`);
  }
}

/** The largest binary unit that leaves a whole number. */
function binary(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value > 0 && value % 1024 === 0 && unit < 4) {
    value /= 1024;
    unit++;
  }
  return `${value}${["", "Ki", "Mi", "Gi", "Ti"][unit]}`;
}

async function persistentVolumeClaim(object: Unstructured, { api, outline }: Describing) {
  const [spec, status] = [fields(object["spec"]), fields(object["status"])];
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace);
  outline.field(0, "StorageClass", spec["storageClassName"]);
  outline.field(0, "Status", object.metadata.deletionTimestamp ? "Terminating" : status["phase"]);
  outline.field(0, "Volume", spec["volumeName"]);
  outline.map(0, "Labels", object.metadata.labels);
  writeAnnotations(outline, object.metadata.annotations);
  outline.field(0, "Finalizers", `[${list<string>(object.metadata["finalizers"]).join(" ")}]`);
  outline.field(0, "Capacity", fields(status["capacity"])["storage"]);
  outline.field(0, "Access Modes", shortModes(status["accessModes"]));
  outline.field(0, "VolumeMode", spec["volumeMode"]);
  const path = pathOf({ group: "", version: "v1", plural: "pods" }, object.metadata.namespace);
  const { items } = await api.get<{ items: Unstructured[] }>(path);
  const users = items.filter((each) =>
    ((each["spec"] as PodSpec).volumes ?? []).some(
      (volume) =>
        (volume["persistentVolumeClaim"] as { claimName?: string } | undefined)?.claimName === object.metadata.name,
    ),
  );
  for (const [i, name] of (users.length > 0 ? users.map(({ metadata }) => metadata.name) : ["<none>"]).entries()) {
    outline.line(0, `${i === 0 ? "Used By:" : ""}\t${name}`);
  }
}

const modes: Readonly<Record<string, string>> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
};
const shortModes = (value: unknown): string =>
  list<string>(value)
    .map((mode) => modes[mode] ?? mode)
    .join(",");

async function ingress(object: Unstructured, { outline }: Describing) {
  const spec = fields(object["spec"]);
  outline.field(0, "Name", object.metadata.name);
  outline.map(0, "Labels", object.metadata.labels);
  outline.field(0, "Namespace", object.metadata.namespace);
  outline.field(
    0,
    "Address",
    list<{ ip?: string; hostname?: string }>(fields(fields(object["status"])["loadBalancer"])["ingress"])
      .map(({ ip, hostname }) => ip ?? hostname)
      .join(","),
  );
  outline.field(0, "Ingress Class", spec["ingressClassName"] ?? "<none>");
  outline.field(0, "Default backend", "<default>");
  outline.line(0, "Rules:\n  Host\tPath\tBackends\n  ----\t----\t--------");
  for (const rule of list(spec["rules"])) {
    outline.line(1, `${String(rule["host"] ?? "*")}\t`);
    for (const { path = "", backend } of list<{
      path?: string;
      backend: { service?: { name: string; port: { number?: number; name?: string } } };
    }>(fields(rule["http"])["paths"])) {
      const to = backend.service;
      outline.line(1, `\t${path} \t${to ? `${to.name}:${to.port.number ?? to.port.name}` : ""} ()`);
    }
  }
  writeAnnotations(outline, object.metadata.annotations);
}

async function anything(object: Unstructured, { outline }: Describing) {
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace ?? "");
  outline.map(0, "Labels", object.metadata.labels);
  writeAnnotations(outline, object.metadata.annotations);
  writeFields(outline, object);
}

/** Kinds whose events are not shown. */
export const withoutEvents: ReadonlySet<string> = new Set(["Secret", "Namespace"]);

const describers: Readonly<Record<string, Describe>> = {
  "/Pod": pod,
  "/Service": service,
  "/Node": node,
  "/ConfigMap": configMap,
  "/Secret": secret,
  "/Namespace": namespace,
  "/ServiceAccount": serviceAccount,
  "/Endpoints": endpoints,
  "/PersistentVolumeClaim": persistentVolumeClaim,
  "discovery.k8s.io/EndpointSlice": endpointSlice,
  "apps/Deployment": deployment,
  "apps/ReplicaSet": replicaSet,
  "apps/StatefulSet": statefulSet,
  "apps/DaemonSet": daemonSet,
  "batch/Job": job,
  "networking.k8s.io/Ingress": ingress,
};

export function describerOf(group: string, kind: string): Describe {
  return describers[`${group}/${kind}`] ?? anything;
}
