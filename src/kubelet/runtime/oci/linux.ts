/** The system calls that the OCI runtime needs beyond Node's: mounts, IPC and UTS namespaces, FIFOs. */
import { closeSync, openSync, rmSync } from "node:fs";
import { check, koffi, libc } from "../../../base/node/libc.ts";

export function mount(mounted: { source: string; target: string; type?: string; flags?: number; data?: string }): void {
  // A C string in a buffer: koffi passes `void *` as it is.
  const data = mounted.data === undefined ? null : Buffer.from(`${mounted.data}\0`);
  check(
    libc().mount(mounted.source, mounted.target, mounted.type ?? "none", mounted.flags ?? 0, data),
    "mount",
    mounted.target,
  );
}

/** Takes the mount out of sight at once; the kernel frees it when nobody uses it any more. No error when nothing is mounted there. */
export function unmount(target: string): void {
  libc().umount2(target, mntDetach | umountNofollow);
}

export const msNosuid = 2;
export const msNodev = 4;
export const msNoexec = 8;
export const msBind = 4096;
export const msRecursive = 16384;
export const msPrivate = 1 << 18;
export const msShared = 1 << 20;
const mntDetach = 2;
const umountNofollow = 8;

/** Makes a FIFO, replacing whatever has its name. */
export function makeFifo(path: string, mode: number): void {
  mkfifo ??= koffi().load(null).func("int mkfifo(str path, uint32_t mode)");
  rmSync(path, { force: true });
  check(mkfifo(path, mode), "mkfifo", path);
}
let mkfifo: ((...args: unknown[]) => number) | undefined;

/**
 * Makes an IPC and a UTS namespace and holds each open by a file: they live until `releaseNamespace`, with no process inside.
 * The main thread enters them for some microseconds; when it cannot come back, this process ends.
 */
export function createNamespaces(files: { ipc?: string; uts?: { file: string; hostname: string } }): void {
  const flags = (files.ipc ? cloneNewipc : 0) | (files.uts ? cloneNewuts : 0);
  if (flags === 0) return;
  const targets = [files.ipc, files.uts?.file].filter((file) => file !== undefined);
  for (const file of targets) closeSync(openSync(file, "w", 0o444));
  home ??= { ipc: openSync("/proc/thread-self/ns/ipc", "r"), uts: openSync("/proc/thread-self/ns/uts", "r") };
  check(libc().unshare(flags), "unshare", "(new IPC and UTS namespaces)");
  try {
    if (files.uts) {
      setHostname(files.uts.hostname);
      mount({ source: "/proc/thread-self/ns/uts", target: files.uts.file, flags: msBind });
    }
    if (files.ipc) mount({ source: "/proc/thread-self/ns/ipc", target: files.ipc, flags: msBind });
  } catch (error) {
    for (const file of targets) releaseNamespace(file);
    throw error;
  } finally {
    const isHome =
      (!files.ipc || libc().setns(home.ipc, cloneNewipc) === 0) &&
      (!files.uts || libc().setns(home.uts, cloneNewuts) === 0);
    if (!isHome) {
      process.stderr.write("pinnace: cannot leave a pod's namespaces again; giving up\n");
      process.abort();
    }
  }
}
let home: { ipc: number; uts: number } | undefined;
let sethostname: ((...args: unknown[]) => number) | undefined;

/** Does synchronous work in the UTS namespace that a file holds; when this process cannot come back, it ends. */
export function inUtsNamespace<T>(file: string, work: () => T): T {
  home ??= { ipc: openSync("/proc/thread-self/ns/ipc", "r"), uts: openSync("/proc/thread-self/ns/uts", "r") };
  const fd = openSync(file, "r");
  try {
    check(libc().setns(fd, cloneNewuts), "setns", file);
  } finally {
    closeSync(fd);
  }
  try {
    return work();
  } finally {
    if (libc().setns(home.uts, cloneNewuts) !== 0) {
      process.stderr.write("pinnace: cannot leave a pod's namespaces again; giving up\n");
      process.abort();
    }
  }
}

export function setHostname(hostname: string): void {
  sethostname ??= koffi().load(null).func("int sethostname(str name, size_t length)");
  check(sethostname(hostname, Buffer.byteLength(hostname)), "sethostname", hostname);
}

export function releaseNamespace(file: string): void {
  unmount(file);
  rmSync(file, { force: true });
}

const cloneNewuts = 0x04000000;
const cloneNewipc = 0x08000000;
