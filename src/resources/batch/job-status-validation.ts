/** What may be written into a Job's status: a finished Job has ended in order and stays ended, counters do not run back. */
import type { Job, JobStatus } from "../../api/batch/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { duplicate, type FieldError, invalid, status as path, required } from "../../apimachinery/field-error.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { nonNegativeCounts } from "../apps/workload.ts";
import { firstCommonIndex, parseIndexes } from "./job-indexes.ts";
import { invalidWhole, printJob } from "./job-validation.ts";

type Status = DeepReadonly<JobStatus>;

const conditions = path.child("conditions");
const isTrue = (status: Status, type: string) =>
  !!status.conditions?.some((c) => c.type === type && c.status === "True");
const isFinished = (status: Status) => isTrue(status, "Complete") || isTrue(status, "Failed");

/** Most rules hold only when what they are about changes, so that Jobs which broke them before can still be written. */
export function validateJobStatus(job: DeepReadonly<Job>, previousJob: DeepReadonly<Job>): FieldError[] {
  const [next, previous] = [job.status ?? {}, previousJob.status ?? {}];
  const [complete, failed] = [isTrue(next, "Complete"), isTrue(next, "Failed")];
  const [failureTarget, criteriaMet] = [isTrue(next, "FailureTarget"), isTrue(next, "SuccessCriteriaMet")];
  const finished = complete || failed;
  const changed = (...names: (keyof JobStatus)[]) => names.some((name) => !semanticEqual(next[name], previous[name]));
  const turned = (...types: string[]) => types.some((type) => isTrue(next, type) !== isTrue(previous, type));
  const ended = finished !== isFinished(previous);
  const { completions } = job.spec;
  const errors = nonNegativeCounts(next, ["active", "succeeded", "failed", "ready", "terminating"], path);
  const refuse = (refused: boolean, error: () => FieldError) => {
    if (refused) errors.push(error());
  };
  const refuseConditions = (refused: boolean, detail: string) =>
    refuse(refused, () => invalidWhole(conditions, detail));
  const about = (name: keyof JobStatus, value: unknown, detail: string) => () =>
    invalid(path.child(name), value, detail);

  errors.push(...repeatedPods(next));
  if (turned("Complete", "Failed"))
    refuseConditions(complete && failed, "cannot set Complete=True and Failed=true conditions");
  if (turned("Complete", "FailureTarget"))
    refuseConditions(complete && failureTarget, "cannot set Complete=True and FailureTarget=true conditions");
  if (turned("Complete") || changed("completionTime")) {
    refuse(
      !!next.completionTime && !complete,
      about(
        "completionTime",
        next.completionTime,
        "cannot set completionTime when there is no Complete=True condition",
      ),
    );
    refuse(!next.completionTime && complete, () =>
      required(path.child("completionTime"), "completionTime is required for Complete jobs"),
    );
  }
  if (changed("startTime", "completionTime"))
    refuse(
      !!next.startTime && !!next.completionTime && Date.parse(next.completionTime) < Date.parse(next.startTime),
      about("completionTime", next.completionTime, "completionTime cannot be set before startTime"),
    );
  if (turned("Failed", "FailureTarget"))
    refuseConditions(
      failed && !failureTarget,
      "cannot set Failed=True condition without the FailureTarget=true condition",
    );
  if (turned("Complete", "SuccessCriteriaMet"))
    refuseConditions(
      complete && !criteriaMet,
      "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
    );
  if (ended || changed("active"))
    refuse(finished && (next.active ?? 0) > 0, about("active", next.active, "active>0 is invalid for finished job"));
  if (ended || changed("startTime"))
    refuse(finished && !next.startTime, () =>
      required(path.child("startTime"), "startTime is required for finished job"),
    );
  if (ended || changed("uncountedTerminatedPods")) {
    const { uncountedTerminatedPods: pods } = next;
    refuse(finished && (pods?.failed?.length ?? 0) + (pods?.succeeded?.length ?? 0) > 0, () =>
      invalid(
        path.child("uncountedTerminatedPods"),
        printJob("UncountedTerminatedPods", pods),
        "uncountedTerminatedPods needs to be empty for finished job",
      ),
    );
  }
  errors.push(...badIndexes(job, changed("completedIndexes"), changed("failedIndexes"), completions));
  if (ended || changed("terminating"))
    refuse(
      finished && (next.terminating ?? 0) > 0,
      about("terminating", next.terminating, "terminating>0 is invalid for finished job"),
    );
  if (changed("ready", "active"))
    refuse(
      next.ready !== undefined && next.ready > (next.active ?? 0),
      about("ready", next.ready, "cannot set more ready pods than active"),
    );
  refuseConditions(criteriaMet && failed, "cannot set SuccessCriteriaMet=True and Failed=true conditions");
  refuseConditions(
    criteriaMet && failureTarget,
    "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
  );
  refuseConditions(
    !!job.spec.successPolicy && !criteriaMet && complete,
    "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
  );

  for (const type of ["Failed", "Complete", "FailureTarget"])
    refuseConditions(
      isTrue(previous, type) && !isTrue(next, type),
      `cannot disable the terminal ${type}=True condition`,
    );
  refuse(
    (next.failed ?? 0) < (previous.failed ?? 0),
    about("failed", next.failed ?? 0, "cannot decrease the failed counter"),
  );
  // A Job whose indexes follow its parallelism may be made smaller.
  const isElastic = job.spec.completionMode === "Indexed" && completions === job.spec.parallelism;
  refuse(
    !isElastic && (next.succeeded ?? 0) < (previous.succeeded ?? 0),
    about("succeeded", next.succeeded ?? 0, "cannot decrease the succeeded counter"),
  );
  refuse(
    !!next.completionTime && !!previous.completionTime && changed("completionTime"),
    about("completionTime", next.completionTime, "completionTime cannot be mutated"),
  );
  const isResuming = isTrue(previous, "Suspended") && !isTrue(next, "Suspended");
  refuse(!!previous.startTime && changed("startTime") && !job.spec.suspend && !isResuming, () =>
    required(path.child("startTime"), "startTime cannot be removed for unsuspended job"),
  );
  refuseConditions(
    isTrue(previous, "SuccessCriteriaMet") && !criteriaMet,
    "cannot disable the SuccessCriteriaMet=True condition",
  );
  refuseConditions(
    isTrue(previous, "Complete") && !isTrue(previous, "SuccessCriteriaMet") && criteriaMet,
    "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions",
  );
  return errors;
}

