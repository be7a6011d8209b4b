/**
 * The built-in container runtime: crun (or runc) makes containers, conmon keeps them, this class keeps the books.
 * Its upstream counterpart is containerd with its CRI plugin and shims.
 *
 * A container costs two processes that stay: its own and its conmon. A sandbox costs none: files hold its namespaces.
 */
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { Clock } from "../../../base/clock.ts";
import type { Logger } from "../../../base/logger.ts";
import { connectIn } from "../../../base/node/netns.ts";
import type { Random } from "../../../base/random.ts";
import type { ImageService } from "../../images/image-service.ts";
import { type DiskUsage, diskUsage } from "../../stats/disk-usage.ts";
import {
  type AttachRequest,
  type ContainerConfig,
  type ContainerId,
  type ContainerRuntime,
  type ContainerStats,
  type ContainerStatus,
  type ExecRequest,
  type ExecSyncOptions,
  type ExecSyncResult,
  type Resources,
  RuntimeError,
  type RuntimeFeatures,
  type RuntimeVersion,
  type SandboxConfig,
  type SandboxId,
  type SandboxStatus,
  type StopOptions,
} from "../container-runtime.ts";
import { attach, reopenLog } from "./attach.ts";
import { processArgs } from "./bundle.ts";
import { type Container, isRunning, logPath, newContainer } from "./container-book.ts";
import { ContainerBundles } from "./container-bundle.ts";
import { ContainerLives } from "./container-lives.ts";
import { type ExecTarget, exec, execSync } from "./exec.ts";
import { ContainerFolder, type ContainerRecord, makeFolder, readRecord, writeRecord } from "./folders.ts";
import type { OciMachine } from "./machine.ts";
import { signalNumber } from "./processes.ts";
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

export class OciRuntime implements ContainerRuntime {
  readonly name = "pinnace";
  readonly #options: OciRuntimeOptions;
  readonly #sandboxes: Sandboxes;
  readonly #bundles: ContainerBundles;
  readonly #containers = new Map<ContainerId, Container>();
  readonly #exitListeners = new Set<(status: ContainerStatus) => void>();
  readonly #runningCommands = new Set<() => void>();
  readonly #lives: ContainerLives;

  constructor(options: OciRuntimeOptions) {
    this.#options = options;
    const { machine, clock } = options;
    this.#sandboxes = new Sandboxes({ machine, clock, random: options.random, run: () => this.#run });
    this.#bundles = new ContainerBundles(machine);
    this.#lives = new ContainerLives({
      ...options,
      runtimeRoot: () => this.#runtimeRoot,
      userNamespace: ({ record }) => {
        const sandbox = this.#sandboxes.find(record.sandbox);
        const first = sandbox?.record.firstUser;
        return sandbox && first !== undefined ? { file: sandbox.folder.user, first } : undefined;
      },
      status: (container) => this.#status(container),
      onExit: (status) => {
        for (const listener of [...this.#exitListeners]) listener(status);
      },
    });
  }

