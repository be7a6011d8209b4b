/** What a Deployment says of itself: counts, and the conditions Available, Progressing and ReplicaFailure. Pure. */
import type { DeploymentCondition, DeploymentStatus } from "../../../api/apps/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";
import { rfc3339 } from "../../../base/clock.ts";
import { desiredReplicas, type ReadDeployment, type Rollout, surgeAndUnavailable, totalSize } from "./plan-rollout.ts";

type Conditions = readonly DeepReadonly<DeploymentCondition>[];
type ReadStatus = DeepReadonly<DeploymentStatus>;

export const newReplicaSetAvailable = "NewReplicaSetAvailable";
export const progressDeadlineExceeded = "ProgressDeadlineExceeded";

export function conditionOf(
  status: ReadStatus | undefined,
  type: string,
): DeepReadonly<DeploymentCondition> | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

/** Sets a condition. One of the same status and reason stays as it is; the transition time moves only with the status. */
export function withCondition(
  conditions: Conditions,
  condition: { type: string; status: string; reason: string; message: string },
  nowMs: number,
): Conditions {
  const present = conditions.find(({ type }) => type === condition.type);
  if (present?.status === condition.status && present.reason === condition.reason) return conditions;
  const now = rfc3339(nowMs);
  const lastTransitionTime = present?.status === condition.status ? (present.lastTransitionTime ?? now) : now;
  return [...without(conditions, condition.type), { ...condition, lastUpdateTime: now, lastTransitionTime }];
}

function without(conditions: Conditions, type: string): Conditions {
  return conditions.filter((condition) => condition.type !== type);
}

/** Counts and availability; Progressing is not touched. */
export function rolloutCounts({ deployment, newReplicaSet, oldReplicaSets }: Rollout, nowMs: number): ReadStatus {
  const all = newReplicaSet ? [...oldReplicaSets, newReplicaSet] : oldReplicaSets;
  const sum = (count: (status: NonNullable<(typeof all)[number]["status"]>) => number | undefined) =>
    all.reduce((total, replicaSet) => total + ((replicaSet.status && count(replicaSet.status)) ?? 0), 0);
  const availableReplicas = sum((status) => status.availableReplicas);
  const isAvailable = availableReplicas >= desiredReplicas(deployment) - surgeAndUnavailable(deployment).maxUnavailable;
  const conditions = withCondition(
    deployment.status?.conditions ?? [],
    isAvailable
      ? {
          type: "Available",
          status: "True",
          reason: "MinimumReplicasAvailable",
          message: "Deployment has minimum availability.",
        }
      : {
          type: "Available",
          status: "False",
          reason: "MinimumReplicasUnavailable",
          message: "Deployment does not have minimum availability.",
        },
    nowMs,
  );
  const { collisionCount } = deployment.status ?? {};
  return {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas: sum((status) => status.replicas),
    updatedReplicas: newReplicaSet?.status?.replicas ?? 0,
    readyReplicas: sum((status) => status.readyReplicas),
    availableReplicas,
    unavailableReplicas: Math.max(0, totalSize(all) - availableReplicas),
    terminatingReplicas: sum((status) => status.terminatingReplicas),
    ...(collisionCount !== undefined ? { collisionCount } : {}),
    conditions,
  };
}

