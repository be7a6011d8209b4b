/**
 * One pod's doer: keeps its state, applies what the state machine wants with the runtime, the network and the volumes, and answers with
 * events. Everything waits on its own; no pod waits for another.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { open, readFile, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { dirname, join } from "node:path";
import type { Secret, Service } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Pods, Secrets } from "../api/resources.ts";
import { isConflict, isNotFound } from "../apimachinery/status-error.ts";
import { backoffDelayMs } from "../base/backoff.ts";
import { type Clock, sleep, type Timer } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { Client } from "../client/client.ts";
import type { EventRecorder } from "../controller-runtime/events.ts";
import { exitedRun, identityOf } from "./adopt-pod.ts";
import { annotations, containerConfig, labels } from "./container-config.ts";
import { ContainerConfigError, containerEnvironment } from "./environment.ts";
import type { FieldFacts } from "./fields.ts";
import { hostNetworkHostsFile, hostsFile, podNames } from "./hosts-file.ts";
import { ensureImage } from "./image-puller.ts";
import type { ImageService } from "./images/image-service.ts";
import { runHook } from "./lifecycle-hooks.ts";
import type { PodNetwork } from "./network/pod-network.ts";
import { containerLogPath, type NodeFolders, type PodFolders, podFolders } from "./paths.ts";
import { isAlive } from "./plan-pod.ts";
import {
  type ContainerSpec,
  containerFieldPath,
  findContainerSpec,
  type PodEffect,
  type PodEvent,
  type PodObject,
  type PodState,
  type ProbeKind,
} from "./pod-state.ts";
import { type NodeFacts, podStatus } from "./pod-status.ts";
import { stepPod } from "./pod-worker.ts";
import type { ActionTarget, RunAction } from "./probes/action.ts";
import { ProbeWorker } from "./probes/probe-worker.ts";
import { podCgroup, podResources } from "./qos.ts";
import type { ReferencedObjects } from "./referenced-objects.ts";
import {
  type ContainerId,
  type ContainerRuntime,
  type ContainerStatus,
  isRuntimeError,
  type SandboxConfig,
} from "./runtime/container-runtime.ts";
import type { StatusWriter } from "./status-writer.ts";
import type { Turns } from "./turns.ts";
import {
  containerMounts,
  type PreparedVolumes,
  prepareVolumes,
  removeVolumes,
  VolumeError,
} from "./volumes/pod-volumes.ts";
import type { TokenFile } from "./volumes/projections.ts";

/** What all pods of a node share. */
export interface PodSurroundings {
  nodeName: string;
  client: Client;
  runtime: ContainerRuntime;
  images: ImageService;
  network: PodNetwork;
  references: ReferencedObjects;
  statuses: StatusWriter;
  /** Sandboxes are made of many short system calls. */
  turns: Turns;
  events: EventRecorder;
  clock: Clock;
  random: Random;
  log: Logger;
  signal: AbortSignal;
  folders: NodeFolders;
  facts: NodeFacts & { allocatable: Readonly<Record<string, string>>; memoryBytes: number };
  /** Below which pods' cgroups are made: `/pinnace/<cluster>/<node>`. */
  cgroupRoot: string;
  seccompRoot: string;
  clusterDomain: string;
  /** For hostNetwork. Undefined: the machine's own. */
  nodeNetnsPath?: string;
  services(): readonly DeepReadonly<Service>[];
  /** What a pod's resolv.conf says. */
  dns(pod: PodObject): SandboxConfig["dns"];
  /** A TCP connection from the node. */
  connect(address: string, port: number): Socket;
  /** Runs what probes and hooks ask for. */
  runAction: RunAction;
  /** Nothing of the pod is left on the node. */
  onGone(podUid: string): void;
}

const defaultTerminationMessagePath = "/dev/termination-log";
const maximumTerminationMessageBytes = 4096;
const maximumFallbackBytes = 2048;
const maximumFallbackLines = 80;

/** Not stopContainer and the hooks: they may take as long as their grace, and the next kubelet repeats them. */
const changesMachine: ReadonlySet<PodEffect["kind"]> = new Set([
  "createSandbox",
  "prepareVolumes",
  "startContainer",
  "release",
  "remove",
]);

interface Stop {
  deadlineMs: number;
  /** Ends the preStop hook. */
  hook: AbortController | undefined;
  timer: Timer | undefined;
}

