/** The host's own clock: the one place that touches Date.now and setTimeout. */
import type { Clock, Timer } from "../clock.ts";

const longestDelayMs = 2 ** 31 - 1; // setTimeout fires at once beyond this.

export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  setTimer(delayMs, callback, options): Timer {
    const handle = setTimeout(callback, Math.min(Math.max(delayMs, 0), longestDelayMs));
    if (options?.background) handle.unref();
    return { [Symbol.dispose]: () => clearTimeout(handle) };
  },
};
