/** What a Job needs next: which Pods to start and stop, and whether it is over. Pure. */
import type { Job } from "../../../api/batch/v1.ts";
import type { Pod } from "../../../api/core/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";
import { inDeletionOrder } from "../../pod-deletion-order.ts";
import { isPodActive, isPodReady } from "../../pod-facts.ts";
import { indexOf, isIndexed, jobCondition, parseIndexes } from "./job-facts.ts";
import { judgeFailure } from "./pod-failure-policy.ts";

type ReadJob = DeepReadonly<Job>;
type ReadPod = DeepReadonly<Pod>;

/** How the Job ends: first the verdict (FailureTarget, SuccessCriteriaMet), then, when its Pods are gone, the end itself. */
export interface Verdict {
  kind: "failed" | "succeeded";
  reason: string;
  message: string;
}

export interface JobState {
  job: ReadJob;
  pods: readonly ReadPod[];
  /** Pods counted for good, and those that finished but are not counted yet. */
  succeeded: number;
  failed: number;
  completedIndexes: ReadonlySet<number>;
  failedIndexes: ReadonlySet<number>;
  nowMs: number;
}

export interface JobPlan {
  verdict?: Verdict;
  /** Indexes to start, or undefined entries for Pods without index. */
  create: readonly (number | undefined)[];
  delete: readonly ReadPod[];
  /** When Pods may be started again after failures, or a deadline passes. */
  afterMs?: number;
}

const backoffMs = { initial: 10_000, maximum: 600_000 };

export function planJob(state: JobState): JobPlan {
  const { job, pods, nowMs } = state;
  const active = pods.filter(isPodActive);
  const verdict = standingVerdict(job) ?? findVerdict(state, active);
  if (verdict) return { verdict, create: [], delete: active };
  if (job.spec.suspend) return { create: [], delete: active };

  const deadline = deadlineInMs(job, nowMs);
  const plan = isIndexed(job) ? planIndexed(state, active) : planPlain(state, active);
  const waits = [deadline, plan.afterMs].filter((ms) => ms !== undefined);
  return { ...plan, ...(waits.length > 0 ? { afterMs: Math.min(...waits) } : {}) };
}

/** What was decided earlier stays decided. */
function standingVerdict(job: ReadJob): Verdict | undefined {
  const failure = jobCondition(job, "FailureTarget");
  if (failure) return { kind: "failed", reason: failure.reason ?? "", message: failure.message ?? "" };
  const success = jobCondition(job, "SuccessCriteriaMet");
  if (success) return { kind: "succeeded", reason: success.reason ?? "", message: success.message ?? "" };
  return undefined;
}

function findVerdict(state: JobState, active: readonly ReadPod[]): Verdict | undefined {
  const { job, pods, succeeded, failed, completedIndexes, failedIndexes, nowMs } = state;
  const { completions, backoffLimit = 6, backoffLimitPerIndex, maxFailedIndexes, successPolicy } = job.spec;
  const fail = (reason: string, message: string): Verdict => ({ kind: "failed", reason, message });

  for (const pod of pods) {
    if (pod.status?.phase !== "Failed") continue;
    const judgement = judgeFailure(job, pod);
    if (judgement.action === "FailJob") return fail("PodFailurePolicy", judgement.message);
  }
  if (failed > backoffLimit || restartsExceed(job, active, backoffLimit)) {
    return fail("BackoffLimitExceeded", "Job has reached the specified backoff limit");
  }
  if (!job.spec.suspend && deadlineInMs(job, nowMs) === 0) {
    return fail("DeadlineExceeded", "Job was active longer than specified deadline");
  }
  if (isIndexed(job)) {
    if (maxFailedIndexes !== undefined && failedIndexes.size > maxFailedIndexes) {
      return fail("MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes");
    }
    const total = completions ?? 1;
    if (
      backoffLimitPerIndex !== undefined &&
      failedIndexes.size > 0 &&
      completedIndexes.size + failedIndexes.size >= total
    ) {
      return fail("FailedIndexes", "Job has failed indexes");
    }
    for (const [i, { succeededIndexes, succeededCount }] of (successPolicy?.rules ?? []).entries()) {
      const wanted = succeededIndexes === undefined ? undefined : parseIndexes(succeededIndexes);
      const done = [...completedIndexes].filter((index) => wanted?.has(index) ?? true).length;
      const needed = succeededCount ?? wanted?.size ?? Number.POSITIVE_INFINITY;
      if (done >= needed) return { kind: "succeeded", reason: "SuccessPolicy", message: `Matched rules at index ${i}` };
    }
  }
  const reached = {
    kind: "succeeded",
    reason: "CompletionsReached",
    message: "Reached expected number of succeeded pods",
  } as const;
  if (completions !== undefined && completions !== null) return succeeded >= completions ? reached : undefined;
  // A work queue: over when one Pod succeeded and none is at work any more.
  return succeeded > 0 && active.length === 0 ? reached : undefined;
}

/** With restartPolicy OnFailure the kubelet restarts in place: restarts count like failures. */
function restartsExceed(job: ReadJob, active: readonly ReadPod[], backoffLimit: number): boolean {
  if (job.spec.template.spec?.restartPolicy !== "OnFailure") return false;
  let restarts = 0;
  for (const { status } of active) {
    if (status?.phase !== "Running" && status?.phase !== "Pending") continue;
    for (const { restartCount } of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]) {
      restarts += restartCount;
    }
  }
  return backoffLimit === 0 ? restarts > 0 : restarts >= backoffLimit;
}

