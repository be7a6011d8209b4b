/** Runs further commands in a running container: one `crun exec` each, which joins the container and waits. */
import { randomUUID } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import type { Clock } from "../../../base/clock.ts";
import { type SpawnedProcess, spawnProcess } from "../../../base/node/spawn-process.ts";
import { type ExecRequest, type ExecSyncOptions, type ExecSyncResult, RuntimeError } from "../container-runtime.ts";
import { ConsoleSocket } from "./console-socket.ts";
import { readText } from "./folders.ts";
import type { OciMachine } from "./machine.ts";
import { startTicks } from "./processes.ts";

export interface ExecTarget {
  machine: OciMachine;
  clock: Clock;
  runtimeRoot: string;
  id: string;
  /** For files that live as long as the command. */
  folder: string;
  /** What ends each command that runs at the moment. */
  running: Set<() => void>;
}

/** Kubernetes' limit on what a probe may print. */
const defaultMaximumOutput = 16 << 20;

export async function execSync(
  target: ExecTarget,
  command: readonly string[],
  options: ExecSyncOptions,
): Promise<ExecSyncResult> {
  const maximum = options.maximumOutputBytes ?? defaultMaximumOutput;
  const child = start(target, command, { fds: { 1: "pipe-out", 2: "pipe-out" } });
  const stdout = collect(child.process.readers[1]!, maximum);
  const stderr = collect(child.process.readers[2]!, maximum);
  let timedOut = false;
  const kill = () => child.kill();
  const timer =
    options.timeoutMs > 0
      ? target.clock.setTimer(options.timeoutMs, () => {
          timedOut = true;
          kill();
        })
      : undefined;
  options.signal?.addEventListener("abort", kill, { once: true });
  if (options.signal?.aborted) kill();
  try {
    const exit = await child.process.exited;
    await settle(target.clock, [stdout.ended, stderr.ended]);
    if (options.signal?.aborted) throw options.signal.reason;
    if (timedOut) {
      const seconds = options.timeoutMs / 1000;
      throw new RuntimeError(
        "DeadlineExceeded",
        `command ${JSON.stringify(command.join(" "))} timed out after ${seconds}s`,
      );
    }
    const result = { exitCode: exitCode(exit), stdout: stdout.bytes(), stderr: stderr.bytes() };
    refuseUnstartable(result.exitCode, result.stderr.toString(), command);
    return result;
  } finally {
    timer?.[Symbol.dispose]();
    options.signal?.removeEventListener("abort", kill);
    child.close();
  }
}

export async function exec(target: ExecTarget, request: ExecRequest): Promise<number> {
  return request.tty ? execWithTerminal(target, request) : execWithPipes(target, request);
}

async function execWithPipes(target: ExecTarget, request: ExecRequest): Promise<number> {
  const child = start(target, request.command, {
    fds: request.stdin ? { 0: "pipe-in", 1: "pipe-out", 2: "pipe-out" } : { 1: "pipe-out", 2: "pipe-out" },
  });
  const kill = () => child.kill();
  request.signal?.addEventListener("abort", kill, { once: true });
  try {
    if (request.signal?.aborted) kill();
    if (request.stdin) feed(request.stdin, child.process.writers[0]!);
    const complaint = keepBeginning(child.process.readers[2]!);
    const ended = [
      deliver(child.process.readers[1]!, request.stdout),
      deliver(child.process.readers[2]!, request.stderr),
    ];
    const exit = await child.process.exited;
    await settle(target.clock, ended);
    request.signal?.throwIfAborted();
    refuseUnstartable(exitCode(exit), complaint(), request.command);
    return exitCode(exit);
  } finally {
    request.signal?.removeEventListener("abort", kill);
    child.close();
    request.stdout?.end();
    request.stderr?.end();
  }
}

/** The runtime makes a pseudo-terminal in the container and hands us its other end through a socket. */
async function execWithTerminal(target: ExecTarget, request: ExecRequest): Promise<number> {
  if (target.machine.kind === "runc") {
    throw new RuntimeError("Unavailable", "exec with a terminal needs crun; this machine has only runc");
  }
  const consoleSocket = new ConsoleSocket(join(target.folder, `tty-${randomUUID().slice(0, 8)}`), target.clock);
  const child = start(target, request.command, {
    fds: { 1: "pipe-out", 2: "pipe-out" },
    consoleSocket: consoleSocket.path,
  });
  const kill = () => child.kill();
  request.signal?.addEventListener("abort", kill, { once: true });
  try {
    if (request.signal?.aborted) kill();
    const complaint = keepBeginning(child.process.readers[2]!);
    child.process.readers[1]!.resume();
    const hasEnded = new AbortController();
    void child.process.exited.then(() => hasEnded.abort());
    const terminal = await consoleSocket.receive(hasEnded.signal).catch((error: unknown) => {
      if (hasEnded.signal.aborted) return undefined;
      throw error;
    });
    if (!terminal) {
      const code = exitCode(await child.process.exited);
      await settle(target.clock, [ended(child.process.readers[2]!)]);
      refuseUnstartable(code || 1, complaint(), request.command);
      throw new RuntimeError("Internal", `exec failed: ${complaint().trim() || `exit code ${code}`}`);
    }
    try {
      if (request.resize) void follow(request.resize, terminal.resize);
      if (request.stdin) feed(request.stdin, terminal.writer);
      const delivered = deliver(terminal.reader, request.stdout);
      const exit = await child.process.exited;
      await settle(target.clock, [delivered]);
      request.signal?.throwIfAborted();
      return exitCode(exit);
    } finally {
      terminal.close();
    }
  } finally {
    request.signal?.removeEventListener("abort", kill);
    consoleSocket.close();
    child.close();
    request.stdout?.end();
    request.stderr?.end();
  }
}

