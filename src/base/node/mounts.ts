/** Mounts of this process's namespace: which there are below a folder, and how they go. */
import { readFileSync } from "node:fs";
import { check, libc } from "./libc.ts";

const mntDetach = 2;

/** Mount points at or below `folder`, innermost and youngest last, as mountinfo lists them. */
export function mountsBelow(folder: string): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .flatMap((line) => unescaped(line.split(" ")[4] ?? "") || [])
    .filter((point) => point === folder || point.startsWith(`${folder}/`));
}

/** Takes every mount at or below `folder` out of sight, youngest first. */
export function unmountAll(folder: string): void {
  // Mounts may be stacked on one point, and propagate: look again until none is left.
  for (
    let points = mountsBelow(folder), round = 0;
    points.length > 0 && round < 10;
    points = mountsBelow(folder), round++
  ) {
    for (const point of points.reverse()) libc().umount2(point, mntDetach);
  }
}

/** mountinfo writes blanks, tabs, newlines and backslashes as octal escapes. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** A file system in memory at `folder`. `options` as mount(8) takes them: `mode=700,size=4k`. */
export function mountTmpfs(folder: string, options: string): void {
  check(libc().mount("tmpfs", folder, "tmpfs", msNosuid | msNodev, Buffer.from(`${options}\0`)), "mount", folder);
}

const msNosuid = 2;
const msNodev = 4;
