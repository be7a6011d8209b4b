import { expect, test } from "vitest";
import { humanDuration } from "./ages.ts";

test.each([
  [0, "0s"],
  [119, "119s"],
  [120, "2m"],
  [125, "2m5s"],
  [600, "10m"],
  [179 * 60, "179m"],
  [3 * 3600, "3h"],
  [7 * 3600 + 1800, "7h30m"],
  [47 * 3600, "47h"],
  [50 * 3600, "2d2h"],
  [9 * 86_400, "9d"],
  [800 * 86_400, "2y70d"],
  [9 * 365 * 86_400, "9y"],
])("%i seconds are %s", (seconds, text) => {
  expect(humanDuration(seconds * 1000)).toBe(text);
});
