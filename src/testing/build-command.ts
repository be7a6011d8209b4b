/** Builds the command once before whole-cluster tests (vitest's globalSetup). */
import { execFileSync } from "node:child_process";

export function setup(): void {
  execFileSync(process.execPath, ["scripts/build.mjs"], { stdio: "inherit" });
}
