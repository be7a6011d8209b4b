/** Gives Pods their Nodes: watches, decides one Pod at a time, binds in parallel (kube-scheduler). */
import type { Namespace, Node, Pod } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import type { ResourceClaim } from "../api/resource/v1.ts";
import {
  CSIDrivers,
  CSINodes,
  CSIStorageCapacities,
  DeviceClasses,
  Namespaces,
  Nodes,
  PersistentVolumeClaims,
  PersistentVolumes,
  PodDisruptionBudgets,
  Pods,
  ReplicaSets,
  ReplicationControllers,
  ResourceClaims,
  ResourceSlices,
  Services,
  StatefulSets,
  StorageClasses,
} from "../api/resources.ts";
import { semanticEqual } from "../apimachinery/semantic-equal.ts";
import { isConflict, isNotFound } from "../apimachinery/status-error.ts";
import { type Clock, rfc3339 } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import { type Client, refOf } from "../client/client.ts";
import { keyOf } from "../controller-runtime/cache.ts";
import type { Change } from "../controller-runtime/informer.ts";
import { InformerCache } from "../controller-runtime/informer-cache.ts";
import { isNamespaceTerminating } from "../controller-runtime/namespace-terminating.ts";
import { createSeriesRecorder, type SeriesRecorder } from "../controller-runtime/series-recorder.ts";
import { servicesBySelectorPair } from "../controller-runtime/service-indexes.ts";
import { whenAborted } from "../controller-runtime/when-aborted.ts";
import { filterByExtenders, preemptByExtenders, scoresOfExtenders } from "./ask-extenders.ts";
import { ClusterState } from "./cluster-state.ts";
import { defaultSpreadingFrom } from "./default-spreading.ts";
import { ClaimLedger } from "./dynamic-resources/claim-ledger.ts";
import { Extender, type ExtenderConfig } from "./extender.ts";
import { failureMessage } from "./failure-message.ts";
import { chooseNode, type Diagnosis, findFeasible, findNode, type SearchPosition, stillFeasible } from "./find-node.ts";
import { type ClusterEvent, type Profile, SchedulingError } from "./framework.ts";
import type { NodeInfo } from "./node-info.ts";
import { chooseCandidate, findCandidates } from "./plugins/default-preemption.ts";
import { DynamicResources } from "./plugins/dynamic-resources.ts";
import { nodeVolumeLimits } from "./plugins/node-volume-limits.ts";
import { VolumeBinding } from "./plugins/volume-binding.ts";
import { volumeRestrictions } from "./plugins/volume-restrictions.ts";
import { volumeZone } from "./plugins/volume-zone.ts";
import { type PodInfo, podInfoOf } from "./pod-info.ts";
import { compileProfiles, type ProfileConfig } from "./profile-config.ts";
import { type QueuedPod, SchedulingQueue } from "./scheduling-queue.ts";

export interface SchedulerOptions {
  client: Client;
  clock: Clock;
  random: Random;
  log: Logger;
  signal: AbortSignal;
  /** The machine, as events name it: `default-scheduler-HOST`. Default: localhost. */
  host?: string;
  /** Schedulers served beside each other, by name. Default: `default-scheduler` with the default plugins. */
  profiles?: readonly ProfileConfig[];
  /** How many Nodes of a large cluster are looked at, in percent. Default 0: by its size. */
  percentageOfNodesToScore?: number;
  /** How long a Pod that failed is left alone at first, and at most. Default: 1 and 10. */
  podInitialBackoffSeconds?: number;
  podMaxBackoffSeconds?: number;
  /** Programs that have a say. Default: none. */
  extenders?: readonly ExtenderConfig[];
}

export interface RunningScheduler {
  /** Resolves when the first lists are in and scheduling has begun. */
  ready: Promise<void>;
  /** Resolves when the signal has aborted and all bindings in hand are answered. */
  done: Promise<void>;
}

export function startScheduler(options: SchedulerOptions): RunningScheduler {
  const scheduler = new Scheduler(options);
  return { ready: scheduler.start(), done: scheduler.done };
}

/** Decisions are made in slices of this length, so that the process can do other things in between. */
const sliceMs = 4;
/** Nodes that extenders let pass and that are full by then; after so many such answers the Pod backs off. */
const mostTriesAsking = 5;

