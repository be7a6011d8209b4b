/** Why a request does not arrive: the walk from a name to a listening process, over facts that were gathered. Pure. */
import { findingOfPod, templateOf } from "./explain-pod.ts";
import { isLoopback, type Listener, takes } from "./listeners.ts";
import { forbiddenBy, type Party } from "./network-policy.ts";
import { type Finding, lost, note, ok, type Report, unknown, walk } from "./report.ts";
import {
  type EndpointView,
  endpointsOf,
  entryNode,
  findService,
  isIn,
  isNodeAddress,
  type Lookup,
  namespaceOf,
  type Route,
  routeOf,
  type Source,
  serviceNamed,
} from "./route.ts";
import type { Target } from "./target.ts";
import { fatalHop, isMasqueraded, type PacketTrace, serviceHop } from "./trace.ts";
import {
  carries,
  inNamespace,
  isIpv6,
  isOver,
  isReady,
  keyOf,
  listed,
  nearest,
  ofFamily,
  type PodView,
  place,
  podAddresses,
  podAt,
  printLabels,
  type ServiceView,
  type World,
} from "./world.ts";

export interface Probe {
  address: string;
  port: number;
  outcome: "connected" | "refused" | "silent" | "unreachable";
  /** Of a URL that could be asked for. */
  httpStatus?: number;
}

export interface PathFacts {
  world: World;
  source: Source;
  target: Target;
  lookup?: Lookup;
  /** A connection (for UDP: a datagram) as the user would make it. Absent where none could be tried, as on simulated nodes. */
  probe?: Probe;
  /** The way of the probe's first packet through the rules of the node that it met first. */
  trace?: PacketTrace;
  /** That node, where nobody can say beforehand which it will be: a load balancer's address. */
  tracedNode?: string;
  /** The packet once more, on the node of the pod that it was sent to. */
  further?: { node: string; trace: PacketTrace };
  /** Connections straight to endpoints, by `address:port`. */
  direct: ReadonlyMap<string, Probe>;
  /** Who listens in a pod, by its `namespace/name`. */
  listeners: ReadonlyMap<string, readonly Listener[]>;
}

export function explainPath(facts: PathFacts): Report {
  const { world, source, target } = facts;
  const route = routeOf(world, source, target, facts.lookup);
  const path = new Path(facts, route);
  const { steps, fault } = walk([
    ["name", () => path.name()],
    ["Service", () => path.service()],
    ["selector", () => path.selector()],
    ["endpoints", () => path.endpoints()],
    ["pod", () => path.pod()],
    ["door", () => path.door()],
    ["rule", () => path.rule()],
    ["NetworkPolicy", () => path.policy()],
    ["listener", () => path.listener()],
    ["answer", () => path.answer()],
  ]);
  const arrives = facts.probe?.outcome === "connected";
  return {
    target: describeTarget(target, route),
    from: describeSource(source),
    verdict: fault ? "lost" : arrives ? "works" : "unknown",
    steps,
    ...(fault ? { fault } : {}),
  };
}

class Path {
  readonly #facts: PathFacts;
  readonly #world: World;
  readonly #route: Route;

  constructor(facts: PathFacts, route: Route) {
    this.#facts = facts;
    this.#world = facts.world;
    this.#route = route;
  }

