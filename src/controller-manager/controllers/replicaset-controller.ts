/** Keeps as many Pods alive as each ReplicaSet asks for. The same work serves ReplicationControllers. */
import type { ReplicaSet, ReplicaSetCondition, ReplicaSetStatus } from "../../api/apps/v1.ts";
import type { Pod, PodTemplateSpec } from "../../api/core/v1.ts";
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";
import { Pods, ReplicaSets } from "../../api/resources.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { rfc3339 } from "../../base/clock.ts";
import type { ReadCache } from "../../controller-runtime/cache.ts";
import { type CompiledSelector, selectorOf } from "../../controller-runtime/compiled-selector.ts";
import {
  defineController,
  type Reconcile,
  type ReconcileResult,
  statusOf,
} from "../../controller-runtime/controller.ts";
import { isNamespaceTerminating } from "../../controller-runtime/namespace-terminating.ts";
import { owned } from "../../controller-runtime/wakes.ts";
import { adoptable, claim, controllerReferenceOf, controllerReferenceTo, orphansOf } from "../ownership.ts";
import { createPod, deletePod, messageOf, podFromTemplate } from "../pod-control.ts";
import { inDeletionOrder } from "../pod-deletion-order.ts";
import { availableInMs, isPodActive, isPodReady, isPodTerminal, untilNextAvailable } from "../pod-facts.ts";
import { isSameStatus } from "../same-status.ts";
import { slowStart } from "../slow-start.ts";

/** As many writes as one look may cause; what remains follows at the next. */
const burstReplicas = 500;

export const replicaSetController = defineController<ReplicaSet>({
  name: "replicaset-controller",
  reconciles: ReplicaSets,
  wakesOn: [owned(Pods), adoptable(Pods, ReplicaSets, (replicaSet) => selectorOf(replicaSet.spec.selector))],
  indexes: [orphansOf(Pods)],
  writes: [Pods, statusOf(ReplicaSets)],
  concurrency: 16,
  async reconcile(context) {
    const replicaSet = context.cache.get(ReplicaSets, context.key);
    if (!replicaSet) return; // Deleted; the garbage collector removes its Pods.
    return await reconcileReplicas(context, {
      owner: replicaSet,
      owners: ReplicaSets,
      selector: selectorOf(replicaSet.spec.selector),
      replicas: replicaSet.spec.replicas ?? 1,
      minReadySeconds: replicaSet.spec.minReadySeconds ?? 0,
      template: replicaSet.spec.template,
      status: replicaSet.status,
      related: (pods) => relatedPods(context.cache, replicaSet, pods),
      writeStatus: async (status) => {
        await context.api.updateStatus(ReplicaSets, { ...replicaSet, status });
      },
    });
  },
});

/** What reconcileReplicas must know of a ReplicaSet or a ReplicationController. */
export interface ReplicaOwner {
  owner: DeepReadonly<KubeObject>;
  owners: Resource;
  selector: CompiledSelector;
  replicas: number;
  minReadySeconds: number;
  template: DeepReadonly<PodTemplateSpec> | undefined;
  status: DeepReadonly<ReplicaSetStatus> | undefined;
  /** The Pods whose crowding on nodes counts when some must go. */
  related(own: readonly DeepReadonly<Pod>[]): readonly DeepReadonly<Pod>[];
  writeStatus(status: DeepReadonly<ReplicaSetStatus>): Promise<void>;
}

export async function reconcileReplicas(context: Reconcile, replicaOwner: ReplicaOwner): Promise<ReconcileResult> {
  const { clock } = context;
  const { owner, owners, selector, minReadySeconds } = replicaOwner;
  const pods = await claim(context, owner, owners, Pods, selector);
  const active = pods.filter(isPodActive);

  let failure: { reason: string; error: unknown } | undefined;
  if (!owner.metadata.deletionTimestamp) {
    const plan = planReplicas(replicaOwner.replicas, active, replicaOwner.related, clock.now());
    failure = await carryOut(context, replicaOwner, plan);
  }

  // Read again: our own writes are in the cache by now, and perhaps others' too.
  const present = context.cache.ownedBy(Pods, owner).filter((pod) => selector.matches(pod.metadata.labels));
  const nowMs = clock.now();
  const status = replicaStatus(replicaOwner, present, failure, nowMs);
  if (!isSameStatus(status, replicaOwner.status)) {
    try {
      await replicaOwner.writeStatus(status);
    } catch (error) {
      if (isNotFound(error)) return;
      throw error;
    }
  }
  if (failure) throw failure.error;

  return untilNextAvailable(present, minReadySeconds, nowMs);
}

export interface ReplicaPlan {
  create: number;
  delete: readonly DeepReadonly<Pod>[];
}

