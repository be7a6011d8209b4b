/** A store that lives as long as the process: for simulations, which it keeps deterministic, and for tests. */
import { type Engine, type GroupCommitOptions, GroupCommitStore } from "./group-commit.ts";
import { OrderedMap } from "./ordered-map.ts";
import type { Snapshot } from "./snapshot.ts";
import type { RangeResult, Revision, StoredValue, StoreEvent } from "./store.ts";

export interface MemoryStoreOptions extends GroupCommitOptions {
  /** What it begins with. Default: nothing. */
  snapshot?: Snapshot;
  /**
   * Runs something after what is ready to run now (`setImmediate`): writers in this process would otherwise answer one
   * another without end, and no timer or socket have its turn. Absent in a simulation, where all is one thread of time.
   */
  defer?: (resume: () => void) => void;
}

/** How long writers may keep everybody else waiting. */
const turnMs = 4;

export class MemoryStore extends GroupCommitStore {
  constructor({ snapshot, defer, ...options }: MemoryStoreOptions) {
    let turnSinceMs = Number.NEGATIVE_INFINITY;
    const giveWay = async (): Promise<void> => {
      if (!defer || options.clock.now() - turnSinceMs < turnMs) return;
      await new Promise<void>((resolve) => defer(resolve));
      turnSinceMs = options.clock.now();
    };
    // Values of the past weigh on the heap here, and a simulation makes many.
    const history = { maxRevisions: 10_000, ...options.history };
    super(new MemoryEngine(snapshot, giveWay), { ...options, history });
  }
}

class MemoryEngine implements Engine {
  revision: Revision;
  compactRevision: Revision;
  #state: OrderedMap<StoredValue>;
  /** Gapless: the change of revision r stands at r - compactRevision - 1. */
  #history: StoreEvent[] = [];
  /** The last past state that was asked for: the pages of one list ask again and again. */
  #past: { revision: Revision; state: OrderedMap<StoredValue> } | undefined;

  readonly #giveWay: () => Promise<void>;

  constructor(snapshot: Snapshot = { revision: 0, values: [] }, giveWay: () => Promise<void>) {
    this.#giveWay = giveWay;
    this.revision = snapshot.revision;
    this.compactRevision = snapshot.revision;
    this.#state = OrderedMap.fromSorted([...snapshot.values].sort((a, b) => (a.key < b.key ? -1 : 1)));
  }

  get(key: string): StoredValue | undefined {
    return this.#state.get(key);
  }

  range(from: string, to: string, revision: Revision, limit: number): RangeResult {
    const state = this.#stateAt(revision);
    const values: StoredValue[] = [];
    if (limit > 0) state.scan(from, to, (value) => values.push(value) < limit);
    return { values, revision, remaining: state.count(from, to) - values.length };
  }

  changes(after: Revision, limit: number): StoreEvent[] {
    const start = after - this.compactRevision;
    return this.#history.slice(start, start + limit);
  }

  async commit(changes: readonly StoreEvent[]): Promise<void> {
    await this.#giveWay();
    for (const change of changes) {
      this.#state = change.kind === "put" ? this.#state.set(change.current) : this.#state.delete(change.key);
      this.#history.push(change);
    }
    this.revision += changes.length;
  }

  async compact(revision: Revision): Promise<void> {
    this.#history = this.#history.slice(revision - this.compactRevision);
    this.compactRevision = revision;
    if (this.#past && this.#past.revision < revision) this.#past = undefined;
  }

  pause(): Promise<void> {
    return this.#giveWay();
  }

  async close(): Promise<void> {}

  #stateAt(revision: Revision): OrderedMap<StoredValue> {
    if (revision === this.revision) return this.#state;
    if (this.#past?.revision === revision) return this.#past.state;
    let state = this.#state;
    for (let at = this.#history.length - 1; at >= revision - this.compactRevision; at--) {
      const change = this.#history[at]!;
      if (change.previous) state = state.set(change.previous);
      else if (change.kind === "put") state = state.delete(change.current.key);
    }
    this.#past = { revision, state };
    return state;
  }
}
