/** How many Pods of a kind run on each Node, kept up to date instead of counted anew for every Pod to be scheduled. */
import type { NodeInfo } from "./node-info.ts";
import { type AffinityTerm, labelKey, type PodInfo, type WeightedTerm } from "./pod-info.ts";

/** Counts on Nodes that have any; others are absent. */
export type NodeCounts = Map<NodeInfo, number>;

interface Counter {
  label: string | undefined;
  matches(pod: PodInfo): boolean;
  counts: NodeCounts;
}

/** The least recently asked for is dropped beyond this many, and counted anew when it is needed again. */
const maxCounters = 4096;

/** Pods that a selector matches, by Node. A counter comes into being when it is first asked for. */
export class PodCounters {
  readonly #byKey = new Map<string, Counter>();
  /** Counters that only Pods with a certain label can concern, by that label; and the rest. */
  readonly #byLabel = new Map<string, Set<Counter>>();
  readonly #others = new Set<Counter>();
  /** Pods on Nodes by each of their labels: what a new counter counts is found without looking at all of them. */
  readonly #podsByLabel = new Map<string, Map<PodInfo, NodeInfo>>();
  readonly #allPods: () => Iterable<readonly [PodInfo, NodeInfo]>;

  constructor(allPods: () => Iterable<readonly [PodInfo, NodeInfo]>) {
    this.#allPods = allPods;
  }

  /**
   * `key` must stand for what `matches` decides: equal keys, equal decisions. `label` (see labelKey) promises that only
   * Pods with that label match, so that others need not be asked.
   */
  counts(key: string, label: string | undefined, matches: (pod: PodInfo) => boolean): NodeCounts {
    let counter = this.#byKey.get(key);
    if (counter) this.#byKey.delete(key);
    else {
      counter = { label, matches, counts: new Map() };
      const candidates = label === undefined ? this.#allPods() : (this.#podsByLabel.get(label) ?? []);
      for (const [pod, node] of candidates) if (matches(pod)) bump(counter.counts, node, 1);
      this.#bucket(counter).add(counter);
      if (this.#byKey.size >= maxCounters) this.#drop(this.#byKey.keys().next().value!);
    }
    this.#byKey.set(key, counter);
    return counter.counts;
  }

  /** A Pod came to a Node (+1) or left it (-1). */
  account(node: NodeInfo, pod: PodInfo, sign: 1 | -1): void {
    for (const counter of this.#others) if (counter.matches(pod)) bump(counter.counts, node, sign);
    for (const name in pod.labels) {
      const label = labelKey(pod.namespace, name, pod.labels[name]!);
      if (sign > 0) addTo(this.#podsByLabel, label, pod, node);
      else removeFrom(this.#podsByLabel, label, pod);
      const counters = this.#byLabel.get(label);
      if (counters) for (const counter of counters) if (counter.matches(pod)) bump(counter.counts, node, sign);
    }
  }

  /** Forgets everything: what a selector means changed (labels of a Namespace). */
  clear(): void {
    this.#byKey.clear();
    this.#byLabel.clear();
    this.#others.clear();
  }

  #bucket({ label }: Counter): Set<Counter> {
    if (label === undefined) return this.#others;
    let bucket = this.#byLabel.get(label);
    if (!bucket) {
      bucket = new Set();
      this.#byLabel.set(label, bucket);
    }
    return bucket;
  }

  #drop(key: string): void {
    const counter = this.#byKey.get(key)!;
    this.#byKey.delete(key);
    const bucket = this.#bucket(counter);
    bucket.delete(counter);
    if (bucket.size === 0 && counter.label !== undefined) this.#byLabel.delete(counter.label);
  }
}

interface CountedTerm<T> {
  term: T;
  counts: NodeCounts;
}

/** Terms that Pods on Nodes carry, by Node: what existing Pods want or refuse beside them. */
export class TermCounters<T extends AffinityTerm | WeightedTerm> {
  /** Terms that speak of Pods with a certain label only, by that label; the rest under undefined. */
  readonly #byLabel = new Map<string | undefined, Map<string, CountedTerm<T>>>();

  account(node: NodeInfo, terms: readonly T[], sign: 1 | -1): void {
    for (const term of terms) {
      const key = "weight" in term ? `${term.weight} ${term.key}` : term.key;
      let entry = this.#byLabel.get(term.label)?.get(key);
      if (!entry) {
        if (sign < 0) continue;
        entry = { term, counts: new Map() };
        addTo(this.#byLabel, term.label, key, entry);
      }
      bump(entry.counts, node, sign);
      if (entry.counts.size === 0) removeFrom(this.#byLabel, term.label, key);
    }
  }

  /** All terms that may speak of the Pod, and some that do not. */
  *about(pod: PodInfo): Iterable<CountedTerm<T>> {
    if (this.#byLabel.size === 0) return;
    yield* this.#byLabel.get(undefined)?.values() ?? [];
    for (const name in pod.labels) {
      yield* this.#byLabel.get(labelKey(pod.namespace, name, pod.labels[name]!))?.values() ?? [];
    }
  }
}

function addTo<K, L, V>(maps: Map<K, Map<L, V>>, key: K, inner: L, value: V): void {
  const map = maps.get(key);
  if (map) map.set(inner, value);
  else maps.set(key, new Map([[inner, value]]));
}

function removeFrom<K, L, V>(maps: Map<K, Map<L, V>>, key: K, inner: L): void {
  const map = maps.get(key);
  map?.delete(inner);
  if (map?.size === 0) maps.delete(key);
}

function bump(counts: NodeCounts, node: NodeInfo, by: number): void {
  const count = (counts.get(node) ?? 0) + by;
  if (count > 0) counts.set(node, count);
  else counts.delete(node);
}

/** Sums per value of a topology label; Nodes without the label do not count. */
export function byTopology(counts: NodeCounts, topologyKey: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const [node, count] of counts) {
    const value = node.labels[topologyKey];
    if (value !== undefined && node.node) sums.set(value, (sums.get(value) ?? 0) + count);
  }
  return sums;
}
