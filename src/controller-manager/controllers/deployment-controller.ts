/** Rolls each Deployment's Pods over to its present template, by growing and shrinking ReplicaSets. */
import type { Deployment, DeploymentStatus } from "../../api/apps/v1.ts";
import type { Pod } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Deployments, Pods, ReplicaSets } from "../../api/resources.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { refOf } from "../../client/client.ts";
import { objectKey, type ReadCache } from "../../controller-runtime/cache.ts";
import { selectorOf } from "../../controller-runtime/compiled-selector.ts";
import {
  defineController,
  type Reconcile,
  type ReconcileResult,
  statusOf,
  wake,
} from "../../controller-runtime/controller.ts";
import { owned } from "../../controller-runtime/wakes.ts";
import { adoptable, claim, controllerReferenceOf, orphansOf } from "../ownership.ts";
import { isPodTerminal } from "../pod-facts.ts";
import { isSameStatus } from "../same-status.ts";
import { isEmptySelector } from "../selectors.ts";
import {
  deadlineMs,
  isComplete,
  pauseCondition,
  rolloutCounts,
  rolloutStatus,
} from "./deployment/deployment-status.ts";
import { findNewReplicaSet, scaledMessage, syncNewReplicaSet } from "./deployment/new-replica-set.ts";
import {
  activeOf,
  isRollingUpdate,
  isScalingEvent,
  maximumReplicas,
  planHistoryCleanup,
  planNewReplicaSet,
  planOldReplicaSets,
  planScaling,
  type ReadDeployment,
  type ReadReplicaSet,
  type Resize,
  type Rollout,
  sizeOf,
} from "./deployment/plan-rollout.ts";
import { sizeAnnotations } from "./deployment/revisions.ts";

export const deploymentController = defineController<Deployment>({
  name: "deployment-controller",
  reconciles: Deployments,
  wakesOn: [
    owned(ReplicaSets),
    adoptable(ReplicaSets, Deployments, (deployment) => selectorOf(deployment.spec.selector)),
    // Recreate waits for the last old Pod to be gone; everything else shows in the status of a ReplicaSet.
    wake<Pod>({
      resource: Pods,
      when: ({ type, object }) => type === "DELETED" || isPodTerminal(object),
      *keys(pod, cache) {
        const replicaSet = controllerReferenceOf(pod);
        if (replicaSet?.kind !== "ReplicaSet") return;
        const { namespace } = pod.metadata;
        const owner = cache.get(ReplicaSets, objectKey(replicaSet.name, namespace));
        const deployment = owner && controllerReferenceOf(owner);
        if (deployment?.kind === "Deployment") yield objectKey(deployment.name, namespace);
      },
    }),
  ],
  indexes: [orphansOf(ReplicaSets)],
  writes: [ReplicaSets, statusOf(Deployments)],
  concurrency: 16,
  async reconcile(context) {
    const deployment = context.cache.get(Deployments, context.key);
    if (!deployment) return; // Deleted; the garbage collector removes its ReplicaSets.
    if (isEmptySelector(deployment.spec.selector)) {
      const message = "This deployment is selecting all pods. A non-empty selector is required.";
      context.events.event(deployment, "Warning", "SelectingAll", message);
      if ((deployment.status?.observedGeneration ?? 0) < (deployment.metadata.generation ?? 0)) {
        const status = { ...deployment.status, observedGeneration: deployment.metadata.generation ?? 0 };
        await writeStatus(context, deployment, status);
      }
      return;
    }
    const selector = selectorOf(deployment.spec.selector);
    const replicaSets = await claim(context, deployment, Deployments, ReplicaSets, selector);
    return await reconcileRollout(context, rolloutOf(deployment, replicaSets));
  },
});

function rolloutOf(deployment: ReadDeployment, replicaSets: readonly ReadReplicaSet[]): Rollout {
  const newReplicaSet = findNewReplicaSet(deployment, replicaSets);
  return {
    deployment,
    newReplicaSet,
    oldReplicaSets: replicaSets.filter((replicaSet) => replicaSet !== newReplicaSet),
  };
}

