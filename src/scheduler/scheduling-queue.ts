/** Pods that wait for a Node: those to be tried now, those backing off, and those that nothing could be done for yet. */
import type { Pod } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { backoffDelayMs } from "../base/backoff.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { ClusterEvent } from "./framework.ts";

export interface QueuedPod {
  pod: DeepReadonly<Pod>;
  priority: number;
  /** First come, first served among equals. */
  sequence: number;
  attempts: number;
  /** Events that may help, by what refused it last. */
  wakesOn: ReadonlySet<ClusterEvent>;
  /** May not be tried before; only failures of the API make it binding. */
  backoffUntilMs: number;
  isErrorBackoff: boolean;
}

/** Nothing is left lying for longer, whatever events may have been overlooked. */
const flushAfterMs = 300_000;

export interface SchedulingQueueOptions {
  clock: Clock;
  /** Called when there is a Pod to take. */
  wake(): void;
  /** How long a Pod that failed is left alone. Default: a second, doubled each time, up to ten. */
  backoff?: { initialMs: number; maximumMs: number };
}

export class SchedulingQueue {
  readonly #clock: Clock;
  readonly #wake: () => void;
  readonly #pauses: { initialMs: number; maximumMs: number };
  readonly #active: Heap;
  readonly #backoff = new Map<string, QueuedPod>();
  readonly #unschedulable = new Map<string, QueuedPod>();
  /** Being tried; events that happen meanwhile must not be lost on them. */
  readonly #inFlight = new Map<string, Set<ClusterEvent>>();
  #sequence = 0;
  #timer: Timer | undefined;
  #timerMs = Number.POSITIVE_INFINITY;

