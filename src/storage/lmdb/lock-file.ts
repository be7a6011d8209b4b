/** One process owns a store's folder. The lock file names it; a lock whose owner is gone counts for nothing. */
import { link, open, readFile, rename, unlink } from "node:fs/promises";

export class StoreInUseError extends Error {
  readonly pid: number;
  constructor(folder: string, pid: number) {
    super(`${folder} is already in use by pid ${pid}`);
    this.name = "StoreInUseError";
    this.pid = pid;
  }
}

/** Who holds a lock: a pid alone may have been given to another process since. */
interface LockHolder {
  pid: number;
  /** The kernel's ticks at the process' start, with the boot they count from. Empty where there is no /proc. */
  started: string;
}

/** Takes the lock or throws StoreInUseError. The result gives it back. */
export async function takeLock(folder: string): Promise<() => Promise<void>> {
  const path = `${folder}/lock`;
  const self: LockHolder = { pid: process.pid, started: await startOf(process.pid) };
  const text = `${JSON.stringify(self)}\n`;
  // Each round either takes the lock, finds it held, or clears away one stale lock.
  for (let round = 0; round < 20; round++) {
    const own = `${path}.${process.pid}.${++attempts}`;
    const file = await open(own, "w");
    await file.writeFile(text).finally(() => file.close());
    try {
      // Unlike creating and then writing, this puts a whole lock in place at once.
      await link(own, path);
      return async () => {
        if ((await readFile(path, "utf8").catch(() => "")) === text) await unlink(path);
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    } finally {
      await unlink(own);
    }
    await clearStale(folder, path);
  }
  throw new Error(`${path} changes hands too fast to be taken`);
}

let attempts = 0;

async function clearStale(folder: string, path: string): Promise<void> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return;
  const holder = parse(text);
  if (holder && (await isAlive(holder))) throw new StoreInUseError(folder, holder.pid);
  // Two may find it stale at once, and one of them may have taken it since: what was moved away must be what was read.
  const aside = `${path}.stale.${process.pid}.${++attempts}`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  if ((await readFile(aside, "utf8")) !== text) await link(aside, path).catch(() => {});
  await unlink(aside);
}

function parse(text: string): LockHolder | undefined {
  try {
    const holder = JSON.parse(text) as Partial<LockHolder>;
    return typeof holder.pid === "number" ? { pid: holder.pid, started: String(holder.started ?? "") } : undefined;
  } catch {
    return undefined;
  }
}

async function isAlive(holder: LockHolder): Promise<boolean> {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // EPERM: it lives, under another user.
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  return holder.started === (await startOf(holder.pid));
}

async function startOf(pid: number): Promise<string> {
  try {
    const [stat, boot] = await Promise.all([
      readFile(`/proc/${pid}/stat`, "utf8"),
      readFile("/proc/sys/kernel/random/boot_id", "utf8"),
    ]);
    // The command's name stands in parentheses and may hold spaces; the start time is field 22.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie is dead: only its parent has not heard of it yet.
    return isDead(fields[0]) ? "" : `${boot.trim()} ${fields[19]}`;
  } catch {
    return "";
  }
}

function isDead(state: string | undefined): boolean {
  return state === "Z" || state === "X";
}