  name(): Finding | undefined {
    const { target, source, lookup } = this.#facts;
    if (!lookup || (target.kind !== "name" && target.kind !== "service")) return undefined;
    const name = target.kind === "name" ? target.name : target.name;
    if (lookup.isUnanswered) return this.#silentDns(name);
    if (lookup.addresses.length > 0) {
      const alias = lookup.alias ? `, which is another name of ${lookup.alias}` : "";
      return ok(`${lookup.asked.at(-1)}${alias} is ${listed(lookup.addresses)}`);
    }
    if (lookup.alias) {
      return lost(
        "external-name-unresolved",
        `${name} is another name of ${lookup.alias}, which has no address`,
        `An ExternalName Service is only an alias in DNS, and nobody knows ${lookup.alias}.`,
        [
          `kubectl patch service ${this.#route.service?.metadata.name ?? name}${inNamespace(this.#route.service?.metadata.namespace)} -p '{"spec":{"externalName":"A-NAME-THAT-EXISTS"}}'`,
        ],
      );
    }
    if (target.kind === "service") return undefined;
    const meant = serviceNamed(this.#world, source, name);
    if (source.kind !== "pod") {
      if (!meant) return this.#nobodyNamed(name, "the machine's resolver");
      const inside = meant.spec.clusterIP && meant.spec.clusterIP !== "None" ? `http://${meant.spec.clusterIP}` : name;
      return lost(
        "name-outside-pods",
        `${source.kind === "node" ? `node ${source.name}` : "this machine"} does not know the name ${name}`,
        "Cluster DNS answers pods only: nodes and machines outside have resolvers of their own.",
        [
          `kubectl run tmp --rm -i --image=busybox --restart=Never -- wget -q -O - ${inside.startsWith("http") ? `http://${name}` : inside}`,
        ],
      );
    }
    // It exists, but has no address to give: the endpoints will say why.
    if (meant) return note(`${name} is known, but has no address`);
    return this.#nobodyNamed(name, "cluster DNS");
  }

  #silentDns(name: string): Finding {
    const { source } = this.#facts;
    const dns = this.#world.pods.filter(({ metadata }) => metadata.labels?.["k8s-app"] === "kube-dns");
    const party = partyOf(source);
    const blocked = forbiddenBy(
      this.#world,
      party,
      { address: dnsAddress(this.#world), ...(dns[0] ? { pod: dns[0] } : {}) },
      53,
      "UDP",
    );
    if (blocked) {
      return lost(
        "policy-blocks-dns",
        `no answer to the question for ${name}`,
        `NetworkPolicy ${listed(blocked.policies)} lets nothing out to port 53, so that the pod cannot even ask for the address.`,
        `kubectl edit networkpolicy ${nameOnly(blocked.policies[0])}${inNamespace(namespaceOf(source))}   # allow egress to UDP and TCP port 53`,
      );
    }
    return lost("dns-silent", `no answer to the question for ${name}`, "Cluster DNS does not answer.", [
      `pinnace status --name ${this.#world.network.clusterName}`,
      "kubectl get service kube-dns -n kube-system",
    ]);
  }

  #nobodyNamed(name: string, who: string): Finding {
    const { source } = this.#facts;
    const [first = "", second] = name.split(".");
    const namespace = second && second !== "svc" ? second : namespaceOf(source);
    const elsewhere = this.#world.services.filter(({ metadata }) => metadata.name === first);
    const text = `${who} knows no ${name}`;
    if (elsewhere.length > 0 && source.kind === "pod") {
      const [found] = elsewhere;
      return lost(
        "name-in-another-namespace",
        text,
        `Service ${first} is in namespace ${listed(elsewhere.map(({ metadata }) => metadata.namespace))}, and a name without a namespace means one in the pod's own, ${namespaceOf(source)}.`,
        `use the name ${first}.${found!.metadata.namespace}`,
      );
    }
    const similar = nearest(
      first,
      this.#world.services
        .filter(({ metadata }) => metadata.namespace === namespace)
        .map(({ metadata }) => metadata.name),
    );
    return lost(
      "no-such-name",
      text,
      similar
        ? `There is no Service ${first} in namespace ${namespace}; there is ${similar}.`
        : `There is no Service ${first} in namespace ${namespace}, and nobody else has this name.`,
      similar ? `use the name ${similar}` : `kubectl get services${inNamespace(namespace)}`,
    );
  }

  service(): Finding | undefined {
    const { target } = this.#facts;
    const { service, servicePort, door, unknownPort } = this.#route;
    if (!service) {
      if (target.kind === "service") return this.#noService(target.namespace, target.name);
      return this.#noDoor();
    }
    const what = `${service.spec.type ?? "ClusterIP"} ${keyOf(service)}`;
    if (door === "external-name") return ok(`${what} stands for ${service.spec.externalName}`);
    if (servicePort && door !== undefined) {
      if (servicePort.protocol === "UDP" && "path" in target && target.path !== undefined)
        return this.#udp(service, servicePort.port);
      const translated = servicePort.targetPort ?? servicePort.port;
      if (door === "headless") {
        const { port } = this.#route;
        if (typeof translated === "number" && port !== undefined && port !== translated)
          return this.#headless(service, port, translated);
        return ok(`${what} is headless: its name is the pods' own addresses`);
      }
      const nodePort = door === "node-port" ? `node port ${servicePort.nodePort} → ` : "";
      return ok(`${what}, ${nodePort}port ${servicePort.port} → ${translated}`);
    }
    const has = (service.spec.ports ?? []).map((port) => `${port.port}${port.name ? ` (${port.name})` : ""}`);
    if (has.length === 0) return undefined;
    return lost(
      "wrong-service-port",
      `${what} has no port ${unknownPort}`,
      `It has port ${listed(has)}. A Service takes what comes to its own port; targetPort and containerPort are behind it.`,
      `use port ${service.spec.ports?.[0]?.port}`,
    );
  }

  #udp(service: ServiceView, port: number): Finding | undefined {
    return lost(
      "wrong-protocol",
      `port ${port} of ${keyOf(service)} is UDP`,
      "The request is TCP, and the Service takes only UDP on this port.",
      `kubectl patch service ${service.metadata.name}${inNamespace(service.metadata.namespace)} --type=json -p '[{"op":"replace","path":"/spec/ports/0/protocol","value":"TCP"}]'`,
    );
  }