function deadlineInMs({ spec, status }: ReadJob, nowMs: number): number | undefined {
  if (spec.activeDeadlineSeconds === undefined || !status?.startTime) return undefined;
  return Math.max(0, Date.parse(status.startTime) + Number(spec.activeDeadlineSeconds) * 1000 - nowMs);
}

/** Pods that are on their way out take a place when only failed ones are replaced. */
function occupied({ job, pods }: JobState, active: readonly ReadPod[]): number {
  if (job.spec.podReplacementPolicy !== "Failed") return active.length;
  const terminating = pods.filter(
    ({ metadata, status }) => metadata.deletionTimestamp && status?.phase !== "Succeeded" && status?.phase !== "Failed",
  );
  return active.length + terminating.length;
}

function planPlain(state: JobState, active: readonly ReadPod[]): JobPlan {
  const { parallelism = 1, completions } = state.job.spec;
  const wanted =
    completions === undefined || completions === null
      ? state.succeeded > 0
        ? Math.min(active.length, parallelism)
        : parallelism
      : Math.max(0, Math.min(completions - state.succeeded, parallelism));
  if (active.length > wanted) return { create: [], delete: excess(active, active.length - wanted, state.nowMs) };
  const missing = wanted - occupied(state, active);
  if (missing <= 0) return { create: [], delete: [] };
  const waitMs = backoffInMs(state.pods, state.nowMs);
  if (waitMs > 0) return { create: [], delete: [], afterMs: waitMs };
  return { create: Array.from({ length: missing }, () => undefined), delete: [] };
}

function planIndexed(state: JobState, active: readonly ReadPod[]): JobPlan {
  const { job, completedIndexes, failedIndexes, nowMs, pods } = state;
  const { parallelism = 1, completions = 1 } = job.spec;
  const gone: ReadPod[] = [];
  const busy = new Set<number>();
  for (const pod of active) {
    const index = indexOf(pod);
    const isUseless =
      index === undefined || index >= completions || completedIndexes.has(index) || failedIndexes.has(index);
    if (isUseless || busy.has(index)) gone.push(pod);
    else busy.add(index);
  }
  if (job.spec.podReplacementPolicy === "Failed") {
    for (const pod of pods) {
      const index = indexOf(pod);
      if (
        pod.metadata.deletionTimestamp &&
        !["Succeeded", "Failed"].includes(pod.status?.phase ?? "") &&
        index !== undefined
      )
        busy.add(index);
    }
  }
  const open = completions - completedIndexes.size - failedIndexes.size;
  const wanted = Math.max(0, Math.min(open, parallelism));
  const kept = active.filter((pod) => !gone.includes(pod));
  if (kept.length > wanted) return { create: [], delete: [...gone, ...excess(kept, kept.length - wanted, nowMs)] };

  const create: number[] = [];
  let afterMs: number | undefined;
  const isPerIndex = job.spec.backoffLimitPerIndex !== undefined;
  const commonWaitMs = isPerIndex ? 0 : backoffInMs(pods, nowMs);
  for (let index = 0; index < completions && busy.size + create.length < wanted; index++) {
    if (busy.has(index) || completedIndexes.has(index) || failedIndexes.has(index)) continue;
    const waitMs = isPerIndex
      ? backoffInMs(
          pods.filter((pod) => indexOf(pod) === index),
          nowMs,
        )
      : commonWaitMs;
    if (waitMs > 0) afterMs = Math.min(afterMs ?? waitMs, waitMs);
    else create.push(index);
  }
  return { create, delete: gone, ...(afterMs !== undefined ? { afterMs } : {}) };
}

function excess(active: readonly ReadPod[], count: number, nowMs: number): ReadPod[] {
  return inDeletionOrder(
    active.map((pod) => ({ pod, rank: 0 })),
    nowMs,
  ).slice(0, count);
}

/** After failures in a row, new Pods wait 10 s, doubling up to 10 minutes, from the last failure on. */
export function backoffInMs(pods: readonly ReadPod[], nowMs: number): number {
  const finished = pods
    .filter(({ status }) => status?.phase === "Failed" || status?.phase === "Succeeded")
    .map((pod) => ({ isFailed: pod.status?.phase === "Failed", atMs: finishedAtMs(pod) }))
    .sort((a, b) => b.atMs - a.atMs);
  const firstSuccess = finished.findIndex(({ isFailed }) => !isFailed);
  const failures = firstSuccess < 0 ? finished.length : firstSuccess;
  if (failures === 0) return 0;
  const delayMs = Math.min(backoffMs.maximum, backoffMs.initial * 2 ** (failures - 1));
  return Math.max(0, finished[0]!.atMs + delayMs - nowMs);
}

function finishedAtMs({ metadata, status }: ReadPod): number {
  const ends = (status?.containerStatuses ?? [])
    .map(({ state }) => state?.terminated?.finishedAt)
    .filter((time) => time != null);
  const known = ends.map((time) => Date.parse(time)).filter((ms) => !Number.isNaN(ms));
  return known.length > 0 ? Math.max(...known) : Date.parse(metadata.deletionTimestamp ?? metadata.creationTimestamp);
}

/** Pods at work, ready, and on their way out, as the status counts them. */
export function podCounts(pods: readonly ReadPod[]) {
  const active = pods.filter(isPodActive);
  return {
    active: active.length,
    ready: active.filter(isPodReady).length,
    terminating: pods.filter(
      ({ metadata, status }) =>
        metadata.deletionTimestamp && status?.phase !== "Succeeded" && status?.phase !== "Failed",
    ).length,
  };
}
