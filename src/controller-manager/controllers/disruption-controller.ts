/** Works out how many Pods each PodDisruptionBudget can spare at the moment. */
import type { Pod } from "../../api/core/v1.ts";
import type { Condition, LabelSelector } from "../../api/meta/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { PodDisruptionBudget, PodDisruptionBudgetStatus } from "../../api/policy/v1.ts";
import {
  Deployments,
  PodDisruptionBudgets,
  Pods,
  ReplicaSets,
  ReplicationControllers,
  StatefulSets,
} from "../../api/resources.ts";
import { formatLabelSelector } from "../../apimachinery/selectors.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isNotFound, StatusError } from "../../apimachinery/status-error.ts";
import { rfc3339 } from "../../base/clock.ts";
import type { Client } from "../../client/client.ts";
import { keyOf, objectKey, type ReadCache } from "../../controller-runtime/cache.ts";
import { selectorOf } from "../../controller-runtime/compiled-selector.ts";
import { type ControllerDefinition, defineController, statusOf, wake } from "../../controller-runtime/controller.ts";
import { scaledValue } from "../int-or-percent.ts";
import { controllerReferenceOf } from "../ownership.ts";
import { isPodActive, isPodReady } from "../pod-facts.ts";
import { isSameStatus } from "../same-status.ts";
import type { Discover } from "../served-resources.ts";

/** An eviction that was granted but not carried out counts for this long. */
const grantedMs = 120_000;

export const disruptionController = (discover: Discover): ControllerDefinition =>
  defineController<PodDisruptionBudget>({
    name: "disruption-controller",
    eventSource: "controllermanager",
    reconciles: PodDisruptionBudgets,
    wakesOn: [
      wake<Pod>({
        resource: Pods,
        when: ({ type, object, previous }) =>
          type !== "MODIFIED" ||
          !previous ||
          isPodReady(object) !== isPodReady(previous) ||
          isPodActive(object) !== isPodActive(previous) ||
          !semanticEqual(object.metadata.labels, previous.metadata.labels),
        *keys(pod, cache) {
          for (const budget of cache.list(PodDisruptionBudgets, pod.metadata.namespace)) {
            if (selectorOf(budget.spec?.selector).matches(pod.metadata.labels)) yield keyOf(budget);
          }
        },
      }),
    ],
    reads: [ReplicaSets, Deployments, StatefulSets, ReplicationControllers],
    writes: [statusOf(PodDisruptionBudgets)],
    async reconcile({ key, cache, api, clock, events }) {
      const budget = cache.get(PodDisruptionBudgets, key);
      if (!budget || budget.metadata.deletionTimestamp) return;
      const selector = selectorOf(budget.spec?.selector);
      const pods = cache
        .list(Pods, budget.metadata.namespace)
        .filter(
          (pod) =>
            selector.matches(pod.metadata.labels) &&
            pod.status?.phase !== "Succeeded" &&
            pod.status?.phase !== "Failed",
        );
      if (pods.length === 0) events.event(budget, "Normal", "NoPods", "No matching pods found");
      const unmanaged = isShare(budget) && pods.some((pod) => !controllerReferenceOf(pod));
      if (unmanaged) events.event(budget, "Warning", "UnmanagedPods", unmanagedMessage(selectorText(budget)));
      const others = isShare(budget) ? await scalesOfOtherKinds(pods, discover, api) : new Map<string, number>();
      const scale = (pod: ReadPod) => scaleOf(pod, cache) ?? otherScaleOf(pod, others);
      for (const pod of pods) {
        if (!isOverdue(budget.status?.disruptedPods?.[pod.metadata.name], pod, clock.now())) continue;
        const { namespace, name } = budget.metadata;
        const message = `Pod was expected by PDB ${namespace}/${name} to be deleted but it wasn't`;
        events.event(pod, "Warning", "NotDeleted", message);
      }
      const status = planBudget(budget, pods, scale, clock.now());
      if (typeof status === "string")
        events.event(
          budget,
          "Warning",
          "CalculateExpectedPodCountFailed",
          `Failed to calculate the number of expected pods: ${status}`,
        );
      const next = typeof status === "string" ? failedStatus(budget, status, clock.now()) : status;
      if (!isSameStatus(next, budget.status)) {
        try {
          await api.updateStatus(PodDisruptionBudgets, { ...budget, status: next });
        } catch (error) {
          if (isNotFound(error)) return;
          throw error;
        }
      }
      // The owner may be about to be known: upstream retries with back-off, too.
      if (typeof status === "string") throw new Error(status);
      const granted = Object.values(next.disruptedPods ?? {}).map((time) => Date.parse(time) + grantedMs - clock.now());
      // Nobody tells when another kind is scaled.
      const waits = [...granted, ...(others.size > 0 ? [rescaleMs] : [])];
      return waits.length > 0 ? { afterMs: Math.max(1000, Math.min(...waits)) } : undefined;
    },
  });