/** How many Pods to create, or which to delete. `active` are the owner's Pods that neither finished nor are being deleted. */
export function planReplicas(
  replicas: number,
  active: readonly DeepReadonly<Pod>[],
  related: (own: readonly DeepReadonly<Pod>[]) => readonly DeepReadonly<Pod>[],
  nowMs: number,
): ReplicaPlan {
  const excess = active.length - replicas;
  if (excess <= 0) return { create: Math.min(-excess, burstReplicas), delete: [] };
  const count = Math.min(excess, burstReplicas);
  // When all of them go, their order does not matter.
  if (count === active.length) return { create: 0, delete: active };
  const perNode = new Map<string, number>();
  for (const { spec } of related(active).filter(isPodActive)) {
    if (spec.nodeName) perNode.set(spec.nodeName, (perNode.get(spec.nodeName) ?? 0) + 1);
  }
  const ranked = active.map((pod) => ({ pod, rank: perNode.get(pod.spec.nodeName ?? "") ?? 0 }));
  return { create: 0, delete: inDeletionOrder(ranked, nowMs).slice(0, count) };
}

async function carryOut(
  context: Reconcile,
  { owner, owners, template, status }: ReplicaOwner,
  plan: ReplicaPlan,
): Promise<{ reason: string; error: unknown } | undefined> {
  if (plan.create > 0 && template) {
    const namespace = (owner.metadata as { namespace?: string }).namespace ?? "";
    const pod = podFromTemplate(template, `${owner.metadata.name}-`, namespace, controllerReferenceTo(owners, owner));
    const hasFailed = status?.conditions?.some(({ type }) => type === "ReplicaFailure");
    const create = async () => void (await createPod(context, pod, owner));
    const { error } = await slowStart(plan.create, create, hasFailed ? { firstBatch: 1 } : {});
    if (error && !isNamespaceTerminating(error)) return { reason: "FailedCreate", error };
  }
  const results = await Promise.allSettled(plan.delete.map((pod) => deletePod(context, pod, owner)));
  const failed = results.find((result) => result.status === "rejected");
  return failed ? { reason: "FailedDelete", error: failed.reason } : undefined;
}

function replicaStatus(
  { owner, owners, template, minReadySeconds, status: old }: ReplicaOwner,
  pods: readonly DeepReadonly<Pod>[],
  failure: { reason: string; error: unknown } | undefined,
  nowMs: number,
): DeepReadonly<ReplicaSetStatus> {
  const active = pods.filter(isPodActive);
  const ready = active.filter(isPodReady);
  const templateLabels = Object.entries(template?.metadata?.labels ?? {});
  return {
    replicas: active.length,
    fullyLabeledReplicas: active.filter(({ metadata }) => templateLabels.every(([k, v]) => metadata.labels?.[k] === v))
      .length,
    readyReplicas: ready.length,
    availableReplicas: ready.filter((pod) => availableInMs(pod, minReadySeconds, nowMs) === 0).length,
    // ReplicationControllers have no such count.
    ...(owners.kind === "ReplicaSet"
      ? { terminatingReplicas: pods.filter((pod) => pod.metadata.deletionTimestamp && !isPodTerminal(pod)).length }
      : {}),
    observedGeneration: Math.max(old?.observedGeneration ?? 0, owner.metadata.generation ?? 0),
    conditions: conditions(old?.conditions, failure, nowMs),
  };
}

/** ReplicaFailure is there while Pods cannot be created or deleted, and gone as soon as they can. */
function conditions(
  old: DeepReadonly<ReplicaSetCondition[]> | undefined,
  failure: { reason: string; error: unknown } | undefined,
  nowMs: number,
): DeepReadonly<ReplicaSetCondition[]> | undefined {
  const others = old?.filter((condition) => condition.type !== "ReplicaFailure") ?? [];
  if (!failure) return others.length > 0 ? others : undefined;
  const present = old?.find((condition) => condition.type === "ReplicaFailure");
  if (present && present.reason === failure.reason) return old;
  return [
    ...others,
    {
      type: "ReplicaFailure",
      status: "True",
      reason: failure.reason,
      message: messageOf(failure.error),
      lastTransitionTime: rfc3339(nowMs),
    },
  ];
}

/** The Pods of all ReplicaSets of the same Deployment: old ones on a crowded node are the first to go. */
function relatedPods(
  cache: ReadCache,
  replicaSet: DeepReadonly<ReplicaSet>,
  own: readonly DeepReadonly<Pod>[],
): readonly DeepReadonly<Pod>[] {
  const deployment = controllerReferenceOf(replicaSet);
  if (!deployment) return own;
  const siblings = cache.ownedBy(ReplicaSets, { metadata: { uid: deployment.uid } });
  return siblings.length <= 1 ? own : siblings.flatMap((sibling) => cache.ownedBy(Pods, sibling));
}
