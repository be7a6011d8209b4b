/** CronJobs: Jobs by the clock. */
import type { CronJob } from "../../api/batch/v1.ts";
import {
  type FieldError,
  type FieldPath,
  invalid,
  metadata,
  notSupported,
  required,
  spec as specPath,
} from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { formatLabelSelector } from "../../apimachinery/selectors.ts";
import { bumpGenerationOnSpecChange, firstGeneration, namingWorkloadWarnings } from "../apps/workload.ts";
import { defaultPodTemplate } from "../core/pod-spec/template.ts";
import { age, ageText, containerImages, containerNames, integer, name, none, text, wide } from "../printing/columns.ts";
import { served } from "../served.ts";
import { nonNegative, requiredOneOf } from "../validation/rules.ts";
import { scheduleProblem } from "./cron-schedule.ts";
import { validateJobSpec } from "./job-validation.ts";
import { jobSpecWarnings } from "./job-warnings.ts";

/** A Job's name is the CronJob's and eleven characters of time; it must still be a label. */
const maximumNameLength = 52;
const jobSpecPath = specPath.child("jobTemplate", "spec");

export const cronJobs = defineResource<CronJob>({
  ...served("batch/v1", "cronjobs"),
  defaults({ spec }) {
    spec.concurrencyPolicy ||= "Allow";
    spec.suspend ??= false;
    spec.successfulJobsHistoryLimit ??= 3;
    spec.failedJobsHistoryLimit ??= 1;
    defaultPodTemplate(spec.jobTemplate?.spec?.template);
  },
  beforeCreate: firstGeneration<CronJob>({}),
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: (next, previous) => [...validCronJob(next, previous), ...(previous ? [] : validNameLength(next))],
  warnings(next, previous) {
    const { jobTemplate, schedule } = next.spec;
    const warnings = namingWorkloadWarnings(next, previous, () => jobSpecWarnings(jobTemplate?.spec, jobSpecPath));
    if (previous && schedule?.includes("TZ")) {
      const see = "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/";
      warnings.push(
        `cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see ${see} for more details`,
      );
    }
    return warnings;
  },
  columns: [
    name,
    text("Schedule", ({ spec }) => spec.schedule),
    text("Timezone", ({ spec }) => spec.timeZone ?? none),
    { name: "Suspend", type: "boolean", cell: ({ spec }) => suspendText(spec.suspend) },
    integer("Active", ({ status }) => status?.active?.length),
    text("Last Schedule", ({ status }, now) =>
      status?.lastScheduleTime ? ageText(status.lastScheduleTime, now) : none,
    ),
    age,
    containerNames(({ spec }) => spec.jobTemplate.spec?.template.spec?.containers),
    containerImages(({ spec }) => spec.jobTemplate.spec?.template.spec?.containers),
    wide(text("Selector", ({ spec }) => formatLabelSelector(spec.jobTemplate.spec?.selector))),
  ],
});

function suspendText(suspend: boolean | undefined): string {
  if (suspend === undefined) return "<unset>";
  return suspend ? "True" : "False";
}

/** A missing name has been reported already. */
function validNameLength({ metadata: { name: cronJobName = "" } }: CronJob): FieldError[] {
  if (cronJobName.length <= maximumNameLength) return [];
  return [invalid(metadata.child("name"), cronJobName, `must be no more than ${maximumNameLength} characters`)];
}

function validCronJob({ spec }: CronJob, previous: CronJob | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const schedulePath = specPath.child("schedule");
  if (!spec.schedule) errors.push(required(schedulePath));
  else errors.push(...validSchedule(spec, previous?.spec.schedule?.includes("TZ") ?? false, schedulePath));
  errors.push(...nonNegative(spec.startingDeadlineSeconds, specPath.child("startingDeadlineSeconds")));
  if (!previous || previous.spec.timeZone !== spec.timeZone) errors.push(...validTimeZone(spec.timeZone));
  const policies = ["Allow", "Forbid", "Replace"];
  errors.push(...requiredOneOf(spec.concurrencyPolicy, policies, specPath.child("concurrencyPolicy")));
  errors.push(...validateJobSpec(spec.jobTemplate?.spec ?? { template: {} }, jobSpecPath));
  const { selector, manualSelector } = spec.jobTemplate?.spec ?? {};
  if (selector) {
    errors.push(invalid(jobSpecPath.child("selector"), selector, "`selector` will be auto-generated"));
  }
  if (manualSelector) {
    errors.push(notSupported(jobSpecPath.child("manualSelector"), manualSelector, ["nil", "false"]));
  }
  errors.push(...nonNegative(spec.successfulJobsHistoryLimit, specPath.child("successfulJobsHistoryLimit")));
  return [...errors, ...nonNegative(spec.failedJobsHistoryLimit, specPath.child("failedJobsHistoryLimit"))];
}

/** `mayName`: schedules once named their time zone, and those that did may go on. */
function validSchedule({ schedule, timeZone }: CronJob["spec"], mayName: boolean, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const problem = scheduleProblem(schedule);
  if (problem) errors.push(invalid(path, schedule, problem));
  if (!schedule.includes("TZ")) return errors;
  if (mayName && timeZone !== undefined) {
    errors.push(invalid(path, schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule"));
  } else if (!mayName) {
    errors.push(invalid(path, schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"));
  }
  return errors;
}

function validTimeZone(timeZone: string | undefined): FieldError[] {
  const path = specPath.child("timeZone");
  if (timeZone === undefined) return [];
  if (timeZone === "") return [invalid(path, timeZone, "timeZone must be nil or non-empty string")];
  const unknown = invalid(path, timeZone, `unknown time zone ${timeZone}`);
  const isPart = (part: string) => part !== "." && part !== ".." && /^[A-Za-z._0-9+][A-Za-z._0-9+-]{0,13}$/.test(part);
  if (!timeZone.split("/").every(isPart)) return [unknown];
  const detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
  const errors = timeZone.toLowerCase() === "local" ? [invalid(path, timeZone, detail)] : [];
  return timeZone === "Local" || isTimeZone(timeZone) ? errors : [...errors, unknown];
}

/** Names are files' names, and so their case matters. */
function isTimeZone(timeZone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone });
  } catch {
    return false;
  }
  const lower = timeZone.toLowerCase();
  const known = Intl.supportedValuesOf("timeZone").find((one) => one.toLowerCase() === lower);
  return known ? known === timeZone : !/(^|\/)[a-z]/.test(timeZone);
}