/** Its eviction was granted two minutes ago, and it is still there. */
function isOverdue(grantedAt: string | undefined, { metadata }: ReadPod, nowMs: number): boolean {
  return grantedAt !== undefined && !metadata.deletionTimestamp && Date.parse(grantedAt) + grantedMs <= nowMs;
}

/** How often the size of owners is asked for that are no built-in kind. */
const rescaleMs = 30_000;

/** The budget is a share of what controllers want, so that their sizes matter. */
function isShare({ spec }: ReadBudget): boolean {
  return spec?.maxUnavailable !== undefined || typeof spec?.minAvailable === "string";
}

function selectorText({ spec }: ReadBudget): string {
  return formatLabelSelector(spec?.selector as LabelSelector | undefined);
}

function unmanagedMessage(selector: string): string {
  return `Pods selected by this PodDisruptionBudget (selector: ${selector}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.`;
}

/** Sizes of Pods' owners of other kinds, by their uid: of whatever has a Scale. One that has none is left out. */
async function scalesOfOtherKinds(
  pods: readonly ReadPod[],
  discover: Discover,
  api: Client,
): Promise<ReadonlyMap<string, number>> {
  const owners = new Map(
    pods.flatMap((pod) => {
      const reference = controllerReferenceOf(pod);
      if (!reference || scaledKinds.has(reference.kind)) return [];
      return [[reference.uid, { ...reference, namespace: pod.metadata.namespace }] as const];
    }),
  );
  const scales = new Map<string, number>();
  if (owners.size === 0) return scales;
  const { resources } = await discover();
  for (const { uid, kind, name, namespace, apiVersion } of owners.values()) {
    const group = apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
    const found = resources.find(({ resource }) => resource.group === group && resource.kind === kind);
    if (!found) continue;
    try {
      // Reading a Scale is a patch of it that changes nothing.
      const patch = { type: "merge", body: {} } as const;
      const scale = await api.patch(found.resource, { name, namespace }, patch, { subresource: "scale" });
      const { metadata, spec } = scale as unknown as { metadata: { uid?: string }; spec?: { replicas?: number } };
      if (metadata.uid === uid) scales.set(uid, spec?.replicas ?? 0);
    } catch (error) {
      if (!(error instanceof StatusError) || (error.code !== 404 && error.code !== 405)) throw error;
    }
  }
  return scales;
}

function otherScaleOf(
  pod: ReadPod,
  scales: ReadonlyMap<string, number>,
): { uid: string; replicas: number } | undefined {
  const { uid = "" } = controllerReferenceOf(pod) ?? {};
  const replicas = scales.get(uid);
  return replicas === undefined ? undefined : { uid, replicas };
}

const scaledKinds = new Set(["ReplicaSet", "StatefulSet", "ReplicationController"]);

type ReadBudget = DeepReadonly<PodDisruptionBudget>;
type ReadPod = DeepReadonly<Pod>;

/** The controller's uid and the number of Pods it wants; undefined without a controller that has such a number. */
export type ScaleOf = (pod: ReadPod) => { uid: string; replicas: number } | undefined;

