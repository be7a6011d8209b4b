/**
 * Around all whole-cluster tests (vitest's globalSetup): builds the command, clears what runs left that were cut off,
 * and in the end sees that nothing is left.
 */
import { execFileSync } from "node:child_process";
import { machineState, newSince } from "./leftovers.ts";
import { clearInterruptedRuns } from "./test-homes.ts";

export function setup(): () => void {
  execFileSync(process.execPath, ["scripts/build.mjs"], { stdio: "inherit" });
  clearInterruptedRuns("dist/bin/pinnace.mjs");
  const before = machineState();
  return () => {
    // CI has the machine to itself; a developer may have other clusters.
    const left = process.env["CI"] ? newSince(before, machineState()) : {};
    if (Object.keys(left).length > 0) throw new Error(`the tests left on this machine: ${JSON.stringify(left)}`);
  };
}
