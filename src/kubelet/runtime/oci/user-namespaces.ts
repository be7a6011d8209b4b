/**
 * Pods in a user namespace of their own (`hostUsers: false`): root in the pod is nobody on the machine. What makes the namespace,
 * and what shows the pod files of the machine as if they were owned inside it (mounts with shifted owners, Linux 5.19 and later).
 */
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { findProgram } from "../../../base/node/find-program.ts";
import { check, koffi, libc } from "../../../base/node/libc.ts";
import { spawnProcess } from "../../../base/node/spawn-process.ts";
import { sysctlPath } from "../../sysctls.ts";
import { RuntimeError } from "../container-runtime.ts";
import { inUtsNamespace, mount, msBind, setHostname, unmount } from "./linux.ts";

/** How many users a pod has: as upstream's. */
export const usersPerPod = 65_536;
/** The first 65,536 numbers are the machine's own users. */
const ranges = 32_767;

/** A range of the machine's user and group numbers that no pod in `taken` has. Returns its first. */
export function allocateUsers(taken: ReadonlySet<number>, random: { int(below: number): number }): number {
  for (let attempt = 0; attempt < 1000; attempt++) {
    const first = usersPerPod * (1 + random.int(ranges));
    if (!taken.has(first)) return first;
  }
  throw new RuntimeError("Unavailable", "no range of users is free for the pod's user namespace");
}

/** Files that hold the namespaces afterwards. */
export interface NamespaceFiles {
  user: string;
  ipc: string;
  uts: string;
}

/** Makes a user namespace with an IPC and a UTS namespace of its own in it. They live until their files are released. */
export async function createUserNamespaces(files: NamespaceFiles, firstUser: number, hostname: string): Promise<void> {
  const unshare = findProgram("unshare");
  const cat = findProgram("cat");
  if (!unshare || !cat) throw new RuntimeError("Unavailable", "missing programs: unshare, cat");
  // It says a word when it is inside, and goes when its input ends.
  const holder = spawnProcess({
    file: unshare,
    args: ["--user", "--ipc", "--uts", "--", cat],
    fds: { 0: "pipe-in", 1: "pipe-out" },
  });
  const input = holder.writers[0]!;
  try {
    input.on("error", () => {}); // It ended early: told below.
    input.write("\n");
    const isInside = await new Promise<boolean>((resolve) => {
      holder.readers[1]!.once("data", () => resolve(true)).once("end", () => resolve(false));
    });
    if (!isInside) throw new RuntimeError("Unavailable", "the machine allows no user namespaces");
    const proc = `/proc/${holder.pid}`;
    for (const map of ["uid_map", "gid_map"]) writeFileSync(join(proc, map), `0 ${firstUser} ${usersPerPod}\n`);
    for (const kind of ["user", "ipc", "uts"] as const) {
      closeSync(openSync(files[kind], "w", 0o444));
      mount({ source: join(proc, "ns", kind), target: files[kind], flags: msBind });
    }
    inUtsNamespace(files.uts, () => setHostname(hostname));
  } finally {
    input.end();
    holder.readers[1]!.destroy();
  }
  await holder.exited;
}

/** The kernel lets only the namespace's own root set these. */
export async function setIpcSysctl(files: NamespaceFiles, name: string, value: string): Promise<void> {
  const nsenter = findProgram("nsenter");
  const tee = findProgram("tee");
  if (!nsenter || !tee) throw new RuntimeError("Unavailable", "missing programs: nsenter, tee");
  const inside = [`--user=${files.user}`, `--ipc=${files.ipc}`, "--setuid=0", "--setgid=0", "--"];
  const child = spawnProcess({
    file: nsenter,
    args: [...inside, tee, `/proc/sys/${sysctlPath(name)}`],
    fds: { 0: "pipe-in", 1: "pipe-out", 2: "pipe-out" },
  });
  child.readers[1]!.resume();
  child.writers[0]!.on("error", () => {}).end(value);
  const [complaint, { code }] = await Promise.all([text(child.readers[2]!), child.exited]);
  if (code !== 0) throw new RuntimeError("InvalidArgument", `cannot set sysctl ${name}: ${complaint.trim()}`);
}

/**
 * Mounts `source` on `target` with its owners shifted as the user namespace has them: what root owns is owned by root inside.
 * The target must be there, a folder or a file like the source.
 */
export function mountShifted(source: string, target: string, userNamespace: string): void {
  const c = mountApi();
  const tree = check(c.openTree(sysOpenTree, atFdcwd, source, openTreeClone | atRecursive), "open_tree", source);
  let users: number | undefined;
  try {
    users = openSync(userNamespace, "r");
    const attributes = Buffer.alloc(32);
    attributes.writeBigUInt64LE(BigInt(mountAttrIdmap), 0);
    attributes.writeBigUInt64LE(BigInt(users), 24);
    const flags = atEmptyPath | atRecursive;
    if (c.mountSetattr(sysMountSetattr, tree, "", flags, attributes, attributes.length) < 0) {
      throw new RuntimeError(
        "InvalidArgument",
        `failed to set MOUNT_ATTR_IDMAP on ${source}: its filesystem or this kernel cannot show it to a pod in a user namespace (hostUsers: false)`,
      );
    }
    check(c.moveMount(sysMoveMount, tree, "", atFdcwd, target, moveMountFromEmptyPath), "move_mount", target);
  } finally {
    if (users !== undefined) closeSync(users);
    libc().close(tree);
  }
}

/** A place for a mount of `source`. */
export function makePlace(target: string, source: string): void {
  if (statSync(source, { throwIfNoEntry: false })?.isDirectory() ?? true) mkdirSync(target, { recursive: true });
  else writeFileSync(target, "", { flag: "a" });
}

/** Takes away all mounts in a folder of places, and the folder. */
export function removePlaces(folder: string): void {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return;
  }
  for (const name of names) unmount(join(folder, name));
  rmSync(folder, { recursive: true, force: true });
}

type CFunction = (...args: unknown[]) => number;
let loadedMountApi: Record<"openTree" | "mountSetattr" | "moveMount", CFunction> | undefined;

/** Through syscall(2): the C library of Debian 12 has no names for these. The numbers are the same on all architectures. */
function mountApi() {
  if (loadedMountApi) return loadedMountApi;
  const library = koffi().load(null);
  return (loadedMountApi = {
    openTree: library.func("long syscall(long number, int fd, str path, uint flags)"),
    mountSetattr: library.func(
      "long syscall(long number, int fd, str path, uint flags, void *attributes, size_t size)",
    ),
    moveMount: library.func("long syscall(long number, int fromFd, str from, int toFd, str to, int flags)"),
  });
}

const sysOpenTree = 428;
const sysMoveMount = 429;
const sysMountSetattr = 442;
const openTreeClone = 1;
const atFdcwd = -100;
const atRecursive = 0x8000;
const atEmptyPath = 0x1000;
const mountAttrIdmap = 0x00100000;
const moveMountFromEmptyPath = 4;