/** The budget's status now, or why it cannot be said. */
export function planBudget(
  budget: ReadBudget,
  pods: readonly ReadPod[],
  scale: ScaleOf,
  nowMs: number,
): DeepReadonly<PodDisruptionBudgetStatus> | string {
  const expected = expectedPods(budget, pods, scale);
  if (typeof expected === "string") return expected;
  const { expectedCount, desiredHealthy } = expected;
  const disruptedPods: Record<string, string> = {};
  for (const [name, time] of Object.entries(budget.status?.disruptedPods ?? {})) {
    const pod = pods.find(({ metadata }) => metadata.name === name);
    if (pod && !pod.metadata.deletionTimestamp && Date.parse(time) + grantedMs > nowMs) disruptedPods[name] = time;
  }
  const healthy = pods.filter(
    (pod) => isPodActive(pod) && isPodReady(pod) && disruptedPods[pod.metadata.name] === undefined,
  ).length;
  const disruptionsAllowed = expectedCount <= 0 ? 0 : Math.max(0, healthy - desiredHealthy);
  const conditions = withCondition(
    budget,
    disruptionsAllowed > 0
      ? { status: "True", reason: "SufficientPods", message: "" }
      : { status: "False", reason: "InsufficientPods", message: "" },
    nowMs,
  );
  return {
    observedGeneration: budget.metadata.generation ?? 0,
    disruptionsAllowed,
    currentHealthy: healthy,
    desiredHealthy,
    expectedPods: expectedCount,
    ...(Object.keys(disruptedPods).length > 0 ? { disruptedPods } : {}),
    conditions,
  };
}

function expectedPods({ spec }: ReadBudget, pods: readonly ReadPod[], scale: ScaleOf) {
  const { minAvailable, maxUnavailable } = spec ?? {};
  if (maxUnavailable === undefined && typeof minAvailable !== "string") {
    return { expectedCount: pods.length, desiredHealthy: minAvailable ?? 0 };
  }
  // A share, or what may be missing, is of what the controllers want, not of what happens to be there.
  const scales = new Map<string, number>();
  for (const pod of pods) {
    // Whose size nobody says is not counted; the budget's events tell of it.
    if (!controllerReferenceOf(pod)) continue;
    const found = scale(pod);
    if (!found) return `found no controllers for pod "${pod.metadata.name}"`;
    scales.set(found.uid, found.replicas);
  }
  const expectedCount = [...scales.values()].reduce((sum, replicas) => sum + replicas, 0);
  const desiredHealthy =
    maxUnavailable === undefined
      ? scaledValue(minAvailable as string, expectedCount, "up")
      : Math.max(0, expectedCount - scaledValue(maxUnavailable, expectedCount, "up"));
  return { expectedCount, desiredHealthy };
}

function scaleOf(pod: ReadPod, cache: ReadCache): { uid: string; replicas: number } | undefined {
  const reference = controllerReferenceOf(pod);
  if (!reference) return undefined;
  const { namespace } = pod.metadata;
  const key = objectKey(reference.name, namespace);
  switch (reference.kind) {
    case "ReplicaSet": {
      const replicaSet = cache.get(ReplicaSets, key);
      if (!replicaSet) return undefined;
      const owner = controllerReferenceOf(replicaSet);
      const deployment =
        owner?.kind === "Deployment" ? cache.get(Deployments, objectKey(owner.name, namespace)) : undefined;
      const { metadata, spec } = deployment ?? replicaSet;
      return { uid: metadata.uid, replicas: spec.replicas ?? 1 };
    }
    case "StatefulSet": {
      const statefulSet = cache.get(StatefulSets, key);
      return statefulSet && { uid: statefulSet.metadata.uid, replicas: statefulSet.spec.replicas ?? 1 };
    }
    case "ReplicationController": {
      const controller = cache.get(ReplicationControllers, key);
      return controller && { uid: controller.metadata.uid, replicas: controller.spec?.replicas ?? 1 };
    }
    default:
      return undefined;
  }
}

/** Nothing may be disrupted while the budget cannot be worked out. */
function failedStatus(budget: ReadBudget, message: string, nowMs: number): DeepReadonly<PodDisruptionBudgetStatus> {
  const conditions = withCondition(budget, { status: "False", reason: "SyncFailed", message }, nowMs);
  return { ...budget.status, disruptionsAllowed: 0, observedGeneration: budget.metadata.generation ?? 0, conditions };
}

function withCondition(
  budget: ReadBudget,
  { status, reason, message }: { status: string; reason: string; message: string },
  nowMs: number,
): readonly DeepReadonly<Condition>[] {
  const type = "DisruptionAllowed";
  const present = budget.status?.conditions ?? [];
  const old = present.find((condition) => condition.type === type);
  const lastTransitionTime = old?.status === status ? old.lastTransitionTime : rfc3339(nowMs);
  const observedGeneration = budget.metadata.generation ?? 0;
  const others = present.filter((condition) => condition.type !== type);
  return [...others, { type, status, reason, message, lastTransitionTime, observedGeneration }];
}
