/** What containerd needs of this machine. Apart from what runs it: every `pinnace up` asks. */
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../../base/node/find-program.ts";

/** Programs, and plugins that CNI looks for in its own folders. */
const programs = ["containerd", "containerd-shim-runc-v2", "ctr", "runc", "tar"];
const plugins = ["ptp", "host-local", "loopback"];
const pluginFolders = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"];

/** What this machine lacks for it; empty when it can run. */
export function missingForContainerd(): string[] {
  const lacking = programs.filter((name) => !findProgram(name));
  return pluginFolder() ? lacking : [...lacking, `the CNI plugins ${plugins.join(", ")}`];
}

/** Where CNI's plugins are, all that pods in containerd need. */
export function pluginFolder(): string | undefined {
  return pluginFolders.find((folder) => plugins.every((name) => readsAs(join(folder, name))));
}

function readsAs(file: string): boolean {
  try {
    closeSync(openSync(file, "r"));
    return true;
  } catch {
    return false;
  }
}
