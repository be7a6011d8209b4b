/** What every Store must do. Registers vitest tests for one implementation. */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CompactedError, FutureRevisionError, type Store, type StoreEvent } from "./store.ts";

export interface StoreFixture {
  store: Store;
  dispose(): Promise<void>;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined) => (value === undefined ? undefined : new TextDecoder().decode(value));

/** Events as short text: `3 put /a=x was v`. */
function written(event: StoreEvent): string {
  const was = event.previous ? ` was ${text(event.previous.value)}@${event.previous.modRevision}` : "";
  if (event.kind === "delete") return `${event.revision} delete ${event.key}${was}`;
  return `${event.revision} put ${event.current.key}=${text(event.current.value)}${was}`;
}

/** `modelRuns`: how many random histories are compared with a model. */
export function storeConformance(name: string, open: () => Promise<StoreFixture>, modelRuns = 30): void {
  describe(`${name} keeps the store's contract`, () => {
    let fixture: StoreFixture;
    let store: Store;
    beforeEach(async () => {
      fixture = await open();
      store = fixture.store;
    });
    afterEach(() => fixture.dispose());

    const put = (key: string, value: string, expected?: number) =>
      store.write({ kind: "put", key, value: bytes(value), expected });
    const remove = (key: string, expected?: number) => store.write({ kind: "delete", key, expected });
    const all = async (options?: { revision?: number; limit?: number }) => {
      const { values, remaining } = await store.range("/", "0", options);
      return { values: values.map((v) => `${v.key}=${text(v.value)}`), remaining };
    };
    /** Collects events until `revision` has been seen. */
    const seen = (prefix: string, after: number, until: number) =>
      new Promise<string[]>((resolve) => {
        const events: string[] = [];
        const watch = store.watch(prefix, after, (batch, revision) => {
          events.push(...batch.map(written));
          if (revision < until) return;
          watch?.stop();
          resolve(events);
        });
      });

    it("gives every write the next revision, and a key its creation and last change", async () => {
      const start = store.revision;
      expect(await put("/a", "1")).toMatchObject({ ok: true, revision: start + 1, previous: undefined });
      expect(await put("/b", "1")).toMatchObject({ ok: true, revision: start + 2 });
      expect(await put("/a", "2")).toMatchObject({ ok: true, revision: start + 3, previous: { key: "/a" } });
      expect(await store.get("/a")).toMatchObject({ key: "/a", createRevision: start + 1, modRevision: start + 3 });
      expect(text((await store.get("/a"))?.value)).toBe("2");
      expect(await store.get("/missing")).toBeUndefined();
      expect(store.revision).toBe(start + 3);
    });

    it("writes only when the key stands at the expected revision", async () => {
      const first = await put("/a", "1", 0);
      if (!first.ok) throw new Error("the key existed");
      expect(await put("/a", "2", 0)).toMatchObject({ ok: false, current: { modRevision: first.revision } });
      const second = await put("/a", "2", first.revision);
      if (!second.ok) throw new Error("conflict");
      const late = await put("/a", "3", first.revision);
      expect(late).toMatchObject({ ok: false, current: { modRevision: second.revision } });
      expect(text(late.ok ? undefined : late.current?.value)).toBe("2");
      expect(await put("/b", "1", first.revision)).toEqual({ ok: false, current: undefined });
      expect(await remove("/a", first.revision)).toMatchObject({ ok: false });
      expect(await remove("/a", second.revision)).toMatchObject({ ok: true, revision: second.revision + 1 });
      expect(await remove("/a")).toEqual({ ok: false, current: undefined });
      expect(store.revision).toBe(second.revision + 1);
    });

    it("lets exactly one of many concurrent creators win", async () => {
      const results = await Promise.all(Array.from({ length: 20 }, (_, i) => put("/a", String(i), 0)));
      expect(results.filter((r) => r.ok)).toHaveLength(1);
      const stands = text((await store.get("/a"))?.value);
      for (const result of results) if (!result.ok) expect(text(result.current?.value)).toBe(stands);
    });

    it("hands the revision of the write to a value that asks for it", async () => {
      const result = await store.write({ kind: "put", key: "/a", value: (revision) => bytes(`at ${revision}`) });
      const stands = text((await store.get("/a"))?.value);
      expect([`at ${result.ok && result.revision}`, "at 0"]).toContain(stands);
    });

    it("writes nothing and spends no revision when making the value fails", async () => {
      const start = store.revision;
      const value = () => {
        throw new Error("cannot encode");
      };
      await expect(store.write({ kind: "put", key: "/a", value })).rejects.toThrow("cannot encode");
      expect(await put("/b", "1")).toMatchObject({ ok: true, revision: start + 1 });
      expect(await store.get("/a")).toBeUndefined();
    });

    it("lists a range in key order, page by page", async () => {
      for (const key of ["/b/2", "/a/1", "/b/1", "/c", "/b/10", "/b"]) await put(key, "x");
      const range = async (from: string, to: string, limit?: number) => {
        const { values, remaining } = await store.range(from, to, { limit });
        return [values.map((v) => v.key).join(" "), remaining];
      };
      expect(await range("/b/", "/b0")).toEqual(["/b/1 /b/10 /b/2", 0]);
      expect(await range("/", "0", 2)).toEqual(["/a/1 /b", 4]);
      expect(await range("/b\0", "0", 3)).toEqual(["/b/1 /b/10 /b/2", 1]);
      expect(await range("/x", "/y")).toEqual(["", 0]);
    });

    it("shows a range as it was at an older revision", async () => {
      await put("/a", "1");
      await put("/b", "1");
      const then = store.revision;
      await put("/a", "2");
      await remove("/b");
      await put("/c", "1");
      await put("/b", "again");
      expect(await all({ revision: then })).toEqual({ values: ["/a=1", "/b=1"], remaining: 0 });
      expect(await all({ revision: then, limit: 1 })).toEqual({ values: ["/a=1"], remaining: 1 });
      expect(await all({ revision: then + 2 })).toEqual({ values: ["/a=2"], remaining: 0 });
      expect(await all()).toEqual({ values: ["/a=2", "/b=again", "/c=1"], remaining: 0 });
      await expect(all({ revision: store.revision + 1 })).rejects.toThrow(FutureRevisionError);
    });

    it("tells watchers of every event once, in order, whether they come early or late", async () => {
      const start = store.revision;
      const until = start + 5;
      const early = seen("/a/", start, until);
      const elsewhere = seen("/nothing/", start, until);
      await put("/a/1", "x");
      await put("/b/1", "x");
      await put("/a/1", "y");
      await remove("/a/1");
      await put("/a/2", "x");
      const expected = [
        `${start + 1} put /a/1=x`,
        `${start + 3} put /a/1=y was x@${start + 1}`,
        `${start + 4} delete /a/1 was y@${start + 3}`,
        `${start + 5} put /a/2=x`,
      ];
      expect(await early).toEqual(expected);
      expect(await elsewhere).toEqual([]);
      expect(await seen("/a/", start, until)).toEqual(expected);
      expect(await seen("/a/", start + 3, until)).toEqual(expected.slice(2));
    });

    it("tells a watcher that has caught up before it tells the writer", async () => {
      let told = 0;
      const watch = store.watch("/", store.revision, (_, revision) => {
        told = revision;
      });
      const results = await Promise.all([put("/a", "1"), put("/b", "1")]);
      expect(told).toBe(store.revision);
      expect(results.every((r) => r.ok && r.revision <= told)).toBe(true);
      watch.stop();
      await put("/c", "1");
      expect(told).toBe(store.revision - 1);
    });

    it("forgets history on compaction, and says so", async () => {
      await put("/a", "1");
      const old = store.revision;
      await put("/a", "2");
      await put("/b", "1");
      await remove("/b");
      const kept = store.revision;
      await put("/a", "3");
      await store.compact(kept);
      expect(store.compactRevision).toBe(kept);
      await expect(all({ revision: old })).rejects.toThrow(CompactedError);
      expect(() => store.watch("/", old, () => {})).toThrow(CompactedError);
      expect(await all({ revision: kept })).toEqual({ values: ["/a=2"], remaining: 0 });
      expect(await seen("/", kept, kept + 1)).toEqual([`${kept + 1} put /a=3 was 2@${old + 1}`]);
      expect(await all()).toEqual({ values: ["/a=3"], remaining: 0 });
      await expect(store.compact(store.revision + 1)).rejects.toThrow(FutureRevisionError);
    });

    it("refuses work after it was closed", async () => {
      const inFlight = put("/a", "1");
      await store.close();
      expect(await inFlight).toMatchObject({ ok: true });
      await expect(put("/b", "1")).rejects.toThrow("closed");
      await expect(store.get("/a")).rejects.toThrow("closed");
    });

    it("keeps values byte for byte, of no bytes and of many", async () => {
      const values = [
        new Uint8Array(0),
        Uint8Array.from({ length: 256 }, (_, i) => i),
        new Uint8Array(1_500_000).fill(7),
      ];
      for (const [i, value] of values.entries()) await store.write({ kind: "put", key: `/v/${i}`, value });
      const { values: read } = await store.range("/v/", "/v0");
      expect(read.map((r) => Buffer.compare(r.value, values[Number(r.key.slice(3))]!))).toEqual([0, 0, 0]);
    });

    it("agrees with a plain model of history under any sequence of concurrent writes", async () => {
      const operation = fc.record({
        key: fc.constantFrom("/m/a", "/m/b", "/m/c", "/n/a"),
        remove: fc.boolean(),
        // How the writer guesses the revision: the newest it knows, "absent", or whatever stands.
        expects: fc.constantFrom("known", "absent", "any"),
        wait: fc.boolean(),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(operation, { maxLength: 40 }), async (operations) => {
          const fresh = await open();
          try {
            await followsModel(fresh.store, operations);
          } finally {
            await fresh.dispose();
          }
        }),
        { numRuns: modelRuns },
      );
    });
  });
}

