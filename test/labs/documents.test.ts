/** The labs of docs/labs, done as a learner does them: every command of every document, and what it should print. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sleep } from "../../src/base/clock.ts";
import { systemClock } from "../../src/base/node/system-clock.ts";
import { checkLab } from "../../src/cluster/commands/lab.ts";
import { parseDocument, parseSteps } from "../../src/learn/lab.ts";
import { describeCluster, eventually, type TestCluster } from "../../src/testing/cluster-fixture.ts";
import { clusterFileOf, isAsWritten, parseLab, runLabCommand } from "../../src/testing/lab-document.ts";

const folder = "docs/labs";
const entry = resolve("dist/bin/pinnace.mjs");
const names = readdirSync(join(folder, "en")).filter((name) => name.endsWith(".md"));
const lab = (language: string, name: string) => readFileSync(join(folder, language, name), "utf8");

test("every lab is in the table of steps, with as many as its documents have", () => {
  const plans = parseSteps(readFileSync(join(folder, "steps.yaml"), "utf8"));
  const counts = names.map((name) => [name, parseDocument(lab("en", name)).steps.length] as const);
  expect(Object.fromEntries(plans.map((plan) => [`${plan.name}.md`, plan.steps.length]))).toEqual(
    Object.fromEntries(counts),
  );
});

describe("the labs' translations", () => {
  test.each(names)("%s has the same steps in both languages", (name) => {
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

for (const file of clusterFiles) {
  // Without what names the file's kind and the cluster, which the fixture says.
  const config = readFileSync(join(folder, file), "utf8").replace(/^(apiVersion|kind|name): .*\n/gm, "");
  describeCluster(`the labs on ${file}`, { config }, (cluster) => {
    const bin = join(cluster.home, "bin");
    const own = join(cluster.home, "own");
    const home = process.env["PINNACE_HOME"];
    beforeAll(() => {
      process.env["PINNACE_HOME"] = cluster.home;
      for (const [place, program, words] of [
        [bin, "pinnace", ""],
        [own, "kubectl", "kubectl "],
      ] as const) {
        mkdirSync(place, { recursive: true });
        writeFileSync(join(place, program), `#!/bin/sh\nexec ${process.execPath} ${entry} ${words}"$@"\n`, {
          mode: 0o755,
        });
      }
    });
    afterAll(() => {
      if (home === undefined) delete process.env["PINNACE_HOME"];
      else process.env["PINNACE_HOME"] = home;
    });
    const here = names.filter((name) => clusterFileOf(lab("en", name)) === file);
    test.each(here.map((name) => [name, kubectlOf(name)]))(
      "%s, with the %s kubectl",
      { timeout: 120_000 },
      (name, kubectl) =>
        follow(cluster, name, {
          ...process.env,
          PATH: [...(kubectl === "own" ? [own] : []), bin, process.env["PATH"]].join(":"),
          PINNACE_HOME: cluster.home,
          KUBECONFIG: cluster.kubeconfig,
        }),
    );
  });
}

/** Does what a document says, in a folder of its own; after each step `pinnace lab check` must see that it is done. */
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
    if (i === 0) continue; // The introduction.
    await eventually(unhurried(checked), (text) => expect(text).toContain(`✓ ${i}. `));
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
async function checked(): Promise<string> {
  const lines: string[] = [];
  await checkLab({ entry, print: (line) => lines.push(line) });
  return lines.join("\n");
}
