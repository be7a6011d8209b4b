/** Sends real packets: connections from inside a namespace, questions to cluster DNS, and the kernel's trace of their way. */

import type { ChildProcess } from "node:child_process";
import { createSocket as createUdpSocket, type Socket as UdpSocket } from "node:dgram";
import { lookup as hostLookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { type Clock, sleep } from "../base/clock.ts";
import { formatIp } from "../base/ip.ts";
import { connectIn, inNetns, spawnIn, udpSocketIn } from "../base/node/netns.ts";
import { classInternet, type Message, RecordType } from "../cluster-dns/message.ts";
import { decodeMessage, encodeMessage } from "../cluster-dns/wire.ts";
import { type Nft, openNft } from "../nftables/nft.ts";
import type { Probe } from "./explain-path.ts";
import { type Listener, readListeners } from "./listeners.ts";
import type { Lookup } from "./route.ts";
import { isIpv6 } from "./world.ts";

/** Long for a LAN of one machine, short for a person. */
const patienceMs = 300;

export interface ProbeOptions {
  clock: Clock;
  /** Undefined: this machine itself. */
  netns: string | undefined;
  address: string;
  port: number;
  /** Asked for with GET once the connection stands. */
  httpPath?: string;
}

/** One TCP connection. Never rejects. */
export function probeTcp({ clock, netns, address, port, httpPath }: ProbeOptions): Promise<Probe> {
  return new Promise((resolve) => {
    let socket: Socket;
    const done = (outcome: Probe["outcome"], httpStatus?: number) => {
      timer[Symbol.dispose]();
      socket?.destroy();
      resolve({ address, port, outcome, ...(httpStatus === undefined ? {} : { httpStatus }) });
    };
    const timer = clock.setTimer(patienceMs, () => done(isConnected ? "connected" : "silent"));
    let isConnected = false;
    try {
      socket = netns ? connectIn(netns, address, port) : connect(port, address);
    } catch {
      done("unreachable");
      return;
    }
    socket.once("connect", () => {
      isConnected = true;
      if (httpPath === undefined) return done("connected");
      socket.write(
        `GET ${httpPath} HTTP/1.1\r\nHost: ${isIpv6(address) ? `[${address}]` : address}\r\nConnection: close\r\nUser-Agent: pinnace-why\r\n\r\n`,
      );
    });
    socket.on("data", (chunk) => {
      const status = /^HTTP\/1\.[01] (\d{3})/.exec(chunk.toString("latin1"))?.[1];
      done("connected", status === undefined ? undefined : Number(status));
    });
    socket.once("error", (error: NodeJS.ErrnoException) =>
      done(
        isConnected
          ? "connected"
          : error.code === "ECONNREFUSED"
            ? "refused"
            : error.code === "ETIMEDOUT"
              ? "silent"
              : "unreachable",
      ),
    );
    socket.once("end", () => done(isConnected ? "connected" : "refused"));
  });
}

/**
 * One datagram: a question to a name server, an empty line to anybody else. `refused` when the kernel says that nobody takes it,
 * `connected` when something comes back; `silent` says nothing, for a UDP program need not answer. Never rejects.
 */
export async function probeUdp({ clock, netns, address, port }: Omit<ProbeOptions, "httpPath">): Promise<Probe> {
  const isAnswered = (outcome: Probe["outcome"]): Probe => ({ address, port, outcome });
  let socket: UdpSocket;
  try {
    const isV6 = isIpv6(address);
    socket = netns ? await udpSocketIn(netns, isV6 ? "::" : "0.0.0.0", 0) : createUdpSocket(isV6 ? "udp6" : "udp4");
  } catch {
    return isAnswered("unreachable");
  }
  return new Promise<Probe>((resolve) => {
    const done = (outcome: Probe["outcome"]) => {
      timer[Symbol.dispose]();
      resolve(isAnswered(outcome));
    };
    const timer = clock.setTimer(udpPatienceMs, () => done("silent"));
    socket.once("error", (error: NodeJS.ErrnoException) =>
      done(error.code === "ECONNREFUSED" ? "refused" : "unreachable"),
    );
    socket.once("message", () => done("connected"));
    // Of a connected socket the kernel tells what comes back as an ICMP message.
    socket.connect(port, address, () => {
      socket.send(port === 53 ? encodeMessage(question("kubernetes.default.svc.cluster.local")) : "\n");
    });
  }).finally(() => socket.close());
}

/** A refusal is there at once. */
const udpPatienceMs = 150;

/** What a pod's resolver goes by. */
export interface ResolverView {
  nameservers: readonly string[];
  searches: readonly string[];
  ndots: number;
}

/** As a pod's libc asks: the search list for short names, the name itself for long ones. */
export async function lookupIn(netns: string, name: string, resolver: ResolverView, clock: Clock): Promise<Lookup> {
  const [server] = resolver.nameservers;
  if (!server) return { asked: [], addresses: [], isUnanswered: true };
  const asked: string[] = [];
  for (const candidate of candidates(name, resolver)) {
    asked.push(candidate);
    const answer = await askDns(netns, server, candidate, clock);
    if (!answer) return { asked, addresses: [], isUnanswered: true };
    const addresses = addressesIn(answer);
    const alias = answer.answers
      .flatMap(({ type, data }) => (type === RecordType.CNAME && data.kind === "name" ? [data.name] : []))
      .at(-1);
    // Of a Service of IPv6 alone there is nothing else.
    const ofV6 = addresses.length > 0 ? undefined : await askDns(netns, server, candidate, clock, RecordType.AAAA);
    const found = ofV6 ? addressesIn(ofV6) : addresses;
    if (found.length > 0 || alias) return { asked, addresses: found, ...(alias ? { alias } : {}) };
  }
  return { asked, addresses: [] };
}

function candidates(name: string, { searches, ndots }: ResolverView): string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const longer = searches.map((search) => `${name}.${search}`);
  return name.split(".").length - 1 >= ndots ? [name, ...longer] : [...longer, name];
}

