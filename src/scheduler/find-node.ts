/** The decision for one Pod: which Node, or why none. Pure but for the dice among equals. */
import type { Random } from "../base/random.ts";
import type { ClusterState } from "./cluster-state.ts";
import { isRefusal, type NodeFilter, type Profile, type Refusal, type SchedulerPlugin } from "./framework.ts";
import type { PluginRefusal } from "./node-evaluations.ts";
import type { NodeInfo } from "./node-info.ts";
import type { PodInfo } from "./pod-info.ts";

export type Decision = { kind: "placed"; node: NodeInfo; feasible: number } | ({ kind: "unschedulable" } & Diagnosis);

export interface Diagnosis {
  /** Why each Node will not do. Empty when a plugin refused the Pod as such. */
  refusals: ReadonlyMap<NodeInfo, Refusal>;
  /** Why no Node at all can do. */
  refusal?: Refusal;
  /** Plugins that had a part in it: what concerns them may help. */
  plugins: ReadonlySet<string>;
}

/** Where the search for Nodes goes on: large clusters are not searched from the start each time. */
export interface SearchPosition {
  next: number;
}

export interface ActiveFilter {
  plugin: SchedulerPlugin;
  filter: NodeFilter;
}

/** The filters that have something to say about this Pod, or the Refusal of the first that rules out every Node. */
export function prepareFilters(
  profile: Profile,
  pod: PodInfo,
  cluster: ClusterState,
): ActiveFilter[] | { plugin: SchedulerPlugin; refusal: Refusal } {
  const active: ActiveFilter[] = [];
  for (const plugin of profile.plugins) {
    const filter = plugin.filter?.(pod, cluster);
    if (filter === undefined) continue;
    if (isRefusal(filter)) return { plugin, refusal: filter };
    active.push({ plugin, filter });
  }
  return active;
}

export function findNode(
  profile: Profile,
  pod: PodInfo,
  cluster: ClusterState,
  random: Random,
  position: SearchPosition = { next: 0 },
): Decision {
  const { feasible, ...diagnosis } = findFeasible(profile, pod, cluster, position);
  const node = chooseNode(profile, pod, cluster, feasible, random);
  return node ? { kind: "placed", node, feasible: feasible.length } : { kind: "unschedulable", ...diagnosis };
}

/** Nodes that will do, a share of them where there are many, and why the others looked at will not. */
export interface Search extends Diagnosis {
  feasible: readonly NodeInfo[];
}

export function findFeasible(
  profile: Profile,
  pod: PodInfo,
  cluster: ClusterState,
  position: SearchPosition = { next: 0 },
): Search {
  const filters = prepareFilters(profile, pod, cluster);
  if (!Array.isArray(filters)) {
    const { plugin, refusal } = filters;
    return { feasible: [], refusals: new Map(), refusal, plugins: new Set([plugin.name]) };
  }

  const refusals = new Map<NodeInfo, Refusal>();
  const plugins = new Set<string>();
  const feasible: NodeInfo[] = [];
  const refusal = refusalBy(filters, profile, pod, cluster);
  const judge = (node: NodeInfo): void => {
    const refused = refusal(node);
    if (!refused) feasible.push(node);
    else {
      refusals.set(node, refused.refusal);
      plugins.add(refused.plugin.name);
    }
  };

  // Room was made for it there, and nobody looks for a better place.
  const nominated = cluster.nominationOf(pod.uid);
  if (nominated) judge(nominated);
  if (feasible.length === 0) {
    const { nodes } = cluster;
    const wanted = feasibleNodesToFind(nodes.length, profile.percentageOfNodesToScore);
    const start = nodes.length === 0 ? 0 : position.next % nodes.length;
    let looked = 0;
    while (looked < nodes.length && feasible.length < wanted) judge(nodes[(start + looked++) % nodes.length]!);
    position.next = nodes.length === 0 ? 0 : (start + looked) % nodes.length;
  }
  return { feasible, refusals, plugins };
}

