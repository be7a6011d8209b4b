/** What a cluster could leave on a machine, seen as the kernel sees it. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
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
    cgroups: clusterCgroups(),
    processes: processesMatching(/\b(conmon|crun|runc)\b|pinnace\.mjs server/),
  };
}

/**
 * What `after` has and `before` had not, by kind; empty lists are left out.
 * Other clusters come and go meanwhile: with `marks` only what contains one of them counts.
 */
export function newSince(before: MachineState, after: MachineState, marks?: readonly string[]): Partial<MachineState> {
  const isOurs = (item: string) => marks === undefined || marks.some((mark) => item.includes(mark));
  const added: Partial<MachineState> = {};
  for (const kind of Object.keys(before) as (keyof MachineState)[]) {
    const known = new Set(before[kind]);
    const extra = after[kind].filter((item) => !known.has(item) && isOurs(item));
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

/** The folder of all clusters and those of each, in every hierarchy. */
function clusterCgroups(): string[] {
  const root = "/sys/fs/cgroup";
  return [root, ...entriesOf(root).map((controller) => join(root, controller))].flatMap((hierarchy) => {
    const parent = join(hierarchy, "pinnace");
    return existsSync(parent) ? [parent, ...foldersIn(parent)] : [];
  });
}

function foldersIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(folder, entry.name));
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
