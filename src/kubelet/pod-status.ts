/** From what is known of a pod to the status that users read (upstream's generateAPIPodStatus and status/generate.go). Pure. */
import type {
  ContainerState as ApiContainerState,
  Container,
  ContainerStatus,
  PodCondition,
  PodStatus,
  ResourceRequirements,
} from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { rfc3339 } from "../base/clock.ts";
import { imageWaiting, isAlive } from "./plan-pod.ts";
import {
  type ContainerRole,
  type ContainerSpec,
  type ContainerState,
  type ExitedRun,
  findContainerSpec,
  type PodObject,
  type PodState,
  podText,
  type RunIdentity,
} from "./pod-state.ts";
import { podQosClass } from "./qos.ts";
import { goDuration, restartAllowedAtMs, shouldRestart } from "./restart-policy.ts";

export interface NodeFacts {
  /** The node's addresses, first family first. */
  hostIPs: readonly string[];
  /** The scheme of container ids. */
  runtimeName: string;
  /** Default: not. */
  recursiveReadOnlyMounts?: boolean;
}

type Condition = Omit<PodCondition, "lastTransitionTime" | "observedGeneration">;

/** `previous` is the status as last read or written: transition times and the conditions of others come from it. */
export function podStatus(
  state: PodState,
  previous: DeepReadonly<PodStatus> | undefined,
  node: NodeFacts,
  now: number,
): PodStatus {
  const { pod } = state;
  const containers = statusesOf(state, ["main"], node, now);
  const initContainers = statusesOf(state, ["init", "sidecar"], node, now);
  const ephemeral = statusesOf(state, ["ephemeral"], node, now);
  const phase = phaseOf(state, containers, initContainers);
  // As upstream: a pod has not failed while something of it may run. Why it will have is told at once, which upstream does not.
  const isEnding = state.verdict !== undefined && state.containers.some(isAlive);
  const status: PodStatus = {
    ...(pod.metadata.generation !== undefined ? { observedGeneration: pod.metadata.generation } : {}),
    phase: isEnding ? phaseBefore(previous) : phase,
    conditions: conditionsOf(state, phase, containers, initContainers, previous, now),
    ...(state.verdict ? { reason: state.verdict.reason, message: state.verdict.message } : {}),
    ...(previous?.nominatedNodeName ? { nominatedNodeName: previous.nominatedNodeName } : {}),
    ...(node.hostIPs[0] ? { hostIP: node.hostIPs[0], hostIPs: node.hostIPs.map((ip) => ({ ip })) } : {}),
    startTime: rfc3339(state.startTimeMs),
    ...(state.verdict?.isRefusal
      ? {}
      : {
          ...(initContainers.length > 0 ? { initContainerStatuses: initContainers } : {}),
          containerStatuses: containers,
          ...(ephemeral.length > 0 ? { ephemeralContainerStatuses: ephemeral } : {}),
        }),
    ...(state.resources
      ? {
          ...(state.resources.requests ? { allocatedResources: { ...state.resources.requests } } : {}),
          resources: amountsOf(state.resources),
        }
      : {}),
    qosClass: previous?.qosClass ?? podQosClass(pod),
  };
  const { sandbox } = state;
  const known = sandbox.kind === "ready" || sandbox.kind === "released" ? sandbox.ips : [];
  const ips = known.length > 0 ? known : (previous?.podIPs?.map(({ ip }) => ip) ?? []);
  if (ips[0]) Object.assign(status, { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) });
  return status;
}

function phaseBefore(previous: DeepReadonly<PodStatus> | undefined): string {
  const phase = previous?.phase ?? "Pending";
  return phase === "Succeeded" || phase === "Failed" ? "Running" : phase;
}

function statusesOf(state: PodState, roles: readonly ContainerRole[], node: NodeFacts, now: number): ContainerStatus[] {
  return state.containers
    .filter((container) => roles.includes(container.role))
    .map((container) => containerStatus(state, asTold(state, container), node, now));
}

/** In the midst of a replacement users are told what was before, as by upstream, which tells nothing until the change is done. */
function asTold({ stage, sandbox, isRestarting }: PodState, container: ContainerState): ContainerState {
  const { replaced } = container;
  if (!replaced || stage.kind !== "active" || sandbox.kind !== "ready" || isRestarting) return container;
  return { ...container, ...replaced };
}

