import { spawn, spawnSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../base/node/system-clock.ts";
import { seededRandom } from "../../base/random.ts";
import { MemoryStore } from "../memory.ts";
import { readSnapshot, takeSnapshot, writeSnapshot } from "../snapshot.ts";
import { storeConformance } from "../store.conformance.ts";
import type { Store } from "../store.ts";
import { LmdbStore } from "./lmdb-store.ts";

const newFolder = () => mkdtemp(`${tmpdir()}/pnt-storage-`);

storeConformance("LmdbStore", async () => {
  const folder = await newFolder();
  const store = await LmdbStore.open({ folder, clock: systemClock });
  const dispose = async () => {
    await store.close();
    await rm(folder, { recursive: true });
  };
  return { store, dispose };
});

describe("LmdbStore", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await newFolder();
  });
  afterEach(() => rm(folder, { recursive: true }));

  const openStore = (options = {}) => LmdbStore.open({ folder: `${folder}/state`, clock: systemClock, ...options });
  const put = (store: Store, key: string, value: string) =>
    store.write({ kind: "put", key, value: new TextEncoder().encode(value) });
  const contents = async (store: Store, revision?: number) => {
    const { values } = await store.range("/", "0", { revision });
    return values.map((v) => `${v.key}=${new TextDecoder().decode(v.value)}@${v.createRevision}/${v.modRevision}`);
  };

  it("shows the same state, revision and history after it was opened again", async () => {
    const first = await openStore();
    await put(first, "/a", "1");
    await put(first, "/b", "1");
    await put(first, "/a", "2");
    await first.write({ kind: "delete", key: "/b" });
    await first.compact(1);
    await first.close();

    const second = await openStore();
    expect(second.revision).toBe(4);
    expect(await contents(second)).toEqual(["/a=2@1/3"]);
    expect(await contents(second, 2)).toEqual(["/a=1@1/1", "/b=1@2/2"]);
    await expect(contents(second, 0)).rejects.toThrow("compacted");
    expect(await put(second, "/c", "1")).toMatchObject({ revision: 5 });
    await second.close();
  });

  it("gives back the room that compacted history took", async () => {
    const store = await openStore({ history: { maxRevisions: 100 } });
    for (let i = 0; i < 60; i++) {
      await Promise.all(Array.from({ length: 20 }, (_, j) => put(store, `/k/${j}`, "x".repeat(3_000))));
    }
    // 1,200 values of 3 KB were written; some 100 of history and 20 current ones need room.
    expect((await stat(`${folder}/state/data.mdb`)).size).toBeLessThan(2_500_000);
    await store.verify();
    await store.close();
  });

  it("refuses a folder that a living process has, and says which", async () => {
    const store = await openStore();
    await expect(openStore()).rejects.toThrow(`${folder}/state is already in use by pid ${process.pid}`);
    await store.close();
    await (await openStore()).close();
  });

  it("takes over the lock of a process that is gone, even when its pid was given away since", async () => {
    await (await openStore()).close();
    const gone = spawnSync("true").pid;
    for (const holder of [
      { pid: gone, started: "x" },
      { pid: process.pid, started: "long ago" },
    ]) {
      await writeFile(`${folder}/state/lock`, JSON.stringify(holder));
      await (await openStore()).close();
    }
    await writeFile(`${folder}/state/lock`, "");
    await (await openStore()).close();
    const living = spawn("sleep", ["30"]);
    const started = (await readFile(`/proc/${living.pid}/stat`, "utf8")).split(" ")[21];
    const boot = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    await writeFile(`${folder}/state/lock`, JSON.stringify({ pid: living.pid, started: `${boot} ${started}` }));
    await expect(openStore()).rejects.toThrow(`already in use by pid ${living.pid}`);
    living.kill();
  });

  it("lets only one of several that race for a stale lock have it", async () => {
    await (await openStore()).close();
    await writeFile(`${folder}/state/lock`, JSON.stringify({ pid: spawnSync("true").pid, started: "x" }));
    const racers = await Promise.allSettled(Array.from({ length: 8 }, () => openStore()));
    const winners = racers.flatMap((r) => (r.status === "fulfilled" ? [r.value] : []));
    expect(winners).toHaveLength(1);
    await winners[0]!.close();
  });

  it("reports a file that was cut short", async () => {
    const store = await openStore();
    for (let i = 0; i < 50; i++) await put(store, `/k/${i}`, "x".repeat(3_000));
    await store.close();
    const path = `${folder}/state/data.mdb`;
    await truncate(path, Math.floor((await stat(path)).size / 2));
    await expect(openStore()).rejects.toThrow(`open the store in ${folder}/state: ${path} is damaged: it is cut short`);
  });

  it("reports a file that is not a store", async () => {
    await mkdir(`${folder}/state`);
    await writeFile(`${folder}/state/data.mdb`, "hello");
    await expect(openStore()).rejects.toThrow("is damaged: neither of its two heads");
  });

  it("never serves a value other than the one that was written, wherever the file is damaged", async () => {
    const value = (i: number) => `value ${i} `.repeat(i % 7 === 0 ? 400 : 30);
    const first = await openStore();
    await Promise.all(Array.from({ length: 200 }, (_, i) => put(first, `/k/${i}`, value(i))));
    await first.close();
    const path = `${folder}/state/data.mdb`;
    await copyFile(path, `${folder}/sound`);
    const { size } = await stat(path);
    const seed = 20261121;
    const random = seededRandom(seed);
    let found = 0;
    for (let round = 0; round < 40; round++) {
      await copyFile(`${folder}/sound`, path);
      const file = await open(path, "r+");
      // Not the counters of the two heads: LMDB falls back to the older one, which is a whole state too.
      const at = 8_192 + random.int(size - 8_192 - 64);
      await file.write(Buffer.from(Array.from({ length: 64 }, () => random.int(256))), 0, 64, at);
      await file.close();
      let store: LmdbStore | undefined;
      try {
        store = await openStore();
        const { values } = await store.range("/", "0");
        await store.verify();
        for (const stored of values) {
          const text = new TextDecoder().decode(stored.value);
          expect(text, `seed ${seed}, round ${round}, byte ${at}`).toBe(value(Number(stored.key.slice(3))));
        }
        expect(values, `seed ${seed}, round ${round}, byte ${at}`).toHaveLength(200);
      } catch (error) {
        if (!(error instanceof Error) || error.name !== "CorruptedError") throw error;
        found++;
      } finally {
        await store?.close();
      }
    }
    expect(found).toBeGreaterThan(10);
  });

  it("refuses writes on a full disk, names the cause, keeps its state, and goes on when there is room", async () => {
    const disk = `${folder}/disk`;
    await mkdir(disk);
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "pnt-storage", disk]);
    if (mounted.status !== 0) throw new Error(`mount: ${mounted.stderr}`);
    try {
      // Room that is given back later.
      await writeFile(`${disk}/ballast`, Buffer.alloc(1_500_000));
      let store = await LmdbStore.open({ folder: `${disk}/state`, clock: systemClock });
      const acknowledged: string[] = [];
      let refusal: Error | undefined;
      for (let i = 0; i < 2_000 && !refusal; i++) {
        await put(store, `/k/${i}`, "x".repeat(2_000)).then(
          () => acknowledged.push(`/k/${i}`),
          (error: Error) => {
            refusal = error;
          },
        );
      }
      expect(refusal?.message).toMatch(/^write \/k\/\d+: not durable, nothing was changed: no space left on device/);
      const shown = async () => (await store.range("/", "0")).values.map((v) => v.key).sort();
      expect(await shown()).toEqual([...acknowledged].sort());
      expect(store.revision).toBe(acknowledged.length);
      const ballast = `${disk}/ballast`;
      await truncate(ballast, 1_000_000);
      expect(await put(store, "/without-restart", "x")).toMatchObject({ ok: true });
      acknowledged.push("/without-restart");
      await store.close();
      store = await LmdbStore.open({ folder: `${disk}/state`, clock: systemClock });
      expect(await shown()).toEqual([...acknowledged].sort());
      await rm(`${disk}/ballast`);
      expect(await put(store, "/more", "x")).toMatchObject({ ok: true, revision: acknowledged.length + 1 });
      await store.verify();
      await store.close();
    } finally {
      spawnSync("umount", [disk]);
    }
  });

  it("moves a state through a snapshot file, from engine to engine, revisions kept", async () => {
    const first = await openStore();
    await put(first, "/a", "1");
    await put(first, "/b", "1");
    await put(first, "/a", "2");
    await first.write({ kind: "delete", key: "/b" });
    const file = `${folder}/snapshot`;
    await writeSnapshot(await takeSnapshot(first), file);
    const snapshot = await readSnapshot(file);

    const memory = new MemoryStore({ clock: systemClock, snapshot });
    expect([memory.revision, await contents(memory)]).toEqual([4, ["/a=2@1/3"]]);
    const second = await LmdbStore.open({ folder: `${folder}/restored`, clock: systemClock, snapshot });
    expect([second.revision, await contents(second)]).toEqual([4, ["/a=2@1/3"]]);
    expect(await put(second, "/a", "3")).toMatchObject({ revision: 5, previous: { modRevision: 3 } });
    await expect(contents(second, 3)).rejects.toThrow("compacted");
    await second.close();
    await first.close();
    await expect(openStore({ snapshot })).rejects.toThrow("it holds a state already");

    const bytes = await readFile(file);
    bytes[bytes.length - 20]! ^= 1;
    await writeFile(file, bytes);
    await expect(readSnapshot(file)).rejects.toThrow("is damaged: it does not match its checksum");
    await writeFile(file, "hello");
    await expect(readSnapshot(file)).rejects.toThrow("is not a snapshot");
  });
});
