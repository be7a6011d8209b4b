import { execFileSync } from "node:child_process";
import type { Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Pod } from "../api/core/v1.ts";
import type { NetworkPolicy } from "../api/networking/v1.ts";
import { silentLogger } from "../base/logger.ts";
import { type LinkChange, Links } from "../base/node/links.ts";
import { connectIn, createNetns, deleteNetns, listenIn, netnsPath, udpSocketIn } from "../base/node/netns.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { keyOf, type ObjectKey } from "../controller-runtime/cache.ts";
import { PolicyEnforcer } from "./enforcer.ts";
import {
  namespaces,
  type Place,
  type Port,
  podAddresses,
  podAddresses6,
  pods,
  policy,
  policyCases,
} from "./policy-cases.ts";
import type { PeerListeners, PolicySource } from "./policy-source.ts";

const id = `pnt-policy-${process.pid}`;
const names = { lan: `${id}-lan`, n1: `${id}-n1`, n2: `${id}-n2`, outside: `${id}-o` } as const;
const podNames = { web: `${id}-web`, db: `${id}-db`, prober: `${id}-p` } as const;
const path = (place: Place) => netnsPath(place === "outside" ? names.outside : podNames[place]);
const lanAddress = { n1: "198.18.80.4", n2: "198.18.80.5", outside: podAddresses.outside };

type PolicyListener = (key: ObjectKey, policy: NetworkPolicy | undefined) => void;

/** Stands in for the informers. */
class Policies implements PolicySource {
  readonly #policies = new Map<ObjectKey, NetworkPolicy>();
  #listener: PolicyListener | undefined;
  peers: PeerListeners | undefined;

  async onPolicy(listener: PolicyListener) {
    this.#listener = listener;
  }

  async onPeers(listeners: PeerListeners) {
    this.peers = listeners;
    for (const [name, labels] of Object.entries(namespaces)) listeners.namespace(name, labels);
    for (const pod of pods()) listeners.pod(pod.metadata.uid, pod);
  }

  /** Replaces all policies. */
  set(policies: readonly NetworkPolicy[]) {
    for (const key of this.#policies.keys()) {
      if (!policies.some((each) => keyOf(each) === key)) this.#listener!(key, undefined);
    }
    this.#policies.clear();
    for (const each of policies) {
      this.#policies.set(keyOf(each), each);
      this.#listener!(keyOf(each), each);
    }
  }
}

const source = new Policies();
const aborter = new AbortController();
const enforcer = new PolicyEnforcer({
  nodes: (["n1", "n2"] as const).map((name) => ({
    name,
    netnsPath: netnsPath(names[name]),
    endpoints: [{ address: lanAddress[name], protocol: "tcp", port: 8080 }],
  })),
  source,
  standIns: [{ namespace: "kube-system", labels: { "k8s-app": "kube-dns" }, ips: [lanAddress.n1, lanAddress.n2] }],
  clock: systemClock,
  log: silentLogger,
});
let running: Promise<void>;
const servers: (Server | UdpSocket)[] = [];

async function serve(netns: string, address: string): Promise<void> {
  for (const port of [8080, 9090]) {
    const server = createServer((socket) => socket.on("error", () => {}).pipe(socket));
    await listenIn(server, netns, address, port);
    servers.push(server);
  }
  const udp = await udpSocketIn(netns, address, 5353);
  udp.on("message", (message, { address, port }) => udp.send(message, port, address));
  servers.push(udp);
}

