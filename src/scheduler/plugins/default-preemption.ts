/** Makes room for a Pod by removing Pods of lower priority: on which Node, and which. Pure. */

import type { DeepReadonly } from "../../api/object.ts";
import type { PodDisruptionBudget } from "../../api/policy/v1.ts";
import { selectorOf } from "../../controller-runtime/compiled-selector.ts";
import type { ClusterState } from "../cluster-state.ts";
import { histogram } from "../failure-message.ts";
import { type Diagnosis, prepareFilters } from "../find-node.ts";
import { type Profile, type Refusal, refusal } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import type { PodInfo } from "../pod-info.ts";

export type PreemptionPlan =
  | { kind: "evict"; node: NodeInfo; victims: readonly PodInfo[] }
  /** Nothing can be done; `message` says why and ends the Pod's failure message. */
  | { kind: "none"; message: string };

/** A Node that could be freed. */
export interface Candidate {
  node: NodeInfo;
  /** The most important first. */
  victims: readonly PodInfo[];
  /** How many budgets that would break. */
  violations: number;
}

const notHelpful = refusal("Preemption is not helpful for scheduling");
const noVictims = refusal("No preemption victims found for incoming pod");

export function planPreemption(
  profile: Profile,
  pod: PodInfo,
  diagnosis: Diagnosis,
  cluster: ClusterState,
  budgets: readonly DeepReadonly<PodDisruptionBudget>[],
): PreemptionPlan {
  const { candidates, message } = findCandidates(profile, pod, diagnosis, cluster, budgets);
  return chooseCandidate(candidates, message);
}

/** Every Node that could be freed, up to a share of a large cluster, and what is to be said when none is chosen. */
export function findCandidates(
  profile: Profile,
  pod: PodInfo,
  diagnosis: Diagnosis,
  cluster: ClusterState,
  budgets: readonly DeepReadonly<PodDisruptionBudget>[],
): { candidates: readonly Candidate[]; message: string } {
  const ineligible = whyIneligible(pod, cluster, diagnosis);
  if (ineligible) return { candidates: [], message: `preemption: ${ineligible}.` };
  const total = cluster.nodes.length;
  const failures: Refusal[] = [];
  const candidates: Candidate[] = [];
  const { minCandidateNodesPercentage = 10, minCandidateNodesAbsolute = 100 } = profile.preemption ?? {};
  const enough = Math.max(minCandidateNodesAbsolute, Math.floor((total * minCandidateNodesPercentage) / 100));
  for (const node of cluster.nodes) {
    const refused = diagnosis.refusals.get(node);
    if (diagnosis.refusal || !refused || refused.isUnresolvable) {
      failures.push(notHelpful);
      continue;
    }
    // A large cluster is not searched whole, but as long as each place would break a budget.
    if (candidates.length >= enough && candidates.some(({ violations }) => violations === 0)) break;
    const candidate = victimsOn(profile, pod, node, cluster, budgets);
    if (candidate) candidates.push(candidate);
    else failures.push(noVictims);
  }
  return { candidates, message: `preemption: 0/${total} nodes are available: ${histogram(failures)}.` };
}

export function chooseCandidate(candidates: readonly Candidate[], message: string): PreemptionPlan {
  const chosen = choose(candidates);
  return chosen ? { kind: "evict", node: chosen.node, victims: chosen.victims } : { kind: "none", message };
}

/** Who has made room already waits for it, unless it would be of no use any more. */
function whyIneligible({ pod, priority }: PodInfo, cluster: ClusterState, diagnosis: Diagnosis): string | undefined {
  if (pod.spec.preemptionPolicy === "Never") return "not eligible due to preemptionPolicy=Never";
  const nominated = pod.status?.nominatedNodeName;
  const node = nominated ? cluster.node(nominated) : undefined;
  if (!node || diagnosis.refusals.get(node)?.isUnresolvable) return undefined;
  for (const other of node.pods.values()) {
    if (other.priority < priority && isLeavingByPreemption(other)) {
      return "not eligible due to a terminating pod on the nominated node";
    }
  }
  return undefined;
}