export class PodExecutor {
  readonly #node: PodSurroundings;
  readonly #folders: PodFolders;
  readonly #inbox: PodEvent[] = [];
  readonly #probes = new Map<string, ProbeWorker>();
  readonly #stops = new Map<ContainerId, Stop>();
  readonly #tokens = new Map<string, TokenFile>();
  readonly #ending = new AbortController();
  #state: PodState;
  #volumes: PreparedVolumes = new Map();
  #wake: Timer | undefined;
  #refreshTimer: Timer | undefined;
  #refreshing = false;
  #removal: Promise<void> = Promise.resolve();
  /** Work that leaves something behind on the machine when its process ends under it. */
  readonly #unfinished = new Set<Promise<void>>();
  #isWorking = false;

  constructor(state: PodState, node: PodSurroundings) {
    this.#node = node;
    this.#state = state;
    this.#folders = podFolders(node.folders, state.pod);
  }

  get state(): PodState {
    return this.#state;
  }

  /** Takes the pod on, or up again where a kubelet before this one left it. */
  start(): void {
    if (this.#state.containers.some(isAlive)) {
      // Running containers' volumes must follow their objects again.
      this.#state = { ...this.#state, volumes: { kind: "preparing" } };
      this.#apply({ kind: "prepareVolumes" });
    }
    this.dispatch({ kind: "timePassed" });
  }

  /** The node stops looking after the pod; its containers run on. What was begun on the machine is finished: see `settled`. */
  close(): void {
    this.#ending.abort();
    this.#wake?.[Symbol.dispose]();
    this.#refreshTimer?.[Symbol.dispose]();
    for (const probe of this.#probes.values()) probe.stop();
    this.#probes.clear();
  }

  /** Resolves when nothing is being made or taken away any more. To be asked after `close`. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#unfinished);
  }

  dispatch(event: PodEvent): void {
    this.#inbox.push(event);
    if (this.#isWorking) return;
    this.#isWorking = true;
    try {
      for (let next = this.#inbox.shift(); next; next = this.#inbox.shift()) this.#step(next);
    } finally {
      this.#isWorking = false;
    }
    this.#publish();
  }

  /** The object was seen: a new spec, new labels, a deletion. */
  podChanged(pod: PodObject): void {
    const before = downwardText(this.#state.pod);
    this.dispatch({ kind: "podChanged", pod });
    if (before !== downwardText(pod)) this.referenceChanged();
  }

  /** A ConfigMap or Secret that the pod refers to has changed. */
  referenceChanged(): void {
    if (this.#state.volumes.kind === "ready") void this.#refreshVolumes();
    this.dispatch({ kind: "referenceChanged" });
  }

  containerExited(status: ContainerStatus): void {
    const container = this.#state.containers.find(({ name }) => name === status.config.name);
    // A container that is still being started is looked at when its start returns.
    if (container?.run.kind !== "running" || container.run.id !== status.id) return;
    void this.#reportExit(status);
  }

  /** The newest id of a container, for exec, attach and logs. */
  runningId(name: string): ContainerId | undefined {
    const run = this.#state.containers.find((container) => container.name === name)?.run;
    return run?.kind === "running" ? run.id : undefined;
  }

  #step(event: PodEvent): void {
    const { clock } = this.#node;
    const { state, effects, wakeAtMs } = stepPod(this.#state, event, clock.now());
    this.#state = state;
    this.#wake?.[Symbol.dispose]();
    this.#wake = undefined;
    if (wakeAtMs !== undefined) {
      const delayMs = Math.max(0, wakeAtMs - clock.now());
      this.#wake = clock.setTimer(delayMs, () => this.dispatch({ kind: "timePassed" }), { background: true });
    }
    for (const effect of effects) this.#apply(effect);
  }

  #publish(): void {
    const { statuses, facts, clock } = this.#node;
    this.#syncProbes();
    const { pod, stage } = this.#state;
    if (stage.kind === "gone" || this.#ending.signal.aborted) return;
    statuses.set(pod, podStatus(this.#state, statuses.known(pod), facts, clock.now()));
  }

  #apply(effect: PodEffect): void {
    if (effect.kind === "event") this.#record(effect.container, effect.type, effect.reason, effect.message);
    else if (!this.#node.signal.aborted) this.#begin(effect);
  }

  #begin(effect: Exclude<PodEffect, { kind: "event" }>): void {
    const work = this.#perform(effect);
    this.#background(work);
    if (!changesMachine.has(effect.kind)) return;
    this.#unfinished.add(work);
    const forget = () => this.#unfinished.delete(work);
    work.then(forget, forget);
  }

  #perform(effect: Exclude<PodEffect, { kind: "event" }>): Promise<void> {
    switch (effect.kind) {
      case "createSandbox":
        return this.#createSandbox(effect.attempt);
      case "prepareVolumes":
        return this.#prepareVolumes();
      case "ensureImage":
        return this.#ensureImage(effect.container);
      case "startContainer":
        return this.#startContainer(effect);
      case "runPostStart":
        return this.#runPostStart(effect.container, effect.id);
      case "stopContainer":
        return this.#stopContainer(effect);
      case "release":
        return this.#release();
      case "remove":
        this.#removal = this.#remove();
        return this.#removal;
      case "deleteObject":
        return this.#deleteObject();
    }
  }

  /** Work that reports its own failures as events: what comes out here is a mistake of ours, and is logged. */
  #background(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (this.#ending.signal.aborted || this.#node.signal.aborted) return;
      this.#node.log.error("pod work failed", { pod: this.#name, error: (error as Error).stack ?? String(error) });
    });
  }