function containerStatus(state: PodState, container: ContainerState, node: NodeFacts, now: number): ContainerStatus {
  const spec = findContainerSpec(state.pod, container.name);
  const { run } = container;
  const latest = run.kind === "starting" ? run.last : run.kind === "none" ? undefined : run;
  const current = currentState(state, container, now);
  const isWaiting = current.waiting !== undefined;
  const lastExit = isWaiting && latest?.kind === "exited" ? latest : container.previous;
  const isRunning = current.running !== undefined;
  // An init container is ready when it has done its work.
  const ready = container.role === "init" ? run.kind === "exited" && run.exitCode === 0 : isRunning && container.ready;
  return {
    name: container.name,
    state: current,
    lastState: lastExit ? { terminated: terminatedState(lastExit, node) } : {},
    ready,
    restartCount: latest?.attempt ?? 0,
    image: latest?.image ?? spec?.image ?? "",
    imageID: latest?.imageId ?? "",
    ...(latest ? { containerID: containerIdText(latest, node) } : {}),
    started: isRunning && container.started,
    ...resourcesOf(run.kind === "running" ? run.resources : undefined, spec, isRunning),
    ...volumeMountsOf(spec, node),
    ...(latest?.user
      ? { user: { linux: { ...latest.user, supplementalGroups: [...latest.user.supplementalGroups] } } }
      : {}),
  };

  function currentState(state: PodState, container: ContainerState, now: number): ApiContainerState {
    const { run } = container;
    if (run.kind === "running") {
      if (!run.hook) return { running: { startedAt: rfc3339(run.startedAtMs) } };
      return { waiting: { reason: waitingReason(state) } };
    }
    const isOver = state.stage.kind !== "active";
    if (run.kind === "exited") {
      if (isOver) return { terminated: terminatedState(run, node) };
      const waiting = waitingToRestart(state, container, run, now);
      return waiting ? { waiting } : { terminated: terminatedState(run, node) };
    }
    if (run.kind === "starting" && run.last) {
      // Until it has run, its users want to know why it could not.
      return container.problem
        ? { waiting: waitingToStart(state, container) }
        : { terminated: terminatedState(run.last, node) };
    }
    return { waiting: waitingToStart(state, container) };
  }
}

/** Undefined when it has simply ended, or is about to run again. */
export function waitingToRestart(state: PodState, container: ContainerState, run: ExitedRun, now: number) {
  const spec = findContainerSpec(state.pod, container.name);
  if (!spec || !(run.mustRestart || shouldRestart(state.pod, spec, container.role, run))) return undefined;
  const allowedAtMs = restartAllowedAtMs(container.backoff, run);
  if (allowedAtMs > now && container.backoff) {
    const delay = goDuration(container.backoff.delayMs);
    const message = `back-off ${delay} restarting failed container=${container.name} pod=${podText(state.pod)}`;
    return { reason: "CrashLoopBackOff", message };
  }
  if (container.problem) return { reason: container.problem.reason, message: container.problem.message };
  if (container.image.kind === "failed") return imageWaiting(state, container.name, container.image);
  return undefined;
}

function waitingToStart(state: PodState, container: ContainerState) {
  const { problem, image } = container;
  if (problem) return { reason: problem.reason, message: problem.message };
  if (image.kind === "failed") return imageWaiting(state, container.name, image);
  if (image.kind === "checking" && image.waiting) return image.waiting;
  return { reason: waitingReason(state) };
}

/** As upstream, a pod with init containers says PodInitializing of every container that has not run. */
function waitingReason(state: PodState): string {
  const hasInit = state.containers.some(({ role }) => role === "init" || role === "sidecar");
  return hasInit ? "PodInitializing" : "ContainerCreating";
}

function terminatedState(run: ExitedRun, node: NodeFacts) {
  return {
    exitCode: run.exitCode,
    reason: run.reason,
    ...(run.message ? { message: run.message } : {}),
    startedAt: rfc3339(run.startedAtMs),
    finishedAt: rfc3339(run.finishedAtMs),
    containerID: containerIdText(run, node),
  };
}

function containerIdText({ id }: RunIdentity, { runtimeName }: NodeFacts): string {
  return `${runtimeName}://${id}`;
}

