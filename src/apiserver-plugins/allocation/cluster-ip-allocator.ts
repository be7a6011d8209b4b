/** Addresses of Services of one family, within the CIDRs that there are (ipallocator upstream). */
import { addressAt, type Cidr, cidr, cidrContains, cidrSize, formatIp, offsetIn, parseIp } from "../../base/ip.ts";
import type { Random } from "../../base/random.ts";
import { BandedPool, lowerBandSize } from "./banded-pool.ts";

/** Of larger IPv6 blocks only the beginning is used, as upstream does. */
const maximumAddresses = 2 ** 16;

export class ClusterIpAllocator {
  readonly family: "IPv4" | "IPv6";
  readonly #random: Random;
  readonly #ranges = new Map<string, Range>();

  constructor(cidrText: string, random: Random) {
    this.#random = random;
    this.family = cidr(cidrText).address.length === 4 ? "IPv4" : "IPv6";
    this.addRange(cidrText);
  }

  /** Addresses are given from this CIDR too, once those added before are used up. What is taken of it already must be told anew. */
  addRange(cidrText: string): void {
    const known = this.#ranges.get(cidrText);
    if (known) known.isOpen = true;
    else this.#ranges.set(cidrText, new Range(cidr(cidrText), this.#random));
  }

  /** No more are given from it; those given out stay taken until they come back. */
  closeRange(cidrText: string): void {
    const range = this.#ranges.get(cidrText);
    if (range) range.isOpen = false;
  }

  /** Takes this address. Undefined when that worked, else why not, in upstream's words. */
  take(address: string): string | undefined {
    const inside = this.#openAround(address);
    if (inside.length === 0) return "the provided network does not match the current range";
    if (inside.some((range) => range.has(address))) return "provided IP is already allocated";
    for (const range of inside) range.take(address);
    return undefined;
  }

  /** Undefined when none is left. */
  takeNext(): string | undefined {
    for (const range of this.#ranges.values()) {
      while (range.isOpen) {
        const address = range.takeNext();
        if (address === undefined) break;
        // Ranges may overlap: what another has given out is not free.
        const others = this.#openAround(address).filter((other) => other !== range);
        if (others.some((other) => other.has(address))) continue;
        for (const other of others) other.take(address);
        return address;
      }
    }
    return undefined;
  }

  /** Foreign addresses are ignored. */
  release(address: string): void {
    for (const range of this.#ranges.values()) range.release(address);
  }

  #openAround(address: string): Range[] {
    return [...this.#ranges.values()].filter((range) => range.isOpen && range.placeOf(address) !== undefined);
  }
}

/** One CIDR: places in it, counted from its first usable address. */
class Range {
  isOpen = true;
  readonly #block: Cidr;
  readonly #pool: BandedPool;

  constructor(block: Cidr, random: Random) {
    this.#block = block;
    // Neither the network's own address nor, in IPv4, the broadcast address is given out.
    const unusable = block.address.length === 4 ? 2n : 1n;
    const size = cidrSize(block) - unusable;
    const usable = size > BigInt(maximumAddresses) ? maximumAddresses : Math.max(Number(size), 0);
    this.#pool = new BandedPool(usable, lowerBandSize(usable, { minimum: 16, maximum: 256, part: 16 }), random);
  }

  has(address: string): boolean {
    const place = this.placeOf(address);
    return place !== undefined && this.#pool.has(place);
  }

  take(address: string): void {
    const place = this.placeOf(address);
    if (place !== undefined) this.#pool.take(place);
  }

  takeNext(): string | undefined {
    const place = this.#pool.takeNext();
    return place === undefined ? undefined : formatIp(addressAt(this.#block, place + 1));
  }

  release(address: string): void {
    const place = this.placeOf(address);
    if (place !== undefined) this.#pool.release(place);
  }

  placeOf(address: string): number | undefined {
    const bytes = parseIp(address);
    if (!bytes || !cidrContains(this.#block, bytes)) return undefined;
    const place = Number(offsetIn(this.#block, bytes)) - 1;
    return place >= 0 && place < this.#pool.size ? place : undefined;
  }
}
