/** Starts a Job whenever a CronJob's line is due, and keeps a short history of them. */
import type { CronJob, CronJobStatus, Job } from "../../api/batch/v1.ts";
import type { ObjectReference } from "../../api/core/v1.ts";
import type { DeepReadonly, New } from "../../api/object.ts";
import { CronJobs, Jobs } from "../../api/resources.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isAlreadyExists, isNotFound } from "../../apimachinery/status-error.ts";
import { rfc3339 } from "../../base/clock.ts";
import { type Client, refOf } from "../../client/client.ts";
import {
  defineController,
  type Reconcile,
  type ReconcileResult,
  statusOf,
} from "../../controller-runtime/controller.ts";
import { isNamespaceTerminating } from "../../controller-runtime/namespace-terminating.ts";
import { owned } from "../../controller-runtime/wakes.ts";
import { controllerReferenceOf, controllerReferenceTo } from "../ownership.ts";
import { messageOf } from "../pod-control.ts";
import { type CronSchedule, isTimeZone, latestDue, nextDueMs, parseCron } from "./cronjob/cron-schedule.ts";
import { finishedCondition, jobCondition } from "./job/job-facts.ts";

export const cronJobController = defineController<CronJob>({
  name: "cronjob-controller",
  reconciles: CronJobs,
  wakesOn: [owned(Jobs)],
  writes: [Jobs, statusOf(CronJobs)],
  async reconcile(context) {
    const cronJob = context.cache.get(CronJobs, context.key);
    if (!cronJob) return;
    return await reconcileCronJob(context, cronJob);
  },
});

const scheduledTimestamp = "batch.kubernetes.io/cronjob-scheduled-timestamp";

type ReadCronJob = DeepReadonly<CronJob>;
type ReadJob = DeepReadonly<Job>;

