/** Runs each Job's Pods to completion, and counts every one of them exactly once. */
import type { Job, JobCondition, JobStatus } from "../../api/batch/v1.ts";
import type { Pod } from "../../api/core/v1.ts";
import type { DeepReadonly, New } from "../../api/object.ts";
import { Jobs, Pods } from "../../api/resources.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { rfc3339 } from "../../base/clock.ts";
import { refOf } from "../../client/client.ts";
import { type ObjectKey, objectKey, type ReadCache, splitKey } from "../../controller-runtime/cache.ts";
import { selectorOf } from "../../controller-runtime/compiled-selector.ts";
import {
  defineController,
  index,
  type Reconcile,
  type ReconcileResult,
  statusOf,
  wake,
} from "../../controller-runtime/controller.ts";
import { owned } from "../../controller-runtime/wakes.ts";
import { adoptable, claim, controllerReferenceOf, controllerReferenceTo, orphansOf } from "../ownership.ts";
import { createPod, deletePod, podFromTemplate } from "../pod-control.ts";
import { isSameStatus } from "../same-status.ts";
import { slowStart } from "../slow-start.ts";
import {
  completionIndexAnnotation,
  finishedCondition,
  formatIndexes,
  indexOf,
  isIndexed,
  jobCondition,
  parseIndexes,
  trackingFinalizer,
} from "./job/job-facts.ts";
import { planJob, podCounts } from "./job/plan-job.ts";
import { judgeFailure } from "./job/pod-failure-policy.ts";

const indexFailureCount = "batch.kubernetes.io/job-index-failure-count";
const burst = 500;

/** Pods that are still to be counted, by the key of their Job: also of one that is gone, or whose Pods were orphaned. */
const trackedPods = index<Pod>({
  resource: Pods,
  name: "trackedByJob",
  values: (pod) => (hasFinalizer(pod) ? trackingJob(pod) : undefined),
});

function trackingJob(pod: ReadPod): ObjectKey | undefined {
  const { labels, namespace } = pod.metadata;
  const owner = controllerReferenceOf(pod);
  const name = owner ? (owner.kind === "Job" ? owner.name : undefined) : labels?.["batch.kubernetes.io/job-name"];
  return name === undefined ? undefined : objectKey(name, namespace);
}

export const jobController = defineController<Job>({
  name: "job-controller",
  reconciles: Jobs,
  wakesOn: [
    owned(Pods),
    adoptable(Pods, Jobs, (job) => selectorOf(job.spec.selector)),
    wake<Pod>({
      resource: Pods,
      *keys(pod) {
        const key = hasFinalizer(pod) && !controllerReferenceOf(pod) ? trackingJob(pod) : undefined;
        if (key) yield key;
      },
    }),
  ],
  indexes: [orphansOf(Pods), trackedPods],
  writes: [Pods, statusOf(Jobs)],
  concurrency: 16,
  async reconcile(context) {
    await releaseLeftBehind(context);
    const job = context.cache.get(Jobs, context.key);
    if (!job || (job.spec.managedBy && job.spec.managedBy !== builtIn)) return;
    return await reconcileJob(context, job);
  },
});

const builtIn = "kubernetes.io/job-controller";

type ReadJob = DeepReadonly<Job>;
type ReadPod = DeepReadonly<Pod>;

