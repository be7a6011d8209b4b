/** Any interleaving of writers and watchers: every watcher hears every event once, in order, from where its list ended. */

import { afterAll, beforeAll, expect, test } from "vitest";
import type { ConfigMap } from "../api/core/v1.ts";
import { ConfigMaps, Namespaces } from "../api/resources.ts";
import { isAlreadyExists, isNotFound } from "../apimachinery/status-error.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { type Random, seededRandom } from "../base/random.ts";
import type { Client, WatchEvent } from "../client/client.ts";
import { HttpsClient } from "../client/https-client.ts";
import { connectionOf, loadKubeconfig } from "../client/kubeconfig.ts";
import { startTestApiServer, type TestApiServer } from "../testing/api-server.ts";

const names = ["a", "b", "c", "d", "e"];
const writesOfOne = 40;
const lastName = "the-last";

let api: TestApiServer;
let https: HttpsClient;

beforeAll(async () => {
  api = await startTestApiServer();
  const connection = connectionOf(await loadKubeconfig([api.kubeconfig]));
  https = new HttpsClient({ connection, clock: systemClock, userAgent: "watcher" });
});
afterAll(async () => {
  https.close();
  await api.close();
});

type Told = { type: string; name: string; version: number; side: string | undefined };

/** Creates, changes and deletes at random. What another writer was quicker with is no failure. */
async function write(client: Client, namespace: string, random: Random): Promise<void> {
  for (let i = 0; i < writesOfOne; i++) {
    const name = names[random.int(names.length)]!;
    const labels = { side: random.int(2) === 0 ? "left" : "right" };
    const data = { i: String(random.int(1000)) };
    const kind = random.int(3);
    try {
      if (kind === 0) await client.create(ConfigMaps, { metadata: { name, namespace, labels }, data });
      else if (kind === 1) {
        await client.patch(ConfigMaps, { name, namespace }, { type: "merge", body: { metadata: { labels }, data } });
      } else await client.delete(ConfigMaps, { name, namespace });
    } catch (error) {
      if (!isNotFound(error) && !isAlreadyExists(error)) throw error;
    }
  }
}

interface Watched {
  from: number;
  start: readonly string[];
  heard: Told[];
}

/** Lists, then watches from there until the last object appears. */
async function follow(client: Client, namespace: string, labelSelector?: string): Promise<Watched> {
  const options = { namespace, ...(labelSelector ? { labelSelector } : {}) };
  const { items, metadata } = await client.list(ConfigMaps, options);
  const heard: Told[] = [];
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const handle = await client.watch(
    ConfigMaps,
    { ...options, resourceVersion: metadata.resourceVersion },
    (events: readonly WatchEvent<ConfigMap>[]) => {
      for (const event of events) {
        if (event.type === "BOOKMARK") continue;
        const { name, resourceVersion, labels } = event.object.metadata;
        heard.push({ type: event.type, name, version: Number(resourceVersion), side: labels?.["side"] });
        if (name === lastName) finish();
      }
    },
  );
  await finished;
  handle.stop();
  const start = items.map((item) => item.metadata.name);
  return { from: Number(metadata.resourceVersion), start, heard };
}

/** The names that are left when the events have been played over the list. Fails where one does not follow from those before. */
function played({ start, heard }: Watched): string[] {
  const present = new Set(start);
  for (const { type, name } of heard) {
    expect(present.has(name), `${type} ${name}`).toBe(type !== "ADDED");
    if (type === "DELETED") present.delete(name);
    else present.add(name);
  }
  return [...present].sort();
}

test.each([1, 2, 3, 4])("seed %i: watchers agree, whenever they begin and whichever door they use", async (seed) => {
  const random = seededRandom(seed);
  const namespace = `watch-${seed}`;
  await api.client.create(Namespaces, { metadata: { name: namespace }, spec: {} });
  const reference = follow(api.client, namespace);
  const watchers: Promise<Watched>[] = [];
  const selecting: Promise<Watched>[] = [];
  const join = async () => {
    for (let i = 0; i < 6; i++) {
      const client = random.int(2) === 0 ? api.client : https;
      if (random.int(3) === 0) selecting.push(follow(client, namespace, "side=left"));
      else watchers.push(follow(client, namespace));
      await api.client.list(ConfigMaps, { namespace });
    }
  };
  await Promise.all([
    ...[api.client, https, api.client].map((client) => write(client, namespace, seededRandom(random.int(1e9)))),
    join(),
  ]);
  await api.client.create(ConfigMaps, { metadata: { name: lastName, namespace, labels: { side: "left" } } });

  const { heard, from } = await reference;
  const versions = heard.map(({ version }) => version);
  expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
  expect(versions[0]).toBeGreaterThan(from);
  const left = async (labelSelector?: string) =>
    (await api.client.list(ConfigMaps, { namespace, ...(labelSelector ? { labelSelector } : {}) })).items.map(
      ({ metadata }) => metadata.name,
    );
  expect(played(await reference)).toEqual(await left());
  for (const watched of await Promise.all(watchers)) {
    expect(watched.heard).toEqual(heard.filter(({ version }) => version > watched.from));
    expect(played(watched)).toEqual(await left());
  }
  for (const watched of await Promise.all(selecting)) {
    const told = watched.heard.map(({ version }) => version);
    expect(told).toEqual([...new Set(told)].sort((a, b) => a - b));
    expect(played(watched)).toEqual(await left("side=left"));
  }
});
