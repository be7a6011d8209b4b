/** Spreads Pods over Nodes, zones or whatever a label says: strictly where asked, by preference everywhere. */
import type { TopologySpreadConstraint } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { type CompiledSelector, selectorOf } from "../../controller-runtime/compiled-selector.ts";
import { requiredNodes, tolerates } from "../../controller-runtime/node-matching.ts";
import type { ClusterState } from "../cluster-state.ts";
import { type NodeScorer, refusal, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import type { NodeCounts } from "../pod-counters.ts";
import { labelKey, type PodInfo, withLabelKeys } from "../pod-info.ts";

const mismatch = refusal("node(s) didn't match pod topology spread constraints");
const missingLabel = refusal("node(s) didn't match pod topology spread constraints (missing required label)", true);

const hostnameLabel = "kubernetes.io/hostname";

/** A selector of the Pods that belong together with one: its Services and its controllers say which. */
export interface DefaultSpreading {
  key: string;
  selector: CompiledSelector;
  /** One pair that all selected Pods carry, if there is one. */
  pair: readonly [string, string] | undefined;
}

/** Upstream's PodTopologySpreadArgs. */
export interface PodTopologySpreadArgs {
  /** For Pods without constraints of their own; the selector is what the Pod is spread with. */
  defaultConstraints?: readonly Omit<TopologySpreadConstraint, "labelSelector" | "matchLabelKeys">[];
  /** Default System: a slight preference for other Nodes and other zones. List: `defaultConstraints`, also when there are none. */
  defaultingType?: "System" | "List";
}

/** `defaultSpreading` finds what a Pod without constraints of its own is spread with. */
export function podTopologySpread(
  defaultSpreading: (pod: PodInfo) => DefaultSpreading | undefined = () => undefined,
  { defaultConstraints: listed = [], defaultingType = "System" }: PodTopologySpreadArgs = {},
): SchedulerPlugin {
  const hasOwn = ({ pod }: PodInfo) => (pod.spec.topologySpreadConstraints?.length ?? 0) > 0;
  const listedFor = (pod: PodInfo, whenUnsatisfiable: string): Constraint[] => {
    const wanted = listed.filter((constraint) => constraint.whenUnsatisfiable === whenUnsatisfiable);
    const spreading = wanted.length > 0 ? defaultSpreading(pod) : undefined;
    return spreading ? wanted.map((constraint) => ({ ...compile(constraint, {}), ...spreading })) : [];
  };
  return {
    name: "PodTopologySpread",
    weight: 2,
    wakesOn: ["NodeAdded", "NodeLabelsChanged", "NodeTaintsChanged", "PodAdded", "PodRemoved", "PodLabelsChanged"],
    filter(pod, cluster) {
      const constraints = hasOwn(pod) ? constraintsOf(pod, "DoNotSchedule") : listedFor(pod, "DoNotSchedule");
      if (constraints.length === 0) return undefined;
      const domains = constraints.map((constraint) => domainsOf(constraint, constraints, pod, cluster));
      return (node) => {
        for (let i = 0; i < constraints.length; i++) {
          const { topologyKey, maxSkew, selector } = constraints[i]!;
          const value = node.labels[topologyKey];
          if (value === undefined) return missingLabel;
          const { counts, least } = domains[i]!;
          const self = selector.matches(pod.labels) ? 1 : 0;
          if ((counts.get(value) ?? 0) + self - least > maxSkew) return mismatch;
        }
        return undefined;
      };
    },
    score(pod, cluster, nodes) {
      const isDefault = !hasOwn(pod) && defaultingType === "System";
      const constraints = isDefault
        ? defaultConstraints(defaultSpreading(pod))
        : hasOwn(pod)
          ? constraintsOf(pod, "ScheduleAnyway")
          : listedFor(pod, "ScheduleAnyway");
      return constraints.length === 0 ? undefined : scorer(pod, constraints, isDefault, cluster, nodes);
    },
  };
}

interface Constraint {
  topologyKey: string;
  maxSkew: number;
  minDomains: number;
  selector: CompiledSelector;
  /** Stands for the selector among the counters. */
  key: string;
  pair: readonly [string, string] | undefined;
  honorsAffinity: boolean;
  honorsTaints: boolean;
}

function constraintsOf({ pod }: PodInfo, whenUnsatisfiable: string): Constraint[] {
  const list = pod.spec.topologySpreadConstraints;
  if (!list?.length) return [];
  return list
    .filter((constraint) => constraint.whenUnsatisfiable === whenUnsatisfiable)
    .map((constraint) => compile(constraint, pod.metadata.labels ?? {}));
}

function compile(
  constraint: DeepReadonly<TopologySpreadConstraint>,
  labels: Readonly<Record<string, string>>,
): Constraint {
  const labelSelector = withLabelKeys(constraint, labels);
  const [pair] = Object.entries(labelSelector?.matchLabels ?? {});
  return {
    topologyKey: constraint.topologyKey,
    maxSkew: constraint.maxSkew,
    minDomains: constraint.minDomains ?? 1,
    selector: selectorOf(labelSelector),
    key: JSON.stringify(labelSelector ?? null),
    pair,
    honorsAffinity: constraint.nodeAffinityPolicy !== "Ignore",
    honorsTaints: constraint.nodeTaintsPolicy === "Honor",
  };
}

/** The system's defaults: a slight preference for other Nodes and other zones. */
function defaultConstraints(spreading: DefaultSpreading | undefined): Constraint[] {
  if (!spreading) return [];
  const common = { minDomains: 1, honorsAffinity: true, honorsTaints: false, ...spreading };
  return [
    { ...common, topologyKey: hostnameLabel, maxSkew: 3 },
    { ...common, topologyKey: "topology.kubernetes.io/zone", maxSkew: 5 },
  ];
}

/** Pods that are on their way out do not count. */
function countsOf(constraint: Constraint, pod: PodInfo, cluster: ClusterState): NodeCounts {
  const { namespace } = pod;
  const label = constraint.pair && labelKey(namespace, constraint.pair[0], constraint.pair[1]);
  return cluster.counters.counts(
    `spread ${namespace} ${constraint.key}`,
    label,
    (other) =>
      other.namespace === namespace &&
      other.pod.metadata.deletionTimestamp === undefined &&
      constraint.selector.matches(other.labels),
  );
}

/** How many matching Pods each domain has, and the least; only Nodes count on which the Pod could run. */
function domainsOf(
  constraint: Constraint,
  all: readonly Constraint[],
  pod: PodInfo,
  cluster: ClusterState,
): { counts: Map<string, number>; least: number } {
  const isEligible = eligibility(constraint, pod);
  const counted = countsOf(constraint, pod, cluster);
  const counts = new Map<string, number>();
  for (const node of cluster.nodes) {
    const value = node.labels[constraint.topologyKey];
    if (value === undefined || !all.every(({ topologyKey }) => node.labels[topologyKey] !== undefined)) continue;
    if (!isEligible(node)) continue;
    counts.set(value, (counts.get(value) ?? 0) + (counted.get(node) ?? 0));
  }
  if (counts.size < constraint.minDomains) return { counts, least: 0 };
  let least = Number.POSITIVE_INFINITY;
  for (const count of counts.values()) if (count < least) least = count;
  return { counts, least: counts.size === 0 ? 0 : least };
}

function eligibility(constraint: Constraint, pod: PodInfo): (node: NodeInfo) => boolean {
  const matches = constraint.honorsAffinity ? requiredNodes(pod.pod.spec) : undefined;
  const tolerations = pod.pod.spec.tolerations ?? [];
  return (node) => {
    if (matches && !matches(node)) return false;
    if (!constraint.honorsTaints || node.taints.length === 0) return true;
    return node.taints.every(
      (taint) => taint.effect === "PreferNoSchedule" || tolerations.some((toleration) => tolerates(toleration, taint)),
    );
  };
}

/** A Node that was left out of scoring gets nothing. */
const ignored = -1;

function scorer(
  pod: PodInfo,
  constraints: readonly Constraint[],
  isDefault: boolean,
  cluster: ClusterState,
  nodes: readonly NodeInfo[],
): NodeScorer {
  // Constraints of the Pod's own ask for all their labels; the defaults do with what is there.
  const isIgnored = (node: NodeInfo) =>
    !isDefault && constraints.some(({ topologyKey }) => node.labels[topologyKey] === undefined);
  const scoring = constraints.map((constraint) => {
    const { topologyKey } = constraint;
    const counted = countsOf(constraint, pod, cluster);
    const domains = new Set<string>();
    let candidates = 0;
    for (const node of nodes) {
      if (isIgnored(node)) continue;
      candidates++;
      const value = node.labels[topologyKey];
      if (value !== undefined) domains.add(value);
    }
    // Every Node is its own host: no sums are needed.
    const isHost = topologyKey === hostnameLabel;
    const sums = new Map<string, number>();
    if (!isHost) {
      const isEligible = eligibility(constraint, pod);
      for (const [node, count] of counted) {
        const value = node.labels[topologyKey];
        if (value === undefined || !domains.has(value) || !node.node || isIgnored(node) || !isEligible(node)) continue;
        sums.set(value, (sums.get(value) ?? 0) + count);
      }
    }
    const weight = Math.log((isHost ? candidates : domains.size) + 2);
    return { topologyKey, maxSkew: constraint.maxSkew, weight, isHost, counted, sums };
  });
  return {
    score(node) {
      if (isIgnored(node)) return ignored;
      let score = 0;
      for (const { topologyKey, maxSkew, weight, isHost, counted, sums } of scoring) {
        const value = node.labels[topologyKey];
        if (value === undefined) continue;
        score += (isHost ? (counted.get(node) ?? 0) : (sums.get(value) ?? 0)) * weight + (maxSkew - 1);
      }
      return Math.round(score);
    },
    normalize(scores) {
      let [least, most] = [Number.POSITIVE_INFINITY, 0];
      for (const score of scores) {
        if (score === ignored) continue;
        if (score < least) least = score;
        if (score > most) most = score;
      }
      for (let i = 0; i < scores.length; i++) {
        const score = scores[i]!;
        if (score === ignored) scores[i] = 0;
        else scores[i] = most === 0 ? 100 : Math.floor((100 * (most + least - score)) / most);
      }
    },
  };
}
