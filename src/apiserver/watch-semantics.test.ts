/** What a watch promises, over each transport that carries one; and what is refused after each engine's own compaction. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { request as httpsRequest } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";
import type { ConfigMap } from "../api/core/v1.ts";
import { ConfigMaps } from "../api/resources.ts";
import { findProgram } from "../base/node/find-program.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { EtcdStore } from "../storage/etcd/etcd-store.ts";
import { LmdbStore } from "../storage/lmdb/lmdb-store.ts";
import { MemoryStore } from "../storage/memory.ts";
import type { Store } from "../storage/store.ts";
import { startTestApiServer, type TestApiServer } from "../testing/api-server.ts";

interface Told {
  type: string;
  object: ConfigMap & { code?: number; reason?: string; message?: string };
}

/** Resolves with the events up to the first for which `isLast` holds, or to the end of the stream. */
type Transport = (api: TestApiServer, path: string, isLast?: (event: Told) => boolean) => Promise<Told[]>;

const keysOf = ({ pki }: TestApiServer) => ({
  ca: pki.ca.certificatePem,
  cert: pki.admin.certificatePem,
  key: pki.admin.privateKeyPem,
});

/** Cuts what arrives into lines and keeps them until `isLast` holds. */
function lineReader(isLast: (event: Told) => boolean, done: (events: Told[]) => void) {
  const events: Told[] = [];
  let rest = "";
  return {
    read(chunk: string) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        events.push(JSON.parse(line));
        if (isLast(events.at(-1)!)) return done(events);
      }
    },
    end: () => done(events),
  };
}

const never = () => false;

const transports: Record<string, Transport> = {
  "HTTP/2": (api, path, isLast = never) =>
    new Promise((resolve, reject) => {
      const session = connectHttp2(api.url, keysOf(api));
      const stream = session.request({ ":path": path });
      const reader = lineReader(isLast, (events) => {
        resolve(events);
        session.destroy();
      });
      stream.setEncoding("utf8").on("data", reader.read).on("end", reader.end).on("error", reject);
    }),
  "HTTP/1.1": (api, path, isLast = never) =>
    new Promise((resolve, reject) => {
      const request = httpsRequest(api.url + path, { ...keysOf(api), agent: false }, (response) => {
        expect(response.headers["transfer-encoding"]).toBe("chunked");
        const reader = lineReader(isLast, (events) => {
          resolve(events);
          request.destroy();
        });
        response.setEncoding("utf8").on("data", reader.read).on("end", reader.end);
      });
      request.on("error", reject).end();
    }),
  WebSocket: (api, path, isLast = never) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(api.url.replace("https", "wss") + path, keysOf(api));
      const reader = lineReader(isLast, (events) => {
        resolve(events);
        socket.terminate();
      });
      socket.on("message", (message) => reader.read(`${message}\n`));
      socket.on("close", reader.end).on("error", reject);
    }),
};

const collection = "/api/v1/namespaces/default/configmaps";
const inDefault = (name: string) => ({ name, namespace: "default" });
const told = (events: Told[]) => events.map(({ type, object }) => `${type} ${object.metadata.name ?? ""}`.trim());
const initialEventsEnd = ({ object }: Told) => object.metadata.annotations?.["k8s.io/initial-events-end"] === "true";

async function create(api: TestApiServer, name: string, labels: Record<string, string>) {
  const { metadata } = await api.client.create(ConfigMaps, { metadata: { ...inDefault(name), labels } });
  return metadata.resourceVersion!;
}

