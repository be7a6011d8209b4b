/**
 * Seats and queues of one priority level. Who finds no seat waits in one of a few queues that its flow is dealt (shuffle sharding),
 * and queues take turns by how much each was served (start-time fair queuing): a flow that floods fills its own hand of queues, and
 * others pass it by.
 */
import { type Room, TooManyRequestsError } from "../../apiserver/flow-control.ts";
import { dealHand } from "./shuffle-sharding.ts";

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
  /** Whether `level` may take so many seats more than it has. */
  mayGrow(level: PriorityLevel, seats: number): boolean;
  /** A seat is to be given back: soon, for whoever waits then. */
  released(giveBack: () => void): void;
}

interface Waiting {
  /** How many seats it takes. */
  seats: number;
  /** The virtual time at which its turn begins. */
  start: number;
  seat(room: Room): void;
}

interface Queue {
  waiting: Waiting[];
  /** The virtual time at which the last of its requests will have been served. */
  finish: number;
}

export class PriorityLevel {
  readonly name: string;
  limits: PriorityLevelLimits;
  readonly #pool: SeatPool;
  #inUse = 0;
  #waiting = 0;
  #virtualTime = 0;
  #queues: Queue[] = [];

  constructor(name: string, limits: PriorityLevelLimits, pool: SeatPool) {
    this.name = name;
    this.limits = limits;
    this.#pool = pool;
  }

  get inUse(): number {
    return this.#inUse;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** So many seats, if they are there and nobody waits for them. */
  take(seats: number): Room | undefined {
    return this.#waiting === 0 && this.#fits(seats) ? this.#seat(seats) : undefined;
  }

  /**
   * Waits for so many seats. `flow` tells apart those that are to be treated equally. Throws a TooManyRequestsError when there is no place to
   * wait at, and rejects with one when `signal` aborts.
   */
  wait(flow: string, seats: number, signal: AbortSignal): Promise<Room> {
    const { queuing } = this.limits;
    if (!queuing) throw new TooManyRequestsError();
    const queue = this.#shortestOf(flow, queuing);
    if (queue.waiting.length >= queuing.queueLengthLimit) throw new TooManyRequestsError();
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { seats, start: Math.max(this.#virtualTime, queue.finish), seat: resolve };
      queue.finish = waiting.start + seats;
      queue.waiting.push(waiting);
      this.#waiting++;
      signal.addEventListener("abort", () => {
        const place = queue.waiting.indexOf(waiting);
        if (place < 0) return;
        queue.waiting.splice(place, 1);
        this.#waiting--;
        reject(new TooManyRequestsError());
      });
    });
  }

  /** Seats those whose turn it is, while there is room. */
  dispatch(): void {
    while (this.#waiting > 0) {
      const queue = this.#next();
      const [waiting] = queue.waiting as [Waiting];
      // Whoever needs many seats is waited for: smaller ones that came later would keep them from it for ever.
      if (!this.#fits(waiting.seats)) return;
      queue.waiting.shift();
      this.#waiting--;
      this.#virtualTime = waiting.start;
      waiting.seat(this.#seat(waiting.seats));
    }
  }

  /** Where nobody is, also one who needs more than there is gets in. */
  #fits(seats: number): boolean {
    return this.#pool.mayGrow(this, this.#inUse === 0 ? 1 : seats);
  }

  #seat(seats: number): Room {
    this.#inUse += seats;
    let isHeld = true;
    const giveBack = () => {
      this.#inUse -= seats;
    };
    return {
      release: () => {
        if (isHeld) this.#pool.released(giveBack);
        isHeld = false;
      },
    };
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
    while (this.#queues.length < queues) this.#queues.push({ waiting: [], finish: 0 });
    let shortest: Queue | undefined;
    for (const index of dealHand(flow, queues, handSize)) {
      const queue = this.#queues[index]!;
      if (!shortest || queue.waiting.length < shortest.waiting.length) shortest = queue;
    }
    return shortest!;
  }
}
