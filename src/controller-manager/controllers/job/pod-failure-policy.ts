/** What a Job's podFailurePolicy says of a failed Pod. */
import type { Job, PodFailurePolicyRule } from "../../../api/batch/v1.ts";
import type { Pod } from "../../../api/core/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";

export type FailureVerdict = { action: "Count" | "Ignore" | "FailIndex" } | { action: "FailJob"; message: string };

/** The first rule that matches decides; without one the failure counts. */
export function judgeFailure(job: DeepReadonly<Job>, pod: DeepReadonly<Pod>): FailureVerdict {
  for (const [i, rule] of (job.spec.podFailurePolicy?.rules ?? []).entries()) {
    const why = matchExitCodes(rule, pod) ?? matchConditions(rule, pod);
    if (!why) continue;
    switch (rule.action) {
      case "FailJob":
        return { action: "FailJob", message: `${why} matching FailJob rule at index ${i}` };
      case "Ignore":
        return { action: "Ignore" };
      case "FailIndex":
        return { action: "FailIndex" };
      default:
        return { action: "Count" };
    }
  }
  return { action: "Count" };
}

function matchExitCodes(
  { onExitCodes }: DeepReadonly<PodFailurePolicyRule>,
  pod: DeepReadonly<Pod>,
): string | undefined {
  if (!onExitCodes) return undefined;
  const { containerName, operator, values } = onExitCodes;
  const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  for (const { name, state } of statuses) {
    const exitCode = state?.terminated?.exitCode;
    if (!exitCode || (containerName && containerName !== name)) continue;
    if (values.includes(exitCode) !== (operator === "In")) continue;
    const { namespace, name: podName } = pod.metadata;
    return `Container ${name} for pod ${namespace}/${podName} failed with exit code ${exitCode}`;
  }
  return undefined;
}

function matchConditions(
  { onPodConditions }: DeepReadonly<PodFailurePolicyRule>,
  pod: DeepReadonly<Pod>,
): string | undefined {
  for (const { type, status = "True" } of onPodConditions ?? []) {
    if (!pod.status?.conditions?.some((condition) => condition.type === type && condition.status === status)) continue;
    return `Pod ${pod.metadata.namespace}/${pod.metadata.name} has condition ${type}`;
  }
  return undefined;
}
