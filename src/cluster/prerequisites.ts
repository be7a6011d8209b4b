/** What the machine must offer for nodes with real containers, how each thing is checked, and the line that provides it. */
import { execFileSync } from "node:child_process";
import { accessSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { findProgram } from "../base/node/find-program.ts";

export interface Prerequisite {
  name: string;
  /** What Pinnace does with it. */
  purpose: string;
  present: boolean;
  /** What was found: a path, a kernel feature. */
  found?: string;
  /** The exact line, or the advice, that provides it. */
  remedy?: string;
  /** Without a required one, nodes are simulated. */
  required: boolean;
}

interface Program {
  /** Any of these will do; the first is preferred. */
  names: readonly string[];
  purpose: string;
  packages: Record<PackageManager, string>;
  /** Of an older one it is no use: `[1, 0, 1]`. */
  minimum?: readonly number[];
}

type PackageManager = "apt-get" | "dnf" | "zypper" | "pacman" | "apk";

const everywhere = (name: string): Record<PackageManager, string> => ({
  "apt-get": name,
  dnf: name,
  zypper: name,
  pacman: name,
  apk: name,
});

const programs: readonly Program[] = [
  { names: ["crun", "runc"], purpose: "runs containers", packages: everywhere("crun") },
  { names: ["conmon"], purpose: "keeps containers alive without the server", packages: everywhere("conmon") },
  {
    names: ["nft"],
    purpose: "programs Service traffic into the kernel",
    packages: everywhere("nftables"),
    // As upstream's kube-proxy asks.
    minimum: [1, 0, 1],
  },
  {
    names: ["ip"],
    purpose: "builds the nodes' network",
    packages: { ...everywhere("iproute2"), dnf: "iproute" },
  },
];

/** Asked once by each command. */
const versions = new Map<string, string>();

const installCommands: Record<PackageManager, string> = {
  "apt-get": "apt-get install -y --no-install-recommends",
  dnf: "dnf install -y",
  zypper: "zypper install -y",
  pacman: "pacman -S --noconfirm",
  apk: "apk add",
};

/** Looks at files only: cheap enough for every `up`. */
export function checkPrerequisites(): Prerequisite[] {
  return [...programs.map(checkProgram), checkRoot(), ...kernelFeatures().map(checkKernel)];
}

export function missing(prerequisites: readonly Prerequisite[]): Prerequisite[] {
  return prerequisites.filter((item) => item.required && !item.present);
}

/** Packages of missing programs, and the command that installs them. Undefined when there is nothing to install or no known package manager. */
export function installationPlan(): { packages: string[]; command: string; refresh: string | undefined } | undefined {
  const manager = packageManager();
  const packages = programs
    .filter((program) => !findAny(program.names))
    .map((program) => program.packages[manager ?? "apt-get"]);
  if (!manager || packages.length === 0) return undefined;
  return {
    packages,
    command: `${installCommands[manager]} ${packages.join(" ")}`,
    refresh: manager === "apt-get" ? "apt-get update" : undefined,
  };
}

/** The first of the names that is there. */
function findAny(names: readonly string[]): string | undefined {
  for (const name of names) {
    const file = findProgram(name);
    if (file) return file;
  }
  return undefined;
}

function packageManager(): PackageManager | undefined {
  return (Object.keys(installCommands) as PackageManager[]).find((manager) => findProgram(manager));
}

function checkProgram(program: Program): Prerequisite {
  const found = findAny(program.names);
  const manager = packageManager();
  const remedy = manager
    ? `${installCommands[manager]} ${program.packages[manager]}`
    : `install ${program.names[0]} with this machine's package manager`;
  const shared = { name: program.names.join(" or "), purpose: program.purpose, required: true };
  const tooOld = found && program.minimum && olderThan(found, program.minimum);
  if (tooOld) {
    const wanted = program.minimum?.join(".");
    return { ...shared, present: false, remedy: `${found} is ${tooOld}, and ${wanted} is needed: ${remedy}` };
  }
  return { ...shared, present: found !== undefined, ...(found ? { found } : { remedy }) };
}

/** The program's version where it is below `minimum`. One that does not tell its version is taken as new enough. */
function olderThan(file: string, minimum: readonly number[]): string | undefined {
  let version = versions.get(file);
  if (version === undefined) {
    try {
      version = /\d+(\.\d+)+/.exec(execFileSync(file, ["--version"], { encoding: "utf8", stdio: "pipe" }))?.[0] ?? "";
    } catch {
      version = "";
    }
    versions.set(file, version);
  }
  if (version === "") return undefined;
  const parts = version.split(".").map(Number);
  const at = minimum.findIndex((part, i) => (parts[i] ?? 0) !== part);
  return at >= 0 && (parts[at] ?? 0) < minimum[at]! ? version : undefined;
}

function checkRoot(): Prerequisite {
  const isRoot = process.getuid?.() === 0;
  return {
    name: "root",
    purpose: "makes network namespaces, mounts and cgroups",
    present: isRoot,
    required: true,
    ...(isRoot ? {} : { remedy: "run the same command with sudo" }),
  };
}

interface KernelFeature {
  name: string;
  purpose: string;
  isThere(): boolean;
  remedy: string;
}

function kernelFeatures(): KernelFeature[] {
  return [
    {
      name: "network namespaces",
      purpose: "each node is one",
      isThere: () => exists("/proc/self/ns/net"),
      remedy: "use a kernel with CONFIG_NET_NS, outside containers that forbid namespaces",
    },
    {
      name: "overlayfs",
      purpose: "stacks image layers into a container's root",
      isThere: () => filesystems().includes("overlay") || hasModule("overlay"),
      remedy: "modprobe overlay",
    },
    {
      name: "cgroups",
      purpose: "hold containers to their limits",
      isThere: () =>
        exists("/sys/fs/cgroup/cgroup.controllers") || exists("/sys/fs/cgroup/memory") || exists("/sys/fs/cgroup/pids"),
      remedy: "mount cgroup2 at /sys/fs/cgroup",
    },
  ];
}

function checkKernel(feature: KernelFeature): Prerequisite {
  const present = feature.isThere();
  return {
    name: feature.name,
    purpose: feature.purpose,
    present,
    required: true,
    ...(present ? {} : { remedy: feature.remedy }),
  };
}

function exists(path: string): boolean {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The kernel loads a module of its own when it is first needed. */
function hasModule(name: string): boolean {
  try {
    const files = readFileSync(`/lib/modules/${release()}/modules.dep`, "utf8");
    return new RegExp(`/${name}\\.ko(\\.\\w+)?:`).test(files);
  } catch {
    return false;
  }
}

function filesystems(): string[] {
  try {
    return readFileSync("/proc/filesystems", "utf8")
      .split("\n")
      .map((line) => line.split("\t").at(-1) ?? "");
  } catch {
    return [];
  }
}
