/** Ports that every node opens for a Service (portallocator upstream). */
import type { Random } from "../../base/random.ts";
import { BandedPool, lowerBandSize } from "./banded-pool.ts";

export interface PortRange {
  first: number;
  last: number;
}

export const defaultNodePortRange: PortRange = { first: 30000, last: 32767 };

export class NodePortAllocator {
  readonly range: PortRange;
  readonly #pool: BandedPool;

  constructor(range: PortRange, random: Random) {
    this.range = range;
    const size = range.last - range.first + 1;
    this.#pool = new BandedPool(size, lowerBandSize(size, { minimum: 16, maximum: 128, part: 32 }), random);
  }

  /** Takes this port. Undefined when that worked, else why not, in upstream's words. */
  take(port: number): string | undefined {
    const { first, last } = this.range;
    if (port < first || port > last) {
      return `provided port is not in the valid range. The range of valid ports is ${first}-${last}`;
    }
    return this.#pool.take(port - first) ? undefined : "provided port is already allocated";
  }

  /** Undefined when none is left. */
  takeNext(): number | undefined {
    const place = this.#pool.takeNext();
    return place === undefined ? undefined : this.range.first + place;
  }

  release(port: number): void {
    this.#pool.release(port - this.range.first);
  }

  has(port: number): boolean {
    return this.#pool.has(port - this.range.first);
  }
}
