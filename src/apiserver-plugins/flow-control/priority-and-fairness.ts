/** API Priority and Fairness: FlowSchemas sort requests into priority levels, which share the server's seats. */
import type { FlowSchema, PriorityLevelConfiguration } from "../../api/flowcontrol/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { Attributes } from "../../apiserver/authorization.ts";
import type { Asking, FlowControl, Room } from "../../apiserver/flow-control.ts";
import type { Clock } from "../../base/clock.ts";
import { type Flow, flowOf, orderedSchemas } from "./flow-schemas.ts";
import { PriorityLevel, type PriorityLevelLimits, type SeatPool } from "./priority-level.ts";

export interface PriorityAndFairnessOptions {
  clock: Clock;
  /** Runs something after what is ready to run now: `setImmediate`. */
  defer(run: () => void): void;
  /** Seats of all levels together. Default 600, as upstream's `--max-requests-inflight` and its mutating twin. */
  seats?: number;
  /** How many objects there are of the resource that a request is about. Default: so few that nothing takes more than one seat. */
  countObjects?(attributes: Attributes): number;
  /** How long a request may wait. Default 15 s, a quarter of what a request may take. */
  maximumWaitMs?: number;
}

const defaultShares = 30;

/** What reads a collection takes a seat for each of so many objects in it, up to a number of seats and a part of its level's. */
const objectsPerSeat = 100;
const mostSeats = 10;
const mostOfLevel = 0.15;

export class PriorityAndFairness implements FlowControl {
  readonly #clock: Clock;
  readonly #defer: (run: () => void) => void;
  readonly #seats: number;
  readonly #maximumWaitMs: number;
  readonly #countObjects: (attributes: Attributes) => number;
  readonly #levels = new Map<string, PriorityLevel | "exempt">();
  readonly #schemas = new Map<string, DeepReadonly<FlowSchema>>();
  readonly #configurations = new Map<string, DeepReadonly<PriorityLevelConfiguration>>();
  #ordered: readonly DeepReadonly<FlowSchema>[] = [];
  /** What responses say of their flow, by its FlowSchema's uid. */
  readonly #headers = new Map<string, Readonly<Record<string, string>>>();
  /** Seats that come free with the next dispatch. */
  #givenBack: (() => void)[] = [];
  readonly #pool: SeatPool;

