/** Watches a start: what it still waits for, and that it does not wait for ever. */
import type { Clock, Timer } from "../base/clock.ts";

/** Thrown when a start made no progress for too long. */
export class StuckStartError extends Error {
  override name = "StuckStartError";
}

export class StartWatch {
  readonly #clock: Clock;
  readonly #timeoutSeconds: number;
  /** What is waited for, and what can be said about it now. */
  readonly #pending = new Map<string, () => string | undefined>();
  readonly #expired: Promise<never>;
  #expire: (error: Error) => void = () => {};
  #timer: Timer | undefined;

  constructor(clock: Clock, timeoutSeconds: number) {
    this.#clock = clock;
    this.#timeoutSeconds = timeoutSeconds;
    this.#expired = new Promise((_, reject) => {
      this.#expire = reject;
    });
    this.#expired.catch(() => {});
  }

  /** Passes a promise through. `detail` says more about it at the time of the complaint. */
  async until<T>(what: string, promise: Promise<T>, detail: () => string | undefined = () => undefined): Promise<T> {
    this.#pending.set(what, detail);
    const result = await promise;
    this.#pending.delete(what);
    if (this.#timer) this.#rewind();
    return result;
  }

  /** The work's outcome, or a StuckStartError when no wait ended for the whole timeout. */
  async guard<T>(work: Promise<T>): Promise<T> {
    this.#rewind();
    try {
      return await Promise.race([work, this.#expired]);
    } finally {
      this.#timer?.[Symbol.dispose]();
      this.#timer = undefined;
    }
  }

  #rewind(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#clock.setTimer(this.#timeoutSeconds * 1000, () => this.#expire(this.#complaint()));
  }

  #complaint(): Error {
    const waits = [...this.#pending].map(([what, detail]) => {
      const more = detail();
      return `  ${what}${more ? `: ${more}` : ""}`;
    });
    return new StuckStartError(
      `the cluster is not usable after ${this.#timeoutSeconds} s without progress; it still waits for\n${waits.join("\n")}`,
    );
  }
}
