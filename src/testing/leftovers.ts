/** What a cluster could leave on a machine, seen as the kernel sees it. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface MachineState {
  namespaces: string[];
  links: string[];
  mounts: string[];
  nftTables: string[];
  cgroups: string[];
  processes: string[];
}

/** Everything that a cluster makes outside its state folder. Unrelated things are in it too: compare two states. */
export function machineState(): MachineState {
  return {
    namespaces: entriesOf("/run/netns"),
    links: entriesOf("/sys/class/net"),
    mounts: readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .flatMap((line) => line.split(" ")[1] ?? []),
    nftTables: execFileSync("nft", ["list", "tables"], { encoding: "utf8" }).split("\n").filter(Boolean),
    cgroups: cgroupsNamed("pinnace"),
    processes: processesMatching(/\b(conmon|crun|runc)\b|pinnace\.mjs server/),
  };
}

/** What `after` has and `before` had not, by kind; empty lists are left out. */
export function newSince(before: MachineState, after: MachineState): Partial<MachineState> {
  const added: Partial<MachineState> = {};
  for (const kind of Object.keys(before) as (keyof MachineState)[]) {
    const known = new Set(before[kind]);
    const extra = after[kind].filter((item) => !known.has(item));
    if (extra.length > 0) added[kind] = extra;
  }
  return added;
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** Cgroups of any controller whose own name contains `part`, two levels deep. */
function cgroupsNamed(part: string): string[] {
  const root = "/sys/fs/cgroup";
  const found: string[] = [];
  for (const controller of ["", ...entriesOf(root)]) {
    for (const name of entriesOf(join(root, controller))) {
      if (name.includes(part)) found.push(join(root, controller, name));
    }
  }
  return [...new Set(found)];
}

function processesMatching(pattern: RegExp): string[] {
  return entriesOf("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      return pattern.test(command) ? [`${pid} ${command}`] : [];
    } catch {
      return []; // Gone meanwhile.
    }
  });
}
