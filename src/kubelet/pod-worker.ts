/**
 * The pod's state machine: (state, event, time) → (state, effects). Pure; the executor applies the effects and answers with events.
 * An event only records what happened; what follows from it is planned from the whole state (plan-pod.ts).
 */
import type { Container } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { backoffDelayMs } from "../base/backoff.ts";
import { atLeastOne, graceSecondsOf, planPod, updateContainer } from "./plan-pod.ts";
import {
  type ContainerState,
  containerSpecs,
  type ExitedRun,
  type Failure,
  findContainerSpec,
  newContainerState,
  type PodEvent,
  type PodObject,
  type PodState,
  type PodStep,
} from "./pod-state.ts";
import { initialBackoffMs, maximumBackoffMs, ruleAction } from "./restart-policy.ts";

export const imageBackoff = { initialMs: initialBackoffMs, maximumMs: maximumBackoffMs };
const sandboxBackoff = { initialMs: 1_000, maximumMs: 60_000 };
const volumeBackoff = { initialMs: 500, maximumMs: 122_000 };
/** After a failure that is no exit, such as a missing ConfigMap. */
const startRetryMs = 10_000;

export function stepPod(state: PodState, event: PodEvent, now: number): PodStep {
  return planPod(reduce(state, event, now), now);
}

function reduce(state: PodState, event: PodEvent, now: number): PodState {
  switch (event.kind) {
    case "podChanged": {
      const next = withPod(state, event.pod, now);
      return isWaitingInVain(state) && asksAnew(event.pod, state.pod) ? retryAtOnce(next, now) : next;
    }
    case "podVanished":
      return vanished(state, now);
    case "sandboxCreated": {
      const attempt = state.sandbox.attempt;
      // A new sandbox starts from the beginning: init containers run again.
      return {
        ...state,
        sandbox: { kind: "ready", attempt, id: event.id, ips: event.ips },
        ...(event.resources ? { resources: event.resources } : {}),
        initialized: false,
      };
    }
    case "sandboxFailed": {
      if (state.sandbox.kind !== "creating") return state;
      return { ...state, sandbox: { kind: "none", attempt: state.sandbox.attempt, failure: failed(event.message) } };
    }
    case "volumesReady":
      return { ...state, volumes: { kind: "ready" } };
    case "volumesFailed": {
      if (state.volumes.kind !== "preparing") return state;
      return { ...state, volumes: { kind: "none", failure: failed(event.message) } };
    }
    case "imageReady":
      return change(event.container, (container) => {
        const { image, id } = event;
        return {
          ...container,
          image: isWanted(container.name, image) ? { kind: "ready", image, id } : { kind: "unknown" },
        };
      });
    case "imageFailed":
      return change(event.container, (container) => {
        const { image, reason, message } = event;
        if (!isWanted(container.name, image)) return { ...container, image: { kind: "unknown" } };
        const failures = ("failures" in container.image ? (container.image.failures ?? 0) : 0) + 1;
        const retryAtMs = now + backoffDelayMs(imageBackoff, failures);
        return {
          ...replacementTold(container),
          image: { kind: "failed", image, reason, message, failures, failedAtMs: now, retryAtMs },
        };
      });
    case "containerStarted": {
      const next = change(event.container, (container) => {
        const isRunning = event.run.hook === undefined;
        const { problem, condemned, ...rest } = isRunning ? replacementTold(container) : container;
        const last = container.run.kind === "starting" ? container.run.last : undefined;
        return {
          ...rest,
          run: event.run,
          ...(last ? { previous: last } : {}),
          ...(event.backoff ? { backoff: event.backoff } : {}),
          ...readinessAtStart(container.name, event.run.hook !== undefined),
        };
      });
      const role = next.containers.find((container) => container.name === event.container)?.role;
      return role === "main" ? { ...next, initialized: true } : next;
    }
    case "hookEnded":
      return change(event.container, (container) => {
        if (container.run.kind !== "running" || container.run.id !== event.id) return container;
        const { hook, ...run } = container.run;
        const told = replacementTold(container);
        if (event.failure === undefined) return { ...told, run, ...readinessAtStart(container.name, false) };
        return {
          ...told,
          run,
          problem: { reason: "PostStartHookError", message: event.failure },
          condemned: { message: "FailedPostStartHook", restart: false },
        };
      });
    case "containerNotStarted":
      return change(event.container, (container) => {
        const last = container.run.kind === "starting" ? container.run.last : undefined;
        const told = replacementTold(container);
        if (event.run) {
          return {
            ...told,
            image: { kind: "unknown" },
            problem: event.problem,
            run: event.run,
            ...(last ? { previous: last } : {}),
          };
        }
        const problem = { ...event.problem, retryAtMs: now + (event.retryAfterMs ?? startRetryMs) };
        return { ...told, image: { kind: "unknown" }, problem, run: last ?? { kind: "none" } };
      });
    case "containerExited":
      return restartingAll(
        change(event.container, (container) => exited(state, container, event.run)),
        event.container,
        event.run,
      );
    case "probed":
      return change(event.container, (container) => probed(state, container, event));
    case "evicted": {
      if (state.stage.kind !== "active") return state;
      const { verdict } = event;
      const graceSeconds = atLeastOne(event.graceSeconds);
      const stage = {
        kind: "stopping",
        cause: "evicted",
        graceSeconds,
        deadlineMs: now + graceSeconds * 1000,
      } as const;
      return { ...state, verdict, stage };
    }
    case "resized":
      return change(event.container, (container) => {
        if (container.run.kind !== "running" || container.run.id !== event.id) return container;
        return { ...container, run: { ...container.run, resources: event.resources } };
      });
    case "podResized":
      return { ...state, resources: event.resources };
    case "resizeBlocked":
      return { ...state, resize: { type: event.type, reason: event.reason, message: event.message } };
    case "resizeSettled": {
      const { resize: _, ...rest } = state;
      return rest;
    }
    case "restartWanted":
      return change(event.container, (container) => {
        if (container.run.kind !== "running" || container.run.id !== event.id) return container;
        return { ...container, condemned: { message: event.message, restart: true } };
      });
    case "released": {
      const { sandbox } = state;
      if (state.stage.kind !== "releasing") return state; // Its removal began meanwhile.
      const ips = sandbox.kind === "ready" || sandbox.kind === "released" ? sandbox.ips : [];
      return {
        ...state,
        stage: { kind: "finished" },
        sandbox: { kind: "released", attempt: sandbox.attempt, ips },
        volumes: { kind: "none" },
      };
    }
    case "removed":
      return { ...state, stage: { kind: "gone" } };
    case "referenceChanged":
      return retryAtOnce(state, now);
    case "timePassed":
      return state;
  }

  function change(name: string, update: (container: ContainerState) => ContainerState): PodState {
    return updateContainer(state, name, update);
  }

  function isWanted(name: string, image: string): boolean {
    return findContainerSpec(state.pod, name)?.image === image;
  }

  function failed(message: string): Failure {
    const underWay = event.kind === "sandboxFailed" ? state.sandbox : state.volumes;
    const failures = (("failures" in underWay ? underWay.failures : 0) ?? 0) + 1;
    const policy = event.kind === "sandboxFailed" ? sandboxBackoff : volumeBackoff;
    return { message, failures, retryAtMs: now + backoffDelayMs(policy, failures) };
  }

  function readinessAtStart(name: string, hasHook: boolean) {
    const spec = findContainerSpec(state.pod, name);
    const started = !hasHook && !spec?.startupProbe;
    return { started, ready: started && !spec?.readinessProbe };
  }
}

