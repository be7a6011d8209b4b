/** The labs of docs/labs on all clusters but three-nodes.yaml's, which have a file of their own: files run side by side. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseDocument, parseSteps } from "../../src/learn/lab.ts";
import { parseLab } from "../../src/testing/lab-document.ts";
import { clusterFiles, doLabs, folder, lab, names, quickStart } from "./do-labs.ts";

test("every lab is in the table of steps, with as many as its documents have", () => {
  const plans = parseSteps(readFileSync(join(folder, "steps.yaml"), "utf8"));
  const counts = names.map((name) => [name, parseDocument(lab("en", name)).steps.length] as const);
  expect(Object.fromEntries(plans.map((plan) => [`${plan.name}.md`, plan.steps.length]))).toEqual(
    Object.fromEntries(counts),
  );
});

describe("the labs' translations", () => {
  test.each([...names, quickStart])("%s has the same steps in both languages", (name) => {
    expect(parseLab(lab("ko", name))).toEqual(parseLab(lab("en", name)));
  });

  test("what to do when something does not work is the same in both languages", () => {
    const steps = (file: string) => parseLab(readFileSync(join("docs", file), "utf8"));
    expect(steps("ko/troubleshooting.md")).toEqual(steps("troubleshooting.md"));
  });
});

doLabs(clusterFiles.filter((file) => file !== "three-nodes.yaml"));