interface Operation {
  key: string;
  remove: boolean;
  expects: string;
  wait: boolean;
}

async function followsModel(store: Store, operations: readonly Operation[]): Promise<void> {
  const start = store.revision;
  const live: StoreEvent[] = [];
  const watch = store.watch("/m/", start, (events) => void live.push(...events));
  const results = [];
  for (const [i, operation] of operations.entries()) {
    const known = (await store.get(operation.key))?.modRevision ?? 0;
    const expected = operation.expects === "known" ? known : operation.expects === "absent" ? 0 : undefined;
    const result = store.write(
      operation.remove
        ? { kind: "delete", key: operation.key, expected }
        : { kind: "put", key: operation.key, value: bytes(String(i)), expected },
    );
    results.push(result);
    if (operation.wait) await result;
  }
  const settled = await Promise.all(results);
  const revisions = settled.flatMap((r) => (r.ok ? [r.revision] : []));
  // Each acknowledged write has a revision of its own, and none is skipped.
  expect(revisions.sort((a, b) => a - b)).toEqual(revisions.map((_, i) => start + 1 + i));
  expect(store.revision).toBe(start + revisions.length);

  const history = await new Promise<StoreEvent[]>((resolve) => {
    if (store.revision === start) return resolve([]);
    const events: StoreEvent[] = [];
    store.watch("/", start, (batch, revision) => {
      events.push(...batch);
      if (revision >= store.revision) resolve(events);
    });
  });
  expect(history.map((e) => e.revision)).toEqual(revisions);
  expect(live.map(written)).toEqual(history.filter((e) => written(e).includes(" /m/")).map(written));
  watch.stop();

  // Replaying history gives every past state, and each event's `previous` is what stood there.
  const model = new Map<string, string>();
  for (const event of history) {
    const key = event.kind === "put" ? event.current.key : event.key;
    expect(text(event.previous?.value)).toBe(model.get(key));
    if (event.kind === "put") model.set(key, text(event.current.value)!);
    else model.delete(key);
    const { values } = await store.range("/", "0", { revision: event.revision });
    expect(values.map((v) => [v.key, text(v.value)])).toEqual([...model].sort());
  }
}
