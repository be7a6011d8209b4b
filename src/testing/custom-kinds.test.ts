/** Garbage collection and emptying Namespaces where kinds come and go: custom resources, and those that another server keeps. */

import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { OwnerReference } from "../api/meta/v1.ts";
import type { KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import {
  APIServices,
  ConfigMaps,
  CustomResourceDefinitions,
  EndpointSlices,
  Namespaces,
  Services,
} from "../api/resources.ts";
import { isNotFound } from "../apimachinery/status-error.ts";
import { startAggregator } from "../apiserver-plugins/aggregation/aggregator.ts";
import { CustomResources } from "../apiserver-plugins/custom-resources/custom-resources.ts";
import { RegistryReader } from "../apiserver-plugins/object-reader.ts";
import { endpointRouter } from "../apiserver-plugins/webhooks/service-route.ts";
import { silentLogger } from "../base/logger.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { seededRandom } from "../base/random.ts";
import { InformerCache } from "../controller-runtime/informer-cache.ts";
import { admin, startTestApiServer, type TestApiServer } from "./api-server.ts";
import { startTestControlPlane, type TestControlPlane } from "./control-plane.ts";
import { endpointAddress, loopbackDial } from "./loopback-dial.ts";

const ships = (version: string): Resource => ({
  group: "yard.example.com",
  version,
  kind: "Ship",
  plural: "ships",
  scope: "Namespaced",
});
const flunders: Resource = {
  group: "wardle.example.com",
  version: "v1alpha1",
  kind: "Flunder",
  plural: "flunders",
  scope: "Namespaced",
};

let cluster: TestControlPlane;
/** The aggregated server: a whole one, which believes whoever comes. */
let foreign: TestApiServer;

beforeAll(async () => {
  foreign = await startTestApiServer({
    definitions: [{ ...flunders, singular: "flunder", schema: "io.k8s.api.core.v1.ConfigMap" } as never],
    authenticators: [{ name: "anybody", authenticate: () => admin }],
  });
  cluster = await startTestControlPlane({
    watched: [Namespaces, ConfigMaps, CustomResourceDefinitions, APIServices],
    async alsoServe({ client, server: { registry } }, signal) {
      const common = { registry, client, clock: systemClock, log: silentLogger, random: seededRandom(7), signal };
      await new CustomResources({ ...common, webhooks: { call: () => Promise.reject(new Error("none")) } }).start();
      startAggregator({
        ...common,
        cache: new InformerCache(common),
        router: endpointRouter(() => new RegistryReader(registry), seededRandom(8), loopbackDial),
        frontProxy: () => undefined,
      });
    },
  });
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await foreign.close();
});

const definition = (versions: { name: string; served: boolean; storage: boolean }[]) => ({
  metadata: { name: "ships.yard.example.com" },
  spec: {
    group: "yard.example.com",
    scope: "Namespaced",
    names: { plural: "ships", singular: "ship", kind: "Ship", listKind: "ShipList" },
    versions: versions.map((version) => ({
      ...version,
      schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
    })),
  },
});
const v1 = { name: "v1", served: true, storage: true };

async function define(...versions: (typeof v1)[]): Promise<void> {
  await cluster.client.create(CustomResourceDefinitions, definition(versions) as never);
  await cluster.until(
    () =>
      cluster
        .get(CustomResourceDefinitions, "ships.yard.example.com")
        ?.status?.conditions?.some(({ type, status }) => type === "Established" && status === "True") === true,
  );
}

async function undefine(): Promise<void> {
  await cluster.client.delete(CustomResourceDefinitions, { name: "ships.yard.example.com" });
  await cluster.until(() => !cluster.get(CustomResourceDefinitions, "ships.yard.example.com"));
}

async function aggregate(): Promise<void> {
  const metadata = { name: "wardle", namespace: "default" };
  await cluster.client.create(Services, {
    metadata,
    spec: { ports: [{ port: 443 }], clusterIP: "None", clusterIPs: ["None"] },
  } as never);
  await cluster.client.create(EndpointSlices, {
    metadata: { ...metadata, labels: { "kubernetes.io/service-name": "wardle" } },
    addressType: "IPv4",
    endpoints: [{ addresses: [endpointAddress], conditions: { ready: true } }],
    ports: [{ name: "", port: Number(new URL(foreign.url).port) satisfies AddressInfo["port"] }],
  } as never);
  await cluster.client.create(APIServices, {
    metadata: { name: "v1alpha1.wardle.example.com" },
    spec: {
      group: "wardle.example.com",
      version: "v1alpha1",
      service: { namespace: "default", name: "wardle" },
      groupPriorityMinimum: 2000,
      versionPriority: 200,
      insecureSkipTLSVerify: true,
    },
  } as never);
  await untilAvailable("True");
}

const untilAvailable = (wanted: "True" | "False") =>
  cluster.until(
    () => cluster.get(APIServices, "v1alpha1.wardle.example.com")?.status?.conditions?.[0]?.status === wanted,
  );

async function setReady(ready: boolean): Promise<void> {
  const slice = structuredClone(
    await cluster.client.get(EndpointSlices, { name: "wardle", namespace: "default" }),
  ) as never as { endpoints: { conditions: object }[] };
  slice.endpoints[0]!.conditions = { ready };
  await cluster.client.update(EndpointSlices, slice as never);
  await untilAvailable(ready ? "True" : "False");
}

const ownedBy = ({ apiVersion, kind, metadata: { name, uid } }: KubeObject): OwnerReference =>
  ({ apiVersion, kind, name, uid, blockOwnerDeletion: true }) as OwnerReference;

const dependent = (name: string, owner: KubeObject, namespace = "default") =>
  cluster.client.create(ConfigMaps, { metadata: { name, namespace, ownerReferences: [ownedBy(owner)] } });

const make = async (resource: Resource, name: string, more: object = {}, namespace = "default") =>
  (await cluster.client.create(resource, {
    apiVersion: `${resource.group}/${resource.version}`,
    kind: resource.kind,
    metadata: { name, namespace, ...more },
  } as never)) as KubeObject;

/** What would have been done by now has been done: the collector has taken this one meanwhile. */
async function untilCollected(): Promise<void> {
  const nobody = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "nobody", uid: "not-there" } } as KubeObject;
  await dependent("marker", nobody);
  await cluster.until(() => !cluster.get(ConfigMaps, "marker"));
}

