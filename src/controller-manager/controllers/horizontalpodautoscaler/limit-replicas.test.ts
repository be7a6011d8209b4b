import { expect, test } from "vitest";
import { type LimitQuestion, limitReplicas } from "./limit-replicas.ts";

const nowMs = 1_000_000_000;
const ago = (seconds: number) => nowMs - seconds * 1000;

function limited(question: Partial<LimitQuestion>) {
  const { replicas, ableToScale, scalingLimited } = limitReplicas({
    current: 3,
    desired: 3,
    minimum: 1,
    maximum: 10,
    behavior: undefined,
    recommendations: [],
    scaleUps: [],
    scaleDowns: [],
    nowMs,
    ...question,
  });
  return [replicas, ableToScale.reason, scalingLimited.reason];
}

const up = (policies: { type: string; value: number; periodSeconds: number }[], more = {}) => ({
  behavior: { scaleUp: { policies, ...more } },
});
const down = (policies: { type: string; value: number; periodSeconds: number }[], more = {}) => ({
  behavior: { scaleDown: { policies, stabilizationWindowSeconds: 0, ...more } },
});

test.each<[string, Partial<LimitQuestion>, [number, string, string]]>([
  ["what is wanted and allowed happens", { desired: 5 }, [5, "ReadyForNewScale", "DesiredWithinRange"]],
  ["the maximum holds", { desired: 12, current: 8 }, [10, "ReadyForNewScale", "TooManyReplicas"]],
  ["the minimum holds", { desired: 0, minimum: 2, recommendations: [] }, [2, "ReadyForNewScale", "TooFewReplicas"]],
  ["without a behaviour at most twice as many", { desired: 9 }, [6, "ReadyForNewScale", "ScaleUpLimit"]],
  ["one replica may become four", { desired: 9, current: 1 }, [4, "ReadyForNewScale", "ScaleUpLimit"]],
  [
    "a higher wish of the last five minutes holds the count up",
    { desired: 1, recommendations: [{ replicas: 3, atMs: ago(299) }] },
    [3, "ScaleDownStabilized", "DesiredWithinRange"],
  ],
  [
    "an older one does not",
    { desired: 1, recommendations: [{ replicas: 3, atMs: ago(301) }] },
    [1, "ReadyForNewScale", "DesiredWithinRange"],
  ],
  [
    "a window for rises waits for the lowest wish",
    {
      desired: 9,
      recommendations: [{ replicas: 4, atMs: ago(30) }],
      behavior: {
        scaleUp: { stabilizationWindowSeconds: 60, policies: [{ type: "Pods", value: 99, periodSeconds: 15 }] },
      },
    },
    [4, "ScaleUpStabilized", "DesiredWithinRange"],
  ],
  [
    "policies count what came within their period",
    {
      desired: 9,
      current: 5,
      scaleUps: [{ change: 2, atMs: ago(10) }],
      ...up([{ type: "Pods", value: 4, periodSeconds: 60 }]),
    },
    [7, "ReadyForNewScale", "ScaleUpLimit"],
  ],
  [
    "of several policies the most generous counts, or the strictest",
    {
      desired: 9,
      ...up(
        [
          { type: "Pods", value: 1, periodSeconds: 60 },
          { type: "Percent", value: 100, periodSeconds: 60 },
        ],
        { selectPolicy: "Min" },
      ),
    },
    [4, "ReadyForNewScale", "ScaleUpLimit"],
  ],
  ["no rises at all", { desired: 9, ...up([], { selectPolicy: "Disabled" }) }, [3, "ReadyForNewScale", "ScaleUpLimit"]],
  [
    "falls are bounded by policies too",
    { desired: 1, current: 10, ...down([{ type: "Percent", value: 25, periodSeconds: 60 }]) },
    [7, "ReadyForNewScale", "ScaleDownLimit"],
  ],
  [
    "no falls at all",
    { desired: 1, ...down([], { selectPolicy: "Disabled" }) },
    [3, "ReadyForNewScale", "ScaleDownLimit"],
  ],
])("%s", (_, question, expected) => {
  expect(limited(question)).toEqual(expected);
});
