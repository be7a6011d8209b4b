import { describe, expect, it } from "vitest";
import {
  formatLabelSelector,
  labelSelectorMatcher,
  nothing,
  parseFieldSelector,
  parseLabelSelector,
} from "./selectors.ts";

describe("label selectors", () => {
  it.each([
    ["", { a: "1" }, true],
    ["a=1", { a: "1" }, true],
    ["a==1,b!=2", { a: "1" }, true],
    ["a in (1,2)", { a: "2" }, true],
    ["a notin (1,2)", {}, true],
    ["a", {}, false],
    ["!a", { b: "" }, true],
    ["a>3", { a: "4" }, true],
    ["a<3", { a: "x" }, false],
    ["a=", { a: "" }, true],
    ["in in (in)", { in: "in" }, true],
    ["a in (,b)", { a: "" }, true],
  ])("%s against %o: %s", (text, labels, expected) => {
    expect(parseLabelSelector(text).matches(labels)).toBe(expected);
  });

  it.each([
    ["c=>x", "unable to parse requirement: found '>', expected: identifier"],
    ["c in x", "unable to parse requirement: found 'x' expected: '('"],
    ["a b=c", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ["c=x,,", "found ',', expected: identifier after ','"],
    ["a in", "unable to parse requirement: found '' expected: '('"],
    ["/x=1", 'unable to parse requirement: <nil>: Invalid value: "/x": prefix part must be non-empty'],
    ["a=b c", "found 'c', expected: ',' or 'end of string'"],
    ["=a", "found '=', expected: !, identifier, or 'end of string'"],
    [
      "a>x",
      "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
    ],
  ])("%s is refused as upstream refuses it", (text, message) => {
    expect(() => parseLabelSelector(text)).toThrow(message);
  });

  it("print in the query syntax, sorted by key", () => {
    expect(parseLabelSelector("b in (2,1),a,!c,d!=4").toString()).toBe("a,b in (1,2),!c,d!=4");
    expect(formatLabelSelector({ matchLabels: { app: "web" } })).toBe("app=web");
    expect(formatLabelSelector({})).toBe("<none>");
    expect(formatLabelSelector({ matchExpressions: [{ key: "a", operator: "Near" }] })).toBe("<error>");
  });

  it("absent selects nothing, empty selects everything", () => {
    expect(labelSelectorMatcher(undefined)).toBe(nothing);
    expect(labelSelectorMatcher({}).matches({})).toBe(true);
  });
});

describe("field selectors", () => {
  it("split at commas that are not escaped", () => {
    expect(parseFieldSelector("b!=2,a=1\\,2")).toEqual([
      { field: "a", operator: "=", value: "1,2" },
      { field: "b", operator: "!=", value: "2" },
    ]);
  });

  it("need an operator", () => {
    expect(() => parseFieldSelector("metadata.name")).toThrow(
      "invalid selector: 'metadata.name'; can't understand 'metadata.name'",
    );
    expect(() => parseFieldSelector("a=\\x")).toThrow("invalid field selector: invalid escape sequence: \\x");
  });
});
