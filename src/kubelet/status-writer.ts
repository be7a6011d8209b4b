/**
 * Writes pod statuses to the API (upstream's status manager): one patch at a time per pod, with whatever is newest when its turn comes, so
 * that a burst of changes costs one write. Nothing is written that the API says already.
 */
import type { PodCondition, PodStatus } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Pods } from "../api/resources.ts";
import { isConflict, isNotFound } from "../apimachinery/status-error.ts";
import { backoffDelayMs } from "../base/backoff.ts";
import { type Clock, sleep, type Timer } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Client } from "../client/client.ts";
import type { PodObject } from "./pod-state.ts";

export interface StatusWriterOptions {
  client: Client;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
  /** The API's object whose status it is, for a pod that the API does not hold itself; undefined while there is none. Default: the pod. */
  objectOf?(pod: PodObject): PodObject | undefined;
}

/** How long a change that nobody waits for (an address, a condition of the sandbox) may wait for company. */
const unhurriedMs = 200;

export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: StatusWriterOptions) {
    this.#options = options;
  }

  /** The status as this node knows it: what was written last, or what was read. */
  known(pod: PodObject): DeepReadonly<PodStatus> | undefined {
    return this.#entries.get(pod.metadata.uid)?.wanted ?? pod.status;
  }

  /** Sees to it that the API says this. Returns at once. */
  set(pod: PodObject, status: PodStatus): void {
    const { uid } = pod.metadata;
    const entry = this.#entries.get(uid) ?? { pod, wanted: undefined, written: pod.status ?? {} };
    this.#entries.set(uid, entry);
    const before = entry.wanted ?? entry.written;
    entry.pod = pod;
    if (!differs(before, status)) return;
    entry.wanted = status;
    if (isUrgent(before, status)) this.#start(entry);
    else if (!entry.writing) this.#startLater(entry);
  }

  #startLater(entry: Entry): void {
    entry.timer ??= this.#options.clock.setTimer(unhurriedMs, () => this.#start(entry), { background: true });
  }

  /** Resolves when nothing is left to write for the pod, or when it cannot be written any more. */
  async flushed(podUid: string): Promise<void> {
    const entry = this.#entries.get(podUid);
    if (!entry) return;
    entry.isLast = true;
    this.#start(entry);
    await entry.writing;
  }

  /** Another object stands for the pod, which holds this. */
  anew(podUid: string, held: DeepReadonly<PodStatus>): void {
    const entry = this.#entries.get(podUid);
    if (!entry) return;
    entry.written = held;
    this.#start(entry);
  }

  forget(podUid: string): void {
    this.#entries.get(podUid)?.timer?.[Symbol.dispose]();
    this.#entries.delete(podUid);
  }

  #start(entry: Entry): void {
    entry.timer?.[Symbol.dispose]();
    entry.timer = undefined;
    entry.writing ??= this.#write(entry).finally(() => {
      entry.writing = undefined;
    });
  }

  async #write(entry: Entry): Promise<void> {
    const { client, clock, log, signal, objectOf = (pod: PodObject) => pod } = this.#options;
    // What else happens in this turn of the event loop goes along.
    await Promise.resolve();
    let hasWritten = false;
    for (let failures = 0; !signal.aborted; ) {
      const { wanted, pod } = entry;
      const patch = wanted && statusPatch(entry.written, wanted);
      if (!patch) return;
      if (hasWritten && !entry.isLast && !isUrgent(entry.written, wanted)) {
        this.#startLater(entry);
        return;
      }
      const object = objectOf(pod);
      if (!object) return;
      const { name, namespace, uid } = object.metadata;
      const body = { metadata: { uid }, status: patch };
      try {
        await client.patch(Pods, { name, namespace }, { type: "strategic", body }, { subresource: "status", signal });
        entry.written = wanted;
        hasWritten = true;
        failures = 0;
      } catch (error) {
        // The pod is gone, or a new one has its name: nobody reads this status any more.
        if (isNotFound(error) || isConflict(error)) return;
        if (signal.aborted) return;
        failures++;
        log.warn("writing a pod's status failed", { pod: `${namespace}/${name}`, error: String(error) });
        await sleep(clock, backoffDelayMs({ initialMs: 100, maximumMs: 10_000 }, failures), signal).catch(() => {});
      }
    }
  }
}

