import { describe, expect, test } from "vitest";
import type { Job, JobSpec } from "../../../api/batch/v1.ts";
import type { Pod } from "../../../api/core/v1.ts";
import { backoffInMs, planJob } from "./plan-job.ts";

const nowMs = Date.UTC(2026, 0, 1, 12);
const at = (secondsAgo: number) => new Date(nowMs - secondsAgo * 1000).toISOString().replace(".000", "");

interface PodShape {
  phase?: string;
  index?: number;
  /** Seconds since it ended. */
  ended?: number;
  going?: boolean;
  exitCode?: number;
  restarts?: number;
}

let names = 0;
function pod({ phase = "Running", index, ended, going, exitCode = 1, restarts = 0 }: PodShape = {}): Pod {
  const name = `p${names++}`;
  const state =
    ended === undefined
      ? { running: { startedAt: at(100) } }
      : { terminated: { exitCode, finishedAt: at(ended), startedAt: at(ended + 1), reason: "Error" } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: "default",
      uid: name,
      resourceVersion: "1",
      creationTimestamp: at(200),
      ...(going ? { deletionTimestamp: at(1) } : {}),
      ...(index === undefined ? {} : { annotations: { "batch.kubernetes.io/job-completion-index": String(index) } }),
    },
    spec: { containers: [{ name: "main" }] },
    status: {
      phase,
      containerStatuses: [{ name: "main", image: "", imageID: "", ready: false, restartCount: restarts, state }],
    },
  } as Pod;
}

interface State {
  spec?: Partial<JobSpec>;
  startedSecondsAgo?: number;
  pods?: Pod[];
  succeeded?: number;
  failed?: number;
  completed?: number[];
  failedIndexes?: number[];
}

function plan({ spec = {}, startedSecondsAgo = 100, pods = [], succeeded = 0, failed = 0, ...indexes }: State) {
  const job = {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: "job", namespace: "default", uid: "job", resourceVersion: "1", creationTimestamp: at(300) },
    spec: { template: { spec: { containers: [{ name: "main" }], restartPolicy: "Never" } }, parallelism: 1, ...spec },
    status: { startTime: at(startedSecondsAgo) },
  } as unknown as Job;
  const {
    create,
    delete: gone,
    verdict,
    afterMs,
  } = planJob({
    job,
    pods,
    succeeded,
    failed,
    completedIndexes: new Set(indexes.completed ?? []),
    failedIndexes: new Set(indexes.failedIndexes ?? []),
    nowMs,
  });
  return {
    create: create.map((index) => index ?? "any"),
    delete: gone.length,
    ...(verdict ? { verdict: `${verdict.kind}: ${verdict.reason}` } : {}),
    ...(afterMs === undefined ? {} : { afterMs }),
  };
}

describe("after failures new Pods wait", () => {
  const failed = (...endedSecondsAgo: number[]) => endedSecondsAgo.map((ended) => pod({ phase: "Failed", ended }));
  test.each<[string, Pod[], number]>([
    ["not at all without one", [], 0],
    ["10 s after the first", failed(0), 10_000],
    ["of which some have passed", failed(4), 6_000],
    ["20 s after the second", failed(30, 0), 20_000],
    ["40 s after the third", failed(90, 30, 0), 40_000],
    ["10 minutes at most", failed(...Array.from({ length: 12 }, (_, i) => i)), 600_000],
    ["and no longer when that has passed", failed(10), 0],
    ["from the last success on", [...failed(60, 50), pod({ phase: "Succeeded", ended: 5, exitCode: 0 })], 0],
    ["from the last success on, counting later ones", [pod({ phase: "Succeeded", ended: 5 }), ...failed(60, 2)], 8_000],
  ])("%s", (_, pods, expected) => {
    expect(backoffInMs(pods, nowMs)).toBe(expected);
  });
});