function resourcesOf(
  given: DeepReadonly<ResourceRequirements> | undefined,
  spec: ContainerSpec | undefined,
  isRunning: boolean,
) {
  const resources = given ?? (spec as DeepReadonly<Container> | undefined)?.resources;
  if (!isRunning || !resources) return {};
  const { requests } = resources;
  return { ...(requests ? { allocatedResources: { ...requests } } : {}), resources: amountsOf(resources) };
}

function amountsOf({ limits, requests }: DeepReadonly<ResourceRequirements>): ResourceRequirements {
  return { ...(limits ? { limits: { ...limits } } : {}), ...(requests ? { requests: { ...requests } } : {}) };
}

function volumeMountsOf(spec: ContainerSpec | undefined, node: NodeFacts) {
  if (!spec?.volumeMounts?.length) return {};
  return {
    volumeMounts: spec.volumeMounts.map(({ name, mountPath, readOnly, recursiveReadOnly }) => ({
      name,
      mountPath,
      ...(readOnly
        ? {
            readOnly,
            recursiveReadOnly:
              recursiveReadOnly === "IfPossible"
                ? node.recursiveReadOnlyMounts
                  ? "Enabled"
                  : "Disabled"
                : (recursiveReadOnly ?? "Disabled"),
          }
        : {}),
    })),
  };
}

/** Upstream's getPhase, over the statuses as users see them. */
function phaseOf(state: PodState, containers: ContainerStatus[], initContainers: ContainerStatus[]): string {
  const isTerminal = state.stage.kind !== "active" && state.stage.kind !== "stopping";
  const everything = [...containers, ...initContainers];
  if (state.verdict) return "Failed";
  let waiting = 0;
  let running = 0;
  let stopped = 0;
  let succeeded = 0;
  for (const status of containers) {
    const { state: current, lastState } = status;
    if (current?.running) running++;
    else if (current?.terminated) {
      stopped++;
      if (current.terminated.exitCode === 0) succeeded++;
    } else if (current?.waiting && lastState?.terminated) stopped++;
    else waiting++;
  }
  const restartPolicy = state.pod.spec.restartPolicy ?? "Always";
  if (!state.initialized) {
    let failedInit = false;
    let pendingInit = false;
    for (const container of state.containers) {
      if (container.role === "init") {
        const { run } = container;
        if (run.kind === "exited" && run.exitCode === 0) continue;
        const spec = findContainerSpec(state.pod, container.name);
        const isFinal = run.kind === "exited" && (!spec || !shouldRestart(state.pod, spec, container.role, run));
        if (isFinal) failedInit = true;
        else pendingInit = true;
      } else if (container.role === "sidecar" && !container.started) pendingInit = true;
    }
    if (failedInit) return "Failed";
    if (isTerminal && everything.some((status) => status.state?.terminated)) return "Failed";
    if (pendingInit) return "Pending";
  }
  if (isTerminal && running === 0) {
    if (waiting > 0) return stopped > 0 ? "Failed" : "Pending";
    return stopped === succeeded ? "Succeeded" : "Failed";
  }
  if (waiting > 0) return "Pending";
  if (running > 0) return "Running";
  if (stopped === 0) return "Pending";
  if (containers.some((status) => willRunAgain(state, status.name))) return "Running";
  if (restartPolicy === "Always" && state.stage.kind === "active") return "Running";
  if (state.stage.kind === "stopping" && state.stage.cause === "deleted") return "Running";
  // Sidecars may still be stopping; upstream tells the outcome when they have.
  if (initContainers.some((status) => status.state?.running)) return "Running";
  return stopped === succeeded ? "Succeeded" : "Failed";
}

function willRunAgain(state: PodState, name: string): boolean {
  if (state.stage.kind !== "active") return false;
  const container = state.containers.find((candidate) => candidate.name === name);
  const spec = findContainerSpec(state.pod, name);
  if (!container || !spec) return false;
  const { run } = container;
  if (run.kind === "starting") return true;
  return run.kind === "exited" && (run.mustRestart === true || shouldRestart(state.pod, spec, container.role, run));
}

/** Upstream's, of a pod that has begun anew where it is at least once. */
const restartingCondition = "AllContainersRestarting";

