/** Passes on to the host's resolvers what is not the cluster's (CoreDNS' forward plugin): UDP first, TCP when truncated, the next resolver when one is silent. */
import { createSocket, type Socket } from "node:dgram";
import { connect } from "node:net";
import type { Clock } from "../base/clock.ts";
import { familyOf, parseIp } from "../base/ip.ts";
import type { Logger } from "../base/logger.ts";
import { connectIn, udpSocketIn } from "../base/node/netns.ts";
import type { Random } from "../base/random.ts";
import { type Answer, type Message, Rcode } from "./message.ts";
import { failure, type Next, type Plugin, type Query } from "./plugin.ts";
import { decodeMessage, encodeMessage } from "./wire.ts";

export interface ForwardOptions {
  /** Addresses to ask, perhaps with a port: `192.0.2.53`, `192.0.2.53:5353`, `[::1]:53`. Asked for anew with every question, for the host's change. */
  resolvers(): readonly string[];
  clock: Clock;
  random: Random;
  log: Logger;
  /** How long one resolver may take. Default 2,000 ms. */
  timeoutMs?: number;
  /** Where questions leave from: a node, which has ways to Services and pods. Default: this machine. */
  netnsPath?: string;
}

/** As kubeadm sets `max_concurrent`: beyond it questions are refused, so that a dead resolver fills no memory. */
const mostAtOnce = 1000;

export class ForwardPlugin implements Plugin {
  readonly name = "forward";
  readonly #options: ForwardOptions & { timeoutMs: number };
  /** Questions on their way, by what they ask. Who asks the same waits with the first: a loop of forwarders ends here. */
  readonly #asking = new Map<string, Promise<Answer>>();
  readonly #silent = new Set<string>();
  #isClosed = false;
  readonly #cancel = new Set<() => void>();

  constructor(options: ForwardOptions) {
    this.#options = { timeoutMs: 2000, ...options };
  }

