/** Addresses of Services within one CIDR (ipallocator upstream). */
import { addressAt, type Cidr, cidr, cidrContains, cidrSize, formatIp, offsetIn, parseIp } from "../../base/ip.ts";
import type { Random } from "../../base/random.ts";
import { BandedPool, lowerBandSize } from "./banded-pool.ts";

/** Of larger IPv6 blocks only the beginning is used, as upstream does. */
const maximumAddresses = 2 ** 16;

export class ClusterIpAllocator {
  readonly family: "IPv4" | "IPv6";
  readonly #block: Cidr;
  readonly #pool: BandedPool;

  constructor(cidrText: string, random: Random) {
    this.#block = cidr(cidrText);
    this.family = this.#block.address.length === 4 ? "IPv4" : "IPv6";
    // Neither the network's own address nor, in IPv4, the broadcast address is given out.
    const unusable = this.family === "IPv4" ? 2n : 1n;
    const size = cidrSize(this.#block) - unusable;
    const usable = size > BigInt(maximumAddresses) ? maximumAddresses : Math.max(Number(size), 0);
    this.#pool = new BandedPool(usable, lowerBandSize(usable, { minimum: 16, maximum: 256, part: 16 }), random);
  }

  /** Takes this address. Undefined when that worked, else why not, in upstream's words. */
  take(address: string): string | undefined {
    const place = this.#placeOf(address);
    if (place === undefined) return "the provided network does not match the current range";
    return this.#pool.take(place) ? undefined : "provided IP is already allocated";
  }

  /** Undefined when none is left. */
  takeNext(): string | undefined {
    const place = this.#pool.takeNext();
    return place === undefined ? undefined : formatIp(addressAt(this.#block, place + 1));
  }

  /** Foreign addresses are ignored. */
  release(address: string): void {
    const place = this.#placeOf(address);
    if (place !== undefined) this.#pool.release(place);
  }

  has(address: string): boolean {
    const place = this.#placeOf(address);
    return place !== undefined && this.#pool.has(place);
  }

  #placeOf(address: string): number | undefined {
    const bytes = parseIp(address);
    if (!bytes || !cidrContains(this.#block, bytes)) return undefined;
    const place = Number(offsetIn(this.#block, bytes)) - 1;
    return place >= 0 && place < this.#pool.size ? place : undefined;
  }
}