interface Entry {
  pod: PodObject;
  wanted: PodStatus | undefined;
  /** What the API is believed to hold. */
  written: DeepReadonly<PodStatus>;
  /** Somebody waits until everything is written. */
  isLast?: boolean;
  writing?: Promise<void> | undefined;
  timer?: Timer | undefined;
}

/** A strategic merge patch of the fields that differ; undefined when none does. */
export function statusPatch(from: DeepReadonly<PodStatus>, to: PodStatus): Record<string, unknown> | undefined {
  const patch: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)]) as Set<keyof PodStatus>) {
    if (!ownFields.has(key) || same(from[key], to[key])) continue;
    if (key === "conditions") {
      const changed = changedConditions(from.conditions ?? [], to.conditions ?? []);
      if (changed.length > 0) patch[key] = changed;
    } else if (to[key] === undefined) patch[key] = null;
    // Lists that the server would merge by key are replaced as a whole.
    else if ((key === "podIPs" || key === "hostIPs") && from[key]?.length) {
      patch[key] = [...(to[key] ?? []), { $patch: "replace" }];
    } else patch[key] = to[key];
  }
  return Object.keys(patch).length > 0 ? patch : undefined;
}

/** What the kubelet says; the rest of the status is others'. */
const ownFields: ReadonlySet<keyof PodStatus> = new Set<keyof PodStatus>([
  "observedGeneration",
  "phase",
  "conditions",
  "message",
  "reason",
  "hostIP",
  "hostIPs",
  "podIP",
  "podIPs",
  "startTime",
  "initContainerStatuses",
  "containerStatuses",
  "ephemeralContainerStatuses",
  "qosClass",
  "allocatedResources",
  "resources",
]);

const ownConditions = new Set([
  "PodReadyToStartContainers",
  "Initialized",
  "Ready",
  "ContainersReady",
  "PodScheduled",
  "PodResizePending",
  "PodResizeInProgress",
  "AllContainersRestarting",
]);

/** The API writes that condition, too, when it ends a pod. */
function isOwn({ type, reason }: PodCondition): boolean {
  return ownConditions.has(type) || (type === "DisruptionTarget" && reason === "TerminationByKubelet");
}

function changedConditions(from: readonly DeepReadonly<PodCondition>[], to: readonly PodCondition[]): unknown[] {
  const gone = from.filter(({ type }) => ownConditions.has(type) && !to.some((each) => each.type === type));
  const changed = to.flatMap((condition) => {
    if (!isOwn(condition)) return [];
    const before = from.find((candidate) => candidate.type === condition.type);
    if (same(before, condition)) return [];
    // A merge keeps what is not named: a reason that no longer holds must be taken back.
    const cleared: Record<string, null> = {};
    for (const key of ["reason", "message"] as const) if (before?.[key] && !condition[key]) cleared[key] = null;
    return [{ ...condition, ...cleared }];
  });
  return [...changed, ...gone.map(({ type }) => ({ type, $patch: "delete" }))];
}

function differs(from: DeepReadonly<PodStatus>, to: PodStatus): boolean {
  return statusPatch(from, to) !== undefined;
}

/** Changes that users and controllers wait for. */
function isUrgent(from: DeepReadonly<PodStatus>, to: PodStatus): boolean {
  const keys = ["phase", "containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses", "reason"] as const;
  if (keys.some((key) => !same(from[key], to[key]))) return true;
  const ready = (status: DeepReadonly<PodStatus>) => status.conditions?.find(({ type }) => type === "Ready")?.status;
  return ready(from) !== ready(to);
}

function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, i) => same(item, b[i]));
  }
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  for (const key of keys) if (!same(left[key], right[key])) return false;
  return true;
}
