/** Reads a container's log as `kubectl logs` wants it, from the files in CRI's format; follows it without polling. */
import { createReadStream, type FSWatcher, watch } from "node:fs";
import { type FileHandle, open, readFile, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { gunzipSync } from "node:zlib";
import { rotatedLogs } from "./log-rotation.ts";

export interface LogOptions {
  follow?: boolean;
  tailLines?: number;
  /** Lines written at or after this time. */
  sinceMs?: number;
  timestamps?: boolean;
  limitBytes?: number;
  /** Only one of the two. Default both. */
  stream?: "stdout" | "stderr";
}

const blockBytes = 64 * 1024;

/**
 * Yields what the container wrote, newest file only. With `follow` it goes on until `ended` says that the container has exited
 * (what it wrote until then still comes) or the signal fires; a log that is rotated meanwhile, be it several times while the reader
 * is slow, is followed from file to file as long as these are kept.
 */
export async function* readLogs(
  path: string,
  options: LogOptions,
  ended: AbortSignal,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  let rest: Buffer = Buffer.alloc(0);
  const formatter = new LineFormatter(options);
  const take = (bytes: Buffer): Buffer => {
    const text = Buffer.concat([rest, bytes]);
    const end = text.lastIndexOf(0x0a) + 1;
    rest = Buffer.from(text.subarray(end));
    const chunk = formatter.format(text.subarray(0, end)).subarray(0, left);
    left -= chunk.length;
    return chunk;
  };
  const waker = options.follow ? new Waker(path, [ended, signal]) : undefined;
  let file: FileHandle | undefined;
  let successor: FileHandle | undefined;
  try {
    file = await open(path, "r");
    let { ino } = await file.stat();
    let setAside = waker ? await filesSetAside(path, ino) : [];
    let position = await startOf(file, options.tailLines);
    const block = Buffer.alloc(blockBytes);
    while (!signal.aborted) {
      const isLast = ended.aborted; // Read before reading: what came before the end is read below.
      const { bytesRead } = await file.read(block, 0, block.length, position);
      if (bytesRead > 0) {
        position += bytesRead;
        const chunk = take(block.subarray(0, bytesRead));
        if (chunk.length > 0) yield chunk;
        if (left <= 0) return;
        continue;
      }
      if (!waker) return;
      if (successor) {
        // Rotated, perhaps more than once since this file was opened.
        const beginning = await beginningOf(file);
        await file.close();
        file = successor;
        successor = undefined;
        ({ ino } = await file.stat());
        const before = new Set(setAside);
        setAside = await filesSetAside(path, ino);
        const since = setAside.filter((name) => !before.has(name));
        // The first of them is the one just read, unless that has been removed meanwhile.
        const isRead = since[0] !== undefined && (await beginsWith(since[0], beginning));
        for (const between of isRead ? since.slice(1) : since) {
          for await (const bytes of contentsOf(between)) {
            const chunk = take(bytes);
            if (chunk.length > 0) yield chunk;
            if (left <= 0) return;
          }
        }
        position = 0;
        continue;
      }
      successor = await replaced(path, ino);
      // The runtime may have written to the file at hand until a moment before it made the next: it is read once more.
      if (successor) continue;
      if (isLast) return;
      await waker.wait();
    }
  } finally {
    waker?.close();
    await file?.close();
    await successor?.close();
  }
}

/** Rotated files by the names they were set aside with, oldest first, but for the one at hand, which may just have become one. */
async function filesSetAside(path: string, inode: number): Promise<string[]> {
  const names = new Set((await rotatedLogs(path)).map((name) => name.replace(/\.gz$/, "")));
  const inodes = await Promise.all(
    [...names].map((name) =>
      stat(name).then(
        ({ ino }) => ino,
        () => undefined,
      ),
    ),
  );
  return [...names].filter((_, i) => inodes[i] !== inode);
}

const beginningBytes = 256;

/** Lines begin with the time to the nanosecond: no two files of a log begin alike. */
async function beginningOf(file: FileHandle): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(beginningBytes), 0, beginningBytes, 0);
  return buffer.subarray(0, bytesRead);
}

async function beginsWith(name: string, beginning: Buffer): Promise<boolean> {
  for await (const bytes of contentsOf(name)) return bytes.subarray(0, beginning.length).equals(beginning);
  return false;
}

