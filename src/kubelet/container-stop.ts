/** Stops a pod's containers: preStop hook, signal, and the end of their grace. */
import { runHook } from "./lifecycle-hooks.ts";
import { minimumGraceSeconds } from "./plan-pod.ts";
import { actionTarget, type PodDesk, untilDone } from "./pod-desk.ts";
import { findContainerSpec, type PodEffect } from "./pod-state.ts";
import type { ContainerId, ContainerStatus } from "./runtime/container-runtime.ts";

interface Stop {
  deadlineMs: number;
  /** Fires when nobody has to end before it any more. */
  readonly turn: AbortController;
  /** Its preStop hook or its turn is waited for: looks again whether that is over. Undefined: it has been asked to end. */
  lookAgain?: (() => void) | undefined;
}

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
    const { id, container: name, graceSeconds, awaitsTurn } = effect;
    const deadlineMs = clock.now() + graceSeconds * 1000;
    const current = this.#stops.get(id);
    if (current) return this.#hurry(id, current, deadlineMs, awaitsTurn);
    this.#pod.record(name, "Normal", "Killing", effect.message);
    const stop: Stop = { deadlineMs, turn: new AbortController() };
    if (!awaitsTurn) stop.turn.abort();
    this.#stops.set(id, stop);
    try {
      if (graceSeconds > 0) await this.#runPreStop(name, id, stop);
      await this.#untilOver(stop, stop.turn.signal);
      await untilDone(this.#pod, "error killing pod", () => this.#ask(id, stop));
    } finally {
      this.#stops.delete(id);
    }
    // The runtime's exit notice normally came first; this is for one that was lost.
    const status = runtime.containerStatus(id);
    if (status?.state.kind === "exited") this.#onExited(status);
    else if (!status) this.#reportLoss(name, id);
  }

  /** Wanted again: its turn has come, or it has less grace. */
  async #hurry(id: ContainerId, stop: Stop, deadlineMs: number, awaitsTurn: boolean | undefined): Promise<void> {
    if (!awaitsTurn) stop.turn.abort();
    if (deadlineMs >= stop.deadlineMs) return;
    stop.deadlineMs = deadlineMs;
    if (stop.lookAgain) stop.lookAgain();
    else await this.#ask(id, stop);
  }

  /** However little grace is left, it is asked before it is killed. */
  async #ask(id: ContainerId, { deadlineMs }: Stop): Promise<void> {
    const { clock, runtime } = this.#pod.node;
    const leftSeconds = Math.ceil((deadlineMs - clock.now()) / 1000);
    await runtime.stopContainer(id, { gracePeriodSeconds: Math.max(leftSeconds, minimumGraceSeconds) });
  }

  async #runPreStop(name: string, id: ContainerId, stop: Stop): Promise<void> {
    const container = findContainerSpec(this.#pod.state.pod, name);
    const preStop = container?.lifecycle?.preStop;
    if (!container || !preStop) return;
    const over = new AbortController();
    const target = actionTarget(this.#pod, container, id);
    const hook = runHook(preStop, target, this.#pod.node.runAction, over.signal);
    void hook.then(() => over.abort());
    await this.#untilOver(stop, over.signal);
    over.abort();
    const failure = await hook;
    if (failure === undefined) return;
    this.#pod.node.log.info("preStop hook failed", { pod: this.#pod.name, container: name, failure });
    this.#pod.record(name, "Warning", "FailedPreStopHook", "PreStopHook failed");
  }

  /** Or until its grace, which may become less meanwhile, is used up. */
  async #untilOver(stop: Stop, over: AbortSignal): Promise<void> {
    const { clock } = this.#pod.node;
    while (!over.aborted && clock.now() < stop.deadlineMs) {
      await new Promise<void>((resolve) => {
        const timer = clock.setTimer(stop.deadlineMs - clock.now(), resolve, { background: true });
        stop.lookAgain = () => {
          timer[Symbol.dispose]();
          resolve();
        };
        over.addEventListener("abort", stop.lookAgain, { once: true });
      });
    }
    stop.lookAgain = undefined;
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
}
