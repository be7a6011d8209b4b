/** Sends real packets: connections from inside a namespace, questions to cluster DNS, and the kernel's trace of their way. */

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
        `GET ${httpPath} HTTP/1.1\r\nHost: ${address}\r\nConnection: close\r\nUser-Agent: pinnace-why\r\n\r\n`,
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
    const addresses = answer.answers.flatMap(({ type, data }) =>
      type === RecordType.A && data.kind === "bytes" ? [formatIp(data.bytes)] : [],
    );
    const alias = answer.answers
      .flatMap(({ type, data }) => (type === RecordType.CNAME && data.kind === "name" ? [data.name] : []))
      .at(-1);
    if (addresses.length > 0 || alias) return { asked, addresses, ...(alias ? { alias } : {}) };
  }
  return { asked, addresses: [] };
}

function candidates(name: string, { searches, ndots }: ResolverView): string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const longer = searches.map((search) => `${name}.${search}`);
  return name.split(".").length - 1 >= ndots ? [name, ...longer] : [...longer, name];
}

async function askDns(netns: string, server: string, name: string, clock: Clock): Promise<Message | undefined> {
  const socket = await udpSocketIn(netns, "0.0.0.0", 0);
  try {
    return await new Promise<Message | undefined>((resolve) => {
      const timer = clock.setTimer(patienceMs, () => resolve(undefined));
      const done = (message: Message | undefined) => {
        timer[Symbol.dispose]();
        resolve(message);
      };
      socket.once("error", () => done(undefined));
      socket.once("message", (bytes) => done(decodeMessage(bytes)));
      socket.send(encodeMessage(question(name)), 53, server, (error) => error && done(undefined));
    });
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}

function question(name: string): Message {
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
    questions: [{ name, type: RecordType.A, class: classInternet }],
    answers: [],
    authority: [],
    additional: [],
  };
}

/** As this machine resolves it. */
export async function lookupHere(name: string, clock: Clock): Promise<Lookup> {
  const found = hostLookup(name, { family: 4, all: true }).then(
    (entries) => entries.map(({ address }) => address),
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

/**
 * Follows the first packets of connections to `address:port` through a node's rules while `work` sends them. Resolves to what
 * `nft monitor trace` printed; to nothing where the node's rules cannot be watched. The node is left as it was.
 */
export async function traced<T>(
  netns: string,
  { address, port, clock }: { address: string; port: number; clock: Clock },
  work: () => Promise<T>,
): Promise<{ result: T; text: string }> {
  let nft: Nft | undefined;
  let isTableUp = false;
  let text = "";
  const table = `${traceTable}-${process.pid}`;
  const monitor = spawnIn(netns, "nft", ["monitor", "trace"], { stdio: ["ignore", "pipe", "ignore"] });
  const closed = new Promise<void>((resolve) => monitor.once("close", () => resolve()).once("error", () => resolve()));
  monitor.stdout?.on("data", (chunk) => (text += chunk));
  try {
    nft = openNft(netns);
    const rule = `ip daddr ${address} tcp dport ${port} tcp flags & (syn | ack) == syn meta nftrace set 1`;
    const chain = (hook: string) => `chain ${hook} { type filter hook ${hook} priority -350; ${rule}; }`;
    await Promise.all([
      nft.run(`table ip ${table} {\n${chain("prerouting")}\n${chain("output")}\n}`).then(
        () => (isTableUp = true),
        () => {},
      ),
      untilMonitoring(netns, monitor.pid, clock),
    ]);
    const result = await work();
    // The last lines are on their way through a pipe.
    for (let length = -1; length !== text.length; ) {
      length = text.length;
      await sleep(clock, 15);
    }
    return { result, text };
  } finally {
    if (isTableUp) await nft?.run(`delete table ip ${table}`).catch(() => {});
    nft?.close();
    monitor.kill();
    await closed;
  }
}

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
