/** Starts a container's process: conmon, which outlives us and holds the container; under it the OCI runtime; then the go-ahead. */
import { closeSync, constants, openSync, readdirSync, readFileSync, readSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { type Clock, sleep } from "../../../base/clock.ts";
import { spawnProcess } from "../../../base/node/spawn-process.ts";
import { RuntimeError } from "../container-runtime.ts";
import { type ContainerFolder, type StartedRecord, writeRecord } from "./folders.ts";
import { makeFifo } from "./linux.ts";
import type { OciMachine } from "./machine.ts";
import { startTicks } from "./processes.ts";

export interface LaunchRequest {
  machine: OciMachine;
  clock: Clock;
  folder: ContainerFolder;
  /** The runtime's own state, `--root`. */
  runtimeRoot: string;
  logPath: string;
  terminal: boolean;
  stdin: boolean;
  /** Keep stdin open when an attached client goes. */
  leaveStdinOpen: boolean;
  /** Called with conmon's lifeline once it runs, before the container's process does. */
  onConmon: () => void;
}

/** Costs one process here: conmon forks, runs `crun create`, and stays. Rejects with reason "StartError". */
export async function launch(request: LaunchRequest): Promise<StartedRecord> {
  const { machine, folder, clock } = request;
  makeFifo(folder.lifeline, 0o600);
  // Opened for reading too, or opening for writing would wait; closed when conmon has its copy and we read for real.
  const lifeline = openSync(folder.lifeline, constants.O_RDWR);
  let conmon: ReturnType<typeof spawnProcess>;
  try {
    const writer = openSync(folder.lifeline, constants.O_WRONLY);
    try {
      const { file, args } = machine.command("conmon", conmonArguments(request));
      conmon = spawnProcess({
        file,
        args,
        env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin", _OCI_SYNCPIPE: "3", XDG_RUNTIME_DIR: "" },
        // conmon marks a container that ran out of memory by a file where it works.
        cwd: folder.path,
        fds: { 2: "pipe-out", 3: "pipe-out", 4: writer },
        newSession: true,
        becomesDaemon: true,
      });
    } finally {
      closeSync(writer);
    }
    request.onConmon();
  } finally {
    closeSync(lifeline);
  }
  const complaints = text(conmon.readers[2]!).catch(() => "");
  const answer = await soon(request, firstLine(conmon.readers[3]!));
  conmon.readers[3]!.destroy();
  if (answer === undefined) {
    conmon.readers[2]!.destroy();
    killAllNaming(folder.id);
    throw new RuntimeError("StartError", "context deadline exceeded: the container runtime did not answer");
  }
  const report = parseReport(answer);
  if (!report || report.pid < 0) {
    const why = report?.message || (await complaints) || "conmon ended without a word";
    throw new RuntimeError("StartError", startFailure(why));
  }
  conmon.readers[2]!.destroy();
  await letGo(request, report.pid);
  const record = { pid: report.pid, startTicks: startTicks(report.pid) ?? "", startedAtMs: clock.now() };
  writeRecord(folder.started, record);
  return record;
}

function conmonArguments(request: LaunchRequest): string[] {
  const { machine, folder } = request;
  const args = [
    ...["--cid", folder.id, "--cuuid", folder.id, "--name", folder.id],
    ...["--bundle", folder.path, "--runtime", machine.runtimeProgram, "--runtime-arg", `--root=${request.runtimeRoot}`],
    ...["--container-pidfile", folder.pidFile, "--conmon-pidfile", folder.conmonPidFile],
    ...["--exit-dir", folder.path, "--socket-dir-path", folder.path],
    ...["--log-path", `k8s-file:${request.logPath}`],
  ];
  if (request.terminal) args.push("--terminal");
  if (request.stdin) args.push("--stdin");
  if (request.stdin && request.leaveStdinOpen) args.push("--leave-stdin-open");
  // A log that survives the machine's crash is not worth a disk flush per container.
  for (const flag of ["--full-attach", "--no-sync-log"]) if (machine.conmonHas(flag)) args.push(flag);
  return args;
}

/** Undefined when it took so long that it will not come. */
async function soon<T>({ clock, machine }: LaunchRequest, answer: Promise<T>): Promise<T | undefined> {
  let timer: Disposable | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = clock.setTimer(machine.startTimeoutMs, () => resolve(undefined), { background: true });
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    timer?.[Symbol.dispose]();
  }
}

