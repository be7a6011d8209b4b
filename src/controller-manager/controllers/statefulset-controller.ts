/** Keeps the numbered Pods of each StatefulSet, with their claims, in order. */
import type { ControllerRevision, StatefulSet, StatefulSetStatus } from "../../api/apps/v1.ts";
import type { PersistentVolumeClaim, Pod, PodTemplateSpec } from "../../api/core/v1.ts";
import type { DeepReadonly, New } from "../../api/object.ts";
import { ControllerRevisions, PersistentVolumeClaims, Pods, StatefulSets } from "../../api/resources.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isAlreadyExists, isNotFound } from "../../apimachinery/status-error.ts";
import { refOf } from "../../client/client.ts";
import { objectKey } from "../../controller-runtime/cache.ts";
import { selectorOf } from "../../controller-runtime/compiled-selector.ts";
import {
  defineController,
  type Reconcile,
  type ReconcileResult,
  statusOf,
} from "../../controller-runtime/controller.ts";
import { owned } from "../../controller-runtime/wakes.ts";
import { scaledValue } from "../int-or-percent.ts";
import { adoptable, claim, controllerReferenceTo, orphansOf } from "../ownership.ts";
import { messageOf, podFromTemplate } from "../pod-control.ts";
import { availableInMs, isPodReady, isPodTerminal, untilNextAvailable } from "../pod-facts.ts";
import { type ReadRevision, revisionHashLabel, syncRevision, templateOf, trimRevisions } from "../revisions.ts";
import { isSameStatus } from "../same-status.ts";

export const statefulSetController = defineController<StatefulSet>({
  name: "statefulset-controller",
  reconciles: StatefulSets,
  wakesOn: [owned(Pods), adoptable(Pods, StatefulSets, (statefulSet) => selectorOf(statefulSet.spec.selector))],
  reads: [ControllerRevisions, PersistentVolumeClaims],
  indexes: [orphansOf(Pods), orphansOf(ControllerRevisions)],
  writes: [Pods, PersistentVolumeClaims, ControllerRevisions, statusOf(StatefulSets)],
  async reconcile(context) {
    const statefulSet = context.cache.get(StatefulSets, context.key);
    if (!statefulSet) return;
    return await reconcileStatefulSet(context, statefulSet);
  },
});

type ReadStatefulSet = DeepReadonly<StatefulSet>;
type ReadPod = DeepReadonly<Pod>;

async function reconcileStatefulSet(context: Reconcile, statefulSet: ReadStatefulSet): Promise<ReconcileResult> {
  const { api, cache, clock } = context;
  const { spec, status } = statefulSet;
  const selector = selectorOf(spec.selector);
  const claimed = await claim(context, statefulSet, StatefulSets, Pods, selector);
  const pods = claimed.filter((pod) => ordinalOf(statefulSet, pod) !== undefined);
  if (statefulSet.metadata.deletionTimestamp) return;
  const history = await claim(context, statefulSet, StatefulSets, ControllerRevisions, selector);
  const update = await syncRevision(
    api,
    statefulSet,
    StatefulSets,
    spec.template,
    spec.template.metadata?.labels,
    status?.collisionCount ?? 0,
    history,
    async () => {
      const collisionCount = (status?.collisionCount ?? 0) + 1;
      const next = { ...status, replicas: status?.replicas ?? 0, collisionCount };
      await api.updateStatus(StatefulSets, { ...statefulSet, status: next });
    },
  );
  const current = history.find(({ metadata }) => metadata.name === status?.currentRevision) ?? update;

  const nowMs = clock.now();
  const plan = planStatefulSet(statefulSet, pods, revisionName(update), nowMs);
  for (const ordinal of plan.create) {
    await createPodOf(context, statefulSet, ordinal, revisionFor(statefulSet, ordinal, current, update));
  }
  // A claim that is to go with its Pod must know that before the Pod goes.
  await syncClaims(context, statefulSet);
  for (const pod of plan.delete) await deletePodOf(context, statefulSet, pod);

  const present = cache.ownedBy(Pods, statefulSet).filter((pod) => ordinalOf(statefulSet, pod) !== undefined);
  const next = statefulSetStatus(statefulSet, present, revisionName(current), revisionName(update), nowMs);
  if (!isSameStatus(next, status)) {
    try {
      await api.updateStatus(StatefulSets, { ...statefulSet, status: next });
    } catch (error) {
      if (isNotFound(error)) return;
      throw error;
    }
  }
  const hashes = new Set(present.map(({ metadata }) => metadata.labels?.[revisionHashLabel]));
  const used = history.filter((revision) => hashes.has(revisionName(revision))).map(revisionName);
  await trimRevisions(
    api,
    history,
    new Set([...used, revisionName(current), revisionName(update)]),
    spec.revisionHistoryLimit ?? 10,
  );
  return untilNextAvailable(present, spec.minReadySeconds ?? 0, nowMs);
}