  async open(): Promise<void> {
    await this.#machine.open();
    for (const folder of [join(this.#run, "containers"), this.#runtimeRoot, this.#disk]) makeFolder(folder);
    await this.#sandboxes.adopt();
    await this.#adoptContainers();
    await this.#removeOrphanedLayers();
  }

  async close(): Promise<void> {
    this.#lives.close();
    // Nobody is left to hear them, and a hook that sleeps for a minute would keep this process for as long.
    for (const kill of this.#runningCommands) kill();
    for (const container of this.#containers.values()) container.lifeline?.destroy();
    this.#exitListeners.clear();
  }

  get features(): RuntimeFeatures {
    const { kind, version } = this.#machine;
    return {
      recursiveReadOnlyMounts: true,
      userNamespaces: kind === "crun" || entersUsersLast(version),
      supplementalGroupsPolicy: true,
    };
  }

  async version(): Promise<RuntimeVersion> {
    return { name: this.#machine.kind, version: this.#machine.version };
  }

  // Sandboxes

  async createSandbox(config: SandboxConfig): Promise<SandboxId> {
    const { runtimeHandler } = config;
    if (runtimeHandler && runtimeHandler !== this.#machine.kind)
      throw new RuntimeError("InvalidArgument", `no runtime for ${JSON.stringify(runtimeHandler)} is configured`);
    const id = this.#newId() as SandboxId;
    await this.#sandboxes.create(id, config);
    return id;
  }

  async stopSandbox(id: SandboxId): Promise<void> {
    const sandbox = this.#sandboxes.find(id);
    if (!sandbox) return;
    await Promise.all(this.#containersOf(id).map((each) => this.#lives.stop(each, { gracePeriodSeconds: 0 })));
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
      const target = config.pidNamespaceOf && this.#running(config.pidNamespaceOf);
      const pidOf = target?.started?.pid;
      const bundle = this.#bundles.compile({ sandbox, pidOf, config, folder, image, cgroupPath: draft.cgroupPath });
      const mountPoints = this.#bundles.mountPoints(
        join(this.#run, "mount-points"),
        bundle,
        config.imageId,
        image.layers,
      );
      const { uid, gid, additionalGids } = bundle.process.user;
      record = {
        ...draft,
        mountPoints,
        user: { uid, gid, supplementalGroups: [...new Set([gid, ...additionalGids])] },
      };
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
    const starting = this.#lives.startOrFail(container);
    container.starting = starting.catch(() => {});
    await starting;
  }

  async stopContainer(id: ContainerId, options: StopOptions): Promise<void> {
    await this.#lives.stop(this.#container(id), options);
  }

  async removeContainer(id: ContainerId): Promise<void> {
    const container = this.#containers.get(id);
    if (!container) return;
    await this.#lives.stop(container, { gracePeriodSeconds: 0 });
    await this.#lives.takeDownProcess(container);
    await rm(container.folder.disk, { recursive: true, force: true });
    await rm(container.folder.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 5 });
    this.#options.images.release(container.record.config.imageId, id);
    this.#containers.delete(id);
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
    const exited = this.#lives.exitOf(this.#container(id));
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

  async updateSandboxResources(id: SandboxId, resources: Resources): Promise<void> {
    this.#machine.cgroups.update(this.#sandboxes.get(id).record.config.cgroupParent, resources);
  }

  limitGroup(path: string, resources: Resources): void {
    this.#machine.cgroups.create(path, resources);
  }

  async containerStats(id: ContainerId): Promise<ContainerStats | undefined> {
    const container = this.#container(id);
    return container.state.kind === "running" ? this.#machine.cgroups.stats(container.record.cgroupPath) : undefined;
  }

  async sandboxStats(id: SandboxId): Promise<ContainerStats | undefined> {
    return this.#machine.cgroups.stats(this.#sandboxes.get(id).record.config.cgroupParent);
  }

  async writableUsage(id: ContainerId): Promise<DiskUsage> {
    return diskUsage(this.#container(id).folder.disk);
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
        keepsStdinOpen: config.tty === true || config.stdinOnce !== true,
        exited: this.#lives.exitOf(container),
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
      running: this.#runningCommands,
    };
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

  async #adoptContainer(record: ContainerRecord, folder: ContainerFolder): Promise<void> {
    const container = newContainer(record, folder, { kind: "created" });
    this.#containers.set(record.id, container);
    this.#options.images.hold(record.config.imageId, record.id);
    await this.#lives.adopt(container);
  }

  /** What containers wrote before the machine was restarted. */
  async #removeOrphanedLayers(): Promise<void> {
    for (const id of readdirSync(this.#disk)) {
      if (!this.#containers.has(id as ContainerId)) await rm(join(this.#disk, id), { recursive: true, force: true });
    }
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
      ...(record.user ? { user: record.user } : {}),
      createdAtMs: record.createdAtMs,
      state,
    };
  }
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

/** Before 1.2 runc enters the user namespace first, and then may not enter the pod's network. */
export function entersUsersLast(runcVersion: string): boolean {
  const [major = 0, minor = 0] = runcVersion.split(".").map((part) => Number.parseInt(part, 10));
  return major > 1 || (major === 1 && minor >= 2);
}
