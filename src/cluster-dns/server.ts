/** Cluster DNS: the zone kept by informers, the plugins around it, and the sockets that serve them (upstream's CoreDNS as kubeadm deploys it). */
import type { Socket as UdpSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import type { Namespace, Service } from "../api/core/v1.ts";
import type { EndpointSlice } from "../api/discovery/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { EndpointSlices, Namespaces, Services } from "../api/resources.ts";
import type { Clock } from "../base/clock.ts";
import { Owner } from "../base/disposal.ts";
import { familyOf } from "../base/ip.ts";
import type { Logger } from "../base/logger.ts";
import { DatagramBatch, hasDatagramBatches } from "../base/node/datagram-batch.ts";
import { boundSocketIn, listenOn, udpSocketOn } from "../base/node/netns.ts";
import type { Random } from "../base/random.ts";
import { keyOf, type ObjectKey } from "../controller-runtime/cache.ts";
import type { InformerCache } from "../controller-runtime/informer-cache.ts";
import { serviceOfSlice, slicesByService } from "../controller-runtime/service-indexes.ts";
import { CachePlugin } from "./cache.ts";
import { ForwardPlugin, nameserversOf } from "./forward.ts";
import { KnownAnswers } from "./known-answers.ts";
import { KubernetesPlugin } from "./kubernetes.ts";
import { DnsMetrics, type Listener, metricsServer } from "./metrics.ts";
import { chain, type Next, type Plugin } from "./plugin.ts";
import { respond } from "./respond.ts";
import { Zone } from "./zone.ts";

export interface ClusterDnsOptions {
  /** Fills the zone, and may keep it filled. Resolves when every name that there is can be asked for. */
  inform(zone: Zone): Promise<void>;
  clock: Clock;
  random: Random;
  log: Logger;
  /** Default `cluster.local`. */
  domain?: string;
  /** Asked before everything else. */
  plugins?: readonly Plugin[];
  /** Asked for what is not the cluster's, before the host's resolvers are. */
  settings?: Plugin & { close(): void };
  /** Of the kube-dns Service. */
  serviceAddresses: readonly string[];
  /** Where to serve: the endpoints of the kube-dns Service. */
  listen: readonly DnsSockets[];
  /** Resolvers for everything else. Default: the nameservers of this machine's /etc/resolv.conf, read when they are needed. */
  resolvers?: () => readonly string[];
}

/** Bound sockets, by their descriptors. */
export interface DnsSockets {
  address: string;
  udp: number;
  tcp: number;
  /** Where metrics are told: none where somebody else has the port. */
  metrics?: number;
}

/** As CoreDNS has it. */
export const metricsPort = 9153;

/**
 * Sockets on an address of a node, in the node's namespace. Who serves next may bind the same address before the present
 * one lets go of it, so that no question meets a closed door.
 */
export function bindDnsSockets(netnsPath: string, address: string, port = 53): DnsSockets {
  const bind = (protocol: "udp" | "tcp") =>
    boundSocketIn(netnsPath, protocol, address, port, {
      isShared: true,
      ...(protocol === "udp" ? { receiveBytes } : {}),
    });
  return { address, udp: bind("udp"), tcp: bind("tcp"), ...(port === 53 ? boundMetrics(netnsPath, address) : {}) };
}

function boundMetrics(netnsPath: string, address: string): { metrics?: number } {
  try {
    return { metrics: boundSocketIn(netnsPath, "tcp", address, metricsPort, { isShared: true }) };
  } catch {
    return {}; // A pod on the node's network has the port; names are more important.
  }
}

export class ClusterDns {
  readonly #options: ClusterDnsOptions;
  readonly #owner = new Owner();
  readonly #metrics = new DnsMetrics();

  constructor(options: ClusterDnsOptions) {
    this.#options = options;
  }

  /** Resolves when every socket is served and every name that there is can be asked for. */
  async start(): Promise<void> {
    const { inform, clock, random, log, domain = "cluster.local", serviceAddresses, listen } = this.#options;
    const zone = new Zone(domain);
    const informed = inform(zone);
    const own = [...serviceAddresses, ...listen.map(({ address }) => address)];
    const resolvers = this.#options.resolvers ?? hostResolvers(clock, own);
    const forward = new ForwardPlugin({ resolvers, clock, random, log });
    this.#owner.own(() => forward.close());
    const { settings } = this.#options;
    if (settings) this.#owner.own(() => settings.close());
    const ask = chain([
      ...(this.#options.plugins ?? []),
      new KubernetesPlugin({ zone, random, serverAddresses: serviceAddresses }),
      // Not remembered: what the user edits holds at once.
      ...(settings ? [settings] : []),
      new CachePlugin({ clock, counts: this.#metrics.cache }),
      forward,
    ]);
    const known = new KnownAnswers(zone);
    await informed;
    try {
      for (const sockets of listen) await this.#serve(sockets, ask, known);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#owner.close();
  }

  async #serve(sockets: DnsSockets, ask: Next, known: KnownAnswers): Promise<void> {
    const udp = await udpSocketOn(sockets.udp, familyOf(sockets.address));
    this.#owner.own(() => void udp.close());
    const { answered } = this.#metrics;
    serveUdp(udp, ask, hasDatagramBatches() ? { batch: new DatagramBatch(sockets.udp), known } : undefined, answered);
    const tcp = createServer();
    this.#owner.own(serveTcp(tcp, ask, answered));
    await listenOn(tcp, sockets.tcp);
    if (sockets.metrics === undefined) return;
    const metrics = metricsServer(this.#metrics);
    this.#owner.own(() => {
      metrics.close();
      metrics.closeAllConnections();
    });
    await listenOn(metrics, sockets.metrics);
  }
}

/** Keeps the zone as the cluster is; resolves when it was read once. */
export async function informZone(zone: Zone, cache: InformerCache): Promise<void> {
  const services = cache.informer(Services);
  const slices = cache.informer(EndpointSlices);
  const namespaces = cache.informer(Namespaces);
  slices.addIndex(slicesByService);
  const restate = (key: ObjectKey) => zone.state(key, services.get(key), slices.byIndex(slicesByService.name, key));
  namespaces.addHandler(({ type, object }) => {
    if (type === "DELETED") zone.removeNamespace(object.metadata.name);
    else zone.addNamespace(object.metadata.name);
  });
  services.addHandler(({ object }) => restate(keyOf(object)));
  slices.addHandler(({ object, previous }) => {
    const keys = new Set([serviceOfSlice(object), previous && serviceOfSlice(previous)]);
    for (const key of keys) if (key) restate(key);
  });
  await Promise.all([services.synced, slices.synced, namespaces.synced]);
}

/** Makes the zone what the cluster was when these were read. */
export function fillZone(
  zone: Zone,
  namespaces: readonly DeepReadonly<Namespace>[],
  services: readonly DeepReadonly<Service>[],
  slices: readonly DeepReadonly<EndpointSlice>[],
): void {
  for (const { metadata } of namespaces) zone.addNamespace(metadata.name);
  const slicesOf = new Map<ObjectKey, DeepReadonly<EndpointSlice>[]>();
  for (const slice of slices) {
    const key = serviceOfSlice(slice);
    const known = key && slicesOf.get(key);
    if (known) known.push(slice);
    else if (key) slicesOf.set(key, [slice]);
  }
  for (const service of services) zone.state(keyOf(service), service, slicesOf.get(keyOf(service)) ?? []);
}

/** Some thousand questions, for the moments in which the process does something else: what does not fit is lost. */
const receiveBytes = 4 << 20;

/** How many packets are answered with few system calls and little thought. */
export interface QuickUdp {
  /** Of the same descriptor as the socket. */
  batch: DatagramBatch;
  known: KnownAnswers;
}

/** Answers what comes to the socket. */
export function serveUdp(socket: UdpSocket, ask: Next, quick?: QuickUdp, onAnswer?: Listener): void {
  const send = (response: Buffer, to: { address: string; port: number }) => {
    try {
      socket.send(response, to.port, to.address);
    } catch {
      // Closed while the answer was on its way.
    }
  };
  socket.on("error", () => {}); // A client that went away; the next packet is another's.
  if (!quick) {
    socket.on("message", (packet, from) => {
      const response = respond(packet, "udp", ask);
      const give = (response: Buffer) => {
        onAnswer?.(packet, response, "udp");
        send(response, from);
      };
      if (response instanceof Promise) void response.then(give);
      else if (response) give(response);
    });
    return;
  }
  const { batch, known } = quick;
  const answer = (
    packet: Buffer,
    reply: (response: Buffer) => Buffer,
    sender: () => { address: string; port: number },
  ) => {
    const ready = known.find(packet);
    const response = ready ?? respond(packet, "udp", ask, (response) => known.keep(packet, response));
    if (response instanceof Promise) {
      const from = sender();
      const asked = Buffer.from(packet); // Its buffer may hold another packet by then.
      void response.then((response) => {
        onAnswer?.(asked, response, "udp");
        send(response, from);
      });
    } else if (response) {
      onAnswer?.(packet, response, "udp");
      const sent = reply(response);
      sent[0] = packet[0]!; // What was known answers another id.
      sent[1] = packet[1]!;
    }
  };
  // Node hands over the first packet; those that wait behind it are taken together.
  socket.on("message", (first, from) => {
    answer(
      first,
      (response) => batch.answerTo(from.address, from.port, response),
      () => from,
    );
    const count = batch.receive();
    for (let i = 0; i < count; i++) {
      answer(
        batch.packet(i),
        (response) => batch.answer(i, response),
        () => batch.sender(i),
      );
    }
    batch.flush();
  });
}

const mostConnections = 512;
const idleMs = 10_000;
/** Questions of one connection that are answered at the same time; reading stops beyond. */
const mostPipelined = 64;

/** Answers what comes over the server's connections; returns what closes them and the server. */
export function serveTcp(server: Server, ask: Next, onAnswer?: Listener): () => void {
  const open = new Set<Socket>();
  server.maxConnections = mostConnections;
  server.on("connection", (socket) => {
    open.add(socket);
    socket.setTimeout(idleMs, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => open.delete(socket));
    let received = Buffer.alloc(0);
    let answering = 0;
    const take = () => {
      while (answering < mostPipelined && received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const length = received.readUInt16BE(0);
        const question = received.subarray(2, 2 + length);
        const response = respond(question, "tcp", ask);
        received = received.subarray(2 + length);
        if (response === undefined) return void socket.destroy();
        answering++;
        void Promise.resolve(response).then((bytes) => {
          answering--;
          onAnswer?.(question, bytes, "tcp");
          const framed = Buffer.alloc(2 + bytes.length);
          framed.writeUInt16BE(bytes.length);
          bytes.copy(framed, 2);
          if (!socket.destroyed) socket.write(framed);
          take();
        });
      }
      if (answering >= mostPipelined) socket.pause();
      else socket.resume();
    };
    socket.on("data", (chunk) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      take();
    });
  });
  return () => {
    if (server.listening) server.close();
    for (const socket of open) socket.destroy();
  };
}

const resolvConfPath = "/etc/resolv.conf";
const rereadMs = 5000;

/** This machine's nameservers, read again at most every five seconds. */
function hostResolvers(clock: Clock, except: readonly string[]): () => readonly string[] {
  let known: string[] = [];
  let readAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    if (clock.now() - readAtMs > rereadMs) {
      readAtMs = clock.now();
      try {
        known = nameserversOf(readFileSync(resolvConfPath, "utf8"), except);
      } catch {
        known = []; // No resolv.conf: nothing outside the cluster can be resolved.
      }
    }
    return known;
  };
}
