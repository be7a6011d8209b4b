import { expect, test } from "vitest";
import { systemRandom } from "./system-random.ts";

test("UUIDs are of version 4, and no two the same", () => {
  const many = Array.from({ length: 2000 }, () => systemRandom.uuid());
  expect(new Set(many).size).toBe(many.length);
  for (const uuid of many) expect(uuid).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  // Every other digit takes every value.
  const others = [...many[0]!].flatMap((_, i) => ([8, 13, 14, 18, 19, 23].includes(i) ? [] : [i]));
  for (const at of others) expect(new Set(many.map((uuid) => uuid[at])).size).toBe(16);
});
