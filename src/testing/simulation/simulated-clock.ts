/** A clock that jumps from timer to timer, letting everything come to rest in between: a whole cluster's day in seconds. */
import type { Clock, Timer } from "../../base/clock.ts";

interface Entry {
  dueMs: number;
  order: number;
  callback: (() => void) | undefined;
}

export class SimulatedClock implements Clock {
  #nowMs: number;
  /** A binary heap: the next to fire comes first. */
  readonly #heap: Entry[] = [];
  #order = 0;

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const entry: Entry = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback };
    this.#push(entry);
    return {
      [Symbol.dispose]: () => {
        entry.callback = undefined;
      },
    };
  }

  /** Fires what falls due within `ms`, in order. `atRest` is called whenever nothing is left to do before the next timer. */
  async advance(ms: number, atRest: () => void = () => {}): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const next = this.#heap[0];
      if (!next || next.dueMs > untilMs) break;
      this.#pop();
      if (!next.callback) continue;
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.callback();
      await settle();
      atRest();
    }
    this.#nowMs = untilMs;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent]!, entry)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (isBefore(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

/** Promise reactions all run before the event loop turns; a watch begins to deliver one turn later. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