async function reconcileJob(context: Reconcile, job: ReadJob): Promise<ReconcileResult> {
  const { clock, events, cache } = context;
  const selector = selectorOf(job.spec.selector);
  const presentPods = () => cache.ownedBy(Pods, job).filter((pod) => selector.matches(pod.metadata.labels));
  const isTracked = (pod: ReadPod) => hasFinalizer(pod) && !releasedOf(cache).has(pod.metadata.uid);
  let pods = await claim(context, job, Jobs, Pods, selector, { finalizer: trackingFinalizer });
  if (finishedCondition(job) || job.metadata.deletionTimestamp) {
    // Nobody will count them any more: what keeps them from going is let go.
    await releaseAll(context, pods);
    return;
  }

  let started = job;
  if (!job.status?.startTime && !job.spec.suspend) {
    const status = { ...job.status, startTime: rfc3339(clock.now()) };
    const written = await writeStatus(context, job, status);
    if (!written) return;
    started = written;
  }
  let counted = started;
  do {
    const next = await countFinished(context, counted, pods);
    if (!next) return;
    counted = next;
    pods = presentPods();
    // A Pod that finished meanwhile is neither at work nor counted: planning would replace it.
  } while (pods.some((pod) => isTracked(pod) && outcome(job, pod) !== undefined));

  const { status } = counted;
  const plan = planJob({
    job: counted,
    pods,
    succeeded: status?.succeeded ?? 0,
    failed: status?.failed ?? 0,
    completedIndexes: parseIndexes(status?.completedIndexes),
    failedIndexes: parseIndexes(status?.failedIndexes),
    nowMs: clock.now(),
  });
  // What the Job stops itself is no failure of its Pods: it is let go uncounted. One that ended since it was looked at is
  // counted instead, and of a Job that has failed every one that was still at work.
  const isFailing = plan.verdict?.kind === "failed";
  if (!isFailing) await releaseAll(context, plan.delete, { isUnchanged: true });
  await Promise.all(plan.delete.map((pod) => deletePod(context, pod, job, { isUnchanged: isFailing })));
  const { error } = await slowStart(Math.min(plan.create.length, burst), async (i) => {
    await createPod(context, podFor(job, plan.create[i], pods), job);
  });

  const present = presentPods();
  const { active, ready, terminating } = podCounts(present);
  let conditions = suspendConditions(counted, clock.now());
  let completionTime = status?.completionTime;
  if (plan.verdict) {
    const { kind, reason, message } = plan.verdict;
    const verdictType = kind === "failed" ? "FailureTarget" : "SuccessCriteriaMet";
    conditions = withCondition(conditions, verdictType, "True", reason, message, clock.now());
    // The end is told when nothing of the Job is at work any more, and all are counted.
    const isQuiet = active === 0 && terminating === 0 && !present.some(isTracked);
    if (isQuiet) {
      const type = kind === "failed" ? "Failed" : "Complete";
      conditions = withCondition(conditions, type, "True", reason, message, clock.now());
      if (kind === "succeeded") completionTime = rfc3339(clock.now());
    }
  }
  const next: DeepReadonly<JobStatus> = {
    uncountedTerminatedPods: {},
    ...status,
    active,
    ready,
    terminating,
    ...(conditions.length > 0 ? { conditions } : {}),
    ...(completionTime ? { completionTime } : {}),
  };
  const startTime = job.spec.suspend ? undefined : (next.startTime ?? rfc3339(clock.now()));
  const { startTime: _, ...rest } = next;
  const written = await writeStatus(context, counted, startTime ? { ...rest, startTime } : rest);
  if (written) announce(events, job, written);
  if (error) throw error;
  return plan.afterMs === undefined ? undefined : { afterMs: plan.afterMs };
}

/**
 * Counts finished Pods so that a crash at any point counts none twice and none never: their uids are written down first,
 * then their finalizer is taken away, and only then do the numbers grow and the uids go.
 */
