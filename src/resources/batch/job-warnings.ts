/** What works in a Job's spec but is probably not meant. */
import type { JobSpec } from "../../api/batch/v1.ts";
import type { FieldPath } from "../../apimachinery/field-error.ts";
import { templateWarnings } from "../apps/workload.ts";

const manyCompletions = 100_000;
const muchParallelism = 10_000;

export function jobSpecWarnings(spec: JobSpec | undefined, path: FieldPath): string[] {
  if (!spec) return [];
  const warnings = templateWarnings(spec.template, path.child("template"));
  const { completionMode, completions = 0, parallelism = 0 } = spec;
  if (completionMode === "Indexed" && completions > manyCompletions && parallelism > muchParallelism) {
    const size = "a number of completions higher than 10^5 and a parallelism higher than 10^4";
    const detail = "Kubernetes might not be able to track completedIndexes when a big number of indexes fail";
    warnings.unshift(`${path}: In Indexed Jobs with ${size}, ${detail}`);
  }
  return warnings;
}