  answer(query: Query, _next: Next): Answer | Promise<Answer> {
    const key = `${query.type} ${query.class} ${query.checkingDisabled} ${query.dnssecOk} ${query.name}`;
    const asking = this.#asking.get(key);
    if (asking) return asking;
    if (this.#isClosed) return failure(Rcode.SERVFAIL);
    if (this.#asking.size >= mostAtOnce) return failure(Rcode.REFUSED);
    const answer = this.#ask(query).finally(() => this.#asking.delete(key));
    this.#asking.set(key, answer);
    return answer;
  }

  /** Questions under way fail. */
  close(): void {
    this.#isClosed = true;
    for (const cancel of [...this.#cancel]) cancel();
  }

  async #ask(query: Query): Promise<Answer> {
    const resolvers = shuffled(this.#options.resolvers(), this.#options.random);
    // Those that were silent last time come last.
    resolvers.sort((a, b) => Number(this.#silent.has(a)) - Number(this.#silent.has(b)));
    for (const resolver of resolvers) {
      if (this.#isClosed) break;
      try {
        const response = await this.#exchange(resolver, query);
        this.#silent.delete(resolver);
        if (response.rcode === Rcode.SERVFAIL && resolver !== resolvers.at(-1)) continue;
        const { rcode, answers, authority, additional } = response;
        return { rcode, authoritative: false, answers, authority, additional };
      } catch (error) {
        if (!this.#silent.has(resolver))
          this.#options.log.warn("resolver does not answer", { resolver, error: String(error) });
        this.#silent.add(resolver);
      }
    }
    return failure(Rcode.SERVFAIL);
  }

  async #exchange(resolver: string, query: Query): Promise<Message> {
    const { address, port } = parseResolver(resolver);
    const id = this.#options.random.int(65_536);
    const request: Message = {
      id,
      isResponse: false,
      opcode: 0,
      authoritative: false,
      truncated: false,
      recursionDesired: true,
      recursionAvailable: false,
      checkingDisabled: query.checkingDisabled,
      rcode: 0,
      questions: [{ name: query.name, type: query.type, class: query.class }],
      answers: [],
      authority: [],
      additional: [],
      edns: { udpSize: 1232, version: 0, dnssecOk: query.dnssecOk },
    };
    const bytes = encodeMessage(request);
    /** The response, if `packet` is the one to this request. Whatever else comes is not listened to. */
    const accept = (packet: Buffer): Message | undefined => {
      try {
        const response = decodeMessage(packet);
        const [question] = response.questions;
        const fits =
          response.isResponse && response.id === id && question?.name === query.name && question.type === query.type;
        return fits ? response : undefined;
      } catch {
        return undefined;
      }
    };
    const response = await this.#overUdp(address, port, bytes, accept);
    return response.truncated ? await this.#overTcp(address, port, bytes, accept) : response;
  }

  async #overUdp(
    address: string,
    port: number,
    bytes: Buffer,
    accept: (packet: Buffer) => Message | undefined,
  ): Promise<Message> {
    // A socket of its own, and so a port of its own, for each question: answers are hard to forge.
    const socket = await this.#udpSocket(address);
    return this.#within(
      (resolve, reject) => {
        socket.on("error", reject);
        socket.on("message", (packet) => {
          const response = accept(packet);
          if (response) resolve(response);
        });
        // Connected, the socket hears nobody else, and hears at once that nobody listens.
        socket.connect(port, address, () => socket.send(bytes));
      },
      () => socket.close(),
    );
  }

  async #udpSocket(address: string): Promise<Socket> {
    const { netnsPath } = this.#options;
    const isIpv4 = familyOf(address) === "ipv4";
    return netnsPath ? udpSocketIn(netnsPath, isIpv4 ? "0.0.0.0" : "::", 0) : createSocket(isIpv4 ? "udp4" : "udp6");
  }

  #overTcp(
    address: string,
    port: number,
    bytes: Buffer,
    accept: (packet: Buffer) => Message | undefined,
  ): Promise<Message> {
    const { netnsPath } = this.#options;
    const socket = netnsPath ? connectIn(netnsPath, address, port) : connect({ host: address, port });
    return this.#within(
      (resolve, reject) => {
        let received = Buffer.alloc(0);
        socket.on("error", reject);
        socket.on("close", () => reject(new Error("connection closed without an answer")));
        socket.on("data", (chunk) => {
          received = Buffer.concat([received, chunk]);
          while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
            const length = received.readUInt16BE(0);
            const response = accept(received.subarray(2, 2 + length));
            if (response) resolve(response);
            received = received.subarray(2 + length);
          }
        });
        const length = Buffer.alloc(2);
        length.writeUInt16BE(bytes.length);
        socket.write(Buffer.concat([length, bytes]));
      },
      () => socket.destroy(),
    );
  }

  /** A promise with an end: settled by `start`, by time or by `close`, and then cleaned up after. */
  #within<T>(
    start: (resolve: (value: T) => void, reject: (error: Error) => void) => void,
    cleanUp: () => void,
  ): Promise<T> {
    const { clock, timeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      let isOver = false;
      const end = (settle: () => void) => {
        if (isOver) return;
        isOver = true;
        timer[Symbol.dispose]();
        this.#cancel.delete(cancel);
        cleanUp();
        settle();
      };
      const cancel = () => end(() => reject(new Error("closed")));
      const timer = clock.setTimer(timeoutMs, () => end(() => reject(new Error(`no answer within ${timeoutMs} ms`))));
      this.#cancel.add(cancel);
      start(
        (value) => end(() => resolve(value)),
        (error) => end(() => reject(error)),
      );
    });
  }
}

/** The nameservers of a resolv.conf, without those at `except`: asking oneself would never end. */
export function nameserversOf(resolvConf: string, except: readonly string[] = []): string[] {
  return resolvConf
    .split("\n")
    .flatMap((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? [])
    .map((address) => address.replace(/%.*$/, ""))
    .filter((address) => parseIp(address) && !except.includes(address));
}

function parseResolver(resolver: string): { address: string; port: number } {
  const bracketed = /^\[(.+)\](?::(\d+))?$/.exec(resolver);
  if (bracketed) return { address: bracketed[1]!, port: Number(bracketed[2] ?? 53) };
  if (parseIp(resolver)) return { address: resolver, port: 53 };
  const colon = resolver.lastIndexOf(":");
  return { address: resolver.slice(0, colon), port: Number(resolver.slice(colon + 1)) };
}

function shuffled(values: readonly string[], random: Random): string[] {
  const result = [...values];
  for (let i = result.length - 1; i > 0; i--) {
    const j = random.int(i + 1);
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}
