/** The selector of a Job follows from its uid, so that no two Jobs claim each other's pods. */
import type { Job } from "../../api/batch/v1.ts";
import { type FieldError, invalid, required, spec as specPath } from "../../apimachinery/field-error.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";

const uidLabel = "batch.kubernetes.io/controller-uid";

/** Two labels under two names each: the short ones are from before Kubernetes' labels had a domain. */
function generatedLabels({ metadata }: Job): Record<string, string> {
  // A Job that nobody named is about to be refused for it.
  const name = metadata.name ?? "";
  return {
    [uidLabel]: metadata.uid,
    "batch.kubernetes.io/job-name": name,
    "controller-uid": metadata.uid,
    "job-name": name,
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
    if (labels[key] === undefined) errors.push(required(labelsPath, `must be '${value}'`));
    else if (labels[key] !== value) errors.push(invalid(labelsPath, labels, `must be '${value}'`));
  }
  if (!semanticallyEqual(spec.selector, { matchLabels: { [uidLabel]: job.metadata.uid } })) {
    errors.push(invalid(specPath.child("selector"), spec.selector, "`selector` not auto-generated"));
  }
  return errors;
}
