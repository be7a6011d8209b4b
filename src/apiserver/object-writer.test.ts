/** Life and death of objects, as every kind has them. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ConfigMap, Pod } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { ConfigMaps, Deployments, Leases, Pods } from "../api/resources.ts";
import { isAlreadyExists, isConflict, isInvalid, isNotFound } from "../apimachinery/status-error.ts";
import type { Client } from "../client/client.ts";
import { startTestApiServer, type TestApiServer } from "../testing/api-server.ts";

let api: TestApiServer;
let client: Client;
let serial = 0;

beforeAll(async () => {
  api = await startTestApiServer();
  client = api.client;
});
afterAll(() => api.close());

const fresh = () => ({ name: `t-${serial++}`, namespace: "default" });
const pod = (metadata: { name: string; namespace: string }) =>
  client.create(Pods, { metadata, spec: { containers: [{ name: "c", image: "i" }] } });
const merge = <T extends ConfigMap>(ref: { name: string; namespace: string }, body: object) =>
  client.patch(ConfigMaps, ref, { type: "merge", body }) as Promise<DeepReadonly<T>>;

test("a name is drawn for those who ask for one, and drawn again when it is taken", async () => {
  const names = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const { metadata } = await client.create(ConfigMaps, { metadata: { generateName: "gen-", namespace: "default" } });
    expect(metadata.name).toMatch(/^gen-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    names.add(metadata.name);
  }
  expect(names.size).toBe(20);
});

test("writers that meet at one object all get their turn", async () => {
  const ref = fresh();
  await client.create(ConfigMaps, { metadata: ref });
  await Promise.all(Array.from({ length: 50 }, (_, i) => merge(ref, { data: { [`k${i}`]: "v" } })));
  const { data } = await client.get(ConfigMaps, ref);
  expect(Object.keys(data ?? {})).toHaveLength(50);
});

test("an update that changes nothing makes no new version", async () => {
  const ref = fresh();
  const first = await client.create(ConfigMaps, { metadata: ref, data: { a: "1" } });
  const { resourceVersion: _, ...metadata } = first.metadata;
  const again = await client.update(ConfigMaps, { ...first, metadata: { ...metadata, resourceVersion: "" } });
  expect(again.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
});

test("what the server owns in the metadata stays its own", async () => {
  const ref = fresh();
  const first = await client.create(ConfigMaps, { metadata: ref });
  const uid = "00000000-0000-0000-0000-000000000000";
  await expect(merge(ref, { metadata: { uid } })).rejects.toSatisfy(isInvalid);
  await expect(client.update(ConfigMaps, { ...first, metadata: { ...first.metadata, uid } })).rejects.toSatisfy(
    isConflict,
  );
  await expect(merge(ref, { metadata: { name: "other" } })).rejects.toMatchObject({ code: 400 });
  const later = await merge(ref, { metadata: { selfLink: "/x" } });
  expect(later.metadata.selfLink).toBeUndefined();
});

test("the generation counts changes of the spec and of nothing else", async () => {
  const ref = fresh();
  const template = { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "i" }] } };
  const created = await client.create(Deployments, {
    metadata: ref,
    spec: { selector: { matchLabels: { a: "b" } }, template },
  });
  expect(created.metadata.generation).toBe(1);
  const labelled = await client.patch(Deployments, ref, { type: "merge", body: { metadata: { labels: { x: "y" } } } });
  expect(labelled.metadata.generation).toBe(1);
  const annotated = { ...labelled.metadata, annotations: { note: "kept" }, labels: { note: "dropped" } };
  const status = await client.updateStatus(Deployments, { ...labelled, metadata: annotated, status: { replicas: 1 } });
  expect(status.metadata.annotations).toEqual({ note: "kept" });
  expect(status.metadata.labels).toEqual(labelled.metadata.labels);
  expect(status.metadata.generation).toBe(1);
  const scaled = await client.patch(Deployments, ref, { type: "merge", body: { spec: { replicas: 3 } } });
  expect(scaled.metadata.generation).toBe(2);
  expect(scaled.status?.replicas).toBe(1);
});

test("finalizers hold an object, take no company once it is dying, and let it go one by one", async () => {
  const ref = fresh();
  await client.create(ConfigMaps, { metadata: { ...ref, finalizers: ["example.com/a", "example.com/b"] } });
  await client.delete(ConfigMaps, ref);
  const dying = await client.get(ConfigMaps, ref);
  expect(dying.metadata).toMatchObject({ deletionGracePeriodSeconds: 0 });
  await expect(merge(ref, { metadata: { finalizers: ["example.com/c"] } })).rejects.toSatisfy(isInvalid);
  await expect(client.create(ConfigMaps, { metadata: ref })).rejects.toSatisfy(isAlreadyExists);
  await merge(ref, { metadata: { finalizers: ["example.com/b"] } });
  await merge(ref, { metadata: { finalizers: null } });
  await expect(client.get(ConfigMaps, ref)).rejects.toSatisfy(isNotFound);
});

test("propagation policies leave the finalizers that the garbage collector goes by", async () => {
  for (const [propagationPolicy, finalizer] of [
    ["Foreground", "foregroundDeletion"],
    ["Orphan", "orphan"],
  ] as const) {
    const ref = fresh();
    await client.create(ConfigMaps, { metadata: ref });
    await client.delete(ConfigMaps, ref, { propagationPolicy });
    expect((await client.get(ConfigMaps, ref)).metadata.finalizers).toEqual([finalizer]);
    // Whoever thinks better of it may say so while the object is held.
    await client.delete(ConfigMaps, ref, { propagationPolicy: "Background" });
    await expect(client.get(ConfigMaps, ref)).rejects.toSatisfy(isNotFound);
  }
});

test("a running pod is given its grace period, which may be shortened and not prolonged", async () => {
  const ref = fresh();
  await pod(ref);
  const binding = { metadata: { name: ref.name }, target: { kind: "Node", name: "n" } };
  // Without a scheduler a pod is unbound and goes at once; a bound one is given time.
  await client.patch(Pods, ref, { type: "merge", body: { spec: { nodeName: binding.target.name } } }).catch(() => {});
  const bound = fresh();
  await client.create(Pods, { metadata: bound, spec: { nodeName: "n", containers: [{ name: "c", image: "i" }] } });
  const graceOf = async () =>
    ((await client.get(Pods, bound)) as DeepReadonly<Pod>).metadata.deletionGracePeriodSeconds;
  await client.delete(Pods, bound, { gracePeriodSeconds: 20 });
  expect(await graceOf()).toBe(20);
  await client.delete(Pods, bound, { gracePeriodSeconds: 40 });
  expect(await graceOf()).toBe(20);
  await client.delete(Pods, bound, { gracePeriodSeconds: 5 });
  expect(await graceOf()).toBe(5);
  await client.delete(Pods, bound, { gracePeriodSeconds: 0 });
  await expect(client.get(Pods, bound)).rejects.toSatisfy(isNotFound);
});

test("preconditions are held against the object that stands", async () => {
  const ref = fresh();
  const { metadata } = await client.create(ConfigMaps, { metadata: ref });
  await merge(ref, { data: { a: "1" } });
  const preconditions = { resourceVersion: metadata.resourceVersion };
  await expect(client.delete(ConfigMaps, ref, { preconditions })).rejects.toSatisfy(isConflict);
  await client.delete(ConfigMaps, ref, { preconditions: { uid: metadata.uid } });
});

test("metadata that is wrong is told of as often as upstream's steps look at it", async () => {
  const causesOf = (write: Promise<unknown>) =>
    write.then(
      () => 0,
      (error: { details?: { causes?: unknown[] } }) => error.details?.causes?.length,
    );
  const template = { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "i" }] } };
  const ref = fresh();
  await client.create(ConfigMaps, { metadata: ref });
  await client.create(Deployments, { metadata: ref, spec: { selector: { matchLabels: { a: "b" } }, template } });
  const type = "merge";
  const body = { metadata: { labels: { "bad key": "v" } } };
  expect(await causesOf(client.patch(ConfigMaps, ref, { type, body }))).toBe(4);
  expect(await causesOf(client.patch(Deployments, ref, { type, body }))).toBe(3);
  const labels = { "bad key": "v" };
  expect(await causesOf(client.create(ConfigMaps, { metadata: { ...fresh(), labels } }))).toBe(1);
});

test("kinds that insist on a resourceVersion get one or refuse", async () => {
  const ref = fresh();
  const lease = await client.create(Leases, { metadata: ref, spec: {} });
  const { resourceVersion: _, ...metadata } = lease.metadata;
  await expect(
    client.update(Leases, { ...lease, metadata: { ...metadata, resourceVersion: "" } }),
  ).rejects.toMatchObject({ code: 422 });
});

test("objects that came back are frozen, and the caller's own are left alone", async () => {
  const mine = { metadata: fresh(), data: { a: "1" } };
  const created = await client.create(ConfigMaps, mine);
  expect(Object.isFrozen(created)).toBe(true);
  expect(Object.isFrozen(created.data)).toBe(true);
  expect(Object.isFrozen(mine.data)).toBe(false);
  expect(mine.metadata).not.toHaveProperty("uid");
});
