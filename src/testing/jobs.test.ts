/** Jobs and CronJobs in full, against the real API server. */
import { expect, test } from "vitest";
import type { CronJob, Job } from "../api/batch/v1.ts";
import type { Pod } from "../api/core/v1.ts";
import type { DeepReadonly, New } from "../api/object.ts";
import { CronJobs, Events, Jobs, Pods } from "../api/resources.ts";
import type { Clock } from "../base/clock.ts";
import {
  finishPod,
  hastyClock,
  leapingClock,
  runningPods,
  startTestControlPlane,
  type TestControlPlane,
} from "./control-plane.ts";

const namespace = "default";
const ref = { name: "work", namespace };
const watched = [Jobs, CronJobs, Events];

const podTemplate = {
  metadata: { labels: { app: "work" } },
  spec: { restartPolicy: "Never", containers: [{ name: "main", image: "app:1" }] },
};

function job(extra: Partial<Job["spec"]>): New<Job> {
  return { metadata: ref, spec: { template: podTemplate, ...extra } };
}

/** Failed Pods' successors wait ten seconds and more: the clock goes a hundred times as fast. */
const start = () => startOn(hastyClock(100, Date.parse("2026-01-01T00:00:05Z")));

async function startOn<C extends Clock>(clock: C): Promise<TestControlPlane & { clock: C }> {
  // Nobody sends heartbeats.
  const controllers = { nodeMonitorGracePeriodMs: 1e9 };
  const cluster = await startTestControlPlane({ watched, clock, controllers });
  await cluster.addNode("worker", { cpu: "64" });
  return Object.assign(cluster, { clock });
}

const status = (cluster: TestControlPlane) => cluster.get(Jobs, "work")?.status;
const verdicts = (cluster: TestControlPlane) =>
  status(cluster)
    ?.conditions?.filter(({ status: is }) => is === "True")
    .map(({ type, reason }) => `${type} ${reason}`);
const isOver = (cluster: TestControlPlane) =>
  status(cluster)?.conditions?.some(({ type }) => type === "Complete" || type === "Failed") === true;
const indexOf = ({ metadata }: DeepReadonly<Pod>) =>
  Number(metadata.annotations?.["batch.kubernetes.io/job-completion-index"]);
const indexed = (completions: number, extra: Partial<Job["spec"]> = {}) =>
  job({ completionMode: "Indexed", completions, parallelism: completions, ...extra });

/** Ends every Pod as it comes up, until the Job is over. */
async function workOff(
  cluster: TestControlPlane,
  judge: (pod: DeepReadonly<Pod>) => number | undefined,
  conditions: { type: string; status: string }[] = [],
): Promise<void> {
  const ended = new Set<string>();
  const open = () => runningPods(cluster).filter((pod) => !ended.has(pod.metadata.uid) && judge(pod) !== undefined);
  while (!isOver(cluster)) {
    await cluster.until(() => isOver(cluster) || open().length > 0);
    for (const pod of open()) {
      ended.add(pod.metadata.uid);
      await finishPod(cluster, pod, judge(pod)!, conditions);
    }
  }
}

test("with a back-off limit per index every index is tried, and those that fail are told", async () => {
  await using cluster = await start();
  await cluster.client.create(Jobs, indexed(4, { backoffLimitPerIndex: 1 }));
  await workOff(cluster, (pod) => indexOf(pod) % 2);
  expect(status(cluster)).toMatchObject({ succeeded: 2, failed: 4, completedIndexes: "0,2", failedIndexes: "1,3" });
  expect(verdicts(cluster)).toEqual(["FailureTarget FailedIndexes", "Failed FailedIndexes"]);
});

test("more failed indexes than may fail end the Job at once", async () => {
  await using cluster = await start();
  await cluster.client.create(Jobs, indexed(4, { backoffLimitPerIndex: 0, maxFailedIndexes: 1 }));
  await workOff(cluster, (pod) => (indexOf(pod) < 2 ? 1 : undefined));
  expect(status(cluster)).toMatchObject({ failedIndexes: "0,1", failed: 4 });
  expect(verdicts(cluster)).toEqual(["FailureTarget MaxFailedIndexesExceeded", "Failed MaxFailedIndexesExceeded"]);
  await cluster.until(() => runningPods(cluster).length === 0);
});

test("an index whose Pod failed for good by policy is not tried again", async () => {
  await using cluster = await start();
  const rule = { action: "FailIndex", onExitCodes: { operator: "In", values: [42] } };
  await cluster.client.create(Jobs, indexed(2, { backoffLimitPerIndex: 3, podFailurePolicy: { rules: [rule] } }));
  await workOff(cluster, (pod) => (indexOf(pod) === 0 ? 42 : 0));
  expect(status(cluster)).toMatchObject({ succeeded: 1, failed: 1, completedIndexes: "1", failedIndexes: "0" });
});

