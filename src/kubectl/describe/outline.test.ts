import { expect, test } from "vitest";
import { alignTabs, Outline } from "./outline.ts";

test("columns align within a block of lines that have them, and not beyond", () => {
  expect(alignTabs("Name:\tweb\nNamespace:\tdefault\nContainers:\n  a:\tb\tc\n  long:\tdd\te\n")).toBe(
    "Name:       web\nNamespace:  default\nContainers:\n  a:     b   c\n  long:  dd  e\n",
  );
});

test("maps stand under one another in the order of their keys", () => {
  const outline = new Outline();
  outline.map(0, "Labels", { tier: "front", app: "web" });
  outline.map(0, "Annotations", {});
  expect(String(outline)).toBe("Labels:       app=web\n              tier=front\nAnnotations:  <none>\n");
});
