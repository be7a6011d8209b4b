/**
 * One probe of one running container: when it is due, and when enough results in a row change the verdict (upstream's prober worker).
 * A result is told only when the verdict changes. One execution at a time: a slow probe delays its own next turn and nothing else.
 */
import type { Probe } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { Clock, Timer } from "../../base/clock.ts";
import type { ProbeKind } from "../pod-state.ts";
import type { ActionResult } from "./action.ts";

export interface ProbeWorkerOptions {
  kind: ProbeKind;
  probe: DeepReadonly<Probe>;
  clock: Clock;
  /** When the container started: the initial delay counts from here. */
  startedAtMs: number;
  /** What is believed already, of an adopted container. */
  verdict?: boolean;
  /** Spreads the first turns of adopted containers, so that a restarted kubelet does not run all probes at once. */
  firstDelayMs?: number;
  run(timeoutMs: number, signal: AbortSignal): Promise<ActionResult>;
  /** A single failure, for the event. */
  onFailure(result: ActionResult & { kind: "failure" | "unknown" | "warning" }): void;
  onVerdict(success: boolean): void;
}

export class ProbeWorker {
  readonly #options: ProbeWorkerOptions;
  readonly #stopping = new AbortController();
  #timer: Timer | undefined;
  #inARow = 0;
  #lastSuccess: boolean | undefined;
  #verdict: boolean | undefined;

  constructor(options: ProbeWorkerOptions) {
    this.#options = options;
    // Before the first verdict a container counts as live and as not ready.
    const initial = options.kind === "liveness" ? true : options.kind === "readiness" ? false : undefined;
    this.#verdict = options.verdict ?? initial;
  }

  start(): void {
    const { probe, clock, startedAtMs, firstDelayMs = 0 } = this.#options;
    const dueAtMs = startedAtMs + (probe.initialDelaySeconds ?? 0) * 1000;
    this.#schedule(Math.max(dueAtMs - clock.now(), firstDelayMs));
  }

  stop(): void {
    this.#stopping.abort();
    this.#timer?.[Symbol.dispose]();
  }

  #schedule(delayMs: number): void {
    if (delayMs <= 0) {
      void this.#turn();
      return;
    }
    this.#timer = this.#options.clock.setTimer(delayMs, () => void this.#turn(), { background: true });
  }

  async #turn(): Promise<void> {
    const { probe, clock, run } = this.#options;
    const { signal } = this.#stopping;
    const begunAtMs = clock.now();
    const result = await run((probe.timeoutSeconds ?? 1) * 1000, signal);
    if (signal.aborted) return;
    this.#take(result);
    if (signal.aborted) return; // The verdict may have ended this worker.
    const periodMs = (probe.periodSeconds ?? 10) * 1000;
    this.#schedule(Math.max(begunAtMs + periodMs - clock.now(), 1));
  }

  #take(result: ActionResult): void {
    const { kind, probe, onFailure, onVerdict } = this.#options;
    if (result.kind !== "success") onFailure(result);
    // What could not be found out changes nothing, as upstream.
    if (result.kind === "unknown") return;
    const success = result.kind !== "failure";
    this.#inARow = success === this.#lastSuccess ? this.#inARow + 1 : 1;
    this.#lastSuccess = success;
    const threshold = success ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3);
    if (this.#inARow < threshold) return;
    // A failed liveness or startup probe is told once: the container is restarted, and gets a new worker.
    if (success === this.#verdict) return;
    this.#verdict = success;
    onVerdict(success);
    if (!success && kind !== "readiness") this.stop();
  }
}
