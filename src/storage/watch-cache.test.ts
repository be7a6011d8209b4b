import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Clock, Timer } from "../base/clock.ts";
import type { Encoder } from "./encoding.ts";
import { EncodingBudget } from "./encoding-budget.ts";
import { MemoryStore } from "./memory.ts";
import { CompactedError, FutureRevisionError } from "./store.ts";
import { WatchCache } from "./watch-cache.ts";
import type { CacheEvent, CacheWatch, Selection, WatchBatch, WatchEnd, WatchRequest } from "./watch-cache-contract.ts";

interface Thing {
  metadata: { name: string; namespace: string; resourceVersion?: string; labels?: Record<string, string> };
  spec: { node?: string; size?: number };
}

const prefix = "/registry/things/";
const encoder = jsonEncoder<Thing>("json", "v1", "Thing");
const codec = { encoder, decode: (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes)) as Thing };
const indices = { node: (thing: Thing) => thing.spec.node };

const keyOf = (name: string, namespace = "default") => `${prefix}${namespace}/${name}`;
const thing = (name: string, spec: Thing["spec"] = {}, labels?: Record<string, string>): Thing => ({
  metadata: { name, namespace: "default", ...(labels ? { labels } : {}) },
  spec,
});
const labelled = (value: string): Selection<Thing> => ({
  id: `app=${value}`,
  matches: (object) => object.metadata.labels?.["app"] === value,
});
const onNode = (node: string): Selection<Thing> => ({
  id: `spec.node=${node}`,
  matches: (object) => object.spec.node === node,
  index: { name: "node", value: node },
});

