/** Watches the Nodes' heartbeats: a Node that falls silent becomes Unknown, is tainted, and its Pods are no longer ready. */
import type { Lease } from "../../api/coordination/v1.ts";
import type { Node, NodeCondition, Pod, Taint } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Leases, Nodes, Pods } from "../../api/resources.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isConflict, isNotFound } from "../../apimachinery/status-error.ts";
import { rfc3339 } from "../../base/clock.ts";
import { refOf } from "../../client/client.ts";
import { keyOf, type ObjectKey, objectKey } from "../../controller-runtime/cache.ts";
import { type ControllerProcess, index, type ProcessContext } from "../../controller-runtime/controller.ts";
import type { Change } from "../../controller-runtime/informer.ts";
import { whenAborted } from "../../controller-runtime/when-aborted.ts";
import { WorkQueue } from "../../controller-runtime/work-queue.ts";
import { messageOf } from "../pod-control.ts";
import { podCondition } from "../pod-facts.ts";

export interface NodeLifecycleOptions {
  /** A Node that was silent for this long is Unknown. Default 40 s. */
  nodeMonitorGracePeriodMs?: number;
  /** A Node that never spoke gets this long. Default 60 s. */
  nodeStartupGracePeriodMs?: number;
}

const leaseNamespace = "kube-node-lease";

export const podsByNode = index<Pod>({
  resource: Pods,
  name: "nodeName",
  values: ({ spec }) => spec.nodeName || undefined,
});

export function nodeLifecycleController(options: NodeLifecycleOptions = {}): ControllerProcess {
  return {
    name: "node-lifecycle-controller",
    eventSource: "node-controller",
    run: (context) => new NodeLifecycle(context, options).run(),
  };
}

class NodeLifecycle {
  readonly #context: ProcessContext;
  readonly #graceMs: number;
  readonly #startupGraceMs: number;
  /** When a Node was last heard of, by our clock: the clocks of other machines are not compared. */
  readonly #heardMs = new Map<ObjectKey, number>();
  readonly #startedMs: number;
  readonly #queue: WorkQueue<ObjectKey>;

  constructor(context: ProcessContext, options: NodeLifecycleOptions) {
    this.#context = context;
    this.#graceMs = options.nodeMonitorGracePeriodMs ?? 40_000;
    this.#startupGraceMs = options.nodeStartupGracePeriodMs ?? 60_000;
    this.#startedMs = context.clock.now();
    this.#queue = new WorkQueue({
      clock: context.clock,
      concurrency: 8,
      work: async (key) => {
        try {
          const afterMs = await this.#look(key);
          this.#queue.forget(key);
          if (afterMs !== undefined) this.#queue.addAfter(key, afterMs);
        } catch (error) {
          if (context.signal.aborted) return;
          const failures = this.#queue.retry(key);
          if (!isConflict(error) || failures > 5)
            context.log.warn("node: will retry", { key, failures, error: messageOf(error) });
        }
      },
    });
  }

  async run(): Promise<void> {
    const { cache, clock, signal } = this.#context;
    cache.informer(Pods).addIndex(podsByNode.name, podsByNode.values as never);
    const nodes = cache.informer(Nodes);
    const leases = cache.informer(Leases);
    leases.addHandler(({ type, object, previous }: Change<Lease>) => {
      const { name, namespace } = object.metadata;
      if (namespace !== leaseNamespace || type === "DELETED") return;
      if (type === "MODIFIED" && object.spec?.renewTime === previous?.spec?.renewTime) return;
      // A renewal wakes nobody: the timer of its Node looks here when it fires.
      this.#heardMs.set(objectKey(name), clock.now());
    });
    nodes.addHandler(({ type, object, previous }: Change<Node>) => {
      const key = keyOf(object);
      if (type === "DELETED") this.#heardMs.delete(key);
      else if (heartbeatOf(object) !== (previous && heartbeatOf(previous))) this.#heardMs.set(key, clock.now());
      this.#queue.add(key);
    });
    // Pods are marked with their Node; one that binds to a silent Node must not be forgotten.
    cache.informer(Pods).addHandler(({ object, previous }: Change<Pod>) => {
      if (object.spec.nodeName && !previous?.spec.nodeName && this.#isSilent(object.spec.nodeName)) {
        this.#queue.add(objectKey(object.spec.nodeName));
      }
    });
    await Promise.race([Promise.all([nodes.synced, leases.synced, cache.informer(Pods).synced]), whenAborted(signal)]);
    if (!signal.aborted) this.#queue.start();
    await whenAborted(signal);
    await this.#queue.stop();
  }

  #isSilent(name: string): boolean {
    const node = this.#context.cache.get(Nodes, objectKey(name));
    return readyCondition(node)?.status === "Unknown";
  }

  /** Returns when to look again: just when the Node would have been silent for too long. */
  async #look(key: ObjectKey): Promise<number | undefined> {
    const { cache, api, clock, events } = this.#context;
    let node = cache.get(Nodes, key);
    if (!node || node.metadata.deletionTimestamp) return undefined;
    const ready = readyCondition(node);
    const heard = this.#heardMs.get(key) ?? this.#startedMs;
    const silentInMs = heard + (ready ? this.#graceMs : this.#startupGraceMs) - clock.now();
    const isSilent = silentInMs <= 0;

    if (isSilent) {
      const conditions = silentConditions(node, clock.now());
      if (conditions !== node.status?.conditions) {
        const wasReady = ready?.status === "True";
        node = await api.updateStatus(Nodes, { ...node, status: { ...node.status, conditions } });
        if (wasReady) {
          const { name } = node.metadata;
          events.event(
            { ...node, metadata: { ...node.metadata, uid: node.metadata.uid } },
            "Normal",
            "NodeNotReady",
            `Node ${name} status is now: NodeNotReady`,
          );
        }
      }
    }
    const taints = wantedTaints(node, clock.now());
    if (taints !== undefined) {
      node = await api.update(Nodes, { ...node, spec: { ...node.spec, taints } });
    }
    if (readyCondition(node) && readyCondition(node)?.status !== "True") await this.#markPodsNotReady(node);
    return isSilent ? undefined : silentInMs + 1;
  }

  async #markPodsNotReady(node: DeepReadonly<Node>): Promise<void> {
    const { cache, api, clock, events } = this.#context;
    for (const pod of cache.byIndex(Pods, podsByNode.name, node.metadata.name)) {
      const ready = podCondition(pod, "Ready");
      if (ready?.status !== "True") continue;
      const condition = { type: "Ready", status: "False", lastTransitionTime: rfc3339(clock.now()) };
      try {
        await api.patch(
          Pods,
          refOf(pod),
          { type: "strategic", body: { metadata: { uid: pod.metadata.uid }, status: { conditions: [condition] } } },
          { subresource: "status" },
        );
        events.event(pod, "Warning", "NodeNotReady", "Node is not ready");
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
  }
}

