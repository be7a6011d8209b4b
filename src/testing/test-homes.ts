/** The folders that test clusters live in, each named after the process that made it, and the end of those that outlived it. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const pattern = /^pinnace-test-(\d+)-/;
const foldersPattern = /^pnt-[a-z-]+-(\d+)-/;

export function makeTestHome(): string {
  const home = mkdtempSync(join(tmpdir(), `pinnace-test-${process.pid}-`));
  chmodSync(home, 0o711); // As /var/lib is: root of a pod with a user namespace must find its files.
  return home;
}

/** A folder for anything else that a test needs for a while; `what` is lower-case words, joined by hyphens. */
export function makeTestFolder(what: string): string {
  return mkdtempSync(join(tmpdir(), `pnt-${what}-${process.pid}-`));
}

/** Takes down the clusters of test runs that were cut off, and removes their folders; `command` is the built `pinnace`. */
export function clearInterruptedRuns(command: string): void {
  for (const folder of readdirSync(tmpdir())) {
    const user = foldersPattern.exec(folder)?.[1];
    if (user !== undefined && !existsSync(`/proc/${user}`))
      rmSync(join(tmpdir(), folder), { recursive: true, force: true });
    const maker = pattern.exec(folder)?.[1];
    if (maker === undefined || existsSync(`/proc/${maker}`)) continue;
    const home = join(tmpdir(), folder);
    execFileSync(process.execPath, [command, "down", "--all"], { env: { ...process.env, PINNACE_HOME: home } });
    rmSync(home, { recursive: true, force: true });
  }
}