class Scheduler {
  readonly done: Promise<void>;
  readonly #options: SchedulerOptions;
  readonly #cache: InformerCache;
  readonly #cluster = new ClusterState();
  readonly #queue: SchedulingQueue;
  readonly #profiles: ReadonlyMap<string, Profile>;
  readonly #events: ReadonlyMap<string, SeriesRecorder>;
  readonly #volumeBinding: VolumeBinding;
  readonly #claims = new ClaimLedger();
  readonly #dynamicResources: DynamicResources;
  readonly #position: SearchPosition = { next: 0 };
  readonly #binding = new Set<Promise<void>>();
  readonly #extenders: readonly Extender[];
  /** An extender is being asked about a Pod: the next one waits for what becomes of it. */
  #isAsking = false;
  #isReady = false;
  #isPumpQueued = false;

  constructor(options: SchedulerOptions) {
    const { client, clock, random, log, signal } = options;
    this.#options = options;
    this.#cache = new InformerCache({ client, clock, log, signal });
    this.#volumeBinding = new VolumeBinding({ client, clock, cache: this.#cache, signal });
    const volumePlugins = [
      volumeRestrictions(this.#cache),
      nodeVolumeLimits(this.#cache),
      this.#volumeBinding,
      volumeZone(this.#cache),
    ];
    const dynamicResources = new DynamicResources({
      client,
      clock,
      random,
      cache: this.#cache,
      claims: this.#claims,
      signal,
      onWaiting: (pod, node) => {
        const note = `waiting for binding conditions for device on node ${node}`;
        const told = { type: "Normal", reason: "BindingConditionsPending", action: "Scheduling", note } as const;
        this.#events.get(pod.spec.schedulerName ?? "default-scheduler")?.event({ regarding: pod, ...told });
      },
    });
    this.#dynamicResources = dynamicResources;
    const defaultSpreading = defaultSpreadingFrom(this.#cache);
    const surroundings = { defaultSpreading, volumePlugins, dynamicResources };
    const { extenders = [], percentageOfNodesToScore, podInitialBackoffSeconds, podMaxBackoffSeconds } = options;
    this.#extenders = extenders.map((config) => new Extender(config, clock));
    const leftToExtenders = extenders
      .flatMap(({ managedResources = [] }) => managedResources)
      .filter(({ ignoredByScheduler }) => ignoredByScheduler)
      .map(({ name }) => name);
    const profiles = compileProfiles(options.profiles ?? [{}], {
      ...surroundings,
      leftToExtenders,
      percentageOfNodesToScore,
    });
    this.#profiles = new Map(profiles.map((profile) => [profile.schedulerName, profile]));
    this.#events = new Map(
      profiles.map(({ schedulerName }) => [
        schedulerName,
        createSeriesRecorder({
          client,
          clock,
          log,
          controller: schedulerName,
          host: options.host ?? "localhost",
          signal,
        }),
      ]),
    );
    const initialMs = (podInitialBackoffSeconds ?? 1) * 1000;
    const maximumMs = (podMaxBackoffSeconds ?? 10) * 1000;
    this.#queue = new SchedulingQueue({
      clock,
      wake: () => this.#pumpSoon(),
      backoff: { initialMs, maximumMs },
    });
    this.done = whenAborted(signal).then(async () => {
      this.#queue.close();
      await Promise.all(this.#binding);
      for (const extender of this.#extenders) extender.close();
      await this.#cache.stopped();
    });
  }

  async start(): Promise<void> {
    const cache = this.#cache;
    cache.informer(Services).addIndex(servicesBySelectorPair);
    for (const resource of [ReplicaSets, StatefulSets, ReplicationControllers, PodDisruptionBudgets]) {
      cache.informer<never>(resource as never);
    }
    for (const resource of [
      PersistentVolumeClaims,
      PersistentVolumes,
      StorageClasses,
      CSINodes,
      CSIDrivers,
      CSIStorageCapacities,
    ]) {
      cache.informer<never>(resource as never).addHandler(() => {
        this.#queue.notify("StorageChanged");
        this.#volumeBinding.changed();
      });
    }
    cache.informer(ResourceClaims).addHandler((change) => this.#onClaim(change));
    cache.informer(ResourceSlices).addHandler(() => {
      this.#dynamicResources.slicesChanged();
      this.#queue.notify("ResourceSliceChanged");
    });
    cache.informer(DeviceClasses).addHandler(() => {
      this.#dynamicResources.classesChanged();
      this.#queue.notify("DeviceClassChanged");
    });
    cache.informer(Namespaces).addHandler((change) => this.#onNamespace(change));
    cache.informer(Nodes).addHandler((change) => this.#onNode(change));
    cache.informer(Pods).addHandler((change) => this.#onPod(change));
    await cache.synced();
    this.#isReady = true;
    this.#pumpSoon();
  }

  #onNamespace({ type, object, previous }: Change<Namespace>): void {
    if (type === "DELETED") this.#cluster.removeNamespace(object.metadata.name);
    else if (!semanticEqual(object.metadata.labels, previous?.metadata.labels)) this.#cluster.setNamespace(object);
  }

  #onClaim({ type, object, previous }: Change<ResourceClaim>): void {
    const isGone = type === "DELETED";
    this.#claims.see(object, isGone);
    this.#dynamicResources.claimsChanged();
    const isFreed =
      ((isGone || !object.status?.allocation) && (previous ?? object).status?.allocation !== undefined) ||
      (object.status?.reservedFor?.length ?? 0) < (previous?.status?.reservedFor?.length ?? 0);
    this.#queue.notify(isFreed ? "ResourceClaimFreed" : "ResourceClaimChanged");
  }

  #onNode({ type, object, previous }: Change<Node>): void {
    if (type === "DELETED") {
      this.#cluster.removeNode(object.metadata.name);
      return;
    }
    const changes = previous ? nodeChanges(previous, object) : (["NodeAdded"] as const);
    // Heartbeats change nothing that is looked at here.
    if (changes.length === 0 && previous && semanticEqual(previous.status?.images, object.status?.images)) return;
    this.#cluster.setNode(object);
    for (const event of changes) this.#queue.notify(event);
  }

  #onPod({ type, object, previous }: Change<Pod>): void {
    const { uid } = object.metadata;
    if (type === "DELETED") this.#volumeBinding.changed();
    const isOver = type === "DELETED" || object.status?.phase === "Succeeded" || object.status?.phase === "Failed";
    if (isOver) {
      this.#queue.remove(uid);
      this.#cluster.clearNomination(uid);
      if (this.#cluster.isPlaced(uid)) {
        this.#cluster.removePod(uid);
        this.#queue.notify("PodRemoved");
      }
    } else if (object.spec.nodeName) {
      this.#queue.remove(uid);
      this.#cluster.clearNomination(uid);
      const isNew = !this.#cluster.isPlaced(uid);
      this.#cluster.setPod(object);
      if (isNew) this.#queue.notify("PodAdded");
      else if (previous) {
        if (!semanticEqual(previous.metadata.labels, object.metadata.labels)) this.#queue.notify("PodLabelsChanged");
        if (previous.spec.containers !== object.spec.containers) this.#notifyIfScaledDown(previous, object);
        // Room on a Node counts as taken until its Pod is gone, but spreading looks at it at once.
        if (!previous.metadata.deletionTimestamp && object.metadata.deletionTimestamp)
          this.#queue.notify("PodLabelsChanged");
      }
    } else this.#onUnassigned(object, previous);
  }

  #notifyIfScaledDown(previous: DeepReadonly<Pod>, pod: DeepReadonly<Pod>): void {
    const [before, after] = [podInfoOf(previous).requests, podInfoOf(pod).requests];
    if (after.milliCpu < before.milliCpu || after.memory < before.memory) this.#queue.notify("PodScaledDown");
  }

  #onUnassigned(pod: DeepReadonly<Pod>, previous: DeepReadonly<Pod> | undefined): void {
    const { uid, deletionTimestamp } = pod.metadata;
    if (deletionTimestamp || !this.#profiles.has(pod.spec.schedulerName ?? "default-scheduler")) {
      this.#queue.remove(uid);
      return;
    }
    if (pod.spec.schedulingGates?.length) return;
    const nominated = pod.status?.nominatedNodeName;
    if (nominated) this.#cluster.nominate(podInfoOf(pod), nominated);
    // Placed by us, and the binding is on its way.
    if (this.#cluster.isPlaced(uid)) return;
    const isChanged =
      !previous ||
      !this.#queue.has(uid) ||
      !semanticEqual(previous.spec, pod.spec) ||
      !semanticEqual(previous.metadata.labels, pod.metadata.labels);
    if (isChanged) this.#queue.add(pod);
    else this.#queue.refresh(pod);
    if (!isChanged && !semanticEqual(previous.status?.resourceClaimStatuses, pod.status?.resourceClaimStatuses))
      this.#queue.notify("PodResourceClaimsChanged");
  }

  #pumpSoon(): void {
    if (this.#isPumpQueued || !this.#isReady || this.#isAsking) return;
    this.#isPumpQueued = true;
    queueMicrotask(() => {
      this.#isPumpQueued = false;
      this.#pump();
    });
  }

  #pump(): void {
    const { clock, signal } = this.#options;
    const untilMs = clock.now() + sliceMs;
    while (!signal.aborted && !this.#isAsking) {
      const queued = this.#queue.pop();
      if (!queued) return;
      this.#schedule(queued);
      if (clock.now() < untilMs) continue;
      this.#isPumpQueued = true;
      clock.setTimer(0, () => {
        this.#isPumpQueued = false;
        this.#pump();
      });
      return;
    }
  }

  #schedule(queued: QueuedPod): void {
    const { random } = this.#options;
    const pod = podInfoOf(queued.pod);
    const profile = this.#profiles.get(queued.pod.spec.schedulerName ?? "default-scheduler");
    if (!profile) {
      this.#queue.done(pod.uid);
      return;
    }
    try {
      for (const plugin of profile.plugins) {
        if (!plugin.preEnqueue?.(pod)) continue;
        this.#queue.putBack(queued, new Set(plugin.wakesOn));
        return;
      }
      const asked = this.#extenders.filter((extender) => extender.isInterestedIn(pod));
      if (asked.length > 0) {
        this.#isAsking = true;
        this.#track(this.#scheduleAsking(profile, queued, pod, asked));
        return;
      }
      const decision = findNode(profile, pod, this.#cluster, random, this.#position);
      if (decision.kind === "placed") this.#place(profile, queued, pod, decision.node);
      else this.#track(this.#fail(profile, queued, pod, decision));
    } catch (error) {
      this.#putFailed(profile, queued, error);
    }
  }

  #place(profile: Profile, queued: QueuedPod, pod: PodInfo, node: NodeInfo): void {
    this.#cluster.assume(pod, node);
    for (const plugin of profile.plugins) plugin.reserve?.(pod, node);
    this.#track(this.#bind(profile, queued, pod, node));
  }

