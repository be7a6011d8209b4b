/** Time as an argument: everything that waits or reads the hour receives a Clock, so that a whole cluster can run on a simulated one. */

export interface Clock {
  /** Milliseconds since the Unix epoch, with fractions where the host has them. */
  now(): number;
  /** Calls `callback` once after `delayMs`. Disposing the timer before it fires cancels it. Never keeps the process alive by itself when `background` is set. */
  setTimer(delayMs: number, callback: () => void, options?: { background?: boolean }): Timer;
}

export interface Timer {
  [Symbol.dispose](): void;
}

/** Resolves after `delayMs`; rejects with the signal's reason when it aborts first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer[Symbol.dispose]();
      reject(signal?.reason);
    };
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** The instant as the API writes `Time` fields: RFC 3339, UTC, whole seconds. */
export function rfc3339(epochMs: number): string {
  const second = Math.floor(epochMs / 1000);
  // Most calls ask for the present second again.
  if (second !== lastSecond) {
    lastText = `${new Date(epochMs).toISOString().slice(0, 19)}Z`;
    lastSecond = second;
  }
  return lastText;
}

let lastSecond = Number.NaN;
let lastText = "";

/** The instant as the API writes `MicroTime` fields: RFC 3339, UTC, six decimals. */
export function rfc3339Micro(epochMs: number): string {
  const microseconds = String(Math.floor((epochMs % 1000) * 1000)).padStart(6, "0");
  return `${new Date(epochMs).toISOString().slice(0, 19)}.${microseconds}Z`;
}
