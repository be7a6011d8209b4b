/**
 * When watch streams write: all together, and under a burst of changes less often with more at a time.
 *
 * A write to a stream costs the server and the client far more than the bytes in it. So what changes is gathered, and the
 * streams that have something to say write in rounds. A change that comes after a quiet time is written at once, after the
 * answers that are on their way; while changes keep coming each round is followed by a rest, longer the more streams there
 * are and the longer the burst lasts, which is the writers' turn.
 */
import type { Clock, Timer } from "../../base/clock.ts";

/** A stream with something to write. */
export interface RoundMember {
  /** The bytes that wait, in order, each made once for all streams that want the same. */
  takeParts(): readonly Buffer[];
  /** Writes what was taken, joined. */
  write(bytes: Buffer): void;
}

/** Twenty streams earn a rest of a millisecond. */
const restMsPerStream = 0.05;
const longestRestMs = 20;

export class WatchRounds {
  readonly #clock: Clock;
  #members = new Set<RoundMember>();
  #urgent = false;
  #scheduled = false;
  #timer: Timer | undefined;
  #restMs = 0;
  #restUntil = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The member is in the next round, which does not wait out the rest when it is `urgent`. */
  join(member: RoundMember, urgent = false): void {
    this.#members.add(member);
    if (this.#scheduled || this.#urgent) return;
    if (urgent) {
      this.#urgent = true;
      this.#timer?.[Symbol.dispose]();
      this.#timer = undefined;
      this.#soon();
      return;
    }
    if (this.#timer) return;
    const waitMs = this.#restMs === 0 ? 0 : this.#restUntil - this.#clock.now();
    if (waitMs <= 0) {
      this.#restMs = 0;
      this.#soon();
    } else {
      this.#timer = this.#clock.setTimer(waitMs, () => this.#round(), { background: true });
    }
  }

  leave(member: RoundMember): void {
    this.#members.delete(member);
  }

  /** Behind the answers of this turn, one of which the writer is waiting for. */
  #soon(): void {
    this.#scheduled = true;
    setImmediate(() => this.#round());
  }

  #round(): void {
    this.#scheduled = false;
    this.#urgent = false;
    this.#timer = undefined;
    const members = this.#members;
    this.#members = new Set();
    // Streams of one selection come one after the other, with the very same parts.
    let parts: readonly Buffer[] = [];
    let joined: Buffer = nothing;
    for (const member of members) {
      const own = member.takeParts();
      if (own.length === 0) continue;
      if (!areSame(own, parts)) {
        parts = own;
        joined = own.length === 1 ? own[0]! : Buffer.concat(own);
      }
      member.write(joined);
    }
    const least = members.size * restMsPerStream;
    this.#restMs = least < 1 ? 0 : Math.min(longestRestMs, Math.max(least, 2 * this.#restMs));
    if (this.#restMs > 0) this.#restUntil = this.#clock.now() + this.#restMs;
  }
}

const nothing = Buffer.alloc(0);

function areSame(a: readonly Buffer[], b: readonly Buffer[]): boolean {
  return a.length === b.length && a.every((part, i) => part === b[i]);
}