/** Those of the Nodes that will do as things are now: time has passed since they were found. */
export function stillFeasible(
  profile: Profile,
  pod: PodInfo,
  cluster: ClusterState,
  nodes: readonly NodeInfo[],
): NodeInfo[] {
  const filters = prepareFilters(profile, pod, cluster);
  if (!Array.isArray(filters)) return [];
  const refusal = refusalBy(filters, profile, pod, cluster);
  return nodes.filter((node) => cluster.node(node.name) === node && !refusal(node));
}

function refusalBy(filters: readonly ActiveFilter[], profile: Profile, pod: PodInfo, cluster: ClusterState) {
  const local = filters.filter(({ plugin }) => plugin.isNodeLocal);
  const others = filters.filter(({ plugin }) => !plugin.isNodeLocal);
  const kept = cluster.evaluations.of(profile, pod);
  return (node: NodeInfo): PluginRefusal | undefined => {
    const judgeLocally = () => refusedBy(local, node);
    return (
      (kept ? kept.refusedBy(node.slot, judgeLocally) : judgeLocally()) ??
      refusedBy(others, node) ??
      refusedForNominated(profile, pod, node, cluster)
    );
  };
}

function refusedBy(filters: readonly ActiveFilter[], node: NodeInfo): PluginRefusal | undefined {
  for (const { plugin, filter } of filters) {
    const refusal = filter(node);
    if (refusal) return { plugin, refusal };
  }
  return undefined;
}

/** Room that was made for Pods of the same or higher priority is not given away. */
function refusedForNominated(profile: Profile, pod: PodInfo, node: NodeInfo, cluster: ClusterState) {
  if (!cluster.hasNominations) return undefined;
  const nominated = [...cluster.nominatedOn(node.name)].filter(
    (other) => other.uid !== pod.uid && other.priority >= pod.priority,
  );
  if (nominated.length === 0) return undefined;
  return cluster.with(node, nominated, () => {
    const filters = prepareFilters(profile, pod, cluster);
    return Array.isArray(filters) ? refusedBy(filters, node) : filters;
  });
}

/**
 * Small clusters are searched whole; of large ones the share that the profile says, by itself one that shrinks with their
 * size, but never below 5 %.
 */
export function feasibleNodesToFind(total: number, share = 0): number {
  const minimum = 100;
  if (total < minimum) return total;
  const percentage = share || Math.max(5, 50 - Math.floor(total / 125));
  return Math.max(minimum, Math.floor((total * percentage) / 100));
}

/** The Node with the highest weighted sum of scores, `extra` included; among equals by lot. Undefined when there is none. */
export function chooseNode(
  profile: Profile,
  pod: PodInfo,
  cluster: ClusterState,
  nodes: readonly NodeInfo[],
  random: Random,
  extra?: (node: NodeInfo) => number,
): NodeInfo | undefined {
  if (nodes.length <= 1) return nodes[0];
  const kept = cluster.evaluations.of(profile, pod);
  const totals = new Float64Array(nodes.length);
  const scores = new Float64Array(nodes.length);
  for (let place = 0; place < profile.plugins.length; place++) {
    const plugin = profile.plugins[place]!;
    const scorer = plugin.score?.(pod, cluster, nodes);
    if (!scorer) continue;
    if (kept && plugin.isNodeLocal) {
      const known = kept.scores(place, cluster.slots);
      for (let i = 0; i < nodes.length; i++) {
        const node = nodes[i]!;
        let score = known[node.slot]!;
        if (Number.isNaN(score)) {
          score = scorer.score(node);
          known[node.slot] = score;
        }
        scores[i] = score;
      }
    } else for (let i = 0; i < nodes.length; i++) scores[i] = scorer.score(nodes[i]!);
    scorer.normalize?.(scores);
    const { weight = 1 } = plugin;
    for (let i = 0; i < nodes.length; i++) totals[i]! += scores[i]! * weight;
  }
  if (extra) for (let i = 0; i < nodes.length; i++) totals[i]! += extra(nodes[i]!);
  let chosen = 0;
  let equals = 1;
  for (let i = 1; i < nodes.length; i++) {
    if (totals[i]! > totals[chosen]!) {
      chosen = i;
      equals = 1;
    } else if (totals[i] === totals[chosen] && random.int(++equals) === 0) chosen = i;
  }
  return nodes[chosen]!;
}
