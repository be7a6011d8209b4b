/** Reads a container's log as `kubectl logs` wants it, from the files in CRI's format; follows it without polling. */
import { type FSWatcher, watch } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { basename, dirname } from "node:path";

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
 * (what it wrote until then still comes) or the signal fires.
 */
export async function* readLogs(
  path: string,
  options: LogOptions,
  ended: AbortSignal,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  const formatter = new LineFormatter(options);
  const waker = options.follow ? new Waker(path, [ended, signal]) : undefined;
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    let inode = (await file.stat()).ino;
    let position = await startOf(file, options.tailLines);
    let rest: Buffer = Buffer.alloc(0);
    const block = Buffer.alloc(blockBytes);
    while (!signal.aborted) {
      const isLast = ended.aborted; // Read before reading: what came before the end is read below.
      const { bytesRead } = await file.read(block, 0, block.length, position);
      if (bytesRead > 0) {
        position += bytesRead;
        const text = Buffer.concat([rest, block.subarray(0, bytesRead)]);
        const end = text.lastIndexOf(0x0a) + 1;
        rest = Buffer.from(text.subarray(end));
        let chunk = formatter.format(text.subarray(0, end));
        if (chunk.length === 0) continue;
        if (chunk.length > left) chunk = chunk.subarray(0, left);
        left -= chunk.length;
        yield chunk;
        if (left <= 0) return;
        continue;
      }
      if (!waker) return;
      const replacement = await replaced(path, inode);
      if (replacement) {
        // Rotated: what follows is in the new file.
        await file.close();
        file = replacement;
        inode = (await file.stat()).ino;
        position = 0;
        continue;
      }
      if (isLast) return;
      await waker.wait();
    }
  } finally {
    waker?.close();
    await file?.close();
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
