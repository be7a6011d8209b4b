/** Which files a program of this machine needs to run elsewhere: itself, its loader and its libraries. */
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { spawnProcess } from "../../base/node/spawn-process.ts";

/** Paths in the image, to the files of this machine that go there. */
export type FileMap = Map<string, string>;

/** The program at the given path of the image, with all that it loads at its usual places. */
export async function programClosure(program: string, at: string, ldd: string): Promise<FileMap> {
  const files: FileMap = new Map([[at, realpathSync(program)]]);
  const child = spawnProcess({ file: ldd, args: [realpathSync(program)], fds: { 1: "pipe-out", 2: "pipe-out" } });
  child.readers[2]!.resume();
  const [listing] = await Promise.all([text(child.readers[1]!), child.exited]);
  for (const library of parseLdd(listing)) {
    files.set(library, realpathSync(library));
    // Name lookups load these by name, where the C library does not have them built in.
    if (!basename(library).startsWith("libc.so")) continue;
    for (const name of readdirSync(dirname(library))) {
      if (/^libnss_(dns|files)\.so|^libresolv\.so/.test(name))
        files.set(join(dirname(library), name), realpathSync(join(dirname(library), name)));
    }
  }
  return files;
}

/** Throws when a library is missing. A static program has none. Pure. */
export function parseLdd(listing: string): string[] {
  const missing = [...listing.matchAll(/^\s*(\S+) => not found/gm)].map((match) => match[1]!);
  if (missing.length > 0) throw new Error(`libraries not found: ${missing.join(", ")}`);
  return [...listing.matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x/gm)].map((match) => match[1]!);
}

/** The first of the paths that exists. */
export function firstExisting(...paths: string[]): string | undefined {
  return paths.find((path) => existsSync(path));
}