test("an exit code that the policy names fails the Job early", async () => {
  await using cluster = await start();
  const rule = { action: "FailJob", onExitCodes: { containerName: "main", operator: "In", values: [42] } };
  await cluster.client.create(Jobs, job({ parallelism: 2, completions: 2, podFailurePolicy: { rules: [rule] } }));
  await cluster.until(() => runningPods(cluster).length === 2);
  await finishPod(cluster, runningPods(cluster)[0]!, 42);
  await cluster.until(() => isOver(cluster));
  expect(verdicts(cluster)).toEqual(["FailureTarget PodFailurePolicy", "Failed PodFailurePolicy"]);
  expect(status(cluster)?.conditions?.at(-1)?.message).toMatch(
    /^Container main for pod default\/work-\w+ failed with exit code 42 matching FailJob rule at index 0$/,
  );
});

test("a failure by disruption that the policy ignores does not count", async () => {
  await using cluster = await start();
  const rule = { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] };
  await cluster.client.create(Jobs, indexed(2, { backoffLimit: 0, podFailurePolicy: { rules: [rule] } }));
  await cluster.until(() => runningPods(cluster).length === 2);
  for (const pod of runningPods(cluster))
    await finishPod(cluster, pod, 1, [{ type: "DisruptionTarget", status: "True" }]);
  await cluster.until(() => runningPods(cluster).length === 2);
  await workOff(cluster, () => 0);
  expect(status(cluster)?.failed ?? 0).toBe(0);
  expect(verdicts(cluster)).toEqual(["SuccessCriteriaMet CompletionsReached", "Complete CompletionsReached"]);
});

test.each([
  ["all indexes", { succeededIndexes: "0-2" }, [0, 1, 2]],
  ["one index", { succeededIndexes: "1" }, [1]],
  ["a number of indexes", { succeededCount: 2 }, [0, 2]],
] as const)("a success policy is met by %s", async (_, rule, succeeding) => {
  await using cluster = await start();
  await cluster.client.create(Jobs, indexed(3, { successPolicy: { rules: [rule] } }));
  await workOff(cluster, (pod) => ((succeeding as readonly number[]).includes(indexOf(pod)) ? 0 : undefined));
  expect(verdicts(cluster)).toEqual(["SuccessCriteriaMet SuccessPolicy", "Complete SuccessPolicy"]);
  expect(status(cluster)).toMatchObject({ succeeded: succeeding.length, completedIndexes: expect.any(String) });
  await cluster.until(() => runningPods(cluster).length === 0);
});

test("each Pod of an indexed Job knows its index by annotation, label, variable and host name", async () => {
  await using cluster = await start();
  await cluster.client.create(Jobs, indexed(2));
  await cluster.until(() => runningPods(cluster).length === 2);
  const second = runningPods(cluster).find((pod) => indexOf(pod) === 1)!;
  expect(second.metadata.name).toMatch(/^work-1-\w{5}$/);
  expect(second.metadata.labels?.["batch.kubernetes.io/job-completion-index"]).toBe("1");
  expect(second.spec.hostname).toBe("work-1");
  expect(second.spec.containers[0]!.env).toEqual([
    {
      name: "JOB_COMPLETION_INDEX",
      valueFrom: {
        fieldRef: { apiVersion: "v1", fieldPath: "metadata.labels['batch.kubernetes.io/job-completion-index']" },
      },
    },
  ]);
});

test("a Job takes an orphan back, and lets go of a Pod that matches no more", async () => {
  await using cluster = await start();
  await cluster.client.create(Jobs, job({ parallelism: 2, completions: 2 }));
  await cluster.until(() => runningPods(cluster).length === 2);
  const [orphan, stranger] = runningPods(cluster).map(({ metadata }) => metadata.name);
  const isOwned = (name: string) => cluster.get(Pods, name)?.metadata.ownerReferences?.[0]?.name === "work";
  await cluster.edit(Pods, orphan!, ({ metadata }) => void delete metadata.ownerReferences);
  await cluster.until(() => isOwned(orphan!));
  await cluster.edit(Pods, stranger!, ({ metadata }) => (metadata.labels = { app: "other" }));
  await cluster.until(() => !isOwned(stranger!) && runningPods(cluster).length === 3);
  expect(cluster.get(Pods, stranger!)?.metadata.finalizers ?? []).toEqual([]);
});

