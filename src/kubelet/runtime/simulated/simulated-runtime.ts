/**
 * A container runtime without containers: each follows a declared life cycle on the cluster's clock.
 * For machines where namespaces are not permitted, for scale, and for deterministic tests.
 *
 * A container runs until it is stopped, unless its pod's annotations declare otherwise:
 * `pinnace.local/run-seconds` (exits by itself after so long) and `pinnace.local/exit-code` (with this code; default 0).
 * Nothing outlives the object, and there is nothing to execute in or to connect to: such calls are refused with the reason.
 */
import type { Duplex } from "node:stream";
import type { Clock, Timer } from "../../../base/clock.ts";
import type { Random } from "../../../base/random.ts";
import {
  type ContainerConfig,
  type ContainerId,
  type ContainerRuntime,
  type ContainerState,
  type ContainerStats,
  type ContainerStatus,
  type Resources,
  RuntimeError,
  type SandboxConfig,
  type SandboxId,
  type SandboxStatus,
  type StopOptions,
} from "../container-runtime.ts";

export const runSecondsAnnotation = "pinnace.local/run-seconds";
export const exitCodeAnnotation = "pinnace.local/exit-code";

interface SimulatedContainer {
  id: ContainerId;
  sandbox: SandboxId;
  config: ContainerConfig;
  createdAtMs: number;
  state: ContainerState;
  ending: Timer | undefined;
  waiters: ((status: ContainerStatus) => void)[];
}

export class SimulatedRuntime implements ContainerRuntime {
  readonly name = "simulated";
  readonly withoutFiles = true;
  readonly features = { recursiveReadOnlyMounts: true, userNamespaces: true, supplementalGroupsPolicy: true };
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #sandboxes = new Map<SandboxId, SandboxStatus>();
  readonly #containers = new Map<ContainerId, SimulatedContainer>();
  readonly #listeners = new Set<(status: ContainerStatus) => void>();

  constructor({ clock, random }: { clock: Clock; random: Random }) {
    this.#clock = clock;
    this.#random = random;
  }

  async open(): Promise<void> {}

