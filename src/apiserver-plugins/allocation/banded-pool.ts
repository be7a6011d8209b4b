/** Numbers handed out from a range: drawn ones come from the upper band first, so that the lower band stays free for those who ask for one by name. */
import type { Random } from "../../base/random.ts";

export class BandedPool {
  /** How many numbers there are: 0 up to, not including, this. */
  readonly size: number;
  readonly #bandSize: number;
  readonly #random: Random;
  readonly #taken = new Set<number>();
  #takenInBand = 0;

  constructor(size: number, bandSize: number, random: Random) {
    this.size = size;
    this.#bandSize = bandSize;
    this.#random = random;
  }

  has(number: number): boolean {
    return this.#taken.has(number);
  }

  /** False when it is taken already. */
  take(number: number): boolean {
    if (this.#taken.has(number)) return false;
    this.#taken.add(number);
    if (number < this.#bandSize) this.#takenInBand++;
    return true;
  }

  /** Undefined when every number is taken. */
  takeNext(): number | undefined {
    const freeAbove = this.size - this.#bandSize - (this.#taken.size - this.#takenInBand);
    if (freeAbove > 0) return this.#takeFrom(this.#bandSize, this.size);
    return this.#takenInBand < this.#bandSize ? this.#takeFrom(0, this.#bandSize) : undefined;
  }

  release(number: number): void {
    if (this.#taken.delete(number) && number < this.#bandSize) this.#takenInBand--;
  }

  /** A random place, and from there the first that is free. */
  #takeFrom(start: number, end: number): number {
    const span = end - start;
    const first = this.#random.int(span);
    for (let step = 0; step < span; step++) {
      const candidate = start + ((first + step) % span);
      if (this.take(candidate)) return candidate;
    }
    throw new Error(`a pool of ${this.size} miscounted: nothing is free in ${start}..${end}`);
  }
}

/** Upstream's rule for how much of a range is kept for those who choose: a part of it, within limits. */
export function lowerBandSize(
  rangeSize: number,
  { minimum, maximum, part }: { minimum: number; maximum: number; part: number },
): number {
  if (rangeSize <= minimum) return 0;
  return Math.min(Math.max(Math.floor(rangeSize / part), minimum), maximum);
}
