/** The few mounts that volumes need, by system call: no process is spawned. */
import { lstatSync } from "node:fs";
import { dirname } from "node:path";
import { check, libc } from "../../base/node/libc.ts";

const msNosuid = 2;
const msNodev = 4;
const msBind = 4096;
const mntDetach = 2;

/** `sizeBytes` 0: the kernel's default, half of the memory. */
export function mountTmpfs(folder: string, sizeBytes: number): void {
  const options = sizeBytes > 0 ? Buffer.from(`size=${sizeBytes},mode=0777\0`) : Buffer.from("mode=0777\0");
  check(libc().mount("tmpfs", folder, "tmpfs", msNosuid | msNodev, options), "mount", folder);
}

/** `pageSize` as Kubernetes writes it: `2Mi`. */
export function mountHugePages(folder: string, pageSize: string): void {
  const options = Buffer.from(`pagesize=${pageSize.replace("i", "")},mode=0777\0`);
  check(libc().mount("nodev", folder, "hugetlbfs", msNosuid | msNodev, options), "mount", folder);
}

export function bindMount(source: string, target: string): void {
  check(libc().mount(source, target, "none", msBind, null), "mount", target);
}

/** No error when nothing is mounted there. */
export function unmount(path: string): void {
  libc().umount2(path, mntDetach);
}

/** A folder on another device than its parent. Bind mounts of the same file system are not seen. */
export function isMountPoint(path: string): boolean {
  try {
    return lstatSync(path).dev !== lstatSync(dirname(path)).dev;
  } catch {
    return false;
  }
}
