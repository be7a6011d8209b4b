/** Where a request goes before any packet is sent: which Service's door it knocks at, or which pod's. Pure. */
import type { ServicePort } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { cidrContains, parseCidr, parseIp } from "../base/ip.ts";
import type { Target } from "./target.ts";
import {
  clusterAddresses,
  isIpv6,
  type PodView,
  podAddresses,
  type ServiceView,
  slicesOf,
  type World,
} from "./world.ts";

/** Who asks. */
export type Source =
  | { kind: "pod"; pod: PodView }
  | { kind: "node"; name: string; address: string }
  | { kind: "outside"; address: string };

/** What the source's resolver said. */
export interface Lookup {
  /** The names that were tried, in order. */
  asked: readonly string[];
  addresses: readonly string[];
  /** Of an ExternalName Service: what it is another name of. */
  alias?: string;
  /** Nobody answered the question. */
  isUnanswered?: boolean;
}

export type Door = "cluster-ip" | "node-port" | "balancer" | "external-ip" | "headless" | "external-name";

export interface Route {
  service?: ServiceView;
  servicePort?: DeepReadonly<ServicePort>;
  door?: Door;
  pod?: PodView;
  /** Where packets are sent to. */
  address?: string;
  port?: number;
  protocol: string;
  /** The port that was asked for, when the Service has none such. */
  unknownPort?: number | string;
}

export function routeOf(world: World, source: Source, target: Target, lookup: Lookup | undefined): Route {
  if (target.kind === "workload") return { protocol: "TCP" };
  if (target.kind === "pod") {
    const pod = world.pods.find(
      ({ metadata }) => metadata.name === target.name && metadata.namespace === target.namespace,
    );
    return pod ? podRoute(pod, target.port) : { protocol: "TCP" };
  }
  if (target.kind === "service") {
    const service = findService(world, target.namespace, target.name);
    return service ? serviceRoute(world, source, service, target.port, lookup) : { protocol: "TCP" };
  }
  if (target.kind === "name") {
    const service = serviceNamed(world, source, target.name, lookup);
    if (service) return withDoor(serviceRoute(world, source, service, target.port, lookup), lookup);
    const [address] = lookup?.addresses ?? [];
    return address ? addressRoute(world, address, target.port) : { protocol: "TCP" };
  }
  return addressRoute(world, target.address, target.port);
}

/** A name was asked for: it leads to the cluster address, whoever asks. */
function withDoor(route: Route, lookup: Lookup | undefined): Route {
  const [address] = lookup?.addresses ?? [];
  return address && route.door !== "headless" && route.door !== "external-name"
    ? { ...route, door: "cluster-ip", address, ...portOf(route.servicePort?.port) }
    : route;
}

export function findService({ services }: World, namespace: string, name: string): ServiceView | undefined {
  return services.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
}

/** The namespace that short names belong to. */
export const namespaceOf = (source: Source): string =>
  source.kind === "pod" ? source.pod.metadata.namespace : "default";

/** The Service that a name means by its shape: `web`, `web.shop`, `web.shop.svc`, `web.shop.svc.cluster.local`. */
export function serviceNamed(world: World, source: Source, name: string, lookup?: Lookup): ServiceView | undefined {
  const { dnsDomain } = world.network;
  const short = name.replace(/\.$/, "").replace(new RegExp(`\\.svc(\\.${dnsDomain.replaceAll(".", "\\.")})?$`), "");
  const [first = "", namespace, ...more] = short.split(".");
  if (more.length > 0) return undefined;
  const found = findService(world, namespace ?? namespaceOf(source), first);
  if (found) return found;
  // A name with dots may still be one of the outer world.
  return lookup?.addresses.length
    ? world.services.find((service) => clusterAddresses(service).some((address) => lookup.addresses.includes(address)))
    : undefined;
}

function serviceRoute(
  world: World,
  source: Source,
  service: ServiceView,
  asked: number | string | undefined,
  lookup: Lookup | undefined,
): Route {
  const { spec, status } = service;
  if (spec.type === "ExternalName") {
    return {
      service,
      door: "external-name",
      protocol: "TCP",
      ...addressOf(lookup?.addresses[0]),
      ...portOf(asked ?? spec.ports?.[0]?.port ?? 80),
    };
  }
  const ports = spec.ports ?? [];
  const byDoor = (port: number | string | undefined) =>
    ports.find((candidate) => port === undefined || candidate.port === port || candidate.name === port);
  if (spec.clusterIP === "None") {
    const servicePort = byDoor(asked) ?? ports[0];
    const [first] = lookup?.addresses ?? [];
    return {
      service,
      door: "headless",
      protocol: servicePort?.protocol ?? "TCP",
      ...(servicePort ? { servicePort } : {}),
      ...addressOf(first ?? endpointAddresses(world, service)[0]),
      ...portOf(typeof asked === "number" ? asked : servicePort?.port),
    };
  }
  const servicePort = byDoor(asked) ?? ports.find(({ nodePort }) => nodePort !== undefined && nodePort === asked);
  if (!servicePort) return { service, protocol: "TCP", ...(asked === undefined ? {} : { unknownPort: asked }) };
  const route = { service, servicePort, protocol: servicePort.protocol ?? "TCP" };
  const isNodePort = asked !== undefined && asked === servicePort.nodePort && asked !== servicePort.port;
  if (source.kind === "outside" || isNodePort) {
    const balancer = status?.loadBalancer?.ingress?.find(({ ip }) => ip)?.ip;
    const external = spec.externalIPs?.[0];
    if (balancer && !isNodePort) return { ...route, door: "balancer", address: balancer, port: servicePort.port };
    if (external && !isNodePort) return { ...route, door: "external-ip", address: external, port: servicePort.port };
    if (spec.type === "LoadBalancer" && !isNodePort) return { ...route, door: "balancer", port: servicePort.port };
    if (servicePort.nodePort !== undefined) {
      const node = source.kind === "node" ? source.address : workerAddress(world);
      return { ...route, door: "node-port", ...addressOf(node), port: servicePort.nodePort };
    }
  }
  return { ...route, door: "cluster-ip", ...addressOf(spec.clusterIP), port: servicePort.port };
}