/** Of a file that was set aside; it may have been compressed since. Nothing when it is gone. */
async function* contentsOf(name: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(name) as AsyncIterable<Buffer>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    const packed = await readFile(`${name}.gz`).catch(() => undefined);
    if (packed) yield gunzipSync(packed);
  }
}

/** A new file at the path, opened, when the one at hand is not it. */
async function replaced(path: string, inode: number): Promise<FileHandle | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    if ((await file.stat()).ino !== inode) return file;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  await file?.close();
  return undefined;
}

/** Woken by writes to the file, by its replacement, and by the signals. */
class Waker {
  readonly #watcher: FSWatcher;
  readonly #signals: readonly AbortSignal[];
  readonly #notify = () => {
    this.#isPending = true;
    this.#resolve?.();
  };
  #isPending = false;
  #resolve: (() => void) | undefined;

  constructor(path: string, signals: readonly AbortSignal[]) {
    const name = basename(path);
    this.#watcher = watch(dirname(path), (_event, changed) => {
      if (changed === null || changed === name) this.#notify();
    });
    this.#watcher.on("error", this.#notify);
    this.#signals = signals;
    for (const signal of signals) signal.addEventListener("abort", this.#notify, { once: true });
  }

  async wait(): Promise<void> {
    if (!this.#isPending && !this.#signals.some((signal) => signal.aborted)) {
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
      });
    }
    this.#isPending = false;
    this.#resolve = undefined;
  }

  close(): void {
    this.#watcher.close();
    for (const signal of this.#signals) signal.removeEventListener("abort", this.#notify);
    this.#notify();
  }
}

/** The offset at which the last `lines` lines begin. */
async function startOf(file: FileHandle, lines: number | undefined): Promise<number> {
  if (lines === undefined) return 0;
  const { size } = await file.stat();
  if (lines <= 0) return size;
  const block = Buffer.alloc(blockBytes);
  // The newline that ends the last line begins none.
  let found = -1;
  for (let end = size; end > 0; ) {
    const begin = Math.max(0, end - blockBytes);
    const { bytesRead } = await file.read(block, 0, end - begin, begin);
    for (let at = bytesRead - 1; at >= 0; at--) {
      if (block[at] === 0x0a && ++found === lines) return begin + at + 1;
      // A log whose last line is unfinished has no such newline.
      if (found < 0 && at === bytesRead - 1 && end === size && block[at] !== 0x0a) found = 0;
    }
    end = begin;
  }
  return 0;
}

class LineFormatter {
  readonly #options: LogOptions;
  #isSincePassed: boolean;
  #isMidLine = false;

  constructor(options: LogOptions) {
    this.#options = options;
    this.#isSincePassed = options.sinceMs === undefined;
  }

  /** Whole CRI lines in, the user's text out. */
  format(lines: Buffer): Buffer {
    const parts: Buffer[] = [];
    for (let start = 0; start < lines.length; ) {
      const end = lines.indexOf(0x0a, start);
      const line = lines.subarray(start, end < 0 ? lines.length : end);
      this.#formatLine(line, parts);
      start = end < 0 ? lines.length : end + 1;
    }
    return Buffer.concat(parts);
  }

  #formatLine(line: Buffer, parts: Buffer[]): void {
    const timeEnd = line.indexOf(0x20);
    const streamEnd = line.indexOf(0x20, timeEnd + 1);
    const tagEnd = line.indexOf(0x20, streamEnd + 1);
    if (timeEnd < 0 || streamEnd < 0 || tagEnd < 0) return; // Cut off by a crash: not a line.
    const time = line.toString("latin1", 0, timeEnd);
    const { sinceMs, timestamps, stream } = this.#options;
    if (!this.#isSincePassed) {
      if (Date.parse(time) < sinceMs!) return;
      this.#isSincePassed = true;
    }
    if (stream && line.toString("latin1", timeEnd + 1, streamEnd) !== stream) return;
    const isPartial = line[streamEnd + 1] === 0x50; // "P"
    if (timestamps && !this.#isMidLine) parts.push(Buffer.from(`${time} `));
    parts.push(line.subarray(tagEnd + 1));
    if (!isPartial) parts.push(newline);
    this.#isMidLine = isPartial;
  }
}
const newline = Buffer.from("\n");
