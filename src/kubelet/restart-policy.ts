/** Whether and when an exited container runs again (upstream's ShouldContainerBeRestarted and crash-loop back-off). Pure. */
import type { Container } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import type { ContainerRole, ContainerSpec, ExitedRun, PodObject, RestartBackoff } from "./pod-state.ts";

export const initialBackoffMs = 10_000;
export const maximumBackoffMs = 300_000;
/** A container that exits this long after its last restart starts over with no wait. */
const resetAfterMs = 2 * maximumBackoffMs;

type Exit = Pick<ExitedRun, "exitCode">;

export function shouldRestart(pod: PodObject, spec: ContainerSpec, role: ContainerRole, exit: Exit): boolean {
  if (role === "ephemeral") return false;
  if (role === "sidecar") return true;
  if (ruleAction(spec, exit) !== undefined) return true;
  const { restartPolicy } = spec as DeepReadonly<Container>;
  const policy = restartPolicy ?? pod.spec.restartPolicy ?? "Always";
  // An init container that succeeded is done, whatever the policy.
  if (role === "init") return policy !== "Never" && exit.exitCode !== 0;
  return policy === "Always" || (policy === "OnFailure" && exit.exitCode !== 0);
}

/** What the first of the container's own rules that speaks of this exit wants: "Restart" or "RestartAllContainers". */
export function ruleAction(spec: ContainerSpec, { exitCode }: Exit): string | undefined {
  const { restartPolicyRules } = spec as DeepReadonly<Container>;
  return restartPolicyRules?.find(({ exitCodes }) => {
    if (!exitCodes) return false;
    const isListed = exitCodes.values?.includes(exitCode) ?? false;
    return exitCodes.operator === "In" ? isListed : !isListed;
  })?.action;
}

/** What is told of a container that was ended so that all could begin anew. */
export const restartingReason = "RestartingAllContainers";
export const restartingMessage = "The container is removed because RestartAllContainers in place";

/** Whether an exit of one of its containers may make all of them begin anew. */
export function mayRestartAll({ spec }: PodObject): boolean {
  return [...spec.containers, ...(spec.initContainers ?? [])].some(({ restartPolicyRules }) =>
    restartPolicyRules?.some(({ action }) => action === "RestartAllContainers"),
  );
}

/** When the wait after this exit is over. In the past: it may run again now. */
export function restartAllowedAtMs(backoff: RestartBackoff | undefined, exit: ExitedRun): number {
  if (!backoff || isReset(backoff, exit.finishedAtMs)) return exit.finishedAtMs;
  return exit.finishedAtMs + backoff.delayMs;
}

/** The back-off that a restart now leaves behind for the next exit. */
export function backoffAfterRestart(backoff: RestartBackoff | undefined, now: number): RestartBackoff {
  if (!backoff || isReset(backoff, now)) return { delayMs: initialBackoffMs, updatedAtMs: now };
  return { delayMs: Math.min(backoff.delayMs * 2, maximumBackoffMs), updatedAtMs: now };
}

function isReset(backoff: RestartBackoff, atMs: number): boolean {
  return atMs - backoff.updatedAtMs > resetAfterMs;
}

/** A duration as Go prints it in messages: 10s, 2m40s, 5m0s. */
export function goDuration(ms: number): string {
  if (ms === 0) return "0s";
  if (ms < 1000) return `${trimmed(ms)}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor((ms % 3_600_000) / 60_000);
  const seconds = trimmed((ms % 60_000) / 1000);
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`;
  if (minutes > 0) return `${minutes}m${seconds}s`;
  return `${seconds}s`;
}

function trimmed(value: number): string {
  return String(Number(value.toFixed(3)));
}
