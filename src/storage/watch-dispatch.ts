/**
 * Carries changes to those who watch. Watchers that want the same (scope and selection) form a group: what they want of a
 * change is decided once, its frame is written once, and the frames of a batch are joined once.
 */
import type { CachedEntry } from "./cached-entry.ts";
import type { Encoder, WatchEventType } from "./encoding.ts";
import type { ChangeRecord } from "./event-window.ts";
import type { Revision } from "./store.ts";
import type {
  CacheEvent,
  CacheWatch,
  ObjectEvent,
  Scope,
  WatchBatch,
  WatchEnd,
  WatchSink,
} from "./watch-cache-contract.ts";

type Indices<T> = Readonly<Record<string, (object: T) => string | undefined>>;

/** Makes the entry of an object that leaves a watcher's sight: the state before, at the revision of the change. */
type Depart<T> = (record: ChangeRecord<T>) => CachedEntry<T>;

export class WatchDispatch<T> {
  readonly #indices: Indices<T>;
  readonly #depart: Depart<T>;
  readonly #groups = new Map<string, Group<T>>();
  /** Groups that must look at each change. */
  readonly #unindexed = new Set<Group<T>>();
  /** By index name, then value. */
  readonly #indexed = new Map<string, Map<string, Set<Group<T>>>>();

  constructor(indices: Indices<T>, depart: Depart<T>) {
    this.#indices = indices;
    this.#depart = depart;
  }

  get isEmpty(): boolean {
    return this.#groups.size === 0;
  }

  add(scope: Scope<T> & { keyPrefix: string }, watcher: Watcher<T>): void {
    const id = `${scope.keyPrefix}\0${scope.selection?.id ?? ""}`;
    let group = this.#groups.get(id);
    if (!group) {
      group = new Group(id, scope);
      this.#groups.set(id, group);
      this.#placeOf(group, true)?.add(group);
    }
    group.watchers.add(watcher);
    watcher.group = group;
  }

  remove(watcher: Watcher<T>): void {
    const group = watcher.group;
    if (!group?.watchers.delete(watcher)) return;
    if (group.watchers.size > 0) return;
    this.#groups.delete(group.id);
    const place = this.#placeOf(group, false);
    place?.delete(group);
    const index = group.scope.selection?.index;
    if (place?.size === 0 && index) this.#indexed.get(index.name)?.delete(index.value);
  }

