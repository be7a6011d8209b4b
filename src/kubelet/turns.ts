/**
 * Lets work that occupies the main thread come in turns: between two pieces the event loop goes round once, so that what the first
 * one set going (a container's start) goes on while the next one's system calls are made.
 */
import type { Clock } from "../base/clock.ts";

export class Turns {
  readonly #clock: Clock;
  #last: Promise<void> = Promise.resolve();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins `work` when it is its turn. The next turn does not wait for its end. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    const previous = this.#last;
    let finish: () => void = () => {};
    this.#last = new Promise((resolve) => {
      finish = resolve;
    });
    await previous;
    const result = work();
    this.#clock.setTimer(0, finish);
    return await result;
  }
}
