/** Starts a pod's containers: from the spec to a running process, and what is told when it fails. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Container } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { exitedRun, identityOf } from "./adopt-pod.ts";
import { containerConfig } from "./container-config.ts";
import { maximumEnvFileBytes } from "./env-file.ts";
import { ContainerConfigError, containerEnvironment } from "./environment.ts";
import { runHook } from "./lifecycle-hooks.ts";
import { containerLogPath } from "./paths.ts";
import { actionTarget, fieldFacts, type PodDesk } from "./pod-desk.ts";
import { hostsPath } from "./pod-sandbox.ts";
import { type ContainerSpec, findContainerSpec, type PodEffect } from "./pod-state.ts";
import type { PodVolumeKeeper } from "./pod-volume-keeper.ts";
import type { ContainerId, ContainerStatus, Mount } from "./runtime/container-runtime.ts";
import { forgetRun, terminationMessage, terminationMessagePath } from "./termination-message.ts";
import { containerDevices, containerMounts } from "./volumes/pod-volumes.ts";
import { readBeneath } from "./volumes/sub-path.ts";

type Environment = Awaited<ReturnType<typeof containerEnvironment>>;

const defaultTerminationMessagePath = "/dev/termination-log";

export class ContainerStarter {
  readonly #pod: PodDesk;
  readonly #volumes: Pick<PodVolumeKeeper, "volumes" | "missingImage">;

  constructor(pod: PodDesk, volumes: Pick<PodVolumeKeeper, "volumes" | "missingImage">) {
    this.#pod = pod;
    this.#volumes = volumes;
  }

  async start(effect: PodEffect & { kind: "startContainer" }): Promise<void> {
    const { container: name, attempt, backoff } = effect;
    const { runtime } = this.#pod.node;
    const fail = (reason: string, message: string) => {
      this.#pod.record(name, "Warning", "Failed", `Error: ${message}`);
      this.#pod.dispatch({ kind: "containerNotStarted", container: name, problem: { reason, message } });
    };
    let id: ContainerId;
    // Read now: the spec may change while the container starts.
    const spec = findContainerSpec(this.#pod.state.pod, name) as DeepReadonly<Container> | undefined;
    const resources = spec?.resources ?? {};
    try {
      const missing = spec && (await this.#volumes.missingImage(spec));
      if (missing) {
        const { retryAfterMs, ...problem } = missing;
        return this.#pod.dispatch({ kind: "containerNotStarted", container: name, problem, retryAfterMs });
      }
      const config = await this.#containerConfig(effect);
      const { sandbox } = this.#pod.state;
      if (sandbox.kind !== "ready") throw new Error("the pod's sandbox is gone");
      try {
        id = await runtime.createContainer(sandbox.id, config);
      } catch (error) {
        return fail("CreateContainerError", (error as Error).message);
      }
    } catch (error) {
      return fail("CreateContainerConfigError", (error as Error).message);
    }
    this.#pod.record(name, "Normal", "Created", "Container created");
    try {
      await runtime.startContainer(id);
    } catch (error) {
      await this.#reportFailedStart(name, id, error as Error);
      return;
    }
    this.#pod.record(name, "Normal", "Started", "Container started");
    const status = runtime.containerStatus(id);
    if (!status) return fail("RunContainerError", `container ${id} vanished while it was started`);
    const { state } = status;
    const startedAtMs = state.kind === "created" ? this.#pod.node.clock.now() : state.startedAtMs;
    const hasHook = findContainerSpec(this.#pod.state.pod, name)?.lifecycle?.postStart !== undefined;
    this.#pod.dispatch({
      kind: "containerStarted",
      container: name,
      run: {
        kind: "running",
        ...identityOf(status),
        startedAtMs,
        resources,
        ...(hasHook ? { hook: "wanted" as const } : {}),
      },
      ...(backoff ? { backoff } : {}),
    });
    if (state.kind === "exited") await this.reportExit(status);
    void this.#forgetOldRuns(name, attempt);
  }

  /** A container whose command could not be executed has exited, with upstream's reason and code. */
  async #reportFailedStart(name: string, id: ContainerId, error: Error): Promise<void> {
    const { runtime, clock } = this.#pod.node;
    this.#pod.record(name, "Warning", "Failed", `Error: ${error.message}`);
    const problem = { reason: "RunContainerError", message: error.message };
    const status = runtime.containerStatus(id);
    const run = status && exitedRun(status, undefined, error.message);
    if (run) {
      const exit = { ...run, reason: "StartError", finishedAtMs: run.finishedAtMs || clock.now() };
      this.#pod.dispatch({ kind: "containerNotStarted", container: name, problem, run: exit });
      return;
    }
    await runtime.removeContainer(id).catch(() => {});
    this.#pod.dispatch({ kind: "containerNotStarted", container: name, problem });
  }

  async #containerConfig(effect: PodEffect & { kind: "startContainer" }) {
    const { images, references, services, facts, seccompRoot } = this.#pod.node;
    const { pod } = this.#pod.state;
    const container = findContainerSpec(pod, effect.container);
    if (!container) throw new ContainerConfigError(`container ${effect.container} is not in the pod's spec any more`);
    const { namespace, uid } = pod.metadata;
    const env: Environment = await containerEnvironment(pod, container, {
      ...fieldFacts(this.#pod),
      services: services(),
      get: (resource, name) => references.get(resource, namespace, name, uid),
      file: (volumeName, path) => {
        const volume = this.#volumes.volumes.get(volumeName);
        return volume && readBeneath(volume.path, path, maximumEnvFileBytes);
      },
    });
    const image = images.status(effect.imageId) ?? images.status(container.image ?? "");
    if (!image) throw new ContainerConfigError(`image ${JSON.stringify(container.image)} is not present any more`);
    const logPath = containerLogPath(this.#pod.folders, container.name, effect.attempt);
    const mounts = this.#pod.node.runtime.withoutFiles ? [] : this.#prepareFiles(container, effect.attempt, env);
    const devices = this.#pod.node.runtime.withoutFiles ? [] : containerDevices(container, this.#volumes.volumes);
    const { claims } = this.#pod.node;
    const cdiDevices = claims?.cdiDevices(pod, container as DeepReadonly<Container>) ?? [];
    return containerConfig({
      target: this.#targetOf(container),
      pod,
      container,
      attempt: effect.attempt,
      image,
      env,
      mounts,
      devices,
      cdiDevices,
      logPath,
      node: facts,
      seccompRoot,
      ...(effect.backoff ? { backoff: effect.backoff } : {}),
    });
  }

  #targetOf(container: ContainerSpec): ContainerId | undefined {
    const name = "targetContainerName" in container ? container.targetContainerName : undefined;
    if (!name) return undefined;
    const run = this.#pod.state.containers.find((each) => each.name === name)?.run;
    if (run?.kind !== "running") throw new ContainerConfigError(`unable to find target container ${name}`);
    return run.id;
  }

  /** Makes the files and folders that the container and its runtime expect, and says what is mounted. */
  #prepareFiles(container: ContainerSpec, attempt: number, env: Environment): Mount[] {
    const logPath = containerLogPath(this.#pod.folders, container.name, attempt);
    mkdirSync(dirname(logPath), { recursive: true, mode: 0o755 });
    const mounts = containerMounts(
      container,
      this.#volumes.volumes,
      this.#pod.folders,
      env,
      this.#pod.node.runtime.features,
    );
    if (!mounts.some((mount) => mount.containerPath === "/etc/hosts")) {
      mounts.push({ hostPath: hostsPath(this.#pod.folders), containerPath: "/etc/hosts" });
    }
    const messagePath = terminationMessagePath(this.#pod.folders, container.name, attempt);
    mkdirSync(dirname(messagePath), { recursive: true, mode: 0o755 });
    writeFileSync(messagePath, "");
    chmodSync(messagePath, 0o666); // Any user of the container may write; the umask would forbid it.
    mounts.push({
      hostPath: messagePath,
      containerPath: container.terminationMessagePath || defaultTerminationMessagePath,
    });
    return mounts;
  }

  async reportExit(status: ContainerStatus): Promise<void> {
    const { runtime } = this.#pod.node;
    const message = runtime.withoutFiles
      ? undefined
      : await terminationMessage(this.#pod.state.pod, this.#pod.folders, status);
    const run = exitedRun(status, undefined, message);
    if (run) this.#pod.dispatch({ kind: "containerExited", container: status.config.name, run });
  }

  /** One run before the present one stays, for its exit code and its log. */
  async #forgetOldRuns(name: string, attempt: number): Promise<void> {
    const { runtime } = this.#pod.node;
    const { uid } = this.#pod.state.pod.metadata;
    const old = runtime
      .listContainers({ podUid: uid })
      .filter((status) => status.config.name === name && status.config.attempt < attempt - 1);
    await Promise.all(old.map((status) => runtime.removeContainer(status.id).catch(() => {})));
    if (attempt < 2) return;
    await forgetRun(this.#pod.folders, name, attempt - 2);
  }

  async runPostStart(name: string, id: ContainerId): Promise<void> {
    const container = findContainerSpec(this.#pod.state.pod, name);
    const hook = container?.lifecycle?.postStart;
    if (!container || !hook) return this.#pod.dispatch({ kind: "hookEnded", container: name, id });
    const failure = await runHook(
      hook,
      actionTarget(this.#pod, container, id),
      this.#pod.node.runAction,
      this.#pod.ending,
    );
    if (this.#pod.ending.aborted) return;
    if (failure !== undefined) {
      this.#pod.node.log.info("postStart hook failed", { pod: this.#pod.name, container: name, failure });
      this.#pod.record(name, "Warning", "FailedPostStartHook", "PostStartHook failed");
    }
    this.#pod.dispatch({ kind: "hookEnded", container: name, id, ...(failure !== undefined ? { failure } : {}) });
  }
}
