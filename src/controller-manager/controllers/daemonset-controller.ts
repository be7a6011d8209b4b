/** Keeps one Pod of each DaemonSet on every Node that takes it, and replaces them Node by Node when the template changes. */
import type { DaemonSet, DaemonSetStatus } from "../../api/apps/v1.ts";
import type { Node, Pod, PodTemplateSpec, Toleration } from "../../api/core/v1.ts";
import type { DeepReadonly, New } from "../../api/object.ts";
import { ControllerRevisions, DaemonSets, Nodes, Pods } from "../../api/resources.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { keyOf, type ReadCache } from "../../controller-runtime/cache.ts";
import { selectorOf } from "../../controller-runtime/compiled-selector.ts";
import {
  defineController,
  type Reconcile,
  type ReconcileResult,
  statusOf,
  wake,
} from "../../controller-runtime/controller.ts";
import { requiredNodes, tolerates } from "../../controller-runtime/node-matching.ts";
import { owned } from "../../controller-runtime/wakes.ts";
import { scaledValue } from "../int-or-percent.ts";
import { adoptable, claim, controllerReferenceTo, orphansOf } from "../ownership.ts";
import { createPod, deletePod, podFromTemplate } from "../pod-control.ts";
import { availableInMs, isPodReady, untilNextAvailable } from "../pod-facts.ts";
import { hashOf, revisionHashLabel, syncRevision, trimRevisions } from "../revisions.ts";
import { isEmptySelector } from "../selectors.ts";
import { slowStart } from "../slow-start.ts";
import { FailedPodBackoff } from "./daemonset/failed-pod-backoff.ts";

const burst = 250;
/** What has failed where, for each set of controllers that runs. */
const backoffs = new WeakMap<ReadCache, FailedPodBackoff>();

function backoffOf(cache: ReadCache): FailedPodBackoff {
  let backoff = backoffs.get(cache);
  if (!backoff) {
    backoff = new FailedPodBackoff();
    backoffs.set(cache, backoff);
  }
  return backoff;
}

export const daemonSetController = defineController<DaemonSet>({
  name: "daemonset-controller",
  reconciles: DaemonSets,
  wakesOn: [
    owned(Pods),
    adoptable(Pods, DaemonSets, (daemonSet) => selectorOf(daemonSet.spec.selector)),
    wake<Node>({
      resource: Nodes,
      when: ({ type, object, previous }) =>
        type !== "MODIFIED" ||
        !semanticEqual(object.metadata.labels, previous?.metadata.labels) ||
        !semanticEqual(object.spec?.taints, previous?.spec?.taints),
      *keys(_node, cache) {
        for (const daemonSet of cache.list(DaemonSets)) yield keyOf(daemonSet);
      },
    }),
  ],
  reads: [ControllerRevisions],
  indexes: [orphansOf(Pods), orphansOf(ControllerRevisions)],
  writes: [Pods, ControllerRevisions, statusOf(DaemonSets)],
  async reconcile(context) {
    const daemonSet = context.cache.get(DaemonSets, context.key);
    if (!daemonSet) return;
    if (isEmptySelector(daemonSet.spec.selector)) {
      const message = "This daemon set is selecting all pods. A non-empty selector is required.";
      context.events.event(daemonSet, "Warning", "SelectingAll", message);
      return;
    }
    return await reconcileDaemonSet(context, daemonSet);
  },
});

type ReadDaemonSet = DeepReadonly<DaemonSet>;
type ReadPod = DeepReadonly<Pod>;

