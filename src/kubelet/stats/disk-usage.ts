/** What a folder takes on its file system: as `du -x` counts, blocks and not lengths, a file with several names once. */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

export interface DiskUsage {
  bytes: number;
  inodes: number;
}

/** Nothing for what is not there. Files that come and go meanwhile are passed over; other file systems are not entered. */
export async function diskUsage(folder: string): Promise<DiskUsage> {
  const total: DiskUsage = { bytes: 0, inodes: 0 };
  const top = await lstat(folder).catch(() => undefined);
  if (!top) return total;
  const linked = new Set<number>();
  const waiting = [folder];
  count(top);
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const names = await readdir(path).catch(() => []);
    for (const name of names) {
      const child = join(path, name);
      const stat = await lstat(child).catch(() => undefined);
      if (!stat || stat.dev !== top.dev) continue;
      count(stat);
      if (stat.isDirectory()) waiting.push(child);
    }
  }
  return total;

  function count(stat: { blocks: number; ino: number; nlink: number; isDirectory(): boolean }): void {
    if (stat.nlink > 1 && !stat.isDirectory()) {
      if (linked.has(stat.ino)) return;
      linked.add(stat.ino);
    }
    total.bytes += stat.blocks * 512;
    total.inodes++;
  }
}