function withPod(state: PodState, pod: PodObject, now: number): PodState {
  const known = new Map(state.containers.map((container) => [container.name, container]));
  const containers = containerSpecs(pod.spec).map(({ spec, role }) => {
    const container = known.get(spec.name) ?? newContainerState(spec.name, role);
    return imageChanged(container, spec.image ?? "");
  });
  let next: PodState = { ...state, pod, containers };
  const { stage } = state;
  if (stage.kind === "stopping" && pod.metadata.deletionTimestamp && stage.cause !== "vanished") {
    // A deletion may shorten the wait, and makes the records go too.
    const graceSeconds = atLeastOne(Number(pod.metadata.deletionGracePeriodSeconds ?? stage.graceSeconds));
    const deadlineMs = Math.min(stage.deadlineMs, now + graceSeconds * 1000);
    next = {
      ...next,
      stage: { ...stage, cause: "deleted", graceSeconds: Math.min(graceSeconds, stage.graceSeconds), deadlineMs },
    };
  }
  return next;
}

function imageChanged(container: ContainerState, image: string): ContainerState {
  const { run } = container;
  if (run.kind === "running" && run.image !== image && !run.stopping && !container.condemned) {
    const message = `Container ${container.name} definition changed, will be restarted`;
    // Another container by its spec: the back-off of the one before is not its own.
    const { backoff, ...rest } = container;
    return { ...rest, image: { kind: "unknown" }, condemned: { message, restart: true, isReplaced: true } };
  }
  // A pull under way ends first.
  const known = container.image;
  if ((known.kind === "failed" || known.kind === "ready") && known.image !== image) {
    return { ...container, image: { kind: "unknown" } };
  }
  return container;
}

