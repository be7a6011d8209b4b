/** Asks the API, the kernel and the pods' sockets for what the explanations rest on. */
import type { KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import {
  DaemonSets,
  Deployments,
  EndpointSlices,
  Events,
  Jobs,
  Namespaces,
  NetworkPolicies,
  Nodes,
  PersistentVolumeClaims,
  Pods,
  ReplicaSets,
  Services,
  StatefulSets,
} from "../api/resources.ts";
import type { Clock } from "../base/clock.ts";
import type { Client } from "../client/client.ts";
import { explainPath, type PathFacts, type Probe } from "./explain-path.ts";
import { explainPod, explainWorkload, type WorkloadFacts } from "./explain-pod.ts";
import type { Listener } from "./listeners.ts";
import {
  listenersIn,
  lookupHere,
  lookupIn,
  probeTcp,
  probeUdp,
  type ResolverView,
  traced,
  traceTable,
  type Watched,
} from "./probe.ts";
import type { Report } from "./report.ts";
import {
  type EndpointView,
  endpointsOf,
  entryNode,
  type Lookup,
  namespaceOf,
  type Route,
  routeOf,
  type Source,
} from "./route.ts";
import type { Target } from "./target.ts";
import { type PacketTrace, readTraces } from "./trace.ts";
import {
  carries,
  clusterAddresses,
  isIpv6,
  isOver,
  isReady,
  keyOf,
  type NetworkView,
  type PodView,
  place,
  podAddresses,
  podAt,
  type World,
} from "./world.ts";

/** What only the machine that the nodes are on can be asked. */
export interface Machine {
  network: NetworkView;
  /** The file of a node's network namespace; undefined for a simulated node. */
  nodeNetns(node: string): string | undefined;
  /** The same for a pod that has one of its own. */
  podNetns(pod: PodView): string | undefined;
  resolverOf(pod: PodView): ResolverView;
}

export interface WhyOptions {
  api: Client;
  machine: Machine;
  clock: Clock;
  target: Target;
  /** `pod/NAME`, `node/NAME`, `outside`. Absent: whoever such a target is meant for. */
  from?: string;
  namespace: string;
}

/** Never changes anything that stays. Rejects only when the API does not answer, or `from` names nobody. */
export async function why(options: WhyOptions): Promise<Report> {
  const { api, machine, clock, target, namespace } = options;
  const world = await readWorld(api, machine.network, "namespace" in target ? target.namespace : namespace);
  if (target.kind === "workload") return explainWorkload(world, await readWorkload(api, world, target));
  const source = sourceOf(world, target, options.from, namespace);
  if (target.kind === "pod") {
    const pod = world.pods.find(
      ({ metadata }) => metadata.name === target.name && metadata.namespace === target.namespace,
    );
    // A pod that does not run, or takes no connections, is asked about itself.
    if (pod && (!isReady(pod) || (options.from === undefined && target.port === undefined && !hasPorts(pod))))
      return explainPod(world, pod);
  }
  const lookup = await resolve(machine, clock, target, source);
  const facts = await send({ world, source, target, ...(lookup ? { lookup } : {}) }, machine, clock);
  return explainPath(facts);
}

const hasPorts = (pod: PodView): boolean => pod.spec.containers.some(({ ports }) => (ports?.length ?? 0) > 0);

export async function readWorld(api: Client, network: NetworkView, namespace: string): Promise<World> {
  const all = async <T extends KubeObject>(resource: Resource<T>, within?: string) =>
    (await api.list(resource, within === undefined ? {} : { namespace: within })).items;
  const [services, slices, pods, nodes, namespaces, policies, events, claims, pools] = await Promise.all([
    all(Services),
    all(EndpointSlices),
    all(Pods),
    all(Nodes),
    all(Namespaces),
    all(NetworkPolicies),
    all(Events, namespace),
    all(PersistentVolumeClaims, namespace),
    network.loadBalancer === "metallb" ? all(addressPools).catch(() => []) : [],
  ]);
  return {
    network,
    services,
    slices,
    pods,
    nodes,
    namespaces,
    policies,
    events,
    claims,
    pools: pools.map(({ metadata }) => metadata.name),
  };
}

const addressPools: Resource = {
  group: "metallb.io",
  version: "v1beta1",
  kind: "IPAddressPool",
  plural: "ipaddresspools",
  scope: "Namespaced",
};

async function readWorkload(api: Client, world: World, target: WorkloadFacts["target"]): Promise<WorkloadFacts> {
  const resource: Resource = {
    Deployment: Deployments,
    ReplicaSet: ReplicaSets,
    StatefulSet: StatefulSets,
    DaemonSet: DaemonSets,
    Job: Jobs,
  }[target.resource];
  const { items } = await api.list(resource, { namespace: target.namespace });
  const names = items.map(({ metadata }) => metadata.name);
  const found = items.find(({ metadata }) => metadata.name === target.name) as unknown as WorkloadObject | undefined;
  if (!found) return { target, names, pods: [] };
  const selector = found.spec.selector?.matchLabels ?? {};
  const desired = found.spec.replicas ?? found.status?.desiredNumberScheduled ?? found.spec.completions ?? 1;
  return {
    target,
    names,
    object: { desired, selector, conditions: found.status?.conditions ?? [] },
    pods: world.pods.filter(
      (pod) =>
        pod.metadata.namespace === target.namespace &&
        carries(pod.metadata.labels, selector) &&
        (target.resource === "Job" || !isOver(pod)),
    ),
  };
}

/** What the workload kinds have in common. */
interface WorkloadObject {
  spec: { replicas?: number; completions?: number; selector?: { matchLabels?: Record<string, string> } };
  status?: { desiredNumberScheduled?: number; conditions?: { type: string; status: string; message?: string }[] };
}

/** Throws an Error that names those there are, when `from` names nobody. */
function sourceOf(world: World, target: Target, from: string | undefined, namespace: string): Source {
  const outside: Source = { kind: "outside", address: world.network.hostAddress };
  if (from === "outside") return outside;
  const [kind = "", name = ""] = (from ?? "").split("/");
  if (from !== undefined && !name) throw new Error(`--from takes pod/NAME, node/NAME or outside, not "${from}"`);
  if (kind === "node" || kind === "nodes" || kind === "no") {
    const node = world.nodes.find(({ metadata }) => metadata.name === name);
    if (!node)
      throw new Error(
        `there is no node ${name}; there are: ${world.nodes.map(({ metadata }) => metadata.name).join(", ")}`,
      );
    return { kind: "node", name, address: node.status?.addresses?.[0]?.address ?? "" };
  }
  if (from !== undefined) {
    if (kind !== "pod" && kind !== "pods" && kind !== "po")
      throw new Error(`--from takes pod/NAME, node/NAME or outside, not "${from}"`);
    const pod = world.pods.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
    if (!pod) throw new Error(`there is no pod ${name} in namespace ${namespace}`);
    if (pod.status?.phase !== "Running")
      throw new Error(`pod ${name} does not run: "pinnace why pod/${name}" says why`);
    return { kind: "pod", pod };
  }
  if (target.kind === "address" && !isInside(world, target.address)) return outside;
  if (target.kind === "service") {
    const service = world.services.find(
      ({ metadata }) => metadata.name === target.name && metadata.namespace === target.namespace,
    );
    if (service?.spec.type === "NodePort" || service?.spec.type === "LoadBalancer") return outside;
  }
  return someoneInside(world, target, namespace) ?? outside;
}

const isInside = (world: World, address: string): boolean =>
  world.services.some((service) => clusterAddresses(service).includes(address)) || podAt(world, address) !== undefined;

/** A running pod of the namespace, rather one that is not among those asked for; else a node. */
function someoneInside(world: World, target: Target, namespace: string): Source | undefined {
  const running = world.pods.filter(
    ({ metadata, spec, status }) =>
      metadata.namespace === namespace &&
      status?.phase === "Running" &&
      !spec.hostNetwork &&
      metadata.deletionTimestamp === undefined,
  );
  const lookup: Lookup = { asked: [], addresses: [] };
  const anywhere: Source = { kind: "outside", address: "" };
  const { service } = routeOf(world, anywhere, target, lookup);
  const asked = new Set(
    service ? endpointsOf(world, service, service.spec.ports?.[0]).map(({ address }) => address) : [],
  );
  const pod =
    running.find(
      (pod) =>
        !podAddresses(pod).some((address) => asked.has(address)) &&
        !(target.kind === "pod" && pod.metadata.name === target.name),
    ) ?? running[0];
  if (pod) return { kind: "pod", pod };
  const node =
    world.nodes.find(({ metadata }) => metadata.labels?.["node-role.kubernetes.io/control-plane"] === undefined) ??
    world.nodes[0];
  return node
    ? { kind: "node", name: node.metadata.name, address: node.status?.addresses?.[0]?.address ?? "" }
    : undefined;
}

async function resolve(machine: Machine, clock: Clock, target: Target, source: Source): Promise<Lookup | undefined> {
  if (target.kind !== "name" && target.kind !== "service") return undefined;
  if (source.kind !== "pod") return target.kind === "name" ? lookupHere(target.name, clock) : undefined;
  const netns = machine.podNetns(source.pod);
  if (!netns) return undefined;
  const name =
    target.kind === "name"
      ? target.name
      : target.namespace === namespaceOf(source)
        ? target.name
        : `${target.name}.${target.namespace}`;
  return lookupIn(netns, name, machine.resolverOf(source.pod), clock);
}

/** Everything that takes packets. */
async function send(
  known: Omit<PathFacts, "direct" | "listeners">,
  machine: Machine,
  clock: Clock,
): Promise<PathFacts> {
  const { world, source, target, lookup } = known;
  const route = routeOf(world, source, target, lookup);
  const endpoints = route.service
    ? endpointsOf(world, route.service, route.servicePort, route.address).filter((endpoint) => endpoint.isReady)
    : [];
  const ports =
    route.door === "headless" && route.port !== undefined
      ? endpoints.map((endpoint) => ({ ...endpoint, port: route.port! }))
      : endpoints;
  const listeners = new Map<string, readonly Listener[]>();
  for (const pod of [...endpoints.flatMap((endpoint) => endpoint.pod ?? []), ...(route.pod ? [route.pod] : [])]) {
    const netns = machine.podNetns(pod);
    const found = netns && listenersIn(netns);
    if (found) listeners.set(keyOf(pod), found);
  }
  const from =
    source.kind === "pod"
      ? machine.podNetns(source.pod)
      : source.kind === "node"
        ? machine.nodeNetns(source.name)
        : undefined;
  const canSend =
    source.kind === "outside"
      ? world.nodes.some(({ metadata }) => machine.nodeNetns(metadata.name))
      : from !== undefined;
  const { address, port } = route;
  // A ClusterIP may belong to somebody else outside: nothing is sent there.
  const isForInside = source.kind === "outside" && route.door === "cluster-ip";
  // Who gets no address sends nothing.
  const isNameless = lookup?.isUnanswered === true;
  const isUdp = route.protocol === "UDP";
  const httpPath = "path" in target && target.path !== undefined ? { httpPath: target.path } : {};
  // A page is asked for over TCP: the ports say that nobody would take it.
  const isWrongProtocol = isUdp && "httpPath" in httpPath;
  const canProbe = route.protocol === "TCP" || (isUdp && !isWrongProtocol);
  if (!canSend || !address || port === undefined || !canProbe || isForInside || isNameless)
    return { ...known, direct: new Map(), listeners };

  const straight = source.kind === "outside" ? [] : ports.slice(0, mostEndpoints);
  const knock = isUdp ? probeUdp : probeTcp;
  const ask = () =>
    Promise.all([
      knock({ clock, netns: from, address, port, ...httpPath }),
      ...straight.map((endpoint) => knock({ clock, netns: from, address: endpoint.address, port: endpoint.port })),
    ]);
  const isByRules = route.service !== undefined && route.door !== "headless" && route.door !== "external-name";
  const entry = entryNode(world, source, route);
  const watched = isByRules ? watchedPackets(known, machine, { ...route, address, port }, entry, endpoints) : new Map();
  const { result, texts } =
    watched.size > 0 ? await traced(watched, clock, ask) : { result: await ask(), texts: new Map<string, string>() };
  const [probe, ...direct] = result;
  const traces = new Map<string, readonly PacketTrace[]>();
  for (const { metadata } of world.nodes) {
    const netns = machine.nodeNetns(metadata.name);
    const text = netns && texts.get(netns);
    if (text) traces.set(metadata.name, readTraces(text, [`${traceTable}-${process.pid}`]));
  }
  const doors = new Set<string>();
  for (const { metadata } of world.nodes)
    for (const door of [{ address, port }, ...behindCloud(world, route, metadata.name)])
      doors.add(place(door.address, door.port));
  const atDoor = ({ before }: PacketTrace) => doors.has(place(before.destination, before.port));
  const tracedNode = [...(entry ? [entry] : []), ...traces.keys()].find((node) => traces.get(node)?.some(atDoor));
  const trace = tracedNode === undefined ? undefined : traces.get(tracedNode)?.find(atDoor);
  const further = trace && furtherHop(world, trace, tracedNode!, traces);
  return {
    ...known,
    direct: new Map(direct.map((found: Probe) => [`${found.address}:${found.port}`, found])),
    listeners,
    ...(probe ? { probe } : {}),
    ...(trace ? { trace, tracedNode: tracedNode! } : {}),
    ...(further ? { further } : {}),
  };
}

/** At the door of the node that the request comes to first (of all, where nobody can say which), and at the endpoints of the others. */
function watchedPackets(
  { world }: Omit<PathFacts, "direct" | "listeners">,
  machine: Machine,
  route: Route & { address: string; port: number },
  entry: string | undefined,
  endpoints: readonly EndpointView[],
): Map<string, Watched[]> {
  const { address, port, protocol } = route;
  const watched = new Map<string, Watched[]>();
  for (const { metadata } of world.nodes) {
    const netns = machine.nodeNetns(metadata.name);
    if (!netns) continue;
    const isEntry = entry === undefined || entry === metadata.name;
    const ends = endpoints.filter(({ nodeName }) => nodeName === metadata.name && nodeName !== entry);
    const packets = [
      ...(isEntry ? [{ protocol, address, port }, ...behindCloud(world, route, metadata.name)] : []),
      ...ends.map((end) => ({ protocol, address: end.address, port: end.port })),
    ];
    if (packets.length > 0) watched.set(netns, packets);
  }
  return watched;
}

/** A cloud's balancer stands before the nodes, and knocks at their node ports. */
function behindCloud({ network, nodes }: World, { door, servicePort, protocol }: Route, name: string): Watched[] {
  const port = servicePort?.nodePort;
  if (network.loadBalancer !== "cloud" || door !== "balancer" || port === undefined) return [];
  const node = nodes.find(({ metadata }) => metadata.name === name);
  return (node?.status?.addresses ?? []).flatMap(({ type, address }) =>
    type === "InternalIP" && !isIpv6(address) ? [{ protocol, address, port }] : [],
  );
}

/** The rewritten packet on the node of the pod that it was sent to, where that is another one. */
function furtherHop(
  world: World,
  { after }: PacketTrace,
  entry: string,
  traces: ReadonlyMap<string, readonly PacketTrace[]>,
): PathFacts["further"] {
  const node = podAt(world, after.destination)?.spec.nodeName;
  if (!node || node === entry) return undefined;
  const found = traces
    .get(node)
    ?.filter(({ before }) => before.destination === after.destination && before.port === after.port);
  // Masquerading may change the source port; then it is one of several alike.
  const trace = found?.find(({ before }) => before.sourcePort === after.sourcePort) ?? found?.[0];
  return trace && { node, trace };
}

const mostEndpoints = 8;