async function reconcileDaemonSet(context: Reconcile, daemonSet: ReadDaemonSet): Promise<ReconcileResult> {
  const { api, cache, clock, events } = context;
  const { spec, status } = daemonSet;
  const selector = selectorOf(spec.selector);
  const pods = await claim(context, daemonSet, DaemonSets, Pods, selector);
  if (daemonSet.metadata.deletionTimestamp) return;
  const history = await claim(context, daemonSet, DaemonSets, ControllerRevisions, selector);
  const revision = await syncRevision(
    api,
    daemonSet,
    DaemonSets,
    spec.template,
    spec.template.metadata?.labels,
    status?.collisionCount ?? 0,
    history,
    async () => {
      const collisionCount = (status?.collisionCount ?? 0) + 1;
      await api.updateStatus(DaemonSets, { ...daemonSet, status: { ...status, collisionCount } });
    },
  );
  const hash = hashOf(revision);
  const backoff = backoffOf(cache);
  const keyAt = (node: string) => `${daemonSet.metadata.uid}/${daemonSet.metadata.generation}/${node}`;
  const nowMs = clock.now();
  const plan = planDaemonSet(daemonSet, cache.list(Nodes), pods, hash, nowMs, (pod) =>
    backoff.replaceInMs(keyAt(nodeOf(pod)), nowMs),
  );

  for (const pod of plan.failed) {
    const message = `Found failed daemon pod ${keyOf(pod)} on node ${nodeOf(pod)}, will try to kill it`;
    events.event(daemonSet, "Warning", "FailedDaemonPod", message);
  }
  const reference = controllerReferenceTo(DaemonSets, daemonSet);
  const { error } = await slowStart(Math.min(plan.create.length, burst), async (i) => {
    const pod = podFor(daemonSet, plan.create[i]!, hash, reference);
    await createPod(context, pod, daemonSet);
  });
  await Promise.all(plan.delete.map((pod) => deletePod(context, pod, daemonSet)));
  if (error) throw error;

  const present = cache.ownedBy(Pods, daemonSet).filter((pod) => selector.matches(pod.metadata.labels));
  const next = daemonSetStatus(daemonSet, cache.list(Nodes), present, hash, nowMs);
  if (!semanticEqual(next, status)) {
    try {
      await api.updateStatus(DaemonSets, { ...daemonSet, status: next });
    } catch (failure) {
      if (isNotFound(failure)) return;
      throw failure;
    }
  }
  const used = new Set([revision.metadata.name]);
  for (const pod of present) {
    const podHash = pod.metadata.labels?.[revisionHashLabel];
    const its = history.find((candidate) => hashOf(candidate) === podHash);
    if (its) used.add(its.metadata.name);
  }
  await trimRevisions(api, history, used, spec.revisionHistoryLimit ?? 10);
  const becoming = untilNextAvailable(present, spec.minReadySeconds ?? 0, nowMs);
  const waits = [becoming?.afterMs, plan.afterMs].filter((ms) => ms !== undefined);
  return waits.length > 0 ? { afterMs: Math.min(...waits) } : undefined;
}

export interface DaemonSetPlan {
  /** Names of Nodes. */
  create: readonly string[];
  delete: readonly ReadPod[];
  /** Of those to delete, Pods that failed. */
  failed: readonly ReadPod[];
  /** When the next failed Pod may be replaced. */
  afterMs?: number;
}

/**
 * Which Nodes get a Pod and which Pods go. One step of a rolling update at a time. `replaceInMs` says when a failed Pod may
 * be replaced; 0 is now.
 */