  #headless(service: ServiceView, port: number, targetPort: number): Finding {
    return lost(
      "headless-has-no-port",
      `${keyOf(service)} is headless: nobody turns port ${port} into ${targetPort}`,
      `A headless Service is a name for the pods' own addresses. Packets go straight to a pod, and there the port is ${targetPort}.`,
      [
        `use port ${targetPort}`,
        `kubectl get service ${service.metadata.name}${inNamespace(service.metadata.namespace)} -o yaml   # or make it anew without clusterIP: None`,
      ],
    );
  }

  #noService(namespace: string, name: string): Finding {
    const elsewhere = this.#world.services.filter(({ metadata }) => metadata.name === name);
    const text = `there is no Service ${name} in namespace ${namespace}`;
    if (elsewhere.length > 0) {
      const found = elsewhere[0]!.metadata.namespace;
      return lost("service-in-another-namespace", text, `There is one in namespace ${found}.`, [
        `pinnace why svc/${name} -n ${found}`,
        `from pods of ${namespace} its name is ${name}.${found}`,
      ]);
    }
    const inIt = this.#world.services.filter(({ metadata }) => metadata.namespace === namespace);
    const similar = nearest(
      name,
      inIt.map(({ metadata }) => metadata.name),
    );
    return lost(
      "no-such-service",
      text,
      similar ? `There is ${similar}.` : "Nobody has made it.",
      similar
        ? `pinnace why svc/${similar}${inNamespace(namespace)}`
        : this.#world.pods.some(
              (pod) => pod.metadata.namespace === namespace && templateOf(pod) === `deployment/${name}`,
            )
          ? `kubectl expose deployment ${name}${inNamespace(namespace)} --port=80`
          : "kubectl get services --all-namespaces",
    );
  }

  /** An address at which no Service and no pod is. */
  #noDoor(): Finding | undefined {
    const { target } = this.#facts;
    const { address, port, pod } = this.#route;
    const { network } = this.#world;
    if (pod || !address) return undefined;
    if (network.serviceCIDRs.some((block) => isIn(block, address))) {
      return lost(
        "no-service-at-address",
        `no Service has the address ${address}`,
        "It is an address of the Service range, but of no Service that exists now.",
        "kubectl get services -A",
      );
    }
    if (isNodeAddress(this.#world, address)) {
      const nodePorts = this.#world.services.flatMap(({ metadata, spec }) =>
        (spec.ports ?? []).flatMap(({ nodePort }) => (nodePort ? [`${nodePort} (${keyOf({ metadata })})`] : [])),
      );
      if (this.#facts.probe?.outcome === "connected") return note(`${address} is a node's own address`);
      return lost(
        "no-such-node-port",
        `no Service has node port ${port}`,
        nodePorts.length > 0 ? `Open on every node: ${listed(nodePorts)}.` : "No Service is of type NodePort.",
        "kubectl get services -A",
      );
    }
    if (network.podCIDRs.some((block) => isIn(block, address))) {
      return lost(
        "no-pod-at-address",
        `no pod has the address ${address}`,
        "It is an address of the pod range. Pods come and go, and their addresses with them; a Service's address stays.",
        "kubectl get pods -A -o wide",
      );
    }
    return target.kind === "name"
      ? note(`${address} is outside the cluster`)
      : note(`${address} is no address of this cluster`);
  }

  selector(): Finding | undefined {
    const { service, door } = this.#route;
    if (!service || door === "external-name") return undefined;
    const namespace = service.metadata.namespace;
    const selector = service.spec.selector ?? {};
    if (Object.keys(selector).length === 0) {
      const endpoints = endpointsOf(this.#world, service, this.#route.servicePort, this.#route.address);
      if (endpoints.length > 0) return ok("no selector: its endpoints were written by hand");
      return lost(
        "no-selector",
        "the Service selects no pods",
        "Without a selector a Service has only the endpoints that somebody writes by hand, and nobody has.",
        `kubectl set selector service ${service.metadata.name}${inNamespace(namespace)} app=NAME`,
      );
    }
    const here = this.#world.pods.filter(({ metadata }) => metadata.namespace === namespace);
    const selected = here.filter(({ metadata }) => carries(metadata.labels, selector));
    const text = printLabels(selector);
    if (selected.length > 0) return ok(`${text} selects ${counted(selected.length, "pod")}`);
    const alike = closest(here, selector);
    if (alike) {
      return lost(
        "wrong-selector",
        `${text} selects no pod`,
        `Pod ${alike.metadata.name} has the labels ${printLabels(alike.metadata.labels)}: a Service finds pods by labels, and every one must match.`,
        `kubectl set selector service ${service.metadata.name}${inNamespace(namespace)} ${printLabels(fitting(alike, selector))}`,
      );
    }
    const elsewhere = this.#world.pods.find(({ metadata }) => carries(metadata.labels, selector));
    if (elsewhere) {
      return lost(
        "pods-in-another-namespace",
        `${text} selects no pod in namespace ${namespace}`,
        `Pods with these labels are in namespace ${elsewhere.metadata.namespace}: a Service finds pods of its own namespace only.`,
        `kubectl get service ${service.metadata.name}${inNamespace(namespace)} -o yaml | sed 's/namespace: ${namespace}/namespace: ${elsewhere.metadata.namespace}/; /clusterIP/d' | kubectl create -f -`,
      );
    }
    return lost(
      "no-pods",
      `${text} selects no pod`,
      `There is no pod with these labels in namespace ${namespace}.`,
      [
        `kubectl get deployments,pods${inNamespace(namespace)} --show-labels`,
        `kubectl scale deployment NAME${inNamespace(namespace)} --replicas=1   # if it was scaled to none`,
      ],
      labelsOfPods(here),
    );
  }

  endpoints(): Finding | undefined {
    const { service, servicePort, door } = this.#route;
    if (!service || door === "external-name") return undefined;
    const all = endpointsOf(this.#world, service, servicePort, this.#route.address);
    const usable = this.#usable();
    if (usable.length > 0) {
      const unready = all.length - usable.length;
      return ok(
        `${counted(usable.length, "endpoint")} ready${unready > 0 ? `, ${unready} not` : ""}`,
        usable.slice(0, 8).map((endpoint) => describeEndpoint(endpoint)),
      );
    }
    const selected = this.#selectedPods();
    const terminating = selected.filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
    if (selected.length > 0 && terminating.length === selected.length) {
      return lost(
        "only-terminating-endpoints",
        `all ${counted(selected.length, "pod")} are ending`,
        "What ends gets no new connections once nothing serves any more, and nothing has taken its place.",
        `kubectl get deployments,replicasets${inNamespace(service.metadata.namespace)}   # who should make new pods?`,
      );
    }
    const alive = selected.filter((pod) => pod.metadata.deletionTimestamp === undefined);
    const sick = alive.find((pod) => !isReady(pod)) ?? alive[0];
    if (!sick) return undefined;
    if (isReady(sick)) return this.#namedPort(service, sick);
    const finding = findingOfPod(this.#world, sick);
    const text = `none of ${counted(alive.length, "pod")} is ready`;
    if (!finding?.fault) {
      return lost(
        "no-ready-endpoints",
        text,
        `Pod ${sick.metadata.name} is not ready, and traffic goes to ready pods only.`,
        `kubectl describe pod ${sick.metadata.name}${inNamespace(sick.metadata.namespace)}`,
      );
    }
    const { code, why, remedies } = finding.fault;
    return lost(code, text, `Traffic goes to ready pods only. ${why}`, remedies, [
      `pod ${sick.metadata.name}: ${finding.text}`,
    ]);
  }

  /** The pods are ready, and yet the slices have no port for them. */
  #namedPort(service: ServiceView, pod: PodView): Finding | undefined {
    const targetPort = this.#route.servicePort?.targetPort;
    if (typeof targetPort !== "string") return note("the EndpointSlices do not list the ready pods yet");
    const named = pod.spec.containers.flatMap(({ ports = [] }) =>
      ports.flatMap(({ name, containerPort }) => (name ? [{ name, containerPort }] : [])),
    );
    const similar =
      nearest(
        targetPort,
        named.map(({ name }) => name),
      ) ?? named[0]?.name;
    const containerPort = pod.spec.containers[0]?.ports?.[0]?.containerPort;
    return lost(
      "no-such-named-port",
      `no pod has a port named ${targetPort}`,
      `The Service's targetPort is a name, and the containers ${named.length > 0 ? `call theirs ${listed(named.map(({ name }) => name))}` : "give their ports no names"}.`,
      patchTargetPort(service, this.#portIndex(), similar ?? containerPort ?? 80),
    );
  }

  pod(): Finding | undefined {
    const { target } = this.#facts;
    const { pod, service, address } = this.#route;
    if (service) return undefined;
    if (target.kind === "pod" && !pod) {
      const here = this.#world.pods.filter(({ metadata }) => metadata.namespace === target.namespace);
      const similar = here.find(({ metadata }) => metadata.name.startsWith(target.name)) ?? here[0];
      return lost(
        "no-such-pod",
        `there is no pod ${target.name} in namespace ${target.namespace}`,
        similar
          ? `There is ${similar.metadata.name}. Pods that die are replaced by others of other names.`
          : "There is no pod at all.",
        `kubectl get pods${inNamespace(target.namespace)}`,
      );
    }
    if (!pod) return undefined;
    const finding = findingOfPod(this.#world, pod);
    if (finding?.fault && !isReady(pod)) return finding;
    return isOver(pod)
      ? lost(
          "pod-is-over",
          `the pod has ended (${pod.status?.phase})`,
          "Nothing runs in it any more.",
          `kubectl logs ${pod.metadata.name}${inNamespace(pod.metadata.namespace)}`,
        )
      : ok(`${keyOf(pod)} runs on ${pod.spec.nodeName}, at ${address ?? podAddresses(pod)[0]}`);
  }

  door(): Finding | undefined {
    const { source } = this.#facts;
    const { service, door, address } = this.#route;
    if (!service || !door || door === "external-name" || door === "headless") return undefined;
    const { network } = this.#world;
    const edit = `kubectl patch service ${service.metadata.name}${inNamespace(service.metadata.namespace)}`;
    if (door === "cluster-ip" && source.kind === "outside") {
      return lost(
        "cluster-ip-from-outside",
        `${address} is an address inside the cluster`,
        "A ClusterIP exists in the rules of the nodes only: from outside no route leads there.",
        [
          `${edit} -p '{"spec":{"type":"NodePort"}}'`,
          `kubectl port-forward service/${service.metadata.name}${inNamespace(service.metadata.namespace)} 8080:${this.#route.servicePort?.port ?? 80}`,
        ],
      );
    }
    if (door === "balancer" && !address) return this.#pending(service, edit);
    if (door === "balancer") {
      const ranges = service.spec.loadBalancerSourceRanges ?? [];
      const from = source.kind === "pod" ? ofFamily(podAddresses(source.pod), address) : source.address;
      if (ranges.length > 0 && from && !ranges.some((range) => isIn(range.trim(), from))) {
        return lost(
          "source-range",
          `${from} may not ask ${address}`,
          `loadBalancerSourceRanges lets only ${listed(ranges)} in; others get no answer.`,
          `${edit} -p '{"spec":{"loadBalancerSourceRanges":["${from}/${isIpv6(from) ? 128 : 32}"]}}'`,
        );
      }
    }
    if (
      door === "external-ip" &&
      source.kind === "outside" &&
      address &&
      !isNodeAddress(this.#world, address) &&
      !isIn(network.lan, address)
    ) {
      return lost(
        "external-ip-unrouted",
        `${address} leads to no node`,
        "externalIPs says what the nodes take, not who brings it there: some router must send this address to a node.",
        `${edit} -p '{"spec":{"externalIPs":["${this.#world.nodes[0]?.status?.addresses?.[0]?.address ?? "A-NODE"}"]}}'`,
      );
    }
    return this.#localOnly(service, edit) ?? ok(`${doorNames[door]} ${place(address, this.#route.port)}`);
  }

  #pending(service: ServiceView, edit: string): Finding {
    const { network, pools, events } = this.#world;
    const { hostname } = service.status?.loadBalancer?.ingress?.[0] ?? {};
    if (hostname) return note(`the external address is the name ${hostname}: ask for that, from where it is resolved`);
    const text = "the external address is <pending>";
    const refused = events.find(
      ({ involvedObject, reason }) => involvedObject.name === service.metadata.name && /Failed$/.test(reason ?? ""),
    );
    if (network.loadBalancer === "none") {
      return lost(
        "no-load-balancer",
        text,
        "Somebody must give a LoadBalancer Service its address, a cloud or MetalLB, and this cluster has neither. Its node port works all the same.",
        [
          `pinnace up --config FILE   # with "loadBalancer: metallb" (or cloud), on a new cluster`,
          `${edit} -p '{"spec":{"type":"NodePort"}}'`,
        ],
      );
    }
    if (network.loadBalancer === "metallb" && pools.length === 0) {
      return lost("no-address-pool", text, "MetalLB runs, but has no IPAddressPool to take addresses from.", [
        "kubectl apply -f metallb-config.yaml   # an IPAddressPool and an L2Advertisement in metallb-system",
      ]);
    }
    return lost(
      "address-refused",
      text,
      refused?.message ?? "The load balancer has not given it an address.",
      `kubectl describe service ${service.metadata.name}${inNamespace(service.metadata.namespace)}`,
    );
  }

  /** Traffic policy Local: only the endpoints of the node that the packet came to. */
  #localOnly(service: ServiceView, edit: string): Finding | undefined {
    const { source } = this.#facts;
    const { door } = this.#route;
    const isInternal = door === "cluster-ip";
    const isLocal = (isInternal ? service.spec.internalTrafficPolicy : service.spec.externalTrafficPolicy) === "Local";
    if (!isLocal || (!isInternal && source.kind !== "outside")) return undefined;
    const node = entryNode(this.#world, source, this.#route);
    if (!node || door === "balancer") return undefined;
    const usable = this.#usable();
    if (usable.some(({ nodeName }) => nodeName === node)) return undefined;
    const field = isInternal ? "internalTrafficPolicy" : "externalTrafficPolicy";
    const elsewhere = [...new Set(usable.map(({ nodeName }) => nodeName ?? "?"))];
    return lost(
      isInternal ? "internal-policy-local" : "external-policy-local",
      `no endpoint on ${node}, and ${field} is Local`,
      `With policy Local a node sends traffic to its own pods only; those of this Service are on ${listed(elsewhere)}.`,
      [
        ...(isInternal ? [] : [`ask a node that has one: ${listed(elsewhere)}`]),
        `${edit} -p '{"spec":{"${field}":"Cluster"}}'`,
      ],
    );
  }

  rule(): Finding | undefined {
    const { trace, source, probe, further } = this.#facts;
    const { service, door, address } = this.#route;
    const node = this.#facts.tracedNode ?? entryNode(this.#world, source, this.#route);
    if (!service || !door || door === "headless" || door === "external-name") return undefined;
    if (!trace) {
      if (probe?.outcome === "connected" || !node) return undefined;
      return unknown(`no packet was seen in the rules of ${node}`);
    }
    const matched = serviceHop(trace);
    const fatal = fatalHop(trace);
    if (!matched && trace.after.destination === trace.before.destination && this.#usable().length > 0) {
      return lost(
        "no-rule-on-node",
        `${node} has no rule for ${place(address, this.#route.port)}`,
        `The Service has endpoints, but kube-proxy on ${node} has not written it into the node's rules.`,
        [
          `pinnace logs --name ${this.#world.network.clusterName}`,
          `pinnace up --name ${this.#world.network.clusterName}   # if the server does not run`,
        ],
        fatal ? [`${fatal.table} ${fatal.chain}: ${fatal.rule ?? fatal.verdict}`] : [],
      );
    }
    const { before, after } = trace;
    const rewritten =
      after.destination === before.destination && after.port === before.port
        ? "not rewritten"
        : `rewritten to ${place(after.destination, after.port)}${this.#nameOf(after.destination)}`;
    const masquerade = isMasqueraded(trace) ? "; the source becomes the node's" : "";
    const details = matched ? [`nft on ${node}: ${matched.rule} → ${matched.verdict}`] : [];
    const end = further && fatalHop(further.trace);
    if (further)
      details.push(
        end
          ? `nft on ${further.node}: table ${end.table}, chain ${end.chain} ends the packet`
          : `nft on ${further.node}: let through to ${place(further.trace.after.destination, further.trace.after.port)}`,
      );
    if (end && probe?.outcome !== "connected" && !this.#forbidden(after.destination, after.port)) {
      return lost(
        "dropped-by-rule",
        `${place(before.destination, before.port)} is ${rewritten}, and dropped on ${further.node} by table ${end.table}`,
        `The rule "${end.rule ?? `policy of ${end.chain}`}" of node ${further.node} ends the packet.`,
        `ip netns exec pinnace-${this.#world.network.clusterName}.${further.node} nft list table ${isIpv6(after.destination) ? "ip6" : "ip"} ${end.table}`,
        details,
      );
    }
    if (this.#isHairpin(after.destination) && !isMasqueraded(trace) && probe?.outcome !== "connected") {
      return lost(
        "hairpin",
        `${place(before.destination, before.port)} is ${rewritten}, the pod that asked`,
        "The pod reaches itself through its Service, and without masquerading it gets a packet that seems to come from itself, which it drops.",
        [
          `kubectl delete pod ${this.#facts.source.kind === "pod" ? this.#facts.source.pod.metadata.name : "NAME"}   # the rules for its successor are written anew`,
        ],
        details,
      );
    }
    if (fatal && probe?.outcome !== "connected" && fatal.table !== "kube-proxy") {
      // The next step says which.
      if (this.#forbidden(after.destination, after.port))
        return note(`${place(before.destination, before.port)} is ${rewritten}, and dropped on ${node}`, [
          ...details,
          `nft on ${node}: table ${fatal.table}, chain ${fatal.chain}`,
        ]);
      return lost(
        "dropped-by-rule",
        `dropped on ${node} by table ${fatal.table}`,
        `The rule "${fatal.rule ?? `policy of ${fatal.chain}`}" ends the packet.`,
        `ip netns exec pinnace-${this.#world.network.clusterName}.${node} nft list table ${isIpv6(after.destination) ? "ip6" : "ip"} ${fatal.table}`,
        details,
      );
    }
    const self = this.#isHairpin(after.destination) ? ", the pod that asked" : "";
    return ok(`${place(before.destination, before.port)} is ${rewritten}${self}${masquerade}`, details);
  }

  policy(): Finding | undefined {
    const { probe } = this.#facts;
    const targets = this.#destinations();
    if (this.#world.policies.length === 0 || targets.length === 0) return undefined;
    for (const { address, port } of targets) {
      const finding = this.#forbidden(address, port);
      if (!finding) continue;
      if (probe?.outcome === "connected")
        return note(`${finding.text}, but nothing on this cluster enforces NetworkPolicies: the probe went through`);
      return finding;
    }
    return ok(`none of ${counted(this.#world.policies.length, "policy", "policies")} forbids it`);
  }

  #forbidden(address: string, port: number): Finding | undefined {
    const { source } = this.#facts;
    const pod = podAt(this.#world, address);
    const verdict = forbiddenBy(
      this.#world,
      partyOf(source, address),
      { address, ...(pod ? { pod } : {}) },
      port,
      this.#route.protocol,
    );
    if (!verdict) return undefined;
    const [name] = verdict.policies;
    const namespace = name?.split("/")[0];
    const isIngress = verdict.direction === "ingress";
    return lost(
      isIngress ? "policy-blocks-ingress" : "policy-blocks-egress",
      `${listed(verdict.policies)} forbids it`,
      isIngress
        ? `Once a policy selects a pod, only what some policy allows may reach it, and none allows ${describeSource(source)} to port ${port}.`
        : `Once a policy selects a pod for egress, it reaches only what some policy allows, and none allows ${address}, port ${port}.`,
      isIngress
        ? `kubectl edit networkpolicy ${nameOnly(name)}${inNamespace(namespace)}   # allow ingress from ${describeSource(source)} to port ${port}`
        : `kubectl edit networkpolicy ${nameOnly(name)}${inNamespace(namespace)}   # allow egress to port ${port}`,
    );
  }

  listener(): Finding | undefined {
    const { service, pod } = this.#route;
    const targets = this.#destinations();
    if (targets.length === 0) return undefined;
    const states = targets.map((target) => ({ ...target, ...this.#listening(target) }));
    const wrong = states.filter(({ state }) => state === "nobody" || state === "loopback");
    if (wrong.length === 0) {
      const known = states.filter(({ state }) => state === "listens");
      if (known.length === 0) return undefined;
      return ok(
        `port ${listed([...new Set(known.map(({ port }) => String(port)))])} is open in ${known.length === 1 ? `pod ${known[0]!.pod?.metadata.name}` : counted(known.length, "pod")}`,
      );
    }
    const [first] = wrong;
    const name = first!.pod?.metadata.name ?? first!.address;
    const others = first!.open;
    const some = wrong.length < states.length ? `${wrong.length} of ${states.length} pods: ` : "";
    if (first!.state === "loopback") {
      return lost(
        "listens-on-loopback",
        `${some}pod ${name} listens on 127.0.0.1:${first!.port} only`,
        "What listens on a pod's loopback is reached by the pod itself alone.",
        `let the program in ${workloadOf(first!.pod)} listen on 0.0.0.0:${first!.port}`,
      );
    }
    const text = `${some}nothing listens on port ${first!.port} in pod ${name}`;
    if (others.length === 0) {
      return lost(
        "nothing-listens",
        text,
        "The container runs, but its program has opened no port.",
        `kubectl logs ${name}${inNamespace(first!.pod?.metadata.namespace)}`,
      );
    }
    const why = `The pod listens on port ${listed(others.map(String))}.`;
    if (pod) return lost("wrong-pod-port", text, why, `use port ${others[0]}`);
    return lost(
      "wrong-target-port",
      text,
      `The Service's targetPort is ${this.#route.servicePort?.targetPort ?? this.#route.servicePort?.port}. ${why}`,
      patchTargetPort(service!, this.#portIndex(), others[0]!),
    );
  }

  answer(): Finding | undefined {
    const { probe } = this.#facts;
    const { service, port, address, door } = this.#route;
    if (!probe) return undefined;
    const where = `${place(probe.address, probe.port)}`;
    if (probe.outcome === "connected") {
      if (probe.httpStatus === undefined) return ok(`${where} answers`);
      if (probe.httpStatus < 400) return ok(`${where} answers with HTTP ${probe.httpStatus}`);
      return note(`${where} answers with HTTP ${probe.httpStatus}: the request arrives, the program refuses it`);
    }
    if (this.#route.protocol === "UDP" && probe.outcome === "silent")
      return unknown(`a datagram went to ${where}; nothing came back, and a UDP program need not answer`);
    const failing = [...this.#facts.direct.values()].filter(({ outcome }) => outcome !== "connected");
    const details = failing.map((direct) => `${place(direct.address, direct.port)} straight: ${direct.outcome}`);
    if (door === "external-name" || (!service && !this.#route.pod)) {
      return lost(
        "no-answer-outside",
        `${where} is ${outcomeWords[probe.outcome]}`,
        probe.outcome === "refused"
          ? "The machine is there, but has nothing on this port."
          : "This machine has no way there, or it does not answer.",
        `curl -v http://${address}:${port}`,
        details,
      );
    }
    return lost(
      probe.outcome === "refused" ? "refused" : "no-answer",
      `${where} is ${outcomeWords[probe.outcome]}`,
      probe.outcome === "refused"
        ? "Everything on the way is in order, and yet the connection is refused: the endpoints may have changed this moment."
        : "Everything on the way is in order, and yet no answer comes: a packet is lost between the nodes or in the pod.",
      [`ask again: ${this.#again()}`, ...(failing[0] ? [`pinnace capture ${this.#captureOf(failing[0])}`] : [])],
      details,
    );
  }

  #again(): string {
    const { target } = this.#facts;
    return `pinnace why ${target.kind === "service" ? `svc/${target.name}${inNamespace(target.namespace)}` : target.kind === "pod" ? `pod/${target.name}${inNamespace(target.namespace)}` : `${place(this.#route.address, this.#route.port)}`}`;
  }

  #captureOf(probe: Probe): string {
    const pod = podAt(this.#world, probe.address);
    return pod ? `pod/${pod.metadata.name}${inNamespace(pod.metadata.namespace)}` : "NODE";
  }

  #listening({ address, port, pod }: EndpointView): {
    state: "listens" | "loopback" | "nobody" | "unknown";
    open: number[];
  } {
    const listeners = pod ? this.#facts.listeners.get(keyOf(pod)) : undefined;
    if (!listeners) return { state: "unknown", open: [] };
    const protocol = this.#route.protocol;
    const onPort = listeners.filter((listener) => listener.port === port && listener.protocol === protocol);
    const open = [
      ...new Set(
        listeners
          .filter((listener) => listener.protocol === protocol && !isLoopback(listener))
          .map((listener) => listener.port),
      ),
    ].sort((a, b) => a - b);
    if (onPort.some((listener) => takes(listener, address))) return { state: "listens", open };
    return { state: onPort.some(isLoopback) ? "loopback" : "nobody", open };
  }

  /** Where packets may end up. */
  #destinations(): EndpointView[] {
    const { pod, address, port, service, door } = this.#route;
    if (service) {
      if (door === "external-name") return [];
      const usable = this.#usable();
      return door === "headless" && port !== undefined ? usable.map((endpoint) => ({ ...endpoint, port })) : usable;
    }
    if (!pod || !address || port === undefined) return [];
    return [{ address, port, pod, isReady: true, isServing: true, isTerminating: false }];
  }

  #usable(): EndpointView[] {
    const { service, servicePort } = this.#route;
    if (!service) return [];
    const all = endpointsOf(this.#world, service, servicePort, this.#route.address);
    const ready = all.filter((endpoint) => endpoint.isReady);
    // As kube-proxy does: what still serves while it ends is better than nothing.
    return ready.length > 0 ? ready : all.filter((endpoint) => endpoint.isServing && endpoint.isTerminating);
  }

  #selectedPods(): PodView[] {
    const { service } = this.#route;
    const selector = service?.spec.selector;
    if (!service || !selector) return [];
    return this.#world.pods.filter(
      (pod) =>
        pod.metadata.namespace === service.metadata.namespace && carries(pod.metadata.labels, selector) && !isOver(pod),
    );
  }

  #portIndex(): number {
    const { service, servicePort } = this.#route;
    return Math.max(
      0,
      service?.spec.ports?.findIndex(({ port, name }) => port === servicePort?.port && name === servicePort?.name) ?? 0,
    );
  }

  #nameOf(address: string): string {
    const pod = podAt(this.#world, address);
    return pod ? ` (${pod.metadata.name} on ${pod.spec.nodeName})` : "";
  }

  #isHairpin(address: string): boolean {
    const { source } = this.#facts;
    return source.kind === "pod" && podAddresses(source.pod).includes(address);
  }
}

const doorNames: Record<"cluster-ip" | "node-port" | "balancer" | "external-ip", string> = {
  "cluster-ip": "cluster address",
  "node-port": "node port",
  balancer: "load balancer",
  "external-ip": "external address",
};

const outcomeWords = { refused: "refused", silent: "silent", unreachable: "unreachable" } as const;

/** `asked` says of which family the address should be. */
export function partyOf(source: Source, asked?: string): Party {
  return source.kind === "pod"
    ? { pod: source.pod, address: ofFamily(podAddresses(source.pod), asked) ?? "" }
    : { address: source.address };
}

export function describeSource(source: Source): string {
  if (source.kind === "pod") return `pod ${keyOf(source.pod)}`;
  return source.kind === "node" ? `node ${source.name}` : "outside the cluster";
}

function describeTarget(target: Target, { port }: Route): string {
  const suffix = port === undefined ? "" : `, port ${port}`;
  switch (target.kind) {
    case "service":
      return `Service ${target.namespace}/${target.name}${suffix}`;
    case "pod":
      return `Pod ${target.namespace}/${target.name}${suffix}`;
    case "workload":
      return `${target.resource} ${target.namespace}/${target.name}`;
    case "name":
      return `${target.name}${suffix}`;
    case "address":
      return `${target.address}${suffix}`;
  }
}

function describeEndpoint({ address, port, pod, nodeName, isTerminating }: EndpointView): string {
  return `${place(address, port)}${pod ? `  ${pod.metadata.name}` : ""}${nodeName ? ` on ${nodeName}` : ""}${isTerminating ? ", ending" : ""}`;
}

/**
 * The pod whose labels come nearest to what is selected: a slip of the finger apart; or the only kind of pod that has other values
 * under the same keys. Where there are several kinds, none of them need be meant.
 */
function closest(pods: readonly PodView[], selector: Readonly<Record<string, string>>): PodView | undefined {
  const candidates = pods.flatMap((pod) => {
    const labels = fitting(pod, selector);
    const values = Object.values(labels);
    const near = values.filter((value) => nearest(value, Object.values(selector))).length;
    return values.length > 0 ? [{ pod, kind: JSON.stringify(labels), near, score: near * 3 + values.length }] : [];
  });
  const best = candidates.sort((a, b) => b.score - a.score)[0];
  if (!best || best.near > 0) return best?.pod;
  return new Set(candidates.map(({ kind }) => kind)).size === 1 ? best.pod : undefined;
}

/** The pod's own labels that stand where the selector's should. */
function fitting({ metadata }: PodView, selector: Readonly<Record<string, string>>): Record<string, string> {
  const labels = Object.entries(metadata.labels ?? {}).filter(([key]) => key !== "pod-template-hash");
  const found: Record<string, string> = {};
  for (const [key, value] of Object.entries(selector)) {
    const label =
      labels.find(([candidate]) => candidate === key) ??
      labels.find(([, candidate]) => candidate === value) ??
      labels.find(([candidate]) => nearest(key, [candidate]) !== undefined);
    if (label) found[label[0]] = label[1];
  }
  return found;
}

function patchTargetPort({ metadata }: ServiceView, index: number, port: number | string): string {
  const value = typeof port === "number" ? port : `"${port}"`;
  return `kubectl patch service ${metadata.name}${inNamespace(metadata.namespace)} --type=json -p '[{"op":"replace","path":"/spec/ports/${index}/targetPort","value":${value}}]'`;
}

function workloadOf(pod: PodView | undefined): string {
  const owner = pod?.metadata.ownerReferences?.[0];
  return owner ? `${owner.kind} ${owner.name}` : `pod ${pod?.metadata.name ?? ""}`;
}

const dnsAddress = (world: World): string => findService(world, "kube-system", "kube-dns")?.spec.clusterIP ?? "";
const nameOnly = (key: string | undefined): string => key?.split("/").at(-1) ?? "";
const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

/** What pods are labelled instead, each kind once with its number; nothing of many kinds. */
function labelsOfPods(pods: readonly PodView[]): string[] {
  const counts = new Map<string, number>();
  for (const { metadata } of pods) {
    const { "pod-template-hash": _, ...labels } = metadata.labels ?? {};
    const text = printLabels(labels);
    if (text) counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  const groups = [...counts].map(([labels, count]) => `${labels} (${count})`);
  return groups.length > 0 && groups.length <= 4 ? [`pods here have the labels ${groups.join("; ")}`] : [];
}