test("what a custom resource owns goes with it, however young its kind, and with its kind", async () => {
  await define(v1);
  const one = await make(ships("v1"), "one");
  const two = await make(ships("v1"), "two");
  await dependent("of-one", one);
  await dependent("of-two", two);
  await cluster.client.delete(ships("v1"), { name: "one", namespace: "default" });
  await cluster.until(() => !cluster.get(ConfigMaps, "of-one"));
  expect(cluster.get(ConfigMaps, "of-two")).toBeDefined();
  await undefine();
  await cluster.until(() => !cluster.get(ConfigMaps, "of-two"));
  // Defined again it is another kind's objects' turn.
  await define(v1);
  await dependent("of-three", await make(ships("v1"), "three"));
  await cluster.client.delete(
    ships("v1"),
    { name: "three", namespace: "default" },
    { propagationPolicy: "Foreground" },
  );
  await cluster.until(() => !cluster.get(ConfigMaps, "of-three"));
  await undefine();
});

test("what an owner of a kind that nobody serves has is left alone, until the kind comes", async () => {
  const ghost = { ...ownedBy({ metadata: { name: "ghost", uid: "gone" } } as KubeObject), ...shipKind } as never;
  await cluster.client.create(ConfigMaps, {
    metadata: { name: "of-ghost", namespace: "default", ownerReferences: [ghost] },
  });
  await untilCollected();
  expect(cluster.get(ConfigMaps, "of-ghost")).toBeDefined();
  await define(v1);
  await cluster.until(() => !cluster.get(ConfigMaps, "of-ghost"));
  await undefine();
});
const shipKind = { apiVersion: "yard.example.com/v1", kind: "Ship" };

test("what names an owner wrongly does not go with it: by another kind, or from outside its Namespace", async () => {
  const owner = await cluster.client.create(ConfigMaps, { metadata: { name: "owner", namespace: "default" } });
  const { uid } = owner.metadata;
  const reference = { apiVersion: "v1", kind: "ConfigMap", name: "owner", uid };
  await cluster.client.create(Namespaces, { metadata: { name: "outside", ownerReferences: [reference] }, spec: {} });
  const metadata = { name: "of-thing", namespace: "default" };
  const thing = { ...reference, apiVersion: "nobody.example.com/v1", kind: "Thing" };
  await cluster.client.create(ConfigMaps, { metadata: { ...metadata, ownerReferences: [thing] } });
  await dependent("of-owner", owner as KubeObject);
  await cluster.client.delete(ConfigMaps, { name: "owner", namespace: "default" });
  await cluster.until(() => !cluster.get(ConfigMaps, "of-owner"));
  await untilCollected();
  expect(cluster.get(ConfigMaps, "of-thing")).toBeDefined();
  expect(cluster.get(Namespaces, "outside")?.metadata.deletionTimestamp).toBeUndefined();
  await cluster.client.delete(ConfigMaps, metadata);
});

test("a version of a kind that is served no longer takes nothing along, and its successor is followed", async () => {
  const v1beta1 = { name: "v1beta1", served: true, storage: true };
  await define(v1beta1);
  const ship = await make(ships("v1beta1"), "old");
  await dependent("of-old", ship);
  await cluster.edit(CustomResourceDefinitions, "ships.yard.example.com", (object) => {
    (object.spec as unknown) = definition([{ ...v1beta1, served: false, storage: false }, v1]).spec;
  });
  await expect.poll(() => cluster.client.list(ships("v1")).then(({ items }) => items.length)).toBe(1);
  await dependent("of-old-too", ship);
  await untilCollected();
  expect(cluster.get(ConfigMaps, "of-old")).toBeDefined();
  await cluster.client.delete(ships("v1"), { name: "old", namespace: "default" });
  await cluster.until(() => !cluster.get(ConfigMaps, "of-old") && !cluster.get(ConfigMaps, "of-old-too"));
  await undefine();
});

