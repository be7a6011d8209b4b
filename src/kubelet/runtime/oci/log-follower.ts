/** Reads a container's log in CRI's format as it grows, and gives back the very bytes that the container wrote. */
import { closeSync, existsSync, type FSWatcher, openSync, readSync, statSync, watch } from "node:fs";

export interface LogChunk {
  stream: "stdout" | "stderr";
  bytes: Buffer;
}

/**
 * Delivers each chunk as soon as it is in the file: partial lines are entries of their own. The receiver may return a promise
 * to be waited for, which bounds what is in memory. When the file is rotated away, the new one is read from its start.
 */
export class LogFollower {
  readonly #path: string;
  readonly #deliver: (chunk: LogChunk) => Promise<void> | void;
  readonly #watcher: FSWatcher;
  #fd: number;
  #inode: number;
  #position: number;
  #rest: Buffer = Buffer.alloc(0);
  #reading: Promise<void> = Promise.resolve();
  #isScheduled = false;
  #isClosed = false;

  /** `knownBytes` of the file are left out when it is read from its start. */
  constructor(
    path: string,
    options: { fromStart: boolean; knownBytes?: number; deliver: (chunk: LogChunk) => Promise<void> | void },
  ) {
    this.#path = path;
    this.#deliver = options.deliver;
    this.#fd = openSync(path, "r");
    const { ino, size } = statSync(path);
    this.#inode = ino;
    this.#position = options.fromStart ? (options.knownBytes ?? 0) : size;
    this.#watcher = watch(path, { persistent: false }, () => this.#schedule());
    this.#watcher.on("error", () => {});
    if (options.fromStart) this.#schedule();
  }

  /** Reads what is in the file by now, and resolves when it has been delivered. */
  async drain(): Promise<void> {
    this.#schedule();
    await this.#reading;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watcher.close();
    void this.#reading.then(() => closeSync(this.#fd));
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    this.#reading = this.#reading.then(async () => {
      this.#isScheduled = false;
      await this.#readOn();
    });
  }

  async #readOn(): Promise<void> {
    const buffer = Buffer.allocUnsafe(64 * 1024);
    for (;;) {
      const count = readSync(this.#fd, buffer, 0, buffer.length, this.#position);
      if (count === 0) {
        if (this.#isClosed || !this.#followRotation()) return;
        continue;
      }
      this.#position += count;
      await this.#take(buffer.subarray(0, count));
    }
  }

  async #take(bytes: Buffer): Promise<void> {
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes;
    for (;;) {
      const end = data.indexOf(10);
      if (end < 0) break;
      const chunk = parseLogLine(data.subarray(0, end));
      data = data.subarray(end + 1);
      if (chunk) await this.#deliver(chunk);
    }
    this.#rest = Buffer.from(data);
  }

  /** True when another file has taken this one's place and was opened. */
  #followRotation(): boolean {
    if (!existsSync(this.#path)) return false;
    const { ino, size } = statSync(this.#path);
    if (ino === this.#inode) {
      if (size < this.#position) this.#position = 0; // Truncated in place.
      return size > this.#position;
    }
    closeSync(this.#fd);
    this.#fd = openSync(this.#path, "r");
    this.#inode = ino;
    this.#position = 0;
    return true;
  }
}

/** `<time> <stream> <F|P> <text>`; a full line gets its newline back. Undefined for what is no entry. */
export function parseLogLine(line: Buffer): LogChunk | undefined {
  const afterTime = line.indexOf(space);
  const afterStream = line.indexOf(space, afterTime + 1);
  if (afterTime < 0 || afterStream < 0) return undefined;
  const stream = line.toString("latin1", afterTime + 1, afterStream);
  if (stream !== "stdout" && stream !== "stderr") return undefined;
  const afterTag = line.indexOf(space, afterStream + 1);
  const tag = line.toString("latin1", afterStream + 1, afterTag < 0 ? line.length : afterTag);
  const content = afterTag < 0 ? Buffer.alloc(0) : line.subarray(afterTag + 1);
  const isFull = tag.split(":")[0] === "F";
  return { stream, bytes: isFull ? Buffer.concat([content, newline]) : Buffer.from(content) };
}

const space = 0x20;
const newline = Buffer.from("\n");