/** The status during a rollout: counts, progress against the deadline, failures of ReplicaSets. */
export function rolloutStatus(rollout: Rollout, nowMs: number): ReadStatus {
  const { deployment, newReplicaSet, oldReplicaSets } = rollout;
  const status = rolloutCounts(rollout, nowMs);
  let conditions = status.conditions ?? [];
  const progressing = conditionOf(deployment.status, "Progressing");
  if (!hasProgressDeadline(deployment)) conditions = without(conditions, "Progressing");
  else {
    const isSettled = status.replicas === status.updatedReplicas && progressing?.reason === newReplicaSetAvailable;
    const subject = newReplicaSet
      ? `ReplicaSet "${newReplicaSet.metadata.name}"`
      : `Deployment "${deployment.metadata.name}"`;
    if (!isSettled && isComplete(deployment, status)) {
      const message = `${subject} has successfully progressed.`;
      conditions = withCondition(
        conditions,
        { type: "Progressing", status: "True", reason: newReplicaSetAvailable, message },
        nowMs,
      );
    } else if (!isSettled && hasProgressed(deployment.status, status)) {
      // Every step forward starts the deadline anew: the update time moves even when nothing else does.
      const now = rfc3339(nowMs);
      const lastTransitionTime = progressing?.status === "True" ? (progressing.lastTransitionTime ?? now) : now;
      conditions = [
        ...without(conditions, "Progressing"),
        {
          type: "Progressing",
          status: "True",
          reason: "ReplicaSetUpdated",
          message: `${subject} is progressing.`,
          lastUpdateTime: now,
          lastTransitionTime,
        },
      ];
    } else if (!isSettled && isTimedOut(deployment, nowMs)) {
      const message = `${subject} has timed out progressing.`;
      conditions = withCondition(
        conditions,
        { type: "Progressing", status: "False", reason: progressDeadlineExceeded, message },
        nowMs,
      );
    }
  }
  const failure = [...(newReplicaSet ? [newReplicaSet] : []), ...oldReplicaSets]
    .flatMap((replicaSet) => replicaSet.status?.conditions ?? [])
    .find((condition) => condition.type === "ReplicaFailure" && condition.status === "True");
  conditions = failure
    ? withCondition(
        conditions,
        {
          type: "ReplicaFailure",
          status: failure.status,
          reason: failure.reason ?? "",
          message: failure.message ?? "",
        },
        nowMs,
      )
    : without(conditions, "ReplicaFailure");
  return { ...status, conditions };
}

/** Every Pod is of the present template, and all of them are available. */
export function isComplete(deployment: ReadDeployment, status: ReadStatus): boolean {
  const replicas = desiredReplicas(deployment);
  return (
    status.updatedReplicas === replicas &&
    status.replicas === replicas &&
    status.availableReplicas === replicas &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

function hasProgressed(old: ReadStatus | undefined, status: ReadStatus): boolean {
  const outdated = (s: ReadStatus | undefined) => (s?.replicas ?? 0) - (s?.updatedReplicas ?? 0);
  return (
    (status.updatedReplicas ?? 0) > (old?.updatedReplicas ?? 0) ||
    outdated(status) < outdated(old) ||
    (status.readyReplicas ?? 0) > (old?.readyReplicas ?? 0) ||
    (status.availableReplicas ?? 0) > (old?.availableReplicas ?? 0)
  );
}

export function hasProgressDeadline({ spec }: ReadDeployment): boolean {
  return spec.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds < 2 ** 31 - 1;
}

/** When the rollout counts as stuck, unless it progresses. Undefined when nothing is under way. */
export function deadlineMs(deployment: ReadDeployment): number | undefined {
  if (!hasProgressDeadline(deployment)) return undefined;
  const progressing = conditionOf(deployment.status, "Progressing");
  if (!progressing || progressing.reason === newReplicaSetAvailable) return undefined;
  if (progressing.reason === progressDeadlineExceeded) return 0;
  return Date.parse(progressing.lastUpdateTime ?? "") + deployment.spec.progressDeadlineSeconds! * 1000;
}

function isTimedOut(deployment: ReadDeployment, nowMs: number): boolean {
  const deadline = deadlineMs(deployment);
  return deadline !== undefined && deadline < nowMs;
}

/** Paused and resumed Deployments say so; the time spent paused does not count against the deadline. */
export function pauseCondition(deployment: ReadDeployment, nowMs: number): Conditions | undefined {
  if (!hasProgressDeadline(deployment)) return undefined;
  const progressing = conditionOf(deployment.status, "Progressing");
  if (progressing?.reason === progressDeadlineExceeded) return undefined;
  const wasPaused = progressing?.reason === "DeploymentPaused";
  const conditions = deployment.status?.conditions ?? [];
  const set = (reason: string, message: string) =>
    withCondition(conditions, { type: "Progressing", status: "Unknown", reason, message }, nowMs);
  if (deployment.spec.paused && !wasPaused) return set("DeploymentPaused", "Deployment is paused");
  if (!deployment.spec.paused && wasPaused) return set("DeploymentResumed", "Deployment is resumed");
  return undefined;
}
