/** Stops a pod's containers: preStop hook, signal, and the end of their grace. */
import type { Timer } from "../base/clock.ts";
import { runHook } from "./lifecycle-hooks.ts";
import { actionTarget, type PodDesk, untilDone } from "./pod-desk.ts";
import { findContainerSpec, type PodEffect } from "./pod-state.ts";
import type { ContainerId, ContainerStatus } from "./runtime/container-runtime.ts";

interface Stop {
  deadlineMs: number;
  /** Ends the preStop hook. */
  hook: AbortController | undefined;
  timer: Timer | undefined;
}

const minimumGraceSeconds = 2;

export class ContainerStopper {
  readonly #pod: PodDesk;
  readonly #stops = new Map<ContainerId, Stop>();
  readonly #onExited: (status: ContainerStatus) => void;

  /** `onExited`: for an exit that the runtime's own notice may not have told. */
  constructor(pod: PodDesk, onExited: (status: ContainerStatus) => void) {
    this.#pod = pod;
    this.#onExited = onExited;
  }

  async stop(effect: PodEffect & { kind: "stopContainer" }): Promise<void> {
    const { clock, runtime } = this.#pod.node;
    const { id, container: name, graceSeconds } = effect;
    const deadlineMs = clock.now() + graceSeconds * 1000;
    const current = this.#stops.get(id);
    if (current) {
      // Asked again with less grace: the hook ends sooner, or the runtime is told.
      if (deadlineMs >= current.deadlineMs) return;
      current.deadlineMs = deadlineMs;
      if (current.hook) this.#limitHook(current, graceSeconds);
      else await runtime.stopContainer(id, { gracePeriodSeconds: graceSeconds });
      return;
    }
    this.#pod.record(name, "Normal", "Killing", effect.message);
    const stop: Stop = { deadlineMs, hook: undefined, timer: undefined };
    this.#stops.set(id, stop);
    try {
      const container = findContainerSpec(this.#pod.state.pod, name);
      const preStop = container?.lifecycle?.preStop;
      if (container && preStop && graceSeconds > 0) {
        stop.hook = new AbortController();
        this.#limitHook(stop, graceSeconds);
        const failure = await runHook(
          preStop,
          actionTarget(this.#pod, container, id),
          this.#pod.node.runAction,
          stop.hook.signal,
        );
        stop.timer?.[Symbol.dispose]();
        stop.hook = undefined;
        if (failure !== undefined) {
          this.#pod.node.log.info("preStop hook failed", { pod: this.#pod.name, container: name, failure });
          this.#pod.record(name, "Warning", "FailedPreStopHook", "PreStopHook failed");
        }
      }
      await untilDone(this.#pod, "error killing pod", async () => {
        const leftSeconds = Math.max(0, Math.ceil((stop.deadlineMs - clock.now()) / 1000));
        const leastSeconds = preStop && graceSeconds > 0 ? minimumGraceSeconds : 0;
        await runtime.stopContainer(id, { gracePeriodSeconds: Math.max(leftSeconds, leastSeconds) });
      });
    } finally {
      this.#stops.delete(id);
    }
    // The runtime's exit notice normally came first; this is for one that was lost.
    const status = runtime.containerStatus(id);
    if (status?.state.kind === "exited") this.#onExited(status);
    else if (!status) this.#reportLoss(name, id);
  }

  /** The runtime does not know the container any more: it has ended, nobody knows how. */
  #reportLoss(name: string, id: ContainerId): void {
    const run = this.#pod.state.containers.find((container) => container.name === name)?.run;
    if (run?.kind !== "running" || run.id !== id) return;
    const { hook: _, stopping: __, ...identity } = run;
    const exit = {
      ...identity,
      kind: "exited" as const,
      exitCode: 137,
      reason: "ContainerStatusUnknown",
      message: "The container could not be located when the pod was terminated",
      finishedAtMs: this.#pod.node.clock.now(),
    };
    this.#pod.dispatch({ kind: "containerExited", container: name, run: exit });
  }

  #limitHook(stop: Stop, graceSeconds: number): void {
    const { hook } = stop;
    stop.timer?.[Symbol.dispose]();
    stop.timer = this.#pod.node.clock.setTimer(graceSeconds * 1000, () => hook?.abort(), { background: true });
  }
}