export function planDaemonSet(
  daemonSet: ReadDaemonSet,
  nodes: readonly DeepReadonly<Node>[],
  pods: readonly ReadPod[],
  hash: string,
  nowMs: number,
  replaceInMs: (failed: ReadPod) => number = () => 0,
): DaemonSetPlan {
  const { minReadySeconds = 0, updateStrategy } = daemonSet.spec;
  const byNode = new Map<string, ReadPod[]>();
  for (const pod of pods) {
    const node = nodeOf(pod);
    byNode.set(node, [...(byNode.get(node) ?? []), pod]);
  }
  const create: string[] = [];
  const gone = new Set<ReadPod>();
  const failed: ReadPod[] = [];
  let afterMs: number | undefined;
  const isNew = (pod: ReadPod) => pod.metadata.labels?.[revisionHashLabel] === hash;
  const isAvailable = (pod: ReadPod) => availableInMs(pod, minReadySeconds, nowMs) === 0;
  const isLeaving = (pod: ReadPod) => pod.metadata.deletionTimestamp !== undefined;

  const running: string[] = [];
  /** Nodes that take new Pods. */
  const open = new Set<string>();
  for (const node of nodes) {
    const { name } = node.metadata;
    const own = byNode.get(name) ?? [];
    byNode.delete(name);
    const { shouldRun, shouldContinue } = placement(daemonSet, node);
    if (shouldRun) open.add(name);
    const staying = own.filter((pod) => !isLeaving(pod));
    if (!shouldContinue) {
      for (const pod of staying) gone.add(pod);
      continue;
    }
    for (const pod of staying) {
      if (pod.status?.phase !== "Failed") continue;
      const waitMs = replaceInMs(pod);
      if (waitMs > 0) {
        afterMs = Math.min(afterMs ?? waitMs, waitMs);
        continue;
      }
      gone.add(pod);
      failed.push(pod);
    }
    const healthy = staying.filter((pod) => !gone.has(pod));
    // While an old Pod is leaving, its successor waits for it.
    if (healthy.length === 0 && own.length === 0 && shouldRun) create.push(name);
    if (shouldRun || healthy.length > 0) running.push(name);
    // One of each template at most: the older of two stays.
    for (const group of [healthy.filter(isNew), healthy.filter((pod) => !isNew(pod))]) {
      const oldestFirst = group.toSorted((a, b) =>
        a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1,
      );
      for (const pod of oldestFirst.slice(1)) gone.add(pod);
    }
  }
  // Pods on Nodes that no longer exist are the Pod garbage collector's.

  if (updateStrategy?.type !== "OnDelete") {
    const { maxUnavailable: unavailable = 1, maxSurge: surge = 0 } = updateStrategy?.rollingUpdate ?? {};
    const maxSurge = scaledValue(surge, running.length, "up");
    const maxUnavailable = maxSurge > 0 ? 0 : Math.max(1, scaledValue(unavailable, running.length, "up"));
    rollOver(running, maxUnavailable, maxSurge);
  }
  return { create, delete: [...gone], failed, ...(afterMs === undefined ? {} : { afterMs }) };

  function rollOver(names: readonly string[], maxUnavailable: number, maxSurge: number): void {
    let missing = 0;
    let surging = 0;
    const candidates: ReadPod[] = [];
    const surgeCandidates: string[] = [];
    for (const name of names) {
      const own = pods.filter((pod) => nodeOf(pod) === name && !gone.has(pod));
      const old = own.find((pod) => !isNew(pod) && !isLeaving(pod));
      const fresh = own.find((pod) => isNew(pod) && !isLeaving(pod));
      if (maxSurge > 0) {
        // Its template changed twice: first the one too many goes.
        if (pods.filter((pod) => nodeOf(pod) === name && !isNew(pod)).length > 1) surging++;
        else if (old && fresh) {
          surging++;
          // An old Pod that does not serve is in nobody's way.
          if (isAvailable(fresh) || !isPodReady(old)) gone.add(old);
        } else if (old) {
          // One that is missed already, or not there for long enough, gets a successor beyond the surge; it stays while it serves.
          if (isAvailable(old)) surgeCandidates.push(name);
          else if (open.has(name)) create.push(name);
          else gone.add(old);
        }
        continue;
      }
      if (old) {
        if (isAvailable(old)) candidates.push(old);
        else {
          // It is missed already: replacing it costs nothing.
          gone.add(old);
          missing++;
        }
      } else if (!fresh || !isAvailable(fresh)) missing++;
    }
    for (const pod of candidates.slice(0, Math.max(0, maxUnavailable - missing))) gone.add(pod);
    create.push(...surgeCandidates.slice(0, Math.max(0, maxSurge - surging)));
  }
}

/** Whether a Pod should be started on the Node, and whether one that runs there may stay. */
export function placement(
  daemonSet: ReadDaemonSet,
  { metadata, spec }: DeepReadonly<Node>,
): { shouldRun: boolean; shouldContinue: boolean } {
  const podSpec = daemonSet.spec.template.spec;
  if (!podSpec || (podSpec.nodeName && podSpec.nodeName !== metadata.name))
    return { shouldRun: false, shouldContinue: false };
  const matches = requiredNodes(podSpec);
  if (matches && !matches({ name: metadata.name, labels: metadata.labels ?? {} }))
    return { shouldRun: false, shouldContinue: false };
  const tolerations = [...(podSpec.tolerations ?? []), ...daemonTolerations(podSpec.hostNetwork === true)];
  const untolerated = (spec?.taints ?? []).filter(
    (taint) => !tolerations.some((toleration) => tolerates(toleration, taint)),
  );
  return {
    shouldRun: !untolerated.some(({ effect }) => effect === "NoSchedule" || effect === "NoExecute"),
    shouldContinue: !untolerated.some(({ effect }) => effect === "NoExecute"),
  };
}