async function countFinished(context: Reconcile, job: ReadJob, pods: readonly ReadPod[]): Promise<ReadJob | undefined> {
  const uncountedSucceeded = new Set(job.status?.uncountedTerminatedPods?.succeeded ?? []);
  const uncountedFailed = new Set(job.status?.uncountedTerminatedPods?.failed ?? []);
  const completed = parseIndexes(job.status?.completedIndexes);
  const failedIndexes = parseIndexes(job.status?.failedIndexes);
  const isByIndex = isIndexed(job);
  const total = job.spec.completions ?? 0;
  // Pods that a failed Job stopped say nothing of their indexes.
  const isFailing = jobCondition(job, "FailureTarget") !== undefined;

  const released = releasedOf(context.cache);
  const finished = pods.filter(
    (pod) => hasFinalizer(pod) && !released.has(pod.metadata.uid) && outcome(job, pod) !== undefined,
  );
  for (const pod of finished) {
    const { uid } = pod.metadata;
    const index = indexOf(pod);
    if (outcome(job, pod) === "succeeded") {
      if (!isByIndex) uncountedSucceeded.add(uid);
      else if (index !== undefined && index < total) completed.add(index);
      continue;
    }
    const { action } = judgeFailure(job, pod);
    if (action !== "Ignore") uncountedFailed.add(uid);
    const { backoffLimitPerIndex } = job.spec;
    if (
      isByIndex &&
      backoffLimitPerIndex !== undefined &&
      index !== undefined &&
      index < total &&
      action !== "Ignore" &&
      !isFailing
    ) {
      const failures = Number(pod.metadata.annotations?.[indexFailureCount] ?? 0) + 1;
      if (action === "FailIndex" || failures > backoffLimitPerIndex) failedIndexes.add(index);
    }
  }
  const statusOfCounts = (extra: {
    succeeded: number;
    failed: number;
    left: Partial<Record<"succeeded" | "failed", string[]>>;
  }) => {
    const { succeeded, failed, left } = extra;
    const { uncountedTerminatedPods: _, ...rest } = job.status ?? {};
    return {
      ...rest,
      ...(succeeded > 0 ? { succeeded } : {}),
      ...(failed > 0 ? { failed } : {}),
      ...(completed.size > 0 ? { completedIndexes: formatIndexes(completed) } : {}),
      ...(job.spec.backoffLimitPerIndex !== undefined ? { failedIndexes: formatIndexes(failedIndexes) } : {}),
      uncountedTerminatedPods: left,
    } satisfies DeepReadonly<JobStatus>;
  };
  const { succeeded = 0, failed = 0 } = job.status ?? {};
  const left = {
    ...(uncountedSucceeded.size > 0 ? { succeeded: [...uncountedSucceeded] } : {}),
    ...(uncountedFailed.size > 0 ? { failed: [...uncountedFailed] } : {}),
  };
  if (finished.length === 0 && Object.keys(left).length === 0) return job;
  const noted = await writeStatus(
    context,
    job,
    statusOfCounts({ succeeded: isByIndex ? completed.size : succeeded, failed, left }),
  );
  if (!noted) return undefined;
  await releaseAll(context, finished);
  const counts = {
    succeeded: isByIndex ? completed.size : succeeded + uncountedSucceeded.size,
    failed: failed + uncountedFailed.size,
    left: {},
  };
  return await writeStatus(context, noted, statusOfCounts(counts));
}

/**
 * A Pod that is deleted before it finished counts as failed; where only those that failed are to be replaced, when the Job
 * itself has failed.
 */
function outcome(job: ReadJob, pod: ReadPod): "succeeded" | "failed" | undefined {
  if (pod.status?.phase === "Succeeded") return "succeeded";
  if (pod.status?.phase === "Failed") return "failed";
  if (!pod.metadata.deletionTimestamp) return undefined;
  return job.spec.podReplacementPolicy !== "Failed" || jobCondition(job, "FailureTarget") ? "failed" : undefined;
}

function hasFinalizer({ metadata }: ReadPod): boolean {
  return metadata.finalizers?.includes(trackingFinalizer) === true;
}

/**
 * Pods that were released, though the cache may still show them as tracked: the write that took a finalizer away may
 * have ended the Pod, or its answer was lost. The watch will tell; until then they must not be counted again.
 */
const releasedPods = new WeakMap<ReadCache, Set<string>>();
/** Far more than a watch can be behind. */
const releasedLimit = 10_000;

function releasedOf(cache: ReadCache): Set<string> {
  let uids = releasedPods.get(cache);
  if (!uids) {
    uids = new Set();
    releasedPods.set(cache, uids);
  }
  return uids;
}

