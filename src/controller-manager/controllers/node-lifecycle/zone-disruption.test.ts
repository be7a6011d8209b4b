import { expect, test } from "vitest";
import { EvictionPace, evictionRate, type ZoneNodes, zoneStateOf } from "./zone-disruption.ts";

const zone = (ready: number, notReady: number): ZoneNodes => ({ ready, notReady });

test.each([
  ["all are well", 3, 0, "Normal"],
  ["one of three is gone", 2, 1, "Normal"],
  ["two of three are gone: three at least are many", 1, 2, "Normal"],
  ["three of five are gone", 2, 3, "PartialDisruption"],
  ["just under the threshold", 10, 12, "Normal"],
  ["just above it", 9, 11, "PartialDisruption"],
  ["the only one is gone", 0, 1, "FullDisruption"],
  ["all are gone", 0, 7, "FullDisruption"],
  ["nobody is there", 0, 0, "Normal"],
])("%s", (_, ready, notReady, state) => {
  expect(zoneStateOf(zone(ready, notReady))).toBe(state);
});

test.each([
  ["one Node in ten seconds where most are well", zone(2, 1), [], 0.1],
  ["none where most of a small zone are gone", zone(2, 3), [], 0],
  ["one in a hundred seconds where most of a large zone are gone", zone(20, 31), [], 0.01],
  ["fifty are not yet large", zone(20, 30), [], 0],
  ["a zone that is wholly gone while another stands", zone(0, 3), [zone(1, 0)], 0.1],
  ["none when every zone is gone", zone(0, 3), [zone(0, 1)], 0],
  ["none when the only Node is gone", zone(0, 1), [], 0],
])("%s", (_, own, others, rate) => {
  expect(evictionRate(own, [own, ...others])).toBe(rate);
});

test("of each zone one goes at once, and the next when the rate allows", () => {
  const pace = new EvictionPace();
  expect(pace.waitMs("a", 0.1, 0)).toBe(0);
  expect(pace.waitMs("b", 0.1, 1_000)).toBe(0);
  expect(pace.waitMs("a", 0.1, 4_000)).toBe(6_000);
  expect(pace.waitMs("a", 0, 20_000)).toBeUndefined();
  expect(pace.waitMs("a", 0.1, 20_000)).toBe(0);
  expect(pace.waitMs("a", 0.01, 30_000)).toBe(90_000);
});