test("a Job that takes too long fails, and its Pods go", async () => {
  await using cluster = await start();
  await cluster.client.create(Jobs, job({ activeDeadlineSeconds: 60, parallelism: 2 }));
  await cluster.until(() => isOver(cluster));
  expect(verdicts(cluster)).toEqual(["FailureTarget DeadlineExceeded", "Failed DeadlineExceeded"]);
  expect(status(cluster)?.failed, "what was still at work has failed").toBe(2);
  await cluster.until(() => cluster.list(Pods).length === 0);
});

test("failed Pods are replaced later each time, until the limit is reached", async () => {
  await using cluster = await start();
  await cluster.client.create(Jobs, job({ backoffLimit: 2 }));
  const startedMs: number[] = [];
  await workOff(cluster, (pod) => {
    const at = Date.parse(pod.metadata.creationTimestamp);
    if (!startedMs.includes(at)) startedMs.push(at);
    return 1;
  });
  expect(verdicts(cluster)).toEqual(["FailureTarget BackoffLimitExceeded", "Failed BackoffLimitExceeded"]);
  expect(status(cluster)?.failed).toBe(3);
  const [first = 0, second = 0, third = 0] = startedMs;
  // Finished times have whole seconds.
  expect(second - first).toBeGreaterThanOrEqual(9000);
  expect(third - second).toBeGreaterThanOrEqual(19_000);
});

test("a deleted Job takes its Pods along, and leaves no finalizer behind", async () => {
  await using cluster = await start();
  await cluster.client.create(Jobs, job({ parallelism: 3 }));
  await cluster.until(() => runningPods(cluster).length === 3);
  await cluster.client.delete(Jobs, ref, { propagationPolicy: "Foreground" });
  await cluster.until(() => cluster.list(Pods).length === 0 && cluster.get(Jobs, "work") === undefined);
});

const minute = 60_000;
const startCron = (from = "2026-01-01T00:00:05Z") => startOn(leapingClock(Date.parse(from)));

function cronJob(extra: Partial<CronJob["spec"]>, name = "tick"): New<CronJob> {
  return {
    metadata: { name, namespace },
    spec: { schedule: "* * * * *", jobTemplate: { spec: { template: podTemplate } }, ...extra },
  };
}

const jobNames = (cluster: TestControlPlane) =>
  cluster
    .list(Jobs)
    .map(({ metadata }) => metadata.name)
    .sort();
const active = (cluster: TestControlPlane) => cluster.get(CronJobs, "tick")?.status?.active ?? [];
const eventReasons = (cluster: TestControlPlane) =>
  new Set(cluster.list(Events, namespace).map(({ reason }) => reason));
const started = async (cluster: TestControlPlane, count: number) =>
  cluster.until(() => active(cluster).length === count && cluster.list(Jobs).length >= count);

test("a CronJob that allows it runs several Jobs at once, named after their minute", async () => {
  await using cluster = await startCron();
  await cluster.client.create(CronJobs, cronJob({ concurrencyPolicy: "Allow" }));
  for (const count of [1, 2]) {
    cluster.clock.leap(minute);
    await started(cluster, count);
  }
  const first = Date.parse("2026-01-01T00:01:00Z") / minute;
  expect(jobNames(cluster)).toEqual([`tick-${first}`, `tick-${first + 1}`]);
  expect(cluster.get(Jobs, `tick-${first}`)?.metadata.annotations).toMatchObject({
    "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T00:01:00Z",
  });
});

test("a CronJob that forbids it starts no second Job beside the first", async () => {
  await using cluster = await startCron();
  await cluster.client.create(CronJobs, cronJob({ concurrencyPolicy: "Forbid" }));
  cluster.clock.leap(minute);
  await started(cluster, 1);
  cluster.clock.leap(minute);
  await cluster.until(() => eventReasons(cluster).has("JobAlreadyActive"));
  expect(cluster.list(Jobs)).toHaveLength(1);
  await cluster.until(() => runningPods(cluster).length === 1);
  await finishPod(cluster, runningPods(cluster)[0]!, 0);
  await cluster.until(() => cluster.list(Jobs).length === 2);
  await cluster.until(() => cluster.get(CronJobs, "tick")?.status?.lastSuccessfulTime !== undefined);
});

test("a CronJob that replaces ends the Job that still runs", async () => {
  await using cluster = await startCron();
  await cluster.client.create(CronJobs, cronJob({ concurrencyPolicy: "Replace" }));
  cluster.clock.leap(minute);
  await started(cluster, 1);
  const [first] = jobNames(cluster);
  cluster.clock.leap(minute);
  await cluster.until(() => active(cluster).length === 1 && active(cluster)[0]?.name !== first);
  await cluster.until(() => !jobNames(cluster).includes(first!));
});

