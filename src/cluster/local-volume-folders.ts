/** The folders of the local provisioner's volumes. */
import { chmod, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { LocalVolumeFolders } from "../controller-manager/local-volume-folders.ts";

/** Names are PersistentVolumes': they hold no slash. */
export function localVolumeFolders(root: string): LocalVolumeFolders {
  return {
    async create(name) {
      const path = join(root, name);
      await mkdir(path, { recursive: true, mode: 0o777 });
      // Containers run as whom they like; the process's umask has cut the mode.
      await chmod(path, 0o777);
      return path;
    },
    remove: (name) => rm(join(root, name), { recursive: true, force: true }),
  };
}
