import { expect, test } from "vitest";
import { expand } from "./expand.ts";

const lookup = (name: string) => ({ A: "1", EMPTY: "" })[name];

test.each([
  ["$(A)", "1"],
  ["x$(A)y$(A)", "x1y1"],
  ["$(EMPTY)", ""],
  ["$(UNKNOWN)", "$(UNKNOWN)"],
  ["$$(A)", "$(A)"],
  ["$$$(A)", "$1"],
  ["$A", "$A"],
  ["$(A", "$(A"],
  ["a$", "a$"],
  ["$$", "$"],
])("%s expands to %s", (text, expected) => {
  expect(expand(text, lookup)).toBe(expected);
});
