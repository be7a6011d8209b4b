/**
 * Desired against observed: what a pod wants done now (upstream's computePodActions). Pure: the same state and time give the same plan.
 * The state that comes back has the planned work marked as under way, so that planning again plans nothing twice.
 */
import {
  type ContainerSpec,
  type ContainerState,
  type ExitedRun,
  findContainerSpec,
  type ImageState,
  type PodEffect,
  type PodObject,
  type PodState,
  type PodStep,
  podText,
  type StopCause,
} from "./pod-state.ts";
import {
  backoffAfterRestart,
  restartAllowedAtMs,
  restartingMessage,
  restartingReason,
  shouldRestart,
} from "./restart-policy.ts";

/** A container that is stopped after the grace period is used up still gets this long, as upstream. */
export const minimumGraceSeconds = 2;
export const imageBackoffShownAfterMs = 5_000;

export function planPod(state: PodState, now: number): PodStep {
  const plan = new Plan(state, now);
  plan.advanceStage();
  if (plan.state.stage.kind === "active") plan.runContainers();
  else if (plan.state.stage.kind === "stopping") plan.stopContainers();
  // Stopping may have found nothing to stop.
  plan.advanceStage();
  return plan.step();
}

/** One planning: a private, growing copy of the state, and the effects that it asks for. */
class Plan {
  state: PodState;
  readonly #now: number;
  readonly #effects: PodEffect[] = [];
  #wakeAtMs = Number.POSITIVE_INFINITY;

  constructor(state: PodState, now: number) {
    this.state = state;
    this.#now = now;
  }

  step(): PodStep {
    const step: PodStep = { state: this.state, effects: this.#effects };
    if (this.#wakeAtMs < Number.POSITIVE_INFINITY) step.wakeAtMs = this.#wakeAtMs;
    return step;
  }

  advanceStage(): void {
    const { pod, stage } = this.state;
    if (stage.kind === "active") {
      const deadlineMs = activeDeadlineMs(this.state);
      if (pod.metadata.deletionTimestamp) this.#stop("deleted");
      else if (deadlineMs !== undefined && deadlineMs <= this.#now) {
        const verdict = {
          reason: "DeadlineExceeded",
          message: "Pod was active on the node longer than the specified deadline",
        };
        this.state = { ...this.state, verdict };
        this.#effects.push({ kind: "event", type: "Normal", ...verdict });
        this.#stop("deadline");
      } else if (!this.state.isRestarting && isCompleted(this.state)) this.#stop("completed");
      else if (deadlineMs !== undefined) this.#wake(deadlineMs);
    } else if (stage.kind === "stopping") {
      if (this.state.containers.some(isAlive)) return;
      // What is under way ends first: its event comes back here.
      if (this.state.sandbox.kind === "creating" || this.state.volumes.kind === "preparing") return;
      if (stage.cause === "deleted" || stage.cause === "vanished") this.#remove();
      else {
        this.state = { ...this.state, stage: { kind: "releasing" } };
        this.#effects.push({ kind: "release" });
      }
    } else if (stage.kind === "finished" && pod.metadata.deletionTimestamp) this.#remove();
  }

  #stop(cause: StopCause): void {
    const graceSeconds = graceSecondsOf(this.state.pod);
    this.state = {
      ...this.state,
      stage: { kind: "stopping", cause, graceSeconds, deadlineMs: this.#now + graceSeconds * 1000 },
    };
  }

  #remove(): void {
    const { stage } = this.state;
    const hasVanished = stage.kind === "stopping" && stage.cause === "vanished";
    this.state = { ...this.state, stage: { kind: "removing" } };
    this.#effects.push({ kind: "remove" });
    if (!hasVanished) this.#effects.push({ kind: "deleteObject" });
  }

  runContainers(): void {
    if (this.state.isRestarting && !this.#restartAll()) return;
    const { wanted, stopping } = wantedContainers(this.state);
    for (const name of stopping) this.#stopCondemned(name);
    if (wanted.length === 0) return;
    this.#wantSandbox();
    this.#wantVolumes();
    for (const name of wanted) this.#wantStart(name);
    for (const container of this.state.containers) {
      if (container.run.kind === "running" && container.run.hook === "wanted") {
        this.#update(container.name, { run: { ...container.run, hook: "running" } });
        this.#effects.push({ kind: "runPostStart", container: container.name, id: container.run.id });
      }
    }
  }

  /** Kills what runs, at once and without hooks; then everything counts as not having run. False: it has not ended yet. */
  #restartAll(): boolean {
    for (const { name, run } of this.state.containers) {
      if (run.kind !== "running" || run.stopping?.deadlineMs === 0) continue;
      this.#update(name, { run: { ...run, stopping: { deadlineMs: 0, restart: true } }, ready: false });
      const message = `Stopping container ${name}: all containers of the pod restart`;
      this.#effects.push({ kind: "stopContainer", container: name, id: run.id, graceSeconds: 0, message });
    }
    if (this.state.containers.some(isAlive)) return false;
    const reset = { exitCode: 137, reason: restartingReason, message: restartingMessage, mustRestart: true };
    for (const { name, role, run } of this.state.containers)
      if (run.kind === "exited" && role !== "ephemeral") this.#update(name, { run: { ...run, ...reset } });
    this.state = { ...this.state, isRestarting: false, initialized: false };
    return true;
  }

  #wantSandbox(): void {
    const { sandbox } = this.state;
    if (sandbox.kind !== "none") return;
    if (sandbox.failure && sandbox.failure.retryAtMs > this.#now) {
      this.#wake(sandbox.failure.retryAtMs);
      return;
    }
    this.state = {
      ...this.state,
      sandbox: { kind: "creating", attempt: sandbox.attempt, failures: sandbox.failure?.failures ?? 0 },
    };
    this.#effects.push({ kind: "createSandbox", attempt: sandbox.attempt });
  }

