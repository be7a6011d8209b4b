/** Bounds the encoded bytes that all watch caches of a process keep beside their objects. */

/** Something that holds encoded bytes and can let go of them. */
export interface EncodingHolder {
  /** Whether it was asked for since the last call. */
  takeUsed(): boolean;
  drop(): void;
}

/** The budget's note of one holder; without it, the note is void. */
export interface Holding {
  holder: EncodingHolder | undefined;
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
  /** How many notes from the head on are void. */
  #void = 0;
  #bytes = 0;

  constructor(maxBytes = 48 * 1024 * 1024) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes kept now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes note of a new holder; may make other holders, or this one, drop theirs. */
  add(holder: EncodingHolder, bytes: number): Holding {
    const holding: Holding = { holder, bytes };
    this.#queue.push(holding);
    this.#bytes += bytes;
    this.#evict();
    return holding;
  }

  /** The holder keeps more bytes than before; may make holders drop theirs, as `add`. */
  grow(holding: Holding, bytes: number): void {
    holding.bytes += bytes;
    this.#bytes += bytes;
    this.#evict();
  }

  /** The holder has dropped its bytes by itself. Its note keeps nothing alive from here on. */
  remove(holding: Holding): void {
    if (!holding.holder) return;
    this.#bytes -= holding.bytes;
    holding.holder = undefined;
    this.#void++;
    if (this.#void > 1024 && this.#void * 2 > this.#queue.length - this.#head) this.#tidy();
  }

  #evict(): void {
    // Each holding gets at most one second chance here, so a single call cannot spin.
    let chances = this.#queue.length - this.#head;
    while (this.#bytes > this.#maxBytes && this.#head < this.#queue.length) {
      const oldest = this.#queue[this.#head++]!;
      const { holder } = oldest;
      if (!holder) this.#void--;
      else if (chances-- > 0 && holder.takeUsed()) this.#queue.push(oldest);
      else {
        this.#bytes -= oldest.bytes;
        oldest.holder = undefined;
        holder.drop();
      }
    }
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) this.#tidy();
  }

  #tidy(): void {
    this.#queue = this.#queue.slice(this.#head).filter(({ holder }) => holder !== undefined);
    this.#head = 0;
    this.#void = 0;
  }
}
