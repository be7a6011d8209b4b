import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../base/node/system-clock.ts";
import { EncodingBudget } from "../encoding-budget.ts";
import { restoreInto, takeSnapshot } from "../snapshot.ts";
import { storeConformance } from "../store.conformance.ts";
import { CompactedError } from "../store.ts";
import { WatchCache } from "../watch-cache.ts";
import { base64 } from "./etcd-client.ts";
import { EtcdStore } from "./etcd-store.ts";

let etcd: ChildProcess;
let folder: string;
let endpoint: string;
let peer: string;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function startEtcd(): ChildProcess {
  const addresses = ["--listen-client-urls", endpoint, "--advertise-client-urls", endpoint];
  const peers = ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `pnt=${peer}`];
  // The only member need not wait long for others to stand for election.
  const hasty = ["--heartbeat-interval", "10", "--election-timeout", "100", "--unsafe-no-fsync"];
  const all = ["--name", "pnt", "--data-dir", `${folder}/data`, ...hasty, ...addresses, ...peers];
  return spawn("etcd", all, { stdio: "ignore" });
}

async function stopEtcd(signal: NodeJS.Signals): Promise<void> {
  const ended = new Promise((resolve) => etcd.once("exit", resolve));
  etcd.kill(signal);
  await ended;
}

