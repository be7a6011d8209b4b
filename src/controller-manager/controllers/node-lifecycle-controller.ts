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
import { EvictionPace, type EvictionRates, evictionRate, type ZoneNodes } from "./node-lifecycle/zone-disruption.ts";

export interface NodeLifecycleOptions extends EvictionRates {
  /** A Node that was silent for this long is Unknown. Default 50 s. */
  nodeMonitorGracePeriodMs?: number;
  /** A Node that never spoke gets this long. Default 60 s. */
  nodeStartupGracePeriodMs?: number;
}

const leaseNamespace = "kube-node-lease";
/** How often a Node is looked at that may not lose its Pods yet. */
const reconsiderMs = 5_000;

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
  readonly #rates: EvictionRates;
  readonly #pace = new EvictionPace();
  /** No Node answers: none is evicted. */
  #isCutOff = false;

  constructor(context: ProcessContext, options: NodeLifecycleOptions) {
    this.#context = context;
    this.#graceMs = options.nodeMonitorGracePeriodMs ?? 50_000;
    this.#startupGraceMs = options.nodeStartupGracePeriodMs ?? 60_000;
    this.#startedMs = context.clock.now();
    this.#rates = options;
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
    cache.informer(Pods).addIndex(podsByNode);
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
    const eviction = this.#eviction(node);
    const taints = wantedTaints(node, clock.now(), eviction.isAllowed);
    if (taints !== undefined) {
      node = await api.update(Nodes, { ...node, spec: { ...node.spec, taints } });
    }
    if (readyCondition(node) && readyCondition(node)?.status !== "True") await this.#markPodsNotReady(node);
    const waits = [eviction.afterMs, isSilent ? undefined : silentInMs + 1].filter((ms) => ms !== undefined);
    return waits.length === 0 ? undefined : Math.min(...waits);
  }

  /** Whether a Node that is not ready may lose its Pods now, and otherwise when to ask again. */
  #eviction(node: DeepReadonly<Node>): { isAllowed: boolean; afterMs?: number } {
    const ready = readyCondition(node);
    if (!ready || ready.status === "True") {
      if (this.#isCutOff && this.#answers(node)) this.#reconnect();
      return { isAllowed: true };
    }
    const zones = this.#zones();
    const own = zoneOf(node);
    const rate = evictionRate(zones.get(own)!, [...zones.values()], this.#rates);
    if ([...zones.values()].every((zone) => zone.ready === 0)) {
      if (!this.#isCutOff) this.#cutOff();
      return { isAllowed: false, afterMs: reconsiderMs };
    }
    if (this.#isCutOff) this.#reconnect();
    if (hasNoExecute(node)) return { isAllowed: true };
    const waitMs = this.#pace.waitMs(own, rate, this.#context.clock.now());
    return waitMs === 0
      ? { isAllowed: true }
      : { isAllowed: false, afterMs: Math.min(waitMs ?? reconsiderMs, reconsiderMs) };
  }

  /** Who has missed heartbeats counts as gone before it is Unknown: what fails together shall be seen together. */
  #answers(node: DeepReadonly<Node>): boolean {
    const silentMs = this.#context.clock.now() - (this.#heardMs.get(keyOf(node)) ?? this.#startedMs);
    return readyCondition(node)?.status === "True" && silentMs < this.#graceMs / 2;
  }

  #zones(): Map<string, ZoneNodes> {
    const { cache } = this.#context;
    const zones = new Map<string, ZoneNodes>();
    for (const node of cache.list(Nodes)) {
      const isReady = this.#answers(node);
      const zone = zones.get(zoneOf(node)) ?? { ready: 0, notReady: 0 };
      zones.set(zoneOf(node), {
        ready: zone.ready + (isReady ? 1 : 0),
        notReady: zone.notReady + (isReady ? 0 : 1),
      });
    }
    return zones;
  }

  /** It is we who hear nothing: Nodes that were to lose their Pods keep them. */
  #cutOff(): void {
    const { cache, log } = this.#context;
    this.#isCutOff = true;
    log.warn("no Node is ready: no Pods are evicted until one is");
    for (const node of cache.list(Nodes)) if (hasNoExecute(node)) this.#queue.add(keyOf(node));
  }

  /** Everybody gets time to be heard of anew. */
  #reconnect(): void {
    const { cache, clock, log } = this.#context;
    this.#isCutOff = false;
    log.info("a Node is ready again: Pods of others are evicted as before");
    for (const node of cache.list(Nodes)) {
      this.#heardMs.set(keyOf(node), clock.now());
      this.#queue.add(keyOf(node));
    }
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

/** Nodes of one zone of one region. */
function zoneOf({ metadata: { labels = {} } }: DeepReadonly<Node>): string {
  return `${labels["topology.kubernetes.io/region"] ?? ""}/${labels["topology.kubernetes.io/zone"] ?? ""}`;
}

function hasNoExecute({ spec }: DeepReadonly<Node>): boolean {
  return (
    spec?.taints?.some(({ key, effect }) => effect === "NoExecute" && (key === notReady || key === unreachable)) ===
    true
  );
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

/**
 * The Node's taints as its conditions want them; undefined when they are so. Taints by others stay. `isEvicted`: whether a
 * Node that is not ready may lose its Pods.
 */
export function wantedTaints(
  node: DeepReadonly<Node>,
  nowMs: number,
  isEvicted = true,
): DeepReadonly<Taint[]> | undefined {
  const wanted: Taint[] = [];
  for (const [type, status, key] of conditionTaints) {
    if (node.status?.conditions?.some((condition) => condition.type === type && condition.status === status)) {
      wanted.push({ key, effect: "NoSchedule" });
      if (type === "Ready" && isEvicted) wanted.push({ key, effect: "NoExecute" });
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
