/** Jobs: pods that run until enough of them have succeeded. */
import type { Job } from "../../api/batch/v1.ts";
import { spec as specPath } from "../../apimachinery/field-error.ts";
import { humanDuration } from "../../apimachinery/human-duration.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { formatLabelSelector } from "../../apimachinery/selectors.ts";
import { bumpGenerationOnSpecChange, namingWorkloadWarnings } from "../apps/workload.ts";
import { defaultPodTemplate } from "../core/pod-spec/template.ts";
import { age, containerImages, containerNames, name, text, wide } from "../printing/columns.ts";
import { served } from "../served.ts";
import { validateJobStatus } from "./job-status-validation.ts";
import { generateSelector, validateJob } from "./job-validation.ts";
import { jobSpecWarnings } from "./job-warnings.ts";

const unlimited = 2 ** 31 - 1;

export const jobs = defineResource<Job>({
  ...served("batch/v1", "jobs"),
  metadataLooks: { update: ["whole", "change"] },
  defaultPropagation: "Orphan",
  defaults({ metadata, spec }) {
    if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
    spec.parallelism ??= 1;
    spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : unlimited;
    const labels = spec.template?.metadata?.labels;
    if (labels && Object.keys(labels).length > 0 && Object.keys(metadata.labels ?? {}).length === 0) {
      metadata.labels = { ...labels };
    }
    spec.completionMode ??= "NonIndexed";
    spec.suspend ??= false;
    spec.manualSelector ??= false;
    for (const rule of spec.podFailurePolicy?.rules ?? []) {
      for (const condition of rule.onPodConditions ?? []) condition.status ||= "True";
    }
    spec.podReplacementPolicy ??= spec.podFailurePolicy ? "Failed" : "TerminatingOrFailed";
    defaultPodTemplate(spec.template);
  },
  beforeCreate(job) {
    generateSelector(job);
    if (Object.keys(job.metadata.labels ?? {}).length === 0) {
      job.metadata.labels = { ...job.spec.template.metadata?.labels };
    }
    job.metadata.generation = 1;
    job.status = {};
  },
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: validateJob,
  validateStatus: validateJobStatus,
  warnings: (next, previous) => namingWorkloadWarnings(next, previous, () => jobSpecWarnings(next.spec, specPath)),
  fieldSelectors: { "status.successful": ({ status }) => String(status?.succeeded ?? 0) },
  columns: [
    name,
    text("Status", statusText),
    text("Completions", completionsText),
    text("Duration", durationText),
    age,
    containerNames(({ spec }) => spec.template.spec?.containers),
    containerImages(({ spec }) => spec.template.spec?.containers),
    wide(text("Selector", ({ spec }) => formatLabelSelector(spec.selector))),
  ],
});

function statusText({ metadata, status }: Job): string {
  const has = (type: string) => status?.conditions?.some((c) => c.type === type && c.status === "True");
  if (has("Complete")) return "Complete";
  if (has("Failed")) return "Failed";
  if (metadata.deletionTimestamp) return "Terminating";
  for (const type of ["Suspended", "FailureTarget", "SuccessCriteriaMet"]) if (has(type)) return type;
  return "Running";
}

function completionsText({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec.completions !== undefined) return `${succeeded}/${spec.completions}`;
  const parallelism = spec.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function durationText({ status }: Job, now: number): string {
  if (!status?.startTime) return "";
  const end = status.completionTime ? Date.parse(status.completionTime) : now;
  return humanDuration(end - Date.parse(status.startTime));
}
