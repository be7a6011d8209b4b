/** Lets wait for a revision that is still to come. */
import type { Revision } from "./store.ts";

interface Waiter {
  revision: Revision;
  resolve: () => void;
}

export class RevisionGate {
  #reached: Revision = 0;
  #waiters: Waiter[] = [];

  /** Resolves when `advance` has come to `revision` or beyond (at once, as a rule). Rejects with the signal's reason. */
  reached(revision: Revision, signal?: AbortSignal): Promise<void> {
    if (revision <= this.#reached) return Promise.resolve();
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        revision,
        resolve: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      const onAbort = () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(signal?.reason);
      };
      this.#waiters.push(waiter);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  advance(revision: Revision): void {
    this.#reached = revision;
    if (this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = waiters.filter((waiter) => waiter.revision > revision);
    for (const waiter of waiters) if (waiter.revision <= revision) waiter.resolve();
  }
}
