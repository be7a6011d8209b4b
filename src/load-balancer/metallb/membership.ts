/** Which nodes can be heard on the LAN: each says so several times a second to all others and to this machine (MetalLB's memberlist). */
import type { Socket } from "node:dgram";
import { type Clock, sleep } from "../../base/clock.ts";
import { udpSocketIn } from "../../base/node/netns.ts";

export interface Member {
  name: string;
  address: string;
  netnsPath: string;
}

export interface MembershipOptions {
  nodes: readonly Member[];
  /** This machine on the LAN: it only listens. */
  observer: { address: string; netnsPath: string };
  clock: Clock;
  signal: AbortSignal;
  onChange(): void;
}

/** memberlist's. */
const port = 7946;
const intervalMs = 200;
/** Counted in rounds, not in time: a process that was held up has heard nobody meanwhile and knows nothing. */
const roundsUntilLost = 5;

export class Membership {
  readonly #options: MembershipOptions;
  readonly #silentRounds = new Map<string, number>();
  #lost = new Set<string>();

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  /** If nobody is heard at all the fault is the listener's: then everybody counts. */
  isAlive(node: string): boolean {
    return !this.#lost.has(node) || this.#lost.size === this.#options.nodes.length;
  }

  /** Listens and speaks until the signal aborts. */
  async run(): Promise<void> {
    const { nodes, observer, clock, signal } = this.#options;
    const sockets: { member: Member | undefined; socket: Socket }[] = [];
    try {
      for (const member of [...nodes, undefined]) {
        const { netnsPath, address } = member ?? observer;
        const socket = await udpSocketIn(netnsPath, address, port);
        socket.on("message", (_, { address: sender }) => {
          const from = nodes.find((node) => node.address === sender);
          if (from && from !== member) this.#silentRounds.set(from.name, 0);
        });
        socket.on("error", () => {}); // Unreachable: that is what silence tells.
        sockets.push({ member, socket });
      }
      const listeners = [...nodes, observer].map(({ address }) => address);
      while (!signal.aborted) {
        for (const { member, socket } of sockets) {
          if (!member) continue;
          for (const address of listeners) {
            if (address !== member.address) socket.send("pinnace", port, address, () => {});
          }
        }
        await sleep(clock, intervalMs, signal).catch(() => {});
        this.#count();
      }
    } finally {
      for (const { socket } of sockets) socket.close();
    }
  }

  #count(): void {
    const lost = new Set<string>();
    for (const { name } of this.#options.nodes) {
      const rounds = (this.#silentRounds.get(name) ?? 0) + 1;
      this.#silentRounds.set(name, rounds);
      if (rounds > roundsUntilLost) lost.add(name);
    }
    const isSame = lost.size === this.#lost.size && [...lost].every((name) => this.#lost.has(name));
    this.#lost = lost;
    if (!isSame) this.#options.onChange();
  }
}
