/**
 * The built-in container runtime: crun (or runc) makes containers, conmon keeps them, this class keeps the books.
 * Its upstream counterpart is containerd with its CRI plugin and shims.
 *
 * A container costs two processes that stay: its own and its conmon. A sandbox costs none: files hold its namespaces.
 */
import { constants, existsSync, lstatSync, openSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { cp, rm } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { type Clock, sleep } from "../../../base/clock.ts";
import type { Logger } from "../../../base/logger.ts";
import { connectIn } from "../../../base/node/netns.ts";
import type { Random } from "../../../base/random.ts";
import type { ImageConfig, ImageService } from "../../images/image-service.ts";
import {
  type AttachRequest,
  type ContainerConfig,
  type ContainerId,
  type ContainerRuntime,
  type ContainerState,
  type ContainerStats,
  type ContainerStatus,
  type ExecRequest,
  type ExecSyncOptions,
  type ExecSyncResult,
  isRuntimeError,
  type Resources,
  RuntimeError,
  type RuntimeVersion,
  type SandboxConfig,
  type SandboxId,
  type SandboxStatus,
  type StopOptions,
} from "../container-runtime.ts";
import { attach, reopenLog } from "./attach.ts";
import { processArgs } from "./bundle.ts";
import { ContainerBundles, volumeMounts } from "./container-bundle.ts";
import { type ExecTarget, exec, execSync } from "./exec.ts";
import {
  ContainerFolder,
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
import { unmount } from "./linux.ts";
import type { OciMachine } from "./machine.ts";
import { signalNumber, signalProcess, startTicks } from "./processes.ts";
import { mountRootfs } from "./rootfs.ts";
import { Sandboxes, sandboxStatus } from "./sandboxes.ts";

export interface OciRuntimeOptions {
  /** This node's folder, inside the machine's. */
  folder: string;
  machine: OciMachine;
  images: Pick<ImageService, "rootfs" | "hold" | "release">;
  clock: Clock;
  random: Random;
  logger: Logger;
}

interface Container {
  record: ContainerRecord;
  folder: ContainerFolder;
  state: ContainerState;
  started: StartedRecord | undefined;
  /** Open while conmon lives. */
  lifeline: Socket | undefined;
  exited: Promise<ContainerStatus>;
  resolveExited: (status: ContainerStatus) => void;
  /** Settles when the start that is under way has succeeded or failed. */
  starting: Promise<void> | undefined;
  wasAttached: boolean;
  /** How many calls wait for the exit. */
  waiting: number;
}

export class OciRuntime implements ContainerRuntime {
  readonly name = "pinnace";
  readonly #options: OciRuntimeOptions;
  readonly #sandboxes: Sandboxes;
  readonly #bundles: ContainerBundles;
  readonly #containers = new Map<ContainerId, Container>();
  readonly #exitListeners = new Set<(status: ContainerStatus) => void>();
  #isClosed = false;

  constructor(options: OciRuntimeOptions) {
    this.#options = options;
    const { machine, clock } = options;
    this.#sandboxes = new Sandboxes({ machine, clock, run: () => this.#run });
    this.#bundles = new ContainerBundles(machine);
  }

  async open(): Promise<void> {
    await this.#machine.open();
    for (const folder of [join(this.#run, "containers"), this.#runtimeRoot, this.#disk]) makeFolder(folder);
    await this.#sandboxes.adopt();
    await this.#adoptContainers();
    await this.#removeOrphanedLayers();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const container of this.#containers.values()) container.lifeline?.destroy();
    this.#exitListeners.clear();
  }

  async version(): Promise<RuntimeVersion> {
    return { name: this.#machine.kind, version: this.#machine.version };
  }

  // Sandboxes

  async createSandbox(config: SandboxConfig): Promise<SandboxId> {
    const id = this.#newId() as SandboxId;
    await this.#sandboxes.create(id, config);
    return id;
  }

  async stopSandbox(id: SandboxId): Promise<void> {
    const sandbox = this.#sandboxes.find(id);
    if (!sandbox) return;
    await Promise.all(this.#containersOf(id).map((each) => this.#stop(each, { gracePeriodSeconds: 0 })));
    this.#sandboxes.markStopped(sandbox);
  }

  async removeSandbox(id: SandboxId): Promise<void> {
    const sandbox = this.#sandboxes.find(id);
    if (!sandbox) return;
    await this.stopSandbox(id);
    await Promise.all(this.#containersOf(id).map((each) => this.removeContainer(each.record.id)));
    await this.#sandboxes.remove(sandbox);
  }

  sandboxStatus(id: SandboxId): SandboxStatus | undefined {
    const sandbox = this.#sandboxes.find(id);
    return sandbox && sandboxStatus(sandbox);
  }

  listSandboxes(): SandboxStatus[] {
    return this.#sandboxes.list();
  }

  // Containers

  async createContainer(sandboxId: SandboxId, config: ContainerConfig): Promise<ContainerId> {
    const sandbox = this.#sandboxes.get(sandboxId);
    if (sandbox.record.isStopped) throw new RuntimeError("FailedPrecondition", `sandbox ${sandboxId} is stopped`);
    const image = await this.#options.images.rootfs(config.imageId);
    const id = this.#newId() as ContainerId;
    const folder = new ContainerFolder(this.#run, this.#disk, id);
    const draft = {
      id,
      sandbox: sandboxId,
      config,
      createdAtMs: this.#options.clock.now(),
      imageReference: image.reference,
      stopSignal: config.stopSignal ?? image.config.stopSignal,
      cgroupPath: `${sandbox.record.config.cgroupParent}/${id}`,
    };
    if (draft.stopSignal) signalNumber(draft.stopSignal);
    processArgs(config, image.config);
    makeFolder(folder.path);
    let record: ContainerRecord;
    try {
      const bundle = this.#bundles.compile({ sandbox, config, folder, image, cgroupPath: draft.cgroupPath });
      const mountPoints = this.#bundles.mountPoints(
        join(this.#run, "mount-points"),
        bundle,
        config.imageId,
        image.layers,
      );
      record = { ...draft, mountPoints };
      writeFileSync(folder.config, JSON.stringify(bundle));
      writeRecord(folder.record, record);
    } catch (error) {
      rmSync(folder.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 5 });
      throw error;
    }
    this.#options.images.hold(config.imageId, id);
    this.#containers.set(id, newContainer(record, folder, { kind: "created" }));
    return id;
  }

  async startContainer(id: ContainerId): Promise<void> {
    const container = this.#container(id);
    if (container.state.kind !== "created" || container.starting) {
      throw new RuntimeError("FailedPrecondition", `container ${id} was started before`);
    }
    const starting = this.#startOrFail(container);
    container.starting = starting.catch(() => {});
    await starting;
  }

  async #startOrFail(container: Container): Promise<void> {
    try {
      await this.#machine.starts.run(() => this.#start(container));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      await this.#takeDownProcess(container);
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
    const root = mountRootfs({
      layers: [...layers, record.mountPoints],
      upper: folder.upper,
      work: folder.work,
      merged: folder.rootfs,
    });
    try {
      await this.#fillVolumes(folder, image, config);
      const started = await launch({
        machine: this.#machine,
        clock: this.#options.clock,
        folder,
        runtimeRoot: this.#runtimeRoot,
        logPath: logPath(container),
        terminal: config.tty ?? false,
        stdin: config.stdin ?? false,
        leaveStdinOpen: !config.stdinOnce,
        onConmon: () => this.#watchConmon(container),
      });
      container.started = started;
      container.state = { kind: "running", pid: started.pid, startedAtMs: started.startedAtMs };
    } finally {
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

  async stopContainer(id: ContainerId, options: StopOptions): Promise<void> {
    await this.#stop(this.#container(id), options);
  }

  async #stop(container: Container, options: StopOptions): Promise<void> {
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
        await Promise.race([this.#exitOf(container), grace]);
      } finally {
        options.abort?.removeEventListener("abort", stopWaiting);
        over.abort();
      }
      options.abort?.throwIfAborted();
      if (!isRunning(container)) return;
    }
    this.#kill(container);
    await this.#exitOf(container);
  }

  /** Whoever waits for an exit keeps this process alive for it; a container by itself does not. */
  async #exitOf(container: Container): Promise<ContainerStatus> {
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

  async removeContainer(id: ContainerId): Promise<void> {
    const container = this.#containers.get(id);
    if (!container) return;
    await this.#stop(container, { gracePeriodSeconds: 0 });
    await this.#takeDownProcess(container);
    await rm(container.folder.disk, { recursive: true, force: true });
    await rm(container.folder.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 5 });
    this.#options.images.release(container.record.config.imageId, id);
    this.#containers.delete(id);
  }

  /** Everything of a container but its folder and record. */
  async #takeDownProcess(container: Container): Promise<void> {
    container.lifeline?.destroy();
    container.lifeline = undefined;
    const { record, folder } = container;
    this.#machine.cgroups.kill(record.cgroupPath);
    await this.#machine.cgroups.remove(record.cgroupPath);
    unmount(folder.rootfs);
    rmSync(join(this.#runtimeRoot, record.id), { recursive: true, force: true, maxRetries: 5, retryDelay: 5 });
  }

  containerStatus(id: ContainerId): ContainerStatus | undefined {
    const container = this.#containers.get(id);
    return container && this.#status(container);
  }

  listContainers(filter: { sandbox?: SandboxId; podUid?: string } = {}): ContainerStatus[] {
    return [...this.#containers.values()]
      .map((each) => this.#status(each))
      .filter(
        (status) =>
          (!filter.sandbox || status.sandbox === filter.sandbox) && (!filter.podUid || status.podUid === filter.podUid),
      );
  }

  async waitForExit(id: ContainerId, signal?: AbortSignal): Promise<ContainerStatus> {
    const exited = this.#exitOf(this.#container(id));
    if (!signal) return exited;
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      void exited.then((status) => {
        signal.removeEventListener("abort", onAbort);
        resolve(status);
      });
    });
  }

  async updateResources(id: ContainerId, resources: Resources): Promise<void> {
    const { record } = this.#running(id);
    this.#machine.cgroups.update(record.cgroupPath, resources);
  }

  async containerStats(id: ContainerId): Promise<ContainerStats | undefined> {
    const container = this.#container(id);
    return container.state.kind === "running" ? this.#machine.cgroups.stats(container.record.cgroupPath) : undefined;
  }

  async sandboxStats(id: SandboxId): Promise<ContainerStats | undefined> {
    return this.#machine.cgroups.stats(this.#sandboxes.get(id).record.config.cgroupParent);
  }

  async reopenLog(id: ContainerId): Promise<void> {
    reopenLog(this.#running(id).folder);
  }

  onContainerExit(listener: (status: ContainerStatus) => void): Disposable {
    this.#exitListeners.add(listener);
    return { [Symbol.dispose]: () => this.#exitListeners.delete(listener) };
  }

  // Streams

  async execSync(id: ContainerId, command: readonly string[], options: ExecSyncOptions): Promise<ExecSyncResult> {
    return execSync(this.#execTarget(id), command, options);
  }

  async exec(id: ContainerId, request: ExecRequest): Promise<number> {
    return exec(this.#execTarget(id), request);
  }

  async attach(id: ContainerId, request: AttachRequest): Promise<void> {
    const container = this.#container(id);
    const { config } = container.record;
    const fromStart = (request.fromStart ?? false) && (config.stdinOnce ?? false) && !container.wasAttached;
    // The one client of a short command gets all of its output, though the command may be over before the client is there.
    if (!(fromStart && container.state.kind === "exited")) this.#running(id);
    container.wasAttached = true;
    await attach(
      {
        clock: this.#options.clock,
        folder: container.folder,
        logPath: logPath(container),
        stdin: config.stdin ?? false,
        tty: config.tty ?? false,
        exited: this.#exitOf(container),
      },
      { ...request, fromStart },
    );
  }

  async connectToPort(id: SandboxId, port: number, signal?: AbortSignal): Promise<Duplex> {
    const { config } = this.#sandboxes.get(id).record;
    const path = config.networkNamespacePath ?? "/proc/self/ns/net";
    try {
      return await connected(connectIn(path, "127.0.0.1", port), signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ECONNREFUSED") throw error;
      // As upstream: what listens on IPv6's localhost only is reached too.
      return connected(connectIn(path, "::1", port), signal).catch(() => {
        throw error;
      });
    }
  }

  #execTarget(id: ContainerId): ExecTarget {
    const { folder } = this.#running(id);
    return {
      machine: this.#machine,
      clock: this.#options.clock,
      runtimeRoot: this.#runtimeRoot,
      id,
      folder: folder.path,
    };
  }

  // The end of containers

  /** conmon holds a FIFO open as long as it lives, and it ends after the container has, with the log complete. */
  #watchConmon(container: Container): void {
    const fd = openSync(container.folder.lifeline, constants.O_RDONLY | constants.O_NONBLOCK);
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
    const status = this.#status(container);
    container.resolveExited(status);
    for (const listener of [...this.#exitListeners]) listener(status);
  }

  // Adoption

  async #adoptContainers(): Promise<void> {
    for (const id of readdirSync(join(this.#run, "containers"))) {
      const folder = new ContainerFolder(this.#run, this.#disk, id);
      const record = readRecord<ContainerRecord>(folder.record);
      if (record) await this.#adoptContainer(record, folder);
      else await rm(folder.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 5 });
    }
  }

  /** What containers wrote before the machine was restarted. */
  async #removeOrphanedLayers(): Promise<void> {
    for (const id of readdirSync(this.#disk)) {
      if (!this.#containers.has(id as ContainerId)) await rm(join(this.#disk, id), { recursive: true, force: true });
    }
  }

  async #adoptContainer(record: ContainerRecord, folder: ContainerFolder): Promise<void> {
    const container = newContainer(record, folder, { kind: "created" });
    this.#containers.set(record.id, container);
    this.#options.images.hold(record.config.imageId, record.id);
    const exit = readRecord<ExitRecord>(folder.exited);
    if (exit) {
      container.state = exit;
      container.resolveExited(this.#status(container));
      return;
    }
    container.started = readRecord<StartedRecord>(folder.started) ?? this.#interruptedStart(record, folder);
    if (!container.started) {
      if (existsSync(folder.lifeline)) await this.#undoStart(container);
      return;
    }
    container.state = { kind: "running", pid: container.started.pid, startedAtMs: container.started.startedAtMs };
    // Without a conmon the FIFO is at its end at once, and the exit file tells the rest.
    this.#watchConmon(container);
    if (!isConmonAlive(folder)) {
      container.lifeline?.destroy();
      await this.#conmonEnded(container);
    }
  }

  /** The server died before the container's process ran: it is as good as only created. */
  async #undoStart(container: Container): Promise<void> {
    const { folder } = container;
    await this.#takeDownProcess(container);
    for (let waitMs = 1; isConmonAlive(folder) && waitMs < 1000; waitMs *= 2) await sleep(this.#options.clock, waitMs);
    for (const file of [folder.exitFile, folder.pidFile, folder.conmonPidFile, folder.lifeline])
      rmSync(file, { force: true });
  }

  /** The server died between letting the container's process go and writing that down. */
  #interruptedStart(record: ContainerRecord, folder: ContainerFolder): StartedRecord | undefined {
    const pid = Number(readText(folder.pidFile));
    if (!pid || existsSync(join(this.#runtimeRoot, record.id, "exec.fifo"))) return undefined;
    const started = {
      pid,
      startTicks: startTicks(pid) ?? "",
      startedAtMs: modifiedAtMs(folder.pidFile) ?? record.createdAtMs,
    };
    writeRecord(folder.started, started);
    return started;
  }

  // Lookups

  get #machine(): OciMachine {
    return this.#options.machine;
  }

  get #run(): string {
    return this.#machine.runFolder(this.#options.folder);
  }

  get #disk(): string {
    return join(this.#options.folder, "writable");
  }

  get #runtimeRoot(): string {
    return join(this.#run, "runtime");
  }

  #newId(): string {
    const { random } = this.#options;
    return Array.from({ length: 16 }, () => random.int(65_536).toString(16).padStart(4, "0")).join("");
  }

  #container(id: ContainerId): Container {
    const container = this.#containers.get(id);
    if (!container) throw new RuntimeError("NotFound", `container "${id}" not found`);
    return container;
  }

  #running(id: ContainerId): Container {
    const container = this.#container(id);
    if (!isRunning(container)) {
      throw new RuntimeError("FailedPrecondition", `container ${id} is not running: it is ${container.state.kind}`);
    }
    return container;
  }

  #containersOf(id: SandboxId): Container[] {
    return [...this.#containers.values()].filter((each) => each.record.sandbox === id);
  }

  #status({ record, state }: Container): ContainerStatus {
    const podUid = this.#sandboxes.find(record.sandbox)?.record.config.pod.uid ?? "";
    return {
      id: record.id,
      sandbox: record.sandbox,
      podUid,
      config: record.config,
      imageId: record.imageReference,
      createdAtMs: record.createdAtMs,
      state,
    };
  }
}

const startErrorCode = 128;
function newContainer(record: ContainerRecord, folder: ContainerFolder, state: ContainerState): Container {
  const { promise, resolve } = deferred<ContainerStatus>();
  return {
    record,
    folder,
    state,
    started: undefined,
    lifeline: undefined,
    exited: promise,
    resolveExited: resolve,
    starting: undefined,
    wasAttached: false,
    waiting: 0,
  };
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function isRunning(container: Container): boolean {
  return container.state.kind === "running";
}

function logPath(container: Container): string {
  return container.record.config.logPath ?? container.folder.ownLog;
}

function isConmonAlive(folder: ContainerFolder): boolean {
  const pid = Number(readText(folder.conmonPidFile));
  // The FIFO is the real sign; this only spares it where the machine was restarted and the number means another process.
  return pid > 0 && (readText(`/proc/${pid}/cmdline`) ?? "").includes(folder.id);
}

function connected(socket: Socket, signal?: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const onAbort = () => socket.destroy(signal?.reason as Error);
    signal?.addEventListener("abort", onAbort, { once: true });
    socket.once("error", reject);
    socket.once("connect", () => {
      signal?.removeEventListener("abort", onAbort);
      socket.removeListener("error", reject);
      resolve(socket);
    });
  });
}