  constructor({
    clock,
    defer,
    seats = 600,
    maximumWaitMs = 15_000,
    countObjects = () => 0,
  }: PriorityAndFairnessOptions) {
    this.#clock = clock;
    this.#defer = defer;
    this.#seats = seats;
    this.#maximumWaitMs = maximumWaitMs;
    this.#countObjects = countObjects;
    this.#pool = {
      mayGrow: (level, more) => this.#mayGrow(level, more),
      released: (giveBack) => this.#released(giveBack),
    };
  }

  setSchema(schema: DeepReadonly<FlowSchema>): void {
    this.#schemas.set(schema.metadata.name, schema);
    this.#headers.clear();
    this.#ordered = orderedSchemas(this.#schemas.values());
  }

  deleteSchema({ metadata }: DeepReadonly<FlowSchema>): void {
    this.#schemas.delete(metadata.name);
    this.#ordered = orderedSchemas(this.#schemas.values());
  }

  setLevel(configuration: DeepReadonly<PriorityLevelConfiguration>): void {
    this.#configurations.set(configuration.metadata.name, configuration);
    this.#headers.clear();
    this.#divide();
  }

  /** Those who wait there still get their turn. */
  deleteLevel({ metadata }: DeepReadonly<PriorityLevelConfiguration>): void {
    this.#configurations.delete(metadata.name);
    this.#levels.delete(metadata.name);
    this.#divide();
  }

  admit(attributes: Attributes, asking: Asking): Room | undefined | Promise<Room> {
    const flow = flowOf(attributes, this.#ordered);
    const level = flow && this.#levels.get(flow.priorityLevel);
    // Without a level there is no configuration yet, or one that dangles: nobody is turned away for that.
    if (!level) return undefined;
    asking.tellFlow(this.#headersOf(flow));
    if (level === "exempt") return undefined;
    const seats = asking.readsCollection ? this.#seatsFor(attributes, level) : 1;
    return level.take(seats) ?? this.#wait(level, flow.key, seats, asking);
  }

  /** As upstream estimates the work of a list that the watch cache answers: by all objects of the kind, whichever are wanted. */
  #seatsFor(attributes: Attributes, { limits }: PriorityLevel): number {
    if (attributes.name !== "") return 1;
    const most = Math.min(mostSeats, Math.max(1, Math.ceil(limits.nominal * mostOfLevel)));
    return most === 1 ? 1 : Math.min(most, Math.max(1, Math.ceil(this.#countObjects(attributes) / objectsPerSeat)));
  }

  #headersOf({ uid, priorityLevel }: Flow): Readonly<Record<string, string>> {
    let headers = this.#headers.get(uid);
    if (!headers) {
      headers = {
        "x-kubernetes-pf-flowschema-uid": uid,
        "x-kubernetes-pf-prioritylevel-uid": this.#configurations.get(priorityLevel)?.metadata.uid ?? "",
      };
      this.#headers.set(uid, headers);
    }
    return headers;
  }

  async #wait(level: PriorityLevel, flow: string, seats: number, { onGone }: Asking): Promise<Room> {
    const gaveUp = new AbortController();
    const giveUp = () => gaveUp.abort();
    const timer = this.#clock.setTimer(this.#maximumWaitMs, giveUp, { background: true });
    onGone(giveUp);
    try {
      return await level.wait(flow, seats, gaveUp.signal);
    } finally {
      timer[Symbol.dispose]();
    }
  }

  /** In Prometheus' form. */
  metrics(): string {
    const lines: string[] = [];
    const gauge = (name: string, help: string, value: (level: PriorityLevel) => number) => {
      lines.push(`# HELP apiserver_flowcontrol_${name} ${help}`, `# TYPE apiserver_flowcontrol_${name} gauge`);
      for (const level of this.#limited()) {
        lines.push(`apiserver_flowcontrol_${name}{priority_level=${JSON.stringify(level.name)}} ${value(level)}`);
      }
    };
    gauge("current_executing_seats", "Seats in use.", (level) => level.inUse);
    gauge("current_inqueue_requests", "Requests that wait.", (level) => level.waiting);
    gauge(
      "nominal_limit_seats",
      "Seats that are the level's when all levels are busy.",
      (level) => level.limits.nominal,
    );
    return `${lines.join("\n")}\n`;
  }

  *#limited(): Generator<PriorityLevel> {
    for (const level of this.#levels.values()) if (level !== "exempt") yield level;
  }

  /** Within what it keeps for itself always; beyond that, of what others have no claim to. */
  #mayGrow(level: PriorityLevel, more: number): boolean {
    const next = level.inUse + more;
    if (next <= level.limits.kept) return true;
    if (next > level.limits.maximum) return false;
    let free = this.#seats;
    for (const other of this.#limited()) {
      free -= other === level ? level.inUse : Math.max(other.inUse, other.limits.kept);
    }
    return free >= more;
  }

  /**
   * Seats come free together, after what is ready to run now: so a burst that is answered at once takes no more than its level's seats
   * of one turn of the event loop, and others come in between.
   */
  #released(giveBack: () => void): void {
    this.#givenBack.push(giveBack);
    if (this.#givenBack.length > 1) return;
    this.#defer(() => {
      const due = this.#givenBack;
      this.#givenBack = [];
      for (const one of due) one();
      for (const level of this.#limited()) level.dispatch();
    });
  }

  /** Gives each level its part of the seats, by its shares. */
  #divide(): void {
    let total = 0;
    for (const { spec } of this.#configurations.values()) total += sharesOf(spec);
    for (const { metadata, spec } of this.#configurations.values()) {
      if (spec.type === "Exempt") {
        this.#levels.set(metadata.name, "exempt");
        continue;
      }
      const limits = limitsOf(spec, Math.ceil((this.#seats * sharesOf(spec)) / Math.max(1, total)), this.#seats);
      const known = this.#levels.get(metadata.name);
      if (known && known !== "exempt") known.limits = limits;
      else this.#levels.set(metadata.name, new PriorityLevel(metadata.name, limits, this.#pool));
    }
  }
}

type LevelSpec = DeepReadonly<PriorityLevelConfiguration>["spec"];

function sharesOf({ type, limited, exempt }: LevelSpec): number {
  return type === "Exempt"
    ? (exempt?.nominalConcurrencyShares ?? 0)
    : (limited?.nominalConcurrencyShares ?? defaultShares);
}

function limitsOf({ limited }: LevelSpec, nominal: number, seats: number): PriorityLevelLimits {
  const { lendablePercent = 0, borrowingLimitPercent, limitResponse } = limited ?? {};
  const borrowed = borrowingLimitPercent ?? undefined;
  const { queues = 64, handSize = 8, queueLengthLimit = 50 } = limitResponse?.queuing ?? {};
  return {
    nominal,
    kept: nominal - Math.round((nominal * lendablePercent) / 100),
    maximum: borrowed === undefined ? seats : nominal + Math.round((nominal * borrowed) / 100),
    ...(limitResponse?.type === "Queue" ? { queuing: { queues, handSize, queueLengthLimit } } : {}),
  };
}
