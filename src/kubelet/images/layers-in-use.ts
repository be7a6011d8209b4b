/** Which layers are under a running container, whoever runs it: read from the mounts of every process. */
import { readdirSync, readFileSync } from "node:fs";

/** Of the given layer folders, those that some overlay is made of. */
export function layersInUse(folders: Iterable<string>): Set<string> {
  const wanted = new Map([...folders].map((folder) => [escaped(folder), folder]));
  const used = new Set<string>();
  const seen = new Set<string>();
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    for (const line of mountsOf(pid)) {
      // All processes of one container, and all containers on the host's mounts, show the same lines.
      if (!line.includes(" overlay ") || seen.has(line)) continue;
      seen.add(line);
      for (const layer of /[ ,]lowerdir=([^, ]*)/.exec(line)?.[1]?.split(":") ?? []) {
        const folder = wanted.get(layer);
        if (folder) used.add(folder);
      }
      for (const [, layer = ""] of line.matchAll(/[ ,]lowerdir\+=([^, ]*)/g)) {
        const folder = wanted.get(layer);
        if (folder) used.add(folder);
      }
    }
  }
  return used;
}

function mountsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/mounts`, "utf8").split("\n");
  } catch {
    return []; // Ended meanwhile.
  }
}

/** The kernel writes these characters of a path as octal numbers. */
function escaped(path: string): string {
  return path.replace(/[ \t\n\\#]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
