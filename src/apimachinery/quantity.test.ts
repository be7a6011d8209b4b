import { describe, expect, it } from "vitest";
import {
  canonicalQuantity,
  compareQuantities,
  Quantity,
  QuantityError,
  quantityMilliValue,
  quantityProblem,
  quantityValue,
} from "./quantity.ts";

describe("quantities", () => {
  it.each([
    ["0", "0"],
    ["0.5", "500m"],
    ["1000m", "1"],
    ["1024Ki", "1Mi"],
    ["1073741824", "1073741824"],
    ["1024", "1024"],
    ["1500Mi", "1500Mi"],
    ["1.5Gi", "1536Mi"],
    ["0.5Ki", "512"],
    ["0.1Mi", "104857600m"],
    ["1e3", "1e3"],
    ["1E", "1E"],
    ["12e6", "12e6"],
    ["-1Mi", "-1Mi"],
    ["1.23456789012n", "2n"],
    ["100k", "100k"],
    ["1000k", "1M"],
    ["+5", "5"],
    [".5", "500m"],
  ])("write %s as %s", (text, canonical) => {
    expect(canonicalQuantity(text)).toBe(canonical);
    expect(canonicalQuantity(canonical)).toBe(canonical);
  });

  it.each([
    ["", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"],
    ["abc", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"],
    ["1KiB", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"],
    ["1kk", "unable to parse quantity's suffix"],
    ["1e", "unable to parse quantity's suffix"],
  ])("refuse %s", (text, message) => {
    expect(quantityProblem(text)).toBe(message);
    expect(() => Quantity.parse(text)).toThrow(QuantityError);
  });

  it("compare and add across suffixes", () => {
    expect(compareQuantities("1Gi", "1G")).toBeGreaterThan(0);
    expect(Quantity.parse("1Mi").add(Quantity.parse("1024Ki")).toString()).toBe("2Mi");
    expect(Quantity.zero.add(Quantity.parse("1Mi")).toString()).toBe("1Mi");
    expect(Quantity.parse("100m").multiply(3).subtract(Quantity.parse("0.1")).toString()).toBe("200m");
  });

  it("round up to whole units and thousandths", () => {
    expect(Quantity.parse("1n").roundedUpToMilli().toString()).toBe("1m");
    expect([quantityValue("1500m"), quantityValue("3Ki"), quantityValue(undefined)]).toEqual([2, 3072, 0]);
    expect([quantityMilliValue("0.25"), quantityMilliValue("250m"), quantityMilliValue("2")]).toEqual([250, 250, 2000]);
  });

  it("cannot be made to compute forever", () => {
    expect(quantityProblem("1e999999999")).toBe("unable to parse numeric part of quantity");
  });
});