/** `isUnchanged`: only in the state that was seen; a Conflict otherwise. */
async function releaseAll(
  { api, cache }: Reconcile,
  pods: readonly ReadPod[],
  { isUnchanged = false } = {},
): Promise<void> {
  const released = releasedOf(cache);
  await Promise.all(
    pods.filter(hasFinalizer).map(async (pod) => {
      const { uid, resourceVersion } = pod.metadata;
      // Only this finalizer: others may have been added or taken away meanwhile.
      const finalizers = { "$deleteFromPrimitiveList/finalizers": [trackingFinalizer] };
      const body = { metadata: { uid, ...(isUnchanged ? { resourceVersion } : {}), ...finalizers } };
      try {
        await api.patch(Pods, refOf(pod), { type: "strategic", body });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      released.add(uid);
      if (released.size > releasedLimit) released.delete(released.values().next().value!);
    }),
  );
}

/** Nobody counts the Pods of a Job that is gone: they are let go. */
async function releaseLeftBehind(context: Reconcile): Promise<void> {
  const { api, cache, key } = context;
  const job = cache.get(Jobs, key);
  const left = cache
    .byIndex(Pods, trackedPods.name, key)
    .filter((pod) => controllerReferenceOf(pod)?.uid !== (job?.metadata.uid ?? ""));
  if (left.length === 0) return;
  const { name, namespace = "" } = splitKey(key);
  const uid = await api.get(Jobs, { name, namespace }).then(
    (fresh) => fresh.metadata.uid,
    (error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    },
  );
  await releaseAll(
    context,
    left.filter((pod) => uid === undefined || controllerReferenceOf(pod)?.uid !== uid),
  );
}

function podFor(job: ReadJob, index: number | undefined, pods: readonly ReadPod[]): New<Pod> {
  const { name, namespace } = job.metadata;
  const prefix = index === undefined ? `${name}-` : `${name}-${index}-`;
  const pod = podFromTemplate(job.spec.template, prefix, namespace, controllerReferenceTo(Jobs, job));
  pod.metadata.finalizers = [...(pod.metadata.finalizers ?? []), trackingFinalizer];
  if (index === undefined) return pod;
  const value = String(index);
  pod.metadata.annotations = { ...pod.metadata.annotations, [completionIndexAnnotation]: value };
  pod.metadata.labels = { ...pod.metadata.labels, [completionIndexAnnotation]: value };
  if (job.spec.backoffLimitPerIndex !== undefined) {
    const earlier = pods.filter((other) => indexOf(other) === index && other.status?.phase === "Failed");
    const counts = earlier.map(({ metadata }) => Number(metadata.annotations?.[indexFailureCount] ?? 0) + 1);
    pod.metadata.annotations[indexFailureCount] = String(Math.max(0, ...counts));
  }
  const fieldRef = { fieldPath: `metadata.labels['${completionIndexAnnotation}']` };
  const variable = { name: "JOB_COMPLETION_INDEX", valueFrom: { fieldRef } };
  const withIndex = <C extends { env?: unknown[] | null }>(container: C): C => {
    const env = (container.env ?? []) as { name: string }[];
    return env.some(({ name: present }) => present === variable.name)
      ? container
      : { ...container, env: [...env, variable] };
  };
  pod.spec = {
    ...pod.spec,
    hostname: pod.spec.hostname || `${name}-${index}`,
    containers: pod.spec.containers.map(withIndex),
    ...(pod.spec.initContainers ? { initContainers: pod.spec.initContainers.map(withIndex) } : {}),
  };
  return pod;
}

type Conditions = readonly DeepReadonly<JobCondition>[];

function suspendConditions(job: ReadJob, nowMs: number): Conditions {
  const conditions = job.status?.conditions ?? [];
  const present = conditions.find(({ type }) => type === "Suspended");
  if (job.spec.suspend) return withCondition(conditions, "Suspended", "True", "JobSuspended", "Job suspended", nowMs);
  if (present?.status === "True")
    return withCondition(conditions, "Suspended", "False", "JobResumed", "Job resumed", nowMs);
  return conditions;
}

function withCondition(
  conditions: Conditions,
  type: string,
  status: string,
  reason: string,
  message: string,
  nowMs: number,
): Conditions {
  if (conditions.some((condition) => condition.type === type && condition.status === status)) return conditions;
  const now = rfc3339(nowMs);
  const condition = { type, status, reason, message, lastProbeTime: now, lastTransitionTime: now };
  return [...conditions.filter((other) => other.type !== type), condition];
}

function announce(events: Reconcile["events"], before: ReadJob, after: ReadJob): void {
  for (const { type, status, reason = "", message = "" } of after.status?.conditions ?? []) {
    const old = before.status?.conditions?.find((condition) => condition.type === type);
    if (old?.status === status) continue;
    if (type === "Complete") events.event(after, "Normal", "Completed", "Job completed");
    if (type === "Failed") events.event(after, "Warning", reason, message);
    if (type === "Suspended") events.event(after, "Normal", status === "True" ? "Suspended" : "Resumed", message);
  }
}

async function writeStatus(
  { api }: Reconcile,
  job: ReadJob,
  status: DeepReadonly<JobStatus>,
): Promise<ReadJob | undefined> {
  if (isSameStatus(status, job.status)) return job;
  try {
    return await api.updateStatus(Jobs, { ...job, status });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
