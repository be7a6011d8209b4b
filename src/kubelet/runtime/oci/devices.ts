/** Device nodes of this machine, as a privileged container sees them. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { RuntimeError } from "../container-runtime.ts";
import type { Device } from "./bundle.ts";

export function deviceAt(path: string, permissions = "rwm"): Device {
  const found = statSync(path, { throwIfNoEntry: false });
  const type = found?.isCharacterDevice() ? "c" : found?.isBlockDevice() ? "b" : undefined;
  if (!found || !type) throw new RuntimeError("InvalidArgument", `${path} is not a device of this machine`);
  // glibc's makedev: twelve bits of the major and twenty of the minor, interleaved.
  const number = BigInt(found.rdev);
  const major = Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n));
  const minor = Number((number & 0xffn) | ((number >> 12n) & 0xffffff00n));
  return { path, type, major, minor, fileMode: found.mode & 0o777, uid: found.uid, gid: found.gid, permissions };
}

/** Everything under /dev but what each container gets of its own: terminals, shared memory, message queues, logs. */
export function machineDevices(folder = "/dev"): Device[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return notCopied.has(entry.name) ? [] : machineDevices(path);
    if (!entry.isCharacterDevice() && !entry.isBlockDevice()) return [];
    if (folder === "/dev" && notCopied.has(entry.name)) return [];
    try {
      return [deviceAt(path)];
    } catch {
      return []; // Unplugged in this moment.
    }
  });
}

const notCopied = new Set([
  "pts",
  "shm",
  "mqueue",
  "fd",
  "console",
  "ptmx",
  "tty",
  "null",
  "zero",
  "full",
  "random",
  "urandom",
  ".lxc",
  "lxd",
]);
