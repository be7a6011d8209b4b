/** Who serves whom, as a picture of characters: each Service, its doors, and by node the pods behind it. Pure. */
import { findingOfPod } from "./explain-pod.ts";
import { endpointsOf } from "./route.ts";
import {
  carries,
  clusterAddresses,
  isIpv6,
  isOver,
  isReady,
  listed,
  type PodView,
  podAddresses,
  printLabels,
  type ServiceView,
  slicesOf,
  type World,
} from "./world.ts";

export interface MapOptions {
  /** Absent: all. */
  namespace?: string;
  isColoured?: boolean;
  /** Lines are cut at it. Default: not at all. */
  width?: number;
}

type Paint = (style: keyof typeof styles, text: string) => string;
const styles = { bold: "1", dim: "2", green: "32", yellow: "33", red: "31", cyan: "36" } as const;

/** One string, lines ended by newlines but the last. */
export function drawMap(world: World, { namespace, isColoured = false, width }: MapOptions = {}): string {
  const paint: Paint = (style, text) => (isColoured ? `\u001b[${styles[style]}m${text}\u001b[0m` : text);
  const isWanted = (object: { metadata: { namespace: string } }) =>
    namespace === undefined || object.metadata.namespace === namespace;
  const services = world.services.filter(isWanted);
  const namespaces = [...new Set(services.map(({ metadata }) => metadata.namespace))].sort();
  const lines: string[] = [];
  for (const name of namespaces) {
    if (lines.length > 0) lines.push("");
    lines.push(paint("dim", `namespace ${name}`));
    for (const service of services.filter(({ metadata }) => metadata.namespace === name)) {
      lines.push("", ...drawService(world, service, paint));
    }
  }
  const alone = world.pods.filter(
    (pod) => isWanted(pod) && !isOver(pod) && !services.some((service) => isSelected(service, pod)),
  );
  if (alone.length > 0) {
    if (lines.length > 0) lines.push("");
    lines.push(paint("dim", "behind no Service"));
    for (const pod of alone)
      lines.push(
        `  ${drawPod(world, pod, paint)}  ${paint("dim", pod.spec.nodeName ? `on ${pod.spec.nodeName}` : "")}`,
      );
  }
  if (lines.length === 0) lines.push(`There is no Service and no pod${namespace ? ` in namespace ${namespace}` : ""}.`);
  return lines.map((line) => (width === undefined ? line : cut(line, width))).join("\n");
}

function drawService(world: World, service: ServiceView, paint: Paint): string[] {
  const { spec, metadata } = service;
  const lines = [
    `${paint("bold", metadata.name)}  ${paint("cyan", typeOf(service))}  ${doorsOf(world, service).join("  ")}`,
  ];
  if (spec.type === "ExternalName") return lines;
  const endpoints =
    (spec.ports ?? []).length > 0
      ? (spec.ports ?? []).flatMap((port) => endpointsOf(world, service, port))
      : endpointsOf(world, service, undefined);
  const pods = world.pods.filter((pod) => isSelected(service, pod) && !isOver(pod));
  const slices = slicesOf(world, service).map(({ metadata: { name } }) => name);
  const ready = new Set(endpoints.filter(({ isReady }) => isReady).map(({ address }) => address)).size;
  const selector = printLabels(spec.selector);
  lines.push(
    `│  ${paint("dim", `${selector ? `selects ${selector}` : "no selector"}; ${slices.length > 0 ? `EndpointSlice ${listed(slices, 2)}` : "no EndpointSlice"}: ${ready} ready`)}`,
  );
  const addresses = new Map(endpoints.map(({ address, nodeName }) => [address, nodeName]));
  for (const pod of pods) for (const address of podAddresses(pod)) addresses.delete(address);
  const groups: { title: string; rows: string[] }[] = [];
  const nodes = [...new Set(pods.map((pod) => pod.spec.nodeName ?? ""))].sort();
  for (const node of nodes) {
    const rows = pods
      .filter((pod) => (pod.spec.nodeName ?? "") === node)
      .map((pod) => {
        const own = endpoints.filter(({ address }) => podAddresses(pod).includes(address));
        const ports = [...new Set(own.map(({ port }) => port))];
        return drawPod(world, pod, paint, ports, own[0]?.address);
      });
    groups.push({ title: node === "" ? paint("red", "no node yet") : node, rows });
  }
  if (addresses.size > 0)
    groups.push({
      title: "addresses that are no pod's",
      rows: [...addresses.keys()].map((address) => `${paint("green", "●")} ${address}`),
    });
  if (groups.length === 0) lines.push(`└─ ${paint("red", "nobody")}`);
  for (const [i, { title, rows }] of groups.entries()) {
    const isLast = i === groups.length - 1;
    lines.push(`${isLast ? "└─" : "├─"} ${title}`);
    for (const [j, row] of rows.entries())
      lines.push(`${isLast ? "   " : "│  "}${j === rows.length - 1 ? "└─" : "├─"} ${row}`);
  }
  return lines;
}

