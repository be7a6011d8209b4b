/** A file or folder of the machine itself, checked against the type that the pod expects. */
import { lstatSync, mkdirSync, type Stats, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { defineVolumePlugin } from "./volume-plugin.ts";

export const hostPathVolume = defineVolumePlugin({
  type: "hostPath",
  folder: "kubernetes.io~host-path",
  async prepare(_volume, { path, type }) {
    checkHostPath(path, type ?? "");
    return { path };
  },
});

/** Upstream's type check, in its words. Creates what `...OrCreate` asks for. */
export function checkHostPath(path: string, type: string): void {
  const found = stat(path);
  const fail = (what: string) => {
    throw new Error(`hostPath type check failed: ${path} is not ${what}`);
  };
  switch (type) {
    case "":
      // The container runtime creates what is missing.
      if (!found) mkdirSync(path, { recursive: true, mode: 0o755 });
      return;
    case "DirectoryOrCreate":
      if (!found) mkdirSync(path, { recursive: true, mode: 0o755 });
      else if (!found.isDirectory()) fail("a directory");
      return;
    case "Directory":
      if (!found?.isDirectory()) fail("a directory");
      return;
    case "FileOrCreate":
      if (!found) {
        lstatSync(dirname(path)); // Upstream creates the file, not its folder.
        writeFileSync(path, "", { mode: 0o644 });
      } else if (!found.isFile()) fail("a file");
      return;
    case "File":
      if (!found?.isFile()) fail("a file");
      return;
    case "Socket":
      if (!found?.isSocket()) fail("a socket file");
      return;
    case "CharDevice":
      if (!found?.isCharacterDevice()) fail("a character device");
      return;
    case "BlockDevice":
      if (!found?.isBlockDevice()) fail("a block device");
      return;
    default:
      throw new Error(`${type} is an invalid volume type`);
  }
}

function stat(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