function repeatedPods({ uncountedTerminatedPods: pods }: Status): FieldError[] {
  const seen = new Set<string>();
  return (["succeeded", "failed"] as const).flatMap((list) =>
    (pods?.[list] ?? []).flatMap((uid, i) => {
      const at = path.child("uncountedTerminatedPods").child(list).index(i);
      if (uid === "") return [invalid(at, uid, "must not be empty")];
      if (seen.has(uid)) return [duplicate(at, uid)];
      seen.add(uid);
      return [];
    }),
  );
}

function badIndexes(
  { spec, status }: DeepReadonly<Job>,
  completedChanged: boolean,
  failedChanged: boolean,
  completions: number | undefined,
): FieldError[] {
  const errors: FieldError[] = [];
  const { completedIndexes = "", failedIndexes } = status ?? {};
  const completed = parseIndexes(completedIndexes, completions ?? 0);
  const failed = parseIndexes(failedIndexes ?? "", completions ?? 0);
  const mistake = (name: "completedIndexes" | "failedIndexes", detail: string) =>
    errors.push(invalid(path.child(name), status?.[name] ?? "", detail));
  if (completedChanged && completions !== undefined && "problem" in completed)
    mistake("completedIndexes", `error parsing completedIndexes: ${completed.problem}`);
  const countsFailures = spec.backoffLimitPerIndex !== undefined;
  if (failedChanged && completions !== undefined && countsFailures && "problem" in failed)
    mistake("failedIndexes", `error parsing failedIndexes: ${failed.problem}`);
  if (completedChanged && completedIndexes !== "" && spec.completionMode !== "Indexed")
    mistake("completedIndexes", "cannot set non-empty completedIndexes when non-indexed completion mode");
  if (failedChanged && failedIndexes !== undefined && !countsFailures)
    mistake("failedIndexes", "cannot set non-null failedIndexes when backoffLimitPerIndex is null");
  if ((completedChanged || failedChanged) && !("problem" in completed) && !("problem" in failed)) {
    const common = firstCommonIndex(completed, failed);
    if (common !== undefined)
      mistake("failedIndexes", `failedIndexes and completedIndexes overlap at index: ${common}`);
  }
  return errors;
}
