/**
 * What a kubelet that has just started knows of a pod: from the runtime's records, and where those are lost from the status that the
 * API holds. Pure. Running containers stay as they are; restart counts, back-off and the last exits are kept.
 */
import type { ContainerStatus as ApiContainerStatus } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { annotations } from "./container-config.ts";
import {
  type ContainerState,
  type ExitedRun,
  findContainerSpec,
  newPodState,
  type PodObject,
  type PodState,
  type RestartBackoff,
  type Run,
} from "./pod-state.ts";
import { restartingReason, ruleAction } from "./restart-policy.ts";
import type { ContainerId, ContainerStatus, SandboxId, SandboxStatus } from "./runtime/container-runtime.ts";

export interface RuntimeRecords {
  sandboxes: readonly SandboxStatus[];
  containers: readonly ContainerStatus[];
}

export function adoptPod(pod: PodObject, records: RuntimeRecords, runtimeName: string, now: number): PodState {
  const state = newPodState(pod, now);
  const latest = [...records.sandboxes].sort((a, b) => b.config.attempt - a.config.attempt)[0];
  const isReady = latest?.state === "ready";
  const containers = state.containers.map((container) => adoptContainer(container, pod, records, runtimeName));
  const hasEnded = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
  const isRunning = containers.some(({ run }) => run.kind === "running");
  const ips = podIPsOf(latest) ?? pod.status?.podIPs?.map(({ ip }) => ip) ?? [];
  return {
    ...state,
    containers,
    ...(!hasEnded && containers.some((container) => wantsAllToRestart(pod, container)) ? { isRestarting: true } : {}),
    // What it was given is told in the API; what it asks for now is compared with that.
    ...(isReady && pod.spec.resources ? { resources: pod.status?.resources ?? pod.spec.resources } : {}),
    initialized: isReady && containers.some(({ role, run }) => role === "main" && run.kind !== "none"),
    sandbox: isReady
      ? { kind: "ready", attempt: latest.config.attempt, id: latest.id, ips }
      : hasEnded
        ? { kind: "released", attempt: latest?.config.attempt ?? 0, ips }
        : { kind: "none", attempt: latest ? latest.config.attempt + 1 : 0 },
    ...(hasEnded ? { stage: isReady || isRunning ? stoppingAgain(now) : ({ kind: "finished" } as const) } : {}),
    ...(hasEnded && pod.status?.reason
      ? {
          verdict: {
            reason: pod.status.reason,
            message: pod.status.message ?? "",
            ...(pod.status.containerStatuses ? {} : { isRefusal: true }),
          },
        }
      : {}),
  };
}

/** Its last run ended with a wish for all to begin anew, and it has not run again. */
function wantsAllToRestart(pod: PodObject, { name, run }: ContainerState): boolean {
  const spec = findContainerSpec(pod, name);
  return !!spec && run.kind === "exited" && ruleAction(spec, run) === "RestartAllContainers";
}

/** It had ended, and what it held was not given back yet. */
function stoppingAgain(now: number) {
  return { kind: "stopping", cause: "completed", graceSeconds: 0, deadlineMs: now } as const;
}

export function podIPsOf(sandbox: SandboxStatus | undefined): string[] | undefined {
  if (sandbox?.ips) return [...sandbox.ips];
  const text = sandbox?.config.annotations?.[annotations.podIPs];
  return text === undefined ? undefined : text.split(",").filter(Boolean);
}

function adoptContainer(
  container: ContainerState,
  pod: PodObject,
  records: RuntimeRecords,
  runtimeName: string,
): ContainerState {
  const spec = findContainerSpec(pod, container.name);
  const told = statusOf(pod, container.name);
  const runs = records.containers
    .filter((record) => record.config.name === container.name && record.state.kind !== "created")
    .sort((a, b) => b.config.attempt - a.config.attempt);
  const [newest, before] = runs;
  if (!newest) return fromApi(container, told, runtimeName);
  const run = runOf(newest, told);
  const isRunning = run.kind === "running";
  // What was told of a restart of all is not in the record.
  const wasReset = told?.lastState?.terminated?.reason === restartingReason;
  const previous = before && !wasReset ? exitedRun(before, told) : lastExitOf(told, runtimeName);
  const backoff = backoffOf(newest);
  const started = isRunning && (spec?.startupProbe ? (told?.started ?? false) : true);
  return {
    ...container,
    run,
    ...(previous ? { previous } : {}),
    ...(backoff ? { backoff } : {}),
    started,
    ready: started && (spec?.readinessProbe ? (told?.ready ?? false) : true),
  };
}