export interface StatefulSetPlan {
  /** Ordinals. */
  create: readonly number[];
  delete: readonly ReadPod[];
}

/**
 * What may be done now. With OrderedReady (the default) that is one thing at a time: a Pod starts when those before it are
 * available, and goes when those after it are gone.
 */
export function planStatefulSet(
  statefulSet: ReadStatefulSet,
  pods: readonly ReadPod[],
  updateRevision: string,
  nowMs: number,
): StatefulSetPlan {
  const { replicas = 1, podManagementPolicy, updateStrategy, minReadySeconds = 0 } = statefulSet.spec;
  const start = statefulSet.spec.ordinals?.start ?? 0;
  const isOrdered = podManagementPolicy !== "Parallel";
  const byOrdinal = new Map(pods.map((pod) => [ordinalOf(statefulSet, pod)!, pod]));
  const isLeaving = (pod: ReadPod) => pod.metadata.deletionTimestamp !== undefined;
  const isHealthy = (pod: ReadPod) => !isLeaving(pod) && availableInMs(pod, minReadySeconds, nowMs) === 0;

  const create: number[] = [];
  const gone: ReadPod[] = [];
  for (let ordinal = start; ordinal < start + replicas; ordinal++) {
    const pod = byOrdinal.get(ordinal);
    if (!pod) create.push(ordinal);
    else if (isPodTerminal(pod) && !isLeaving(pod)) gone.push(pod);
    else if (isHealthy(pod)) continue;
    // Also a Pod of an old, broken template holds up everything, its own repair included: upstream wants it deleted by hand.
    if (isOrdered) return { create, delete: gone };
  }

  const condemned = [...byOrdinal]
    .filter(([ordinal]) => ordinal < start || ordinal >= start + replicas)
    .sort(([a], [b]) => b - a)
    .map(([, pod]) => pod);
  const remaining = [...byOrdinal].filter(([o]) => o >= start && o < start + replicas).map(([, pod]) => pod);
  if (isOrdered && condemned.length > 0) {
    const [last] = condemned;
    // Scaling down waits for those who stay to be well; of those who go only the first unwell one may go unwell.
    const isFirstUnwell = !condemned.slice(1).some((pod) => !isHealthy(pod));
    const isBlocked =
      isLeaving(last!) || remaining.some((pod) => !isHealthy(pod)) || (!isHealthy(last!) && !isFirstUnwell);
    return { create, delete: isBlocked ? gone : [...gone, last!] };
  }
  gone.push(...condemned.filter((pod) => !isLeaving(pod)));
  return { create, delete: [...gone, ...outdated()] };

  /** Old Pods from the highest ordinal down to the partition, as many as may be unavailable. */
  function outdated(): ReadPod[] {
    if (updateStrategy?.type === "OnDelete") return [];
    const { partition = 0 } = updateStrategy?.rollingUpdate ?? {};
    const allowed = maxUnavailableOf(statefulSet);
    const highestFirst = [...byOrdinal]
      .filter(([ordinal]) => ordinal >= Math.max(start, partition) && ordinal < start + replicas)
      .sort(([a], [b]) => b - a)
      .map(([, pod]) => pod);
    const chosen: ReadPod[] = [];
    let unavailable = 0;
    for (const pod of highestFirst) {
      if (unavailable >= allowed) break;
      const isOld = pod.metadata.labels?.[revisionHashLabel] !== updateRevision;
      if (isOld && !isLeaving(pod)) {
        chosen.push(pod);
        unavailable++;
      } else if (!isHealthy(pod)) unavailable++;
    }
    return chosen;
  }
}

/** Rounded down, unlike a DaemonSet's, and one at least. */
function maxUnavailableOf({ spec }: ReadStatefulSet): number {
  const { maxUnavailable = 1 } = spec.updateStrategy?.rollingUpdate ?? {};
  return Math.max(1, scaledValue(maxUnavailable, spec.replicas ?? 1, "down"));
}

/** The number at the end of the name; undefined for a Pod that is none of ours. */
export function ordinalOf({ metadata }: ReadStatefulSet, pod: ReadPod): number | undefined {
  const { name } = pod.metadata;
  const suffix = name.slice(metadata.name.length + 1);
  if (!name.startsWith(`${metadata.name}-`) || !/^(0|[1-9][0-9]*)$/.test(suffix)) return undefined;
  return Number(suffix);
}