  constructor({ clock, wake, backoff = { initialMs: 1000, maximumMs: 10_000 } }: SchedulingQueueOptions) {
    this.#clock = clock;
    this.#pauses = backoff;
    this.#wake = wake;
    this.#active = new Heap(
      (a, b) => b.priority - a.priority || a.sequence - b.sequence,
      ({ pod }) => pod.metadata.uid,
    );
  }

  /** A new Pod, or a changed one: what was known of its failures no longer holds. */
  add(pod: DeepReadonly<Pod>): void {
    const { uid } = pod.metadata;
    if (this.#inFlight.has(uid)) return;
    const known = this.#active.get(uid) ?? this.#backoff.get(uid) ?? this.#unschedulable.get(uid);
    this.#remove(uid);
    this.#active.push({
      pod,
      priority: pod.spec.priority ?? 0,
      sequence: known?.sequence ?? this.#sequence++,
      attempts: known?.attempts ?? 0,
      wakesOn: new Set(),
      backoffUntilMs: 0,
      isErrorBackoff: false,
    });
    this.#wake();
  }

  /** The Pod changed in a way that does not concern scheduling. */
  refresh(pod: DeepReadonly<Pod>): void {
    const { uid } = pod.metadata;
    const queued = this.#active.get(uid) ?? this.#backoff.get(uid) ?? this.#unschedulable.get(uid);
    if (queued) queued.pod = pod;
  }

  has(uid: string): boolean {
    return this.#active.get(uid) !== undefined || this.#backoff.has(uid) || this.#unschedulable.has(uid);
  }

  /** Being tried at this moment. */
  isInFlight(uid: string): boolean {
    return this.#inFlight.has(uid);
  }

  remove(uid: string): void {
    this.#remove(uid);
    this.#inFlight.delete(uid);
  }

  /** The next Pod to try. A Pod that backs off after mere lack of room is tried early when nothing else waits. */
  pop(): QueuedPod | undefined {
    let queued = this.#active.pop();
    if (!queued) {
      for (const candidate of this.#backoff.values()) {
        if (candidate.isErrorBackoff && candidate.backoffUntilMs > this.#clock.now()) continue;
        if (!queued || candidate.priority > queued.priority) queued = candidate;
      }
      if (!queued) return undefined;
      this.#backoff.delete(queued.pod.metadata.uid);
    }
    queued.attempts++;
    this.#inFlight.set(queued.pod.metadata.uid, new Set());
    return queued;
  }

  /** The Pod has its Node, or is nobody's business any more. */
  done(uid: string): void {
    this.#inFlight.delete(uid);
  }

  /** No Node would do: wait for something that may help. */
  putUnschedulable(queued: QueuedPod, wakesOn: ReadonlySet<ClusterEvent>): void {
    const { uid } = queued.pod.metadata;
    const missed = this.#inFlight.get(uid);
    this.#inFlight.delete(uid);
    queued.wakesOn = wakesOn;
    queued.isErrorBackoff = false;
    queued.backoffUntilMs = this.#clock.now() + backoffDelayMs(this.#pauses, queued.attempts);
    if (missed && [...missed].some((event) => wakesOn.has(event))) this.#backOff(queued);
    else {
      this.#unschedulable.set(uid, queued);
      this.#setTimer(this.#clock.now() + flushAfterMs);
    }
  }

  /** It was not tried: no attempt is counted, and it is tried at once when something happens that may help. */
  putBack(queued: QueuedPod, wakesOn: ReadonlySet<ClusterEvent>): void {
    queued.attempts--;
    this.putUnschedulable(queued, wakesOn);
    queued.backoffUntilMs = this.#clock.now();
  }

  /** The API failed us: try again after a while. */
  putFailed(queued: QueuedPod): void {
    this.#inFlight.delete(queued.pod.metadata.uid);
    queued.isErrorBackoff = true;
    queued.backoffUntilMs = this.#clock.now() + backoffDelayMs(this.#pauses, queued.attempts);
    this.#backOff(queued);
  }

  /** Something happened: Pods that it may help are tried again. */
  notify(event: ClusterEvent): void {
    for (const events of this.#inFlight.values()) events.add(event);
    for (const [uid, queued] of this.#unschedulable) {
      if (!queued.wakesOn.has(event)) continue;
      this.#unschedulable.delete(uid);
      this.#backOff(queued);
    }
  }

  close(): void {
    this.#timer?.[Symbol.dispose]();
  }

  #backOff(queued: QueuedPod): void {
    const now = this.#clock.now();
    if (queued.backoffUntilMs <= now) this.#active.push(queued);
    else {
      this.#backoff.set(queued.pod.metadata.uid, queued);
      this.#setTimer(queued.backoffUntilMs);
    }
    this.#wake();
  }

  #remove(uid: string): void {
    this.#active.remove(uid);
    this.#backoff.delete(uid);
    this.#unschedulable.delete(uid);
  }

  #setTimer(dueMs: number): void {
    if (dueMs >= this.#timerMs) return;
    this.#timer?.[Symbol.dispose]();
    this.#timerMs = dueMs;
    this.#timer = this.#clock.setTimer(
      dueMs - this.#clock.now(),
      () => {
        this.#timerMs = Number.POSITIVE_INFINITY;
        this.#flush();
      },
      { background: true },
    );
  }

  #flush(): void {
    const now = this.#clock.now();
    for (const [uid, queued] of this.#backoff) {
      if (queued.backoffUntilMs > now) this.#setTimer(queued.backoffUntilMs);
      else {
        this.#backoff.delete(uid);
        this.#active.push(queued);
      }
    }
    for (const [uid, queued] of this.#unschedulable) {
      const lyingSinceMs = queued.backoffUntilMs - backoffDelayMs(this.#pauses, queued.attempts);
      if (now - lyingSinceMs < flushAfterMs) this.#setTimer(lyingSinceMs + flushAfterMs);
      else {
        this.#unschedulable.delete(uid);
        this.#active.push(queued);
      }
    }
    this.#wake();
  }
}

/** A binary heap whose items can be found and removed by id. */
class Heap {
  readonly #items: QueuedPod[] = [];
  readonly #compare: (a: QueuedPod, b: QueuedPod) => number;
  readonly #idOf: (item: QueuedPod) => string;
  readonly #byId = new Map<string, QueuedPod>();

  constructor(compare: (a: QueuedPod, b: QueuedPod) => number, idOf: (item: QueuedPod) => string) {
    this.#compare = compare;
    this.#idOf = idOf;
  }

  get(id: string): QueuedPod | undefined {
    return this.#byId.get(id);
  }

  push(item: QueuedPod): void {
    this.#byId.set(this.#idOf(item), item);
    const items = this.#items;
    items.push(item);
    let at = items.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#compare(items[parent]!, item) <= 0) break;
      items[at] = items[parent]!;
      at = parent;
    }
    items[at] = item;
  }

  /** Removed items stay in the array until they come up: removal is rare. */
  remove(id: string): void {
    this.#byId.delete(id);
  }

  pop(): QueuedPod | undefined {
    for (;;) {
      const item = this.#popAny();
      if (!item) return undefined;
      const id = this.#idOf(item);
      if (this.#byId.get(id) !== item) continue;
      this.#byId.delete(id);
      return item;
    }
  }

  #popAny(): QueuedPod | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (!top || !last || items.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && this.#compare(items[child + 1]!, items[child]!) < 0) child++;
      if (this.#compare(last, items[child]!) <= 0) break;
      items[at] = items[child]!;
      at = child;
    }
    items[at] = last;
    return top;
  }
}
