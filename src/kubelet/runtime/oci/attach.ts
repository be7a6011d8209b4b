/**
 * Joins a container's own streams. Input goes through conmon's attach socket; output is read from the log, which holds every
 * byte as soon as conmon has it, so that a slow client can never hold up the container.
 */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { type Clock, sleep } from "../../../base/clock.ts";
import { check, koffi, libc } from "../../../base/node/libc.ts";
import type { AttachRequest, TerminalSize } from "../container-runtime.ts";
import { unixAddress } from "./console-socket.ts";
import { follow } from "./exec.ts";
import type { ContainerFolder } from "./folders.ts";
import { LogFollower } from "./log-follower.ts";

export interface AttachTarget {
  clock: Clock;
  folder: ContainerFolder;
  logPath: string;
  /** Whether the container was made with stdin and a terminal. */
  stdin: boolean;
  tty: boolean;
  /** Whether its stdin stays open when a client's input ends. */
  keepsStdinOpen: boolean;
  /** Resolves when the container has exited and its log is complete. */
  exited: Promise<unknown>;
}

export async function attach(target: AttachTarget, request: AttachRequest): Promise<void> {
  const over = new AbortController();
  const onAbort = () => over.abort();
  request.signal?.addEventListener("abort", onAbort, { once: true });
  if (request.signal?.aborted) over.abort();
  const output = new LogFollower(target.logPath, {
    fromStart: request.fromStart ?? false,
    knownBytes: request.knownBytes ?? 0,
    deliver: ({ stream, bytes }) => write(stream === "stderr" ? request.stderr : request.stdout, bytes, over.signal),
  });
  const input = request.stdin && target.stdin ? attachedInput(target) : undefined;
  try {
    const ends = [target.exited, aborted(over.signal)];
    const fed = input?.feed(request.stdin!, over.signal);
    // A client that has said all it will, to a container that is not to know of it, is let go, as by upstream's runtimes.
    if (fed && target.keepsStdinOpen) ends.push(fed.then((isWhole) => (isWhole ? undefined : aborted(over.signal))));
    if (request.resize && target.tty) void follow(request.resize, (size) => resizeTerminal(target.folder, size));
    await Promise.race(ends);
    if (!request.signal?.aborted) await output.drain();
  } finally {
    over.abort();
    request.signal?.removeEventListener("abort", onAbort);
    input?.close();
    output.close();
    request.stdout?.end();
    request.stderr?.end();
  }
}

/** Undefined when the container has just ended: its output is still to be had. */
function attachedInput({ folder, clock }: AttachTarget): AttachedInput | undefined {
  try {
    return new AttachedInput(folder, clock);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ECONNREFUSED") return undefined;
    throw error;
  }
}

/** conmon reads `1 <rows> <columns>` from its control FIFO. */
export function resizeTerminal(folder: ContainerFolder, size: TerminalSize): void {
  control(folder, `1 ${size.rows} ${size.columns}\n`);
}

/** Tells conmon to open its log file anew. */
export function reopenLog(folder: ContainerFolder): void {
  control(folder, "2 0 0\n");
}

function control(folder: ContainerFolder, line: string): void {
  const fd = openSync(folder.ctl, constants.O_WRONLY | constants.O_NONBLOCK);
  try {
    writeSync(fd, line);
  } finally {
    closeSync(fd);
  }
}

/** conmon's attach socket speaks SOCK_SEQPACKET, which Node does not: packets are sent by system call, waiting while it is full. */
class AttachedInput {
  readonly #clock: Clock;
  #fd: number;

  constructor(folder: ContainerFolder, clock: Clock) {
    this.#clock = clock;
    this.#fd = check(libc().socket(afUnix, sockSeqpacket | sockCloexec | sockNonblock, 0), "socket");
    connect ??= koffi().load(null).func("int connect(int fd, void *address, uint32_t length)");
    shutdown ??= koffi().load(null).func("int shutdown(int fd, int how)");
    const address = unixAddress(folder.attachSocket);
    try {
      check(connect(this.#fd, address.bytes, address.bytes.length), "connect", folder.attachSocket);
      // We read the log instead; conmon must not wait for us to take its packets.
      shutdown(this.#fd, shutRd);
    } catch (error) {
      this.close();
      throw error;
    } finally {
      address.close();
    }
  }

  /** Resolves to true at the input's end, to false when the client or the container went before. */
  async feed(from: Readable, signal: AbortSignal): Promise<boolean> {
    try {
      for await (const chunk of from) await this.#send(chunk as Buffer, signal);
      return true;
    } catch {
      return false;
    } finally {
      // conmon closes the container's stdin now, unless it was told to leave it open.
      this.close();
    }
  }

  async #send(chunk: Buffer, signal: AbortSignal): Promise<void> {
    let rest = chunk;
    let waitMs = 1;
    while (rest.length > 0) {
      signal.throwIfAborted();
      const packet = rest.subarray(0, packetSize);
      const sent = this.#fd < 0 ? -1 : libc().send(this.#fd, packet, packet.length, msgDontwait | msgNosignal);
      if (sent >= 0) {
        rest = rest.subarray(sent);
        waitMs = 1;
        continue;
      }
      const errno = koffi().errno();
      if (errno !== eagain && errno !== eintr) throw new Error("the container's stdin is closed");
      await sleep(this.#clock, waitMs, signal);
      waitMs = Math.min(waitMs * 2, 50);
    }
  }

  close(): void {
    if (this.#fd >= 0) libc().close(this.#fd);
    this.#fd = -1;
  }
}

/** Waits for a slow receiver; gives up when the session ends. A receiver that has gone takes no more. */
function write(to: Writable | undefined, bytes: Buffer, signal: AbortSignal): Promise<void> | void {
  if (!to || to.destroyed || to.writableEnded || to.write(bytes)) return;
  return new Promise((resolve) => {
    const done = () => {
      to.removeListener("drain", done);
      to.removeListener("close", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    to.once("drain", done);
    to.once("close", done);
    signal.addEventListener("abort", done, { once: true });
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

type CFunction = (...args: unknown[]) => number;
let connect: CFunction | undefined;
let shutdown: CFunction | undefined;

const packetSize = 8192;
const afUnix = 1;
const sockSeqpacket = 5;
const sockCloexec = 0o2000000;
const sockNonblock = 0o4000;
const msgDontwait = 0x40;
const msgNosignal = 0x4000;
const shutRd = 0;
const eagain = 11;
const eintr = 4;
