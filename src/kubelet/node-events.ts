/** What a node tells of itself in events as its conditions change (upstream's pkg/kubelet/nodestatus). Pure. */
import type { NodeStatus } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";

/** By condition: what is told when it becomes true, and when it is so no longer. */
const reasons: Readonly<Record<string, { true: string; otherwise: string }>> = {
  MemoryPressure: { true: "NodeHasInsufficientMemory", otherwise: "NodeHasSufficientMemory" },
  DiskPressure: { true: "NodeHasDiskPressure", otherwise: "NodeHasNoDiskPressure" },
  PIDPressure: { true: "NodeHasInsufficientPID", otherwise: "NodeHasSufficientPID" },
  Ready: { true: "NodeReady", otherwise: "NodeNotReady" },
};

/** The reasons of the events that a change of the conditions deserves. Of a new node's readiness nothing is told. */
export function conditionEvents(
  before: DeepReadonly<NodeStatus> | undefined,
  after: DeepReadonly<NodeStatus>,
): string[] {
  return (after.conditions ?? []).flatMap(({ type, status }) => {
    const known = before?.conditions?.find((condition) => condition.type === type)?.status;
    const told = reasons[type];
    if (!told || known === status || (type === "Ready" && known === undefined)) return [];
    return status === "True" ? told.true : told.otherwise;
  });
}
