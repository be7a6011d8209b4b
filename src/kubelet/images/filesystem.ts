/** The file operations of layers that Node does not offer: device nodes for whiteouts, FIFOs, extended attributes. */
import { check, koffi } from "../../base/node/libc.ts";

/** Overlayfs' mark of a deleted name: a character device 0/0. */
export function makeWhiteout(path: string): void {
  check(calls().mknod(path, sIfchr, 0), "mknod", path);
}

export function makeFifo(path: string, mode: number): void {
  check(calls().mkfifo(path, mode), "mkfifo", path);
}

/** Of the link itself where `path` is one. */
export function setAttribute(path: string, name: string, value: Buffer): void {
  check(calls().lsetxattr(path, name, value, value.length, 0), "lsetxattr", `${name} of ${path}`);
}

/** Overlayfs' mark of a folder that hides what lower layers have in it. */
export function markOpaque(path: string): void {
  setAttribute(path, "trusted.overlay.opaque", Buffer.from("y"));
}

type CFunction = (...args: unknown[]) => number;
let loaded: Record<"mknod" | "mkfifo" | "lsetxattr", CFunction> | undefined;

function calls() {
  if (loaded) return loaded;
  const library = koffi().load(null);
  return (loaded = {
    mknod: library.func("int mknod(str path, uint32_t mode, ulong device)"),
    mkfifo: library.func("int mkfifo(str path, uint32_t mode)"),
    lsetxattr: library.func("int lsetxattr(str path, str name, void *value, size_t size, int flags)"),
  });
}

const sIfchr = 0o020000;
