/** Exponential back-off: a pure sequence of delays. */

export interface BackoffPolicy {
  initialMs: number;
  maximumMs: number;
  /** Each delay is the one before times this. Default 2. */
  factor?: number;
}

/** The delay before retry number `failures` (1 for the first retry). */
export function backoffDelayMs(policy: BackoffPolicy, failures: number): number {
  return Math.min(policy.maximumMs, policy.initialMs * (policy.factor ?? 2) ** Math.max(0, failures - 1));
}