/** Daemons keep a Node alive: they stay when it is in trouble. */
function daemonTolerations(hostNetwork: boolean): Toleration[] {
  const taint = (name: string, effect: string): Toleration => ({
    key: `node.kubernetes.io/${name}`,
    operator: "Exists",
    effect,
  });
  return [
    taint("not-ready", "NoExecute"),
    taint("unreachable", "NoExecute"),
    taint("disk-pressure", "NoSchedule"),
    taint("memory-pressure", "NoSchedule"),
    taint("pid-pressure", "NoSchedule"),
    taint("unschedulable", "NoSchedule"),
    ...(hostNetwork ? [taint("network-unavailable", "NoSchedule")] : []),
  ];
}

/** The Pod for one Node: node affinity names the Node, the scheduler binds it there. */
function podFor(
  daemonSet: ReadDaemonSet,
  node: string,
  hash: string,
  reference: ReturnType<typeof controllerReferenceTo>,
): New<Pod> {
  const { name, namespace, generation } = daemonSet.metadata;
  const template: DeepReadonly<PodTemplateSpec> = daemonSet.spec.template;
  const pod = podFromTemplate(template, `${name}-`, namespace, reference);
  pod.metadata.labels = {
    ...pod.metadata.labels,
    [revisionHashLabel]: hash,
    "pod-template-generation": String(generation ?? 1),
  };
  const byName = [{ key: "metadata.name", operator: "In", values: [node] }];
  const { affinity, tolerations = [], hostNetwork = false } = pod.spec;
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const terms = required?.nodeSelectorTerms.length
    ? required.nodeSelectorTerms.map((term) => ({ ...term, matchFields: byName }))
    : [{ matchFields: byName }];
  const nodeAffinity = {
    ...affinity?.nodeAffinity,
    requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms },
  };
  const added = daemonTolerations(hostNetwork).filter(
    (wanted) => !tolerations.some((present) => semanticEqual(present, wanted)),
  );
  pod.spec = { ...pod.spec, affinity: { ...affinity, nodeAffinity }, tolerations: [...tolerations, ...added] };
  return pod;
}

/** Where a Pod is, or will be. */
function nodeOf({ spec }: ReadPod): string {
  if (spec.nodeName) return spec.nodeName;
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  for (const { matchFields = [] } of terms) {
    const field = matchFields.find(({ key, operator }) => key === "metadata.name" && operator === "In");
    if (field?.values?.[0]) return field.values[0];
  }
  return "";
}

function daemonSetStatus(
  daemonSet: ReadDaemonSet,
  nodes: readonly DeepReadonly<Node>[],
  pods: readonly ReadPod[],
  hash: string,
  nowMs: number,
): DeepReadonly<DaemonSetStatus> {
  const counts = { desired: 0, current: 0, misscheduled: 0, ready: 0, available: 0, updated: 0 };
  for (const node of nodes) {
    const own = pods.filter((pod) => nodeOf(pod) === node.metadata.name && !pod.metadata.deletionTimestamp);
    if (!placement(daemonSet, node).shouldRun) {
      if (own.length > 0) counts.misscheduled++;
      continue;
    }
    counts.desired++;
    if (own.length === 0) continue;
    counts.current++;
    const oldest = own.toSorted((a, b) => (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1))[0]!;
    if (isPodReady(oldest)) counts.ready++;
    if (availableInMs(oldest, daemonSet.spec.minReadySeconds ?? 0, nowMs) === 0) counts.available++;
    if (own.some(({ metadata }) => metadata.labels?.[revisionHashLabel] === hash)) counts.updated++;
  }
  const { collisionCount, conditions } = daemonSet.status ?? {};
  return {
    currentNumberScheduled: counts.current,
    numberMisscheduled: counts.misscheduled,
    desiredNumberScheduled: counts.desired,
    numberReady: counts.ready,
    observedGeneration: daemonSet.metadata.generation ?? 0,
    updatedNumberScheduled: counts.updated,
    ...(counts.available > 0 ? { numberAvailable: counts.available } : {}),
    ...(counts.desired > counts.available ? { numberUnavailable: counts.desired - counts.available } : {}),
    ...(collisionCount !== undefined ? { collisionCount } : {}),
    ...(conditions ? { conditions } : {}),
  };
}