  get #name(): string {
    const { namespace, name } = this.#state.pod.metadata;
    return `${namespace}/${name}`;
  }

  #record(container: string | undefined, type: "Normal" | "Warning", reason: string, message: string): void {
    const { pod } = this.#state;
    const fieldPath = container === undefined ? undefined : containerFieldPath(pod, container);
    this.#node.events.event({ ...pod, apiVersion: "v1", kind: "Pod" }, type, reason, message, fieldPath);
  }

  async #createSandbox(attempt: number): Promise<void> {
    this.dispatch(await this.#node.turns.take(() => this.#makeSandbox(attempt)));
  }

  async #makeSandbox(attempt: number): Promise<PodEvent> {
    const { runtime, network, facts, nodeNetnsPath, signal } = this.#node;
    signal.throwIfAborted();
    const { pod } = this.#state;
    try {
      if (attempt > 0)
        this.#record(undefined, "Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
      const attachment = pod.spec.hostNetwork
        ? { netnsPath: nodeNetnsPath, ips: [...facts.hostIPs] }
        : await network.attach(pod.metadata.uid);
      this.#writeHostsFile(attachment.ips);
      const id = await runtime.createSandbox(this.#sandboxConfig(attempt, attachment));
      return { kind: "sandboxCreated", id, ips: attachment.ips };
    } catch (error) {
      const { message } = error as Error;
      this.#record(undefined, "Warning", "FailedCreatePodSandBox", `Failed to create pod sandbox: ${message}`);
      return { kind: "sandboxFailed", message };
    }
  }

  #sandboxConfig(
    attempt: number,
    attachment: { netnsPath: string | undefined; ips: readonly string[] },
  ): SandboxConfig {
    const { nodeName, cgroupRoot, clusterDomain, dns } = this.#node;
    const { pod } = this.#state;
    const { spec } = pod;
    const { name, namespace, uid } = pod.metadata;
    const resolvConf = dns(pod);
    return {
      pod: { name, namespace, uid },
      attempt,
      labels: {
        [labels.podName]: name,
        [labels.podNamespace]: namespace,
        [labels.podUid]: uid,
        [labels.node]: nodeName,
      },
      annotations: { ...podAnnotations(pod), [annotations.podIPs]: attachment.ips.join(",") },
      hostname: spec.hostNetwork ? nodeName : podNames(pod, clusterDomain).utsName,
      ...(attachment.netnsPath !== undefined ? { networkNamespacePath: attachment.netnsPath } : {}),
      namespaces: {
        pid: spec.hostPID ? "node" : spec.shareProcessNamespace ? "pod" : "container",
        ipc: spec.hostIPC ? "node" : "pod",
        uts: "pod",
      },
      ...(resolvConf ? { dns: resolvConf } : {}),
      ...(spec.securityContext?.sysctls
        ? { sysctls: Object.fromEntries(spec.securityContext.sysctls.map(({ name, value }) => [name, value])) }
        : {}),
      cgroupParent: podCgroup(cgroupRoot, pod),
      resources: podResources(pod),
    };
  }

  /** In memory, like the termination messages: quick to make, and of no use after a reboot. */
  get #hostsPath(): string {
    return join(this.#folders.volatile, "etc-hosts");
  }

  #writeHostsFile(ips: readonly string[]): void {
    const { pod } = this.#state;
    mkdirSync(this.#folders.volatile, { recursive: true, mode: 0o755 });
    const text = pod.spec.hostNetwork
      ? hostNetworkHostsFile(pod, readFileSync("/etc/hosts", "utf8"))
      : hostsFile(pod, ips, this.#node.clusterDomain);
    writeFileSync(this.#hostsPath, text, { mode: 0o644 });
  }

  async #prepareVolumes(): Promise<void> {
    try {
      this.#volumes = await prepareVolumes(this.#folders, this.#volumeContext());
      this.#scheduleRefresh();
      this.dispatch({ kind: "volumesReady" });
    } catch (error) {
      const { message } = error as Error;
      if (error instanceof VolumeError) this.#record(undefined, "Warning", "FailedMount", message);
      else throw error;
      this.dispatch({ kind: "volumesFailed", message });
    }
  }

  async #refreshVolumes(): Promise<void> {
    // A change during a refresh is followed by another one.
    if (this.#refreshing) {
      this.#scheduleRefresh(50);
      return;
    }
    this.#refreshing = true;
    try {
      this.#volumes = await prepareVolumes(this.#folders, this.#volumeContext(), { onlyRefreshable: this.#volumes });
      this.#scheduleRefresh();
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      if (error instanceof VolumeError) this.#record(undefined, "Warning", "FailedMount", error.message);
      this.#scheduleRefresh(10_000);
    } finally {
      this.#refreshing = false;
    }
  }

  #scheduleRefresh(afterMs?: number): void {
    const { clock } = this.#node;
    this.#refreshTimer?.[Symbol.dispose]();
    const dueAtMs = Math.min(
      ...[...this.#volumes.values()].map((volume) => volume.refreshAtMs ?? Number.POSITIVE_INFINITY),
    );
    const delayMs = afterMs ?? dueAtMs - clock.now();
    if (!Number.isFinite(delayMs) || this.#ending.signal.aborted) return;
    this.#refreshTimer = clock.setTimer(Math.max(0, delayMs), () => void this.#refreshVolumes(), { background: true });
  }

  #volumeContext() {
    const { client, clock, references } = this.#node;
    const { pod } = this.#state;
    return {
      pod,
      client,
      clock,
      facts: this.#fieldFacts(),
      signal: this.#ending.signal,
      tokens: this.#tokens,
      get: ((resource, name) => references.get(resource, pod.metadata.namespace, name, pod.metadata.uid)) as Parameters<
        typeof prepareVolumes
      >[1]["get"],
    };
  }

  #fieldFacts(): FieldFacts {
    const { facts } = this.#node;
    const { sandbox } = this.#state;
    return {
      podIPs: sandbox.kind === "ready" ? sandbox.ips : [],
      hostIPs: facts.hostIPs,
      allocatable: facts.allocatable,
    };
  }

  async #ensureImage(name: string): Promise<void> {
    const spec = findContainerSpec(this.#state.pod, name);
    if (!spec) return;
    const record = (type: "Normal" | "Warning", reason: string, message: string) =>
      this.#record(name, type, reason, message);
    const outcome = await ensureImage(spec, () => this.#pullSecrets(), this.#node, record, this.#node.signal);
    const image = spec.image ?? "";
    if (outcome.kind === "ready") this.dispatch({ kind: "imageReady", container: name, image, id: outcome.id });
    else {
      const { reason, message } = outcome;
      this.dispatch({ kind: "imageFailed", container: name, image, reason, message });
    }
  }

  async #pullSecrets(): Promise<DeepReadonly<Secret>[]> {
    const { references } = this.#node;
    const { pod } = this.#state;
    const { namespace, uid } = pod.metadata;
    const found = await Promise.all(
      (pod.spec.imagePullSecrets ?? []).map(async ({ name }) => {
        if (!name) return [];
        const secret = await references.get(Secrets, namespace, name, uid);
        if (secret) return [secret];
        this.#record(
          undefined,
          "Warning",
          "FailedToRetrieveImagePullSecret",
          `Unable to retrieve some image pull secrets (${name}); attempting to pull the image may not succeed.`,
        );
        return [];
      }),
    );
    return found.flat();
  }

  async #startContainer(effect: PodEffect & { kind: "startContainer" }): Promise<void> {
    const { container: name, attempt, backoff } = effect;
    const { runtime } = this.#node;
    const fail = (reason: string, message: string) => {
      this.#record(name, "Warning", "Failed", `Error: ${message}`);
      this.dispatch({ kind: "containerNotStarted", container: name, problem: { reason, message } });
    };
    let id: ContainerId;
    try {
      const config = await this.#containerConfig(effect);
      const { sandbox } = this.#state;
      if (sandbox.kind !== "ready") throw new Error("the pod's sandbox is gone");
      try {
        id = await runtime.createContainer(sandbox.id, config);
      } catch (error) {
        return fail("CreateContainerError", (error as Error).message);
      }
    } catch (error) {
      return fail("CreateContainerConfigError", (error as Error).message);
    }
    this.#record(name, "Normal", "Created", "Container created");
    try {
      await runtime.startContainer(id);
    } catch (error) {
      await this.#reportFailedStart(name, id, error as Error);
      return;
    }
    this.#record(name, "Normal", "Started", "Container started");
    const status = runtime.containerStatus(id);
    if (!status) return fail("RunContainerError", `container ${id} vanished while it was started`);
    const { state } = status;
    const startedAtMs = state.kind === "created" ? this.#node.clock.now() : state.startedAtMs;
    const hasHook = findContainerSpec(this.#state.pod, name)?.lifecycle?.postStart !== undefined;
    this.dispatch({
      kind: "containerStarted",
      container: name,
      run: { kind: "running", ...identityOf(status), startedAtMs, ...(hasHook ? { hook: "wanted" as const } : {}) },
      ...(backoff ? { backoff } : {}),
    });
    if (state.kind === "exited") await this.#reportExit(status);
    void this.#forgetOldRuns(name, attempt);
  }

  /** A container whose command could not be executed has exited, with upstream's reason and code. */
  async #reportFailedStart(name: string, id: ContainerId, error: Error): Promise<void> {
    const { runtime, clock } = this.#node;
    this.#record(name, "Warning", "Failed", `Error: ${error.message}`);
    const problem = { reason: "RunContainerError", message: error.message };
    const status = runtime.containerStatus(id);
    const run = status && exitedRun(status, undefined, error.message);
    if (run) {
      const exit = { ...run, reason: "StartError", finishedAtMs: run.finishedAtMs || clock.now() };
      this.dispatch({ kind: "containerNotStarted", container: name, problem, run: exit });
      return;
    }
    await runtime.removeContainer(id).catch(() => {});
    this.dispatch({ kind: "containerNotStarted", container: name, problem });
  }

  async #containerConfig(effect: PodEffect & { kind: "startContainer" }) {
    const { images, references, services, facts, seccompRoot } = this.#node;
    const { pod } = this.#state;
    const container = findContainerSpec(pod, effect.container);
    if (!container) throw new ContainerConfigError(`container ${effect.container} is not in the pod's spec any more`);
    const { namespace, uid } = pod.metadata;
    const env = await containerEnvironment(pod, container, {
      ...this.#fieldFacts(),
      services: services(),
      get: (resource, name) => references.get(resource, namespace, name, uid),
    });
    const image = images.status(effect.imageId) ?? images.status(container.image ?? "");
    if (!image) throw new ContainerConfigError(`image ${JSON.stringify(container.image)} is not present any more`);
    const logPath = containerLogPath(this.#folders, container.name, effect.attempt);
    mkdirSync(dirname(logPath), { recursive: true, mode: 0o755 });
    const mounts = containerMounts(container, this.#volumes, this.#folders, env);
    if (!mounts.some((mount) => mount.containerPath === "/etc/hosts")) {
      mounts.push({ hostPath: this.#hostsPath, containerPath: "/etc/hosts" });
    }
    const messagePath = this.#terminationMessagePath(container.name, effect.attempt);
    mkdirSync(dirname(messagePath), { recursive: true, mode: 0o755 });
    writeFileSync(messagePath, "");
    chmodSync(messagePath, 0o666); // Any user of the container may write; the umask would forbid it.
    mounts.push({
      hostPath: messagePath,
      containerPath: container.terminationMessagePath || defaultTerminationMessagePath,
    });
    return containerConfig({
      pod,
      container,
      attempt: effect.attempt,
      image,
      env,
      mounts,
      logPath,
      nodeMemoryBytes: facts.memoryBytes,
      seccompRoot,
      ...(effect.backoff ? { backoff: effect.backoff } : {}),
    });
  }

  #terminationMessagePath(container: string, attempt: number): string {
    return join(this.#folders.volatile, "containers", container, String(attempt));
  }

  async #reportExit(status: ContainerStatus): Promise<void> {
    const message = await this.#terminationMessage(status);
    const run = exitedRun(status, undefined, message);
    if (run) this.dispatch({ kind: "containerExited", container: status.config.name, run });
  }

  /** What the container wrote to its termination log; its last output, when it asked for that and failed. */
  async #terminationMessage(status: ContainerStatus): Promise<string | undefined> {
    const { name, attempt } = status.config;
    const path = this.#terminationMessagePath(name, attempt);
    const written = await readTail(path, maximumTerminationMessageBytes).catch(() => "");
    if (written) return written;
    const spec = findContainerSpec(this.#state.pod, name);
    const hasFailed = status.state.kind === "exited" && status.state.exitCode !== 0;
    if (spec?.terminationMessagePolicy !== "FallbackToLogsOnError" || !hasFailed) return undefined;
    const log = await readTail(containerLogPath(this.#folders, name, attempt), 4 * maximumFallbackBytes).catch(
      () => "",
    );
    const lines = log.split("\n").map((line) => line.split(" ").slice(3).join(" "));
    return (
      lines
        .slice(-maximumFallbackLines - 1)
        .join("\n")
        .slice(-maximumFallbackBytes) || undefined
    );
  }

  /** One run before the present one stays, for its exit code and its log. */
  async #forgetOldRuns(name: string, attempt: number): Promise<void> {
    const { runtime } = this.#node;
    const { uid } = this.#state.pod.metadata;
    const old = runtime
      .listContainers({ podUid: uid })
      .filter((status) => status.config.name === name && status.config.attempt < attempt - 1);
    await Promise.all(old.map((status) => runtime.removeContainer(status.id).catch(() => {})));
    if (attempt < 2) return;
    await rm(containerLogPath(this.#folders, name, attempt - 2), { force: true });
    await rm(this.#terminationMessagePath(name, attempt - 2), { force: true });
  }

  #actionTarget(container: ContainerSpec, id: ContainerId): ActionTarget {
    const { clock, runtime, connect } = this.#node;
    const { sandbox } = this.#state;
    return {
      podIP: (sandbox.kind === "ready" ? sandbox.ips[0] : undefined) ?? "127.0.0.1",
      container,
      clock,
      connect,
      exec: (command, timeoutMs, signal) => runtime.execSync(id, command, { timeoutMs, signal }),
    };
  }

  async #runPostStart(name: string, id: ContainerId): Promise<void> {
    const container = findContainerSpec(this.#state.pod, name);
    const hook = container?.lifecycle?.postStart;
    if (!container || !hook) return this.dispatch({ kind: "hookEnded", container: name, id });
    const failure = await runHook(hook, this.#actionTarget(container, id), this.#node.runAction, this.#ending.signal);
    if (this.#ending.signal.aborted) return;
    if (failure !== undefined) {
      this.#node.log.info("postStart hook failed", { pod: this.#name, container: name, failure });
      this.#record(name, "Warning", "FailedPostStartHook", "PostStartHook failed");
    }
    this.dispatch({ kind: "hookEnded", container: name, id, ...(failure !== undefined ? { failure } : {}) });
  }

  async #stopContainer(effect: PodEffect & { kind: "stopContainer" }): Promise<void> {
    const { clock, runtime } = this.#node;
    const { id, container: name, graceSeconds } = effect;
    const deadlineMs = clock.now() + graceSeconds * 1000;
    const current = this.#stops.get(id);
    if (current) {
      // Asked again with less grace: the hook ends sooner, or the runtime is told.
      if (deadlineMs >= current.deadlineMs) return;
      current.deadlineMs = deadlineMs;
      if (current.hook) this.#limitHook(current, graceSeconds);
      else await runtime.stopContainer(id, { gracePeriodSeconds: graceSeconds });
      return;
    }
    this.#record(name, "Normal", "Killing", effect.message);
    const stop: Stop = { deadlineMs, hook: undefined, timer: undefined };
    this.#stops.set(id, stop);
    try {
      const container = findContainerSpec(this.#state.pod, name);
      const preStop = container?.lifecycle?.preStop;
      if (container && preStop && graceSeconds > 0) {
        stop.hook = new AbortController();
        this.#limitHook(stop, graceSeconds);
        const failure = await runHook(
          preStop,
          this.#actionTarget(container, id),
          this.#node.runAction,
          stop.hook.signal,
        );
        stop.timer?.[Symbol.dispose]();
        stop.hook = undefined;
        if (failure !== undefined) {
          this.#node.log.info("preStop hook failed", { pod: this.#name, container: name, failure });
          this.#record(name, "Warning", "FailedPreStopHook", "PreStopHook failed");
        }
      }
      await this.#untilDone("error killing pod", async () => {
        const leftSeconds = Math.max(0, Math.ceil((stop.deadlineMs - clock.now()) / 1000));
        const leastSeconds = preStop && graceSeconds > 0 ? minimumGraceSeconds : 0;
        await runtime.stopContainer(id, { gracePeriodSeconds: Math.max(leftSeconds, leastSeconds) });
      });
    } finally {
      this.#stops.delete(id);
    }
    // The runtime's exit notice normally came first; this is for one that was lost.
    const status = runtime.containerStatus(id);
    if (status?.state.kind === "exited") this.containerExited(status);
    else if (!status) this.#reportLoss(name, id);
  }

  /** The runtime does not know the container any more: it has ended, nobody knows how. */
  #reportLoss(name: string, id: ContainerId): void {
    const run = this.#state.containers.find((container) => container.name === name)?.run;
    if (run?.kind !== "running" || run.id !== id) return;
    const { hook: _, stopping: __, ...identity } = run;
    const exit = {
      ...identity,
      kind: "exited" as const,
      exitCode: 137,
      reason: "ContainerStatusUnknown",
      message: "The container could not be located when the pod was terminated",
      finishedAtMs: this.#node.clock.now(),
    };
    this.dispatch({ kind: "containerExited", container: name, run: exit });
  }

  /** Tries again, later each time, until it succeeds or the node's kubelet ends. What is not there needs nothing done. */
  async #untilDone(what: string, work: () => Promise<void>): Promise<void> {
    const { clock, log, signal } = this.#node;
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        return await work();
      } catch (error) {
        if (signal.aborted || isRuntimeError(error, "NotFound")) return;
        const { message } = error as Error;
        log.warn(what, { pod: this.#name, error: message });
        if (failures === 1) this.#record(undefined, "Warning", "FailedKillPod", `${what}: ${message}`);
        await sleep(clock, backoffDelayMs(retryBackoff, failures), signal).catch(() => {});
      }
    }
  }

  #limitHook(stop: Stop, graceSeconds: number): void {
    const { hook } = stop;
    stop.timer?.[Symbol.dispose]();
    stop.timer = this.#node.clock.setTimer(graceSeconds * 1000, () => hook?.abort(), { background: true });
  }

  /** The pod has ended: its address and volumes are given back, its records and logs stay. */
  async #release(): Promise<void> {
    const { runtime, network } = this.#node;
    const { uid } = this.#state.pod.metadata;
    this.#refreshTimer?.[Symbol.dispose]();
    await this.#untilDone("error killing pod", async () => {
      await Promise.all(this.#sandboxes().map((sandbox) => runtime.stopSandbox(sandbox.id)));
      await Promise.all([network.detach(uid), removeVolumes(this.#folders)]);
    });
    this.#node.references.release(uid);
    this.dispatch({ kind: "released" });
  }

  #sandboxes() {
    const { uid } = this.#state.pod.metadata;
    return this.#node.runtime.listSandboxes().filter((sandbox) => sandbox.config.pod.uid === uid);
  }

  async #remove(): Promise<void> {
    const { runtime, network, references } = this.#node;
    const { uid } = this.#state.pod.metadata;
    this.#refreshTimer?.[Symbol.dispose]();
    references.release(uid);
    await this.#untilDone("error removing pod", async () => {
      await Promise.all(this.#sandboxes().map((sandbox) => runtime.removeSandbox(sandbox.id)));
      await Promise.all([network.detach(uid), removeVolumes(this.#folders)]);
      await Promise.all([
        rm(this.#folders.root, { recursive: true, force: true }),
        rm(this.#folders.logs, { recursive: true, force: true }),
      ]);
    });
    if (this.#node.signal.aborted) return;
    this.dispatch({ kind: "removed" });
    if (this.#state.stage.kind === "gone") {
      this.close();
      this.#node.onGone(uid);
    }
  }

  /** The last word to the API: the final status, and that the object may go. */
  async #deleteObject(): Promise<void> {
    const { client, statuses, clock, log, signal } = this.#node;
    const { name, namespace, uid } = this.#state.pod.metadata;
    // The state is final; publish it before the removal makes it unpublishable.
    this.#publish();
    await Promise.all([statuses.flushed(uid), this.#removal]);
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        await client.delete(Pods, { name, namespace }, { gracePeriodSeconds: 0, preconditions: { uid }, signal });
        return;
      } catch (error) {
        if (isNotFound(error) || isConflict(error) || signal.aborted) return;
        log.warn("deleting a pod's object failed", { pod: this.#name, error: (error as Error).message });
        await sleep(clock, backoffDelayMs({ initialMs: 200, maximumMs: 10_000 }, failures), signal);
      }
    }
  }

  /** Starts the probes that the state calls for and stops the others. */
  #syncProbes(): void {
    const wanted = wantedProbes(this.#state);
    const keys = new Set(wanted.map(({ id, kind }) => `${id}/${kind}`));
    for (const [key, worker] of this.#probes) {
      if (keys.has(key)) continue;
      worker.stop();
      this.#probes.delete(key);
    }
    if (this.#ending.signal.aborted) return;
    for (const probe of wanted) {
      const key = `${probe.id}/${probe.kind}`;
      if (!this.#probes.has(key)) this.#startProbe(key, probe);
    }
  }

  #startProbe(key: string, { container: name, id, kind, startedAtMs, verdict }: WantedProbe): void {
    const { clock, random } = this.#node;
    const container = findContainerSpec(this.#state.pod, name);
    const probe = container && probeOf(container, kind);
    if (!container || !probe) return;
    const title = kind[0]!.toUpperCase() + kind.slice(1);
    const isAdopted = clock.now() - startedAtMs > 10_000;
    const worker = new ProbeWorker({
      kind,
      probe,
      clock,
      startedAtMs,
      ...(verdict !== undefined ? { verdict } : {}),
      ...(isAdopted && kind !== "startup" ? { firstDelayMs: random.float() * (probe.periodSeconds ?? 10) * 1000 } : {}),
      run: (timeoutMs, signal) => this.#node.runAction(probe, this.#actionTarget(container, id), timeoutMs, signal),
      onFailure: (result) => {
        if (result.kind === "failure")
          this.#record(name, "Warning", "Unhealthy", `${title} probe failed: ${result.output}`);
        else if (result.kind === "warning")
          this.#record(name, "Warning", "ProbeWarning", `${title} probe warning: ${result.output}`);
        else {
          const message = `${title} probe errored and resulted in unknown state: ${result.error}`;
          this.#record(name, "Warning", "Unhealthy", message);
        }
      },
      onVerdict: (success) => {
        const graceSeconds = probe.terminationGracePeriodSeconds;
        this.dispatch({
          kind: "probed",
          container: name,
          id,
          probe: kind,
          success,
          ...(graceSeconds !== undefined ? { graceSeconds } : {}),
        });
      },
    });
    this.#probes.set(key, worker);
    worker.start();
  }
}

/** What mounted files may say of a pod and may change; empty when it has no such files. */
function downwardText({ metadata, spec }: PodObject): string {
  const hasFiles = spec.volumes?.some(
    ({ downwardAPI, projected }) => downwardAPI ?? projected?.sources?.some((source) => source.downwardAPI),
  );
  return hasFiles ? JSON.stringify([metadata.labels, metadata.annotations]) : "";
}

/** Runtimes read some; the copy of the manifest that `kubectl apply` leaves is for nobody here. */
function podAnnotations(pod: PodObject): Record<string, string> {
  const { "kubectl.kubernetes.io/last-applied-configuration": _, ...rest } = pod.metadata.annotations ?? {};
  return rest;
}

const minimumGraceSeconds = 2;
const retryBackoff = { initialMs: 500, maximumMs: 30_000 };

interface WantedProbe {
  container: string;
  id: ContainerId;
  kind: ProbeKind;
  startedAtMs: number;
  verdict?: boolean;
}

/** Startup until it passes, then the other two; a pod that is being stopped is only asked whether it is still ready. */
export function wantedProbes(state: PodState): WantedProbe[] {
  return state.containers.flatMap(({ name, role, run, started, ready }) => {
    const spec = findContainerSpec(state.pod, name);
    if (!spec || run.kind !== "running" || run.hook || role === "init" || role === "ephemeral") return [];
    const probe = { container: name, id: run.id, startedAtMs: run.startedAtMs };
    const wanted: WantedProbe[] = [];
    const isStopping = run.stopping !== undefined || state.stage.kind !== "active";
    if (!started && spec.startupProbe && !isStopping) wanted.push({ ...probe, kind: "startup" });
    if (started && spec.readinessProbe) wanted.push({ ...probe, kind: "readiness", verdict: ready });
    if (started && spec.livenessProbe && !isStopping) wanted.push({ ...probe, kind: "liveness" });
    return wanted;
  });
}

function probeOf(container: ContainerSpec, kind: ProbeKind) {
  if (kind === "startup") return container.startupProbe;
  return kind === "liveness" ? container.livenessProbe : container.readinessProbe;
}

async function readTail(path: string, bytes: number): Promise<string> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    if (size <= bytes) return await readFile(file, "utf8");
    const buffer = Buffer.alloc(bytes);
    const { bytesRead } = await file.read(buffer, 0, bytes, size - bytes);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}
