/** The few C library calls that Node does not offer, through koffi. Loaded at first use: it costs a simulated cluster nothing. */
import { createRequire } from "node:module";
import { getSystemErrorMap } from "node:util";

interface CFunction {
  (...args: unknown[]): number;
  /** The same on a thread of the pool; the callback comes last. errno is not to be had from it. */
  async(...args: unknown[]): void;
}

export interface Libc {
  setns: CFunction;
  unshare: CFunction;
  mount: CFunction;
  umount2: CFunction;
  socket: CFunction;
  bind: CFunction;
  setsockopt: CFunction;
  send: CFunction;
  recv: CFunction;
  close: CFunction;
  errno(): number;
}

interface Koffi {
  load(path: string | null): { func(prototype: string): CFunction };
  errno(): number;
}

/** The koffi module, for the callers that bind other libraries. */
export function koffi(): Koffi {
  loadedKoffi ??= createRequire(import.meta.url)("koffi") as Koffi;
  return loadedKoffi;
}

export function libc(): Libc {
  if (!loadedLibc) {
    const library = koffi().load(null);
    loadedLibc = {
      setns: library.func("int setns(int fd, int nstype)"),
      unshare: library.func("int unshare(int flags)"),
      mount: library.func("int mount(str source, str target, str filesystemtype, ulong mountflags, void *data)"),
      umount2: library.func("int umount2(str target, int flags)"),
      socket: library.func("int socket(int domain, int type, int protocol)"),
      bind: library.func("int bind(int fd, void *addr, uint32_t addrlen)"),
      setsockopt: library.func("int setsockopt(int fd, int level, int name, void *value, uint32_t length)"),
      send: library.func("intptr_t send(int fd, void *buffer, size_t length, int flags)"),
      recv: library.func("intptr_t recv(int fd, void *buffer, size_t length, int flags)"),
      close: library.func("int close(int fd)"),
      errno: () => koffi().errno(),
    };
  }
  return loadedLibc;
}

let loadedKoffi: Koffi | undefined;
let loadedLibc: Libc | undefined;

/** A failed system call, shaped like Node's own errors: `code` is EADDRINUSE and the like. */
export class SystemError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number, subject: string) {
    const [code, meaning] = getSystemErrorMap().get(-errno) ?? [`E${errno}`, "unknown error"];
    super(`${syscall} ${code}: ${meaning}${subject && ` ${subject}`}`);
    this.name = "SystemError";
    this.code = code;
    this.errno = -errno;
    this.syscall = syscall;
  }
}

/** Passes a call's result through, or throws what errno says about `subject`. */
export function check(result: number, syscall: string, subject = ""): number {
  if (result < 0) throw new SystemError(syscall, libc().errno(), subject);
  return result;
}