const addressesIn = ({ answers }: Message): string[] =>
  answers.flatMap(({ type, data }) =>
    (type === RecordType.A || type === RecordType.AAAA) && data.kind === "bytes" ? [formatIp(data.bytes)] : [],
  );

async function askDns(
  netns: string,
  server: string,
  name: string,
  clock: Clock,
  type: number = RecordType.A,
): Promise<Message | undefined> {
  const socket = await udpSocketIn(netns, isIpv6(server) ? "::" : "0.0.0.0", 0);
  try {
    return await new Promise<Message | undefined>((resolve) => {
      const timer = clock.setTimer(patienceMs, () => resolve(undefined));
      const done = (message: Message | undefined) => {
        timer[Symbol.dispose]();
        resolve(message);
      };
      socket.once("error", () => done(undefined));
      socket.once("message", (bytes) => done(decodeMessage(bytes)));
      socket.send(encodeMessage(question(name, type)), 53, server, (error) => error && done(undefined));
    });
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}

function question(name: string, type: number = RecordType.A): Message {
  return {
    id: 1,
    isResponse: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    checkingDisabled: false,
    rcode: 0,
    questions: [{ name, type, class: classInternet }],
    answers: [],
    authority: [],
    additional: [],
  };
}

/** As this machine resolves it. */
export async function lookupHere(name: string, clock: Clock): Promise<Lookup> {
  const found = hostLookup(name, { all: true }).then(
    // IPv4 first, as everything here is asked that has both.
    (entries) => [...entries].sort((a, b) => a.family - b.family).map(({ address }) => address),
    () => [],
  );
  return { asked: [name], addresses: await Promise.race([found, sleep(clock, patienceMs).then(() => [])]) };
}

/** Who listens in a namespace. Undefined when it cannot be entered. */
export function listenersIn(netns: string): Listener[] | undefined {
  try {
    return inNetns(netns, () =>
      (["tcp", "tcp6", "udp", "udp6"] as const).flatMap((file) =>
        readListeners(readFileSync(`/proc/thread-self/net/${file}`, "utf8"), file.startsWith("tcp") ? "TCP" : "UDP"),
      ),
    );
  } catch {
    return undefined;
  }
}

/** Begins the name of the table that asks for the trace; its own lines say nothing. */
export const traceTable = "pinnace-why";

/** Packets to look for. */
export interface Watched {
  protocol: string;
  address: string;
  port: number;
}

/**
 * Follows the first packets of connections through the rules of nodes while `work` sends them: `watched` says which packets on
 * which node's namespace. Resolves to what `nft monitor trace` printed on each; to nothing where a node's rules cannot be watched.
 * The nodes are left as they were.
 */
export async function traced<T>(
  watched: ReadonlyMap<string, readonly Watched[]>,
  clock: Clock,
  work: () => Promise<T>,
): Promise<{ result: T; texts: ReadonlyMap<string, string> }> {
  const monitors = [...watched].map(([netns, packets]) => new TraceMonitor(netns, packets, clock));
  try {
    await Promise.all(monitors.map((monitor) => monitor.ready()));
    const result = await work();
    // The last lines are on their way through a pipe.
    const length = () => monitors.reduce((sum, { text }) => sum + text.length, 0);
    for (let seen = -1; seen !== length(); ) {
      seen = length();
      await sleep(clock, 15);
    }
    return { result, texts: new Map(monitors.map(({ netns, text }) => [netns, text])) };
  } finally {
    await Promise.all(monitors.map((monitor) => monitor.end()));
  }
}

class TraceMonitor {
  readonly netns: string;
  text = "";
  readonly #packets: readonly Watched[];
  readonly #clock: Clock;
  readonly #child: ChildProcess;
  readonly #closed: Promise<void>;
  readonly #table: string;
  #nft: Nft | undefined;
  #isTableUp = false;

  constructor(netns: string, packets: readonly Watched[], clock: Clock) {
    this.netns = netns;
    this.#packets = packets;
    this.#clock = clock;
    // One request's packets are of one family.
    this.#table = `${familyOf(packets)} ${traceTable}-${process.pid}`;
    this.#child = spawnIn(netns, "nft", ["monitor", "trace"], { stdio: ["ignore", "pipe", "ignore"] });
    this.#closed = new Promise((resolve) => this.#child.once("close", () => resolve()).once("error", () => resolve()));
    this.#child.stdout?.on("data", (chunk) => (this.text += chunk));
  }

  async ready(): Promise<void> {
    const family = familyOf(this.#packets);
    const rules = this.#packets.map(({ protocol, address, port }) =>
      protocol === "UDP"
        ? `${family} daddr ${address} udp dport ${port} meta nftrace set 1`
        : `${family} daddr ${address} tcp dport ${port} tcp flags & (syn | ack) == syn meta nftrace set 1`,
    );
    const chain = (hook: string) => `chain ${hook} {\ntype filter hook ${hook} priority -350;\n${rules.join("\n")}\n}`;
    this.#nft = openNft(this.netns);
    await Promise.all([
      this.#nft.run(`table ${this.#table} {\n${chain("prerouting")}\n${chain("output")}\n}`).then(
        () => (this.#isTableUp = true),
        () => {},
      ),
      untilMonitoring(this.netns, this.#child.pid, this.#clock),
    ]);
  }

  async end(): Promise<void> {
    if (this.#isTableUp) await this.#nft?.run(`delete table ${this.#table}`).catch(() => {});
    this.#nft?.close();
    this.#child.kill();
    await this.#closed;
  }
}

const familyOf = (packets: readonly Watched[]): "ip" | "ip6" =>
  packets.some(({ address }) => isIpv6(address)) ? "ip6" : "ip";

/** The kernel sends traces to whoever has subscribed by then: /proc says when it has. */
async function untilMonitoring(netns: string, pid: number | undefined, clock: Clock): Promise<void> {
  for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += 3) {
    const sockets = inNetns(netns, () => readFileSync("/proc/thread-self/net/netlink", "utf8"));
    const hasSubscribed = sockets.split("\n").some((line) => {
      const [, protocol, port, groups = "0"] = line.trim().split(/\s+/);
      return protocol === netfilterProtocol && port === String(pid) && Number.parseInt(groups, 16) !== 0;
    });
    if (hasSubscribed) return;
    await sleep(clock, 3);
  }
}

const netfilterProtocol = "12";
