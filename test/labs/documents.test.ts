/** The labs of docs/labs, done as a learner does them: every command of every document, and what it should print. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeCluster, eventually } from "../../src/testing/cluster-fixture.ts";
import { isAsWritten, parseLab, runLabCommand } from "../../src/testing/lab-document.ts";

const folder = "docs/labs";
const names = readdirSync(join(folder, "en")).filter((name) => name.endsWith(".md"));
const lab = (language: string, name: string) => readFileSync(join(folder, language, name), "utf8");

describe("the labs' translations", () => {
  test.each(names)("%s has the same steps in both languages", (name) => {
    expect(parseLab(lab("ko", name))).toEqual(parseLab(lab("en", name)));
  });
});

/** Without what names the file's kind and the cluster, which the fixture says. */
const config = readFileSync(join(folder, "three-nodes.yaml"), "utf8").replace(/^(apiVersion|kind|name): .*\n/gm, "");

describeCluster("the labs as documents", { config }, (cluster) => {
  test.each(names)("%s", { timeout: 120_000 }, async (name) => {
    const place = join(cluster.home, name);
    mkdirSync(place, { recursive: true });
    const environment = { ...process.env, PINNACE_HOME: cluster.home, KUBECONFIG: cluster.kubeconfig };
    for (const step of parseLab(lab("en", name))) {
      if (step.kind === "file") {
        writeFileSync(join(place, step.name), step.content);
        continue;
      }
      const printed = () => runLabCommand(step.command, { folder: place, environment });
      const check = (text: string) =>
        expect(isAsWritten(step.expected, text), `$ ${step.command}\n${text}\nThe lab says:\n${step.expected}`).toBe(
          true,
        );
      if (step.isRepeated) await eventually(printed, check);
      else check(await printed());
    }
  });
});