  #wantVolumes(): void {
    const { volumes } = this.state;
    if (volumes.kind !== "none") return;
    if (volumes.failure && volumes.failure.retryAtMs > this.#now) {
      this.#wake(volumes.failure.retryAtMs);
      return;
    }
    this.state = { ...this.state, volumes: { kind: "preparing", failures: volumes.failure?.failures ?? 0 } };
    this.#effects.push({ kind: "prepareVolumes" });
  }

  #wantStart(name: string): void {
    const container = this.#container(name);
    const { run, problem, backoff } = container;
    if (run.kind === "running" || run.kind === "starting") return;
    if (problem?.retryAtMs !== undefined && problem.retryAtMs > this.#now) {
      this.#wake(problem.retryAtMs);
      return;
    }
    if (run.kind === "exited") {
      const allowedAtMs = restartAllowedAtMs(backoff, run);
      if (allowedAtMs > this.#now) {
        this.#wake(allowedAtMs);
        if (backoff && backoff.announcedUntilMs !== allowedAtMs) {
          this.#update(name, { backoff: { ...backoff, announcedUntilMs: allowedAtMs } });
          this.#effects.push({
            kind: "event",
            type: "Warning",
            reason: "BackOff",
            message: `Back-off restarting failed container ${name} in pod ${podText(this.state.pod)}`,
            container: name,
          });
        }
        return;
      }
    }
    const imageId = this.#wantImage(name, container.image);
    if (imageId === undefined || this.state.sandbox.kind !== "ready" || this.state.volumes.kind !== "ready") return;
    // A first start leaves no wait behind; each restart doubles the next one.
    const next = run.kind === "exited" ? backoffAfterRestart(backoff, this.#now) : undefined;
    const attempt = run.kind === "exited" ? run.attempt + 1 : 0;
    this.#update(name, {
      run: { kind: "starting", attempt, ...(run.kind === "exited" ? { last: run } : {}) },
      ...(next ? { backoff: next } : {}),
    });
    this.#effects.push({
      kind: "startContainer",
      container: name,
      attempt,
      imageId,
      ...(next ? { backoff: next } : {}),
    });
  }

  /** The image's id when it is there; else sees to it that it comes. */
  #wantImage(name: string, image: ImageState): string | undefined {
    if (image.kind === "ready") return image.id;
    if (image.kind === "checking") return undefined;
    if (image.kind === "failed" && image.retryAtMs > this.#now) {
      if (image.reason === "ErrImagePull" && !image.announced) {
        const shownAtMs = image.failedAtMs + imageBackoffShownAfterMs;
        if (shownAtMs > this.#now) {
          this.#wake(shownAtMs);
          return undefined;
        }
        this.#update(name, { image: { ...image, announced: true } });
        const specImage = findContainerSpec(this.state.pod, name)?.image ?? "";
        const event = { kind: "event", container: name } as const;
        this.#effects.push(
          {
            ...event,
            type: "Normal",
            reason: "BackOff",
            message: `Back-off pulling image ${JSON.stringify(specImage)}`,
          },
          { ...event, type: "Warning", reason: "Failed", message: "Error: ImagePullBackOff" },
        );
      }
      this.#wake(image.retryAtMs);
      return undefined;
    }
    const waiting = image.kind === "failed" ? imageWaiting(this.state, name, image) : undefined;
    this.#update(name, {
      image: { kind: "checking", failures: image.failures ?? 0, ...(waiting ? { waiting } : {}) },
    });
    this.#effects.push({ kind: "ensureImage", container: name });
    return undefined;
  }

  #stopCondemned(name: string): void {
    const { condemned, run, started, ready } = this.#container(name);
    if (!condemned || run.kind !== "running") return;
    const graceSeconds = condemned.graceSeconds ?? Number(this.state.pod.spec.terminationGracePeriodSeconds ?? 30);
    const deadlineMs = this.#now + graceSeconds * 1000;
    this.#update(name, {
      run: { ...run, stopping: { deadlineMs, restart: condemned.restart } },
      ready: false,
      ...(condemned.isReplaced ? { replaced: { run, started, ready } } : {}),
    });
    this.#effects.push({
      kind: "stopContainer",
      container: name,
      id: run.id,
      graceSeconds,
      message: condemned.message,
    });
  }

  /**
   * All at once, as far as their preStop hooks go; but sidecars are asked to end only when no main container is left, one after the
   * other, the last started first.
   */
  stopContainers(): void {
    const alive = this.state.containers.filter(isAlive);
    const sidecars = alive.filter(({ role }) => role === "sidecar");
    const next = alive.some(({ role }) => role === "main") ? undefined : sidecars.at(-1);
    for (const container of alive) this.#stopForGood(container, container.role === "sidecar" && container !== next);
  }

  #stopForGood(container: ContainerState, awaitsTurn: boolean): void {
    const { stage } = this.state;
    const { run, name } = container;
    if (stage.kind !== "stopping" || run.kind !== "running") return;
    const leftSeconds = Math.ceil((stage.deadlineMs - this.#now) / 1000);
    const graceSeconds = Math.max(leftSeconds, Math.min(stage.graceSeconds, minimumGraceSeconds));
    const deadlineMs = this.#now + graceSeconds * 1000;
    const isItsTurn = run.stopping?.awaitsTurn === true && !awaitsTurn;
    // Half a second keeps rounding from sending the same again.
    if (run.stopping && run.stopping.deadlineMs <= deadlineMs + 500 && !isItsTurn) return;
    const turn = awaitsTurn ? { awaitsTurn } : {};
    this.#update(name, { run: { ...run, stopping: { deadlineMs, ...turn } } });
    this.#effects.push({
      kind: "stopContainer",
      container: name,
      id: run.id,
      graceSeconds,
      message: `Stopping container ${name}`,
      ...turn,
    });
  }

  #container(name: string): ContainerState {
    return this.state.containers.find((container) => container.name === name)!;
  }

  #update(name: string, change: Partial<ContainerState>): void {
    this.state = updateContainer(this.state, name, (container) => ({ ...container, ...change }));
  }

  #wake(atMs: number): void {
    this.#wakeAtMs = Math.min(this.#wakeAtMs, atMs);
  }
}

