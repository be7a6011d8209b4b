/** What the scheduler knows of the cluster: Nodes, the Pods on them, and Pods it has placed but the API has not confirmed. */
import type { Namespace, Node, Pod } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { semanticEqual } from "../apimachinery/semantic-equal.ts";
import { NodeEvaluations } from "./node-evaluations.ts";
import { NodeInfo } from "./node-info.ts";
import { PodCounters, TermCounters } from "./pod-counters.ts";
import { type AffinityTerm, type PodInfo, podInfoOf, type WeightedTerm } from "./pod-info.ts";

export class ClusterState {
  readonly counters = new PodCounters(() => this.#allPods());
  readonly requiredAntiAffinity = new TermCounters<AffinityTerm>();
  readonly requiredAffinity = new TermCounters<AffinityTerm>();
  readonly preferredAffinity = new TermCounters<WeightedTerm>();
  readonly preferredAntiAffinity = new TermCounters<WeightedTerm>();
  /** On how many Nodes each image is. */
  readonly imageNodes = new Map<string, number>();

  readonly evaluations = new NodeEvaluations();

  /** Nodes that exist, by zone. */
  readonly #zones = new Map<string, Set<NodeInfo>>();
  /** Undefined: to be put together anew. */
  #nodes: readonly NodeInfo[] | undefined;
  readonly #freeSlots: number[] = [];
  /** How many slots there are, free ones included. */
  #slots = 0;
  readonly #byName = new Map<string, NodeInfo>();
  /** Where each Pod is, by uid. */
  readonly #places = new Map<string, { node: NodeInfo; pod: PodInfo; isAssumed: boolean }>();
  readonly #namespaces = new Map<string, Readonly<Record<string, string>>>();
  /** Pods that wait for room which is being made for them, by Node. */
  readonly #nominated = new Map<string, Map<string, PodInfo>>();
  /** The Node's name by the Pod's uid. */
  readonly #nominations = new Map<string, string>();

  /** Nodes that exist, in a stable order that takes one of each zone in turn: a share of them is a share of every zone. */
  get nodes(): readonly NodeInfo[] {
    this.#nodes ??= inTurn([...this.#zones.values()].map((zone) => [...zone]));
    return this.#nodes;
  }

  /** Every Node's slot is below this. */
  get slots(): number {
    return this.#slots;
  }

  node(name: string): NodeInfo | undefined {
    const info = this.#byName.get(name);
    return info?.node ? info : undefined;
  }

  setNode(node: DeepReadonly<Node>): void {
    const info = this.#nodeInfo(node.metadata.name);
    const zone = info.node && zoneOf(info);
    this.#countImages(info, -1);
    info.setNode(node);
    this.#countImages(info, 1);
    this.evaluations.forget(info.slot);
    if (zone === zoneOf(info)) return;
    if (zone !== undefined) this.#leaveZone(zone, info);
    const zoneNodes = this.#zones.get(zoneOf(info));
    if (zoneNodes) zoneNodes.add(info);
    else this.#zones.set(zoneOf(info), new Set([info]));
    this.#nodes = undefined;
  }

  removeNode(name: string): void {
    const info = this.#byName.get(name);
    if (!info?.node) return;
    this.#countImages(info, -1);
    this.#leaveZone(zoneOf(info), info);
    info.setNode(undefined);
    this.#dropIfUnused(info);
  }

  /** Takes in a Pod that is bound to a Node, as the API tells. */
  setPod(pod: DeepReadonly<Pod>): void {
    const { uid } = pod.metadata;
    const place = this.#places.get(uid);
    const nodeName = pod.spec.nodeName!;
    if (place) {
      if (place.node.name === nodeName && isSameToScheduler(place.pod.pod, pod)) {
        place.isAssumed = false;
        return;
      }
      this.#remove(uid);
    }
    this.#add(this.#nodeInfo(nodeName), podInfoOf(pod), false);
  }

  /** Places a Pod before the API has confirmed it: the next one must not take its room. */
  assume(pod: PodInfo, node: NodeInfo): void {
    this.#remove(pod.uid);
    this.#add(node, pod, true);
  }

  /** Takes an assumption back: the binding failed. */
  forget(uid: string): void {
    if (this.#places.get(uid)?.isAssumed) this.#remove(uid);
  }

  isPlaced(uid: string): boolean {
    return this.#places.has(uid);
  }

  removePod(uid: string): void {
    this.#remove(uid);
  }

  /** Takes Pods off a Node, looks, and puts them back: for the question what their leaving would change. */
  without<T>(pods: readonly PodInfo[], look: () => T): T {
    const places = pods.map((pod) => this.#places.get(pod.uid)!);
    for (const { pod } of places) this.#remove(pod.uid);
    try {
      return look();
    } finally {
      for (const { node, pod, isAssumed } of places) this.#add(node, pod, isAssumed);
    }
  }

  /** Puts Pods on a Node, looks, and takes them off again. */
  with<T>(node: NodeInfo, pods: readonly PodInfo[], look: () => T): T {
    const added = pods.filter((pod) => !this.#places.has(pod.uid));
    for (const pod of added) this.#add(node, pod, true);
    try {
      return look();
    } finally {
      for (const pod of added) this.#remove(pod.uid);
    }
  }

  nominate(pod: PodInfo, nodeName: string): void {
    this.clearNomination(pod.uid);
    this.#nominations.set(pod.uid, nodeName);
    const pods = this.#nominated.get(nodeName);
    if (pods) pods.set(pod.uid, pod);
    else this.#nominated.set(nodeName, new Map([[pod.uid, pod]]));
  }

  clearNomination(uid: string): void {
    const name = this.#nominations.get(uid);
    if (name === undefined) return;
    this.#nominations.delete(uid);
    const pods = this.#nominated.get(name);
    pods?.delete(uid);
    if (pods?.size === 0) this.#nominated.delete(name);
  }

  /** The Node on which room is made for the Pod. */
  nominationOf(uid: string): NodeInfo | undefined {
    const name = this.#nominations.get(uid);
    return name === undefined ? undefined : this.node(name);
  }

  nominatedOn(nodeName: string): Iterable<PodInfo> {
    return this.#nominated.get(nodeName)?.values() ?? [];
  }

  get hasNominations(): boolean {
    return this.#nominated.size > 0;
  }

  setNamespace({ metadata }: DeepReadonly<Namespace>): void {
    this.#namespaces.set(metadata.name, metadata.labels ?? {});
    this.counters.clear();
  }

  removeNamespace(name: string): void {
    this.#namespaces.delete(name);
  }

  readonly namespaceLabels = (namespace: string): Readonly<Record<string, string>> | undefined =>
    this.#namespaces.get(namespace);

  #leaveZone(zone: string, info: NodeInfo): void {
    const zoneNodes = this.#zones.get(zone);
    zoneNodes?.delete(info);
    if (zoneNodes?.size === 0) this.#zones.delete(zone);
    this.#nodes = undefined;
  }

  #nodeInfo(name: string): NodeInfo {
    let info = this.#byName.get(name);
    if (!info) {
      info = new NodeInfo(name, this.#freeSlots.pop() ?? this.#slots++);
      this.#byName.set(name, info);
    }
    return info;
  }

  #add(node: NodeInfo, pod: PodInfo, isAssumed: boolean): void {
    this.#places.set(pod.uid, { node, pod, isAssumed });
    node.addPod(pod);
    this.#count(node, pod, 1);
  }

  #remove(uid: string): void {
    const place = this.#places.get(uid);
    if (!place) return;
    this.#places.delete(uid);
    place.node.removePod(place.pod);
    this.#count(place.node, place.pod, -1);
    this.#dropIfUnused(place.node);
  }

  #dropIfUnused(info: NodeInfo): void {
    if (info.node || info.pods.size > 0 || !this.#byName.delete(info.name)) return;
    this.evaluations.forget(info.slot);
    this.#freeSlots.push(info.slot);
  }

  #count(node: NodeInfo, pod: PodInfo, sign: 1 | -1): void {
    this.evaluations.forget(node.slot);
    this.counters.account(node, pod, sign);
    this.requiredAntiAffinity.account(node, pod.requiredAntiAffinity, sign);
    this.requiredAffinity.account(node, pod.requiredAffinity, sign);
    this.preferredAffinity.account(node, pod.preferredAffinity, sign);
    this.preferredAntiAffinity.account(node, pod.preferredAntiAffinity, sign);
  }

