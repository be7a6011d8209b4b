/**
 * Seats and queues of one priority level. Who finds no seat waits in one of a few queues that its flow is dealt (shuffle sharding),
 * and queues take turns by how much each was served (start-time fair queuing): a flow that floods fills its own hand of queues, and
 * others pass it by.
 */
import type { Attributes } from "../../apiserver/authorization.ts";
import type { Room } from "../../apiserver/flow-control.ts";
import type { Clock } from "../../base/clock.ts";
import { FlowCounts, type RejectionReason } from "./flow-counts.ts";
import type { Flow } from "./flow-schemas.ts";
import { dealHand } from "./shuffle-sharding.ts";
import type { Work } from "./work-estimate.ts";

export interface PriorityLevelLimits {
  /** Seats that are this level's when all levels are busy. */
  nominal: number;
  /** Of those, the ones it never lends. */
  kept: number;
  /** The most it may have with what others lend. */
  maximum: number;
  /** Absent: who finds no seat is refused. */
  queuing?: { queues: number; handSize: number; queueLengthLimit: number };
}

/** The seats of all levels together. */
export interface SeatPool {
  readonly clock: Clock;
  /** Whether `level` may take so many seats more than it has. */
  mayGrow(level: PriorityLevel, seats: number): boolean;
  /** A seat is to be given back: soon, for whoever waits then. */
  released(giveBack: () => void): void;
}

/** One request at a level. */
export interface LevelRequest {
  readonly flow: Flow;
  readonly work: Work;
  readonly attributes: Attributes;
  readonly arrivedMs: number;
  /** Undefined while it waits. */
  begunMs?: number;
}

/** There is no place for a request, not even to wait at. */
export class RejectedError extends Error {
  override name = "RejectedError";
}

interface Waiting {
  readonly request: LevelRequest;
  /** The virtual time at which its turn begins. */
  start: number;
  seat(room: Room): void;
}

export interface Queue {
  waiting: Waiting[];
  /** The virtual time at which the last of its requests will have been served. */
  finish: number;
  /** That came out of it and are being answered. */
  executing: number;
  seatsInUse: number;
}

export class PriorityLevel {
  readonly name: string;
  readonly isExempt: boolean;
  limits: PriorityLevelLimits;
  /** Its configuration has gone: it serves those who are there, and nobody else. */
  isQuiescing = false;
  /** By FlowSchema; kept for as long as the level is. */
  readonly counts = new Map<string, FlowCounts>();
  readonly #pool: SeatPool;
  readonly #executing = new Map<LevelRequest, Queue | undefined>();
  #inUse = 0;
  #waiting = 0;
  #virtualTime = 0;
  #queues: Queue[] = [];

  constructor(name: string, limits: PriorityLevelLimits, pool: SeatPool, isExempt = false) {
    this.name = name;
    this.limits = limits;
    this.isExempt = isExempt;
    this.#pool = pool;
  }

  get inUse(): number {
    return this.#inUse;
  }

  get waiting(): number {
    return this.#waiting;
  }

  get virtualTime(): number {
    return this.#virtualTime;
  }

  /** As many as the configuration says, and those of an earlier one that are not empty yet; none before somebody had to wait. */
  get queues(): readonly Queue[] {
    return this.#queues;
  }

  get isIdle(): boolean {
    return this.#waiting === 0 && this.#executing.size === 0;
  }

  /** Each with the queue that it came out of. */
  get executing(): ReadonlyMap<LevelRequest, Queue | undefined> {
    return this.#executing;
  }

  countsOf(flow: Flow): FlowCounts {
    let counts = this.counts.get(flow.schema);
    if (!counts) {
      counts = new FlowCounts();
      this.counts.set(flow.schema, counts);
    }
    return counts;
  }

