/**
 * Answers ARP and NDP for addresses on a node's link, and tells the LAN when they come.
 *
 * The kernel does the answering (a proxied neighbour, and a route that leads elsewhere, without which it would take the
 * LAN's own hosts to be able to answer): so it goes on when this process does not.
 */
import { writeFileSync } from "node:fs";
import { type Clock, sleep } from "../../base/clock.ts";
import { familyOf } from "../../base/ip.ts";
import { type LinkChange, Links } from "../../base/node/links.ts";
import { inNetns } from "../../base/node/netns.ts";
import { PacketSocket } from "../../base/node/packet-socket.ts";
import { announcementFrames } from "./announcement-frames.ts";

export interface L2AnnouncerOptions {
  netnsPath: string;
  /** The node's link on the LAN, and its hardware address. */
  link: string;
  mac: string;
  clock: Clock;
  signal: AbortSignal;
}

/** Where packets to an announced address go that no Service's rule took: nobody is there. */
const nowhere = "metallb0";
const repetitions = 5;
const repeatAfterMs = 1100;

export class L2Announcer {
  readonly #options: L2AnnouncerOptions;
  #announced: Set<string> | undefined;

  constructor(options: L2AnnouncerOptions) {
    this.#options = options;
  }

  /** Answers for these addresses and for no others, those of an earlier process included. */
  announce(addresses: ReadonlySet<string>): void {
    const { netnsPath, link } = this.#options;
    const before = this.#announced ?? this.#found();
    const gone = [...before].filter((address) => !addresses.has(address));
    const come = [...addresses].filter((address) => !before.has(address));
    this.#announced = new Set(addresses);
    if (gone.length === 0 && come.length === 0) return;
    const links = Links.openIn(netnsPath);
    try {
      if (come.length > 0) {
        links.apply([{ kind: "bridge", name: nowhere }]);
        inNetns(netnsPath, () => prepare(link));
      }
      links.apply([
        ...gone.flatMap((address): LinkChange[] => [
          { kind: "delete-neighbour-proxy", link, address },
          { kind: "delete-route", to: asBlock(address), link: nowhere },
        ]),
        ...come.flatMap((address): LinkChange[] => [
          { kind: "route", to: asBlock(address), link: nowhere },
          { kind: "neighbour-proxy", link, address },
        ]),
      ]);
      const index = links.find(link)?.index;
      if (come.length > 0 && index !== undefined) void this.#tell(come, index);
    } catch (error) {
      this.#announced = undefined; // Looked up again.
      throw error;
    } finally {
      links.close();
    }
  }

  #found(): Set<string> {
    const links = Links.openIn(this.#options.netnsPath);
    try {
      return new Set(links.neighbourProxies(this.#options.link));
    } finally {
      links.close();
    }
  }

  /** Said several times, since nobody confirms it. */
  async #tell(addresses: readonly string[], linkIndex: number): Promise<void> {
    const { netnsPath, mac, clock, signal } = this.#options;
    const socket = new PacketSocket(netnsPath, linkIndex);
    try {
      for (let i = 0; i < repetitions && !signal.aborted; i++) {
        if (i > 0) await sleep(clock, repeatAfterMs, signal);
        const frames = addresses
          .filter((address) => this.#announced?.has(address))
          .flatMap((address) => announcementFrames(address, mac));
        for (const frame of frames) socket.send(frame);
      }
    } catch {
      // The link is down or the process ends: whoever asks is answered.
    } finally {
      socket.close();
    }
  }
}

/** Answers at once instead of within the second that the kernel grants the true owner. */
function prepare(link: string): void {
  const settings = [
    [`ipv4/neigh/${link}/proxy_delay`, "0"],
    [`ipv6/neigh/${link}/proxy_delay`, "0"],
    [`ipv6/conf/${link}/proxy_ndp`, "1"],
  ] as const;
  for (const [path, value] of settings) {
    try {
      writeFileSync(`/proc/sys/net/${path}`, value);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error; // A kernel without IPv6.
    }
  }
}

function asBlock(address: string): string {
  return `${address}/${familyOf(address) === "ipv4" ? 32 : 128}`;
}
