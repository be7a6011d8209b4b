/** How large each ReplicaSet of a Deployment should be now. Pure: the same inputs give the same sizes. */
import type { Deployment, ReplicaSet } from "../../../api/apps/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";
import { scaledValue } from "../../int-or-percent.ts";
import { compareRevisions, countAnnotation, desiredReplicasAnnotation, maxReplicasAnnotation } from "./revisions.ts";

export type ReadDeployment = DeepReadonly<Deployment>;
export type ReadReplicaSet = DeepReadonly<ReplicaSet>;

export interface Resize {
  replicaSet: ReadReplicaSet;
  replicas: number;
}

/** A Deployment's ReplicaSets: the one with the present template, if it exists, and the others, oldest first. */
export interface Rollout {
  deployment: ReadDeployment;
  newReplicaSet: ReadReplicaSet | undefined;
  oldReplicaSets: readonly ReadReplicaSet[];
}

export function desiredReplicas(deployment: ReadDeployment): number {
  return deployment.spec.replicas ?? 1;
}

export function sizeOf(replicaSet: ReadReplicaSet): number {
  return replicaSet.spec.replicas ?? 1;
}

export function totalSize(replicaSets: readonly ReadReplicaSet[]): number {
  return replicaSets.reduce((sum, replicaSet) => sum + sizeOf(replicaSet), 0);
}

export function isRollingUpdate(deployment: ReadDeployment): boolean {
  return deployment.spec.strategy?.type !== "Recreate";
}

/** maxSurge rounds up, maxUnavailable down; both 0 would allow nothing, so one Pod may then be missing. */
export function surgeAndUnavailable(deployment: ReadDeployment): { maxSurge: number; maxUnavailable: number } {
  if (!isRollingUpdate(deployment)) return { maxSurge: 0, maxUnavailable: 0 };
  const replicas = desiredReplicas(deployment);
  const { maxSurge: surge = "25%", maxUnavailable: unavailable = "25%" } =
    deployment.spec.strategy?.rollingUpdate ?? {};
  const maxSurge = scaledValue(surge, replicas, "up");
  const maxUnavailable = scaledValue(unavailable, replicas, "down");
  if (maxSurge === 0 && maxUnavailable === 0) return { maxSurge, maxUnavailable: 1 };
  return { maxSurge, maxUnavailable: Math.min(maxUnavailable, replicas) };
}

/** The most Pods that may exist at once. */
export function maximumReplicas(deployment: ReadDeployment): number {
  const replicas = desiredReplicas(deployment);
  return replicas === 0 ? 0 : replicas + surgeAndUnavailable(deployment).maxSurge;
}

/** The size the new ReplicaSet may grow to now. `existingSize` is its present size, 0 before it exists. */
export function newReplicaSetSize(
  deployment: ReadDeployment,
  all: readonly ReadReplicaSet[],
  existingSize: number,
): number {
  const replicas = desiredReplicas(deployment);
  if (!isRollingUpdate(deployment)) return replicas;
  const room = replicas + surgeAndUnavailable(deployment).maxSurge - totalSize(all);
  if (room <= 0) return existingSize;
  return existingSize + Math.min(room, replicas - existingSize);
}

/** The first step of a rolling update: the new ReplicaSet's size. Undefined when it is right already. */
export function planNewReplicaSet({ deployment, newReplicaSet, oldReplicaSets }: Rollout): Resize | undefined {
  if (!newReplicaSet) return undefined;
  const size = sizeOf(newReplicaSet);
  const replicas = desiredReplicas(deployment);
  const target = size > replicas ? replicas : newReplicaSetSize(deployment, [...oldReplicaSets, newReplicaSet], size);
  return target === size ? undefined : { replicaSet: newReplicaSet, replicas: target };
}

/** The second step: old ReplicaSets shrink as far as availability allows, Pods that are not available first. */
export function planOldReplicaSets({ deployment, newReplicaSet, oldReplicaSets }: Rollout): Resize[] {
  const old = byCreation(oldReplicaSets);
  if (totalSize(old) === 0) return [];
  const all = newReplicaSet ? [...old, newReplicaSet] : old;
  const minAvailable = desiredReplicas(deployment) - surgeAndUnavailable(deployment).maxUnavailable;
  const newUnavailable = newReplicaSet ? sizeOf(newReplicaSet) - availableOf(newReplicaSet) : 0;
  const maxScaledDown = totalSize(all) - minAvailable - newUnavailable;
  if (maxScaledDown <= 0) return [];

  const sizes = new Map(old.map((replicaSet) => [replicaSet, sizeOf(replicaSet)]));
  let unhealthyLeft = maxScaledDown;
  for (const replicaSet of old) {
    const cut = Math.min(unhealthyLeft, Math.max(0, sizeOf(replicaSet) - availableOf(replicaSet)));
    sizes.set(replicaSet, sizeOf(replicaSet) - cut);
    unhealthyLeft -= cut;
  }
  let spare = all.reduce((sum, replicaSet) => sum + availableOf(replicaSet), 0) - minAvailable;
  for (const replicaSet of old) {
    if (spare <= 0) break;
    const size = sizes.get(replicaSet)!;
    const cut = Math.min(size, spare);
    sizes.set(replicaSet, size - cut);
    spare -= cut;
  }
  return old
    .map((replicaSet) => ({ replicaSet, replicas: sizes.get(replicaSet)! }))
    .filter(({ replicaSet, replicas }) => replicas !== sizeOf(replicaSet));
}

/** The Deployment's size changed since its ReplicaSets were last scaled. */
export function isScalingEvent({ deployment, newReplicaSet, oldReplicaSets }: Rollout): boolean {
  return activeOf([...oldReplicaSets, ...(newReplicaSet ? [newReplicaSet] : [])]).some((replicaSet) => {
    const desired = countAnnotation(replicaSet, desiredReplicasAnnotation);
    return desired !== undefined && desired !== desiredReplicas(deployment);
  });
}

