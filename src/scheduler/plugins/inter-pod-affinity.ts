/** Pods that want or refuse to be near other Pods: on the same Node, zone, or whatever a label says. */
import type { ClusterState } from "../cluster-state.ts";
import { type NodeScorer, refusal, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import { byTopology, type NodeCounts } from "../pod-counters.ts";
import { type AffinityTerm, type PodInfo, termMatches } from "../pod-info.ts";

const affinityMismatch = refusal("node(s) didn't match pod affinity rules", true);
const antiAffinityMismatch = refusal("node(s) didn't match pod anti-affinity rules");
const existingAntiAffinity = refusal("node(s) didn't satisfy existing pods anti-affinity rules");

/** Upstream's InterPodAffinityArgs. */
export interface InterPodAffinityArgs {
  /** What required affinity of an existing Pod to the incoming one counts for in scores. Default 1. */
  hardPodAffinityWeight?: number;
  /** Leaves out what existing Pods would like. */
  ignorePreferredTermsOfExistingPods?: boolean;
}

export const interPodAffinity = (args: InterPodAffinityArgs = {}): SchedulerPlugin => ({
  name: "InterPodAffinity",
  weight: 2,
  wakesOn: ["NodeAdded", "NodeLabelsChanged", "PodAdded", "PodRemoved", "PodLabelsChanged"],
  filter(pod, cluster) {
    const refused = refusedPlaces(pod, cluster);
    const { requiredAffinity, requiredAntiAffinity } = pod;
    if (!refused && requiredAffinity.length === 0 && requiredAntiAffinity.length === 0) return undefined;
    const anti = requiredAntiAffinity.map((term) => placesOf(term, cluster));
    const wanted = affinityPlaces(pod, cluster);
    return (node) => {
      if (wanted && !wanted(node)) return affinityMismatch;
      if (anti.some(({ topologyKey, places }) => holds(node, topologyKey, places))) return antiAffinityMismatch;
      if (refused?.some(({ topologyKey, places }) => holds(node, topologyKey, places))) return existingAntiAffinity;
      return undefined;
    };
  },
  score: (pod, cluster) => scorer(pod, cluster, args),
});

interface Places {
  topologyKey: string;
  /** Values of the topology label, and how many Pods are there. */
  places: ReadonlyMap<string, number>;
}

function holds(node: NodeInfo, topologyKey: string, places: ReadonlyMap<string, number>): boolean {
  const value = node.labels[topologyKey];
  return value !== undefined && places.has(value);
}

/** Where Pods are that a term speaks of. */
function placesOf(term: AffinityTerm, cluster: ClusterState): Places {
  return { topologyKey: term.topologyKey, places: byTopology(countsOf(term, cluster), term.topologyKey) };
}

function countsOf(term: AffinityTerm, cluster: ClusterState): NodeCounts {
  return cluster.counters.counts(`affinity ${term.key}`, term.label, (pod) =>
    termMatches(term, pod, cluster.namespaceLabels),
  );
}

/** Where existing Pods refuse the incoming one. */
function refusedPlaces(pod: PodInfo, cluster: ClusterState): Places[] | undefined {
  let refused: Places[] | undefined;
  for (const { term, counts } of cluster.requiredAntiAffinity.about(pod)) {
    if (!termMatches(term, pod, cluster.namespaceLabels)) continue;
    refused ??= [];
    refused.push({ topologyKey: term.topologyKey, places: byTopology(counts, term.topologyKey) });
  }
  return refused;
}

/** Every term must be met by Pods that are there; the first of a group that wants to be together may go anywhere. */
function affinityPlaces(pod: PodInfo, cluster: ClusterState): ((node: NodeInfo) => boolean) | undefined {
  const terms = pod.requiredAffinity;
  if (terms.length === 0) return undefined;
  // A Pod meets the terms when it matches all of them: one of two is not company.
  const matchesAll = (other: PodInfo) => terms.every((term) => termMatches(term, other, cluster.namespaceLabels));
  const key = `affinity-all ${terms.map((term) => term.key).join(" ")}`;
  const counts = cluster.counters.counts(key, terms[0]!.label, matchesAll);
  const places = terms.map(({ topologyKey }) => ({ topologyKey, places: byTopology(counts, topologyKey) }));
  const isFirst = places.every((place) => place.places.size === 0) && matchesAll(pod);
  return (node) =>
    places.every(({ topologyKey, places: values }) =>
      isFirst ? node.labels[topologyKey] !== undefined : holds(node, topologyKey, values),
    );
}

function scorer(
  pod: PodInfo,
  cluster: ClusterState,
  { hardPodAffinityWeight = 1, ignorePreferredTermsOfExistingPods = false }: InterPodAffinityArgs,
): NodeScorer | undefined {
  /** Weight by topology key and value. */
  const weights = new Map<string, Map<string, number>>();
  const add = (topologyKey: string, counts: NodeCounts, weight: number) => {
    let values = weights.get(topologyKey);
    if (!values) {
      values = new Map();
      weights.set(topologyKey, values);
    }
    for (const [value, count] of byTopology(counts, topologyKey)) {
      values.set(value, (values.get(value) ?? 0) + weight * count);
    }
  };
  for (const term of pod.preferredAffinity) add(term.topologyKey, countsOf(term, cluster), term.weight);
  for (const term of pod.preferredAntiAffinity) add(term.topologyKey, countsOf(term, cluster), -term.weight);
  const speaksOf = (term: AffinityTerm) => termMatches(term, pod, cluster.namespaceLabels);
  for (const { term, counts } of cluster.requiredAffinity.about(pod)) {
    if (speaksOf(term)) add(term.topologyKey, counts, hardPodAffinityWeight);
  }
  if (!ignorePreferredTermsOfExistingPods) {
    for (const { term, counts } of cluster.preferredAffinity.about(pod)) {
      if (speaksOf(term)) add(term.topologyKey, counts, term.weight);
    }
    for (const { term, counts } of cluster.preferredAntiAffinity.about(pod)) {
      if (speaksOf(term)) add(term.topologyKey, counts, -term.weight);
    }
  }
  if (weights.size === 0) return undefined;
  return {
    score(node) {
      let sum = 0;
      for (const [topologyKey, values] of weights) {
        const value = node.labels[topologyKey];
        if (value !== undefined) sum += values.get(value) ?? 0;
      }
      return sum;
    },
    normalize(scores) {
      let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      for (const score of scores) {
        if (score < least) least = score;
        if (score > most) most = score;
      }
      const range = most - least;
      for (let i = 0; i < scores.length; i++)
        scores[i] = range > 0 ? Math.floor((100 * (scores[i]! - least)) / range) : 0;
    },
  };
}
