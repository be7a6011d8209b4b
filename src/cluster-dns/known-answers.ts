/** The bytes of answers that stay the same until the zone changes: most questions are asked again and again, and meet them here. */
export class KnownAnswers {
  readonly #zone: { readonly revision: number };
  readonly #answers = new Map<string, Buffer>();
  #revision = 0;

  constructor(zone: { readonly revision: number }) {
    this.#zone = zone;
  }

  /** The answer to a packet that asks word by word what was asked before, with that one's id in its first two bytes. */
  find(packet: Buffer): Buffer | undefined {
    if (this.#revision !== this.#zone.revision) {
      this.#answers.clear();
      this.#revision = this.#zone.revision;
    }
    return this.#answers.get(questionOf(packet));
  }

  /** Only right after `find`, for the same packet. */
  keep(packet: Buffer, answer: Buffer): void {
    if (packet.length > longestKept || answer.length > longestKept) return;
    if (this.#answers.size >= mostKept) this.#answers.clear();
    this.#answers.set(questionOf(packet), answer);
  }
}

const mostKept = 4096;
const longestKept = 512;

/** All but the id. */
function questionOf(packet: Buffer): string {
  return packet.toString("latin1", 2);
}