async function reconcileRollout(context: Reconcile, found: Rollout): Promise<ReconcileResult> {
  const { clock } = context;
  if (found.deployment.metadata.deletionTimestamp) {
    await writeStatus(context, found.deployment, rolloutCounts(found, clock.now()));
    return;
  }
  const conditions = pauseCondition(found.deployment, clock.now());
  if (conditions) {
    const deployment = await writeStatus(context, found.deployment, { ...found.deployment.status, conditions });
    if (!deployment) return;
    found = { ...found, deployment };
  }

  const stored = found.deployment.status;
  // Revisions are kept while paused too, but nothing new is created then, nor while the Deployment is being scaled.
  // Recreate knows no shares: it goes to the new size by ending what is old, also in the middle of what was a rolling update.
  const isRolling = isRollingUpdate(found.deployment);
  const isScaled = isRolling && isScalingEvent(found);
  const mayCreate = !found.deployment.spec.paused && !isScaled && (isRolling || !hasOldPods(context.cache, found));
  const rollout = await syncNewReplicaSet(context, found, mayCreate);
  if (!rollout) return;

  if (rollout.deployment.spec.paused || isScaled) {
    const resized = await resize(context, rollout, planScaling(rollout));
    if (rollout.deployment.spec.paused) await cleanUp(context, resized);
    await writeStatus(context, resized.deployment, rolloutCounts(resized, clock.now()), stored);
    return;
  }

  let resized: Rollout;
  if (isRolling) {
    const grow = planNewReplicaSet(rollout);
    // One step at a time: the next is decided when this one is seen, which is at once.
    resized = await resize(context, rollout, grow ? [grow] : planOldReplicaSets(rollout));
  } else resized = await recreate(context, rollout);
  const status = rolloutStatus(resized, clock.now());
  if (isComplete(resized.deployment, status)) await cleanUp(context, resized);
  const deployment = await writeStatus(context, resized.deployment, status, stored);
  if (!deployment) return;
  const deadline = deadlineMs(deployment);
  // Whole seconds are written: look just after the deadline's second has passed.
  if (deadline !== undefined && deadline > 0) return { afterMs: Math.max(1000, deadline - clock.now() + 1000) };
}

/** No new Pod before the last old one is gone. */
async function recreate(context: Reconcile, rollout: Rollout): Promise<Rollout> {
  const shrink = activeOf(rollout.oldReplicaSets).map((replicaSet) => ({ replicaSet, replicas: 0 }));
  if (shrink.length > 0) return await resize(context, rollout, shrink);
  const { newReplicaSet } = rollout;
  if (!newReplicaSet || hasOldPods(context.cache, rollout)) return rollout;
  const replicas = rollout.deployment.spec.replicas ?? 1;
  return sizeOf(newReplicaSet) === replicas
    ? rollout
    : await resize(context, rollout, [{ replicaSet: newReplicaSet, replicas }]);
}

function hasOldPods(cache: ReadCache, { oldReplicaSets }: Rollout): boolean {
  return oldReplicaSets.some(
    (replicaSet) => sizeOf(replicaSet) > 0 || cache.ownedBy(Pods, replicaSet).some((pod) => !isPodTerminal(pod)),
  );
}

/** Writes sizes, with the annotations that say for which size of the Deployment they were computed. */
async function resize(context: Reconcile, rollout: Rollout, plan: readonly Resize[]): Promise<Rollout> {
  const { deployment } = rollout;
  const annotations = sizeAnnotations(deployment, maximumReplicas(deployment));
  const replaced = new Map<ReadReplicaSet, ReadReplicaSet>();
  await Promise.all(
    plan.map(async ({ replicaSet, replicas }) => {
      const size = sizeOf(replicaSet);
      const merged = { ...replicaSet.metadata.annotations, ...annotations };
      if (size === replicas && semanticEqual(merged, replicaSet.metadata.annotations)) return;
      const updated = await context.api.update(ReplicaSets, {
        ...replicaSet,
        metadata: { ...replicaSet.metadata, annotations: merged },
        spec: { ...replicaSet.spec, replicas },
      });
      replaced.set(replicaSet, updated);
      if (size !== replicas) {
        context.events.event(deployment, "Normal", "ScalingReplicaSet", scaledMessage(replicaSet, size, replicas));
      }
    }),
  );
  if (replaced.size === 0) return rollout;
  const current = (replicaSet: ReadReplicaSet) => replaced.get(replicaSet) ?? replicaSet;
  return {
    deployment,
    newReplicaSet: rollout.newReplicaSet && current(rollout.newReplicaSet),
    oldReplicaSets: rollout.oldReplicaSets.map(current),
  };
}

async function cleanUp({ api }: Reconcile, { deployment, oldReplicaSets }: Rollout): Promise<void> {
  for (const replicaSet of planHistoryCleanup(deployment, oldReplicaSets)) {
    try {
      await api.delete(ReplicaSets, refOf(replicaSet), { preconditions: { uid: replicaSet.metadata.uid } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

/** The Deployment with its new status; undefined when it is gone. Writes only what changed. */
async function writeStatus(
  { api }: Reconcile,
  deployment: ReadDeployment,
  status: DeepReadonly<DeploymentStatus>,
  stored: DeepReadonly<DeploymentStatus> | undefined = deployment.status,
): Promise<ReadDeployment | undefined> {
  if (isSameStatus(status, stored)) return deployment;
  try {
    return await api.updateStatus(Deployments, { ...deployment, status });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