  /** Its seats, if they are there and nobody waits for them; always, where nobody is limited. */
  take(request: LevelRequest): Room | undefined {
    if (!this.isExempt && (this.#waiting > 0 || !this.#fits(request.work.seats))) return undefined;
    if (this.limits.queuing) this.countsOf(request.flow).waited.observe(0);
    return this.#seat(request, undefined);
  }

  /** Waits for its seats. Throws a RejectedError when there is no place to wait at, and rejects with one when `signal` aborts, whose reason is the RejectedError's. */
  wait(request: LevelRequest, signal: AbortSignal): Promise<Room> {
    const { queuing } = this.limits;
    const { flow, work } = request;
    if (!queuing) throw this.#rejected(flow, "concurrency-limit");
    const queue = this.#shortestOf(flow.key, queuing);
    if (queue.waiting.length >= queuing.queueLengthLimit) throw this.#rejected(flow, "queue-full");
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { request, start: Math.max(this.#virtualTime, queue.finish), seat: resolve };
      queue.finish = waiting.start + work.seats;
      queue.waiting.push(waiting);
      this.#waiting++;
      signal.addEventListener("abort", () => {
        const place = queue.waiting.indexOf(waiting);
        if (place < 0) return;
        queue.waiting.splice(place, 1);
        this.#waiting--;
        this.countsOf(flow).waitedInVain.observe((this.#pool.clock.now() - request.arrivedMs) / 1000);
        reject(this.#rejected(flow, signal.reason as RejectionReason));
      });
    });
  }

  /** Seats those whose turn it is, while there is room. */
  dispatch(): void {
    while (this.#waiting > 0) {
      const queue = this.#next();
      const [waiting] = queue.waiting as [Waiting];
      const { request } = waiting;
      // Whoever needs many seats is waited for: smaller ones that came later would keep them from it for ever.
      if (!this.#fits(request.work.seats)) return;
      queue.waiting.shift();
      this.#waiting--;
      this.#virtualTime = waiting.start;
      this.countsOf(request.flow).waited.observe((this.#pool.clock.now() - request.arrivedMs) / 1000);
      waiting.seat(this.#seat(request, queue));
    }
  }

  #rejected(flow: Flow, reason: RejectionReason): RejectedError {
    const { rejected } = this.countsOf(flow);
    rejected.set(reason, (rejected.get(reason) ?? 0) + 1);
    return new RejectedError(reason);
  }

  /** Where nobody is, also one who needs more than there is gets in. */
  #fits(seats: number): boolean {
    return this.#pool.mayGrow(this, this.#inUse === 0 ? 1 : seats);
  }

  #seat(request: LevelRequest, queue: Queue | undefined): Room {
    const { clock } = this.#pool;
    const { seats, lingerMs } = request.work;
    const counts = this.countsOf(request.flow);
    request.begunMs = clock.now();
    this.#inUse += seats;
    this.#executing.set(request, queue);
    counts.dispatched++;
    if (queue) {
      queue.executing++;
      queue.seatsInUse += seats;
    }
    let isHeld = true;
    const giveBack = () => {
      this.#inUse -= seats;
      if (queue) queue.seatsInUse -= seats;
    };
    const release = () => {
      if (!isHeld) return;
      isHeld = false;
      this.#executing.delete(request);
      if (queue) queue.executing--;
      counts.executed.observe((clock.now() - request.begunMs!) / 1000);
      if (this.isExempt) giveBack();
      else if (lingerMs === 0) this.#pool.released(giveBack);
      // Its watchers are told of it when it is answered already.
      else clock.setTimer(lingerMs, () => this.#pool.released(giveBack), { background: true });
    };
    return { release };
  }

  /** Of the queues that wait, the one whose head is to begin first. */
  #next(): Queue {
    let best: Queue | undefined;
    for (const queue of this.#queues) {
      const [head] = queue.waiting;
      if (head && (!best || head.start < best.waiting[0]!.start)) best = queue;
    }
    return best!;
  }

  #shortestOf(flow: string, { queues, handSize }: NonNullable<PriorityLevelLimits["queuing"]>): Queue {
    // Queues are made when they are needed; those of an earlier configuration empty themselves.
    while (this.#queues.length < queues) this.#queues.push({ waiting: [], finish: 0, executing: 0, seatsInUse: 0 });
    let shortest: Queue | undefined;
    for (const index of dealHand(flow, queues, handSize)) {
      const queue = this.#queues[index]!;
      if (!shortest || queue.waiting.length < shortest.waiting.length) shortest = queue;
    }
    return shortest!;
  }
}
