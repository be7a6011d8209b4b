import { describe, expect, test } from "vitest";
import type { Node } from "../../api/core/v1.ts";
import { NodeRanges } from "./node-ipam-controller.ts";

const node = (uid: string, ...podCIDRs: string[]) =>
  ({ metadata: { name: uid, uid }, spec: podCIDRs.length > 0 ? { podCIDR: podCIDRs[0], podCIDRs } : {} }) as Node;

describe("ranges of pod addresses", () => {
  test("each node gets the first that nobody has, and the same one when it asks again", () => {
    const ranges = new NodeRanges("10.244.0.0/16");
    ranges.keep([node("a"), node("b"), node("c", "10.244.1.0/24")]);
    expect(["a", "b", "a"].map((uid) => ranges.rangeOf(uid))).toEqual([
      "10.244.0.0/24",
      "10.244.2.0/24",
      "10.244.0.0/24",
    ]);
  });

  test.each([
    ["a wider one takes all it covers", ["10.244.0.0/22"], "10.244.4.0/24"],
    ["a narrower one takes the whole it lies in", ["10.244.0.128/25"], "10.244.1.0/24"],
    ["one elsewhere takes nothing", ["192.168.0.0/24", "fd00::/64"], "10.244.0.0/24"],
    ["one around the whole block takes everything", ["10.0.0.0/8"], undefined],
  ])("of ranges that somebody else chose, %s", (_, theirs, expected) => {
    const ranges = new NodeRanges("10.244.0.0/16");
    ranges.keep([node("a"), node("b", ...theirs)]);
    expect(ranges.rangeOf("a")).toBe(expected);
  });

  test("a deleted node's range is given again", () => {
    const ranges = new NodeRanges("10.244.0.0/24");
    ranges.keep([node("a"), node("b")]);
    expect([ranges.rangeOf("a"), ranges.rangeOf("b")]).toEqual(["10.244.0.0/24", undefined]);
    ranges.keep([node("b")]);
    expect(ranges.rangeOf("b")).toBe("10.244.0.0/24");
  });

  test("a block smaller than a /24 is cut in four", () => {
    const ranges = new NodeRanges("10.0.0.0/25");
    const given = ["a", "b", "c", "d", "e"].map((uid) => ranges.rangeOf(uid));
    expect(given).toEqual(["10.0.0.0/27", "10.0.0.32/27", "10.0.0.64/27", "10.0.0.96/27", undefined]);
  });
});
