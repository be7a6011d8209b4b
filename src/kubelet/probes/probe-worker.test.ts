import { expect, test } from "vitest";
import type { Clock } from "../../base/clock.ts";
import type { ProbeKind } from "../pod-state.ts";
import type { ActionResult } from "./action.ts";
import { ProbeWorker } from "./probe-worker.ts";

const ok: ActionResult = { kind: "success" };
const bad: ActionResult = { kind: "failure", output: "no" };

test("a container is unready until its first success, and again after three failures in a row", async () => {
  const probe = harness("readiness", { periodSeconds: 10 });
  expect(await probe.answer(bad)).toEqual([]);
  expect(await probe.answer(ok)).toEqual([true]);
  expect(await probe.answer(bad, bad, ok, bad, bad)).toEqual([]);
  expect(await probe.answer(bad)).toEqual([false]);
  expect(await probe.answer(ok)).toEqual([true]);
});

test("the first turn comes after the initial delay, the others a period apart", async () => {
  const probe = harness("readiness", { periodSeconds: 5, initialDelaySeconds: 3 });
  await probe.answer(ok, ok, ok);
  expect(probe.turns).toEqual([3000, 8000, 13_000]);
});

test("a liveness failure is told once, and ends the probing", async () => {
  const probe = harness("liveness", { periodSeconds: 1, failureThreshold: 2 });
  expect(await probe.answer(ok, bad, bad)).toEqual([false]);
  expect(probe.clock.pending).toBe(0);
});

test("what could not be found out changes nothing", async () => {
  const probe = harness("liveness", { periodSeconds: 1, failureThreshold: 1 });
  expect(await probe.answer({ kind: "unknown", error: "?" })).toEqual([]);
  expect(probe.failures).toBe(1);
});

function harness(kind: ProbeKind, spec: object) {
  const clock = new HandClock();
  const answers: ((result: ActionResult) => void)[] = [];
  const verdicts: boolean[] = [];
  const state = { clock, turns: [] as number[], failures: 0 };
  const worker = new ProbeWorker({
    kind,
    probe: spec,
    clock,
    startedAtMs: 0,
    run: () => {
      state.turns.push(clock.now());
      return new Promise((resolve) => answers.push(resolve));
    },
    onFailure: () => {
      state.failures++;
    },
    onVerdict: (success) => verdicts.push(success),
  });
  worker.start();
  return Object.assign(state, {
    /** Lets turns end with these results, and yields the verdicts that they brought. */
    async answer(...results: ActionResult[]): Promise<boolean[]> {
      const before = verdicts.length;
      for (const result of results) {
        if (answers.length === 0) clock.advance();
        answers.shift()!(result);
        await Promise.resolve();
        await Promise.resolve();
      }
      return verdicts.slice(before);
    },
  });
}

/** Time that stands still until the next timer is asked for. */
class HandClock implements Clock {
  #now = 0;
  #timers: { at: number; callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  get pending(): number {
    return this.#timers.length;
  }

  setTimer(delayMs: number, callback: () => void) {
    const timer = { at: this.#now + delayMs, callback };
    this.#timers.push(timer);
    return {
      [Symbol.dispose]: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  advance(): void {
    const next = this.#timers.shift()!;
    this.#now = next.at;
    next.callback();
  }
}
