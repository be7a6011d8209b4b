/**
 * Receives a pseudo-terminal's master from the OCI runtime, which connects to a Unix socket and passes the descriptor along.
 * Node cannot receive descriptors, so this speaks accept and recvmsg itself, without ever blocking.
 */
import { closeSync, constants, openSync, rmSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { Readable, Writable } from "node:stream";
import { ReadStream } from "node:tty";
import { type Clock, sleep } from "../../../base/clock.ts";
import { check, koffi, libc } from "../../../base/node/libc.ts";
import type { TerminalSize } from "../container-runtime.ts";

export interface Terminal {
  reader: Readable;
  writer: Writable;
  resize(size: TerminalSize): void;
  close(): void;
}

export class ConsoleSocket {
  readonly path: string;
  readonly #clock: Clock;
  readonly #listener: number;

  /** Listens at `path`, which must not exist. */
  constructor(path: string, clock: Clock) {
    this.path = path;
    this.#clock = clock;
    this.#listener = check(libc().socket(afUnix, sockStream | sockCloexec | sockNonblock, 0), "socket");
    try {
      const address = unixAddress(path);
      try {
        check(libc().bind(this.#listener, address.bytes, address.bytes.length), "bind", path);
      } finally {
        address.close();
      }
      check(calls().listen(this.#listener, 1), "listen", path);
    } catch (error) {
      closeSync(this.#listener);
      throw error;
    }
  }

  /**
   * Looks every millisecond, for the few that the runtime takes. When the signal fires it looks once more, for what the runtime
   * sent before it ended, and rejects when there is nothing.
   */
  async receive(signal: AbortSignal): Promise<Terminal> {
    const connection = await this.#retry(signal, () =>
      calls().accept4(this.#listener, null, null, sockCloexec | sockNonblock),
    );
    try {
      let received = -1;
      await this.#retry(signal, () => {
        const result = receiveDescriptor(connection);
        received = result.descriptor;
        return result.length;
      });
      if (received < 0) throw new Error("the runtime sent no terminal");
      return openTerminal(received);
    } finally {
      closeSync(connection);
    }
  }

  async #retry(signal: AbortSignal, call: () => number): Promise<number> {
    for (;;) {
      const isLast = signal.aborted;
      const result = call();
      if (result >= 0) return result;
      const errno = koffi().errno();
      if (errno !== eagain && errno !== eintr) check(result, "accept or recvmsg", this.path);
      if (isLast) throw signal.reason;
      await sleep(this.#clock, 1, signal).catch(() => {});
    }
  }

  close(): void {
    closeSync(this.#listener);
    rmSync(this.path, { force: true });
  }
}

/** A sockaddr_un that reaches paths beyond its 108 bytes through the folder's descriptor. Close it after use. */
export function unixAddress(path: string): { bytes: Buffer; close(): void } {
  const folder = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  const name = Buffer.from(`/proc/self/fd/${folder}/${basename(path)}\0`);
  const bytes = Buffer.alloc(2 + name.length);
  bytes.writeUInt16LE(afUnix, 0);
  name.copy(bytes, 2);
  return { bytes, close: () => closeSync(folder) };
}

function openTerminal(fd: number): Terminal {
  // One stream for both directions; reading fails with EIO when the last process in the terminal has gone.
  const stream = new ReadStream(fd);
  stream.on("error", () => {});
  return {
    reader: stream,
    writer: stream,
    resize(size) {
      const winsize = Buffer.alloc(8);
      winsize.writeUInt16LE(size.rows & 0xffff, 0);
      winsize.writeUInt16LE(size.columns & 0xffff, 2);
      if (!stream.destroyed) calls().ioctl(fd, tiocswinsz, winsize);
    },
    close: () => stream.destroy(),
  };
}

function receiveDescriptor(socket: number): { length: number; descriptor: number } {
  const data = Buffer.alloc(4096);
  const control = Buffer.alloc(64);
  const length = calls().recvmsg(
    socket,
    {
      name: null,
      namelen: 0,
      iov: [{ base: data, len: data.length }],
      iovlen: 1,
      control,
      controllen: control.length,
      flags: 0,
    },
    msgCmsgCloexec,
  );
  // A control message: its length (8 bytes), level (4), type (4), and the descriptor.
  const holdsOne = length >= 0 && control.readUInt32LE(8) === solSocket && control.readUInt32LE(12) === scmRights;
  return { length, descriptor: holdsOne ? control.readInt32LE(16) : -1 };
}

type CFunction = (...args: unknown[]) => number;
let loaded: Record<"listen" | "accept4" | "recvmsg" | "ioctl", CFunction> | undefined;

function calls() {
  if (loaded) return loaded;
  const library = koffi().load(null);
  const { struct } = koffi() as unknown as { struct(name: string, members: Record<string, string>): void };
  struct("iovec", { base: "void *", len: "size_t" });
  struct("msghdr", {
    name: "void *",
    namelen: "uint32_t",
    iov: "iovec *",
    iovlen: "size_t",
    control: "void *",
    controllen: "size_t",
    flags: "int",
  });
  return (loaded = {
    listen: library.func("int listen(int fd, int backlog)"),
    accept4: library.func("int accept4(int fd, void *address, void *length, int flags)"),
    recvmsg: library.func("intptr_t recvmsg(int fd, msghdr *message, int flags)"),
    ioctl: library.func("int ioctl(int fd, ulong request, void *argument)"),
  });
}

const afUnix = 1;
const sockStream = 1;
const sockCloexec = 0o2000000;
const sockNonblock = 0o4000;
const solSocket = 1;
const scmRights = 1;
const msgCmsgCloexec = 0x40000000;
const eagain = 11;
const eintr = 4;
const tiocswinsz = 0x5414;