test("a suspended CronJob starts nothing until it is let go", async () => {
  await using cluster = await startCron();
  await cluster.client.create(CronJobs, cronJob({ suspend: true }));
  await cluster.client.create(CronJobs, cronJob({}, "other"));
  cluster.clock.leap(2.5 * minute);
  await cluster.until(() => cluster.list(Jobs).length > 0);
  expect(jobNames(cluster).filter((name) => name.startsWith("tick"))).toEqual([]);
  await cluster.edit(CronJobs, "tick", ({ spec }) => (spec.suspend = false));
  await started(cluster, 1);
});

test("finished Jobs of a CronJob stay only up to its history limits", async () => {
  await using cluster = await startCron();
  const jobTemplate = { spec: { template: podTemplate, backoffLimit: 0 } };
  const limits = { successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 0 };
  await cluster.client.create(CronJobs, cronJob({ jobTemplate, ...limits }));
  for (const exitCode of [0, 1, 0]) {
    cluster.clock.leap(minute);
    await cluster.until(() => runningPods(cluster).length === 1);
    await finishPod(cluster, runningPods(cluster)[0]!, exitCode);
    await cluster.until(() => active(cluster).length === 0);
  }
  const last = Date.parse("2026-01-01T00:03:00Z") / minute;
  await cluster.until(() => JSON.stringify(jobNames(cluster)) === JSON.stringify([`tick-${last}`]));
});

test("a Job that the controller started, and forgot in a crash, is on the CronJob's list again", async () => {
  await using cluster = await startCron("2025-12-31T23:59:40Z");
  await cluster.client.create(CronJobs, cronJob({ schedule: "@yearly", concurrencyPolicy: "Forbid" }));
  cluster.clock.leap(minute);
  await started(cluster, 1);
  const [{ name } = { name: "" }] = active(cluster);
  await cluster.client.patch(
    CronJobs,
    { name: "tick", namespace },
    { type: "merge", body: { status: { active: null, lastScheduleTime: null } } },
    { subresource: "status" },
  );
  await cluster.until(() => active(cluster)[0]?.name === name);
  expect(cluster.list(Jobs)).toHaveLength(1);
});

test("a CronJob on its way out starts nothing more, and still says what has finished", async () => {
  await using cluster = await startCron();
  const { metadata, ...rest } = cronJob({});
  await cluster.client.create(CronJobs, { ...rest, metadata: { ...metadata, finalizers: ["test/held"] } } as never);
  cluster.clock.leap(minute);
  await started(cluster, 1);
  await cluster.client.delete(CronJobs, { name: "tick", namespace }, { propagationPolicy: "Background" });
  await cluster.until(() => cluster.get(CronJobs, "tick")?.metadata.deletionTimestamp !== undefined);
  await cluster.client.create(CronJobs, cronJob({}, "other"));
  cluster.clock.leap(minute);
  await cluster.until(() => jobNames(cluster).some((name) => name.startsWith("other")));
  expect(jobNames(cluster).filter((name) => name.startsWith("tick"))).toHaveLength(1);
  const ofTick = () => runningPods(cluster).filter(({ metadata: { name } }) => name.startsWith("tick"));
  await cluster.until(() => ofTick().length === 1);
  await finishPod(cluster, ofTick()[0]!, 0);
  await cluster.until(() => active(cluster).length === 0);
  await cluster.edit(CronJobs, "tick", ({ metadata: of }) => (of.finalizers = []));
});

test("of more than a hundred missed starts the latest is made up for, with a warning", async () => {
  await using cluster = await startCron();
  await cluster.client.create(CronJobs, cronJob({ suspend: true }));
  cluster.clock.leap(101 * minute);
  await cluster.edit(CronJobs, "tick", ({ spec }) => (spec.suspend = false));
  await started(cluster, 1);
  expect(jobNames(cluster)).toEqual([`tick-${Date.parse("2026-01-01T01:41:00Z") / minute}`]);
  await cluster.until(() => eventReasons(cluster).has("TooManyMissedTimes"));
});

test("a line that is never due says so, and starts nothing", async () => {
  await using cluster = await startCron();
  await cluster.client.create(CronJobs, cronJob({ schedule: "0 0 31 2 *" }));
  await cluster.until(() => eventReasons(cluster).has("InvalidSchedule"));
  const before = cluster.attempts.get("create events");
  await new Promise((done) => setTimeout(done, 500));
  expect(cluster.attempts.get("create events")).toBe(before);
  await expect(
    cluster.client.create(CronJobs, { ...cronJob({ schedule: "61 * * * *" }), metadata: { ...ref } }),
  ).rejects.toThrow("spec.schedule: Invalid value");
});