export function updateContainer(
  state: PodState,
  name: string,
  change: (container: ContainerState) => ContainerState,
): PodState {
  return {
    ...state,
    containers: state.containers.map((container) => (container.name === name ? change(container) : container)),
  };
}

export function isAlive(container: ContainerState): boolean {
  return container.run.kind === "running" || container.run.kind === "starting";
}

/** The grace period that the deleter asked for, else the pod's own; never none. */
export function graceSecondsOf({ metadata, spec }: PodObject): number {
  return atLeastOne(Number(metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30));
}

/** Whoever ends a pod, and be it by force: its containers are asked before they are killed. */
export function atLeastOne(graceSeconds: number): number {
  return Math.max(graceSeconds, 1);
}

/** What `waiting` says while an image has failed to come. */
export function imageWaiting(state: PodState, name: string, image: ImageState & { kind: "failed" }) {
  if (image.reason !== "ErrImagePull" || !image.announced)
    return { reason: image.reason as string, message: image.message };
  const specImage = JSON.stringify(findContainerSpec(state.pod, name)?.image ?? "");
  return { reason: "ImagePullBackOff", message: `Back-off pulling image ${specImage}: ErrImagePull: ${image.message}` };
}

/** Nothing is left that would run again: every main container ended for good, or an init container failed for good. */
export function isCompleted(state: PodState): boolean {
  const endedForGood = (container: ContainerState) => {
    if (container.run.kind !== "exited") return false;
    const spec = findContainerSpec(state.pod, container.name);
    return !!spec && !mayRestart(state, spec, container, container.run);
  };
  const mains = state.containers.filter((container) => container.role === "main");
  if (mains.length > 0 && mains.every(endedForGood)) return true;
  return (
    !state.initialized &&
    state.containers.some(
      (container) => container.role === "init" && endedForGood(container) && !succeeded(container, state),
    )
  );
}

