/** Which pods end when, as a node shuts down: the less important first (upstream's pkg/kubelet/nodeshutdown). Pure. */
import type { PodObject } from "./pod-state.ts";

/** Upstream's settings, in seconds. `byPodPriority` takes the place of the other two. */
export interface ShutdownSettings {
  /** For all pods together. */
  gracePeriodSeconds: number;
  /** The part of it that is kept for critical pods. */
  criticalPodsSeconds: number;
  byPodPriority?: readonly { priority: number; shutdownGracePeriodSeconds: number }[];
}

export interface ShutdownTurn<T> {
  pods: T[];
  /** No pod of the turn gets longer. */
  seconds: number;
}

const systemCriticalPriority = 2_000_000_000;

/** The turns in their order; those that end nobody are left out. */
export function planShutdown<T extends { pod: PodObject }>(
  pods: readonly T[],
  settings: ShutdownSettings,
): ShutdownTurn<T>[] {
  const classes = classesOf(settings).sort((a, b) => a.priority - b.priority);
  const turns = classes.map(({ seconds }): ShutdownTurn<T> => ({ pods: [], seconds }));
  for (const each of pods) {
    const priority = each.pod.spec.priority ?? 0;
    // Those below the first class go with it.
    const at = classes.findLastIndex((candidate) => candidate.priority <= priority);
    turns[Math.max(at, 0)]?.pods.push(each);
  }
  return turns.filter((turn) => turn.pods.length > 0);
}

/** How long a shutdown may take at most. */
export function shutdownSeconds(settings: ShutdownSettings): number {
  return classesOf(settings).reduce((sum, { seconds }) => sum + seconds, 0);
}

function classesOf({ gracePeriodSeconds, criticalPodsSeconds, byPodPriority }: ShutdownSettings) {
  if (byPodPriority?.length)
    return byPodPriority.map(({ priority, shutdownGracePeriodSeconds: seconds }) => ({ priority, seconds }));
  return [
    { priority: 0, seconds: gracePeriodSeconds - criticalPodsSeconds },
    { priority: systemCriticalPriority, seconds: criticalPodsSeconds },
  ];
}
