/**
 * Containers by a CRI runtime (containerd, CRI-O) on this machine. It keeps them; this class asks it, and remembers its
 * last answer of each, so that statuses are had at once. Its upstream counterpart is the kubelet's kuberuntime.
 */
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Clock, sleep } from "../../../base/clock.ts";
import type { Logger } from "../../../base/logger.ts";
import { connectIn } from "../../../base/node/netns.ts";
import { type GrpcChannel, GrpcError, grpcCode, isGrpcError } from "../../grpc/channel.ts";
import type { ImageService } from "../../images/image-service.ts";
import type { DiskUsage } from "../../stats/disk-usage.ts";
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
  type RuntimeErrorReason,
  type RuntimeFeatures,
  type RuntimeVersion,
  type SandboxConfig,
  type SandboxId,
  type SandboxStatus,
  type StopOptions,
} from "../container-runtime.ts";
import { Cgroups, parseCgroupMounts } from "../oci/cgroups.ts";
import { LogFollower } from "../oci/log-follower.ts";
import { signalNumber } from "../oci/processes.ts";
import { allocateUsers } from "../oci/user-namespaces.ts";
import { type CgroupDriver, cgroupNames, configuredDriver } from "./cgroup-names.ts";
import { cgroupDriver, cri, sandboxState } from "./cri-api.ts";
import {
  configOf,
  criContainer,
  criResources,
  criSandbox,
  featuresOf,
  milliseconds,
  pidOf,
  stateOf,
  type UserSandboxConfig,
  userOf,
  wasKilled,
} from "./cri-requests.ts";
import { type Dial, remoteCommand } from "./cri-streams.ts";
import { followExits } from "./exit-news.ts";

export interface CriRuntimeOptions {
  channel: GrpcChannel;
  images?: Pick<ImageService, "hold" | "release" | "status">;
  clock: Clock;
  logger: Logger;
  /** How the runtime's streaming server is reached, which listens on a loopback address of its own. Default: from here. */
  dial?: Dial;
}

interface Sandbox {
  status: SandboxStatus;
  /** Of the process that holds its namespaces. */
  pid: number;
}

interface Container {
  status: ContainerStatus;
  starting?: Promise<unknown>;
  wasAttached?: boolean;
  /** By this kubelet: the reason of its end is known. */
  wasStopped?: boolean;
  waiters: ((status: ContainerStatus) => void)[];
}

/** Runtimes answer these at once or never; stops and pulls take their time. */
const answerMs = 120_000;
/** As often as upstream's kubelet looks. */
const longestAskMs = 1000;
/** How often the reason of an end by SIGKILL is asked for again, ten times at most. */
const killReasonMs = 100;

