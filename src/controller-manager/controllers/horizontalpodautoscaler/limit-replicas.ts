/** What becomes of a wish for replicas: calmed by recent wishes, bounded by policies, minimum and maximum. Pure. */
import type { HorizontalPodAutoscalerBehavior, HPAScalingRules } from "../../../api/autoscaling/v2.ts";
import type { DeepReadonly } from "../../../api/object.ts";

export interface Recommendation {
  replicas: number;
  atMs: number;
}

export interface ScaleEvent {
  /** How many replicas came, or went. */
  change: number;
  atMs: number;
}

export interface LimitQuestion {
  current: number;
  desired: number;
  minimum: number;
  maximum: number;
  behavior: DeepReadonly<HorizontalPodAutoscalerBehavior> | undefined;
  /** Wishes before this one. */
  recommendations: readonly Recommendation[];
  scaleUps: readonly ScaleEvent[];
  scaleDowns: readonly ScaleEvent[];
  nowMs: number;
}

export interface ConditionText {
  status: "True" | "False";
  reason: string;
  message: string;
}

export interface LimitAnswer {
  replicas: number;
  ableToScale: ConditionText;
  scalingLimited: ConditionText;
}

const defaultDownWindowSeconds = 300;

export function limitReplicas(question: LimitQuestion): LimitAnswer {
  const { replicas, ableToScale } = stabilize(question);
  return { ...bound(question, replicas), ableToScale };
}

function stabilize(question: LimitQuestion): { replicas: number; ableToScale: ConditionText } {
  const { current, desired, behavior, recommendations, nowMs } = question;
  const upWindow = behavior?.scaleUp?.stabilizationWindowSeconds ?? 0;
  const downWindow = behavior?.scaleDown?.stabilizationWindowSeconds ?? defaultDownWindowSeconds;
  let [lowest, highest] = [desired, desired];
  for (const { replicas, atMs } of recommendations) {
    if (atMs > nowMs - upWindow * 1000) lowest = Math.min(lowest, replicas);
    if (atMs > nowMs - downWindow * 1000) highest = Math.max(highest, replicas);
  }
  const replicas = Math.min(Math.max(current, lowest), highest);
  if (replicas === desired) {
    const message = "recommended size matches current size";
    return { replicas, ableToScale: { status: "True", reason: "ReadyForNewScale", message } };
  }
  const [reason, was, which] =
    desired < replicas
      ? (["ScaleDownStabilized", "higher", "highest"] as const)
      : (["ScaleUpStabilized", "lower", "lowest"] as const);
  const message = `recent recommendations were ${was} than current one, applying the ${which} recent recommendation`;
  return { replicas, ableToScale: { status: "True", reason, message } };
}

function bound(question: LimitQuestion, desired: number): Omit<LimitAnswer, "ableToScale"> {
  const { current, minimum, maximum, behavior } = question;
  const limited = (replicas: number, reason: string, message: string) => ({
    replicas,
    scalingLimited: { status: "True", reason, message } as const,
  });
  const upLimit = behavior ? Math.max(current, scaleUpLimit(question, behavior.scaleUp)) : Math.max(2 * current, 4);
  if (desired > Math.min(maximum, upLimit) && (desired > current || !behavior)) {
    return upLimit < maximum
      ? limited(upLimit, "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
      : limited(maximum, "TooManyReplicas", "the desired replica count is more than the maximum replica count");
  }
  const downLimit = behavior && desired < current ? Math.min(current, scaleDownLimit(question, behavior.scaleDown)) : 0;
  if (desired < Math.max(minimum, downLimit)) {
    return downLimit > minimum
      ? limited(
          downLimit,
          "ScaleDownLimit",
          "the desired replica count is decreasing faster than the maximum scale rate",
        )
      : limited(minimum, "TooFewReplicas", "the desired replica count is less than the minimum replica count");
  }
  const message = "the desired count is within the acceptable range";
  return { replicas: desired, scalingLimited: { status: "False", reason: "DesiredWithinRange", message } };
}

/** Replicas at the period's beginning, by what has been added and taken away since. */
function atPeriodStart({ current, scaleUps, scaleDowns, nowMs }: LimitQuestion, periodSeconds: number): number {
  const since = (events: readonly ScaleEvent[]) =>
    events.reduce((sum, { change, atMs }) => (atMs > nowMs - periodSeconds * 1000 ? sum + change : sum), 0);
  return current - since(scaleUps) + since(scaleDowns);
}

function scaleUpLimit(question: LimitQuestion, rules: DeepReadonly<HPAScalingRules> | undefined): number {
  const { selectPolicy, policies = [] } = rules ?? {};
  if (selectPolicy === "Disabled") return question.current;
  const limits = policies.map(({ type, value, periodSeconds }) => {
    const before = atPeriodStart(question, periodSeconds);
    return type === "Pods" ? before + value : Math.ceil(before * (1 + value / 100));
  });
  if (limits.length === 0) return Number.POSITIVE_INFINITY;
  return selectPolicy === "Min" ? Math.min(...limits) : Math.max(...limits);
}

function scaleDownLimit(question: LimitQuestion, rules: DeepReadonly<HPAScalingRules> | undefined): number {
  const { selectPolicy, policies = [] } = rules ?? {};
  if (selectPolicy === "Disabled") return question.current;
  const limits = policies.map(({ type, value, periodSeconds }) => {
    const before = atPeriodStart(question, periodSeconds);
    return type === "Pods" ? before - value : Math.trunc(before * (1 - value / 100));
  });
  if (limits.length === 0) return 0;
  // The policy that changes most allows the fewest replicas.
  return selectPolicy === "Min" ? Math.max(...limits) : Math.min(...limits);
}