beforeAll(async () => {
  const open = Object.fromEntries(
    Object.entries({ ...names, ...podNames }).map(([name, netns]) => [name, createNetns(netns, () => new Links())]),
  ) as Record<keyof typeof names | keyof typeof podNames, Links>;
  const up = (...links: string[]) => links.map((name): LinkChange => ({ kind: "up", name }));
  const cable = (name: string, master: string, netns: string): LinkChange => ({
    kind: "veth",
    name,
    master,
    peer: { name: "eth0", netns: netnsPath(netns) },
  });
  open.lan.apply([
    { kind: "bridge", name: "lan" },
    cable("o", "lan", names.outside),
    cable("n1", "lan", names.n1),
    cable("n2", "lan", names.n2),
  ]);
  for (const [node, number, members] of [
    ["n1", 1, ["web", "db"]],
    ["n2", 2, ["prober"]],
  ] as const) {
    for (const setting of [
      "net.ipv4.ip_forward=1",
      "net.ipv6.conf.all.forwarding=1",
      "net.ipv6.conf.default.accept_dad=0",
      "net.ipv4.conf.all.rp_filter=0",
      "net.ipv4.conf.default.rp_filter=0",
      "net.ipv4.conf.default.send_redirects=0",
      "net.ipv4.conf.all.send_redirects=0",
    ]) {
      execFileSync("ip", ["netns", "exec", names[node], "sysctl", "-qw", setting]);
    }
    const other = number === 1 ? 2 : 1;
    open[node].apply([
      ...up("lo", "eth0"),
      { kind: "bridge", name: "cni0" },
      ...members.map((pod) => cable(pod, "cni0", podNames[pod])),
      { kind: "address", link: "eth0", address: `${lanAddress[node]}/24` },
      { kind: "address", link: "eth0", address: `fd00:18::${number + 3}/64` },
      { kind: "address", link: "cni0", address: `10.244.${number}.1/24` },
      { kind: "address", link: "cni0", address: `fd00:10:244:${number}::1/64` },
      { kind: "route", to: `10.244.${other}.0/24`, via: lanAddress[other === 1 ? "n1" : "n2"], link: "eth0" },
      { kind: "route", to: `fd00:10:244:${other}::/64`, via: `fd00:18::${other + 3}`, link: "eth0" },
    ]);
    for (const pod of members) {
      const gateways = [`10.244.${number}.1`, `fd00:10:244:${number}::1`];
      open[pod].apply([
        ...up("lo", "eth0"),
        { kind: "address", link: "eth0", address: `${podAddresses[pod]}/24`, onLink: false },
        { kind: "route", to: gateways[0]!, link: "eth0" },
        { kind: "route", to: "default", via: gateways[0]!, link: "eth0" },
        { kind: "address", link: "eth0", address: `${podAddresses6[pod]}/64`, onLink: false },
        { kind: "route", to: gateways[1]!, link: "eth0" },
        { kind: "route", to: "default", via: gateways[1]!, link: "eth0" },
      ]);
    }
  }
  open.outside.apply([
    ...up("lo", "eth0"),
    { kind: "address", link: "eth0", address: `${podAddresses.outside}/24` },
    { kind: "route", to: "10.244.1.0/24", via: lanAddress.n1, link: "eth0" },
    { kind: "route", to: "10.244.2.0/24", via: lanAddress.n2, link: "eth0" },
  ]);
  for (const links of Object.values(open)) links.close();
  for (const pod of ["web", "db", "prober"] as const) {
    await serve(netnsPath(podNames[pod]), podAddresses[pod]);
    await serve(netnsPath(podNames[pod]), podAddresses6[pod]);
  }
  await serve(netnsPath(names.outside), podAddresses.outside);
  for (const node of ["n1", "n2"] as const) await serve(netnsPath(names[node]), lanAddress[node]);
  running = enforcer.run(aborter.signal);
});

afterEach(() => source.set([]));

afterAll(async () => {
  aborter.abort();
  await running;
  for (const server of servers) server.close();
  for (const name of [...Object.values(names), ...Object.values(podNames)]) deleteNetns(name);
});

const patienceMs = { allowed: 5000, denied: 120 };

/** Whether an answer comes to a packet or connection of this place. */
async function reaches(from: string, address: string, port: string, expected: "allowed" | "denied"): Promise<string> {
  const [protocol, number] = port.split("/") as [string, string];
  const signal = AbortSignal.timeout(patienceMs[expected]);
  try {
    if (protocol === "udp") {
      const any = address.includes(":") ? podAddresses6[from.endsWith("-p") ? "prober" : "web"] : "0.0.0.0";
      const socket = await udpSocketIn(netnsPath(from), any, 0);
      try {
        socket.send("ping", Number(number), address);
        await once(socket, "message", { signal });
      } finally {
        socket.close();
      }
    } else {
      const socket = connectIn(netnsPath(from), address, Number(number));
      try {
        socket.write("ping");
        await once(socket, "data", { signal });
      } finally {
        socket.destroy();
      }
    }
    return "allowed";
  } catch {
    return "denied";
  }
}

const attempt = ([from, to, port]: [Place, Place, Port], expected: "allowed" | "denied") =>
  reaches(from === "outside" ? names.outside : podNames[from], podAddresses[to], port, expected);

describe.each(policyCases)("$title", ({ policies, allowed, denied }) => {
  test("in the kernel", async () => {
    source.set(policies);
    await enforcer.settled();
    const outcomes = (list: [Place, Place, Port][], expected: "allowed" | "denied") =>
      Promise.all(list.map(async (each) => [...each, await attempt(each, expected)]));
    expect(await outcomes(allowed, "allowed")).toEqual(allowed.map((each) => [...each, "allowed"]));
    expect(await outcomes(denied, "denied")).toEqual(denied.map((each) => [...each, "denied"]));
  });
});

const denyAll = policy("deny", "shop", { podSelector: {}, policyTypes: ["Ingress", "Egress"] });