function revisionName(revision: ReadRevision): string {
  return revision.metadata.name;
}

/** Ordinals below the partition keep the current revision while an update rolls. */
function revisionFor(
  statefulSet: ReadStatefulSet,
  ordinal: number,
  current: ReadRevision,
  update: ReadRevision,
): ReadRevision {
  const { updateStrategy, ordinals } = statefulSet.spec;
  if (updateStrategy?.type === "OnDelete") return update;
  const partition = updateStrategy?.rollingUpdate?.partition;
  if (partition !== undefined && partition > 0) return ordinal < partition ? current : update;
  const start = ordinals?.start ?? 0;
  return ordinal < start + (statefulSet.status?.currentReplicas ?? 0) ? current : update;
}

async function createPodOf(
  context: Reconcile,
  statefulSet: ReadStatefulSet,
  ordinal: number,
  revision: DeepReadonly<ControllerRevision>,
): Promise<void> {
  const { api, events } = context;
  const { name: setName, namespace } = statefulSet.metadata;
  const name = `${setName}-${ordinal}`;
  try {
    for (const claim of claimsOf(statefulSet, ordinal)) await createClaim(context, statefulSet, claim, name);
    const template = templateOf<PodTemplateSpec>(revision);
    const pod = podFromTemplate(template, "", namespace, controllerReferenceTo(StatefulSets, statefulSet));
    delete pod.metadata.generateName;
    pod.metadata.name = name;
    pod.metadata.labels = {
      ...pod.metadata.labels,
      "statefulset.kubernetes.io/pod-name": name,
      "apps.kubernetes.io/pod-index": String(ordinal),
      [revisionHashLabel]: revisionName(revision),
    };
    const claims = (statefulSet.spec.volumeClaimTemplates ?? []).map(({ metadata }) => ({
      name: metadata.name!,
      persistentVolumeClaim: { claimName: `${metadata.name}-${name}` },
    }));
    const volumes = (pod.spec.volumes ?? []).filter((volume) => !claims.some((claim) => claim.name === volume.name));
    const { serviceName } = statefulSet.spec;
    pod.spec = {
      ...pod.spec,
      hostname: name,
      ...(serviceName ? { subdomain: serviceName } : {}),
      ...(claims.length + volumes.length > 0 ? { volumes: [...claims, ...volumes] } : {}),
    };
    await api.create(Pods, pod);
    events.event(statefulSet, "Normal", "SuccessfulCreate", `create Pod ${name} in StatefulSet ${setName} successful`);
  } catch (error) {
    if (isAlreadyExists(error)) throw error;
    const message = `create Pod ${name} in StatefulSet ${setName} failed error: ${messageOf(error)}`;
    events.event(statefulSet, "Warning", "FailedCreate", message);
    throw error;
  }
}

/** The claims of one Pod, named after their template and the Pod. */
function claimsOf(statefulSet: ReadStatefulSet, ordinal: number): New<PersistentVolumeClaim>[] {
  const { name, namespace } = statefulSet.metadata;
  return (statefulSet.spec.volumeClaimTemplates ?? []).map((template) => ({
    metadata: {
      name: `${template.metadata.name}-${name}-${ordinal}`,
      namespace,
      labels: { ...template.metadata.labels, ...statefulSet.spec.selector.matchLabels },
      ...(template.metadata.annotations ? { annotations: { ...template.metadata.annotations } } : {}),
    },
    // The server copies what it is given.
    spec: template.spec as PersistentVolumeClaim["spec"],
  }));
}

