/** What a scheduler plugin is: it prepares once for a Pod, and then judges Nodes one by one. */
import type { Random } from "../base/random.ts";
import type { ClusterState } from "./cluster-state.ts";
import type { NodeInfo } from "./node-info.ts";
import type { PodInfo } from "./pod-info.ts";

/** Why a Node will not do. */
export interface Refusal {
  reasons: readonly string[];
  /** Removing other Pods from the Node would not help. */
  isUnresolvable: boolean;
}

/** Undefined: the Node will do. Must not allocate when it will. */
export type NodeFilter = (node: NodeInfo) => Refusal | undefined;

export interface NodeScorer {
  /** Any number; higher is better unless `normalize` turns it round. */
  score(node: NodeInfo): number;
  /** Brings scores into 0…100 in place. Without it they are so already. */
  normalize?(scores: Float64Array): void;
}

/** Things that happen in the cluster and may make an unschedulable Pod schedulable. */
export type ClusterEvent =
  | "NodeAdded"
  | "NodeAllocatableChanged"
  | "NodeLabelsChanged"
  | "NodeTaintsChanged"
  | "PodAdded"
  | "PodRemoved"
  | "PodLabelsChanged"
  | "PodScaledDown"
  | "PodResourceClaimsChanged"
  | "StorageChanged"
  | "ResourceClaimChanged"
  /** A claim lost its devices, or a user. */
  | "ResourceClaimFreed"
  | "ResourceSliceChanged"
  | "DeviceClassChanged";

export interface SchedulerPlugin {
  /** Upstream's name. */
  name: string;
  /** Weight of its score. Default 1. */
  weight?: number;
  /**
   * Its filter and its raw scores depend on nothing but the Pod's shape (see shapeOf) and the Node: they are kept until
   * the Node changes.
   */
  isNodeLocal?: boolean;
  /** What may let a Pod pass that this plugin refused. */
  wakesOn: readonly ClusterEvent[];
  /** Why the Pod is not even tried yet: nobody is told. Undefined: it may be. */
  preEnqueue?(pod: PodInfo): Refusal | undefined;
  /** Undefined: has nothing against any Node. A Refusal: no Node can do. */
  filter?(pod: PodInfo, cluster: ClusterState): NodeFilter | Refusal | undefined;
  /** No Node would do, those refused with what they were refused for: what the plugin says to it, and does about it behind. */
  postFilter?(pod: PodInfo, refusals: ReadonlyMap<NodeInfo, Refusal>): string | undefined;
  /** Called with the Nodes that passed. Undefined: has no preference. */
  score?(pod: PodInfo, cluster: ClusterState, nodes: readonly NodeInfo[]): NodeScorer | undefined;
  /** The Pod has been given the Node: what it needs there is promised to nobody else. */
  reserve?(pod: PodInfo, node: NodeInfo): void;
  /** Takes `reserve` back: the Pod was not bound. */
  unreserve?(pod: PodInfo): void;
  /** What must come about before the Pod is bound; undefined when nothing. A rejection's message tells users why not. */
  preBind?(pod: PodInfo, node: NodeInfo): Promise<void> | undefined;
}

export interface Profile {
  schedulerName: string;
  plugins: readonly SchedulerPlugin[];
  /** Whether it makes room by removing Pods of lower priority. Default true. */
  preempts?: boolean;
  /** How many Nodes of a large cluster are looked at. Default 0: by its size. */
  percentageOfNodesToScore?: number;
  preemption?: DefaultPreemptionArgs;
}

/** Upstream's DefaultPreemptionArgs: how many Nodes that could be freed are enough, so that large clusters are not searched whole. */
export interface DefaultPreemptionArgs {
  /** Percent of all Nodes. Default 10. */
  minCandidateNodesPercentage?: number;
  /** Default 100. */
  minCandidateNodesAbsolute?: number;
}

/** What the Pod refers to makes no sense: it is told, and tried again after a while. */
export class SchedulingError extends Error {
  override name = "SchedulingError";
}

export function isRefusal(result: NodeFilter | Refusal | undefined): result is Refusal {
  return typeof result === "object";
}

export function refusal(reason: string, isUnresolvable = false): Refusal {
  return { reasons: [reason], isUnresolvable };
}

/** Scales so that the highest becomes 100; `isReversed` makes the lowest the best. */
export function normalizeByMaximum(scores: Float64Array, isReversed = false): void {
  let maximum = 0;
  for (const score of scores) if (score > maximum) maximum = score;
  for (let i = 0; i < scores.length; i++) {
    const scaled = maximum === 0 ? 0 : Math.floor((scores[i]! * 100) / maximum);
    scores[i] = isReversed ? 100 - scaled : scaled;
  }
}

export interface SchedulingContext {
  cluster: ClusterState;
  random: Random;
}