async function reconcileCronJob(context: Reconcile, cronJob: ReadCronJob): Promise<ReconcileResult> {
  const { api, cache, clock, events } = context;
  const { spec } = cronJob;
  const nowMs = clock.now();
  let status: DeepReadonly<CronJobStatus> = await settle(context, cronJob, cache.ownedBy(Jobs, cronJob));
  await trimHistory(context, cronJob, cache.ownedBy(Jobs, cronJob));

  const write = async () => {
    if (semanticEqual(status, cronJob.status)) return;
    try {
      await api.updateStatus(CronJobs, { ...cronJob, status });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  };
  if (cronJob.metadata.deletionTimestamp) return await write();
  const { timeZone } = spec;
  if (timeZone !== undefined && !isTimeZone(timeZone)) {
    const message = `invalid timeZone: ${JSON.stringify(timeZone)}: unknown time zone ${timeZone}`;
    events.event(cronJob, "Warning", "UnknownTimeZone", message);
    return await write();
  }
  if (spec.suspend) return await write();
  let schedule: CronSchedule;
  try {
    schedule = parseCron(spec.schedule);
  } catch (error) {
    // Time does not mend the line; its next change wakes us.
    events.event(
      cronJob,
      "Warning",
      "UnparseableSchedule",
      `unparseable schedule: ${JSON.stringify(spec.schedule)} : ${messageOf(error)}`,
    );
    return await write();
  }
  const next = (): ReconcileResult => {
    const dueMs = nextDueMs(schedule, clock.now(), spec.timeZone);
    if (dueMs !== undefined) return { afterMs: dueMs - clock.now() };
    events.event(cronJob, "Warning", "InvalidSchedule", `invalid schedule: ${spec.schedule} : no time matches it`);
    return undefined;
  };

  const decision = planRun(cronJob, schedule, nowMs);
  if (decision.tooManyMissed) {
    const message = `too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew`;
    events.event(cronJob, "Warning", "TooManyMissedTimes", message);
  }
  if (decision.dueMs === undefined) {
    await write();
    return next();
  }
  const active = status.active ?? [];
  if (spec.concurrencyPolicy === "Forbid" && active.length > 0) {
    const message = "Not starting job because prior execution is running and concurrency policy is Forbid";
    events.event(cronJob, "Normal", "JobAlreadyActive", message);
    await write();
    return next();
  }
  if (spec.concurrencyPolicy === "Replace") {
    for (const { name = "", namespace = "" } of active) {
      await api.delete(Jobs, { name, namespace }, { propagationPolicy: "Background" }).catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
      events.event(cronJob, "Normal", "SuccessfulDelete", `Deleted job ${name}`);
    }
    status = { ...status, active: [] };
  }
  const job = jobFor(cronJob, decision.dueMs);
  try {
    const created = await api.create(Jobs, job);
    events.event(cronJob, "Normal", "SuccessfulCreate", `Created job ${created.metadata.name}`);
    status = {
      ...status,
      active: [...(status.active ?? []), referenceTo(created)],
      lastScheduleTime: rfc3339(decision.dueMs),
    };
  } catch (error) {
    if (isNamespaceTerminating(error)) return;
    if (!isAlreadyExists(error)) {
      events.event(cronJob, "Warning", "FailedCreate", `Error creating job: ${messageOf(error)}`);
      throw error;
    }
    status = { ...status, lastScheduleTime: rfc3339(decision.dueMs) };
    // We may have made it before a crash that came in the way of noting it; anybody else's is none of ours.
    const { name = "" } = job.metadata;
    const existing = await api.get(Jobs, { name, namespace: cronJob.metadata.namespace });
    const isOurs = controllerReferenceOf(existing)?.uid === cronJob.metadata.uid && !finishedCondition(existing);
    const isKnown = active.some(({ uid }) => uid === existing.metadata.uid);
    if (isOurs && !isKnown) status = { ...status, active: [...active, referenceTo(existing)] };
  }
  await write();
  return next();
}

/** Whether a start is due: the latest missed one, unless its deadline has passed. */
export function planRun(
  { metadata, spec, status }: ReadCronJob,
  schedule: CronSchedule,
  nowMs: number,
): { dueMs?: number; tooManyMissed: boolean } {
  const sinceMs = Date.parse(status?.lastScheduleTime ?? metadata.creationTimestamp);
  const { startingDeadlineSeconds } = spec;
  const deadlineMs = startingDeadlineSeconds === undefined ? undefined : Number(startingDeadlineSeconds) * 1000;
  const fromMs = deadlineMs === undefined ? sinceMs : Math.max(sinceMs, nowMs - deadlineMs);
  const { latestMs, count } = latestDue(schedule, fromMs, nowMs, spec.timeZone);
  const tooManyMissed = count > 100;
  if (latestMs === undefined || (deadlineMs !== undefined && latestMs + deadlineMs < nowMs)) return { tooManyMissed };
  return { dueMs: latestMs, tooManyMissed };
}

/** The status with finished Jobs taken off the list of active ones. */
async function settle(
  { api, events }: Reconcile,
  cronJob: ReadCronJob,
  jobs: readonly ReadJob[],
): Promise<DeepReadonly<CronJobStatus>> {
  const byUid = new Map(jobs.map((job) => [job.metadata.uid, job]));
  const active: DeepReadonly<ObjectReference>[] = [];
  let lastSuccessfulTime = cronJob.status?.lastSuccessfulTime;
  for (const reference of cronJob.status?.active ?? []) {
    const job = byUid.get(reference.uid ?? "");
    if (!job) {
      // Another server may have made it, and our cache not know of it yet.
      if (await exists(api, reference)) active.push(reference);
      else events.event(cronJob, "Normal", "MissingJob", `Active job went missing: ${reference.name}`);
      continue;
    }
    const finished = finishedCondition(job);
    if (!finished) active.push(reference);
    else
      events.event(
        cronJob,
        "Normal",
        "SawCompletedJob",
        `Saw completed job: ${reference.name}, condition: ${finished.type}`,
      );
  }
  for (const job of jobs) {
    const isKnown = cronJob.status?.active?.some(({ uid }) => uid === job.metadata.uid);
    if (!isKnown && !finishedCondition(job) && !isDue(cronJob, job)) {
      const message = `Saw a job that the controller did not create or forgot: ${job.metadata.name}`;
      events.event(cronJob, "Warning", "UnexpectedJob", message);
    }
    const { completionTime } = job.status ?? {};
    if (!jobCondition(job, "Complete") || !completionTime) continue;
    if (!lastSuccessfulTime || completionTime > lastSuccessfulTime) lastSuccessfulTime = completionTime;
  }
  const { active: _, ...rest } = cronJob.status ?? {};
  return { ...rest, ...(active.length > 0 ? { active } : {}), ...(lastSuccessfulTime ? { lastSuccessfulTime } : {}) };
}

async function exists(api: Client, { name = "", namespace = "" }: DeepReadonly<ObjectReference>): Promise<boolean> {
  try {
    await api.get(Jobs, { name, namespace });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

/** Whether it is one that we may be about to note: made for a start that the status does not know of yet. */
function isDue(cronJob: ReadCronJob, job: ReadJob): boolean {
  const scheduledAt = job.metadata.annotations?.[scheduledTimestamp];
  return scheduledAt !== undefined && scheduledAt > (cronJob.status?.lastScheduleTime ?? "");
}

async function trimHistory({ api, events }: Reconcile, cronJob: ReadCronJob, jobs: readonly ReadJob[]): Promise<void> {
  const { successfulJobsHistoryLimit = 3, failedJobsHistoryLimit = 1 } = cronJob.spec;
  const startedAt = (job: ReadJob) => job.status?.startTime ?? job.metadata.creationTimestamp;
  for (const [type, limit] of [
    ["Complete", successfulJobsHistoryLimit],
    ["Failed", failedJobsHistoryLimit],
  ] as const) {
    const oldestFirst = jobs
      .filter((job) => jobCondition(job, type) && !job.metadata.deletionTimestamp)
      .sort((a, b) => (startedAt(a) < startedAt(b) ? -1 : 1));
    for (const job of oldestFirst.slice(0, Math.max(0, oldestFirst.length - limit))) {
      try {
        await api.delete(Jobs, refOf(job), { propagationPolicy: "Background" });
        events.event(cronJob, "Normal", "SuccessfulDelete", `Deleted job ${job.metadata.name}`);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
  }
}

/** Named after the minute it is due, so that a start is never made twice. */
function jobFor(cronJob: ReadCronJob, dueMs: number): New<Job> {
  const { metadata = {}, spec } = cronJob.spec.jobTemplate;
  const { name, namespace } = cronJob.metadata;
  const scheduledAt = { [scheduledTimestamp]: rfc3339(dueMs) };
  return {
    metadata: {
      name: `${name}-${Math.floor(dueMs / 60_000)}`,
      namespace,
      ...(metadata.labels ? { labels: { ...metadata.labels } } : {}),
      annotations: { ...metadata.annotations, ...scheduledAt },
      ownerReferences: [controllerReferenceTo(CronJobs, cronJob)],
    },
    // The server copies what it is given.
    spec: spec as Job["spec"],
  };
}

function referenceTo({ apiVersion, kind, metadata }: ReadJob): ObjectReference {
  const { name, namespace, uid, resourceVersion } = metadata;
  return { apiVersion, kind, name, namespace, uid, resourceVersion };
}
