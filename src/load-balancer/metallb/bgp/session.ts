/** One node's session with one BGP peer: connects, keeps alive, announces what it is told to, and connects again. */
import { once } from "node:events";
import type { Socket } from "node:net";
import { backoffDelayMs } from "../../../base/backoff.ts";
import { type Clock, sleep, type Timer } from "../../../base/clock.ts";
import {
  BgpError,
  type BgpMessage,
  encodeAnnouncements,
  encodeKeepalive,
  encodeNotification,
  encodeOpen,
  encodeWithdrawals,
  MessageReader,
  type RouteAttributes,
} from "./message.ts";

export interface SessionOptions {
  myAsn: number;
  peerAsn: number;
  routerId: string;
  holdTimeSeconds: number;
  /** A third of the hold time that both agree upon, when left out. */
  keepaliveSeconds?: number;
  connect(): Socket;
  clock: Clock;
  signal: AbortSignal;
  /** Told when the session comes up or goes down; `reason` says why it went. */
  onState(isUp: boolean, reason?: string): void;
}

/** By prefix. */
export type Routes = ReadonlyMap<string, RouteAttributes>;

const retry = { initialMs: 500, maximumMs: 30_000 };
/** How long a peer may take over its first word. */
const openPatienceSeconds = 240;
const connectPatienceMs = 10_000;
const cease = { code: 6, administrativeShutdown: 2 };

export class BgpSession {
  readonly #options: SessionOptions;
  #wanted: Routes = new Map();
  #announced = new Map<string, string>();
  #send: (() => void) | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** What the peer is to know; it learns the difference. */
  announce(routes: Routes): void {
    this.#wanted = routes;
    this.#send?.();
  }

  /** Until the signal aborts: the peer then hears that we cease, and forgets our routes. */
  async run(): Promise<void> {
    const { clock, signal, onState } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      let wasUp = false;
      let reason: string;
      try {
        reason = await this.#live(() => {
          wasUp = true;
          onState(true);
        });
      } catch (error) {
        reason = (error as Error).message;
      }
      this.#send = undefined;
      if (signal.aborted) return;
      onState(false, reason);
      failures = wasUp ? 1 : failures + 1;
      await sleep(clock, backoffDelayMs(retry, failures), signal).catch(() => {});
    }
  }

  /** One connection's life; resolves with the reason of its end. */
  async #live(onUp: () => void): Promise<string> {
    const { myAsn, peerAsn, routerId, holdTimeSeconds, clock, signal } = this.#options;
    const socket = this.#options.connect();
    socket.on("error", () => {}); // `close` follows, and may come when nobody waits any more.
    const reader = new MessageReader();
    let hold: Timer | undefined;
    let keepalive: Timer | undefined;
    let state: "opening" | "confirming" | "up" = "opening";
    let hasFourOctetAsn = false;
    let heldSeconds = openPatienceSeconds;
    const ended = new Promise<string>((resolve) => {
      const end = (reason: string, code?: number, subcode = 0) => {
        if (code !== undefined && socket.writable && !socket.connecting)
          socket.end(encodeNotification(code, subcode), () => socket.destroy());
        else socket.destroy();
        resolve(reason);
      };
      const onAbort = () => end("stopped", cease.code, cease.administrativeShutdown);
      signal.addEventListener("abort", onAbort, { once: true });
      socket.once("close", () => {
        signal.removeEventListener("abort", onAbort);
        resolve("the peer closed the connection");
      });
      const expectWord = () => {
        hold?.[Symbol.dispose]();
        if (heldSeconds > 0)
          hold = clock.setTimer(heldSeconds * 1000, () => end("the peer is silent", 4), { background: true });
      };
      const sayAlive = (everySeconds: number) => {
        socket.write(encodeKeepalive());
        if (everySeconds > 0)
          keepalive = clock.setTimer(everySeconds * 1000, () => sayAlive(everySeconds), { background: true });
      };
      const hear = (message: BgpMessage) => {
        expectWord();
        if (message.kind === "notification") return end(`the peer refuses: ${message.code}/${message.subcode}`);
        if (state === "opening") {
          if (message.kind !== "open") throw new BgpError(`${message.kind} before OPEN`, 5, 1);
          const { open } = message;
          if (open.asn !== peerAsn) throw new BgpError(`the peer is AS ${open.asn}, not ${peerAsn}`, 2, 2);
          heldSeconds = Math.min(holdTimeSeconds, open.holdTimeSeconds);
          hasFourOctetAsn = open.hasFourOctetAsn;
          expectWord();
          sayAlive(
            heldSeconds === 0
              ? 0
              : Math.min(this.#options.keepaliveSeconds ?? Number.POSITIVE_INFINITY, heldSeconds / 3),
          );
          state = "confirming";
        } else if (state === "confirming" && message.kind === "keepalive") {
          state = "up";
          this.#announced.clear();
          this.#send = () => this.#bringUpToDate(socket, { myAsn, peerAsn, hasFourOctetAsn });
          onUp();
          this.#send();
        } else if (message.kind === "open") throw new BgpError("a second OPEN", 5, 3);
        // Routes of others are of no interest here.
      };
      socket.on("data", (chunk: Buffer) => {
        try {
          for (const message of reader.read(chunk)) hear(message);
        } catch (error) {
          if (error instanceof BgpError) end(error.message, error.code, error.subcode);
          else end(String(error));
        }
      });
    });
    try {
      await connected(socket, clock, signal);
      socket.setNoDelay(true);
      socket.write(encodeOpen({ asn: myAsn, holdTimeSeconds, routerId }));
      return await ended;
    } finally {
      hold?.[Symbol.dispose]();
      keepalive?.[Symbol.dispose]();
      if (!socket.writableEnded) socket.destroy();
    }
  }

  #bringUpToDate(socket: Socket, facts: { myAsn: number; peerAsn: number; hasFourOctetAsn: boolean }): void {
    const gone = [...this.#announced.keys()].filter((prefix) => !this.#wanted.has(prefix));
    for (const message of encodeWithdrawals(gone)) socket.write(message);
    for (const prefix of gone) this.#announced.delete(prefix);
    const groups = new Map<string, { route: RouteAttributes; prefixes: string[] }>();
    for (const [prefix, route] of this.#wanted) {
      const text = JSON.stringify(route);
      if (this.#announced.get(prefix) === text) continue;
      this.#announced.set(prefix, text);
      const group = groups.get(text);
      if (group) group.prefixes.push(prefix);
      else groups.set(text, { route, prefixes: [prefix] });
    }
    for (const { route, prefixes } of groups.values()) {
      for (const message of encodeAnnouncements(prefixes, route, facts)) socket.write(message);
    }
  }
}

/** A peer that answers nothing at all must not be waited for as long as the kernel would. */
async function connected(socket: Socket, clock: Clock, signal: AbortSignal): Promise<void> {
  const patience = new AbortController();
  const timer = clock.setTimer(connectPatienceMs, () => patience.abort(), { background: true });
  try {
    await once(socket, "connect", { signal: AbortSignal.any([signal, patience.signal]) });
  } catch (error) {
    throw patience.signal.aborted ? new Error("the peer does not answer", { cause: error }) : error;
  } finally {
    timer[Symbol.dispose]();
  }
}