  #countImages(info: NodeInfo, sign: 1 | -1): void {
    for (const name of info.images.keys()) {
      const count = (this.imageNodes.get(name) ?? 0) + sign;
      if (count > 0) this.imageNodes.set(name, count);
      else this.imageNodes.delete(name);
    }
  }

  *#allPods(): Iterable<readonly [PodInfo, NodeInfo]> {
    for (const { node, pod } of this.#places.values()) yield [pod, node];
  }
}

function zoneOf({ labels }: NodeInfo): string {
  return `${labels["topology.kubernetes.io/region"] ?? ""}/${labels["topology.kubernetes.io/zone"] ?? ""}`;
}

/** The first of each list, then the second of each, and so on. */
function inTurn<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  const all: T[] = [];
  for (let i = 0; i < longest; i++) for (const list of lists) if (i < list.length) all.push(list[i]!);
  return all;
}

/** Most updates of a Pod are of its status, and change nothing that is accounted for. */
function isSameToScheduler(a: DeepReadonly<Pod>, b: DeepReadonly<Pod>): boolean {
  if (a === b) return true;
  return (
    (a.metadata.deletionTimestamp === undefined) === (b.metadata.deletionTimestamp === undefined) &&
    semanticEqual(a.metadata.labels, b.metadata.labels) &&
    semanticEqual(a.spec.containers, b.spec.containers) &&
    semanticEqual(a.spec.initContainers, b.spec.initContainers) &&
    semanticEqual(a.spec.resources, b.spec.resources) &&
    semanticEqual(a.spec.affinity, b.spec.affinity)
  );
}
