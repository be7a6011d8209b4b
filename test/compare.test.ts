/** The recorded corpus of API behaviour (test/compare) holds: every answer is the one that is written there. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ApiConnection } from "../src/testing/behaviour/api-connection.ts";
import { readCorpus } from "../src/testing/behaviour/behaviour-case.ts";
import { differenceLines, playCorpus } from "../src/testing/behaviour/play-corpus.ts";
import { freePorts } from "../src/testing/registry.ts";

const corpus = readCorpus(resolve("test/compare"));
const name = `c${process.pid}`;
let home: string;
let connection: ApiConnection;

const pinnace = (...args: string[]) =>
  execFileSync(process.execPath, [resolve("dist/bin/pinnace.mjs"), ...args, "--name", name], {
    env: { ...process.env, PINNACE_HOME: home, KUBECONFIG: join(home, "kubeconfig") },
    stdio: "pipe",
  });

// A control plane without a scheduler: nothing happens to Pods but what the cases do.
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "pinnace-compare-"));
  const [port] = await freePorts(1);
  const config = join(home, "cluster.yaml");
  writeFileSync(config, `apiVersion: pinnace.local/v1alpha1\nkind: Cluster\napiServer: { port: ${port} }\n`);
  pinnace("up", "--nodes", "0", "--roles", "apiserver,controller-manager", "--config", config);
  connection = ApiConnection.fromFile(join(home, "clusters", name, "kubeconfig"));
});
afterAll(() => {
  connection?.[Symbol.dispose]();
  pinnace("down");
  rmSync(home, { recursive: true, force: true });
});

test.each(corpus.map(({ path, cases }) => [path.split("/").at(-1)!, cases] as const))(
  "%s: the API answers as recorded",
  async (_, cases) => {
    const found: string[] = [];
    await playCorpus(connection, cases, (one, played) => found.push(...differenceLines(one, played)));
    expect(found).toEqual([]);
  },
);