test("custom resources that own each other go together", async () => {
  await define(v1);
  const one = await make(ships("v1"), "one");
  const map = await cluster.client.create(ConfigMaps, {
    metadata: { name: "two", namespace: "default", ownerReferences: [ownedBy(one)] },
  });
  await cluster.client.patch(
    ships("v1"),
    { name: "one", namespace: "default" },
    {
      type: "merge",
      body: {
        metadata: {
          ownerReferences: [ownedBy({ apiVersion: "v1", kind: "ConfigMap", metadata: map.metadata } as KubeObject)],
        },
      },
    },
  );
  await cluster.client.delete(ships("v1"), { name: "one", namespace: "default" }, { propagationPolicy: "Foreground" });
  await cluster.until(() => !cluster.get(ConfigMaps, "two"));
  await expect
    .poll(() => cluster.client.get(ships("v1"), { name: "one", namespace: "default" }).catch(isNotFound))
    .toBe(true);
  await undefine();
});

test("a Namespace takes custom resources along, says what holds them, and those of other servers", async () => {
  await define(v1);
  await aggregate();
  await cluster.client.create(Namespaces, { metadata: { name: "doomed" }, spec: {} });
  await make(ships("v1"), "free", {}, "doomed");
  await make(ships("v1"), "held", { finalizers: ["yard.example.com/hold"] }, "doomed");
  const flunder = await make(flunders, "kept-elsewhere", {}, "doomed");
  await dependent("of-flunder", flunder, "doomed");
  await cluster.client.delete(flunders, { name: "kept-elsewhere", namespace: "doomed" });
  // The collector follows other servers' kinds too.
  await cluster.until(() => !cluster.get(ConfigMaps, "of-flunder", "doomed"));
  await make(flunders, "second", {}, "doomed");
  await cluster.client.delete(Namespaces, { name: "doomed" });
  const condition = (name: string, wanted: string) =>
    cluster.get(Namespaces, name)?.status?.conditions?.find(({ type }) => type === wanted);
  await cluster.until(() => condition("doomed", "NamespaceFinalizersRemaining")?.status === "True");
  expect(condition("doomed", "NamespaceContentRemaining")?.message).toBe(
    "Some resources are remaining: ships.yard.example.com has 1 resource instances",
  );
  expect(condition("doomed", "NamespaceFinalizersRemaining")?.message).toBe(
    "Some content in the namespace has finalizers remaining: yard.example.com/hold in 1 resource instances",
  );
  expect((await foreign.client.list(flunders)).items).toEqual([]);
  // The definition waits for what its objects' finalizers hold, and the Namespace for both.
  await cluster.client.delete(CustomResourceDefinitions, { name: "ships.yard.example.com" });
  await cluster.client.patch(
    ships("v1"),
    { name: "held", namespace: "doomed" },
    { type: "merge", body: { metadata: { finalizers: null } } },
  );
  await cluster.until(() => !cluster.get(Namespaces, "doomed"));
  await cluster.until(() => !cluster.get(CustomResourceDefinitions, "ships.yard.example.com"));
});

test("a Namespace waits for an aggregated server that does not answer, and says so", async () => {
  await cluster.client.create(Namespaces, { metadata: { name: "waiting" }, spec: {} });
  await make(flunders, "unseen", {}, "waiting");
  await cluster.client.create(ConfigMaps, { metadata: { name: "seen", namespace: "waiting" } });
  await setReady(false);
  await cluster.client.delete(Namespaces, { name: "waiting" });
  const condition = () =>
    cluster
      .get(Namespaces, "waiting")
      ?.status?.conditions?.find(({ type }) => type === "NamespaceDeletionDiscoveryFailure");
  await cluster.until(() => condition()?.status === "True");
  expect(condition()).toMatchObject({
    reason: "DiscoveryFailed",
    message:
      "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: wardle.example.com/v1alpha1: stale GroupVersion discovery: wardle.example.com/v1alpha1",
  });
  // What can be found goes meanwhile.
  await cluster.until(() => !cluster.get(ConfigMaps, "seen", "waiting"));
  const before = cluster.attempts.get("update namespaces/status") ?? 0;
  await untilCollected();
  // One more look may find what the first had to wait for; nobody goes on writing.
  expect((cluster.attempts.get("update namespaces/status") ?? 0) - before).toBeLessThanOrEqual(1);
  await setReady(true);
  await cluster.until(() => !cluster.get(Namespaces, "waiting"));
  expect((await foreign.client.list(flunders)).items).toEqual([]);
});
