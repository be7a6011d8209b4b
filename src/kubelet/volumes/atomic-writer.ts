/**
 * Writes a set of files so that readers see either all of the old or all of the new (upstream's AtomicWriter): the files stand in a
 * folder of their own, `..data` points to it, and what users see are links through `..data`. Swapping that one link changes all.
 *
 * The calls are synchronous: a handful of small files on a local file system takes less than one trip to the thread pool.
 */
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

export interface ProjectedFile {
  content: Buffer;
  mode: number;
  uid?: number;
  gid?: number;
}

const dataLink = "..data";

/** Returns whether anything changed. Paths are relative and must not climb. */
export function writeAtomically(folder: string, files: ReadonlyMap<string, ProjectedFile>): boolean {
  for (const path of files.keys()) {
    if (path === "" || path.startsWith("/") || path.split("/").includes("..") || path.startsWith("..")) {
      throw new Error(`invalid path: must be relative and must not contain '..': ${path}`);
    }
  }
  mkdirSync(folder, { recursive: true, mode: 0o777 });
  const previous = currentFolder(folder);
  if (previous !== undefined && isSame(join(folder, previous), files)) return false;
  const next = freshName(folder);
  const target = join(folder, next);
  mkdirSync(target, { mode: 0o755 });
  chmodSync(target, 0o755);
  for (const [path, file] of files) {
    const at = join(target, path);
    if (path.includes("/")) mkdirSync(dirname(at), { recursive: true, mode: 0o755 });
    writeFileSync(at, file.content, { mode: file.mode });
    chmodSync(at, file.mode); // The process's umask has cut the mode.
    if (file.uid !== undefined || file.gid !== undefined) chownSync(at, file.uid ?? 0, file.gid ?? 0);
  }
  const temporary = join(folder, "..data_tmp");
  rmSync(temporary, { force: true });
  symlinkSync(next, temporary);
  renameSync(temporary, join(folder, dataLink));
  linkTops(folder, files);
  for (const name of readdirSync(folder)) {
    if (name.startsWith("..") && name !== dataLink && name !== next)
      rmSync(join(folder, name), { recursive: true, force: true });
  }
  return true;
}

/** The first step of each path is a link through `..data`; links to what is gone are removed. */
function linkTops(folder: string, files: ReadonlyMap<string, ProjectedFile>): void {
  const tops = new Set([...files.keys()].map((path) => path.split("/")[0]!));
  for (const name of readdirSync(folder)) {
    if (!name.startsWith("..") && !tops.has(name)) rmSync(join(folder, name), { recursive: true, force: true });
  }
  for (const top of tops) {
    const link = join(folder, top);
    if (!exists(link)) symlinkSync(join(dataLink, top), link);
  }
}

function currentFolder(folder: string): string | undefined {
  try {
    return readlinkSync(join(folder, dataLink));
  } catch {
    return undefined;
  }
}

function isSame(folder: string, files: ReadonlyMap<string, ProjectedFile>): boolean {
  try {
    const present = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    if (present.length !== files.size) return false;
    for (const [path, file] of files) {
      if (!readFileSync(join(folder, path)).equals(file.content)) return false;
    }
    return true;
  } catch {
    return false;
  }
}

function freshName(folder: string): string {
  const taken = readdirSync(folder).flatMap((name) => /^\.\.v(\d+)$/.exec(name)?.[1] ?? []);
  return `..v${Math.max(0, ...taken.map(Number)) + 1}`;
}

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
