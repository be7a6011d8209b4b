/**
 * Starts programs without forking this process. Node's own `spawn` copies the page tables of the whole server, which costs
 * milliseconds of the main thread for every hundred megabytes that it uses; posix_spawn shares them until the exec and
 * costs a tenth of a millisecond whatever the size.
 */
import { Socket } from "node:net";
import { constants } from "node:os";
import type { Readable, Writable } from "node:stream";
import { check, koffi, libc, SystemError } from "./libc.ts";

export interface SpawnRequest {
  /** Absolute path of the program. */
  file: string;
  /** Without the program's own name. */
  args: readonly string[];
  /** Default: this process's environment. */
  env?: Readonly<Record<string, string>>;
  /**
   * What the child's descriptors are, by number. "pipe-in" and "pipe-out" make a pipe whose other end is `pipes[n]`; a number
   * is a descriptor of this process, which stays the caller's to close. 0, 1 and 2 default to /dev/null; no other is inherited.
   * Number them without gaps.
   */
  fds?: Readonly<Record<number, "pipe-in" | "pipe-out" | number>>;
  /** The folder that it works in. Default: this process's. */
  cwd?: string;
  /** A session of its own, away from this process's terminal and its signals. */
  newSession?: boolean;
  /** The program forks and ends soon, leaving a daemon with its descriptors: wait for the program, not for them. */
  becomesDaemon?: boolean;
}

export interface SpawnedProcess {
  pid: number;
  /** This process's ends of the pipes: a Writable for "pipe-in", a Readable for "pipe-out". */
  readers: Record<number, Readable>;
  writers: Record<number, Writable>;
  /** Resolves when the program ended. What it wrote may still be on its way in the pipes. */
  exited: Promise<ExitedProcess>;
  /** From now on this process may end before it. */
  unref(): void;
}

