/** API Priority and Fairness: FlowSchemas sort requests into priority levels, which share the server's seats. */
import type { FlowSchema, PriorityLevelConfiguration } from "../../api/flowcontrol/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { Attributes } from "../../apiserver/authorization.ts";
import { type Asking, type FlowControl, type Room, TooManyRequestsError } from "../../apiserver/flow-control.ts";
import type { Clock } from "../../base/clock.ts";
import type { MetricFamily } from "../../base/exposition.ts";
import type { RejectionReason } from "./flow-counts.ts";
import { flowMetrics } from "./flow-metrics.ts";
import { type Flow, flowOf, orderedSchemas } from "./flow-schemas.ts";
import { type LevelRequest, PriorityLevel, type PriorityLevelLimits, type SeatPool } from "./priority-level.ts";
import { RetryAfter } from "./retry-after.ts";
import { WatchTracker } from "./watch-tracker.ts";
import { readWork, type Stock, tellsWatchers, type Work, writeWork } from "./work-estimate.ts";

export interface PriorityAndFairnessOptions {
  clock: Clock;
  /** Runs something after what is ready to run now: `setImmediate`. */
  defer(run: () => void): void;
  /** Seats of all levels together. Default 600, as upstream's `--max-requests-inflight` and its mutating twin. */
  seats?: number;
  /** What there is of the resource that a request is about. Default: nothing is known of any, and nothing takes more than one seat. */
  stockOf?(attributes: Attributes): Stock | undefined;
  /** How long a request may wait. Default 15 s, a quarter of what a request may take. */
  maximumWaitMs?: number;
}

const defaultShares = 30;