function isLeavingByPreemption({ pod: { metadata, status } }: PodInfo): boolean {
  return (
    metadata.deletionTimestamp !== undefined &&
    status?.conditions?.some(
      (condition) =>
        condition.type === "DisruptionTarget" &&
        condition.status === "True" &&
        condition.reason === "PreemptionByScheduler",
    ) === true
  );
}

/** The fewest and least important Pods whose leaving lets the Pod in; undefined when not even all of them would. */
function victimsOn(
  profile: Profile,
  pod: PodInfo,
  node: NodeInfo,
  cluster: ClusterState,
  budgets: readonly DeepReadonly<PodDisruptionBudget>[],
): Candidate | undefined {
  const lower = [...node.pods.values()].filter((other) => other.priority < pod.priority);
  if (lower.length === 0) return undefined;
  const fitsWithout = (leaving: readonly PodInfo[]) =>
    cluster.without(leaving, () => {
      const filters = prepareFilters(profile, pod, cluster);
      return Array.isArray(filters) && filters.every(({ filter }) => filter(node) === undefined);
    });
  if (!fitsWithout(lower)) return undefined;

  // Pods are spared again, the most important first; those that a budget protects before all others.
  const { violating, others } = splitByBudgets(lower.sort(byImportance), budgets);
  let leaving = lower;
  let violations = 0;
  const spare = (candidate: PodInfo): boolean => {
    const fewer = leaving.filter((other) => other !== candidate);
    if (!fitsWithout(fewer)) return false;
    leaving = fewer;
    return true;
  };
  for (const candidate of violating) if (!spare(candidate)) violations++;
  for (const candidate of others) spare(candidate);
  return { node, victims: leaving.toSorted(byImportance), violations };
}

function splitByBudgets(pods: readonly PodInfo[], budgets: readonly DeepReadonly<PodDisruptionBudget>[]) {
  const allowed = new Map(budgets.map((budget) => [budget, budget.status?.disruptionsAllowed ?? 0]));
  const violating: PodInfo[] = [];
  const others: PodInfo[] = [];
  for (const pod of pods) {
    let isViolating = false;
    for (const [budget, left] of allowed) {
      if (budget.metadata.namespace !== pod.namespace) continue;
      if (!selectorOf(budget.spec?.selector).matches(pod.labels)) continue;
      if (budget.status?.disruptedPods?.[pod.name]) continue;
      allowed.set(budget, left - 1);
      if (left - 1 < 0) isViolating = true;
    }
    (isViolating ? violating : others).push(pod);
  }
  return { violating, others };
}

/** Higher priority first; of equals the one that has run longer. */
function byImportance(a: PodInfo, b: PodInfo): number {
  return b.priority - a.priority || startedMs(a) - startedMs(b);
}

function startedMs({ pod }: PodInfo): number {
  return Date.parse(pod.status?.startTime ?? pod.metadata.creationTimestamp);
}

/** The Node on which the least is lost. */
function choose(candidates: readonly Candidate[]): Candidate | undefined {
  const criteria: ((candidate: Candidate) => number)[] = [
    ({ violations }) => violations,
    ({ victims }) => victims[0]?.priority ?? Number.NEGATIVE_INFINITY,
    // Offset, so that many Pods of negative priority do not look better than few.
    ({ victims }) => victims.reduce((sum, { priority }) => sum + priority + 2 ** 31, 0),
    ({ victims }) => victims.length,
    // Of the most important victims, rather the one that started last.
    ({ victims }) => {
      const top = victims.filter(({ priority }) => priority === victims[0]!.priority);
      return -Math.min(...top.map(startedMs));
    },
  ];
  let left = candidates;
  for (const criterion of criteria) {
    if (left.length <= 1) break;
    const least = Math.min(...left.map(criterion));
    left = left.filter((candidate) => criterion(candidate) === least);
  }
  return left[0];
}
