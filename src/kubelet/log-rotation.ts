/** Keeps a container's log within bounds: a file that has grown too large is set aside, older ones are compressed, the oldest removed. */
import { createReadStream, createWriteStream } from "node:fs";
import { readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

export interface LogLimits {
  /** containerLogMaxSize. */
  maximumBytes: number;
  /** containerLogMaxFiles, the one being written included. */
  maximumFiles: number;
}

export const defaultLogLimits: LogLimits = { maximumBytes: 10 * 1024 * 1024, maximumFiles: 5 };

/** `reopen` makes the runtime write to the path anew. Returns whether the log was rotated. */
export async function rotateLog(
  path: string,
  limits: LogLimits,
  now: number,
  reopen: () => Promise<void>,
): Promise<boolean> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size < limits.maximumBytes) return false;
  const rotated = await rotatedLogs(path);
  const excess = rotated.length - (limits.maximumFiles - 2);
  const kept = rotated.slice(Math.max(0, excess));
  await Promise.all(rotated.slice(0, Math.max(0, excess)).map((old) => rm(old, { force: true })));
  for (const old of kept) if (!old.endsWith(".gz")) await compress(old);
  const aside = `${path}.${timestamp(now)}`;
  await rename(path, aside);
  try {
    await reopen();
  } catch (error) {
    await rename(aside, path).catch(() => {});
    throw error;
  }
  return true;
}

/** Oldest first. */
export async function rotatedLogs(path: string): Promise<string[]> {
  const prefix = `${basename(path)}.`;
  const names = await readdir(dirname(path));
  return names
    .filter((name) => name.startsWith(prefix) && !name.endsWith(".tmp"))
    .sort()
    .map((name) => join(dirname(path), name));
}

async function compress(path: string): Promise<void> {
  const temporary = `${path}.tmp`;
  await pipeline(createReadStream(path), createGzip(), createWriteStream(temporary));
  await rename(temporary, `${path}.gz`);
  await rm(path, { force: true });
}

/** 20060102-150405, as upstream names rotated logs. */
function timestamp(now: number): string {
  return new Date(now).toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
}

/**
 * When a log that grows as it did since `before` is to be looked at again: when it will have reached its limit. Undefined:
 * the next regular look is early enough.
 */
export function nextLookMs(
  before: { bytes: number; atMs: number },
  after: { bytes: number; atMs: number },
  limits: LogLimits,
  regularMs: number,
): number | undefined {
  const grown = after.bytes - before.bytes;
  const elapsedMs = after.atMs - before.atMs;
  if (grown <= 0 || elapsedMs <= 0) return undefined;
  const dueMs = Math.max(limits.maximumBytes - after.bytes, 0) / (grown / elapsedMs);
  return dueMs < regularMs ? Math.max(dueMs, shortestLookMs) : undefined;
}

/** However fast a log grows: those set aside are named by the second. */
const shortestLookMs = 1000;
