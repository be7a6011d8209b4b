import { expect, test } from "vitest";
import { FailedPodBackoff } from "./failed-pod-backoff.ts";

test("a failed daemon Pod is replaced at once, the next after a second, then later each time, up to a quarter of an hour", () => {
  const backoff = new FailedPodBackoff();
  const replacedAt: number[] = [];
  for (let nowMs = 0; replacedAt.length < 14; nowMs += 100)
    if (backoff.replaceInMs("node", nowMs) === 0) replacedAt.push(nowMs);
  const pauses = replacedAt.slice(1).map((at, i) => (at - replacedAt[i]!) / 1000);
  expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
});

test("each Node has its own pauses, and half an hour without failure ends them", () => {
  const backoff = new FailedPodBackoff();
  for (const nowMs of [0, 1000, 3000]) expect(backoff.replaceInMs("a", nowMs)).toBe(0);
  expect(backoff.replaceInMs("a", 3500)).toBe(3500);
  expect(backoff.replaceInMs("b", 3500)).toBe(0);
  expect(backoff.replaceInMs("a", 1_900_000)).toBe(0);
  expect(backoff.replaceInMs("a", 1_900_400)).toBe(600);
});
