/**
 * Static pods: those that the files of a folder ask for, whatever the API says. Each has a mirror in the API, which shows it and
 * which cannot do anything to it. Upstream's counterparts are the kubelet's file source and its mirror client.
 */
import { type FSWatcher, watch } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Pod } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Pods } from "../../api/resources.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../../apimachinery/status-error.ts";
import type { Clock, Timer } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Client } from "../../client/client.ts";
import type { PodObject } from "../pod-state.ts";
import { mirroredUid, mirrorPod, staticPod } from "./manifest.ts";

export interface StaticPodsOptions {
  /** Made when it is not there. Files whose names begin with a dot are passed over. */
  folder: string;
  nodeName: string;
  client: Client;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
  /** The Node object's; empty while the node is not registered. */
  nodeUid(): string;
  /** A pod by this uid is still on the node. */
  isHere(uid: string): boolean;
  /** Begin with it. Whatever had its name is gone. */
  onAdded(pod: PodObject): void;
  /** Its file is gone or asks for something else. */
  onRemoved(uid: string): void;
  /** Its status has another reader from now on. */
  onMirror(pod: PodObject, mirror: DeepReadonly<Pod>): void;
}

/** An editor writes in several steps. */
const settleMs = 50;

export class StaticPods {
  readonly #options: StaticPodsOptions;
  /** What the files ask for, by namespace and name. */
  #wanted = new Map<string, PodObject>();
  /** Those that were begun with and are not gone yet, by uid. */
  readonly #running = new Map<string, PodObject>();
  readonly #mirrors = new Map<string, DeepReadonly<Pod>>();
  readonly #complaints = new Map<string, string>();
  #watcher: FSWatcher | undefined;
  #timer: Timer | undefined;
  #mirrorsKnown = false;
  #work: Promise<void> = Promise.resolve();

  constructor(options: StaticPodsOptions) {
    this.#options = options;
  }

