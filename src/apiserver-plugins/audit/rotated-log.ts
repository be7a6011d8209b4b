/** A file of lines that is put aside when it grows too large. A disk that is full loses lines, never requests. */
import { closeSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync, write } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Clock, rfc3339Micro } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { AuditLog } from "./policy-auditor.ts";

export interface RotatedLogOptions {
  path: string;
  /** Bytes. */
  maximumSize: number;
  /** Files that were put aside and are kept. */
  maximumBackups: number;
  clock: Clock;
  log: Logger;
}

/** Lines beyond this are lost and counted: requests never wait for whoever records them. */
const maximumWaiting = 50_000;

export class RotatedLog implements AuditLog {
  readonly plugin = "log";
  readonly #options: RotatedLogOptions;
  #file: number;
  #size: number;
  #waiting: string[] = [];
  #isWriting = false;
  #isComplaining = false;
  #lost = 0;
  #lostEvents = 0;
  /** What was written last ends in the middle of a line. */
  #isTorn = false;

  /** Opens the file, or throws. Readable by its owner only: it may hold Secrets. */
  constructor(options: RotatedLogOptions) {
    this.#options = options;
    mkdirSync(dirname(options.path), { recursive: true, mode: 0o700 });
    this.#file = openSync(options.path, "a", 0o600);
    this.#size = statSync(options.path).size;
  }

  get lostEvents(): number {
    return this.#lostEvents;
  }

  /** The line is written soon; nobody waits for it. */
  append(line: string): void {
    if (this.#waiting.length >= maximumWaiting) {
      this.#lost++;
      this.#lostEvents++;
      return;
    }
    this.#waiting.push(line);
    if (!this.#isWriting) this.#writeNext();
  }

  close(): void {
    closeSync(this.#file);
  }

  #writeNext(): void {
    if (this.#waiting.length === 0) {
      this.#isWriting = false;
      return;
    }
    this.#isWriting = true;
    const lines = this.#waiting.map((line) => `${line}\n`);
    const bytes = Buffer.from((this.#isTorn ? "\n" : "") + lines.join(""));
    this.#waiting = [];
    if (this.#lost > 0) this.#options.log.warn("audit events were lost: the disk is too slow", { events: this.#lost });
    this.#lost = 0;
    if (this.#size + bytes.length > this.#options.maximumSize && this.#size > 0) this.#rotate();
    write(this.#file, bytes, (error, written) => {
      const isShort = !error && written < bytes.length;
      if ((error || isShort) && !this.#isComplaining)
        this.#options.log.error("the audit log cannot be written", { error: error ?? "no space left on device" });
      this.#isComplaining = error !== null || isShort;
      if (error) this.#lostEvents += lines.length;
      else {
        this.#size += written;
        this.#isTorn = isShort;
        if (isShort) this.#lostEvents += linesCutOff(lines, bytes.length - written);
      }
      this.#writeNext();
    });
  }

  #rotate(): void {
    const { path, clock, maximumBackups, log } = this.#options;
    try {
      const stamp = rfc3339Micro(clock.now()).replaceAll(":", "-");
      const stem = path.replace(/\.[^./]*$/, "");
      renameSync(path, `${stem}-${stamp}${path.slice(stem.length)}`);
      const next = openSync(path, "a", 0o600);
      closeSync(this.#file);
      this.#file = next;
      this.#size = 0;
      const backups = readdirSync(dirname(path))
        .filter((name) => name.startsWith(`${basename(stem)}-`))
        .sort();
      for (const old of backups.slice(0, Math.max(0, backups.length - maximumBackups)))
        rmSync(join(dirname(path), old));
    } catch (error) {
      log.warn("the audit log could not be rotated", { error });
    }
  }
}

/** How many of the lines lost something when the last `missing` bytes of them were not written. */
function linesCutOff(lines: readonly string[], missing: number): number {
  let count = 0;
  for (let left = missing; left > 0 && count < lines.length; count++) left -= Buffer.byteLength(lines.at(-1 - count)!);
  return count;
}
