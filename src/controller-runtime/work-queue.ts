/** Keys waiting to be worked on: each at most once in the queue, never by two at once, retried with back-off (client-go's workqueue). */
import { type BackoffPolicy, backoffDelayMs } from "../base/backoff.ts";
import type { Clock, Timer } from "../base/clock.ts";

/** Upstream's default for a single item. */
export const retryBackoff: BackoffPolicy = { initialMs: 5, maximumMs: 1_000_000 };

export interface WorkQueueOptions<K> {
  clock: Clock;
  /** Keys worked on at the same time. */
  concurrency: number;
  /** Does the work for one key. Its rejection is the caller's business: it never reaches the queue. */
  work(key: K): Promise<void>;
}

/**
 * Bounded by the number of distinct keys, which is the number of objects: nothing is ever dropped.
 * A key added while it is being worked on is worked on again afterwards.
 */
export class WorkQueue<K> {
  readonly #options: WorkQueueOptions<K>;
  readonly #waiting = new Set<K>();
  readonly #working = new Set<K>();
  readonly #again = new Set<K>();
  readonly #timers = new Map<K, { dueMs: number; timer: Timer }>();
  readonly #failures = new Map<K, number>();
  #started = false;
  #stopped = false;
  #pumpQueued = false;
  #whenIdle: (() => void)[] = [];

  constructor(options: WorkQueueOptions<K>) {
    this.#options = options;
  }

  add(key: K): void {
    if (this.#stopped) return;
    if (this.#working.has(key)) this.#again.add(key);
    else {
      this.#waiting.add(key);
      this.#pumpSoon();
    }
  }

  /** Adds the key after the delay, unless it is due earlier already. */
  addAfter(key: K, delayMs: number): void {
    if (this.#stopped) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const { clock } = this.#options;
    const dueMs = clock.now() + delayMs;
    const existing = this.#timers.get(key);
    if (existing) {
      if (existing.dueMs <= dueMs) return;
      existing.timer[Symbol.dispose]();
    }
    const timer = clock.setTimer(delayMs, () => {
      this.#timers.delete(key);
      this.add(key);
    });
    this.#timers.set(key, { dueMs, timer });
  }

  /** Adds the key after its back-off, which doubles with every call until `forget`. Returns the number of failures so far. */
  retry(key: K): number {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    this.addAfter(key, backoffDelayMs(retryBackoff, failures));
    return failures;
  }

  forget(key: K): void {
    this.#failures.delete(key);
  }

  start(): void {
    this.#started = true;
    this.#pumpSoon();
  }

  /** Takes no more keys; resolves when those being worked on are done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { timer } of this.#timers.values()) timer[Symbol.dispose]();
    this.#timers.clear();
    this.#waiting.clear();
    this.#again.clear();
    if (this.#working.size > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  /** A batch of events may add the same key many times: the pump runs after the batch. */
  #pumpSoon(): void {
    if (this.#pumpQueued || !this.#started) return;
    this.#pumpQueued = true;
    queueMicrotask(() => {
      this.#pumpQueued = false;
      this.#pump();
    });
  }

  #pump(): void {
    for (const key of this.#waiting) {
      if (this.#working.size >= this.#options.concurrency) return;
      this.#waiting.delete(key);
      this.#working.add(key);
      void this.#workOn(key);
    }
  }

  async #workOn(key: K): Promise<void> {
    try {
      await this.#options.work(key);
    } finally {
      this.#working.delete(key);
      if (this.#again.delete(key) && !this.#stopped) this.#waiting.add(key);
      if (this.#stopped && this.#working.size === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
      this.#pumpSoon();
    }
  }
}