/** As `child_process` has it: exactly one of the two is null. */
export interface ExitedProcess {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** Throws a SystemError when the program cannot be executed. */
export function spawnProcess(request: SpawnRequest): SpawnedProcess {
  const c = functions();
  const readers: Record<number, Readable> = {};
  const writers: Record<number, Writable> = {};
  const childEnds: number[] = [];
  const parentEnds: { child: number; fd: number; direction: "pipe-in" | "pipe-out" }[] = [];
  const wanted = new Map<number, number>();
  const pipe = (): [read: number, write: number] => {
    const pair = Buffer.alloc(8);
    check(c.pipe2(pair, oCloexec), "pipe2");
    return [pair.readInt32LE(0), pair.readInt32LE(4)];
  };
  // The child holds the write end until it ends: its end of file is how we learn of that without a signal handler.
  let lifeline: number | undefined;
  try {
    for (const [key, what] of Object.entries(request.fds ?? {})) {
      const child = Number(key);
      if (typeof what === "number") {
        wanted.set(child, what);
        continue;
      }
      const [read, write] = pipe();
      const [mine, theirs] = what === "pipe-in" ? [write, read] : [read, write];
      childEnds.push(theirs);
      parentEnds.push({ child, fd: mine, direction: what });
      wanted.set(child, theirs);
    }
    if (!request.becomesDaemon) {
      const [read, write] = pipe();
      lifeline = read;
      childEnds.push(write);
      wanted.set(Math.max(2, ...wanted.keys()) + 1, write);
    }
    const pid = posixSpawn(c, request, wanted);
    for (const { child, fd, direction } of parentEnds.splice(0)) {
      if (direction === "pipe-in") writers[child] = new Socket({ fd, readable: false, writable: true });
      else readers[child] = new Socket({ fd, readable: true, writable: false });
    }
    const life = lifeline === undefined ? undefined : new Socket({ fd: lifeline, readable: true, writable: false });
    lifeline = undefined;
    const exited = life ? waitForEnd(c, pid, life) : waitForDaemon(c, pid);
    return { pid, readers, writers, exited, unref: () => void life?.unref() };
  } finally {
    for (const fd of childEnds) libc().close(fd);
    for (const { fd } of parentEnds) libc().close(fd);
    if (lifeline !== undefined) libc().close(lifeline);
  }
}

function posixSpawn(c: Functions, request: SpawnRequest, wanted: Map<number, number>): number {
  const pid = Buffer.alloc(4);
  // The C structures are opaque: 80 and 336 bytes with glibc and musl. These have room to spare.
  const actions = Buffer.alloc(1024);
  const attributes = Buffer.alloc(1024);
  c.posix_spawn_file_actions_init(actions);
  c.posix_spawnattr_init(attributes);
  try {
    const everySignal = Buffer.alloc(128, 0xff);
    const noSignal = Buffer.alloc(128);
    // Node ignores SIGPIPE; programs must not inherit that.
    c.posix_spawnattr_setsigdefault(attributes, everySignal);
    c.posix_spawnattr_setsigmask(attributes, noSignal);
    c.posix_spawnattr_setflags(
      attributes,
      spawnSetSigDefault | spawnSetSigMask | (request.newSession ? spawnSetSid : 0),
    );
    if (request.cwd) c.posix_spawn_file_actions_addchdir_np(actions, request.cwd);
    for (const fd of [0, 1, 2]) {
      if (!wanted.has(fd)) c.posix_spawn_file_actions_addopen(actions, fd, "/dev/null", oRdwr, 0);
    }
    // A source that is itself a later target would be overwritten: move all sources out of the way first.
    const firstSpare = Math.max(...wanted.keys(), ...wanted.values()) + 1;
    let spare = firstSpare;
    for (const source of wanted.values()) c.posix_spawn_file_actions_adddup2(actions, source, spare++);
    spare = firstSpare;
    for (const target of wanted.keys()) c.posix_spawn_file_actions_adddup2(actions, spare++, target);
    if (c.posix_spawn_file_actions_addclosefrom_np) {
      c.posix_spawn_file_actions_addclosefrom_np(actions, Math.max(...wanted.keys()) + 1);
    } else {
      while (spare > firstSpare) c.posix_spawn_file_actions_addclose(actions, --spare);
    }
    const environment = Object.entries(request.env ?? process.env).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${value}`],
    );
    const failure = c.posix_spawn(
      pid,
      request.file,
      actions,
      attributes,
      [request.file, ...request.args, null],
      [...environment, null],
    );
    if (failure !== 0) throw new SystemError("spawn", failure, request.file);
    return pid.readInt32LE(0);
  } finally {
    c.posix_spawn_file_actions_destroy(actions);
    c.posix_spawnattr_destroy(attributes);
  }
}

function waitForEnd(c: Functions, pid: number, lifeline: Socket): Promise<ExitedProcess> {
  return new Promise((resolve) => {
    const reap = () => {
      lifeline.destroy();
      const status = Buffer.alloc(4);
      // Descriptors close an instant before the process can be waited for, so this waits microseconds.
      while (c.waitpid(pid, status, 0) < 0) {
        if (koffi().errno() !== eintr) return resolve({ code: null, signal: "SIGKILL" });
      }
      resolve(decodeStatus(status.readInt32LE(0)));
    };
    lifeline.once("end", reap);
    lifeline.once("error", reap);
    lifeline.resume();
  });
}

/** Waits on a pool thread: only for programs that end at once. */
function waitForDaemon(c: Functions, pid: number): Promise<ExitedProcess> {
  return new Promise((resolve) => {
    const status = Buffer.alloc(4);
    c.waitpid.async(pid, status, 0, () => resolve(decodeStatus(status.readInt32LE(0))));
  });
}

function decodeStatus(status: number): ExitedProcess {
  const signal = status & 0x7f;
  if (signal === 0) return { code: (status >> 8) & 0xff, signal: null };
  return { code: null, signal: signalName(signal) };
}

function signalName(number: number): NodeJS.Signals {
  for (const [name, value] of Object.entries(constants.signals)) if (value === number) return name as NodeJS.Signals;
  return "SIGKILL";
}

type CFunction = (...args: unknown[]) => number;
type Functions = Record<(typeof names)[number], CFunction> & {
  waitpid: CFunction & { async(...args: unknown[]): void };
  /** glibc 2.34 has it. Without it the child keeps what this process itself was started with. */
  posix_spawn_file_actions_addclosefrom_np?: CFunction;
};

const names = [
  "pipe2",
  "waitpid",
  "posix_spawn",
  "posix_spawn_file_actions_init",
  "posix_spawn_file_actions_destroy",
  "posix_spawn_file_actions_addchdir_np",
  "posix_spawn_file_actions_adddup2",
  "posix_spawn_file_actions_addopen",
  "posix_spawn_file_actions_addclose",
  "posix_spawnattr_init",
  "posix_spawnattr_destroy",
  "posix_spawnattr_setflags",
  "posix_spawnattr_setsigdefault",
  "posix_spawnattr_setsigmask",
] as const;

let loaded: Functions | undefined;

function functions(): Functions {
  if (loaded) return loaded;
  const library = koffi().load(null);
  const optional = (prototype: string) => {
    try {
      return library.func(prototype);
    } catch {
      return undefined;
    }
  };
  return (loaded = {
    pipe2: library.func("int pipe2(_Out_ void *fds, int flags)"),
    waitpid: library.func("int waitpid(int pid, _Out_ void *status, int options)") as Functions["waitpid"],
    posix_spawn: library.func(
      "int posix_spawn(void *pid, str path, void *actions, void *attributes, str *argv, str *envp)",
    ),
    posix_spawn_file_actions_init: library.func("int posix_spawn_file_actions_init(void *actions)"),
    posix_spawn_file_actions_destroy: library.func("int posix_spawn_file_actions_destroy(void *actions)"),
    posix_spawn_file_actions_addchdir_np: library.func(
      "int posix_spawn_file_actions_addchdir_np(void *actions, str path)",
    ),
    posix_spawn_file_actions_adddup2: library.func(
      "int posix_spawn_file_actions_adddup2(void *actions, int from, int to)",
    ),
    posix_spawn_file_actions_addopen: library.func(
      "int posix_spawn_file_actions_addopen(void *actions, int fd, str path, int flags, uint32_t mode)",
    ),
    posix_spawn_file_actions_addclose: library.func("int posix_spawn_file_actions_addclose(void *actions, int fd)"),
    posix_spawn_file_actions_addclosefrom_np: optional(
      "int posix_spawn_file_actions_addclosefrom_np(void *actions, int from)",
    ),
    posix_spawnattr_init: library.func("int posix_spawnattr_init(void *attributes)"),
    posix_spawnattr_destroy: library.func("int posix_spawnattr_destroy(void *attributes)"),
    posix_spawnattr_setflags: library.func("int posix_spawnattr_setflags(void *attributes, short flags)"),
    posix_spawnattr_setsigdefault: library.func("int posix_spawnattr_setsigdefault(void *attributes, void *set)"),
    posix_spawnattr_setsigmask: library.func("int posix_spawnattr_setsigmask(void *attributes, void *set)"),
  });
}

const oCloexec = 0o2000000;
const oRdwr = 2;
const eintr = 4;
const spawnSetSigDefault = 0x04;
const spawnSetSigMask = 0x08;
const spawnSetSid = 0x80;