describe("a Job", () => {
  const indexed = { completionMode: "Indexed" };
  test.each<[string, State, ReturnType<typeof plan>]>([
    [
      "starts as many as it may",
      { spec: { completions: 5, parallelism: 3 } },
      { create: ["any", "any", "any"], delete: 0 },
    ],
    [
      "starts no more than are left",
      { spec: { completions: 5, parallelism: 3 }, succeeded: 4 },
      { create: ["any"], delete: 0 },
    ],
    [
      "is over when all have succeeded",
      { spec: { completions: 2 }, succeeded: 2 },
      { create: [], delete: 0, verdict: "succeeded: CompletionsReached" },
    ],
    [
      "of a work queue starts nobody new after a success, and waits for the others",
      { spec: { parallelism: 3 }, succeeded: 1, pods: [pod()] },
      { create: [], delete: 0 },
    ],
    [
      "of a work queue is over when the others are",
      { spec: { parallelism: 3 }, succeeded: 1 },
      { create: [], delete: 0, verdict: "succeeded: CompletionsReached" },
    ],
    ["suspended runs nothing", { spec: { completions: 2, suspend: true }, pods: [pod()] }, { create: [], delete: 1 }],
    [
      "with less parallelism ends some",
      { spec: { completions: 5, parallelism: 1 }, pods: [pod(), pod(), pod()] },
      { create: [], delete: 2 },
    ],
    [
      "fails beyond its back-off limit, and ends what runs",
      { spec: { completions: 5, parallelism: 2, backoffLimit: 1 }, failed: 2, pods: [pod()] },
      { create: [], delete: 1, verdict: "failed: BackoffLimitExceeded" },
    ],
    [
      "may fail as often as the limit says",
      { spec: { completions: 2, backoffLimit: 2 }, failed: 2 },
      { create: ["any"], delete: 0 },
    ],
    [
      "counts restarts in place",
      {
        spec: {
          completions: 1,
          backoffLimit: 3,
          template: { spec: { containers: [], restartPolicy: "OnFailure" } } as never,
        },
        pods: [pod({ restarts: 3 })],
      },
      { create: [], delete: 1, verdict: "failed: BackoffLimitExceeded" },
    ],
    [
      "fails at its deadline",
      { spec: { completions: 1, activeDeadlineSeconds: 100 }, pods: [pod()] },
      { create: [], delete: 1, verdict: "failed: DeadlineExceeded" },
    ],
    [
      "that failed too often by its deadline failed for that",
      { spec: { completions: 1, backoffLimit: 0, activeDeadlineSeconds: 100 }, failed: 1 },
      { create: [], delete: 0, verdict: "failed: BackoffLimitExceeded" },
    ],
    [
      "looks again at its deadline",
      { spec: { completions: 1, activeDeadlineSeconds: 160 }, pods: [pod()] },
      { create: [], delete: 0, afterMs: 60_000 },
    ],
    [
      "replaces a Pod that is going at once",
      { spec: { completions: 1 }, pods: [pod({ going: true })] },
      { create: ["any"], delete: 0 },
    ],
    [
      "replaces it only when it has ended, if told so",
      { spec: { completions: 1, podReplacementPolicy: "Failed" }, pods: [pod({ going: true })] },
      { create: [], delete: 0 },
    ],
    [
      "by index starts the lowest that are open",
      {
        spec: { ...indexed, completions: 5, parallelism: 2 },
        completed: [0, 2],
        succeeded: 2,
        pods: [pod({ index: 1 })],
      },
      { create: [3], delete: 0 },
    ],
    [
      "by index ends what runs twice, or beyond the last",
      {
        spec: { ...indexed, completions: 3, parallelism: 3 },
        pods: [pod({ index: 0 }), pod({ index: 0 }), pod({ index: 7 })],
      },
      { create: [1, 2], delete: 2 },
    ],
    [
      "by index with a limit for each lets the others go on while one waits",
      {
        spec: { ...indexed, completions: 2, parallelism: 2, backoffLimitPerIndex: 2, backoffLimit: 100 },
        pods: [pod({ index: 0, phase: "Failed", ended: 0 })],
        failed: 1,
      },
      { create: [1], delete: 0, afterMs: 10_000 },
    ],
    [
      "by index with a limit for each fails when all are over and some failed",
      {
        spec: { ...indexed, completions: 2, parallelism: 2, backoffLimitPerIndex: 0, backoffLimit: 100 },
        completed: [1],
        failedIndexes: [0],
        succeeded: 1,
        failed: 1,
      },
      { create: [], delete: 0, verdict: "failed: FailedIndexes" },
    ],
    [
      "fails when too many of its indexes have",
      {
        spec: { ...indexed, completions: 9, backoffLimitPerIndex: 0, maxFailedIndexes: 1, backoffLimit: 100 },
        failedIndexes: [0, 1],
        failed: 2,
      },
      { create: [], delete: 0, verdict: "failed: MaxFailedIndexesExceeded" },
    ],
    [
      "with too many failed indexes fails, even if its success policy would be met",
      {
        spec: {
          ...indexed,
          completions: 2,
          backoffLimitPerIndex: 0,
          successPolicy: { rules: [{ succeededCount: 1 }] },
        },
        completed: [0],
        failedIndexes: [1],
        succeeded: 1,
        failed: 1,
      },
      { create: [], delete: 0, verdict: "failed: FailedIndexes" },
    ],
    [
      "may succeed early by its success policy",
      {
        spec: {
          ...indexed,
          completions: 9,
          successPolicy: { rules: [{ succeededIndexes: "0,3-4", succeededCount: 2 }] },
        },
        completed: [3, 4],
        succeeded: 2,
        pods: [pod({ index: 5 })],
      },
      { create: [], delete: 1, verdict: "succeeded: SuccessPolicy" },
    ],
    [
      "fails at once on what its failure policy names",
      {
        spec: {
          completions: 1,
          podFailurePolicy: {
            rules: [{ action: "FailJob", onExitCodes: { operator: "In", values: [42] } }],
          } as never,
        },
        pods: [pod({ phase: "Failed", ended: 0, exitCode: 42 })],
      },
      { create: [], delete: 0, verdict: "failed: PodFailurePolicy" },
    ],
  ])("%s", (_, state, expected) => {
    expect(plan(state)).toEqual(expected);
  });
});