function runOf(record: ContainerStatus, told: DeepReadonly<ApiContainerStatus> | undefined): Run {
  if (record.state.kind !== "running") return exitedRun(record, told) ?? { kind: "none" };
  const { startedAtMs } = record.state;
  // What it was given is told in the API; what it asks for now is compared with that.
  return {
    kind: "running",
    ...identityOf(record),
    startedAtMs,
    ...(told?.resources ? { resources: told.resources } : {}),
  };
}

export function identityOf(record: ContainerStatus) {
  return {
    id: record.id,
    attempt: record.config.attempt,
    sandbox: record.sandbox,
    image: record.config.imageName,
    imageId: record.imageId,
    ...(record.user ? { user: record.user } : {}),
  };
}

export function exitedRun(
  record: ContainerStatus,
  told?: DeepReadonly<ApiContainerStatus>,
  message?: string,
): ExitedRun | undefined {
  if (record.state.kind !== "exited") return undefined;
  const { exitCode, reason, startedAtMs, finishedAtMs } = record.state;
  const terminated = [told?.state?.terminated, told?.lastState?.terminated].find((candidate) =>
    candidate?.containerID?.endsWith(record.id),
  );
  const text = message ?? terminated?.message ?? record.state.message;
  return {
    kind: "exited",
    ...identityOf(record),
    exitCode,
    reason,
    ...(text ? { message: text } : {}),
    startedAtMs,
    finishedAtMs,
  };
}

/** The runtime knows nothing of it: what the API was told is all there is. */
function fromApi(
  container: ContainerState,
  told: DeepReadonly<ApiContainerStatus> | undefined,
  runtimeName: string,
): ContainerState {
  if (!told?.containerID) return container;
  const exit = exitFromApi(told, told.state?.terminated, told.restartCount, runtimeName) ?? {
    kind: "exited" as const,
    id: bareId(told.containerID, runtimeName),
    attempt: told.restartCount,
    sandbox: "" as SandboxId,
    image: told.image,
    imageId: told.imageID,
    exitCode: 137,
    reason: "ContainerStatusUnknown",
    message: "The container could not be located when the pod was adopted",
    startedAtMs: 0,
    finishedAtMs: 0,
  };
  const previous = lastExitOf(told, runtimeName);
  return { ...container, run: exit, ...(previous ? { previous } : {}) };
}

function lastExitOf(told: DeepReadonly<ApiContainerStatus> | undefined, runtimeName: string): ExitedRun | undefined {
  return told && exitFromApi(told, told.lastState?.terminated, Math.max(0, told.restartCount - 1), runtimeName);
}

function exitFromApi(
  told: DeepReadonly<ApiContainerStatus>,
  terminated: NonNullable<DeepReadonly<ApiContainerStatus>["state"]>["terminated"],
  attempt: number,
  runtimeName: string,
): ExitedRun | undefined {
  if (!terminated) return undefined;
  return {
    kind: "exited",
    id: bareId(terminated.containerID ?? "", runtimeName),
    attempt,
    sandbox: "" as SandboxId,
    image: told.image,
    imageId: told.imageID,
    exitCode: terminated.exitCode,
    reason: terminated.reason ?? "Error",
    ...(terminated.message ? { message: terminated.message } : {}),
    startedAtMs: Date.parse(terminated.startedAt ?? "") || 0,
    finishedAtMs: Date.parse(terminated.finishedAt ?? "") || 0,
  };
}

function bareId(text: string, runtimeName: string): ContainerId {
  return text.replace(`${runtimeName}://`, "") as ContainerId;
}

function statusOf(pod: PodObject, name: string): DeepReadonly<ApiContainerStatus> | undefined {
  const { status } = pod;
  return [
    ...(status?.containerStatuses ?? []),
    ...(status?.initContainerStatuses ?? []),
    ...(status?.ephemeralContainerStatuses ?? []),
  ].find((candidate) => candidate.name === name);
}

function backoffOf(record: ContainerStatus): RestartBackoff | undefined {
  const [delayMs, updatedAtMs] = (record.config.annotations?.[annotations.backoff] ?? "").split(" ").map(Number);
  return delayMs && updatedAtMs ? { delayMs, updatedAtMs } : undefined;
}