export class CriRuntime implements ContainerRuntime {
  readonly makesNetworks = true;
  readonly #channel: GrpcChannel;
  readonly #images: CriRuntimeOptions["images"];
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #dial: Dial | undefined;
  readonly #sandboxes = new Map<SandboxId, Sandbox>();
  readonly #containers = new Map<ContainerId, Container>();
  readonly #exitListeners = new Set<(status: ContainerStatus) => void>();
  readonly #closing = new AbortController();
  #version: RuntimeVersion | undefined;
  #features: RuntimeFeatures = {
    recursiveReadOnlyMounts: false,
    userNamespaces: false,
    supplementalGroupsPolicy: false,
  };
  #cgroups: Cgroups | undefined;
  #driver: CgroupDriver = "cgroupfs";
  #names = cgroupNames("cgroupfs", "");

  constructor({ channel, images, clock, logger, dial }: CriRuntimeOptions) {
    this.#dial = dial;
    this.#channel = channel;
    this.#images = images;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** `containerd`, `cri-o`: as the runtime calls itself. */
  get name(): string {
    return this.#version?.name ?? "cri";
  }

  get features(): RuntimeFeatures {
    return this.#features;
  }

  /** Rejects with reason "Unavailable" when the socket is not served, and when the runtime is not ready for pods. */
  async open(signal?: AbortSignal): Promise<void> {
    const options = { timeoutMs: answerMs, ...(signal ? { signal } : {}) };
    const version = await this.#ask(this.#channel.call(cri.version, { version: "v1" }, options));
    this.#version = { name: version.runtime_name, version: version.runtime_version };
    this.#driver = await this.#cgroupDriver(options);
    this.#names = cgroupNames(this.#driver, version.runtime_name);
    this.#features = featuresOf(await this.#ask(this.#channel.call(cri.status, {}, options)));
    const mounts = parseCgroupMounts(readFileSync("/proc/self/mountinfo", "utf8"));
    this.#cgroups = mounts && new Cgroups(mounts, this.#clock);
    const listed = await this.#ask(this.#channel.call(cri.listPodSandbox, {}, options));
    await Promise.all(listed.items.map((item) => this.#adoptSandbox(item.id as SandboxId, item.annotations)));
    await this.#relist();
    void followExits({
      channel: this.#channel,
      clock: this.#clock,
      signal: this.#closing.signal,
      onChange: (id, hasEnded) => void this.#changed(id as ContainerId, hasEnded),
      onGap: () =>
        void this.#relist().catch((error: Error) =>
          this.#logger.warn("asking the container runtime for its containers failed", { error: error.message }),
        ),
    });
  }

  /** The kubelet follows the runtime. Older ones do not tell: then containerd's own configuration says it. */
  async #cgroupDriver(options: { timeoutMs: number; signal?: AbortSignal }): Promise<CgroupDriver> {
    try {
      const { linux } = await this.#channel.call(cri.runtimeConfig, {}, options);
      return linux?.cgroup_driver === cgroupDriver.systemd ? "systemd" : "cgroupfs";
    } catch (error) {
      if (!isGrpcError(error, grpcCode.unimplemented)) return this.#ask(Promise.reject(error));
      const { info = {} } = await this.#ask(this.#channel.call(cri.status, { verbose: true }, options));
      return configuredDriver(info["config"]);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new RuntimeError("Unavailable", "the connection to the container runtime is closed"));
    this.#exitListeners.clear();
    this.#channel.close();
  }

  async version(): Promise<RuntimeVersion> {
    if (!this.#version) throw new RuntimeError("Unavailable", "the container runtime was used before it was opened");
    return this.#version;
  }

  /** Tells the runtime which addresses are for the node's pods: some write their CNI configuration by it. */
  async setPodRange(podCIDR: string): Promise<void> {
    const runtime_config = { network_config: { pod_cidr: podCIDR } };
    await this.#ask(this.#channel.call(cri.updateRuntimeConfig, { runtime_config }, { timeoutMs: answerMs }));
  }

  // Sandboxes

  async createSandbox(asked: SandboxConfig): Promise<SandboxId> {
    const config = this.#withUsers(asked);
    const group = this.#names.pod(config.cgroupParent);
    // The runtime makes its groups in the pod's; the pod's own is the kubelet's to make and to limit. A slice is systemd's to make, when
    // the runtime asks for a scope in it: then it is only limited.
    if (this.#driver === "cgroupfs") this.#cgroups?.create(group, config.resources);
    try {
      const { pod_sandbox_id } = await this.#ask(
        this.#channel.call(
          cri.runPodSandbox,
          { config: criSandbox(config, group), runtime_handler: config.runtimeHandler ?? "" },
          { timeoutMs: answerMs },
        ),
      );
      const id = pod_sandbox_id as SandboxId;
      if (this.#driver === "systemd") this.#cgroups?.update(group, config.resources ?? {});
      await this.#learnSandbox(id, config);
      return id;
    } catch (error) {
      await this.#removePodCgroup(config);
      throw error;
    }
  }

  /** A user namespace has users of the machine that no other sandbox has. The pod's uid says which, so that nothing needs to be kept. */
  #withUsers(config: SandboxConfig): UserSandboxConfig {
    if (config.namespaces?.user !== "pod") return config;
    const taken = new Set(this.listSandboxes().map(({ config }) => (config as UserSandboxConfig).firstUser ?? 0));
    let draw = Number.parseInt(config.pod.uid.replaceAll("-", "").slice(0, 8), 16) || 0;
    return { ...config, firstUser: allocateUsers(taken, { int: (below) => draw++ % below }) };
  }

  async stopSandbox(id: SandboxId): Promise<void> {
    const sandbox = this.#sandboxes.get(id);
    if (!sandbox) return;
    const containers = this.#containersOf(id);
    await Promise.all(containers.map(({ starting }) => starting));
    await Promise.all(containers.map(({ status }) => this.#stop(status.id, 0)));
    await this.#ask(this.#channel.call(cri.stopPodSandbox, { pod_sandbox_id: id }, { timeoutMs: answerMs }));
    sandbox.status = { ...sandbox.status, state: "stopped" };
    await Promise.all(containers.map(({ status }) => this.#untilEnded(status.id)));
  }

  async removeSandbox(id: SandboxId): Promise<void> {
    const sandbox = this.#sandboxes.get(id);
    if (!sandbox) return;
    await this.stopSandbox(id);
    await Promise.all(this.#containersOf(id).map(({ status }) => this.removeContainer(status.id)));
    await this.#ask(this.#channel.call(cri.removePodSandbox, { pod_sandbox_id: id }, { timeoutMs: answerMs }));
    this.#sandboxes.delete(id);
    await this.#removePodCgroup(sandbox.status.config);
  }

  sandboxStatus(id: SandboxId): SandboxStatus | undefined {
    return this.#sandboxes.get(id)?.status;
  }

  listSandboxes(): SandboxStatus[] {
    return [...this.#sandboxes.values()].map(({ status }) => status);
  }

  // Containers

  async createContainer(sandboxId: SandboxId, config: ContainerConfig): Promise<ContainerId> {
    const { status: sandbox } = this.#sandbox(sandboxId);
    if (sandbox.state === "stopped") throw new RuntimeError("FailedPrecondition", `sandbox ${sandboxId} is stopped`);
    if (config.stopSignal) signalNumber(config.stopSignal);
    const asking = this.#channel.call(
      cri.createContainer,
      {
        pod_sandbox_id: sandboxId,
        config: criContainer(config, sandbox.config),
        sandbox_config: criSandbox(sandbox.config, this.#names.pod(sandbox.config.cgroupParent)),
      },
      { timeoutMs: answerMs },
    );
    const { container_id } = await this.#ask(asking).catch((error: Error) => {
      const user = config.security?.runAsUserName;
      if (user && /no users found|user.*not found/i.test(error.message))
        throw new RuntimeError("InvalidArgument", `unable to find user ${user}: ${error.message}`, { cause: error });
      throw error;
    });
    const id = container_id as ContainerId;
    await this.#learn(id, { sandbox: sandboxId, config });
    return id;
  }

  async startContainer(id: ContainerId): Promise<void> {
    const container = this.#container(id);
    if (container.status.state.kind !== "created" || container.starting) {
      throw new RuntimeError("FailedPrecondition", `container ${id} was started before`);
    }
    const starting = this.#start(id);
    container.starting = starting.catch(() => {});
    await starting;
  }

  async #start(id: ContainerId): Promise<void> {
    try {
      await this.#ask(this.#channel.call(cri.startContainer, { container_id: id }, { timeoutMs: answerMs }));
    } catch (error) {
      await this.#learn(id);
      const { state } = this.#container(id).status;
      if (state.kind !== "exited" || state.reason !== "StartError") throw error;
      throw new RuntimeError("StartError", (error as Error).message, { cause: error });
    }
    await this.#learn(id);
  }

  async stopContainer(id: ContainerId, options: StopOptions): Promise<void> {
    const container = this.#container(id);
    const { status } = container;
    if (status.state.kind === "exited") return;
    container.wasStopped = true;
    const signal = options.signal ?? status.config.stopSignal;
    const { abort } = options;
    if (!signal || status.state.kind !== "running" || options.gracePeriodSeconds === 0) {
      return this.#stop(id, options.gracePeriodSeconds, abort);
    }
    // CRI has no word for a signal in the versions that are about: the process is sent it as from a shell on the node.
    try {
      process.kill(status.state.pid, signalNumber(signal));
    } catch {
      // It has just ended.
    }
    const wait = AbortSignal.any([this.#closing.signal, ...(abort ? [abort] : [])]);
    await Promise.race([this.waitForExit(id, wait), sleep(this.#clock, options.gracePeriodSeconds * 1000, wait)]);
    await this.#stop(id, 0, abort);
  }

  async #stop(id: ContainerId, gracePeriodSeconds: number, abort?: AbortSignal): Promise<void> {
    const timeout = Math.ceil(gracePeriodSeconds);
    const options = { timeoutMs: timeout * 1000 + answerMs, ...(abort ? { signal: abort } : {}) };
    if (this.#containers.get(id)?.status.state.kind === "exited") return;
    try {
      await this.#ask(this.#channel.call(cri.stopContainer, { container_id: id, timeout }, options));
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.reason !== "NotFound") throw error;
    }
    await this.#untilEnded(id);
  }

  async removeContainer(id: ContainerId): Promise<void> {
    const container = this.#containers.get(id);
    if (!container) return;
    await container.starting;
    await this.#stop(id, 0);
    await this.#ask(this.#channel.call(cri.removeContainer, { container_id: id }, { timeoutMs: answerMs }));
    this.#containers.delete(id);
    this.#images?.release(container.status.config.imageId, id);
  }

  containerStatus(id: ContainerId): ContainerStatus | undefined {
    return this.#containers.get(id)?.status;
  }

  listContainers(filter: { sandbox?: SandboxId; podUid?: string } = {}): ContainerStatus[] {
    return [...this.#containers.values()]
      .map(({ status }) => status)
      .filter(
        (status) =>
          (!filter.sandbox || status.sandbox === filter.sandbox) && (!filter.podUid || status.podUid === filter.podUid),
      );
  }

  async waitForExit(id: ContainerId, signal?: AbortSignal): Promise<ContainerStatus> {
    const container = this.#container(id);
    if (container.status.state.kind === "exited") return container.status;
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        container.waiters = container.waiters.filter((each) => each !== onExit);
        reject(signal?.reason);
      };
      const onExit = (status: ContainerStatus) => {
        signal?.removeEventListener("abort", onAbort);
        resolve(status);
      };
      container.waiters.push(onExit);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  async updateResources(id: ContainerId, resources: Resources): Promise<void> {
    this.#running(id);
    const linux = criResources(resources);
    await this.#ask(
      this.#channel.call(cri.updateContainerResources, { container_id: id, linux }, { timeoutMs: answerMs }),
    );
  }

  async updateSandboxResources(id: SandboxId, resources: Resources): Promise<void> {
    this.#cgroups?.update(this.#podGroup(id), resources);
  }

  limitGroup(path: string, resources: Resources): void {
    const group = this.#names.pod(path);
    // A slice is systemd's to make, with its first pod.
    if (this.#driver === "systemd") this.#cgroups?.update(group, resources);
    else this.#cgroups?.create(group, resources);
  }

  async containerStats(id: ContainerId): Promise<ContainerStats | undefined> {
    const { status } = this.#container(id);
    if (status.state.kind !== "running") return undefined;
    return this.#cgroups?.stats(this.#containerGroup(status.sandbox, id));
  }

  async sandboxStats(id: SandboxId): Promise<ContainerStats | undefined> {
    return this.#cgroups?.stats(this.#podGroup(id));
  }

  /** As the runtime last measured it, some seconds ago. */
  async writableUsage(id: ContainerId): Promise<DiskUsage> {
    const { stats } = await this.#ask(
      this.#channel.call(cri.containerStats, { container_id: id }, { timeoutMs: answerMs }),
    );
    const layer = stats?.writable_layer;
    return { bytes: layer?.used_bytes ?? 0, inodes: layer?.inodes_used ?? 0 };
  }

  async reopenLog(id: ContainerId): Promise<void> {
    this.#running(id);
    await this.#ask(this.#channel.call(cri.reopenContainerLog, { container_id: id }, { timeoutMs: answerMs }));
  }

  onContainerExit(listener: (status: ContainerStatus) => void): Disposable {
    this.#exitListeners.add(listener);
    return { [Symbol.dispose]: () => this.#exitListeners.delete(listener) };
  }

  // Streams

  async execSync(id: ContainerId, command: readonly string[], options: ExecSyncOptions): Promise<ExecSyncResult> {
    this.#running(id);
    const { timeoutMs, signal, maximumOutputBytes = Number.POSITIVE_INFINITY } = options;
    // The runtime kills it, in whole seconds.
    const timeout = Math.ceil(timeoutMs / 1000);
    const asking = this.#channel.call(
      cri.execSync,
      { container_id: id, cmd: command, timeout },
      { ...(signal ? { signal } : {}), ...(timeoutMs > 0 ? { timeoutMs: timeout * 1000 + answerMs } : {}) },
    );
    const answer = await this.#ask(asking).catch((error: Error) => {
      if (/timeout .* exceeded|timed out/.test(error.message))
        throw new RuntimeError("DeadlineExceeded", error.message, { cause: error });
      if (/exec failed|failed to start exec/.test(error.message))
        throw new RuntimeError("StartError", error.message, { cause: error });
      throw error;
    });
    const cut = (output: Buffer) => output.subarray(0, Math.min(output.length, maximumOutputBytes));
    return { exitCode: answer.exit_code, stdout: cut(answer.stdout), stderr: cut(answer.stderr) };
  }

  async exec(id: ContainerId, request: ExecRequest): Promise<number> {
    this.#running(id);
    const { tty, stdin, stdout, stderr } = request;
    const before = new Set(this.#processesOf(id));
    try {
      const { url } = await this.#ask(
        this.#channel.call(
          cri.exec,
          {
            container_id: id,
            cmd: request.command,
            tty,
            stdin: stdin !== undefined,
            stdout: stdout !== undefined,
            stderr: stderr !== undefined && !tty,
          },
          { timeoutMs: answerMs },
        ),
      );
      return await remoteCommand(url, { ...request, dial: this.#dial });
    } catch (error) {
      if (request.signal?.aborted) this.#killCommand(id, request.command, before);
      throw error;
    } finally {
      stdout?.end();
      stderr?.end();
    }
  }

  async attach(id: ContainerId, request: AttachRequest): Promise<void> {
    const container = this.#container(id);
    const { config, state } = container.status;
    const { stdin, tty = false, logPath } = { ...config, stdin: config.stdin ? request.stdin : undefined };
    const fromStart = (request.fromStart ?? false) && (config.stdinOnce ?? false) && !container.wasAttached;
    // The one client of a short command gets all of its output, though the command may be over before the client is there.
    if (!(fromStart && state.kind === "exited")) this.#running(id);
    container.wasAttached = true;
    const { stdout, stderr, resize, signal } = request;
    try {
      if (fromStart && logPath) await replayLog(logPath, request);
      if (state.kind === "exited") return;
      const { url } = await this.#ask(
        this.#channel.call(
          cri.attach,
          {
            container_id: id,
            stdin: stdin !== undefined,
            stdout: stdout !== undefined,
            stderr: stderr !== undefined && !tty,
            tty,
          },
          { timeoutMs: answerMs },
        ),
      );
      const streams = { stdin, stdout, stderr, resize, signal, dial: this.#dial };
      const given = Object.fromEntries(Object.entries(streams).filter(([, value]) => value !== undefined));
      await remoteCommand(url, { tty, ...given });
    } catch (error) {
      if (!signal?.aborted) throw error;
    } finally {
      stdout?.end();
      stderr?.end();
    }
  }

  async connectToPort(id: SandboxId, port: number, signal?: AbortSignal): Promise<Duplex> {
    const { pid } = this.#sandbox(id);
    const netns = `/proc/${pid || process.pid}/ns/net`;
    try {
      return await connected(connectIn(netns, "127.0.0.1", port), signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ECONNREFUSED") throw error;
      return connected(connectIn(netns, "::1", port), signal).catch(() => {
        throw error;
      });
    }
  }

  // What the runtime says

  async #adoptSandbox(id: SandboxId, annotations: Record<string, string>): Promise<void> {
    const config = configOf<SandboxConfig>(annotations);
    if (!config) return; // Somebody else's.
    try {
      await this.#learnSandbox(id, config);
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.reason !== "NotFound") throw error;
    }
  }

  async #learnSandbox(id: SandboxId, config: SandboxConfig): Promise<void> {
    const { status, info } = await this.#ask(
      this.#channel.call(cri.podSandboxStatus, { pod_sandbox_id: id, verbose: true }, { timeoutMs: answerMs }),
    );
    if (!status) throw new RuntimeError("NotFound", `sandbox "${id}" not found`);
    const { network } = status;
    const ips = network?.ip ? [network.ip, ...network.additional_ips.map(({ ip }) => ip)] : [];
    this.#sandboxes.set(id, {
      pid: pidOf(info),
      status: {
        id,
        config,
        createdAtMs: milliseconds(status.created_at),
        state: status.state === sandboxState.ready ? "ready" : "stopped",
        ...(config.hostNetwork ? {} : { ips }),
      },
    });
  }

  /** Asks for everything that may have changed without being told of. */
  async #relist(): Promise<void> {
    const { containers } = await this.#ask(this.#channel.call(cri.listContainers, {}, { timeoutMs: answerMs }));
    await Promise.all(
      containers.map(async (item) => {
        const id = item.id as ContainerId;
        if (this.#containers.has(id)) return this.#learn(id).catch(() => {}); // It may have gone meanwhile.
        const config = configOf<ContainerConfig>(item.annotations);
        if (config && this.#sandboxes.has(item.pod_sandbox_id as SandboxId)) {
          await this.#learn(id, { sandbox: item.pod_sandbox_id as SandboxId, config }).catch(() => {});
        }
      }),
    );
  }

  /** The runtime's own books follow the event, on a busy machine after long: it is asked until they have. */
  async #changed(id: ContainerId, hasEnded: boolean): Promise<void> {
    for (let waitMs = 5; this.#containers.has(id) && !this.#closing.signal.aborted; waitMs *= 2) {
      try {
        await this.#learn(id);
      } catch {
        return; // It is gone, or the runtime is, and then everything is asked for again.
      }
      if (this.#containers.get(id)?.status.state.kind === "exited" || (!hasEnded && waitMs > 5000)) return;
      await sleep(this.#clock, Math.min(waitMs, longestAskMs), this.#closing.signal).catch(() => {});
    }
  }

  async #untilEnded(id: ContainerId): Promise<void> {
    if (this.#containers.get(id)?.status.state.kind === "created") return;
    await this.#changed(id, true);
  }

  #statusCall(id: ContainerId) {
    return this.#channel.call(cri.containerStatus, { container_id: id, verbose: true }, { timeoutMs: answerMs });
  }

  async #learn(id: ContainerId, made?: { sandbox: SandboxId; config: ContainerConfig }): Promise<void> {
    let { status, info } = await this.#ask(this.#statusCall(id));
    // containerd hears of a lack of memory beside the end, and now and then after it.
    for (let asked = 0; asked < 10 && status && wasKilled(status); asked++) {
      if (this.#containers.get(id)?.wasStopped || this.#closing.signal.aborted) break;
      await sleep(this.#clock, killReasonMs, this.#closing.signal).catch(() => {});
      ({ status, info } = await this.#ask(this.#statusCall(id)));
    }
    if (!status) throw new RuntimeError("NotFound", `container "${id}" not found`);
    const known = this.#containers.get(id);
    const base = made ?? known?.status;
    // An end is final, and answers may come in another order than they were asked for.
    if (!base || known?.status.state.kind === "exited") return;
    const user = userOf(status);
    const next: ContainerStatus = {
      id,
      sandbox: base.sandbox,
      podUid: this.#sandboxes.get(base.sandbox)?.status.config.pod.uid ?? "",
      config: base.config,
      imageId: this.#images?.status(status.image_ref)?.digests[0] ?? status.image_ref,
      ...(user ? { user } : {}),
      createdAtMs: milliseconds(status.created_at),
      state: stateOf(status, pidOf(info)),
    };
    if (!known) {
      this.#containers.set(id, { status: next, waiters: [] });
      this.#images?.hold(next.config.imageId, id);
      return;
    }
    if (next.state.kind === "created" && known.status.state.kind === "running") return;
    known.status = next;
    if (next.state.kind === "exited") this.#announce(known);
  }

  #announce(container: Container): void {
    const waiters = container.waiters.splice(0);
    for (const waiter of waiters) waiter(container.status);
    for (const listener of [...this.#exitListeners]) listener(container.status);
  }

  /** As a RuntimeError. */
  async #ask<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      throw new RuntimeError(reasons[error.code] ?? "Internal", error.message, { cause: error });
    }
  }

  async #removePodCgroup({ cgroupParent, pod }: SandboxConfig): Promise<void> {
    const isUsed = this.listSandboxes().some(({ config }) => config.pod.uid === pod.uid);
    if (!isUsed) await this.#cgroups?.remove(this.#names.pod(cgroupParent));
  }

  #processesOf(id: ContainerId): number[] {
    const { sandbox } = this.#container(id).status;
    return this.#cgroups?.processes(this.#containerGroup(sandbox, id)) ?? [];
  }

  #podGroup(id: SandboxId): string {
    return this.#names.pod(this.#sandbox(id).status.config.cgroupParent);
  }

  #containerGroup(sandbox: SandboxId, id: ContainerId): string {
    return this.#names.container(this.#sandbox(sandbox).status.config.cgroupParent, id);
  }

  /** A runtime goes on with a command whose client has gone; upstream's kubectl users know that it should not. */
  #killCommand(id: ContainerId, command: readonly string[], before: ReadonlySet<number>): void {
    const wanted = `${command.join("\0")}\0`;
    for (const pid of this.#processesOf(id)) {
      if (before.has(pid)) continue;
      try {
        if (readFileSync(`/proc/${pid}/cmdline`, "utf8") === wanted) process.kill(pid, "SIGKILL");
      } catch {
        // It has just ended.
      }
    }
  }

  // Lookups

  #sandbox(id: SandboxId): Sandbox {
    const sandbox = this.#sandboxes.get(id);
    if (!sandbox) throw new RuntimeError("NotFound", `sandbox "${id}" not found`);
    return sandbox;
  }

  #container(id: ContainerId): Container {
    const container = this.#containers.get(id);
    if (!container) throw new RuntimeError("NotFound", `container "${id}" not found`);
    return container;
  }

  #running(id: ContainerId): void {
    const { kind } = this.#container(id).status.state;
    if (kind !== "running")
      throw new RuntimeError("FailedPrecondition", `container ${id} is not running: it is ${kind}`);
  }

  #containersOf(id: SandboxId): Container[] {
    return [...this.#containers.values()].filter(({ status }) => status.sandbox === id);
  }
}

/** What an interactive container printed before its client came. */
async function replayLog(path: string, { stdout, stderr, knownBytes = 0 }: AttachRequest): Promise<void> {
  const log = new LogFollower(path, {
    fromStart: true,
    knownBytes,
    deliver: ({ stream, bytes }) => void (stream === "stderr" ? stderr : stdout)?.write(bytes),
  });
  await log.drain();
  log.close();
}

const reasons: Record<number, RuntimeErrorReason | undefined> = {
  [grpcCode.notFound]: "NotFound",
  [grpcCode.alreadyExists]: "AlreadyExists",
  [grpcCode.invalidArgument]: "InvalidArgument",
  [grpcCode.failedPrecondition]: "FailedPrecondition",
  [grpcCode.deadlineExceeded]: "DeadlineExceeded",
  [grpcCode.unavailable]: "Unavailable",
};

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
