/** Around all whole-cluster tests (vitest's globalSetup): builds the command, and in the end sees that nothing is left. */
import { execFileSync } from "node:child_process";
import { machineState, newSince } from "./leftovers.ts";

export function setup(): () => void {
  execFileSync(process.execPath, ["scripts/build.mjs"], { stdio: "inherit" });
  const before = machineState();
  return () => {
    // CI has the machine to itself; a developer may have other clusters.
    const left = process.env["CI"] ? newSince(before, machineState()) : {};
    if (Object.keys(left).length > 0) throw new Error(`the tests left on this machine: ${JSON.stringify(left)}`);
  };
}
