/** Containers from start to end: mounts their roots, launches them, sees them exit, stops them, and takes them on after a restart. */
import { constants, existsSync, lstatSync, openSync, readSync, rmSync } from "node:fs";
import { cp } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { type Clock, sleep } from "../../../base/clock.ts";
import type { ImageConfig, ImageService } from "../../images/image-service.ts";
import {
  type ContainerConfig,
  type ContainerStatus,
  isRuntimeError,
  RuntimeError,
  type StopOptions,
} from "../container-runtime.ts";
import { type Container, isConmonAlive, isRunning, logPath } from "./container-book.ts";
import { bindMounts, shiftedPlace, volumeMounts } from "./container-bundle.ts";
import {
  type ContainerFolder,
  type ContainerRecord,
  type ExitRecord,
  makeFolder,
  modifiedAtMs,
  readRecord,
  readText,
  type StartedRecord,
  writeRecord,
} from "./folders.ts";
import { launch } from "./launch.ts";
import { mount, msBind, msRecursive, unmount } from "./linux.ts";
import type { OciMachine } from "./machine.ts";
import { signalNumber, signalProcess, startTicks } from "./processes.ts";
import { mountLayersShifted, mountRootfs } from "./rootfs.ts";
import { mountShifted, removePlaces } from "./user-namespaces.ts";

export interface ContainerLivesOptions {
  machine: OciMachine;
  images: Pick<ImageService, "rootfs">;
  clock: Clock;
  /** The OCI runtime's own state. Known once the machine is open. */
  runtimeRoot: () => string;
  /** Undefined: the container's users are the machine's. */
  userNamespace(container: Container): { file: string; first: number } | undefined;
  status(container: Container): ContainerStatus;
  onExit(status: ContainerStatus): void;
}

/** The exit code of a container that never ran. */
const startErrorCode = 128;

export class ContainerLives {
  readonly #options: ContainerLivesOptions;
  #isClosed = false;

  constructor(options: ContainerLivesOptions) {
    this.#options = options;
  }

  /** Exits are not reported any more. */
  close(): void {
    this.#isClosed = true;
  }

