/**
 * A mount of one path inside a volume, out of which no link in the volume can lead: the path is opened with RESOLVE_BENEATH, and what
 * is bound is the opened file itself, so that a container which swaps a folder for a link meanwhile gains nothing.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { check, koffi } from "../../base/node/libc.ts";
import { bindMount, unmount } from "./mount.ts";

const atPath = 0o10000000;
const oCloexec = 0o2000000;
const resolveNoMagiclinks = 0x02;
const resolveBeneath = 0x08;
const openat2Number = 437;

/** Binds `volume/subPath` on `target` (a path of the kubelet's own). A missing folder is created, as upstream does, but in what is read-only. */
export function bindSubPath(volume: string, subPath: string, target: string): void {
  const root = openSync(volume, atPath | oCloexec);
  let fd: number | undefined;
  try {
    fd = openBeneath(root, subPath) ?? createBeneath(root, subPath);
    unmount(target);
    mkdirSync(dirname(target), { recursive: true });
    if (fstatSync(fd).isDirectory()) mkdirSync(target, { recursive: true });
    else writeFileSync(target, "", { flag: "a" });
    bindMount(`/proc/self/fd/${fd}`, target);
  } finally {
    if (fd !== undefined) closeSync(fd);
    closeSync(root);
  }
}

/** A file in a volume whose containers may have put links anywhere. Undefined: there is none. Throws for what is no file, or too long. */
export function readBeneath(volume: string, path: string, maximumBytes: number): string | undefined {
  const root = openSync(volume, atPath | oCloexec);
  let found: number | undefined;
  try {
    found = openBeneath(root, path);
    if (found === undefined) return undefined;
    const { size } = fstatSync(found);
    if (!fstatSync(found).isFile()) throw new Error(`${path} is not a file`);
    if (size > maximumBytes) throw new Error(`file ${path} is larger than ${maximumBytes} bytes`);
    return readFileSync(`/proc/self/fd/${found}`, "utf8").slice(0, maximumBytes);
  } finally {
    if (found !== undefined) closeSync(found);
    closeSync(root);
  }
}

function createBeneath(root: number, subPath: string): number {
  const steps = subPath.split("/").filter((step) => step !== "" && step !== ".");
  for (let depth = 1; depth <= steps.length; depth++) {
    const path = steps.slice(0, depth).join("/");
    const present = openBeneath(root, path);
    if (present !== undefined) {
      closeSync(present);
      continue;
    }
    const parent = depth === 1 ? openBeneath(root, ".")! : openBeneath(root, steps.slice(0, depth - 1).join("/"))!;
    try {
      mkdirSync(`/proc/self/fd/${parent}/${steps[depth - 1]}`, { mode: 0o755 });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EROFS") throw error;
      throw new Error(`subPath ${JSON.stringify(subPath)} does not exist in the volume, which is read-only`, {
        cause: error,
      });
    } finally {
      closeSync(parent);
    }
  }
  const created = openBeneath(root, subPath);
  if (created === undefined) throw new Error(`failed to create subPath directory ${subPath}`);
  return created;
}

/** Undefined when there is nothing at the path. */
function openBeneath(root: number, path: string): number | undefined {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(atPath | oCloexec), 0);
  how.writeBigUInt64LE(BigInt(resolveBeneath | resolveNoMagiclinks), 16);
  try {
    return check(Number(openat2()(openat2Number, root, path, how, how.length)), "openat2", path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code === "EXDEV" || code === "ELOOP")
      throw new Error(`subPath ${path} leads out of its volume`, { cause: error });
    throw error;
  }
}

let syscall: ((...args: unknown[]) => number) | undefined;

function openat2() {
  syscall ??= koffi().load(null).func("long syscall(long number, int dirfd, str path, void *how, size_t size)");
  return syscall;
}
