/** Where a program of this machine lies. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Its full path: from the PATH, else from the folders where systems keep theirs, whatever the PATH of this process says. */
export function findProgram(name: string): string | undefined {
  for (const folder of [...(process.env["PATH"] ?? "").split(delimiter), ...usualFolders]) {
    if (!folder.startsWith("/")) continue;
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // The next folder may have it.
    }
  }
  return undefined;
}

const usualFolders = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"];
