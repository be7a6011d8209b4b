/** Files of Debian packages that are not installed: downloaded and taken apart, never installed. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { spawnProcess } from "../../base/node/spawn-process.ts";

/**
 * Unpacks the first of the packages that holds `path` into a new folder, the caller's to remove. Undefined when this machine has
 * no apt, or the network no packages.
 */
export async function unpackDebianPackage(
  packages: readonly string[],
  path: string,
  findProgram: (name: string) => string | undefined,
): Promise<string | undefined> {
  const apt = findProgram("apt-get");
  const dpkg = findProgram("dpkg-deb");
  const shell = findProgram("sh");
  if (!apt || !dpkg || !shell) return undefined;
  for (const name of packages) {
    const folder = mkdtempSync(join(tmpdir(), "pinnace-package-"));
    // apt-get downloads into the working folder.
    const downloaded = await run(shell, ["-c", 'cd "$1" && exec "$2" -q download "$3"', "sh", folder, apt, name]);
    const archive = downloaded ? readdirSync(folder).find((file) => file.endsWith(".deb")) : undefined;
    if (
      archive &&
      (await run(dpkg, ["-x", join(folder, archive), join(folder, "root")])) &&
      existsSync(join(folder, "root", path))
    ) {
      return folder;
    }
    rmSync(folder, { recursive: true, force: true });
  }
  return undefined;
}

async function run(file: string, args: string[]): Promise<boolean> {
  const child = spawnProcess({ file, args, fds: { 1: "pipe-out", 2: "pipe-out" } });
  const [, , exit] = await Promise.all([text(child.readers[1]!), text(child.readers[2]!), child.exited]);
  return exit.code === 0;
}