const call = async (path: string, body: object) => {
  const response = await fetch(endpoint + path, { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
};
const clear = () => call("/v3/kv/deleterange", { key: base64("\0"), range_end: base64("\0") });

async function answers(): Promise<void> {
  while (
    !(await call("/v3/maintenance/status", {}).then(
      () => true,
      () => false,
    ))
  ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

beforeAll(async () => {
  // In memory: what is tested is the protocol, not the disk.
  folder = await mkdtemp("/dev/shm/pnt-storage-etcd-");
  endpoint = `http://127.0.0.1:${await freePort()}`;
  peer = `http://127.0.0.1:${await freePort()}`;
  etcd = startEtcd();
  await answers();
});
afterAll(async () => {
  await stopEtcd("SIGTERM");
  await rm(folder, { recursive: true });
});

const open = () => EtcdStore.open({ endpoints: [endpoint], clock: systemClock });

storeConformance(
  "EtcdStore",
  async () => {
    await clear();
    const store = await open();
    return { store, dispose: () => store.close() };
  },
  8,
);

interface Thing {
  metadata: { name: string; resourceVersion?: string };
  size: number;
}

it("a snapshot is put into etcd beside those who watch, who are told only of what differs", async () => {
  await clear();
  const store = await open();
  try {
    const put = (key: string, text: string) => store.write({ kind: "put", key, value: Buffer.from(text) });
    for (const name of ["changed", "gone", "same"]) await put(`/registry/x/${name}`, "before");
    const snapshot = await takeSnapshot(store);
    await put("/registry/x/changed", "after");
    await put("/registry/x/new", "after");
    await store.write({ kind: "delete", key: "/registry/x/gone" });
    const seen: string[] = [];
    store.watch("/registry/", store.revision, (events) => {
      for (const event of events) seen.push(`${event.kind} ${event.kind === "put" ? event.current.key : event.key}`);
    });
    expect(await restoreInto(store, snapshot)).toBe(3);
    expect(seen.sort()).toEqual(["delete /registry/x/new", "put /registry/x/changed", "put /registry/x/gone"]);
    const values = (await takeSnapshot(store)).values.map(({ key, value }) => [key, Buffer.from(value).toString()]);
    expect(values).toEqual(["changed", "gone", "same"].map((name) => [`/registry/x/${name}`, "before"]));
  } finally {
    await store.close();
  }
});

it("history that is old enough is forgotten by itself", async () => {
  await clear();
  const store = await EtcdStore.open({ endpoints: [endpoint], clock: systemClock, keepMs: 20 });
  try {
    const first = store.revision;
    await store.write({ kind: "put", key: "/registry/x/a", value: Buffer.from("1") });
    await expect.poll(() => store.compactRevision, { timeout: 20_000 }).toBeGreaterThan(first);
    await expect(store.range("/", "0", { revision: first })).rejects.toThrow(CompactedError);
  } finally {
    await store.close();
  }
});

describe("Two API servers that share etcd", () => {
  const prefix = "/registry/things/";
  const unused = () => {
    throw new Error("nobody asks for frames here");
  };
  const newCache = async (store: EtcdStore) => {
    const encoder = {
      id: "json",
      encode: (object: Thing) => Buffer.from(JSON.stringify(object)),
      frame: unused,
      bookmark: unused,
    };
    const codec = { encoder, decode: (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()) as Thing };
    const cache = new WatchCache<Thing>({ store, prefix, codec, clock: systemClock, budget: new EncodingBudget() });
    await cache.ready();
    return cache;
  };

  it("see each other's writes, and lose no update between them", async () => {
    await clear();
    const stores = [await open(), await open()];
    const caches = await Promise.all(stores.map(newCache));
    const key = `${prefix}a`;
    const created = await caches[0]!.create(key, { metadata: { name: "a" }, size: 0 });
    if (!created.ok) throw new Error("exists");
    expect(created.entry.object.metadata.resourceVersion).toBe(String(created.entry.modRevision));
    expect(caches[0]!.get(key)).toBe(created.entry);
    await caches[1]!.fresh();
    expect(caches[1]!.get(key)?.object).toEqual(created.entry.object);

    const increment = async (cache: WatchCache<Thing>) => {
      for (let round = 0; ; round++) {
        const { object, modRevision } = cache.newest(key)!;
        const next = { ...object, metadata: { ...object.metadata }, size: object.size + 1 };
        if ((await cache.update(key, next, modRevision)).ok) return;
        if (round > 100) throw new Error("never wins");
      }
    };
    await Promise.all(Array.from({ length: 20 }, (_, i) => increment(caches[i % 2]!)));
    await Promise.all(caches.map((cache) => cache.fresh()));
    expect(caches.map((cache) => cache.get(key)?.object.size)).toEqual([20, 20]);

    await caches[0]!.delete(key);
    expect(await caches[1]!.update(key, { metadata: { name: "a" }, size: 99 }, created.entry.modRevision)).toEqual({
      ok: false,
      current: undefined,
    });
    expect(caches[1]!.get(key)).toBeUndefined();
    for (const store of stores) await store.close();
  });

  it("go on where they were when etcd was away", async () => {
    await clear();
    const store = await open();
    const cache = await newCache(store);
    await cache.create(`${prefix}a`, { metadata: { name: "a" }, size: 1 });
    await stopEtcd("SIGKILL");
    const lost = cache.create(`${prefix}b`, { metadata: { name: "b" }, size: 1 });
    await expect(lost).rejects.toThrow("etcd at http://127.0.0.1");
    etcd = startEtcd();
    await answers();
    expect(await cache.create(`${prefix}c`, { metadata: { name: "c" }, size: 1 })).toMatchObject({ ok: true });
    expect((await cache.list()).entries.map((entry) => entry.object.metadata.name)).toEqual(["a", "c"]);
    await store.close();
  });

  it("load anew, and end their watches, when what they missed is compacted", async () => {
    await clear();
    const wire = await cuttableWire();
    const store = await EtcdStore.open({ endpoints: [wire.endpoint], clock: systemClock });
    const cache = await newCache(store);
    await cache.create(`${prefix}a`, { metadata: { name: "a" }, size: 1 });
    const end = new Promise((resolve) => {
      void cache
        .watch({ start: { kind: "now" } }, { deliver: () => true, ended: resolve })
        .then((watch) => watch.resume());
    });
    wire.cut();
    const other = await open();
    for (let i = 0; i < 3; i++) {
      const value = Buffer.from(JSON.stringify({ metadata: { name: "d" }, size: i }));
      await other.write({ kind: "put", key: `${prefix}d`, value });
    }
    await other.write({ kind: "delete", key: `${prefix}a` });
    await other.compact(other.revision);
    wire.mend();
    expect(await end).toMatchObject({ kind: "failed", error: { name: "CompactedError" } });
    await cache.ready();
    expect((await cache.list()).entries.map((entry) => entry.object.metadata.name)).toEqual(["d"]);
    await other.write({ kind: "delete", key: `${prefix}d` });
    await cache.fresh();
    expect(cache.size).toBe(0);
    await other.close();
    await store.close();
    await wire.close();
  });
});

/** A way to etcd that can be interrupted. */
async function cuttableWire() {
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((client) => {
    if (isCut) return client.destroy();
    const upstream = connect(Number(new URL(endpoint).port), "127.0.0.1");
    for (const [one, another] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.pipe(another);
      one.on("error", () => another.destroy());
      one.on("close", () => sockets.delete(one) && another.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    endpoint: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    cut,
    mend: () => {
      isCut = false;
    },
    close: () => {
      cut();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
