/** The selector of a Job follows from its uid, so that no two Jobs claim each other's pods. */
import type { Job } from "../../api/batch/v1.ts";
import { type FieldError, invalid, required, spec as specPath } from "../../apimachinery/field-error.ts";
import { matcherOrUndefined } from "../apps/workload.ts";

const uidLabel = "batch.kubernetes.io/controller-uid";

/** Two labels under two names each: the short ones are from before Kubernetes' labels had a domain. */
function generatedLabels({ metadata }: Job): Record<string, string> {
  // A Job that nobody named is about to be refused for it.
  const name = metadata.name ?? "";
  return {
    "controller-uid": metadata.uid,
    "job-name": name,
    [uidLabel]: metadata.uid,
    "batch.kubernetes.io/job-name": name,
  };
}

/** Labels and selector that the user gave stay; validation refuses them when they conflict. */
export function generateSelector(job: Job): void {
  if (job.spec.manualSelector) return;
  const { spec } = job;
  spec.template.metadata ??= {};
  spec.template.metadata.labels = { ...generatedLabels(job), ...spec.template.metadata.labels };
  spec.selector ??= {};
  spec.selector.matchLabels = { [uidLabel]: job.metadata.uid, ...spec.selector.matchLabels };
}

export function validGeneratedSelector(job: Job): FieldError[] {
  const { spec } = job;
  if (spec.manualSelector || !spec.selector) return [];
  const errors: FieldError[] = [];
  const labelsPath = specPath.child("template", "metadata", "labels");
  const labels = spec.template.metadata?.labels ?? {};
  for (const [key, value] of Object.entries(generatedLabels(job))) {
    const at = labelsPath.key(key);
    if (labels[key] === undefined) errors.push(required(at, `must be '${value}'`));
    else if (labels[key] !== value) errors.push(invalid(at, labels, `must be '${value}'`));
  }
  if (matcherOrUndefined(spec.selector)?.matches(generatedLabels(job)) === false) {
    errors.push(invalid(specPath.child("selector"), spec.selector, "`selector` not auto-generated"));
  }
  return errors;
}