  get #machine(): OciMachine {
    return this.#options.machine;
  }

  async startOrFail(container: Container): Promise<void> {
    try {
      await this.#machine.starts.run(() => this.#start(container));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      await this.takeDownProcess(container);
      this.#setExited(container, {
        kind: "exited",
        exitCode: startErrorCode,
        reason: "StartError",
        message,
        startedAtMs: 0,
        finishedAtMs: this.#options.clock.now(),
      });
      throw isRuntimeError(error) ? error : new RuntimeError("StartError", message, { cause: error });
    }
  }

  async #start(container: Container): Promise<void> {
    const { folder, record } = container;
    const { config } = record;
    const { layers, config: image } = await this.#options.images.rootfs(config.imageId);
    const users = this.#options.userNamespace(container);
    const hasPlaces = users !== undefined || existsSync(folder.shifted);
    const root = mountRootfs({
      layers: [...layers, record.mountPoints],
      ...(users ? { users: { ...users, shifted: folder.shifted } } : {}),
      upper: folder.upper,
      work: folder.work,
      merged: folder.rootfs,
    });
    try {
      await this.#fillVolumes(folder, image, config);
      if (hasPlaces) {
        for (const [i, { hostPath, layers }] of bindMounts(image, config, folder).entries()) {
          const place = shiftedPlace(folder, i);
          if (users && layers) mountLayersShifted(layers, place, users.file);
          else if (users) mountShifted(hostPath, place, users.file);
          else if (existsSync(place)) mount({ source: hostPath, target: place, flags: msBind | msRecursive });
        }
      }
      const started = await launch({
        machine: this.#machine,
        clock: this.#options.clock,
        folder,
        runtimeRoot: this.#options.runtimeRoot(),
        logPath: logPath(container),
        terminal: config.tty ?? false,
        stdin: config.stdin ?? false,
        leaveStdinOpen: !config.stdinOnce,
        onConmon: () => this.#watchConmon(container),
      });
      container.started = started;
      container.state = { kind: "running", pid: started.pid, startedAtMs: started.startedAtMs };
    } finally {
      if (hasPlaces) removePlaces(folder.shifted);
      // The container has its root; nobody else needs to see it. With propagated mounts the two are tied together.
      if (!config.mounts?.some((each) => each.propagation && each.propagation !== "None")) root[Symbol.dispose]();
    }
    // conmon may have ended while we were getting here.
    if (container.lifeline?.destroyed) await this.#conmonEnded(container);
  }

  /** A volume of the image begins with what the image has there. */
  async #fillVolumes(folder: ContainerFolder, image: ImageConfig, config: ContainerConfig): Promise<void> {
    for (const { hostPath, containerPath } of volumeMounts(image, config, folder)) {
      makeFolder(hostPath);
      const source = join(folder.rootfs, containerPath);
      if (!lstatSync(source, { throwIfNoEntry: false })?.isDirectory()) continue;
      await cp(source, hostPath, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    }
  }

  async stop(container: Container, options: StopOptions): Promise<void> {
    // What is being started is stopped when it has started.
    await container.starting;
    if (container.state.kind !== "running" || !container.started) return;
    const { started, record } = container;
    options.abort?.throwIfAborted();
    if (options.gracePeriodSeconds > 0) {
      signalProcess(started, signalNumber(options.signal ?? record.stopSignal ?? "SIGTERM"));
      const over = new AbortController();
      const stopWaiting = () => over.abort(options.abort?.reason);
      options.abort?.addEventListener("abort", stopWaiting, { once: true });
      const grace = sleep(this.#options.clock, options.gracePeriodSeconds * 1000, over.signal).catch(() => {});
      try {
        await Promise.race([this.exitOf(container), grace]);
      } finally {
        options.abort?.removeEventListener("abort", stopWaiting);
        over.abort();
      }
      options.abort?.throwIfAborted();
      if (!isRunning(container)) return;
    }
    this.#kill(container);
    await this.exitOf(container);
  }

  /** Whoever waits for an exit keeps this process alive for it; a container by itself does not. */
  async exitOf(container: Container): Promise<ContainerStatus> {
    container.waiting++;
    container.lifeline?.ref();
    try {
      return await container.exited;
    } finally {
      if (--container.waiting === 0) container.lifeline?.unref();
    }
  }

  #kill(container: Container): void {
    // The group as well as the process: in a shared PID namespace the others do not die with the first.
    if (container.started) signalProcess(container.started, 9);
    this.#machine.cgroups.kill(container.record.cgroupPath);
  }

  /** Everything of a container but its folder and record. */
  async takeDownProcess(container: Container): Promise<void> {
    container.lifeline?.destroy();
    container.lifeline = undefined;
    const { record, folder } = container;
    this.#machine.cgroups.kill(record.cgroupPath);
    await this.#machine.cgroups.remove(record.cgroupPath);
    unmount(folder.rootfs);
    removePlaces(folder.shifted);
    rmSync(join(this.#options.runtimeRoot(), record.id), {
      recursive: true,
      force: true,
      maxRetries: 5,
      retryDelay: 5,
    });
  }

  /**
   * conmon holds a FIFO open as long as it lives, and it ends after the container has, with the log complete. False when it
   * has let go by now: the kernel tells nobody of an end that came before the FIFO was opened here.
   */
  #watchConmon(container: Container): boolean {
    const fd = openSync(container.folder.lifeline, constants.O_RDONLY | constants.O_NONBLOCK);
    const isHeld = hasWriter(fd);
    const lifeline = new Socket({ fd, readable: true, writable: false });
    container.lifeline = lifeline;
    const onEnd = () => {
      lifeline.destroy();
      // While it starts, the start itself finds out.
      if (container.started && container.lifeline === lifeline && !this.#isClosed) void this.#conmonEnded(container);
    };
    lifeline.once("end", onEnd);
    lifeline.once("error", onEnd);
    lifeline.resume();
    lifeline.unref();
    return isHeld;
  }

  async #conmonEnded(container: Container): Promise<void> {
    const { folder, record } = container;
    // conmon lets go of the FIFO an instant before it writes the exit file, which is the last that it does.
    for (let waitMs = 1; !existsSync(folder.exitFile) && isConmonAlive(folder) && waitMs < 1000; waitMs *= 2) {
      await sleep(this.#options.clock, waitMs);
    }
    if (container.state.kind === "exited") return;
    const startedAtMs = container.started?.startedAtMs ?? 0;
    const oomKilled = this.#machine.cgroups.oomKills(record.cgroupPath) > 0;
    const code = readText(folder.exitFile);
    if (code === undefined || code === "") {
      // conmon was killed. Nobody reads the container's output or learns its exit code now: as with a dead shim, it ends too.
      this.#kill(container);
      const { started } = container;
      for (let waitMs = 1; started && startTicks(started.pid) === started.startTicks && waitMs < 1000; waitMs *= 2) {
        await sleep(this.#options.clock, waitMs);
      }
      const message = "The container's monitor (conmon) ended unexpectedly, so that its exit code is unknown";
      const finishedAtMs = this.#options.clock.now();
      this.#setExited(container, {
        kind: "exited",
        exitCode: 137,
        reason: "ContainerStatusUnknown",
        message,
        startedAtMs,
        finishedAtMs,
      });
      return;
    }
    const exitCode = Number(code);
    this.#setExited(container, {
      kind: "exited",
      exitCode,
      reason: oomKilled ? "OOMKilled" : exitCode === 0 ? "Completed" : "Error",
      startedAtMs,
      finishedAtMs: modifiedAtMs(folder.exitFile) ?? this.#options.clock.now(),
    });
  }

  #setExited(container: Container, exit: ExitRecord): void {
    container.state = exit;
    writeRecord(container.folder.exited, exit);
    const status = this.#options.status(container);
    container.resolveExited(status);
    this.#options.onExit(status);
  }

  async adopt(container: Container): Promise<void> {
    const { record, folder } = container;
    const exit = readRecord<ExitRecord>(folder.exited);
    if (exit) {
      container.state = exit;
      container.resolveExited(this.#options.status(container));
      return;
    }
    container.started = readRecord<StartedRecord>(folder.started) ?? this.#interruptedStart(record, folder);
    if (!container.started) {
      if (existsSync(folder.lifeline)) await this.#undoStart(container);
      return;
    }
    container.state = { kind: "running", pid: container.started.pid, startedAtMs: container.started.startedAtMs };
    const isHeld = this.#watchConmon(container);
    if (!isHeld || !isConmonAlive(folder)) {
      // The exit file tells the rest.
      container.lifeline?.destroy();
      await this.#conmonEnded(container);
    }
  }

  /** The server died before the container's process ran: it is as good as only created. */
  async #undoStart(container: Container): Promise<void> {
    const { folder } = container;
    await this.takeDownProcess(container);
    for (let waitMs = 1; isConmonAlive(folder) && waitMs < 1000; waitMs *= 2) await sleep(this.#options.clock, waitMs);
    for (const file of [folder.exitFile, folder.pidFile, folder.conmonPidFile, folder.lifeline])
      rmSync(file, { force: true });
  }

  /** The server died between letting the container's process go and writing that down. */
  #interruptedStart(record: ContainerRecord, folder: ContainerFolder): StartedRecord | undefined {
    const pid = Number(readText(folder.pidFile));
    if (!pid || existsSync(join(this.#options.runtimeRoot(), record.id, "exec.fifo"))) return undefined;
    const started = {
      pid,
      startTicks: startTicks(pid) ?? "",
      startedAtMs: modifiedAtMs(folder.pidFile) ?? record.createdAtMs,
    };
    writeRecord(folder.started, started);
    return started;
  }
}

/** Nothing is ever written: reading finds the end, or that there may come more. */
function hasWriter(fifo: number): boolean {
  try {
    return readSync(fifo, Buffer.alloc(1)) > 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    return true;
  }
}