  #putFailed(profile: Profile, queued: QueuedPod, error: unknown): void {
    const { log } = this.#options;
    if (error instanceof SchedulingError) this.#track(this.#tellError(profile, queued.pod, error.message));
    else log.error("scheduling failed", { pod: keyOf(queued.pod), error: String((error as Error).stack ?? error) });
    this.#queue.putFailed(queued);
  }

  /** As without extenders, but that the cluster goes on while they think: what they let pass is looked at once more. */
  async #scheduleAsking(
    profile: Profile,
    queued: QueuedPod,
    pod: PodInfo,
    extenders: readonly Extender[],
  ): Promise<void> {
    const { log, random, signal } = this.#options;
    try {
      for (let tries = 1; ; tries++) {
        const found = findFeasible(profile, pod, this.#cluster, this.#position);
        const search = await filterByExtenders(extenders, pod, found, log);
        const extra =
          search.feasible.length > 1 ? await scoresOfExtenders(extenders, pod, search.feasible, log) : undefined;
        if (signal.aborted || !this.#queue.isInFlight(pod.uid)) return;
        if (search.feasible.length === 0) {
          await this.#fail(profile, queued, pod, search, extenders);
          return;
        }
        const nodes = stillFeasible(profile, pod, this.#cluster, search.feasible);
        const node = chooseNode(profile, pod, this.#cluster, nodes, random, extra);
        if (node) {
          this.#place(profile, queued, pod, node);
          return;
        }
        if (tries >= mostTriesAsking) throw new SchedulingError("no node stayed feasible while extenders were asked");
      }
    } catch (error) {
      if (signal.aborted || !this.#queue.isInFlight(pod.uid)) return;
      this.#putFailed(profile, queued, error);
    } finally {
      this.#isAsking = false;
      this.#pumpSoon();
    }
  }

  #track(work: Promise<void>): void {
    this.#binding.add(work);
    void work.finally(() => this.#binding.delete(work));
  }

  async #bind({ schedulerName, plugins }: Profile, queued: QueuedPod, pod: PodInfo, node: NodeInfo): Promise<void> {
    const { client, clock, log, signal } = this.#options;
    const { name, namespace, uid } = pod;
    const events = this.#events.get(schedulerName)!;
    // Told when it is done, as of now: the Node hears of the Pod before the answer is here, and its first event must not look older.
    const startedMs = clock.now();
    let rejected = "";
    try {
      for (const plugin of plugins) {
        const pending = plugin.preBind?.(pod, node);
        if (pending) await pending;
      }
      rejected = "binding rejected: ";
      if (!(await this.#bindByExtender(pod, node))) {
        await client.createSubresource(Pods, { name, namespace }, "binding", {
          apiVersion: "v1",
          kind: "Binding",
          metadata: { name, namespace, uid },
          target: { apiVersion: "v1", kind: "Node", name: node.name },
        });
      }
      this.#queue.done(uid);
      const note = `Successfully assigned ${namespace}/${name} to ${node.name}`;
      const told = { type: "Normal", reason: "Scheduled", action: "Binding", note, atMs: startedMs } as const;
      events.event({ regarding: queued.pod, ...told });
    } catch (error) {
      if (signal.aborted) return;
      for (const plugin of plugins) plugin.unreserve?.(pod);
      this.#cluster.forget(uid);
      this.#queue.notify("PodRemoved");
      const current = this.#cache.get(Pods, keyOf(queued.pod));
      const isSettled = current?.metadata.uid !== uid || current.spec.nodeName || current.metadata.deletionTimestamp;
      if (isNotFound(error) || isSettled) return this.#queue.done(uid);
      if (!isConflict(error))
        log.warn("binding failed", { pod: keyOf(queued.pod), node: node.name, error: String(error) });
      this.#tellFailure(schedulerName, queued.pod, `${rejected}${(error as Error).message}`);
      this.#queue.putFailed(queued);
    }
  }

  /** Whether an extender has bound the Pod. */
  async #bindByExtender(pod: PodInfo, node: NodeInfo): Promise<boolean> {
    const { log } = this.#options;
    for (const extender of this.#extenders) {
      if (!extender.config.bindVerb || !extender.isInterestedIn(pod)) continue;
      try {
        await extender.bind(pod, node.name);
        return true;
      } catch (error) {
        if (!extender.config.ignorable) throw error;
        log.warn("an extender that may be ignored did not bind", {
          extender: extender.config.urlPrefix,
          error: (error as Error).message,
        });
      }
    }
    return false;
  }

  async #fail(
    profile: Profile,
    queued: QueuedPod,
    pod: PodInfo,
    diagnosis: Diagnosis,
    extenders: readonly Extender[] = [],
  ): Promise<void> {
    const { log, signal } = this.#options;
    const cluster = this.#cluster;
    const totalNodes = cluster.nodes.length;
    const preemption =
      totalNodes === 0 || profile.preempts === false
        ? { candidates: [], message: "" }
        : findCandidates(profile, pod, diagnosis, cluster, this.#cache.list(PodDisruptionBudgets));
    // Without extenders nothing is awaited here.
    const candidates =
      extenders.length > 0
        ? await preemptByExtenders(extenders, pod, preemption.candidates, log)
        : preemption.candidates;
    const plan = chooseCandidate(candidates, preemption.message);
    if (extenders.length > 0 && !this.#queue.isInFlight(pod.uid)) return;
    const wakesOn = new Set<ClusterEvent>(["NodeAdded"]);
    for (const plugin of profile.plugins) {
      if (diagnosis.plugins.has(plugin.name)) for (const event of plugin.wakesOn) wakesOn.add(event);
    }
    let claims: string | undefined;
    for (const plugin of profile.plugins) claims = plugin.postFilter?.(pod, diagnosis.refusals) ?? claims;
    const message = failureMessage(totalNodes, diagnosis, plan.kind === "none" ? plan.message : "", claims);
    // Before anything is awaited: an event that helps must find the Pod waiting.
    if (plan.kind === "evict") {
      // Whoever was to get room on the Node, and is less important, looks elsewhere.
      for (const other of [...cluster.nominatedOn(plan.node.name)]) {
        if (other.priority < pod.priority) this.#track(this.#clearNomination(other));
      }
      cluster.nominate(pod, plan.node.name);
    }
    this.#queue.putUnschedulable(queued, wakesOn);
    this.#tellFailure(profile.schedulerName, queued.pod, message);
    try {
      const nominatedNodeName = plan.kind === "evict" ? plan.node.name : undefined;
      await this.#writeFailure(queued.pod, message, nominatedNodeName);
      if (plan.kind === "evict") await Promise.all(plan.victims.map((victim) => this.#evict(victim, pod, plan.node)));
    } catch (error) {
      if (!signal.aborted)
        log.warn("a scheduling failure could not be recorded", { pod: keyOf(queued.pod), error: String(error) });
    }
  }

  #tellFailure(schedulerName: string, pod: DeepReadonly<Pod>, note: string): void {
    const told = { type: "Warning", reason: "FailedScheduling", action: "Scheduling", note } as const;
    this.#events.get(schedulerName)!.event({ regarding: pod, ...told });
  }

  async #tellError({ schedulerName }: Profile, pod: DeepReadonly<Pod>, message: string): Promise<void> {
    this.#tellFailure(schedulerName, pod, message);
    try {
      await this.#writeFailure(pod, message, pod.status?.nominatedNodeName, "SchedulerError");
    } catch (error) {
      this.#options.log.warn("a scheduling failure could not be recorded", { pod: keyOf(pod), error: String(error) });
    }
  }

  async #writeFailure(
    pod: DeepReadonly<Pod>,
    message: string,
    nominatedNodeName: string | undefined,
    reason = "Unschedulable",
  ): Promise<void> {
    const { client, clock } = this.#options;
    const present = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
    const isSame = present?.status === "False" && present.reason === reason && present.message === message;
    if (isSame && nominatedNodeName === pod.status?.nominatedNodeName) return;
    const lastTransitionTime = present?.status === "False" ? present.lastTransitionTime : rfc3339(clock.now());
    const condition = { type: "PodScheduled", status: "False", reason, message, lastTransitionTime };
    const status = { conditions: [condition], ...(nominatedNodeName ? { nominatedNodeName } : {}) };
    const body = { metadata: { uid: pod.metadata.uid }, status };
    try {
      await client.patch(Pods, refOf(pod), { type: "strategic", body }, { subresource: "status" });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error) && !isNamespaceTerminating(error)) throw error;
    }
  }

  async #clearNomination({ uid, name, namespace }: PodInfo): Promise<void> {
    this.#cluster.clearNomination(uid);
    try {
      const body = { metadata: { uid }, status: { nominatedNodeName: null } };
      await this.#options.client.patch(Pods, { name, namespace }, { type: "merge", body }, { subresource: "status" });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error) && !this.#options.signal.aborted)
        this.#options.log.warn("a nomination could not be taken back", { pod: name, error: String(error) });
    }
  }

  async #evict(victim: PodInfo, preemptor: PodInfo, node: NodeInfo): Promise<void> {
    const { client, clock } = this.#options;
    if (victim.pod.metadata.deletionTimestamp) return;
    const { schedulerName = "default-scheduler" } = preemptor.pod.spec;
    const condition = {
      type: "DisruptionTarget",
      status: "True",
      reason: "PreemptionByScheduler",
      message: `${schedulerName}: preempting to accommodate a higher priority pod`,
      lastTransitionTime: rfc3339(clock.now()),
    };
    const ref = refOf(victim.pod);
    const { uid } = victim;
    try {
      const body = { metadata: { uid }, status: { conditions: [condition] } };
      await client.patch(Pods, ref, { type: "strategic", body }, { subresource: "status" });
      await client.delete(Pods, ref, { preconditions: { uid } });
      const note = `Preempted by pod ${preemptor.uid} on node ${node.name}`;
      const told = { type: "Normal", reason: "Preempted", action: "Preempting", note } as const;
      this.#events.get(schedulerName)?.event({ regarding: victim.pod, related: preemptor.pod, ...told });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }
}

function nodeChanges(before: DeepReadonly<Node>, after: DeepReadonly<Node>): ClusterEvent[] {
  const events: ClusterEvent[] = [];
  if (!semanticEqual(before.status?.allocatable, after.status?.allocatable)) events.push("NodeAllocatableChanged");
  if (!semanticEqual(before.metadata.labels, after.metadata.labels)) events.push("NodeLabelsChanged");
  if (
    !semanticEqual(before.spec?.taints, after.spec?.taints) ||
    (before.spec?.unschedulable === true) !== (after.spec?.unschedulable === true)
  ) {
    events.push("NodeTaintsChanged");
  }
  return events;
}
