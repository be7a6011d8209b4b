/** Asks the extenders that a Pod concerns, one after the other as they are configured. */
import type { Logger } from "../base/logger.ts";
import type { Extender } from "./extender.ts";
import type { Search } from "./find-node.ts";
import { type Refusal, SchedulingError } from "./framework.ts";
import type { NodeInfo } from "./node-info.ts";
import type { Candidate } from "./plugins/default-preemption.ts";
import type { PodInfo } from "./pod-info.ts";

/** What the extenders leave of a search. Throws a SchedulingError when one that is not ignorable cannot be asked. */
export async function filterByExtenders(
  extenders: readonly Extender[],
  pod: PodInfo,
  search: Search,
  log: Logger,
): Promise<Search> {
  let { feasible } = search;
  const refusals = new Map<NodeInfo, Refusal>(search.refusals);
  for (const extender of extenders) {
    if (feasible.length === 0) break;
    try {
      const { passed, refused } = await extender.filter(pod, feasible);
      for (const [node, refusal] of refused) refusals.set(node, refusal);
      feasible = passed;
    } catch (error) {
      giveUpUnlessIgnorable(extender, error, log);
    }
  }
  return { ...search, feasible, refusals };
}

/** What they add to the scores of Nodes; one that cannot be asked adds nothing. */
export async function scoresOfExtenders(
  extenders: readonly Extender[],
  pod: PodInfo,
  nodes: readonly NodeInfo[],
  log: Logger,
): Promise<(node: NodeInfo) => number> {
  const answers = await Promise.all(
    extenders.map(async (extender) => {
      try {
        return await extender.prioritize(pod, nodes);
      } catch (error) {
        log.warn("an extender gave no scores", {
          extender: extender.config.urlPrefix,
          error: (error as Error).message,
        });
        return new Map<string, number>();
      }
    }),
  );
  return ({ name }) => answers.reduce((sum, scores) => sum + (scores.get(name) ?? 0), 0);
}

/** The Nodes that may be freed as far as the extenders are concerned. Throws as filterByExtenders does. */
export async function preemptByExtenders(
  extenders: readonly Extender[],
  pod: PodInfo,
  candidates: readonly Candidate[],
  log: Logger,
): Promise<readonly Candidate[]> {
  let left = candidates;
  for (const extender of extenders) {
    if (!extender.config.preemptVerb || left.length === 0) continue;
    try {
      left = await extender.preempt(pod, left);
    } catch (error) {
      giveUpUnlessIgnorable(extender, error, log);
    }
  }
  return left;
}

function giveUpUnlessIgnorable({ config }: Extender, error: unknown, log: Logger): void {
  const { message } = error as Error;
  if (!config.ignorable) throw new SchedulingError(message);
  log.warn("an extender that may be ignored is ignored", { extender: config.urlPrefix, error: message });
}