async function createClaim(
  { api, cache, events }: Reconcile,
  statefulSet: ReadStatefulSet,
  claim: New<PersistentVolumeClaim>,
  podName: string,
): Promise<void> {
  if (cache.get(PersistentVolumeClaims, objectKey(claim.metadata.name!, claim.metadata.namespace))) return;
  const { name } = statefulSet.metadata;
  try {
    await api.create(PersistentVolumeClaims, claim);
    const message = `create Claim ${claim.metadata.name} Pod ${podName} in StatefulSet ${name} success`;
    events.event(statefulSet, "Normal", "SuccessfulCreate", message);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

async function deletePodOf({ api, events }: Reconcile, statefulSet: ReadStatefulSet, pod: ReadPod): Promise<void> {
  const { name } = pod.metadata;
  const setName = statefulSet.metadata.name;
  if (isPodTerminal(pod)) {
    const reason = pod.status?.phase === "Failed" ? "RecreatingFailedPod" : "RecreatingTerminatedPod";
    const [type, what] =
      pod.status?.phase === "Failed" ? (["Warning", "failed"] as const) : (["Normal", "terminated"] as const);
    const message = `StatefulSet ${pod.metadata.namespace}/${setName} is recreating ${what} Pod ${name}`;
    events.event(statefulSet, type, reason, message);
  }
  try {
    await api.delete(Pods, refOf(pod), { preconditions: { uid: pod.metadata.uid } });
    events.event(statefulSet, "Normal", "SuccessfulDelete", `delete Pod ${name} in StatefulSet ${setName} successful`);
  } catch (error) {
    if (isNotFound(error)) return;
    const message = `delete Pod ${name} in StatefulSet ${setName} failed error: ${messageOf(error)}`;
    events.event(statefulSet, "Warning", "FailedDelete", message);
    throw error;
  }
}

/** Claims go with their StatefulSet or their Pod when the retention policy says Delete: by owner references. */
async function syncClaims({ api, cache }: Reconcile, statefulSet: ReadStatefulSet): Promise<void> {
  const {
    volumeClaimTemplates,
    persistentVolumeClaimRetentionPolicy: policy,
    replicas = 1,
    ordinals,
  } = statefulSet.spec;
  if (!volumeClaimTemplates?.length || !policy) return;
  const start = ordinals?.start ?? 0;
  for (const template of volumeClaimTemplates) {
    const prefix = `${template.metadata.name}-${statefulSet.metadata.name}-`;
    for (const claim of cache.list(PersistentVolumeClaims, statefulSet.metadata.namespace)) {
      if (!claim.metadata.name.startsWith(prefix) || claim.metadata.deletionTimestamp) continue;
      const suffix = claim.metadata.name.slice(prefix.length);
      if (!/^(0|[1-9][0-9]*)$/.test(suffix)) continue;
      const isCondemned = Number(suffix) < start || Number(suffix) >= start + replicas;
      const pod = cache.get(Pods, objectKey(`${statefulSet.metadata.name}-${suffix}`, statefulSet.metadata.namespace));
      const owners = [
        ...(policy.whenDeleted === "Delete" && !(isCondemned && policy.whenScaled === "Delete")
          ? [{ ...controllerReferenceTo(StatefulSets, statefulSet) }]
          : []),
        ...(isCondemned && policy.whenScaled === "Delete" && pod ? [{ ...controllerReferenceTo(Pods, pod) }] : []),
      ].map(({ controller: _c, blockOwnerDeletion: _b, ...reference }) => reference);
      const ours = new Set([statefulSet.metadata.uid, pod?.metadata.uid]);
      const others = (claim.metadata.ownerReferences ?? []).filter(({ uid }) => !ours.has(uid));
      const ownerReferences = [...others, ...owners];
      if (semanticEqual(ownerReferences, claim.metadata.ownerReferences)) continue;
      const metadata = { ...claim.metadata, ownerReferences };
      await api.update(PersistentVolumeClaims, { ...claim, metadata });
    }
  }
}

function statefulSetStatus(
  statefulSet: ReadStatefulSet,
  pods: readonly ReadPod[],
  currentRevision: string,
  updateRevision: string,
  nowMs: number,
): DeepReadonly<StatefulSetStatus> {
  const { replicas = 1, minReadySeconds = 0, updateStrategy } = statefulSet.spec;
  const active = pods.filter((pod) => !isPodTerminal(pod));
  const standing = active.filter((pod) => !pod.metadata.deletionTimestamp);
  const ofRevision = (revision: string) =>
    standing.filter(({ metadata }) => metadata.labels?.[revisionHashLabel] === revision).length;
  const readyReplicas = active.filter(isPodReady).length;
  const updatedReplicas = ofRevision(updateRevision);
  const isComplete =
    updateStrategy?.type !== "OnDelete" &&
    updatedReplicas === replicas &&
    standing.length === replicas &&
    pods.length === replicas &&
    readyReplicas === replicas;
  const { collisionCount = 0, conditions } = statefulSet.status ?? {};
  return {
    observedGeneration: statefulSet.metadata.generation ?? 0,
    replicas: active.length,
    readyReplicas,
    availableReplicas: active.filter((pod) => availableInMs(pod, minReadySeconds, nowMs) === 0).length,
    currentReplicas: isComplete ? updatedReplicas : ofRevision(currentRevision),
    updatedReplicas,
    currentRevision: isComplete ? updateRevision : currentRevision,
    updateRevision,
    collisionCount,
    ...(conditions ? { conditions } : {}),
  };
}
