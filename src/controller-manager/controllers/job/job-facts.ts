/** What is asked of Jobs and their Pods: finished, which index, which indexes are done. */
import type { Job, JobCondition } from "../../../api/batch/v1.ts";
import type { Pod } from "../../../api/core/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";

export const completionIndexAnnotation = "batch.kubernetes.io/job-completion-index";
export const trackingFinalizer = "batch.kubernetes.io/job-tracking";

export function jobCondition({ status }: DeepReadonly<Job>, type: string): DeepReadonly<JobCondition> | undefined {
  return status?.conditions?.find((condition) => condition.type === type && condition.status === "True");
}

export function finishedCondition(job: DeepReadonly<Job>): DeepReadonly<JobCondition> | undefined {
  return jobCondition(job, "Complete") ?? jobCondition(job, "Failed");
}

export function isIndexed({ spec }: DeepReadonly<Job>): boolean {
  return spec.completionMode === "Indexed";
}

/** The index a Pod works on; undefined when it has none that is valid. */
export function indexOf(pod: DeepReadonly<Pod>): number | undefined {
  const text = pod.metadata.annotations?.[completionIndexAnnotation];
  return text !== undefined && /^(0|[1-9][0-9]*)$/.test(text) ? Number(text) : undefined;
}

/** `1,3-5,7` as a set. Malformed parts are left out. */
export function parseIndexes(text: string | undefined): Set<number> {
  const indexes = new Set<number>();
  for (const part of (text ?? "").split(",")) {
    const match = /^([0-9]+)(?:-([0-9]+))?$/.exec(part);
    if (!match) continue;
    for (let i = Number(match[1]); i <= Number(match[2] ?? match[1]); i++) indexes.add(i);
  }
  return indexes;
}

/** The reverse: runs of three and more are joined by a dash, two by a comma or dash as upstream does (`1-2` is `1,2`). */
export function formatIndexes(indexes: Iterable<number>): string {
  const sorted = [...indexes].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length; ) {
    let end = i;
    while (end + 1 < sorted.length && sorted[end + 1] === sorted[end]! + 1) end++;
    if (end - i >= 2) parts.push(`${sorted[i]}-${sorted[end]}`);
    else for (let j = i; j <= end; j++) parts.push(String(sorted[j]));
    i = end + 1;
  }
  return parts.join(",");
}