/** conmon and the runtime have the container's id among their arguments, and nobody else has. */
function killAllNaming(id: string): void {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(id)) process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has just ended.
    }
  }
}

/** A daemon keeps its descriptors, so the end of the stream cannot be waited for. */
function firstLine(stream: Readable): Promise<string> {
  return new Promise((resolve) => {
    let received = "";
    stream.setEncoding("utf8");
    stream.on("data", (chunk: string) => {
      received += chunk;
      if (received.includes("\n")) resolve(received);
    });
    stream.once("end", () => resolve(received));
    stream.once("error", () => resolve(received));
  });
}

function parseReport(line: string): { pid: number; message?: string } | undefined {
  try {
    const report = JSON.parse(line) as { pid?: number; data?: number; message?: string };
    const pid = report.pid ?? report.data;
    return pid === undefined ? undefined : { pid, message: report.message };
  } catch {
    return undefined;
  }
}

/**
 * What `crun start` would do, without the process: the created container waits on a FIFO. crun's reads a byte from it,
 * runc's writes one.
 */
async function letGo({ machine, runtimeRoot, folder, clock }: LaunchRequest, pid: number): Promise<void> {
  const fifo = join(runtimeRoot, folder.id, "exec.fifo");
  const isReader = machine.kind === "crun";
  let fd: number | undefined;
  try {
    for (const waitMs of [0, 1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]) {
      if (waitMs > 0) await sleep(clock, waitMs);
      // Looked at first: a short command may have gone on and ended by the time its byte is read.
      const isAlive = startTicks(pid) !== undefined;
      try {
        fd ??= openSync(fifo, (isReader ? constants.O_WRONLY : constants.O_RDONLY) | constants.O_NONBLOCK);
        if ((isReader ? writeSync(fd, "0") : readSync(fd, Buffer.alloc(1))) === 1) {
          unlinkSync(fifo);
          return;
        }
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "ENOENT") return; // Let go already.
        if (code !== "ENXIO" && code !== "EAGAIN") throw error;
        // It has not opened its end yet.
      }
      if (!isAlive) break;
    }
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
  throw new RuntimeError("StartError", "the container's process did not wait to be started");
}

/** The runtime's complaint in the words that users of containerd know. */
export function startFailure(complaint: string): string {
  // crun begins with the time; runc writes log lines whose `msg` is a quoted string.
  const quoted = /msg=("(?:[^"\\]|\\.)*")/.exec(complaint)?.[1];
  const text = (quoted ? (JSON.parse(quoted) as string).replace(/^runc create failed: /, "") : complaint)
    .trim()
    .replace(/^\d{4}-\d\d-\d\dT\S+ /, "");
  if (text.startsWith("unable to start container process")) return `OCI runtime create failed: ${text}: unknown`;
  const notFound = /executable file [`"']?([^`"']+)[`"']? not found(?: in \$PATH)?/.exec(text);
  const missing = notFound?.[1] ?? /open executable[: ]+.*?[`"']?(\/[^`"':]+)/.exec(text)?.[1];
  const because = (what: string) => `OCI runtime create failed: ${what}: unknown`;
  if (missing?.startsWith("/")) {
    return because(`unable to start container process: exec: "${missing}": stat ${missing}: no such file or directory`);
  }
  if (missing)
    return because(`unable to start container process: exec: "${missing}": executable file not found in $PATH`);
  return because(text.replace(/\s+/g, " "));
}
