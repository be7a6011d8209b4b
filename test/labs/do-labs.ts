/** Does the labs of docs/labs as a learner does them: every command of every document, and what it should print. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { sleep } from "../../src/base/clock.ts";
import { systemClock } from "../../src/base/node/system-clock.ts";
import { checkLab } from "../../src/cluster/commands/lab.ts";
import { describeCluster, eventually, type TestCluster } from "../../src/testing/cluster-fixture.ts";
import { clusterFileOf, isAsWritten, parseLab, runLabCommand } from "../../src/testing/lab-document.ts";

export const folder = "docs/labs";
const entry = resolve("dist/bin/pinnace.cjs");
export const names = readdirSync(join(folder, "en")).filter((name) => name.endsWith(".md"));
export const quickStart = "quick-start.md";
export const lab = (language: string, name: string) =>
  readFileSync(
    name === quickStart ? join("docs", language === "ko" ? "ko" : "", name) : join(folder, language, name),
    "utf8",
  );

/**
 * Every document is done with one of the two kubectls, in turn the real one and Pinnace's own. LABS_KUBECTL=real or
 * LABS_KUBECTL=own does all of them with that one.
 */
const kubectls = (process.env["LABS_KUBECTL"] ?? "real,own").split(",");
/** The URL of a registry with the original images; by default they come from docker.io where that is reached, else from this machine. */
const mirror = process.env["LABS_MIRROR"];
const kubectlOf = (name: string) => kubectls[names.indexOf(name) % kubectls.length]!;

/** Labs whose nodes are the same share a cluster. */
export const clusterFiles: readonly string[] = [...new Set(names.map((name) => clusterFileOf(lab("en", name))))];

function labsOn(file: string): string[] {
  return names.filter((name) => clusterFileOf(lab("en", name)) === file);
}

/** A cluster for each of the files, one after the other, and on it the labs that name it. */
export function doLabs(files: readonly string[]): void {
  for (const file of files) {
    // Without what names the file's kind and the cluster, which the fixture says.
    const nodes = readFileSync(join(folder, file), "utf8").replace(/^(apiVersion|kind|name): .*\n/gm, "");
    const config = nodes + (mirror ? `images: { mirrors: { docker.io: [${JSON.stringify(mirror)}] } }\n` : "");
    describeCluster(`the labs on ${file}`, { config }, (cluster) => {
      const bin = join(cluster.home, "bin");
      const own = join(cluster.home, "own");
      beforeAll(() => {
        writeCommand(bin, "pinnace", "");
        writeCommand(own, "kubectl", "kubectl ");
      });
      if (file === "metallb.yaml") {
        test("the quick start", { timeout: 120_000 }, () =>
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
        test(`${name}, with the ${kubectl} kubectl`, { timeout: 120_000 }, () =>
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
  writeFileSync(join(place, program), `#!/bin/sh\nPINNACE_NODE=${process.execPath} exec ${entry} ${words}"$@"\n`, {
    mode: 0o755,
  });
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
