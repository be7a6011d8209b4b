/** How much of the server a request takes: seats while it is answered, and for a write the work of those who watch what it changes. */
import type { Attributes } from "../../apiserver/authorization.ts";

export interface Work {
  seats: number;
  /** Held so long after the answer: watchers are told then. */
  lingerMs: number;
}

/** What a resource holds: how many objects, and how large they are on average. */
export interface Stock {
  objects: number;
  averageBytes: number;
}

export interface AskedWork {
  readsCollection: boolean;
  /** A list's; 0: none. */
  limit: number;
}

const one: Work = { seats: 1, lingerMs: 0 };

const bytesPerSeat = 100_000;
/** Lists from memory are sent piece by piece: no more than this is made at once. */
const mostBytesAtOnce = 1_000_000;
/** A part of its level's seats is the most that a request takes. */
const mostOfLevel = 0.15;
const mostWriteSeats = 10;
const watchersPerSeat = 10;
const eventMs = 5;

/** As upstream estimates the work of what its watch cache answers. `stock`: of the request's resource; undefined: it is not ours. */
export function readWork(
  { readsCollection, limit }: AskedWork,
  name: string,
  nominal: number,
  stock: () => Stock | undefined,
): Work {
  if (!readsCollection) return one;
  const most = mostSeatsOf(nominal);
  const held = most === 1 ? undefined : stock();
  if (!held) return one;
  const objects = name ? 1 : limit > 0 ? Math.min(limit, held.objects) : held.objects;
  const seats = Math.ceil(Math.min(objects * held.averageBytes, mostBytesAtOnce) / bytesPerSeat);
  return seats <= 1 ? one : { seats: Math.min(most, seats), lingerMs: 0 };
}

/** `watchers`: of what it changes. Few of them cost nothing. */
export function writeWork(watchers: number, nominal: number): Work {
  if (watchers < watchersPerSeat) return one;
  const wanted = Math.ceil(watchers / watchersPerSeat);
  const seats = Math.min(wanted, mostWriteSeats, mostSeatsOf(nominal));
  return { seats, lingerMs: (wanted * eventMs) / seats };
}

function mostSeatsOf(nominal: number): number {
  return Math.max(1, Math.ceil(nominal * mostOfLevel));
}

const writing: ReadonlySet<string> = new Set(["create", "update", "patch", "delete"]);

export function tellsWatchers({ verb, isResource, resource, subresource }: Attributes): boolean {
  return isResource && writing.has(verb) && !(resource === "serviceaccounts" && subresource === "token");
}