  watchers(): Watcher<T>[] {
    return [...this.#groups.values()].flatMap((group) => [...group.watchers]);
  }

  dispatch(records: readonly ChangeRecord<T>[]): void {
    if (this.#groups.size === 0) return;
    const touched = new Set<Group<T>>();
    for (const record of records) {
      const change = new SharedChange(record, this.#depart);
      for (const group of this.#unindexed) if (group.consider(change)) touched.add(group);
      for (const [name, byValue] of this.#indexed) {
        const indexedBy = this.#indices[name]!;
        const before = record.previous && indexedBy(record.previous.object);
        const after = record.current && indexedBy(record.current.object);
        for (const group of byValue.get(before ?? "\0") ?? []) if (group.consider(change)) touched.add(group);
        if (after === before) continue;
        for (const group of byValue.get(after ?? "\0") ?? []) if (group.consider(change)) touched.add(group);
      }
    }
    for (const group of touched) {
      const batch = new SharedBatch(group.takeEvents());
      for (const watcher of group.watchers) watcher.offer(batch);
    }
  }

  /** What one scope sees of past changes, in batches. */
  *replay(scope: Scope<T> & { keyPrefix: string }, records: readonly ChangeRecord<T>[]): Generator<Batch<T>> {
    const group = new Group<T>("", scope);
    for (let i = 0; i < records.length; i += replayChunk) {
      for (const record of records.slice(i, i + replayChunk)) group.consider(new SharedChange(record, this.#depart));
      const events = group.takeEvents();
      if (events.length > 0) yield new Batch(events);
    }
  }

  #placeOf(group: Group<T>, create: boolean): Set<Group<T>> | undefined {
    const index = group.scope.selection?.index;
    if (!index || !this.#indices[index.name]) return this.#unindexed;
    let byValue = this.#indexed.get(index.name);
    if (!byValue && create) this.#indexed.set(index.name, (byValue = new Map()));
    let place = byValue?.get(index.value);
    if (!place && create) byValue?.set(index.value, (place = new Set()));
    return place;
  }
}

const replayChunk = 500;

class Group<T> {
  readonly id: string;
  readonly scope: Scope<T> & { keyPrefix: string };
  readonly watchers = new Set<Watcher<T>>();
  #events: SharedEvent<T>[] = [];

  constructor(id: string, scope: Scope<T> & { keyPrefix: string }) {
    this.id = id;
    this.scope = scope;
  }

  /** Adds what the group sees of the change to its events; false when that is nothing. */
  consider(change: SharedChange<T>): boolean {
    const { record } = change;
    if (!record.key.startsWith(this.scope.keyPrefix)) return false;
    const { selection } = this.scope;
    const before = record.previous !== undefined && (!selection || selection.matches(record.previous.object));
    const after = record.current !== undefined && (!selection || selection.matches(record.current.object));
    if (!before && !after) return false;
    this.#events.push(change.as(!before ? "ADDED" : after ? "MODIFIED" : "DELETED"));
    return true;
  }

  takeEvents(): SharedEvent<T>[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }
}

/** One change, and the events it can be for different watchers, each made once. */
class SharedChange<T> {
  readonly record: ChangeRecord<T>;
  readonly #depart: Depart<T>;
  readonly #events: Partial<Record<WatchEventType, SharedEvent<T>>> = {};

  constructor(record: ChangeRecord<T>, depart: Depart<T>) {
    this.record = record;
    this.#depart = depart;
  }

  as(type: WatchEventType): SharedEvent<T> {
    const { record } = this;
    return (this.#events[type] ??= new SharedEvent(
      type,
      record.revision,
      type === "DELETED" ? this.#depart(record) : record.current!,
    ));
  }
}

export class SharedEvent<T> implements ObjectEvent<T> {
  readonly type: WatchEventType;
  readonly revision: Revision;
  readonly entry: CachedEntry<T>;
  // Frames live as long as the event, which is as long as somebody still has to be told.
  readonly #frames = new Memo<Buffer>();

  constructor(type: WatchEventType, revision: Revision, entry: CachedEntry<T>) {
    this.type = type;
    this.revision = revision;
    this.entry = entry;
  }

  get weight(): number {
    return this.entry.weight;
  }

  frame(encoder: Encoder<T>): Buffer {
    return this.#frames.of(encoder.id, () => Buffer.concat(this.pieces(encoder)));
  }

  /** The frame's bytes in pieces, for whoever joins them with others. */
  pieces(encoder: Encoder<T>): readonly Uint8Array[] {
    return encoder.frame(this.type, this.entry.encoded(encoder));
  }
}

export class Batch<T> implements WatchBatch<T> {
  readonly events: readonly CacheEvent<T>[];
  readonly weight: number;

  constructor(events: readonly CacheEvent<T>[]) {
    this.events = events;
    let weight = 0;
    for (const event of events) if (event.type !== "BOOKMARK") weight += event.weight;
    this.weight = weight;
  }

  parts(encoder: Encoder<T>): readonly Uint8Array[] {
    return this.events.flatMap((event) => piecesOf(event, encoder));
  }
}

/** A batch that many watchers may have: its bytes are joined for the first of them. */
class SharedBatch<T> extends Batch<T> {
  readonly #joined = new Memo<readonly Uint8Array[]>();

  override parts(encoder: Encoder<T>): readonly Uint8Array[] {
    return this.#joined.of(encoder.id, () => {
      const [first] = this.events;
      // The frame of a lone event is the same for groups that want other things besides.
      if (this.events.length === 1 && first!.type !== "BOOKMARK") return [first!.frame(encoder)];
      return [Buffer.concat(super.parts(encoder))];
    });
  }
}

function piecesOf<T>(event: CacheEvent<T>, encoder: Encoder<T>): readonly Uint8Array[] {
  return event.type === "BOOKMARK" ? [encoder.bookmark(event.revision, event.initialEventsEnd)] : event.pieces(encoder);
}

/** Bytes by encoder; nearly always there is one. */
class Memo<Bytes> {
  #id: string | undefined;
  #bytes: Bytes | undefined;
  #others: Map<string, Bytes> | undefined;

  of(id: string, make: () => Bytes): Bytes {
    if (this.#id === undefined) {
      this.#bytes = make();
      this.#id = id;
      return this.#bytes;
    }
    if (this.#id === id) return this.#bytes!;
    this.#others ??= new Map();
    let bytes = this.#others.get(id);
    if (!bytes) this.#others.set(id, (bytes = make()));
    return bytes;
  }
}

/** Hands batches to one sink in order, as fast as it takes them, and gives up on it when too much waits. */
export class Watcher<T> implements CacheWatch {
  group: Group<T> | undefined;
  readonly wantsBookmarks: boolean;
  readonly #sink: WatchSink<T>;
  readonly #bufferEvents: number;
  readonly #leave: (watcher: Watcher<T>) => void;
  /** Events up to here are not for this watcher, or come out of `#past`. */
  readonly #after: Revision;
  readonly #now: () => Revision;
  #past: Iterator<Batch<T>> | undefined;
  #queue: Batch<T>[] = [];
  #queuedEvents = 0;
  #held = true;
  #delivering = false;
  #ended = false;

  constructor(options: {
    sink: WatchSink<T>;
    after: Revision;
    past: Iterator<Batch<T>> | undefined;
    wantsBookmarks: boolean;
    bufferEvents: number;
    now: () => Revision;
    leave: (watcher: Watcher<T>) => void;
  }) {
    this.#sink = options.sink;
    this.#after = options.after;
    this.#past = options.past;
    this.wantsBookmarks = options.wantsBookmarks;
    this.#bufferEvents = options.bufferEvents;
    this.#now = options.now;
    this.#leave = options.leave;
  }

  offer(batch: Batch<T>): void {
    if (this.#ended) return;
    if (batch.events[0]!.revision <= this.#after) {
      const fresh = batch.events.filter((event) => event.revision > this.#after);
      if (fresh.length === 0) return;
      batch = new Batch(fresh);
    }
    if (this.#isIdle()) {
      this.#deliver(batch);
      // What was offered meanwhile waits.
      if (!this.#held) this.resume();
      return;
    }
    if (this.#queue.length > 0 && this.#queuedEvents + batch.events.length > this.#bufferEvents) {
      this.end({ kind: "full" });
      return;
    }
    this.#queue.push(batch);
    this.#queuedEvents += batch.events.length;
  }

  /** A bookmark says that all before it was delivered: it is only for those who are up to date. */
  offerBookmark(batch: Batch<T>): void {
    if (!this.#ended && this.#isIdle() && batch.events[0]!.revision >= this.#after) this.#deliver(batch);
  }

  bookmark(): void {
    this.offerBookmark(new Batch<T>([{ type: "BOOKMARK", revision: this.#now(), initialEventsEnd: false }]));
  }

  resume(): void {
    this.#held = false;
    if (this.#delivering) return;
    while (!this.#held && !this.#ended) {
      const batch = this.#next();
      if (!batch) return;
      this.#deliver(batch);
    }
  }

  stop(): void {
    this.#ended = true;
    this.#past = undefined;
    this.#queue = [];
    this.#leave(this);
  }

  end(outcome: WatchEnd): void {
    if (this.#ended) return;
    this.stop();
    this.#sink.ended(outcome);
  }

  #isIdle(): boolean {
    return !this.#held && !this.#delivering && !this.#past && this.#queue.length === 0;
  }

  #next(): Batch<T> | undefined {
    if (this.#past) {
      const next = this.#past.next();
      if (!next.done) return next.value;
      this.#past = undefined;
    }
    const batch = this.#queue.shift();
    if (batch) this.#queuedEvents -= batch.events.length;
    return batch;
  }

  #deliver(batch: Batch<T>): void {
    // A resume() from within deliver() counts, whatever deliver() then returns.
    this.#held = true;
    this.#delivering = true;
    const takesMore = this.#sink.deliver(batch);
    this.#delivering = false;
    if (takesMore) this.#held = false;
  }
}