function conditionsOf(
  state: PodState,
  phase: string,
  containers: ContainerStatus[],
  initContainers: ContainerStatus[],
  previous: DeepReadonly<PodStatus> | undefined,
  now: number,
): PodCondition[] {
  const { pod } = state;
  const hasSandbox = state.sandbox.kind === "ready" && state.stage.kind !== "removing";
  const containersReady = containersReadyCondition(state, phase, containers, initContainers);
  const own: Condition[] = [
    { type: "PodReadyToStartContainers", status: hasSandbox ? "True" : "False" },
    initializedCondition(state, phase, initContainers, containers),
    readyCondition(pod, containersReady, previous),
    containersReady,
    { type: "PodScheduled", status: "True" },
    ...(state.isRestarting !== undefined || previous?.conditions?.some(({ type }) => type === restartingCondition)
      ? [{ type: restartingCondition, status: state.isRestarting ? "True" : "False" }]
      : []),
    ...(state.resize ? [{ ...state.resize, status: "True" }] : []),
    ...(state.verdict?.isDisruption && !state.containers.some(isAlive)
      ? [{ type: "DisruptionTarget", status: "True", reason: "TerminationByKubelet", message: state.verdict.message }]
      : []),
  ];
  const ownTypes = new Set(own.map((condition) => condition.type));
  const others = (previous?.conditions ?? []).filter(
    ({ type }) => !ownTypes.has(type) && !type.startsWith("PodResize"),
  );
  return [...own.map(stamped), ...others.map((condition) => ({ ...condition }))];

  function stamped(condition: Condition): PodCondition {
    const before = previous?.conditions?.find((candidate) => candidate.type === condition.type);
    const unchanged = before?.status === condition.status ? before.lastTransitionTime : undefined;
    return {
      type: condition.type,
      ...(pod.metadata.generation !== undefined ? { observedGeneration: pod.metadata.generation } : {}),
      status: condition.status,
      lastTransitionTime: unchanged ?? rfc3339(now),
      ...(condition.reason ? { reason: condition.reason } : {}),
      ...(condition.message ? { message: condition.message } : {}),
    };
  }
}

function initializedCondition(
  state: PodState,
  phase: string,
  initContainers: ContainerStatus[],
  containers: ContainerStatus[],
): Condition {
  if (phase === "Succeeded") return { type: "Initialized", status: "True", reason: "PodCompleted" };
  const hasMainStarted = containers.some((status) => status.state?.running || status.containerID);
  if (hasMainStarted) return { type: "Initialized", status: "True" };
  const incomplete = initContainers.filter((status) => {
    const role = state.containers.find((container) => container.name === status.name)?.role;
    return role === "sidecar" ? !status.started : !status.ready;
  });
  if (incomplete.length === 0) return { type: "Initialized", status: "True" };
  return {
    type: "Initialized",
    status: "False",
    reason: "ContainersNotInitialized",
    message: `containers with incomplete status: ${nameList(incomplete)}`,
  };
}

function containersReadyCondition(
  state: PodState,
  phase: string,
  containers: ContainerStatus[],
  initContainers: ContainerStatus[],
): Condition {
  const type = "ContainersReady";
  if (phase === "Succeeded") return { type, status: "False", reason: "PodCompleted" };
  if (phase === "Failed") return { type, status: "False", reason: "PodFailed" };
  const sidecars = initContainers.filter(
    (status) => state.containers.find((container) => container.name === status.name)?.role === "sidecar",
  );
  const unready = [...sidecars, ...containers].filter((status) => !status.ready);
  if (unready.length === 0) return { type, status: "True" };
  return {
    type,
    status: "False",
    reason: "ContainersNotReady",
    message: `containers with unready status: ${nameList(unready)}`,
  };
}

function readyCondition(
  pod: PodObject,
  containersReady: Condition,
  previous: DeepReadonly<PodStatus> | undefined,
): Condition {
  if (containersReady.status !== "True") return { ...containersReady, type: "Ready" };
  const complaints = (pod.spec.readinessGates ?? []).flatMap(({ conditionType }) => {
    // Others write the gates' conditions: the newest are those in the object.
    const conditions = pod.status?.conditions ?? previous?.conditions ?? [];
    const condition = conditions.find((candidate) => candidate.type === conditionType);
    if (!condition) return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`];
    if (condition.status === "True") return [];
    return [`the status of pod readiness gate "${conditionType}" is not "True", but ${condition.status}`];
  });
  if (complaints.length === 0) return { type: "Ready", status: "True" };
  return { type: "Ready", status: "False", reason: "ReadinessGatesNotReady", message: complaints.join(", ") };
}

function nameList(statuses: readonly ContainerStatus[]): string {
  return `[${statuses.map((status) => status.name).join(" ")}]`;
}
