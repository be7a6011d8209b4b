/** One object at one revision, with the bytes that clients were last given of it. */
import type { Encoder } from "./encoding.ts";
import type { EncodingBudget, EncodingHolder, Holding } from "./encoding-budget.ts";
import type { Revision } from "./store.ts";
import type { Entry } from "./watch-cache-contract.ts";

export class CachedEntry<T> implements Entry<T>, EncodingHolder {
  readonly key: string;
  readonly object: T;
  readonly modRevision: Revision;
  /** How much the object weighs in the window: the length of its stored bytes. */
  readonly weight: number;
  readonly #budget: EncodingBudget;
  // Nearly always one encoder reads an object, so the first stands without a map around it.
  #encoder: string | undefined;
  #bytes: Buffer | undefined;
  #others: Map<string, Buffer> | undefined;
  #used = false;
  #holding: Holding | undefined;

  constructor(key: string, object: T, modRevision: Revision, weight: number, budget: EncodingBudget) {
    this.key = key;
    this.object = object;
    this.modRevision = modRevision;
    this.weight = weight;
    this.#budget = budget;
  }

  encoded(encoder: Encoder<T>): Buffer {
    this.#used = true;
    const kept = this.#encoder === encoder.id ? this.#bytes : this.#others?.get(encoder.id);
    if (kept) return kept;
    const bytes = encoder.encode(this.object);
    this.keep(encoder, bytes);
    return bytes;
  }

  /** Takes bytes that were written elsewhere, by this very encoder. */
  keep(encoder: Encoder<T>, bytes: Buffer): void {
    if (this.#bytes === undefined) {
      this.#encoder = encoder.id;
      this.#bytes = bytes;
    } else {
      this.#others ??= new Map();
      this.#others.set(encoder.id, bytes);
    }
    if (this.#holding?.holder) this.#budget.grow(this.#holding, bytes.length);
    else this.#holding = this.#budget.add(this, bytes.length);
  }

  /** Lets go of all bytes: nothing of the cache leads to this entry any more. Whoever still has it may ask for them anew. */
  release(): void {
    if (this.#holding) this.#budget.remove(this.#holding);
    this.#holding = undefined;
    this.drop();
  }

  takeUsed(): boolean {
    const used = this.#used;
    this.#used = false;
    return used;
  }

  drop(): void {
    this.#encoder = undefined;
    this.#bytes = undefined;
    this.#others = undefined;
  }
}