function readyCondition(node: DeepReadonly<Node> | undefined): DeepReadonly<NodeCondition> | undefined {
  return node?.status?.conditions?.find(({ type }) => type === "Ready");
}

function heartbeatOf(node: DeepReadonly<Node>): string {
  return readyCondition(node)?.lastHeartbeatTime ?? "";
}

const watchedConditions = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/** The conditions of a Node that does not speak: Unknown, each. The same array when they are so already. */
export function silentConditions(
  node: DeepReadonly<Node>,
  nowMs: number,
): readonly DeepReadonly<NodeCondition>[] | undefined {
  const present = node.status?.conditions ?? [];
  const now = rfc3339(nowMs);
  let isChanged = false;
  const unknown = watchedConditions.map((type): DeepReadonly<NodeCondition> => {
    const old = present.find((condition) => condition.type === type);
    if (old?.status === "Unknown") return old;
    isChanged = true;
    return old
      ? {
          ...old,
          status: "Unknown",
          reason: "NodeStatusUnknown",
          message: "Kubelet stopped posting node status.",
          lastTransitionTime: now,
        }
      : {
          type,
          status: "Unknown",
          reason: "NodeStatusNeverUpdated",
          message: "Kubelet never posted node status.",
          lastHeartbeatTime: node.metadata.creationTimestamp,
          lastTransitionTime: now,
        };
  });
  if (!isChanged) return node.status?.conditions ?? undefined;
  return [...present.filter(({ type }) => !watchedConditions.includes(type)), ...unknown];
}

const notReady = "node.kubernetes.io/not-ready";
const unreachable = "node.kubernetes.io/unreachable";

/** NoSchedule taints by condition and the status that brings them. */
const conditionTaints: readonly [string, string, string][] = [
  ["Ready", "False", notReady],
  ["Ready", "Unknown", unreachable],
  ["MemoryPressure", "True", "node.kubernetes.io/memory-pressure"],
  ["DiskPressure", "True", "node.kubernetes.io/disk-pressure"],
  ["NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"],
  ["PIDPressure", "True", "node.kubernetes.io/pid-pressure"],
];
const unschedulableTaint = "node.kubernetes.io/unschedulable";

/** The Node's taints as its conditions want them; undefined when they are so. Taints by others stay. */
export function wantedTaints(node: DeepReadonly<Node>, nowMs: number): DeepReadonly<Taint[]> | undefined {
  const wanted: Taint[] = [];
  for (const [type, status, key] of conditionTaints) {
    if (node.status?.conditions?.some((condition) => condition.type === type && condition.status === status)) {
      wanted.push({ key, effect: "NoSchedule" });
      if (type === "Ready") wanted.push({ key, effect: "NoExecute" });
    }
  }
  if (node.spec?.unschedulable) wanted.push({ key: unschedulableTaint, effect: "NoSchedule" });

  // A Node that never spoke keeps the taint it was admitted with.
  const hasSpoken = readyCondition(node) !== undefined;
  const managed = new Set([...conditionTaints.map(([, , key]) => key), unschedulableTaint]);
  const present = node.spec?.taints ?? [];
  const isManaged = ({ key, effect }: DeepReadonly<Taint>) =>
    managed.has(key) &&
    (hasSpoken || key !== notReady) &&
    (effect === "NoSchedule" || ((key === notReady || key === unreachable) && effect === "NoExecute"));
  const taints = [
    ...present.filter((taint) => !isManaged(taint)),
    ...wanted.map(
      (taint) =>
        present.find(({ key, effect }) => key === taint.key && effect === taint.effect) ?? {
          ...taint,
          timeAdded: rfc3339(nowMs),
        },
    ),
  ];
  const identity = (list: readonly DeepReadonly<Taint>[]) => list.map(({ key, effect }) => `${key}:${effect}`).sort();
  return semanticEqual(identity(taints), identity(present)) ? undefined : taints;
}