function vanished(state: PodState, now: number): PodState {
  const { stage } = state;
  if (stage.kind === "removing" || stage.kind === "gone") return state;
  const graceSeconds = graceSecondsOf(state.pod);
  const deadlineMs = now + graceSeconds * 1000;
  const current = stage.kind === "stopping" ? stage : undefined;
  return {
    ...state,
    stage: {
      kind: "stopping",
      cause: "vanished",
      graceSeconds: Math.min(graceSeconds, current?.graceSeconds ?? graceSeconds),
      deadlineMs: Math.min(deadlineMs, current?.deadlineMs ?? deadlineMs),
    },
  };
}

function exited(state: PodState, container: ContainerState, exit: ExitedRun): ContainerState {
  const { run } = container;
  if (run.kind !== "running" || run.id !== exit.id) return container;
  const { condemned, replaced, ...rest } = container;
  const mustRestart = run.stopping?.restart ?? false;
  // A successor's own exit is told as any other.
  const isReplaced = replaced?.run.id === exit.id && mustRestart;
  const ready = replaced?.ready === true && !findContainerSpec(state.pod, container.name)?.readinessProbe;
  return {
    ...rest,
    ...(isReplaced ? { replaced: { ...replaced, ready } } : {}),
    image: { kind: "unknown" },
    run: { ...exit, ...(mustRestart ? { mustRestart } : {}) },
    started: false,
    ready: false,
  };
}

/** Of what takes its place there is something to tell now. */
function replacementTold({ replaced, ...container }: ContainerState): ContainerState {
  return container;
}

/** One exit may ask for all containers to start again. An exit that is part of such a restart asks for nothing. */
function restartingAll(state: PodState, name: string, exit: ExitedRun): PodState {
  const spec = findContainerSpec(state.pod, name);
  const run = state.containers.find((container) => container.name === name)?.run;
  if (!spec || state.stage.kind !== "active" || run?.kind !== "exited" || run.id !== exit.id || run.mustRestart)
    return state;
  return ruleAction(spec, exit) === "RestartAllContainers" ? { ...state, isRestarting: true } : state;
}

function probed(state: PodState, container: ContainerState, event: PodEvent & { kind: "probed" }): ContainerState {
  const { run } = container;
  if (run.kind !== "running" || run.id !== event.id) return container;
  if (event.probe === "readiness") {
    const { replaced, started } = container;
    const ready = event.success && started;
    return { ...container, ready, ...(replaced ? { replaced: { ...replaced, ready } } : {}) };
  }
  if (event.success) {
    if (event.probe === "liveness" || container.started) return container;
    const hasReadiness = findContainerSpec(state.pod, container.name)?.readinessProbe !== undefined;
    return { ...container, started: true, ready: !hasReadiness };
  }
  if (run.stopping || container.condemned) return container;
  // The container's own policy counts, not its rules: it has not exited.
  const spec = findContainerSpec(state.pod, container.name) as DeepReadonly<Container> | undefined;
  const restart = (spec?.restartPolicy ?? state.pod.spec.restartPolicy ?? "Always") !== "Never";
  const message = `Container ${container.name} failed ${event.probe} probe${restart ? ", will be restarted" : ""}`;
  const { graceSeconds } = event;
  return { ...container, condemned: { message, restart, ...(graceSeconds !== undefined ? { graceSeconds } : {}) } };
}

function isWaitingInVain({ volumes, containers }: PodState): boolean {
  return (volumes.kind === "none" && volumes.failure !== undefined) || containers.some(({ problem }) => problem);
}

/** Users have changed it: not its status alone. */
function asksAnew({ metadata: next }: PodObject, { metadata: previous }: PodObject): boolean {
  const said = ({ labels, annotations }: PodObject["metadata"]) => JSON.stringify([labels, annotations]);
  return next.generation !== previous.generation || said(next) !== said(previous);
}

function retryAtOnce(state: PodState, now: number): PodState {
  const { volumes } = state;
  return {
    ...state,
    volumes:
      volumes.kind === "none" && volumes.failure
        ? { kind: "none", failure: { ...volumes.failure, retryAtMs: now } }
        : volumes,
    containers: state.containers.map((container) =>
      container.problem?.retryAtMs === undefined
        ? container
        : { ...container, problem: { ...container.problem, retryAtMs: now } },
    ),
  };
}
