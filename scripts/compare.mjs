// npm run compare -- [FOLDER] [--only REGEX] [--record]: plays a corpus of behaviour against a bare control plane and reports how
// many cases get the expected answers. FOLDER is test/compare unless named; one that has a replay.mjs of its own is played by it.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";

const given = process.argv.slice(2);
const folder = resolve(given[0] && !given[0].startsWith("--") ? given.shift() : "test/compare");
if (!existsSync(folder)) {
  console.error(
    "usage: npm run compare -- [FOLDER] [--only REGEX] [--record]\nFOLDER holds *.jsonl, or replay.mjs and corpus/*.jsonl",
  );
  process.exit(2);
}

const home = mkdtempSync(join(tmpdir(), "pinnace-compare-"));
const env = { ...process.env, PINNACE_HOME: home, KUBECONFIG: join(home, "kubeconfig") };
const pinnace = (...args) =>
  spawnSync(process.execPath, ["dist/bin/pinnace.mjs", ...args, "--name", "compare"], { env, stdio: "inherit" });
try {
  const up = pinnace("up", "--nodes", "0", "--roles", "apiserver,controller-manager");
  if (up.status !== 0) process.exitCode = 1;
  else {
    const kubeconfig = join(home, "clusters", "compare", "kubeconfig");
    const { program, args } = await player(folder);
    const options = ["--kubeconfig", kubeconfig, ...args, ...given];
    process.exitCode = spawnSync(process.execPath, [program, ...options], { stdio: "inherit" }).status ?? 1;
  }
} finally {
  pinnace("down");
  rmSync(home, { recursive: true, force: true });
}

async function player(corpus) {
  const own = join(corpus, "replay.mjs");
  if (existsSync(own)) return { program: own, args: [] };
  const program = join(home, "play.cjs");
  await build({
    entryPoints: ["src/testing/behaviour/main.ts"],
    outfile: program,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    logLevel: "warning",
  });
  return { program, args: ["--corpus", corpus] };
}
