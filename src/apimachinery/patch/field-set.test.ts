import { expect, test } from "vitest";
import { fieldSetOf, inOrder } from "./field-set.ts";

test("sets are ordered by their text at every level, whichever way they were made", () => {
  const made = fieldSetOf(["f:spec", "f:b"], ["f:spec", "f:a"], ["f:metadata", "f:labels", "f:x"]);
  expect(JSON.stringify(inOrder(made))).toBe('{"f:metadata":{"f:labels":{"f:x":{}}},"f:spec":{"f:a":{},"f:b":{}}}');
  expect(JSON.stringify(made)).toContain('{"f:spec":{"f:b":{},"f:a":{}}');
  const many = fieldSetOf(...Array.from({ length: 100 }, (_, i) => [`f:${(i * 37) % 100}`]));
  const elements = Object.keys(inOrder(many));
  expect(elements).toEqual([...elements].sort());
});

test("equal sets are one, which nobody can change", () => {
  const one = inOrder(fieldSetOf(["f:data", "f:b"], ["f:data", "f:a"]));
  expect(inOrder(fieldSetOf(["f:data", "f:a"], ["f:data", "f:b"]))).toBe(one);
  expect(inOrder(fieldSetOf(["f:data", "f:a"]))).not.toEqual(one);
  expect(inOrder(fieldSetOf(["f:data", "f:a"], ["f:data", "f:b"], ["f:kind"]))).not.toEqual(one);
  expect(Object.isFrozen(one["f:data"])).toBe(true);
});
