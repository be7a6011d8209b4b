import { expect, test } from "vitest";
import { editDistance } from "./edit-distance.ts";

test.each([
  ["", "", 0],
  ["pods", "pods", 0],
  ["", "pods", 4],
  ["gte", "get", 2],
  ["kitten", "sitting", 3],
])("from %j to %j it is %i slips", (from, to, slips) => {
  expect([editDistance(from, to), editDistance(to, from)]).toEqual([slips, slips]);
});

test("two letters that changed places are one slip where that is asked for", () => {
  expect(editDistance("gte", "get", { exchanges: true })).toBe(1);
  expect(editDistance("ab", "ba", { exchanges: true })).toBe(1);
  expect(editDistance("kitten", "sitting", { exchanges: true })).toBe(3);
});
