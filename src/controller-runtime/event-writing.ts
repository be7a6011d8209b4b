/** How Events reach the API: behind their teller, and again while no answer comes. */
import { StatusError } from "../apimachinery/status-error.ts";
import { type Clock, sleep } from "../base/clock.ts";

const mostTries = 12;
const pauseMs = 10_000;

/** Runs `write` until it is answered, at most twelve times, ten seconds apart. An answer that refuses is final, and is thrown. */
export async function writeUntilAnswered(
  write: () => Promise<unknown>,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await write();
      return;
    } catch (error) {
      if (error instanceof StatusError || signal.aborted || tries >= mostTries) throw error;
    }
    await sleep(clock, pauseMs, signal);
  }
}

/** Names of Events: the object's, and the nanoseconds of the moment, which never repeat. */
export class EventNames {
  readonly #clock: Clock;
  #last = 0n;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `atMs`: of what is told afterwards, epoch milliseconds. Nothing else happened to its object then. */
  next(objectName: string, atMs?: number): string {
    if (atMs !== undefined) return `${objectName}.${nanoseconds(atMs).toString(16)}`;
    // Two within one tick of the clock must still differ.
    const now = nanoseconds(this.#clock.now());
    this.#last = now > this.#last ? now : this.#last + 1n;
    return `${objectName}.${this.#last.toString(16)}`;
  }
}

/** Sets, and moves to the young end; forgets the oldest beyond `limit`. */
export function rememberAtMost<V>(limit: number, map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > limit) map.delete(map.keys().next().value!);
}

function nanoseconds(atMs: number): bigint {
  return BigInt(Math.floor(atMs * 1000)) * 1000n;
}
