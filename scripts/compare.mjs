// npm run compare -- FOLDER [--only REGEX]: replays a recorded behaviour corpus (FOLDER/replay.mjs, FOLDER/corpus/*.jsonl)
// against a bare control plane, and reports how many cases get the recorded answers.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const [folder, ...rest] = process.argv.slice(2);
const replay = folder && resolve(folder, "replay.mjs");
if (!replay || !existsSync(replay)) {
  console.error("usage: npm run compare -- FOLDER [--only REGEX]\nFOLDER holds replay.mjs and corpus/*.jsonl");
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
    process.exitCode =
      spawnSync(process.execPath, [replay, "--kubeconfig", kubeconfig, ...rest], { stdio: "inherit" }).status ?? 1;
  }
} finally {
  pinnace("down");
  rmSync(home, { recursive: true, force: true });
}