/**
 * Sizes after the Deployment itself was scaled, or while it is paused: in the middle of a rollout every ReplicaSet
 * grows or shrinks by its share. Contains ReplicaSets whose size stays, so that their annotations follow.
 */
export function planScaling({ deployment, newReplicaSet, oldReplicaSets }: Rollout): Resize[] {
  const replicas = desiredReplicas(deployment);
  const only = activeOrLatest(newReplicaSet, oldReplicaSets);
  if (only) return [{ replicaSet: only, replicas }];
  if (newReplicaSet && isSaturated(deployment, newReplicaSet)) {
    return activeOf(oldReplicaSets).map((replicaSet) => ({ replicaSet, replicas: 0 }));
  }
  if (!isRollingUpdate(deployment)) return [];

  const active = activeOf([...oldReplicaSets, ...(newReplicaSet ? [newReplicaSet] : [])]);
  const toAdd = maximumReplicas(deployment) - totalSize(active);
  const sorted = active.toSorted((a, b) => {
    const bySize = sizeOf(b) - sizeOf(a);
    return bySize || (toAdd > 0 ? compareCreation(b, a) : compareCreation(a, b));
  });
  let added = 0;
  const sizes = sorted.map((replicaSet) => {
    const share = proportion(deployment, replicaSet, toAdd, added);
    added += share;
    return sizeOf(replicaSet) + share;
  });
  // What rounding left over goes to the largest, and what that cannot lose to the next.
  for (let i = 0, left = toAdd - added; i < sizes.length && left !== 0; i++) {
    const size = Math.max(0, sizes[i]! + left);
    left -= size - sizes[i]!;
    sizes[i] = size;
  }
  return sorted.map((replicaSet, i) => ({ replicaSet, replicas: sizes[i]! }));
}

/** A ReplicaSet's share of `toAdd` Pods, of which `added` are given out already. */
export function proportion(
  deployment: ReadDeployment,
  replicaSet: ReadReplicaSet,
  toAdd: number,
  added: number,
): number {
  if (sizeOf(replicaSet) === 0 || toAdd === 0 || toAdd === added) return 0;
  const allowed = toAdd - added;
  const share = fraction(deployment, replicaSet);
  // The annotation may be of another surge than the present one: nobody grows while all shrink.
  return toAdd > 0 ? Math.max(0, Math.min(share, allowed)) : Math.min(0, Math.max(share, allowed));
}

function fraction(deployment: ReadDeployment, replicaSet: ReadReplicaSet): number {
  const size = sizeOf(replicaSet);
  if (desiredReplicas(deployment) === 0) return -size;
  const before = countAnnotation(replicaSet, maxReplicasAnnotation) || (deployment.status?.replicas ?? 0);
  if (before === 0) return 0;
  return Math.round((size * maximumReplicas(deployment)) / before) - size;
}

/** The one ReplicaSet that has Pods; when none has, the newest. Undefined when several have. */
export function activeOrLatest(
  newReplicaSet: ReadReplicaSet | undefined,
  oldReplicaSets: readonly ReadReplicaSet[],
): ReadReplicaSet | undefined {
  const active = activeOf([...oldReplicaSets, ...(newReplicaSet ? [newReplicaSet] : [])]);
  if (active.length > 1) return undefined;
  return active[0] ?? newReplicaSet ?? byCreation(oldReplicaSets).at(-1);
}

function isSaturated(deployment: ReadDeployment, replicaSet: ReadReplicaSet): boolean {
  const replicas = desiredReplicas(deployment);
  return (
    sizeOf(replicaSet) === replicas &&
    countAnnotation(replicaSet, desiredReplicasAnnotation) === replicas &&
    availableOf(replicaSet) === replicas
  );
}

/** Old ReplicaSets beyond the history limit that hold nothing any more, oldest revision first. */
export function planHistoryCleanup(
  deployment: ReadDeployment,
  oldReplicaSets: readonly ReadReplicaSet[],
): ReadReplicaSet[] {
  const limit = deployment.spec.revisionHistoryLimit;
  if (limit === undefined || limit >= 2 ** 31 - 1) return [];
  const alive = oldReplicaSets.filter((replicaSet) => !replicaSet.metadata.deletionTimestamp);
  return alive
    .toSorted((a, b) => compareRevisions(a, b) || compareCreation(a, b))
    .slice(0, Math.max(0, alive.length - limit))
    .filter(
      (replicaSet) =>
        sizeOf(replicaSet) === 0 &&
        (replicaSet.status?.replicas ?? 0) === 0 &&
        (replicaSet.metadata.generation ?? 0) <= (replicaSet.status?.observedGeneration ?? 0),
    );
}

/** Of one that was just told to shrink the status still counts Pods that are about to go: those serve nobody for long. */
export function availableOf(replicaSet: ReadReplicaSet): number {
  return Math.min(replicaSet.status?.availableReplicas ?? 0, sizeOf(replicaSet));
}

export function activeOf(replicaSets: readonly ReadReplicaSet[]): ReadReplicaSet[] {
  return replicaSets.filter((replicaSet) => sizeOf(replicaSet) > 0);
}

export function byCreation(replicaSets: readonly ReadReplicaSet[]): ReadReplicaSet[] {
  return replicaSets.toSorted(compareCreation);
}

function compareCreation(a: ReadReplicaSet, b: ReadReplicaSet): number {
  const [left, right] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  if (left !== right) return left < right ? -1 : 1;
  return a.metadata.name < b.metadata.name ? -1 : 1;
}
