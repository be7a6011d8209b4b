/** From what is known of a pod to the status that users read (upstream's generateAPIPodStatus and status/generate.go). Pure. */
import type {
  ContainerState as ApiContainerState,
  Container,
  ContainerStateTerminated,
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
  type Verdict,
} from "./pod-state.ts";
import { podQosClass } from "./qos.ts";
import {
  goDuration,
  mayRestartAll,
  restartAllowedAtMs,
  restartingMessage,
  restartingReason,
  shouldRestart,
} from "./restart-policy.ts";

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
  if (state.verdict?.isRefusal) return refusedStatus(state, state.verdict, previous);
  const containers = statusesOf(state, ["main"], node, now);
  const initContainers = statusesOf(state, ["init", "sidecar"], node, now);
  const ephemeral = statusesOf(state, ["ephemeral"], node, now);
  if (isOver(state)) closeStatuses(containers, initContainers, state);
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
    ...(initContainers.length > 0 ? { initContainerStatuses: initContainers } : {}),
    containerStatuses: containers,
    ...(ephemeral.length > 0 ? { ephemeralContainerStatuses: ephemeral } : {}),
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

/** Of a pod that the node did not take on there is nothing else to tell: no addresses, no containers, no conditions. */
function refusedStatus(
  { pod, startTimeMs }: PodState,
  { reason, message }: Verdict,
  previous: DeepReadonly<PodStatus> | undefined,
): PodStatus {
  return {
    ...(pod.metadata.generation !== undefined ? { observedGeneration: pod.metadata.generation } : {}),
    phase: "Failed",
    reason,
    message,
    startTime: rfc3339(startTimeMs),
    qosClass: previous?.qosClass ?? podQosClass(pod),
  };
}

/** Its last container has ended, or never ran, and none will again. */
function isOver({ stage }: PodState): boolean {
  return stage.kind !== "active" && stage.kind !== "stopping";
}

const lost = {
  reason: "ContainerStatusUnknown",
  message: "The container could not be located when the pod was terminated",
  exitCode: 137,
  startedAt: null,
  finishedAt: null,
};

/**
 * Upstream's TerminatePod: when a pod is over, none of its containers waits any more. Those whose turn never came because an init
 * container failed are left as they are.
 */
function closeStatuses(containers: ContainerStatus[], initContainers: ContainerStatus[], state: PodState): void {
  const close = (status: ContainerStatus) => {
    if (!status.state?.terminated) status.state = { terminated: { ...lost } };
  };
  const hasRun = ({ state: current, lastState }: ContainerStatus) => !current?.waiting || !!lastState?.terminated;
  const lastInit = initContainers.at(-1);
  const isInitialized =
    lastInit === undefined ||
    containers.some(hasRun) ||
    (roleOf(state, lastInit.name) === "sidecar" ? lastInit.started === true : lastInit.ready);
  const begun = initContainers.findLastIndex(hasRun);
  for (const status of initContainers.slice(0, Math.max(begun, 0) + 1)) close(status);
  if (isInitialized) for (const status of containers) close(status);
}

