/** How many replicas a metric asks for that is told as a whole: of an object, or from outside the cluster. Pure. */

export interface TotalQuestion {
  /** Thousandths, as all values here. */
  milliValue: number;
  /** The whole that is wanted, scaled by Pods that are ready; or a share for each replica. */
  target: { kind: "value"; milliValue: number } | { kind: "averageValue"; milliValue: number };
  /** As the target's spec and its status have it. */
  specReplicas: number;
  statusReplicas: number;
  readyPods: number;
  /** Ratios between 1 - down and 1 + up change nothing. */
  tolerance: { up: number; down: number };
}

export interface TotalAnswer {
  replicas: number;
  /** What the status tells: the whole, or the average. */
  milliValue: number;
}

export function replicasForTotal(question: TotalQuestion): TotalAnswer {
  const { milliValue, target, specReplicas, statusReplicas, readyPods, tolerance } = question;
  const isTolerable = (ratio: number) => ratio >= 1 - tolerance.down && ratio <= 1 + tolerance.up;
  if (target.kind === "value") {
    const ratio = milliValue / target.milliValue;
    if (specReplicas === 0) return { replicas: ceil(ratio), milliValue };
    return { replicas: isTolerable(ratio) ? specReplicas : ceil(ratio * readyPods), milliValue };
  }
  const ratio = milliValue / (target.milliValue * statusReplicas);
  return {
    replicas: isTolerable(ratio) ? statusReplicas : ceil(milliValue / target.milliValue),
    milliValue: statusReplicas === 0 ? 0 : Math.ceil(milliValue / statusReplicas),
  };
}

/** Floating point must not make a replica out of nothing. */
function ceil(value: number): number {
  return Math.max(0, Math.ceil(value - 1e-9));
}