  async close(): Promise<void> {
    for (const container of this.#containers.values()) container.ending?.[Symbol.dispose]();
  }

  async version() {
    return { name: this.name, version: "1" };
  }

  async createSandbox(config: SandboxConfig): Promise<SandboxId> {
    const id = this.#newId() as SandboxId;
    this.#sandboxes.set(id, { id, config, createdAtMs: this.#clock.now(), state: "ready" });
    return id;
  }

  async stopSandbox(id: SandboxId): Promise<void> {
    const sandbox = this.#sandboxes.get(id);
    if (!sandbox) return;
    for (const container of this.#containersOf(id)) this.#end(container, 137);
    sandbox.state = "stopped";
  }

  async removeSandbox(id: SandboxId): Promise<void> {
    await this.stopSandbox(id);
    for (const container of this.#containersOf(id)) this.#containers.delete(container.id);
    this.#sandboxes.delete(id);
  }

  sandboxStatus(id: SandboxId): SandboxStatus | undefined {
    return this.#sandboxes.get(id);
  }

  listSandboxes(): SandboxStatus[] {
    return [...this.#sandboxes.values()];
  }

  async createContainer(sandbox: SandboxId, config: ContainerConfig): Promise<ContainerId> {
    if (!this.#sandboxes.has(sandbox)) throw new RuntimeError("NotFound", `sandbox ${sandbox} not found`);
    const id = this.#newId() as ContainerId;
    const createdAtMs = this.#clock.now();
    this.#containers.set(id, {
      id,
      sandbox,
      config,
      createdAtMs,
      state: { kind: "created" },
      ending: undefined,
      waiters: [],
    });
    return id;
  }

  async startContainer(id: ContainerId): Promise<void> {
    const container = this.#container(id);
    if (container.state.kind !== "created")
      throw new RuntimeError("FailedPrecondition", `container ${id} was started before`);
    container.state = { kind: "running", pid: 0, startedAtMs: this.#clock.now() };
    const annotations = this.#sandboxes.get(container.sandbox)?.config.annotations ?? {};
    const runSeconds = annotations[runSecondsAnnotation];
    if (runSeconds === undefined) return;
    const exitCode = Number(annotations[exitCodeAnnotation] ?? 0);
    container.ending = this.#clock.setTimer(Number(runSeconds) * 1000, () => this.#end(container, exitCode), {
      background: true,
    });
  }

  async stopContainer(id: ContainerId, { gracePeriodSeconds }: StopOptions): Promise<void> {
    this.#end(this.#container(id), gracePeriodSeconds > 0 ? 143 : 137);
  }

  async removeContainer(id: ContainerId): Promise<void> {
    const container = this.#containers.get(id);
    if (!container) return;
    this.#end(container, 137);
    this.#containers.delete(id);
  }

  containerStatus(id: ContainerId): ContainerStatus | undefined {
    const container = this.#containers.get(id);
    return container && this.#statusOf(container);
  }

  listContainers(filter: { sandbox?: SandboxId; podUid?: string } = {}): ContainerStatus[] {
    const found: ContainerStatus[] = [];
    for (const container of this.#containers.values()) {
      if (filter.sandbox !== undefined && container.sandbox !== filter.sandbox) continue;
      if (filter.podUid !== undefined && this.#podUidOf(container) !== filter.podUid) continue;
      found.push(this.#statusOf(container));
    }
    return found;
  }

  waitForExit(id: ContainerId, signal?: AbortSignal): Promise<ContainerStatus> {
    const container = this.#container(id);
    if (container.state.kind === "exited") return Promise.resolve(this.#statusOf(container));
    return new Promise((resolve, reject) => {
      container.waiters.push(resolve);
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }

  async updateResources(id: ContainerId, resources: Resources): Promise<void> {
    const container = this.#container(id);
    container.config = { ...container.config, resources };
  }

  async updateSandboxResources(): Promise<void> {}

  limitGroup(): void {}

  async containerStats(id: ContainerId): Promise<ContainerStats | undefined> {
    return this.#container(id).state.kind === "running" ? this.#noUsage() : undefined;
  }

  async sandboxStats(id: SandboxId): Promise<ContainerStats | undefined> {
    return this.#sandboxes.has(id) ? this.#noUsage() : undefined;
  }

  async writableUsage(id: ContainerId): Promise<{ bytes: number; inodes: number }> {
    this.#container(id);
    return { bytes: 0, inodes: 0 };
  }

  async reopenLog(id: ContainerId): Promise<void> {
    this.#container(id);
  }

  onContainerExit(listener: (status: ContainerStatus) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  async execSync(id: ContainerId): Promise<never> {
    return this.#refuse(id, "run a command in");
  }

  async exec(id: ContainerId): Promise<never> {
    return this.#refuse(id, "run a command in");
  }

  async attach(id: ContainerId): Promise<never> {
    return this.#refuse(id, "attach to");
  }

  async connectToPort(id: SandboxId): Promise<Duplex> {
    throw new RuntimeError("Unavailable", `cannot connect to sandbox ${id}: its node is simulated and has no network`);
  }

  #refuse(id: ContainerId, what: string): never {
    const { config } = this.#container(id);
    throw new RuntimeError(
      "Unavailable",
      `cannot ${what} container ${JSON.stringify(config.name)}: its node is simulated and runs no processes`,
    );
  }

  #end(container: SimulatedContainer, exitCode: number): void {
    if (container.state.kind === "exited") return;
    container.ending?.[Symbol.dispose]();
    container.state = {
      kind: "exited",
      exitCode,
      reason: exitCode === 0 ? "Completed" : "Error",
      startedAtMs: container.state.kind === "running" ? container.state.startedAtMs : 0,
      finishedAtMs: this.#clock.now(),
    };
    const status = this.#statusOf(container);
    for (const waiter of container.waiters.splice(0)) waiter(status);
    for (const listener of this.#listeners) listener(status);
  }

  #podUidOf({ sandbox }: SimulatedContainer): string {
    return this.#sandboxes.get(sandbox)?.config.pod.uid ?? "";
  }

  #statusOf(container: SimulatedContainer): ContainerStatus {
    const { id, sandbox, config, createdAtMs, state } = container;
    return { id, sandbox, podUid: this.#podUidOf(container), config, imageId: config.imageId, createdAtMs, state };
  }

  #containersOf(sandbox: SandboxId): SimulatedContainer[] {
    return [...this.#containers.values()].filter((container) => container.sandbox === sandbox);
  }

  #container(id: ContainerId): SimulatedContainer {
    const container = this.#containers.get(id);
    if (!container) throw new RuntimeError("NotFound", `container ${id} not found`);
    return container;
  }

  #newId(): string {
    return `${this.#random.uuid()}${this.#random.uuid()}`.replaceAll("-", "");
  }

  #noUsage(): ContainerStats {
    const memory = { usageBytes: 0, workingSetBytes: 0, rssBytes: 0, pageFaults: 0, majorPageFaults: 0 };
    return { atMs: this.#clock.now(), cpu: { usageNanoseconds: 0 }, memory, processes: 1 };
  }
}