function roleOf(state: PodState, name: string): ContainerRole | undefined {
  return state.containers.find((container) => container.name === name)?.role;
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
  const maximumMessage = maximumMessageBytes(state.pod);
  const latest = run.kind === "starting" ? run.last : run.kind === "none" ? undefined : run;
  const current = currentState(state, container, now);
  const isWaiting = current.waiting !== undefined;
  const lastExit = isWaiting && latest?.kind === "exited" ? latest : container.previous;
  const isRunning = current.running !== undefined;
  const { role } = container;
  // An init container is ready when it has done its work. Nobody asks that of an ephemeral one.
  const ready =
    role === "init"
      ? run.kind === "exited" && run.exitCode === 0
      : isRunning && container.ready && role !== "ephemeral";
  const isReset = latest?.kind === "exited" && latest.reason === restartingReason && isWaiting;
  return {
    name: container.name,
    state: current,
    lastState: lastExit ? { terminated: terminatedState(lastExit, node, maximumMessage) } : {},
    ready,
    restartCount: (latest?.attempt ?? 0) + (isReset ? 1 : 0),
    image: latest?.image ?? spec?.image ?? "",
    imageID: latest?.imageId ?? "",
    ...(latest ? { containerID: containerIdText(latest, node) } : {}),
    ...(role === "ephemeral" ? {} : { started: isRunning && container.started }),
    ...(latest ? resourcesOf(run.kind === "running" ? run.resources : undefined, spec) : {}),
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
    if (run.kind === "exited") {
      if (state.stage.kind !== "active") return { terminated: terminatedState(run, node, maximumMessage) };
      const waiting = waitingToRestart(state, container, run, now);
      return waiting ? { waiting } : { terminated: terminatedState(run, node, maximumMessage) };
    }
    if (run.kind === "starting" && run.last) {
      // Until it has run, its users want to know why it could not.
      if (container.problem) return { waiting: waitingToStart(state, container) };
      return run.last.reason === restartingReason
        ? { waiting: restartingWaiting }
        : { terminated: terminatedState(run.last, node, maximumMessage) };
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
  return run.reason === restartingReason ? restartingWaiting : undefined;
}

const restartingWaiting = { reason: restartingReason, message: restartingMessage };

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

const untimedReasons: ReadonlySet<string> = new Set([lost.reason, restartingReason]);

function terminatedState(run: ExitedRun, node: NodeFacts, maximumMessage: number) {
  const { exitCode, reason, message } = run;
  const said = message ? { message: cut(message, maximumMessage) } : {};
  // Nobody saw it end.
  if (untimedReasons.has(reason)) return { exitCode, reason, ...said, startedAt: null, finishedAt: null };
  const startedAt = rfc3339(run.startedAtMs);
  const finishedAt = rfc3339(run.finishedAtMs);
  return { exitCode, reason, ...said, startedAt, finishedAt, containerID: containerIdText(run, node) };
}

const messageBytesPerPod = 12 * 1024;

/** A pod's containers share what its messages may take in its status. */
function maximumMessageBytes({ spec }: PodObject): number {
  return Math.floor(messageBytesPerPod / Math.max(1, spec.containers.length + (spec.initContainers?.length ?? 0)));
}

function cut(text: string, bytes: number): string {
  if (text.length * 3 <= bytes || Buffer.byteLength(text) <= bytes) return text;
  // A character that the cut goes through is left out.
  return new TextDecoder().decode(Buffer.from(text).subarray(0, bytes), { stream: true });
}

function containerIdText({ id }: RunIdentity, { runtimeName }: NodeFacts): string {
  return `${runtimeName}://${id}`;
}

/** What it runs with; of one that does not run, what it would run with. */
function resourcesOf(
  given: DeepReadonly<ResourceRequirements> | undefined,
  spec: ContainerSpec | undefined,
): Pick<ContainerStatus, "allocatedResources" | "resources"> {
  const resources = given ?? (spec as DeepReadonly<Container> | undefined)?.resources ?? {};
  const { requests } = resources;
  return { ...(requests ? { allocatedResources: { ...requests } } : {}), resources: amountsOf(resources) };
}

function amountsOf({ limits, requests, claims }: DeepReadonly<ResourceRequirements>): ResourceRequirements {
  return {
    ...(limits ? { limits: { ...limits } } : {}),
    ...(requests ? { requests: { ...requests } } : {}),
    ...(claims?.length ? { claims: claims.map((claim) => ({ ...claim })) } : {}),
  };
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
  if (state.verdict) return "Failed";
  const count = countStates(state, containers);
  const inits = countInits(state, initContainers);
  if (inits.failedForGood > 0) return "Failed";
  const isInitializing = inits.pending > 0 || (inits.pendingSidecars > 0 && !state.initialized);
  if (isInitializing || count.waiting + inits.waitingSidecars > 0) return isOver(state) ? "Failed" : "Pending";
  if (count.running + inits.runningSidecars > 0) return isOver(state) ? "Failed" : "Running";
  if (count.stopped === 0) return isOver(state) ? "Failed" : "Pending";
  if (!isOver(state) && count.stopped !== count.stoppedForGood) return "Running";
  return count.stopped === count.succeeded ? "Succeeded" : "Failed";
}

function countStates(state: PodState, containers: ContainerStatus[]) {
  const count = { running: 0, waiting: 0, stopped: 0, stoppedForGood: 0, succeeded: 0 };
  for (const { name, state: current, lastState } of containers) {
    const exit = current?.terminated ?? (current?.waiting ? lastState?.terminated : undefined);
    if (current?.running) count.running++;
    else if (exit) {
      count.stopped++;
      if (!runsAgainAfter(state, name, exit)) count.stoppedForGood++;
      if (current?.terminated?.exitCode === 0) count.succeeded++;
    } else count.waiting++;
  }
  return count;
}

/** Init containers that ended well, or will run again, count for nothing, nor do sidecars that have ended. */
function countInits(state: PodState, initContainers: ContainerStatus[]) {
  const count = { pending: 0, failedForGood: 0, pendingSidecars: 0, waitingSidecars: 0, runningSidecars: 0 };
  for (const { name, state: current, lastState, started } of initContainers) {
    const exit = current?.terminated ?? (current?.waiting ? lastState?.terminated : undefined);
    if (roleOf(state, name) === "sidecar") {
      if (exit) continue;
      if (current?.running) count.runningSidecars++;
      else count.waitingSidecars++;
      if (!started) count.pendingSidecars++;
    } else if (!exit) count.pending++;
    else if (exit.exitCode !== 0 && !runsAgainAfter(state, name, exit)) count.failedForGood++;
  }
  return count;
}

function runsAgainAfter({ pod, containers }: PodState, name: string, exit: ContainerStateTerminated): boolean {
  const container = containers.find((candidate) => candidate.name === name);
  const spec = findContainerSpec(pod, name);
  if (!container || !spec) return false;
  const { run } = container;
  if (exit.reason === restartingReason || run.kind === "starting" || (run.kind === "exited" && run.mustRestart))
    return true;
  return shouldRestart(pod, spec, container.role, exit);
}

/** Of a pod whose containers may ask for all of them to begin anew. */
const restartingCondition = "AllContainersRestarting";

function restartingStatus(phase: string, isRestarting: boolean): Condition {
  const type = restartingCondition;
  if (phase === "Succeeded") return { type, status: "False", reason: "PodCompleted" };
  if (phase === "Failed") return { type, status: "False", reason: "PodFailed" };
  if (!isRestarting) return { type, status: "False" };
  return {
    type,
    status: "True",
    reason: "RestartAllContainersStarted",
    message: "container exited with restart policy rule",
  };
}

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
    ...(mayRestartAll(pod) ? [restartingStatus(phase, state.isRestarting === true)] : []),
    ...(state.resize ? [{ ...state.resize, status: "True" }] : []),
    ...(state.verdict?.isDisruption && !state.containers.some(isAlive)
      ? [
          {
            type: "DisruptionTarget",
            status: "True",
            reason: "TerminationByKubelet",
            message: state.verdict.disruption ?? state.verdict.message,
          },
        ]
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
      ...(pod.metadata.generation !== undefined && condition.type !== restartingCondition
        ? { observedGeneration: pod.metadata.generation }
        : {}),
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
    return roleOf(state, status.name) === "sidecar" ? !status.started : !status.ready;
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
  const sidecars = initContainers.filter((status) => roleOf(state, status.name) === "sidecar");
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
