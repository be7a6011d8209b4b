import { expect, test } from "vitest";
import { sortUnstably } from "./unstable-sort.ts";

/** The same numbers each time. */
function numbers(count: number, below: number): number[] {
  let state = 42;
  return Array.from({ length: count }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state % below;
  });
}

test("any list comes into order", () => {
  const lists = [0, 1, 2, 12, 13, 49, 50, 51, 400, 3000].flatMap((count) => [
    numbers(count, 1_000_000),
    numbers(count, 3),
    Array.from({ length: count }, (_, i) => i),
    Array.from({ length: count }, (_, i) => -i),
    Array.from({ length: count }, (_, i) => (i % 2 ? i : -i)),
    Array.from({ length: count }, (_, i) => (i === count - 2 ? 0 : i)),
  ]);
  for (const list of lists) {
    const sorted = [...list];
    sortUnstably(sorted, (a, b) => a < b);
    expect(sorted).toEqual([...list].sort((a, b) => a - b));
  }
});

test("a dozen equals stay as they are, more are left as Go leaves them", () => {
  const order = (count: number) => {
    const items = Array.from({ length: count }, (_, i) => ({ i, key: i % 2 }));
    sortUnstably(items, (a, b) => a.key < b.key);
    return items.map(({ i }) => i);
  };
  expect(order(12)).toEqual([0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]);
  expect(order(14)).toEqual([8, 12, 2, 0, 4, 10, 6, 3, 7, 9, 5, 11, 1, 13]);
});