/** A clock that stands still until it is told. */
class StandingClock implements Clock {
  #now = 0;
  #timers: { at: number; callback: () => void }[] = [];
  now = () => this.#now;
  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = { at: this.#now + delayMs, callback };
    this.#timers.push(timer);
    return { [Symbol.dispose]: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }
  advance(ms: number): void {
    this.#now += ms;
    const due = this.#timers.filter((timer) => timer.at <= this.#now);
    this.#timers = this.#timers.filter((timer) => timer.at > this.#now);
    for (const timer of due) timer.callback();
  }
}

/** `4 ADDED a`, or `4 bookmark`. */
function written(event: CacheEvent<Thing>): string {
  if (event.type === "BOOKMARK") return `${event.revision} bookmark${event.initialEventsEnd ? " end" : ""}`;
  return `${event.revision} ${event.type} ${event.entry.object.metadata.name}@${event.entry.object.metadata.resourceVersion}`;
}

class Recorder {
  events: string[] = [];
  batches: WatchBatch<Thing>[] = [];
  end: WatchEnd | undefined;
  takesMore = true;
  watch!: CacheWatch;
  deliver(batch: WatchBatch<Thing>): boolean {
    this.batches.push(batch);
    this.events.push(...batch.events.map(written));
    return this.takesMore;
  }
  ended(end: WatchEnd): void {
    this.end = end;
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("WatchCache", () => {
  let clock: StandingClock;
  let store: MemoryStore;
  let cache: WatchCache<Thing>;
  const newCache = (window = {}) =>
    new WatchCache<Thing>({ store, prefix, codec, clock, budget: new EncodingBudget(), indices, window });
  beforeEach(async () => {
    clock = new StandingClock();
    store = new MemoryStore({ clock });
    cache = newCache();
    await cache.ready();
  });
  afterEach(async () => {
    cache.close();
    await store.close();
  });

  const create = async (name: string, spec?: Thing["spec"], labels?: Record<string, string>) => {
    const outcome = await cache.create(keyOf(name), thing(name, spec, labels));
    if (!outcome.ok) throw new Error(`${name} exists`);
    return outcome.entry;
  };
  const update = async (name: string, spec: Thing["spec"], labels?: Record<string, string>) => {
    const outcome = await cache.update(keyOf(name), thing(name, spec, labels), undefined);
    if (!outcome.ok) throw new Error(`${name} conflicts`);
    return outcome.entry;
  };
  const watch = async (request: WatchRequest<Thing>, of = cache) => {
    const recorder = new Recorder();
    recorder.watch = await of.watch(request, recorder);
    recorder.watch.resume();
    return recorder;
  };
  const names = async (request = {}) => {
    const page = await cache.list(request);
    return { ...page, entries: page.entries.map((entry) => entry.object.metadata.name).join(" ") };
  };

  it("shows a writer its own write, with the write's revision in the object and in its bytes", async () => {
    const entry = await create("a", { size: 1 });
    expect(entry.object.metadata.resourceVersion).toBe("1");
    expect(cache.get(keyOf("a"))).toBe(entry);
    expect(cache.revision).toBe(1);
    expect(JSON.parse(entry.encoded(encoder).toString())).toEqual(entry.object);
    expect(codec.decode((await store.get(keyOf("a")))!.value)).toEqual(entry.object);
    expect(() => {
      entry.object.spec.size = 2;
    }).toThrow(TypeError);
  });

  it("serialises an object once, for the store, the getter and the watchers", async () => {
    let encodings = 0;
    const encode = (object: Thing) => {
      encodings++;
      return encoder.encode(object);
    };
    const counting = { ...encoder, encode };
    const counted = new WatchCache<Thing>({
      store,
      prefix: "/registry/counted/",
      codec: { ...codec, encoder: counting },
      clock,
      budget: new EncodingBudget(),
    });
    await counted.ready();
    const one = await watch({ start: { kind: "now" } }, counted);
    const two = await watch({ start: { kind: "now" } }, counted);
    await counted.create("/registry/counted/a", thing("a"));
    await turn();
    counted.get("/registry/counted/a")?.encoded(counting);
    expect(one.batches[0]).toBe(two.batches[0]);
    expect(one.batches[0]!.parts(counting)).toBe(two.batches[0]!.parts(counting));
    expect(one.batches[0]!.parts(counting).join("")).toBe(
      '{"type":"ADDED","object":{"metadata":{"name":"a","namespace":"default","resourceVersion":"1"},"spec":{}}}\n',
    );
    expect(encodings).toBe(1);
  });

  it("refuses a create of what exists and an update of what has changed, and leaves the object alone", async () => {
    const first = await create("a");
    const late = thing("a", { size: 9 });
    expect(await cache.create(keyOf("a"), late)).toEqual({ ok: false, current: first });
    expect(await cache.update(keyOf("a"), late, first.modRevision + 5)).toEqual({ ok: false, current: first });
    expect(Object.isFrozen(late)).toBe(false);
    expect(late.metadata.resourceVersion).toBeUndefined();
    expect(await cache.update(keyOf("b"), late, first.modRevision)).toEqual({ ok: false, current: undefined });
    expect(await cache.delete(keyOf("b"))).toEqual({ ok: false, current: undefined });
  });

  it("writes nothing for an update that changes nothing", async () => {
    const entry = await create("a", { size: 1 });
    const outcome = await cache.update(keyOf("a"), thing("a", { size: 1 }), entry.modRevision);
    expect(outcome).toEqual({ ok: true, entry });
    expect(store.revision).toBe(1);
    expect(await cache.update(keyOf("a"), thing("a", { size: 2 }), entry.modRevision)).toMatchObject({ ok: true });
  });

  it("lets updates build on ones that are not yet durable", async () => {
    await create("a", { size: 0 });
    const outcomes = [];
    for (let i = 0; i < 10; i++) {
      const base = cache.newest(keyOf("a"))!;
      const next = thing("a", { size: base.object.spec.size! + 1 });
      outcomes.push(cache.update(keyOf("a"), next, base.modRevision));
    }
    expect(cache.get(keyOf("a"))?.object.spec.size).toBe(0);
    expect((await Promise.all(outcomes)).every((outcome) => outcome.ok)).toBe(true);
    expect(cache.get(keyOf("a"))?.object.spec.size).toBe(10);
  });

  it("gives a deleted object's last state the revision of its end", async () => {
    const entry = await create("a", { size: 1 });
    const seen = await watch({ start: { kind: "now" } });
    const outcome = await cache.delete(keyOf("a"), entry.modRevision);
    expect(outcome).toMatchObject({
      ok: true,
      entry: { object: { metadata: { resourceVersion: "2" }, spec: { size: 1 } } },
    });
    expect(cache.get(keyOf("a"))).toBeUndefined();
    await turn();
    expect(seen.events).toEqual(["2 DELETED a@2"]);
    expect(entry.object.metadata.resourceVersion).toBe("1");
  });

  it("loads what the store holds, and trusts the store's revisions", async () => {
    await create("a");
    await store.write({ kind: "put", key: keyOf("b"), value: Buffer.from(JSON.stringify(thing("b"))) });
    const other = newCache();
    expect(() => other.get(keyOf("a"))).toThrow("before it is ready");
    await other.ready();
    expect(other.size).toBe(2);
    expect(other.get(keyOf("b"))?.object.metadata.resourceVersion).toBe("2");
    // The first cache read the foreign write from the store's event.
    expect(cache.get(keyOf("b"))?.object.metadata.resourceVersion).toBe("2");
  });

  it("says which key it cannot read", async () => {
    await store.write({ kind: "put", key: keyOf("broken"), value: Buffer.from("{") });
    await expect(newCache().ready()).rejects.toThrow(`read ${keyOf("broken")} at revision 1`);
    expect(() => cache.get(keyOf("broken"))).toThrow(`read ${keyOf("broken")} at revision 1`);
  });

  it("lists by namespace and selection, in key order, page by page", async () => {
    for (const name of ["c", "a", "d", "b"]) await create(name, { node: name < "c" ? "n1" : "n2" }, { app: "x" });
    await cache.create(keyOf("z", "other"), thing("z"));
    expect(await names()).toMatchObject({ entries: "a b c d z", revision: 5, remaining: 0 });
    expect(await names({ keyPrefix: `${prefix}other/` })).toMatchObject({ entries: "z" });
    expect(await names({ selection: labelled("x"), limit: 3 })).toEqual({
      entries: "a b c",
      revision: 5,
      next: keyOf("d"),
    });
    expect(await names({ selection: labelled("x"), limit: 3, from: keyOf("d") })).toEqual({
      entries: "d",
      revision: 5,
    });
    expect(await names({ selection: onNode("n2") })).toMatchObject({ entries: "c d" });
    expect(await names({ selection: onNode("n2"), limit: 1 })).toMatchObject({ entries: "c", next: keyOf("d") });
    expect(await names({ limit: 2 })).toMatchObject({ entries: "a b", remaining: 3, next: keyOf("c") });
    expect(await names({ limit: 2, from: keyOf("c") })).toMatchObject({ entries: "c d", remaining: 1 });
  });

  it("answers the same list with the same array until an object changes", async () => {
    await create("a", {}, { app: "x" });
    const first = await cache.list({ selection: labelled("x") });
    await store.write({ kind: "put", key: "/registry/others/a", value: Buffer.from("{}") });
    const second = await cache.list({ selection: labelled("x") });
    expect(second.entries).toBe(first.entries);
    expect([first.revision, second.revision]).toEqual([1, 2]);
    expect((await cache.list({ selection: labelled("y") })).entries).toEqual([]);
    await create("b", {}, { app: "x" });
    expect((await cache.list({ selection: labelled("x") })).entries).toHaveLength(2);
  });

  it("keeps the pages of one list consistent while objects change", async () => {
    for (const name of ["a", "b", "c", "d"]) await create(name);
    const first = await names({ limit: 2 });
    await update("c", { size: 1 });
    await cache.delete(keyOf("d"));
    await create("e");
    const second = await cache.list({ limit: 2, from: first.next, revision: first.revision });
    expect(
      second.entries.map((entry) =>
        written({
          type: "ADDED",
          revision: 0,
          entry,
          weight: 0,
          frame: encoder.frame as never,
          pieces: encoder.frame as never,
        }),
      ),
    ).toEqual(["0 ADDED c@3", "0 ADDED d@4"]);
    expect(second.next).toBeUndefined();
    expect(await names({ revision: 5 })).toMatchObject({ entries: "a b c d" });
    await expect(names({ revision: 99 })).rejects.toThrow(FutureRevisionError);
  });

  it("reads a state older than its window back from the store, until that is compacted", async () => {
    const small = newCache({ maxEvents: 2 });
    await small.ready();
    for (const name of ["a", "b", "c", "d", "e"]) await create(name, { node: "n1" });
    await cache.delete(keyOf("a"));
    const page = await small.list({ revision: 3, limit: 2 });
    expect(page.entries.map((entry) => entry.object.metadata.name)).toEqual(["a", "b"]);
    expect(page).toMatchObject({ next: keyOf("c"), remaining: 1, revision: 3 });
    const rest = await small.list({ revision: 3, limit: 2, from: page.next, selection: onNode("n1") });
    expect(rest.entries.map((entry) => entry.object.metadata.name)).toEqual(["c"]);
    const seen = await watch({ start: { kind: "after", revision: 1 } }, small);
    expect(seen.events).toEqual(["2 ADDED b@2", "3 ADDED c@3", "4 ADDED d@4", "5 ADDED e@5", "6 DELETED a@6"]);
    const cut = await cache.list({ limit: 2, revision: 3 });
    await store.compact(5);
    // In memory it is still there, but ends with the store's.
    await expect(cache.list({ revision: 3, from: cut.next })).rejects.toThrow(CompactedError);
    expect((await cache.list({ revision: 5 })).entries).toHaveLength(5);
    await expect(small.list({ revision: 3 })).rejects.toThrow(CompactedError);
    await expect(watch({ start: { kind: "after", revision: 1 } }, small)).rejects.toThrow(CompactedError);
  });

  it("begins a watch with the present state, or at a revision, or now", async () => {
    await create("b");
    await create("a");
    const initial = await watch({ start: { kind: "initial", bookmark: true } });
    const after = await watch({ start: { kind: "after", revision: 1 } });
    const now = await watch({ start: { kind: "now" } });
    const future = await watch({ start: { kind: "after", revision: 3 } });
    await create("c");
    await create("d");
    await turn();
    expect(initial.events).toEqual(["2 ADDED a@2", "1 ADDED b@1", "2 bookmark end", "3 ADDED c@3", "4 ADDED d@4"]);
    expect(after.events).toEqual(["2 ADDED a@2", "3 ADDED c@3", "4 ADDED d@4"]);
    expect(now.events).toEqual(["3 ADDED c@3", "4 ADDED d@4"]);
    expect(future.events).toEqual(["4 ADDED d@4"]);
  });

  it("shows objects that enter and leave a selection as ADDED and DELETED", async () => {
    const seen = await watch({ start: { kind: "now" }, selection: labelled("x") });
    const node = await watch({ start: { kind: "now" }, selection: onNode("n1") });
    await create("a", {}, { app: "x" });
    await update("a", { node: "n1" }, { app: "x" });
    await update("a", { node: "n1" }, { app: "y" });
    await update("a", { node: "n2" }, { app: "y" });
    await update("a", { node: "n2" }, { app: "x" });
    await cache.delete(keyOf("a"));
    await turn();
    expect(seen.events).toEqual(["1 ADDED a@1", "2 MODIFIED a@2", "3 DELETED a@3", "5 ADDED a@5", "6 DELETED a@6"]);
    expect(node.events).toEqual(["2 ADDED a@2", "3 MODIFIED a@3", "4 DELETED a@4"]);
  });

  it("does not ask watchers of other index values about a change", async () => {
    let asked = 0;
    for (let i = 0; i < 100; i++) {
      const selection = { ...onNode(`n${i}`), matches: (object: Thing) => ++asked > 0 && object.spec.node === `n${i}` };
      await watch({ start: { kind: "now" }, selection });
    }
    await create("a", { node: "n7" });
    await update("a", { node: "n7", size: 1 });
    await turn();
    expect(asked).toBe(3);
  });

  it("lets a slow watcher fall behind, then catch up, then gives up on it", async () => {
    const slow = await watch({ start: { kind: "now" }, bufferEvents: 3 });
    slow.takesMore = false;
    for (const name of ["a", "b", "c"]) await create(name);
    await turn();
    expect(slow.events).toEqual(["1 ADDED a@1"]);
    slow.takesMore = true;
    slow.watch.resume();
    expect(slow.events).toHaveLength(3);
    slow.takesMore = false;
    for (const name of ["d", "e", "f", "g"]) await create(name);
    await turn();
    expect(slow.end).toBeUndefined();
    await create("h");
    await turn();
    expect(slow.end).toEqual({ kind: "full" });
    slow.watch.resume();
    expect(slow.events).toHaveLength(4);
  });

  it("sends bookmarks once a minute to those who want them and are up to date", async () => {
    const wants = await watch({ start: { kind: "now" }, bookmarks: true });
    const slow = await watch({ start: { kind: "now" }, bookmarks: true });
    const plain = await watch({ start: { kind: "now" } });
    slow.takesMore = false;
    await create("a");
    await store.write({ kind: "put", key: "/registry/others/a", value: Buffer.from("{}") });
    await turn();
    clock.advance(60_000);
    expect(wants.events).toEqual(["1 ADDED a@1", "2 bookmark"]);
    expect(wants.batches.at(-1)?.parts(encoder).join("")).toBe(
      '{"type":"BOOKMARK","object":{"kind":"Thing","apiVersion":"v1","metadata":{"resourceVersion":"2"}}}\n',
    );
    expect(slow.events).toEqual(["1 ADDED a@1"]);
    expect(plain.events).toEqual(["1 ADDED a@1"]);
    wants.watch.bookmark();
    expect(wants.events).toHaveLength(3);
  });

  it("delivers nothing after stop, and closes everyone with the cache", async () => {
    const stopped = await watch({ start: { kind: "now" } });
    const open = await watch({ start: { kind: "now" } });
    const writing = create("a");
    stopped.watch.stop();
    await writing;
    await turn();
    cache.close();
    await turn();
    expect(stopped.events).toEqual([]);
    expect(stopped.end).toBeUndefined();
    expect(open.end).toEqual({ kind: "closed" });
    expect(() => cache.get(keyOf("a"))).toThrow("is closed");
  });

  it("waits for a revision that is still to come", async () => {
    const reached = cache.reached(2);
    await create("a");
    await create("b");
    await reached;
    const controller = new AbortController();
    const never = cache.reached(99, controller.signal);
    controller.abort(new Error("enough"));
    await expect(never).rejects.toThrow("enough");
  });

  it("drops encoded bytes over the budget, the ones in use last", async () => {
    const budget = new EncodingBudget(10_000);
    const bounded = new WatchCache<Thing>({ store, prefix, codec, clock, budget });
    await bounded.ready();
    const entries = [];
    for (let i = 0; i < 200; i++) {
      const outcome = await bounded.create(keyOf(`a${i}`), thing(`a${i}`));
      if (outcome.ok) entries.push(outcome.entry);
      const first = entries[0]!.encoded(encoder);
      expect(entries[0]!.encoded(encoder)).toBe(first);
    }
    expect(budget.bytes).toBeLessThanOrEqual(10_000);
    expect(JSON.parse(entries[1]!.encoded(encoder).toString())).toEqual(entries[1]!.object);
  });

  it("yields every event once and in order, whatever writers and watchers do at the same time", async () => {
    const name = fc.constantFrom("a", "b", "c", "d");
    const action = fc.oneof(
      fc.record({
        kind: fc.constant("write" as const),
        name,
        app: fc.constantFrom("x", "y"),
        node: fc.constantFrom("n1", "n2"),
      }),
      fc.record({ kind: fc.constant("delete" as const), name }),
      fc.record({
        kind: fc.constant("watch" as const),
        start: fc.constantFrom("now", "initial", "after"),
        back: fc.nat(20),
        filter: fc.constantFrom("none", "label", "index"),
      }),
      fc.record({ kind: fc.constant("hold" as const), watcher: fc.nat(5) }),
      fc.record({ kind: fc.constant("resume" as const), watcher: fc.nat(5) }),
      fc.record({ kind: fc.constant("turn" as const) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { maxLength: 60 }),
        fc.integer({ min: 1, max: 8 }),
        async (actions, maxEvents) => {
          const ownStore = new MemoryStore({ clock });
          const own = new WatchCache<Thing>({
            store: ownStore,
            prefix,
            codec,
            clock,
            budget: new EncodingBudget(500),
            indices,
            window: { maxEvents },
          });
          await own.ready();
          const watchers: { request: WatchRequest<Thing>; from: number; recorder: Recorder }[] = [];
          const pending: Promise<unknown>[] = [];
          for (const [i, step] of actions.entries()) {
            if (step.kind === "write") {
              pending.push(
                own.update(
                  keyOf(step.name),
                  thing(step.name, { node: step.node, size: i }, { app: step.app }),
                  undefined,
                ),
              );
            } else if (step.kind === "delete") pending.push(own.delete(keyOf(step.name)));
            else if (step.kind === "turn") await turn();
            else if (step.kind === "watch") {
              const selection =
                step.filter === "label" ? labelled("x") : step.filter === "index" ? onNode("n1") : undefined;
              const start =
                step.start === "after"
                  ? { kind: "after" as const, revision: Math.max(0, own.revision - step.back) }
                  : step.start === "initial"
                    ? { kind: "initial" as const, bookmark: false }
                    : { kind: "now" as const };
              const request: WatchRequest<Thing> = { start, selection };
              const recorder = new Recorder();
              // Without a named start the watch joins at once, though its promise resolves later.
              const from = start.kind === "after" ? start.revision : own.revision;
              recorder.watch = await own.watch(request, recorder);
              watchers.push({ request, from, recorder });
              recorder.watch.resume();
            } else {
              const watcher = watchers[step.watcher]?.recorder;
              if (!watcher) continue;
              watcher.takesMore = step.kind === "resume";
              if (watcher.takesMore) watcher.watch.resume();
            }
          }
          await Promise.all(pending);
          await turn();
          for (const { recorder } of watchers) {
            recorder.takesMore = true;
            recorder.watch.resume();
          }
          const history = await allChanges(ownStore);
          for (const { request, from, recorder } of watchers) {
            expect(recorder.events).toEqual(expectedEvents(history, request, from));
          }
          own.close();
          await ownStore.close();
        },
      ),
      { numRuns: 300 },
    );
  });
});

interface Change {
  revision: number;
  key: string;
  previous: Thing | undefined;
  current: Thing | undefined;
}

function allChanges(store: MemoryStore): Promise<Change[]> {
  const until = store.revision;
  if (until === 0) return Promise.resolve([]);
  return new Promise((resolve) => {
    const changes: Change[] = [];
    store.watch(prefix, 0, (events, revision) => {
      for (const event of events) {
        changes.push({
          revision: event.revision,
          key: event.kind === "put" ? event.current.key : event.key,
          previous: event.previous && codec.decode(event.previous.value),
          current: event.kind === "put" ? codec.decode(event.current.value) : undefined,
        });
      }
      if (revision >= until) resolve(changes);
    });
  });
}

/** The plain specification of a watch: the state at its start if it asked for that, then each change seen through its selection. */
function expectedEvents(history: readonly Change[], request: WatchRequest<Thing>, from: number): string[] {
  const matches = (object: Thing | undefined) =>
    object !== undefined && (request.selection === undefined || request.selection.matches(object));
  const events: string[] = [];
  if (request.start.kind === "initial") {
    const state = new Map<string, Change>();
    for (const change of history) {
      if (change.revision > from) break;
      if (change.current) state.set(change.key, change);
      else state.delete(change.key);
    }
    for (const [, change] of [...state].sort()) {
      if (matches(change.current))
        events.push(`${change.revision} ADDED ${change.current!.metadata.name}@${change.revision}`);
    }
  }
  for (const { revision, previous, current } of history) {
    if (revision <= from) continue;
    const before = matches(previous);
    const after = matches(current);
    if (!before && !after) continue;
    const type = !before ? "ADDED" : after ? "MODIFIED" : "DELETED";
    events.push(`${revision} ${type} ${(current ?? previous)!.metadata.name}@${revision}`);
  }
  return events;
}

/** The plainest encoder there is. */
function jsonEncoder<T>(id: string, apiVersion: string, kind: string): Encoder<T> {
  const heads = {
    ADDED: Buffer.from('{"type":"ADDED","object":'),
    MODIFIED: Buffer.from('{"type":"MODIFIED","object":'),
    DELETED: Buffer.from('{"type":"DELETED","object":'),
  };
  const tail = Buffer.from("}\n");
  return {
    id,
    encode: (object) => Buffer.from(JSON.stringify(object)),
    frame: (type, encoded) => [heads[type], encoded, tail],
    bookmark(revision, initialEventsEnd) {
      const annotations = initialEventsEnd ? { "k8s.io/initial-events-end": "true" } : undefined;
      const object = { kind, apiVersion, metadata: { resourceVersion: String(revision), annotations } };
      return Buffer.from(`${JSON.stringify({ type: "BOOKMARK", object })}\n`);
    },
  };
}