const typeOf = ({ spec }: ServiceView): string => (spec.clusterIP === "None" ? "headless" : (spec.type ?? "ClusterIP"));

/** `10.96.0.7:80 → 8080`, `any node:30080`, `172.30.0.200:80`. */
function doorsOf({ network }: World, service: ServiceView): string[] {
  const { spec, status, metadata } = service;
  if (spec.type === "ExternalName") return [`→ ${spec.externalName}`];
  const protocol = (name: string | undefined) => (name === undefined || name === "TCP" ? "" : `/${name}`);
  const ports = (spec.ports ?? []).map(
    ({ port, targetPort, protocol: name }) =>
      `${port}${protocol(name)}${targetPort !== undefined && targetPort !== port ? ` → ${targetPort}` : ""}`,
  );
  if (spec.clusterIP === "None")
    return [`${metadata.name}.${metadata.namespace}.svc.${network.dnsDomain} is the pods' own addresses`];
  const at = (address: string) => (isIpv6(address) ? `[${address}]` : address);
  const doors = clusterAddresses(service).map((address) => `${at(address)}:${ports.join(", ")}`);
  const nodePorts = (spec.ports ?? []).flatMap(({ nodePort }) => nodePort ?? []);
  if (nodePorts.length > 0) doors.push(`any node:${nodePorts.join(", ")}`);
  const numbers = (spec.ports ?? []).map(({ port }) => port).join(", ");
  for (const address of spec.externalIPs ?? []) doors.push(`${at(address)}:${numbers}`);
  if (spec.type === "LoadBalancer") {
    const given = status?.loadBalancer?.ingress?.flatMap(({ ip }) => ip ?? []) ?? [];
    doors.push(
      ...(given.length > 0 ? given.map((ip) => `${at(ip)}:${numbers}`) : spec.externalIPs?.length ? [] : ["<pending>"]),
    );
  }
  return doors;
}

function drawPod(
  world: World,
  pod: PodView,
  paint: Paint,
  ports: readonly number[] = [],
  address = podAddresses(pod)[0],
): string {
  const where = address
    ? `  ${ports.length > 0 && isIpv6(address) ? `[${address}]` : address}${ports.length > 0 ? `:${ports.join(",")}` : ""}`
    : "";
  if (pod.metadata.deletionTimestamp !== undefined) return `${paint("dim", `◌ ${pod.metadata.name}${where}  ending`)}`;
  if (isReady(pod)) return `${paint("green", "●")} ${pod.metadata.name}${where}`;
  const finding = findingOfPod(world, pod);
  const why =
    finding?.text ??
    (pod.status?.phase === "Running" ? "not ready yet" : (pod.status?.phase ?? "Pending").toLowerCase());
  return `${paint(finding ? "red" : "yellow", "○")} ${pod.metadata.name}${where}  ${paint(finding ? "red" : "yellow", why)}`;
}

const isSelected = ({ metadata, spec }: ServiceView, pod: PodView): boolean =>
  spec.selector !== undefined &&
  Object.keys(spec.selector).length > 0 &&
  metadata.namespace === pod.metadata.namespace &&
  carries(pod.metadata.labels, spec.selector);

/** Colours take no room. */
function cut(line: string, width: number): string {
  let room = width;
  let isCut = false;
  return line.replace(/\u001b\[[0-9;]*m|[\s\S]/gu, (part) => {
    if (part.startsWith("\u001b[")) return part;
    if (isCut || room-- > 1) return isCut ? "" : part;
    isCut = true;
    return "…";
  });
}