describe.each(Object.entries(transports))("a watch over %s", (transport, watch) => {
  let api: TestApiServer;
  const suite = transport.toLowerCase().replace(/\W/g, "");
  const mine = (query: string) => `${collection}?watch=1&labelSelector=suite%3D${suite}${query}`;

  beforeAll(async () => {
    api = await startTestApiServer();
    for (const name of ["a", "b"]) await create(api, `${suite}-${name}`, { suite });
    await create(api, `${suite}-other`, {});
  });
  afterAll(() => api.close());

  test.each(["", "&resourceVersion=0"])("begins with what is there when it names no state (%s)", async (query) => {
    const events = await watch(api, mine(query), ({ object }) => object.metadata.name === `${suite}-b`);
    expect(told(events)).toEqual([`ADDED ${suite}-a`, `ADDED ${suite}-b`]);
  });

  test("streams a list, says where it ends, and goes on", async () => {
    const query = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    const later = `${suite}-later`;
    const events = await watch(api, mine(query), (event) => {
      if (initialEventsEnd(event)) void create(api, later, { suite });
      return event.object.metadata.name === later;
    });
    await api.client.delete(ConfigMaps, inDefault(later));
    expect(told(events)).toEqual([`ADDED ${suite}-a`, `ADDED ${suite}-b`, "BOOKMARK", `ADDED ${later}`]);
    const { metadata } = events[2]!.object;
    expect(Number(metadata.resourceVersion)).toBeLessThan(Number(events[3]!.object.metadata.resourceVersion));
  });

  test("streams no list that is older than what was asked for", async () => {
    const latest = Number(await create(api, `${suite}-before`, {}));
    const query = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    const streamed = watch(api, mine(`${query}&resourceVersion=${latest + 1}`), initialEventsEnd);
    const late = `${suite}-late`;
    await create(api, late, { suite });
    const events = await streamed;
    await api.client.delete(ConfigMaps, inDefault(late));
    expect(told(events)).toEqual([`ADDED ${suite}-a`, `ADDED ${suite}-b`, `ADDED ${late}`, "BOOKMARK"]);
  });

  test("shows what enters and leaves its selection as ADDED and DELETED, at the change's revision", async () => {
    const name = `${suite}-moving`;
    const from = await create(api, name, {});
    const label = async (labels: object) => {
      const patch = { type: "merge", body: { metadata: { labels } } } as const;
      return (await api.client.patch(ConfigMaps, inDefault(name), patch)).metadata.resourceVersion;
    };
    const versions = [
      await label({ suite }),
      await label({ n: "1" }),
      await label({ suite: null }),
      await label({ n: "2" }),
    ];
    await label({ suite });
    await api.client.delete(ConfigMaps, inDefault(name));
    let left = 2;
    const events = await watch(api, mine(`&resourceVersion=${from}`), ({ type }) => type === "DELETED" && --left === 0);
    expect(events.map(({ type }) => type)).toEqual(["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]);
    expect(events.slice(0, 3).map(({ object }) => object.metadata.resourceVersion)).toEqual(versions.slice(0, 3));
    // What leaves is shown as it was when it was last in sight.
    expect(events[2]!.object.metadata.labels).toEqual({ suite, n: "1" });
  });

  test("ends with its time, and a bookmark of how far it came", async () => {
    const from = await create(api, `${suite}-unseen`, {});
    const events = await watch(api, mine(`&resourceVersion=${from}&allowWatchBookmarks=true&timeoutSeconds=1`));
    expect(events.length).toBeGreaterThan(0);
    for (const { type, object } of events) {
      expect(type).toBe("BOOKMARK");
      expect(Number(object.metadata.resourceVersion)).toBeGreaterThanOrEqual(Number(from));
      expect(object).toMatchObject({ kind: "ConfigMap", apiVersion: "v1" });
    }
  });
});

const etcdProgram = findProgram("etcd");
let folder: string;
let etcd: ChildProcess | undefined;
let endpoint = "";

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "pnt-watch-semantics-"));
  if (!etcdProgram) return;
  endpoint = `http://127.0.0.1:${await freePort()}`;
  const peers = `http://127.0.0.1:${await freePort()}`;
  const args = [
    ...["--name", "pnt", "--data-dir", join(folder, "etcd"), "--unsafe-no-fsync"],
    // The only member need not wait long for others to stand for election.
    ...["--heartbeat-interval", "10", "--election-timeout", "100"],
    ...["--listen-client-urls", endpoint, "--advertise-client-urls", endpoint],
    ...["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", `pnt=${peers}`],
  ];
  etcd = spawn(etcdProgram, args, { stdio: "ignore" });
  const isUp = () =>
    fetch(`${endpoint}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isUp())) await new Promise((resolve) => setTimeout(resolve, 20));
}, 20_000);

afterAll(async () => {
  if (etcd) {
    const ended = new Promise((resolve) => etcd!.once("exit", resolve));
    etcd.kill("SIGKILL");
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
});

const engines: Record<string, () => Promise<Store & { compact(revision: number): Promise<void> }>> = {
  memory: async () => new MemoryStore({ clock: systemClock }),
  lmdb: () => LmdbStore.open({ folder: join(folder, "lmdb"), clock: systemClock }),
  ...(etcdProgram ? { etcd: () => EtcdStore.open({ endpoints: [endpoint], clock: systemClock }) } : {}),
};

describe.each(Object.entries(engines))("after a compaction of %s", (_, open) => {
  test("old states are gone: watches hear 410, a list's next page too, with a token that leads on", async () => {
    const store = await open();
    const before = await startTestApiServer({ store });
    const from = await create(before, "m-0", {});
    for (let i = 1; i < 6; i++) await create(before, `m-${i}`, {});
    const page = await before.client.list(ConfigMaps, { namespace: "default", limit: 2 });
    await create(before, "m-6", {});
    const { resourceVersion } = (await before.client.list(ConfigMaps, { namespace: "default" })).metadata;
    // A server that was not there has nothing of the past in memory: it asks the store.
    await before.close();
    await store.compact(Number(resourceVersion));
    const api = await startTestApiServer({ store });
    for (const watch of Object.values(transports)) {
      const [event, ...more] = await watch(api, `${collection}?watch=1&resourceVersion=${from}`);
      expect(event).toMatchObject({ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired" } });
      expect(event!.object.message).toMatch(/^too old resource version: /);
      expect(more).toEqual([]);
    }
    const token = page.metadata.continue!;
    const refusal = await api.client
      .list(ConfigMaps, { namespace: "default", limit: 2, continue: token })
      .catch((error) => error);
    expect(refusal).toMatchObject({ code: 410, reason: "Expired" });
    const exact = { namespace: "default", resourceVersion: String(from), resourceVersionMatch: "Exact" } as const;
    await expect(api.client.list(ConfigMaps, exact)).rejects.toMatchObject({
      code: 410,
      message: "The resourceVersion for the provided list is too old.",
    });
    const fresh = await statusOf(api, `${collection}?limit=2&continue=${token}`);
    expect(fresh).toMatchObject({ code: 410, reason: "Expired", metadata: { continue: expect.any(String) } });
    const goOn = (limit: number, token: string) =>
      api.client.list(ConfigMaps, { namespace: "default", limit, continue: token });
    const { items, metadata } = await goOn(2, fresh.metadata.continue!);
    // From there on the pages are of one state again.
    await create(api, "m-later", {});
    const rest = await goOn(5, metadata.continue!);
    expect(rest.metadata.resourceVersion).toBe(metadata.resourceVersion);
    expect([...items, ...rest.items].map((item) => item.metadata.name)).toEqual(["m-2", "m-3", "m-4", "m-5", "m-6"]);
    await api.client.delete(ConfigMaps, inDefault("m-later"));
    expect(Number(metadata.resourceVersion)).toBeGreaterThanOrEqual(Number(resourceVersion));
    // From the newest on everything is told.
    const told = transports["HTTP/2"]!(
      api,
      `${collection}?watch=1&resourceVersion=${metadata.resourceVersion}`,
      ({ object }) => object.metadata.name === "m-7",
    );
    await create(api, "m-7", {});
    expect((await told).at(-1)).toMatchObject({ type: "ADDED", object: { metadata: { name: "m-7" } } });
    await api.close();
    await store.close();
  }, 30_000);
});

function statusOf(api: TestApiServer, path: string): Promise<{ code: number; metadata: { continue?: string } }> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(api.url + path, { ...keysOf(api), agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve(JSON.parse(text)));
    });
    request.on("error", reject).end();
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
