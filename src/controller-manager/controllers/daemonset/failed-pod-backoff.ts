/** How long a failed daemon Pod stays before it is replaced: longer with each failure on the same Node, until it has been quiet for long. */
import { backoffDelayMs } from "../../../base/backoff.ts";

const policy = { initialMs: 1000, maximumMs: 900_000 };
/** Remembered at most; the longest untouched is forgotten. */
const limit = 10_000;

export class FailedPodBackoff {
  readonly #entries = new Map<string, { failures: number; sinceMs: number }>();

  /** Milliseconds until a failed Pod of this key may be replaced; 0: now, and the next one waits longer. */
  replaceInMs(key: string, nowMs: number): number {
    const entry = this.#entries.get(key);
    if (entry) {
      const waitMs = entry.sinceMs + backoffDelayMs(policy, entry.failures) - nowMs;
      if (waitMs > 0) return waitMs;
    }
    const isForgiven = !entry || nowMs - entry.sinceMs > 2 * policy.maximumMs;
    this.#entries.delete(key);
    this.#entries.set(key, { failures: isForgiven ? 1 : entry.failures + 1, sinceMs: nowMs });
    if (this.#entries.size > limit) this.#entries.delete(this.#entries.keys().next().value!);
    return 0;
  }
}
