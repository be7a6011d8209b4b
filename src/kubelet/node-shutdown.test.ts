import { expect, test } from "vitest";
import { planShutdown, shutdownSeconds } from "./node-shutdown.ts";
import type { PodObject } from "./pod-state.ts";

const pod = (name: string, priority?: number) => ({ pod: { metadata: { name }, spec: { priority } } as PodObject });
const pods = [pod("critical", 2_000_001_000), pod("plain"), pod("low", -10), pod("high", 1000)];
const turnsOf = (settings: Parameters<typeof planShutdown>[1]) =>
  planShutdown(pods, settings).map(({ pods, seconds }) => [pods.map(({ pod }) => pod.metadata.name), seconds]);

test("critical pods end last, in the time that is kept for them", () => {
  const settings = { gracePeriodSeconds: 30, criticalPodsSeconds: 10 };
  expect(turnsOf(settings)).toEqual([
    [["plain", "low", "high"], 20],
    [["critical"], 10],
  ]);
  expect(shutdownSeconds(settings)).toBe(30);
});

test("classes of priorities of one's own, in any order; who is below all goes with the lowest", () => {
  const byPodPriority = [
    { priority: 100_000, shutdownGracePeriodSeconds: 10 },
    { priority: 0, shutdownGracePeriodSeconds: 60 },
    { priority: 1000, shutdownGracePeriodSeconds: 20 },
  ];
  expect(turnsOf({ gracePeriodSeconds: 0, criticalPodsSeconds: 0, byPodPriority })).toEqual([
    [["plain", "low"], 60],
    [["high"], 20],
    [["critical"], 10],
  ]);
});