  /** Resolves when the pods of the files that are there have been begun with. */
  async start(): Promise<void> {
    const { folder, signal, clock, log } = this.#options;
    await mkdir(folder, { recursive: true });
    this.#watcher = watch(folder, { persistent: false }, () => {
      this.#timer?.[Symbol.dispose]();
      this.#timer = clock.setTimer(settleMs, () => void this.read(), { background: true });
    });
    this.#watcher.on("error", (error) =>
      log.warn("watching the static pods' folder failed", { folder, error: error.message }),
    );
    signal.addEventListener("abort", () => this.#close(), { once: true });
    await this.read();
  }

  /** Looks at the files, and begins with what is new and ends what is gone. */
  async read(): Promise<void> {
    const { signal, log, folder } = this.#options;
    try {
      this.#wanted = await this.#readFolder();
    } catch (error) {
      log.warn("reading the static pods' folder failed", { folder, error: (error as Error).message });
      return;
    }
    if (!signal.aborted) this.sync();
  }

  /** The API's pods of this node are known: mirrors that are not there can be made. */
  begin(): void {
    this.#mirrorsKnown = true;
    this.sync();
  }

  /** True when the pod is a mirror, and so nothing to run. */
  tookMirror(type: "ADDED" | "MODIFIED" | "DELETED", pod: DeepReadonly<Pod>): boolean {
    const uid = mirroredUid(pod);
    if (uid === undefined) return false;
    const key = keyOf(pod);
    if (type === "DELETED") this.#mirrors.delete(key);
    else {
      const before = this.#mirrors.get(key);
      this.#mirrors.set(key, pod);
      const own = this.#running.get(uid);
      if (own && before?.metadata.uid !== pod.metadata.uid) this.#options.onMirror(own, pod);
    }
    this.sync();
    return true;
  }

  /** The API's object for a static pod; undefined while there is none. */
  mirrorOf(pod: PodObject): DeepReadonly<Pod> | undefined {
    const mirror = this.#mirrors.get(keyOf(pod));
    return mirror && mirroredUid(mirror) === pod.metadata.uid ? mirror : undefined;
  }

  /** Nothing of it is left on the node. */
  gone(uid: string): void {
    if (this.#running.delete(uid)) this.sync();
  }

  /** Begins and ends pods, then makes and removes mirrors. Called whenever something may have changed; calls wait for each other. */
  sync(): void {
    this.#syncPods();
    this.#work = this.#work.then(() => this.#syncMirrors());
  }

  #syncPods(): void {
    const { onRemoved, onAdded, isHere } = this.#options;
    const wanted = new Set([...this.#wanted.values()].map((pod) => pod.metadata.uid));
    for (const uid of this.#running.keys()) if (!wanted.has(uid)) onRemoved(uid);
    const busy = new Set([...this.#running.values()].map(keyOf));
    for (const [key, pod] of this.#wanted) {
      const { uid } = pod.metadata;
      // One that has the same name ends first.
      if (busy.has(key) || isHere(uid)) continue;
      this.#running.set(uid, pod);
      onAdded(pod);
    }
  }

  async #syncMirrors(): Promise<void> {
    const { nodeUid, nodeName, signal } = this.#options;
    if (!this.#mirrorsKnown || signal.aborted || !nodeUid()) return;
    for (const mirror of [...this.#mirrors.values()]) {
      const pod = this.#podOf(mirror);
      if (pod && !mirror.metadata.deletionTimestamp) continue;
      // A user's deletion ends the mirror, and another takes its place; one whose pod has gone ends, too.
      await this.#attempt("deleting", mirror, async ({ client }) => {
        const { name, namespace, uid } = mirror.metadata;
        await client.delete(Pods, { name, namespace }, { gracePeriodSeconds: 0, preconditions: { uid }, signal });
      });
    }
    for (const pod of this.#running.values()) {
      if (this.#mirrors.has(keyOf(pod)) || !this.#wanted.has(keyOf(pod))) continue;
      await this.#attempt("creating", pod, async ({ client }) => {
        await client.create(Pods, mirrorPod(pod, { name: nodeName, uid: nodeUid() }), { signal });
      });
    }
  }

  /** The running pod that a mirror shows. */
  #podOf(mirror: DeepReadonly<Pod>): PodObject | undefined {
    const uid = mirroredUid(mirror);
    return uid === undefined ? undefined : this.#running.get(uid);
  }

  /** What fails is tried again with the next sync; the lease's renewal brings one. */
  async #attempt(what: string, pod: PodObject, work: (options: StaticPodsOptions) => Promise<void>): Promise<void> {
    const { log, signal } = this.#options;
    try {
      await work(this.#options);
    } catch (error) {
      if (signal.aborted || isNotFound(error) || isAlreadyExists(error) || isConflict(error)) return;
      log.warn(`${what} a mirror pod failed`, { pod: keyOf(pod), error: (error as Error).message });
    }
  }

  async #readFolder(): Promise<Map<string, PodObject>> {
    const { folder, nodeName, clock, log } = this.#options;
    const wanted = new Map<string, PodObject>();
    const entries = await readdir(folder, { withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile() && !entry.name.startsWith(".")).map(({ name }) => name);
    for (const name of files.sort()) {
      const path = join(folder, name);
      let complaint: string | undefined;
      try {
        const pod = staticPod({ path, text: await readFile(path, "utf8") }, nodeName, clock.now());
        const other = wanted.get(keyOf(pod));
        if (other && other.metadata.uid !== pod.metadata.uid) complaint = `another file holds the pod ${keyOf(pod)}`;
        else wanted.set(keyOf(pod), this.#running.get(pod.metadata.uid) ?? pod);
      } catch (error) {
        complaint = (error as Error).message;
      }
      if (complaint && this.#complaints.get(path) !== complaint)
        log.warn("a static pod's file was passed over", { path, error: complaint });
      if (complaint) this.#complaints.set(path, complaint);
      else this.#complaints.delete(path);
    }
    return wanted;
  }

  #close(): void {
    this.#watcher?.close();
    this.#timer?.[Symbol.dispose]();
  }
}

function keyOf({ metadata }: PodObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}