test("IPv6 meets the same policies", async () => {
  expect(await reaches(podNames.prober, podAddresses6.web, "tcp/8080", "allowed")).toBe("allowed");
  source.set([denyAll]);
  await enforcer.settled();
  expect(await reaches(podNames.prober, podAddresses6.web, "tcp/8080", "denied")).toBe("denied");
});

test("the node reaches its pods whatever policies say, so that probes succeed, and another node does not", async () => {
  source.set([denyAll]);
  await enforcer.settled();
  expect(await reaches(names.n1, podAddresses.web, "tcp/8080", "allowed")).toBe("allowed");
  expect(await reaches(names.n2, podAddresses.web, "tcp/8080", "denied")).toBe("denied");
  // And a pod its node, but for what the node serves in a pod's stead.
  expect(await reaches(podNames.web, lanAddress.n1, "tcp/9090", "allowed")).toBe("allowed");
  expect(await reaches(podNames.web, lanAddress.n1, "tcp/8080", "denied")).toBe("denied");
});

test("what stands in for a pod is allowed as that pod", async () => {
  const dns = { namespaceSelector: {}, podSelector: { matchLabels: { "k8s-app": "kube-dns" } } };
  source.set([policy("dns", "shop", { podSelector: {}, policyTypes: ["Egress"], egress: [{ to: [dns] }] })]);
  source.peers?.namespace("kube-system", {});
  await enforcer.settled();
  expect(await reaches(podNames.web, lanAddress.n1, "tcp/8080", "allowed")).toBe("allowed");
  expect(await reaches(podNames.web, lanAddress.n2, "tcp/8080", "allowed")).toBe("allowed");
  expect(await reaches(podNames.web, podAddresses.prober, "tcp/8080", "denied")).toBe("denied");
});

test("a connection that stands outlives a policy that forbids new ones", async () => {
  const socket = connectIn(path("prober"), podAddresses.web, 8080);
  socket.write("before");
  expect(String((await once(socket, "data"))[0])).toBe("before");
  source.set([denyAll]);
  await enforcer.settled();
  socket.write("after");
  expect(String((await once(socket, "data"))[0])).toBe("after");
  socket.destroy();
});

test("a label, a namespace's label and a pod's end change who is meant", async () => {
  const team = { namespaceSelector: { matchLabels: { team: "ops" } } };
  source.set([policy("ops", "shop", { podSelector: {}, policyTypes: ["Ingress"], ingress: [{ from: [team] }] })]);
  await enforcer.settled();
  expect(await attempt(["prober", "web", "tcp/8080"], "allowed")).toBe("allowed");
  source.peers!.namespace("watch", { team: "dev" });
  await enforcer.settled();
  expect(await attempt(["prober", "web", "tcp/8080"], "denied")).toBe("denied");
  source.peers!.namespace("watch", namespaces.watch);
  await enforcer.settled();
  expect(await attempt(["prober", "web", "tcp/8080"], "allowed")).toBe("allowed");
  const prober = pods()[2]!;
  // Its address may be another pod's next.
  source.peers!.pod("prober", { ...prober, status: { ...prober.status, phase: "Succeeded" } });
  await enforcer.settled();
  expect(await attempt(["prober", "web", "tcp/8080"], "denied")).toBe("denied");
  source.peers!.pod("prober", prober);
});

test("a pod is isolated before its status tells its address", async () => {
  source.set([denyAll]);
  await enforcer.settled();
  const [web] = pods() as [Pod];
  source.peers!.pod("web", { ...web, status: { phase: "Pending" } });
  await enforcer.settled();
  expect(await attempt(["prober", "web", "tcp/8080"], "allowed")).toBe("allowed");
  await enforcer.attached("web", [podAddresses.web], aborter.signal);
  expect(await attempt(["prober", "web", "tcp/8080"], "denied")).toBe("denied");
  source.peers!.pod("web", web);
});

test("rules stay in effect while no enforcer runs, and the next one takes them over", async () => {
  source.set([denyAll]);
  await enforcer.settled();
  const next = new AbortController();
  const nextSource = new Policies();
  const second = new PolicyEnforcer({
    nodes: [{ name: "n1", netnsPath: netnsPath(names.n1), endpoints: [] }],
    source: nextSource,
    clock: systemClock,
    log: silentLogger,
  });
  const secondRun = second.run(next.signal);
  nextSource.set([policy("deny", "shop", { podSelector: { matchLabels: { app: "db" } }, policyTypes: ["Ingress"] })]);
  await second.settled();
  expect(await attempt(["prober", "web", "tcp/8080"], "allowed")).toBe("allowed");
  expect(await attempt(["prober", "db", "tcp/8080"], "denied")).toBe("denied");
  next.abort();
  await secondRun;
});