interface ExecProcess {
  process: SpawnedProcess;
  /** Ends the command itself; the runtime's own process then ends too. */
  kill(): void;
  close(): void;
}

function start(
  target: ExecTarget,
  command: readonly string[],
  options: { fds: Record<number, "pipe-in" | "pipe-out">; consoleSocket?: string },
): ExecProcess {
  if (command.length === 0)
    throw new RuntimeError("InvalidArgument", "you must specify at least one command for the container");
  const pidFile = join(target.folder, `exec-${randomUUID().slice(0, 8)}`);
  const processFile = `${pidFile}.json`;
  writeFileSync(processFile, JSON.stringify(processOf(target, command, options.consoleSocket !== undefined)), {
    mode: 0o600,
  });
  const { file, args } = target.machine.command("runtime", [
    ...["--root", target.runtimeRoot, "exec", "--pid-file", pidFile, "--process", processFile],
    ...(options.consoleSocket !== undefined ? ["--console-socket", options.consoleSocket] : []),
    target.id,
  ]);
  const child = spawnProcess({ file, args, fds: options.fds, newSession: true });
  let hasEnded = false;
  void child.exited.then(() => {
    hasEnded = true;
    target.running.delete(kill);
    rmSync(pidFile, { force: true });
    rmSync(processFile, { force: true });
  });
  const kill = () => {
    if (hasEnded) return;
    const pid = Number(readText(pidFile));
    // Not started yet: the runtime's process is all there is.
    const victim = pid > 0 && startTicks(pid) ? pid : child.pid;
    try {
      process.kill(victim, "SIGKILL");
    } catch {
      // It ended in this moment.
    }
  };
  target.running.add(kill);
  return {
    process: child,
    kill,
    close() {
      for (const stream of [...Object.values(child.readers), ...Object.values(child.writers)]) stream.destroy();
    },
  };
}

/** The command runs as the container's own process does: user, groups, environment, capabilities, working directory. */
function processOf(target: ExecTarget, command: readonly string[], terminal: boolean): object {
  const bundle = JSON.parse(readFileSync(join(target.folder, "config.json"), "utf8")) as { process: { env: string[] } };
  const { env, ...rest } = bundle.process;
  const needsTerm = terminal && !env.some((entry) => entry.startsWith("TERM="));
  return { ...rest, args: command, terminal, env: needsTerm ? [...env, "TERM=xterm"] : env };
}

function exitCode(exit: { code: number | null; signal: NodeJS.Signals | null }): number {
  return exit.code ?? 137;
}

/** crun itself failed: the command never ran. Worded as the kubelet words it. */
function refuseUnstartable(code: number, stderr: string, command: readonly string[]): void {
  if (code === 0) return;
  if (
    /executable file .* not found|No such file or directory.*exec|exec failed|OCI runtime exec failed/.test(stderr) &&
    isFromRuntime(stderr)
  ) {
    throw new RuntimeError(
      "StartError",
      `OCI runtime exec failed: exec failed: unable to start container process: exec: ${JSON.stringify(command[0])}: ` +
        `${command[0]!.startsWith("/") ? `stat ${command[0]}: no such file or directory` : "executable file not found in $PATH"}: unknown`,
    );
  }
}

function isFromRuntime(stderr: string): boolean {
  return /^(\S+Z: )?(executable file|exec failed|crun|ERRO|time=|\{"msg)/m.test(stderr.replace(/^\d{4}-\S+ /, ""));
}

function collect(stream: Readable, maximum: number): { ended: Promise<void>; bytes(): Buffer } {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on("data", (chunk: Buffer) => {
    if (size >= maximum) return;
    const kept = chunk.subarray(0, maximum - size);
    chunks.push(kept);
    size += kept.length;
  });
  return { ended: ended(stream), bytes: () => Buffer.concat(chunks) };
}

function keepBeginning(stream: Readable): () => string {
  let kept = "";
  stream.on("data", (chunk: Buffer) => {
    if (kept.length < 4096) kept += chunk.toString("utf8");
  });
  return () => kept;
}

function ended(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    if (stream.readableEnded || stream.destroyed) return resolve();
    stream.once("end", resolve);
    stream.once("error", () => resolve());
    stream.once("close", () => resolve());
  });
}

/** Resolves when everything read has been handed over. A receiver that went away does not stop the command. */
export function deliver(from: Readable, to: Writable | undefined): Promise<void> {
  if (!to) {
    from.resume();
    return ended(from);
  }
  const onGone = () => {
    from.unpipe(to);
    from.resume();
  };
  to.once("error", onGone);
  to.once("close", onGone);
  from.pipe(to, { end: false });
  return ended(from);
}

/** The end of `from` closes the command's stdin; a command that closed it first is no error. */
export function feed(from: Readable, to: Writable): void {
  to.on("error", () => from.unpipe(to));
  from.on("error", () => to.end());
  from.pipe(to);
}

export async function follow<T>(values: AsyncIterable<T>, apply: (value: T) => void): Promise<void> {
  try {
    for await (const value of values) apply(value);
  } catch {
    // The client went: its sizes no longer matter.
  }
}

/** A grandchild may keep a pipe open for ever: what has not ended soon after the command did is left behind. */
function settle(clock: Clock, ends: Promise<void>[]): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(drainMs, resolve, { background: true });
    void Promise.all(ends).then(() => {
      timer[Symbol.dispose]();
      resolve();
    });
  });
}

const drainMs = 250;
