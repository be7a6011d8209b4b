/**
 * Looks at the size of running containers' logs now and then, and at those that grow fast as often as they fill up: a
 * container that writes without end fills no disk.
 */
import { stat } from "node:fs/promises";
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { type LogLimits, nextLookMs, rotateLog } from "./log-rotation.ts";
import type { ContainerId, ContainerRuntime } from "./runtime/container-runtime.ts";

export interface LogKeeperOptions {
  runtime: Pick<ContainerRuntime, "containerStatus" | "reopenLog">;
  limits: LogLimits;
  /** Between two regular looks. */
  regularMs: number;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
}

export class LogKeeper {
  readonly #options: LogKeeperOptions;
  readonly #seen = new Map<ContainerId, { bytes: number; atMs: number }>();
  readonly #timers = new Map<ContainerId, Timer>();
  readonly #busy = new Set<ContainerId>();
  #isLooking = false;

  constructor(options: LogKeeperOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#forget(() => true), { once: true });
  }

  /** A regular look at all that run; others are forgotten. */
  async look(running: readonly ContainerId[]): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const present = new Set(running);
    this.#forget((id) => !present.has(id));
    try {
      for (const id of running) await this.#look(id);
    } finally {
      this.#isLooking = false;
    }
  }

  async #look(id: ContainerId): Promise<void> {
    const { runtime, limits, regularMs, clock, log, signal } = this.#options;
    if (signal.aborted || this.#busy.has(id)) return;
    const path = runtime.containerStatus(id)?.config.logPath;
    if (!path) return;
    this.#busy.add(id);
    try {
      const after = { bytes: (await stat(path)).size, atMs: clock.now() };
      // A log that was just set aside begins with nothing.
      const before = this.#seen.get(id) ?? { bytes: 0, atMs: after.atMs - regularMs };
      const wasRotated = await rotateLog(path, limits, clock.now(), () => runtime.reopenLog(id));
      this.#seen.set(id, wasRotated ? { bytes: 0, atMs: after.atMs } : after);
      const dueMs = wasRotated
        ? nextLookMs(before, after, { ...limits, maximumBytes: after.bytes + limits.maximumBytes }, regularMs)
        : nextLookMs(before, after, limits, regularMs);
      this.#timers.get(id)?.[Symbol.dispose]();
      this.#timers.delete(id);
      if (dueMs !== undefined)
        this.#timers.set(
          id,
          clock.setTimer(dueMs, () => void this.#look(id), { background: true }),
        );
    } catch (error) {
      const isGone = (error as NodeJS.ErrnoException).code === "ENOENT";
      if (!isGone) log.warn("rotating a container's log failed", { path, error: (error as Error).message });
    } finally {
      this.#busy.delete(id);
    }
  }

  #forget(isOver: (id: ContainerId) => boolean): void {
    for (const id of [...this.#seen.keys(), ...this.#timers.keys()].filter(isOver)) {
      this.#seen.delete(id);
      this.#timers.get(id)?.[Symbol.dispose]();
      this.#timers.delete(id);
    }
  }
}
