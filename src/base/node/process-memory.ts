/** Gives back to the system what this process holds without need. The kernel and the allocator do not do it by themselves. */
import { readFileSync } from "node:fs";
import { koffi } from "./libc.ts";

interface MemoryCalls {
  madvise(address: bigint, length: number, advice: number): number;
  /** Absent where the C library is not glibc. */
  mallocTrim: ((keep: number) => number) | undefined;
}

const dontNeed = 4;

/**
 * Unmaps the pages of a mapped file that were read, or lay beside what was read: they stay in the page cache and come back
 * at the next touch. Returns free memory of the allocator, too. A few milliseconds. Does nothing where it is not possible.
 */
export function releaseMappedPages(path: string): void {
  try {
    const { madvise, mallocTrim } = (calls ??= bind());
    for (const line of readFileSync("/proc/self/maps", "utf8").split("\n")) {
      if (!line.endsWith(path)) continue;
      const [start, end] = line.slice(0, line.indexOf(" ")).split("-");
      madvise(BigInt(`0x${start}`), Number.parseInt(end!, 16) - Number.parseInt(start!, 16), dontNeed);
    }
    mallocTrim?.(0);
  } catch {
    // Not Linux, or no library calls here: the pages stay, which costs memory and nothing else.
  }
}

let calls: MemoryCalls | undefined;

function bind(): MemoryCalls {
  const library = koffi().load(null);
  const madvise = library.func("int madvise(uint64_t address, size_t length, int advice)");
  let mallocTrim: MemoryCalls["mallocTrim"];
  try {
    mallocTrim = library.func("int malloc_trim(size_t keep)");
  } catch {
    mallocTrim = undefined;
  }
  return { madvise, mallocTrim };
}
