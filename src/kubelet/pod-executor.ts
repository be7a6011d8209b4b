/**
 * One pod's doer: keeps its state, applies what the state machine wants with the runtime, the network and the volumes, and answers with
 * events. Everything waits on its own; no pod waits for another.
 */
import { rm } from "node:fs/promises";
import type { PodStatus, ResourceStatus } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Pods } from "../api/resources.ts";
import { isConflict, isNotFound } from "../apimachinery/status-error.ts";
import { backoffDelayMs } from "../base/backoff.ts";
import { sleep, type Timer } from "../base/clock.ts";
import { ContainerResizer } from "./container-resize.ts";
import { ContainerStarter } from "./container-start.ts";
import { ContainerStopper } from "./container-stop.ts";
import { ensureImage } from "./image-puller.ts";
import { type PodFolders, podFolders } from "./paths.ts";
import { isAlive } from "./plan-pod.ts";
import { type PodDesk, type PodSurroundings, pullSecrets, untilDone } from "./pod-desk.ts";
import { PodProbes } from "./pod-probes.ts";
import { makeSandbox } from "./pod-sandbox.ts";
import {
  containerFieldPath,
  findContainerSpec,
  type PodEffect,
  type PodEvent,
  type PodObject,
  type PodState,
} from "./pod-state.ts";
import { podStatus } from "./pod-status.ts";
import { PodVolumeKeeper } from "./pod-volume-keeper.ts";
import { stepPod } from "./pod-worker.ts";
import type { ProbeTallies } from "./probes/probe-tally.ts";
import type { ContainerStatus } from "./runtime/container-runtime.ts";
import { removeVolumes } from "./volumes/pod-volumes.ts";

/** Not stopContainer and the hooks: they may take as long as their grace, and the next kubelet repeats them. */
const changesMachine: ReadonlySet<PodEffect["kind"]> = new Set([
  "createSandbox",
  "prepareVolumes",
  "startContainer",
  "release",
  "remove",
]);

export class PodExecutor implements PodDesk {
  readonly node: PodSurroundings;
  readonly folders: PodFolders;
  readonly #inbox: PodEvent[] = [];
  readonly #ending = new AbortController();
  readonly #volumes: PodVolumeKeeper;
  readonly #starter: ContainerStarter;
  readonly #stopper: ContainerStopper;
  readonly #resizer: ContainerResizer;
  readonly #probes: PodProbes;
  #state: PodState;
  #wake: Timer | undefined;
  #removal: Promise<void> = Promise.resolve();
  /** Work that leaves something behind on the machine when its process ends under it. */
  readonly #unfinished = new Set<Promise<void>>();
  #isWorking = false;

  constructor(state: PodState, node: PodSurroundings) {
    this.node = node;
    this.#state = state;
    this.folders = podFolders(node.folders, state.pod);
    this.#volumes = new PodVolumeKeeper(this);
    this.#starter = new ContainerStarter(this, this.#volumes);
    this.#stopper = new ContainerStopper(this, (status) => this.containerExited(status));
    this.#resizer = new ContainerResizer(this);
    this.#probes = new PodProbes(this);
  }

  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** How its probes went so far. */
  get probes(): ProbeTallies {
    return this.#probes.tallies;
  }

  get state(): PodState {
    return this.#state;
  }

  /** Takes the pod on, or up again where a kubelet before this one left it. */
  start(): void {
    const { pod, stage, sandbox } = this.#state;
    if (stage.kind === "active" && sandbox.kind === "ready") {
      this.#background(this.node.hostPorts?.open(pod, sandbox.ips) ?? Promise.resolve());
    }
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
    this.#volumes.stop();
    this.#probes.stop();
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
    this.resize();
  }

  /** Gives the containers what their spec asks for, if they have something else. */
  resize(): void {
    this.#background(this.#resizer.sync());
  }

