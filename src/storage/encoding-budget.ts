/** Bounds the encoded bytes that all watch caches of a process keep beside their objects. */

/** Something that holds encoded bytes and can let go of them. */
export interface EncodingHolder {
  /** Whether it was asked for since the last call. */
  takeUsed(): boolean;
  drop(): void;
}

interface Holding {
  holder: EncodingHolder;
  bytes: number;
}

/**
 * Second-chance eviction: holdings stand in a queue; over budget, the oldest goes unless it was used since it was last
 * looked at. Reading a kept encoding therefore costs one flag, and no list is reordered.
 */
export class EncodingBudget {
  readonly #maxBytes: number;
  #queue: Holding[] = [];
  #head = 0;
  #bytes = 0;

  constructor(maxBytes = 48 * 1024 * 1024) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes kept now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Tells of newly kept bytes; may make other holders, or this one, drop theirs. */
  add(holder: EncodingHolder, bytes: number): void {
    this.#queue.push({ holder, bytes });
    this.#bytes += bytes;
    // Each holding gets at most one second chance here, so a single add cannot spin.
    let chances = this.#queue.length - this.#head;
    while (this.#bytes > this.#maxBytes && this.#head < this.#queue.length) {
      const oldest = this.#queue[this.#head]!;
      this.#head++;
      if (chances-- > 0 && oldest.holder.takeUsed()) this.#queue.push(oldest);
      else {
        this.#bytes -= oldest.bytes;
        oldest.holder.drop();
      }
    }
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }
}
