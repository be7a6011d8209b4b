/** The labs of docs/labs, done as a learner does them: every command of every document, and what it should print. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { sleep } from "../../src/base/clock.ts";
import { systemClock } from "../../src/base/node/system-clock.ts";
import { checkLab } from "../../src/cluster/commands/lab.ts";
import { parseDocument, parseSteps } from "../../src/learn/lab.ts";
import { describeCluster, eventually, type TestCluster } from "../../src/testing/cluster-fixture.ts";
import { clusterFileOf, isAsWritten, parseLab, runLabCommand } from "../../src/testing/lab-document.ts";

const folder = "docs/labs";
const entry = resolve("dist/bin/pinnace.mjs");
const names = readdirSync(join(folder, "en")).filter((name) => name.endsWith(".md"));
const quickStart = "quick-start.md";
const lab = (language: string, name: string) =>
  readFileSync(
    name === quickStart ? join("docs", language === "ko" ? "ko" : "", name) : join(folder, language, name),
    "utf8",
  );

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
});

/** Labs whose nodes are the same share a cluster. */
const clusterFiles = [...new Set(names.map((name) => clusterFileOf(lab("en", name))))];

/**
 * Every document is done with one of the two kubectls, in turn the real one and Pinnace's own. LABS_KUBECTL=real or
 * LABS_KUBECTL=own does all of them with that one.
 */
const kubectls = (process.env["LABS_KUBECTL"] ?? "real,own").split(",");
const kubectlOf = (name: string) => kubectls[names.indexOf(name) % kubectls.length]!;

/** Most of a lab is waiting: two clusters' labs go side by side. One row does its clusters one after the other. */
const [longest = "", ...others] = [...clusterFiles].sort((a, b) => labsOn(b).length - labsOn(a).length);
describe.concurrent("one row of labs", () => doLabs([longest], "a"));
describe.concurrent("another row of labs", () => doLabs(others, "b"));

function labsOn(file: string): string[] {
  return names.filter((name) => clusterFileOf(lab("en", name)) === file);
}

function doLabs(files: readonly string[], suffix: string): void {
  for (const file of files) {
    // Without what names the file's kind and the cluster, which the fixture says.
    const config = readFileSync(join(folder, file), "utf8").replace(/^(apiVersion|kind|name): .*\n/gm, "");
    describeCluster(`the labs on ${file}`, { config, suffix }, (cluster) => {
      const bin = join(cluster.home, "bin");
      const own = join(cluster.home, "own");
      beforeAll(() => {
        writeCommand(bin, "pinnace", "");
        writeCommand(own, "kubectl", "kubectl ");
      });
      if (file === "metallb.yaml") {
        test.sequential("the quick start", { timeout: 120_000 }, () =>
          follow(cluster, quickStart, {
            ...process.env,
            PATH: [bin, process.env["PATH"]].join(":"),
            PINNACE_HOME: cluster.home,
            KUBECONFIG: cluster.kubeconfig,
          }),
        );
      }
      for (const name of labsOn(file)) {
        const kubectl = kubectlOf(name);
        test.sequential(`${name}, with the ${kubectl} kubectl`, { timeout: 120_000 }, () =>
          follow(cluster, name, {
            ...process.env,
            PATH: [...(kubectl === "own" ? [own] : []), bin, process.env["PATH"]].join(":"),
            PINNACE_HOME: cluster.home,
            KUBECONFIG: cluster.kubeconfig,
          }),
        );
      }
    });
  }
}

function writeCommand(place: string, program: string, words: string): void {
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, program), `#!/bin/sh\nexec ${process.execPath} ${entry} ${words}"$@"\n`, { mode: 0o755 });
}

/** Does what a document says, in a folder of its own; after each step of a lab `pinnace lab check` must see that it is done. */
async function follow(cluster: TestCluster, name: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const place = join(cluster.home, name);
  mkdirSync(place, { recursive: true });
  const progress = { lab: name.replace(/\.md$/, ""), language: names.indexOf(name) % 3 === 0 ? "ko" : "en", done: 0 };
  writeFileSync(join(cluster.home, "clusters", cluster.name, "lab.json"), JSON.stringify(progress));
  const sections = lab("en", name).split(/^(?=## )/m);
  for (const [i, section] of sections.entries()) {
    for (const step of parseLab(section)) {
      if (step.kind === "file") {
        writeFileSync(join(place, step.name), step.content);
        continue;
      }
      const printed = () => runLabCommand(step.command, { folder: place, environment });
      const check = (text: string) => {
        const story = `$ ${step.command}\n${text}\nThe lab says:\n${step.expected}`;
        expect(isAsWritten(step.expected, text), story).toBe(true);
      };
      if (step.isRepeated) await eventually(unhurried(printed), check);
      else check(await printed());
    }
    if (i === 0 || name === quickStart) continue; // The introduction; the quick start has no checks.
    await eventually(
      unhurried(() => checked(cluster.home)),
      (text) => expect(text).toContain(`✓ ${i}. `),
    );
  }
}

/** From the second time on with a pause: every question takes processor time from what it waits for. */
function unhurried<T>(ask: () => Promise<T>): () => Promise<T> {
  let isAgain = false;
  return async () => {
    if (isAgain) await sleep(systemClock, 200);
    isAgain = true;
    return ask();
  };
}

/** What `pinnace lab check` prints. Not by the command: it would take a process for each step of each lab. */
async function checked(home: string): Promise<string> {
  const lines: string[] = [];
  await checkLab({ entry, home, print: (line) => lines.push(line) });
  return lines.join("\n");
}