export class PriorityAndFairness implements FlowControl {
  readonly #clock: Clock;
  readonly #defer: (run: () => void) => void;
  readonly #seats: number;
  readonly #maximumWaitMs: number;
  readonly #stockOf: (attributes: Attributes) => Stock | undefined;
  readonly #watches = new WatchTracker();
  readonly #levels = new Map<string, PriorityLevel>();
  /** Those whose configuration has gone, while somebody is still served or waits there. */
  readonly #quiescing = new Map<string, PriorityLevel>();
  readonly #retryAfter = new Map<string, RetryAfter>();
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
    stockOf = () => undefined,
  }: PriorityAndFairnessOptions) {
    this.#clock = clock;
    this.#defer = defer;
    this.#seats = seats;
    this.#maximumWaitMs = maximumWaitMs;
    this.#stockOf = stockOf;
    this.#pool = {
      clock,
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

  deleteLevel({ metadata }: DeepReadonly<PriorityLevelConfiguration>): void {
    this.#configurations.delete(metadata.name);
    this.#retire(metadata.name);
    this.#divide();
  }

  admit(attributes: Attributes, asking: Asking): Room | undefined | Promise<Room> {
    const flow = flowOf(attributes, this.#ordered);
    const level = flow && this.#levels.get(flow.priorityLevel);
    // Without a level there is no configuration yet, or one that dangles: nobody is turned away for that.
    if (!level) return undefined;
    asking.tellFlow(this.#headersOf(flow));
    const work = level.isExempt ? exemptWork : this.#workOf(attributes, level, asking);
    const request: LevelRequest = { flow, work, attributes, arrivedMs: this.#clock.now() };
    return level.take(request) ?? this.#wait(level, request, asking);
  }

  beginWatch(attributes: Attributes): () => void {
    return this.#watches.begin(attributes);
  }

  #workOf(attributes: Attributes, { limits }: PriorityLevel, asking: Asking): Work {
    if (tellsWatchers(attributes)) return writeWork(this.#watches.interested(attributes), limits.nominal);
    return readWork(asking, attributes.name, limits.nominal, () => this.#stockOf(attributes));
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

  async #wait(level: PriorityLevel, request: LevelRequest, { onGone }: Asking): Promise<Room> {
    const gaveUp = new AbortController();
    const giveUp = (reason: RejectionReason) => gaveUp.abort(reason);
    const timer = this.#clock.setTimer(this.#maximumWaitMs, () => giveUp("time-out"), { background: true });
    onGone(() => giveUp("cancelled"));
    try {
      return await level.wait(request, gaveUp.signal);
    } catch (cause) {
      let retryAfter = this.#retryAfter.get(level.name);
      if (!retryAfter) {
        retryAfter = new RetryAfter();
        this.#retryAfter.set(level.name, retryAfter);
      }
      throw new TooManyRequestsError(retryAfter.rejected(this.#clock.now()), { cause });
    } finally {
      timer[Symbol.dispose]();
    }
  }

  metrics(): MetricFamily[] {
    return flowMetrics(
      [...this.#levels.values()].map((level) => ({
        level,
        current: level.isExempt ? level.limits.nominal : level.inUse + this.#roomOf(level),
      })),
    );
  }

  levels(): readonly PriorityLevel[] {
    return [...this.#levels.values(), ...this.#quiescing.values()];
  }

  *#limited(): Generator<PriorityLevel> {
    for (const level of this.#levels.values()) if (!level.isExempt) yield level;
    yield* this.#quiescing.values();
  }

  #mayGrow(level: PriorityLevel, more: number): boolean {
    // Most often it is within its own, and nobody else need be looked at.
    return level.inUse + more <= level.limits.kept || more <= this.#roomOf(level);
  }

  /** Seats that it could have beside those it has: what it keeps for itself always; beyond that, what others have no claim to. */
  #roomOf(level: PriorityLevel): number {
    const { kept, maximum } = level.limits;
    let free = this.#seats;
    for (const other of this.#limited()) {
      free -= other === level ? level.inUse : Math.max(other.inUse, other.limits.kept);
    }
    return Math.max(kept - level.inUse, Math.min(free, maximum - level.inUse), 0);
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
      for (const [name, level] of this.#quiescing) if (level.isIdle) this.#quiescing.delete(name);
    });
  }

  /** It takes no more requests. Those that wait there still get their turn, and it keeps its seats for them. */
  #retire(name: string): void {
    const level = this.#levels.get(name);
    if (level && !level.isExempt && !level.isIdle) {
      level.isQuiescing = true;
      this.#quiescing.set(name, level);
    }
    this.#levels.delete(name);
  }

  /** The level of that name, were it on its way out, and of that kind: another's requests are counted otherwise. */
  #known(name: string, isExempt: boolean): PriorityLevel | undefined {
    const known = [this.#levels.get(name), this.#quiescing.get(name)].find((level) => level?.isExempt === isExempt);
    if (known?.isQuiescing) {
      known.isQuiescing = false;
      this.#quiescing.delete(name);
    }
    return known;
  }

  /** Gives each level its part of the seats, by its shares. */
  #divide(): void {
    let total = 0;
    for (const { spec } of this.#configurations.values()) total += sharesOf(spec);
    for (const { metadata, spec } of this.#configurations.values()) {
      const isExempt = spec.type === "Exempt";
      const limits = limitsOf(spec, Math.ceil((this.#seats * sharesOf(spec)) / Math.max(1, total)), this.#seats);
      const known = this.#known(metadata.name, isExempt);
      if (known) known.limits = limits;
      const level = known ?? new PriorityLevel(metadata.name, limits, this.#pool, isExempt);
      if (level === this.#levels.get(metadata.name)) continue;
      this.#retire(metadata.name);
      this.#levels.set(metadata.name, level);
    }
  }
}

const exemptWork: Work = { seats: 1, lingerMs: 0 };

type LevelSpec = DeepReadonly<PriorityLevelConfiguration>["spec"];

function sharesOf({ type, limited, exempt }: LevelSpec): number {
  return type === "Exempt"
    ? (exempt?.nominalConcurrencyShares ?? 0)
    : (limited?.nominalConcurrencyShares ?? defaultShares);
}

function limitsOf({ limited, exempt }: LevelSpec, nominal: number, seats: number): PriorityLevelLimits {
  const { lendablePercent = 0, borrowingLimitPercent, limitResponse } = limited ?? { ...exempt };
  const borrowed = borrowingLimitPercent ?? undefined;
  const { queues = 64, handSize = 8, queueLengthLimit = 50 } = limitResponse?.queuing ?? {};
  return {
    nominal,
    kept: nominal - Math.round((nominal * lendablePercent) / 100),
    maximum: borrowed === undefined ? seats : nominal + Math.round((nominal * borrowed) / 100),
    ...(limitResponse?.type === "Queue" ? { queuing: { queues, handSize, queueLengthLimit } } : {}),
  };
}
