import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OrderedMap, prefixEnd } from "./ordered-map.ts";

interface Item {
  key: string;
  value: number;
}

const contents = (map: OrderedMap<Item>, from = "", to?: string) => {
  const items: Item[] = [];
  map.scan(from, to, (item) => items.push(item) > 0);
  return items;
};

describe("OrderedMap", () => {
  it("agrees with a sorted array after any changes, and leaves every earlier map as it was", () => {
    const key = fc.integer({ min: 0, max: 600 }).map((n) => `k${String(n).padStart(3, "0")}`);
    const change = fc.record({ key, remove: fc.boolean() });
    const run = fc.record({
      initial: fc.integer({ min: 0, max: 600 }),
      changes: fc.array(change, { maxLength: 400 }),
      from: key,
      to: fc.option(key, { nil: undefined }),
    });
    fc.assert(
      fc.property(run, ({ initial, changes, from, to }) => {
        const start = Array.from({ length: initial }, (_, i) => ({ key: `k${String(i).padStart(3, "0")}`, value: -1 }));
        let map = OrderedMap.fromSorted(start);
        const first = map;
        const model = new Map(start.map((item) => [item.key, item]));
        for (const [value, { key: at, remove }] of changes.entries()) {
          const item = { key: at, value };
          map = remove ? map.delete(at) : map.set(item);
          if (remove) model.delete(at);
          else model.set(at, item);
          expect(map.get(at)).toBe(model.get(at));
        }
        const sorted = [...model.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
        expect(contents(map)).toEqual(sorted);
        expect(map.size).toBe(sorted.length);
        const within = sorted.filter((item) => item.key >= from && (to === undefined || item.key < to));
        expect(contents(map, from, to)).toEqual(within);
        if (to === undefined || to >= from) expect(map.count(from, to)).toBe(within.length);
        expect(contents(first)).toEqual(start);
      }),
      { numRuns: 100 },
    );
  });

  it("stays quick with keys that arrive in order, in reverse, and leave again", () => {
    for (const order of [(i: number) => i, (i: number) => 9_999 - i]) {
      let map = OrderedMap.empty<Item>();
      for (let i = 0; i < 10_000; i++) map = map.set({ key: `k${String(order(i)).padStart(5, "0")}`, value: i });
      expect(contents(map).map((item) => item.key)).toEqual(
        contents(map).map((_, i) => `k${String(i).padStart(5, "0")}`),
      );
      for (let i = 0; i < 10_000; i++) map = map.delete(`k${String(i).padStart(5, "0")}`);
      expect([map.size, contents(map)]).toEqual([0, []]);
    }
  });

  it("knows where the keys of a prefix end", () => {
    expect(prefixEnd("/registry/pods/")).toBe("/registry/pods0");
    expect(prefixEnd("")).toBeUndefined();
  });
});
