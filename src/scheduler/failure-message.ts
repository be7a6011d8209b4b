/** `0/3 nodes are available: ...`: why a Pod is where it is not, in the words users look for. */
import type { Diagnosis } from "./find-node.ts";
import type { Refusal } from "./framework.ts";

/** `claims`: what came of taking devices away from claims that nobody uses, which is tried before Pods are removed. */
export function failureMessage(
  totalNodes: number,
  diagnosis: Diagnosis,
  preemption: string,
  claims = "no new claims to deallocate",
): string {
  if (totalNodes === 0) return "no nodes available to schedule pods";
  const parts = [`0/${totalNodes} nodes are available:`];
  if (diagnosis.refusal) parts.push(`${diagnosis.refusal.reasons.join(", ")}.`);
  else if (diagnosis.refusals.size > 0) parts.push(`${histogram(diagnosis.refusals.values())}.`);
  if (preemption) parts.push(`${claims}, ${preemption}`);
  return parts.join(" ");
}

/** `2 Insufficient cpu, 1 Too many pods`: each reason with the number of Nodes it holds for. */
export function histogram(refusals: Iterable<Refusal>): string {
  const counts = new Map<string, number>();
  for (const { reasons } of refusals) {
    for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  return [...counts]
    .map(([reason, count]) => `${count} ${reason}`)
    .sort()
    .join(", ");
}
