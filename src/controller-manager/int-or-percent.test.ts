import { expect, test } from "vitest";
import { scaledValue } from "./int-or-percent.ts";

test.each<[number | string, number, number, number]>([
  ["25%", 3, 1, 0],
  ["25%", 4, 1, 1],
  ["25%", 10, 3, 2],
  ["50%", 1, 1, 0],
  ["100%", 7, 7, 7],
  ["0%", 7, 0, 0],
  ["1%", 0, 0, 0],
  [2, 1, 2, 2],
])("%s of %i is %i rounded up, %i rounded down", (value, total, up, down) => {
  expect(scaledValue(value, total, "up")).toBe(up);
  expect(scaledValue(value, total, "down")).toBe(down);
});

test.each(["25", "x%", "-1%", "%", "2.5%"])("%s is neither number nor percentage", (text) => {
  expect(() => scaledValue(text, 10, "up")).toThrow("neither a number nor a percentage");
});