function mayRestart(state: PodState, spec: ContainerSpec, container: ContainerState, exit: ExitedRun): boolean {
  return exit.mustRestart === true || shouldRestart(state.pod, spec, container.role, exit);
}

/** An init container's success counts for the sandbox that it ran in. */
function succeeded(container: ContainerState, state: PodState): boolean {
  if (container.run.kind !== "exited" || container.run.exitCode !== 0 || container.run.mustRestart) return false;
  const { sandbox } = state;
  return sandbox.kind !== "ready" || sandbox.id === container.run.sandbox;
}

function activeDeadlineMs({ pod, startTimeMs }: PodState): number | undefined {
  const seconds = pod.spec.activeDeadlineSeconds;
  return seconds === undefined || seconds === null ? undefined : startTimeMs + seconds * 1000;
}

function hasFailed({ image, problem }: ContainerState): boolean {
  return image.kind === "failed" || problem !== undefined;
}

/** The containers whose turn it is to run and that do not, and those condemned. */
function wantedContainers(state: PodState): { wanted: string[]; stopping: string[] } {
  const wanted: string[] = [];
  const stopping: string[] = [];
  let isBlocked = false;
  for (const container of state.containers) {
    const { name, role, run, condemned } = container;
    const spec = findContainerSpec(state.pod, name);
    if (!spec) continue;
    if (condemned && run.kind === "running" && !run.stopping) stopping.push(name);
    if (role === "ephemeral") {
      if (run.kind === "none") wanted.push(name);
      continue;
    }
    if (isBlocked) continue;
    const isIdle = run.kind === "none" || run.kind === "exited";
    const mayRun = run.kind === "none" || (run.kind === "exited" && mayRestart(state, spec, container, run));
    if (role === "init") {
      if (state.initialized || succeeded(container, state)) continue;
      // Its success in an earlier sandbox does not count in this one.
      if (isIdle && (mayRun || (run.kind === "exited" && run.exitCode === 0))) wanted.push(name);
      isBlocked = true;
    } else if (role === "sidecar") {
      if (isIdle) wanted.push(name);
      else if (run.kind === "running" && run.hook) wanted.push(name);
      if (!state.initialized && !container.started) isBlocked = true;
    } else {
      if (mayRun) wanted.push(name);
      const hasHook = spec.lifecycle?.postStart !== undefined;
      if (run.kind === "running" && run.hook) {
        wanted.push(name);
        isBlocked = true;
      } else if (hasHook && (run.kind === "starting" || (run.kind === "none" && !hasFailed(container))))
        isBlocked = true;
    }
  }
  return { wanted, stopping };
}