function addressRoute(world: World, address: string, port: number | undefined): Route {
  for (const service of world.services) {
    const doors: [Door, readonly (string | undefined)[]][] = [
      ["cluster-ip", clusterAddresses(service)],
      ["balancer", service.status?.loadBalancer?.ingress?.map(({ ip }) => ip) ?? []],
      ["external-ip", service.spec.externalIPs ?? []],
    ];
    const door = doors.find(([, addresses]) => addresses.includes(address))?.[0];
    if (!door) continue;
    // An address of a node may be an external address of one Service and carry node ports of others.
    const servicePort = service.spec.ports?.find((candidate) => port === undefined || candidate.port === port);
    if (!servicePort && isNodeAddress(world, address)) continue;
    return {
      service,
      door,
      address,
      protocol: servicePort?.protocol ?? "TCP",
      ...(servicePort
        ? { servicePort, port: servicePort.port }
        : port === undefined
          ? {}
          : { unknownPort: port, port }),
    };
  }
  if (isNodeAddress(world, address)) {
    for (const service of world.services) {
      const servicePort = service.spec.ports?.find(({ nodePort }) => nodePort !== undefined && nodePort === port);
      if (servicePort)
        return {
          service,
          servicePort,
          door: "node-port",
          address,
          protocol: servicePort.protocol ?? "TCP",
          ...portOf(port),
        };
    }
    return { protocol: "TCP", address, ...portOf(port) };
  }
  const pod = world.pods.find((candidate) => podAddresses(candidate).includes(address));
  return pod ? { ...podRoute(pod, port), address } : { protocol: "TCP", address, ...portOf(port) };
}

function podRoute(pod: PodView, asked: number | string | undefined): Route {
  const ports = pod.spec.containers.flatMap((container) => container.ports ?? []);
  const named = ports.find(({ name }) => name === asked);
  return {
    pod,
    protocol: "TCP",
    ...addressOf(podAddresses(pod)[0]),
    ...portOf(typeof asked === "number" ? asked : (named ?? ports[0])?.containerPort),
  };
}

/** The node whose rules a packet meets first; undefined where it meets none. */
export function entryNode(world: World, source: Source, route: Route): string | undefined {
  if (source.kind === "pod") return source.pod.spec.nodeName;
  if (source.kind === "node") return source.name;
  return world.nodes.find(({ status }) => status?.addresses?.some(({ address }) => address === route.address))?.metadata
    .name;
}

export const isNodeAddress = ({ nodes }: World, address: string): boolean =>
  nodes.some(({ status }) => status?.addresses?.some((entry) => entry.address === address));

export function isIn(block: string, address: string): boolean {
  const parsed = parseCidr(block);
  const bytes = parseIp(address);
  return parsed !== undefined && bytes !== undefined && cidrContains(parsed, bytes);
}

/** Where a Service's packets end up: ready endpoints with their real port. */
export interface EndpointView {
  address: string;
  port: number;
  nodeName?: string;
  pod?: PodView;
  isReady: boolean;
  isServing: boolean;
  isTerminating: boolean;
}

/** Of the family of `asked`, the address that the request goes to; by default of the Service's first one. */
export function endpointsOf(
  world: World,
  service: ServiceView,
  servicePort: DeepReadonly<ServicePort> | undefined,
  asked = clusterAddresses(service)[0],
) {
  const slices = slicesOf(world, service);
  const family = asked && (isIpv6(asked) ? "IPv6" : "IPv4");
  const fitting = slices.filter(({ addressType }) => addressType === (family ?? slices[0]?.addressType));
  return fitting.flatMap((slice) => {
    const port = slice.ports?.find(({ name }) => (name ?? "") === (servicePort?.name ?? ""))?.port;
    return (slice.endpoints ?? []).flatMap((endpoint): EndpointView[] => {
      const [address] = endpoint.addresses;
      if (!address) return [];
      const { ready, serving, terminating } = endpoint.conditions ?? {};
      const pod = world.pods.find(
        ({ metadata }) =>
          metadata.name === endpoint.targetRef?.name && metadata.namespace === service.metadata.namespace,
      );
      return [
        {
          address,
          port: port ?? servicePort?.port ?? 0,
          ...(endpoint.nodeName ? { nodeName: endpoint.nodeName } : {}),
          ...(pod ? { pod } : {}),
          isReady: ready !== false,
          isServing: serving ?? ready !== false,
          isTerminating: terminating === true,
        },
      ];
    });
  });
}

const endpointAddresses = (world: World, service: ServiceView): string[] =>
  endpointsOf(world, service, service.spec.ports?.[0])
    .filter(({ isReady }) => isReady)
    .map(({ address }) => address);

/** Of a node that is no control plane, where there is one: that is where people knock. */
function workerAddress({ nodes }: World): string | undefined {
  const isControlPlane = ({ metadata }: World["nodes"][number]) =>
    metadata.labels?.["node-role.kubernetes.io/control-plane"] !== undefined;
  const node = nodes.find((candidate) => !isControlPlane(candidate)) ?? nodes[0];
  return node?.status?.addresses?.find(({ type }) => type === "InternalIP")?.address;
}

const addressOf = (address: string | undefined) => (address === undefined ? {} : { address });
const portOf = (port: number | string | undefined) => (typeof port === "number" ? { port } : {});