  /** A ConfigMap or Secret that the pod refers to has changed. */
  referenceChanged(): void {
    if (this.#state.volumes.kind === "ready") void this.#volumes.refresh();
    this.dispatch({ kind: "referenceChanged" });
  }

  /** A driver for dynamic resources has registered: what waits for one is tried again. */
  driverAppeared(): void {
    if (this.#state.pod.spec.resourceClaims?.length || this.#state.pod.status?.extendedResourceClaimStatus)
      this.dispatch({ kind: "referenceChanged" });
  }

  /** Something else is to be said of devices. */
  devicesChanged(): void {
    if (this.#state.pod.spec.resourceClaims?.length) this.#publish();
  }

  containerExited(status: ContainerStatus): void {
    const container = this.#state.containers.find(({ name }) => name === status.config.name);
    // A container that is still being started is looked at when its start returns.
    if (container?.run.kind !== "running" || container.run.id !== status.id) return;
    void this.#starter.reportExit(status);
  }

  #step(event: PodEvent): void {
    const { clock } = this.node;
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
    const { statuses, facts, clock } = this.node;
    this.#probes.sync();
    const { pod, stage } = this.#state;
    if (stage.kind === "gone" || this.#ending.signal.aborted) return;
    const known = statuses.known(pod);
    const status = podStatus(this.#state, known, facts, clock.now());
    if (pod.spec.resourceClaims?.length) this.#tellDevices(status, known);
    statuses.set(pod, status);
  }

  /** Of a pod that has given its claims back it stays as it was. */
  #tellDevices(status: PodStatus, known: DeepReadonly<PodStatus> | undefined): void {
    const { pod } = this.#state;
    for (const told of status.containerStatuses ?? []) {
      const container = pod.spec.containers.find(({ name }) => name === told.name);
      const before = known?.containerStatuses?.find(({ name }) => name === told.name)?.allocatedResourcesStatus;
      const now = container && this.node.claims?.resourcesStatus(pod, container);
      const devices = now ?? (before && structuredClone(before as ResourceStatus[]));
      if (devices) told.allocatedResourcesStatus = devices;
    }
  }

  #apply(effect: PodEffect): void {
    if (effect.kind === "event") this.record(effect.container, effect.type, effect.reason, effect.message);
    else if (!this.node.signal.aborted) this.#begin(effect);
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
        return this.#volumes.prepare();
      case "ensureImage":
        return this.#ensureImage(effect.container);
      case "startContainer":
        return this.#starter.start(effect);
      case "runPostStart":
        return this.#starter.runPostStart(effect.container, effect.id);
      case "stopContainer":
        return this.#stopper.stop(effect);
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
      if (this.#ending.signal.aborted || this.node.signal.aborted) return;
      this.node.log.error("pod work failed", { pod: this.name, error: (error as Error).stack ?? String(error) });
    });
  }

  get name(): string {
    const { namespace, name } = this.#state.pod.metadata;
    return `${namespace}/${name}`;
  }

  record(container: string | undefined, type: "Normal" | "Warning", reason: string, message: string): void {
    const { pod } = this.#state;
    const fieldPath = container === undefined ? undefined : containerFieldPath(pod, container);
    this.node.events.event({ ...pod, apiVersion: "v1", kind: "Pod" }, type, reason, message, fieldPath);
  }

  async #createSandbox(attempt: number): Promise<void> {
    this.dispatch(await this.node.turns.take(() => makeSandbox(this, attempt)));
  }

  async #ensureImage(name: string): Promise<void> {
    const spec = findContainerSpec(this.#state.pod, name);
    if (!spec) return;
    const record = (type: "Normal" | "Warning", reason: string, message: string) =>
      this.record(name, type, reason, message);
    const outcome = await ensureImage(spec, () => pullSecrets(this), this.node, record, this.node.signal);
    const image = spec.image ?? "";
    if (outcome.kind === "ready") this.dispatch({ kind: "imageReady", container: name, image, id: outcome.id });
    else {
      const { reason, message } = outcome;
      this.dispatch({ kind: "imageFailed", container: name, image, reason, message });
    }
  }

  /** The pod has ended: its address and volumes are given back, its records and logs stay. */
  async #release(): Promise<void> {
    const { runtime, network } = this.node;
    const { uid } = this.#state.pod.metadata;
    this.#volumes.stop();
    await untilDone(this, "error killing pod", async () => {
      await Promise.all(this.#sandboxes().map((sandbox) => runtime.stopSandbox(sandbox.id)));
      await Promise.all([
        network.detach(uid),
        runtime.withoutFiles ? undefined : removeVolumes(this.folders, this.node.csi),
        this.node.claims?.unprepare(uid),
        this.node.hostPorts?.close(this.#state.pod),
      ]);
    });
    this.node.references.release(uid);
    this.node.trustBundles.release(uid);
    this.dispatch({ kind: "released" });
  }

  #sandboxes() {
    const { uid } = this.#state.pod.metadata;
    return this.node.runtime.listSandboxes().filter((sandbox) => sandbox.config.pod.uid === uid);
  }

  async #remove(): Promise<void> {
    const { runtime, network, references } = this.node;
    const { uid } = this.#state.pod.metadata;
    this.#volumes.stop();
    references.release(uid);
    this.node.trustBundles.release(uid);
    await untilDone(this, "error removing pod", async () => {
      await Promise.all(this.#sandboxes().map((sandbox) => runtime.removeSandbox(sandbox.id)));
      await Promise.all([
        network.detach(uid),
        runtime.withoutFiles ? undefined : removeVolumes(this.folders, this.node.csi),
        this.node.claims?.unprepare(uid),
        this.node.hostPorts?.close(this.#state.pod),
      ]);
      if (runtime.withoutFiles) return;
      await Promise.all([
        rm(this.folders.root, { recursive: true, force: true }),
        rm(this.folders.logs, { recursive: true, force: true }),
      ]);
    });
    if (this.node.signal.aborted) return;
    this.dispatch({ kind: "removed" });
    if (this.#state.stage.kind === "gone") {
      this.close();
      this.node.onGone(uid);
    }
  }

  /** The last word to the API: the final status, and that the object may go. */
  async #deleteObject(): Promise<void> {
    const { client, statuses, clock, log, signal } = this.node;
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
        log.warn("deleting a pod's object failed", { pod: this.name, error: (error as Error).message });
        await sleep(clock, backoffDelayMs({ initialMs: 200, maximumMs: 10_000 }, failures), signal);
      }
    }
  }
}

/** What mounted files may say of a pod and may change; empty when it has no such files. */
function downwardText({ metadata, spec }: PodObject): string {
  const hasFiles = spec.volumes?.some(
    ({ downwardAPI, projected }) => downwardAPI ?? projected?.sources?.some((source) => source.downwardAPI),
  );
  return hasFiles ? JSON.stringify([metadata.labels, metadata.annotations]) : "";
}
