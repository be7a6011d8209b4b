import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { CustomResourceDefinition } from "../../api/apiextensions/v1.ts";
import type { New } from "../../api/object.ts";
import { APIServices, CustomResourceDefinitions } from "../../api/resources.ts";
import { silentLogger } from "../../base/logger.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { seededRandom } from "../../base/random.ts";
import { InformerCache } from "../../controller-runtime/informer-cache.ts";
import { startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";
import { localApiServices } from "../bootstrap/api-services.ts";
import { CustomResources } from "../custom-resources/custom-resources.ts";
import { registerDefinitions } from "./definition-registration.ts";

let api: TestApiServer;
const stop = new AbortController();
beforeAll(async () => {
  api = await startTestApiServer();
  const common = { client: api.client, clock: systemClock, log: silentLogger, signal: stop.signal };
  const { registry } = api.server;
  const webhooks = { call: () => Promise.reject(new Error("none")) };
  await new CustomResources({ ...common, registry, webhooks, random: seededRandom(1) }).start();
  registerDefinitions({ ...common, cache: new InformerCache(common) });
});
afterAll(async () => {
  stop.abort();
  await api.close();
});

const definition = (plural: string, ...served: string[]): New<CustomResourceDefinition> => ({
  metadata: { name: `${plural}.yard.example.com` },
  spec: {
    group: "yard.example.com",
    scope: "Namespaced",
    names: { plural, singular: plural, kind: plural[0]!.toUpperCase() + plural.slice(1) },
    versions: ["v1", "v2"].map((name) => ({
      name,
      served: served.includes(name),
      storage: name === "v1",
      schema: { openAPIV3Schema: { type: "object" } },
    })),
  },
});
const names = async () =>
  (await api.client.list(APIServices)).items
    .map(({ metadata }) => metadata.name)
    .filter((name) => name.includes("yard"));
const become = (expected: string[]) =>
  vi.waitFor(async () => expect(await names()).toEqual(expected), { timeout: 10_000 });

test("a group-version has an APIService as long as some definition serves it", async () => {
  await api.client.create(CustomResourceDefinitions, definition("ships", "v1", "v2"));
  await become(["v1.yard.example.com", "v2.yard.example.com"]);
  const { metadata, spec, status } = await api.client.get(APIServices, { name: "v1.yard.example.com" });
  expect(metadata.labels).toEqual({ "kube-aggregator.kubernetes.io/automanaged": "true" });
  expect(spec).toEqual({
    group: "yard.example.com",
    version: "v1",
    groupPriorityMinimum: 1000,
    versionPriority: 100,
  });
  expect(status?.conditions).toMatchObject([{ type: "Available", status: "True", reason: "Local" }]);

  await api.client.create(CustomResourceDefinitions, definition("docks", "v1"));
  await api.client.delete(CustomResourceDefinitions, { name: "ships.yard.example.com" });
  await become(["v1.yard.example.com"]);
  // Whoever deletes it is corrected.
  await api.client.delete(APIServices, { name: "v1.yard.example.com" });
  await become(["v1.yard.example.com"]);
  await api.client.delete(CustomResourceDefinitions, { name: "docks.yard.example.com" });
  await become([]);
});

test("an APIService that somebody else made stays", async () => {
  const spec = { group: "yard.example.com", version: "v1", groupPriorityMinimum: 7, versionPriority: 7 };
  await api.client.create(APIServices, { metadata: { name: "v1.yard.example.com" }, spec });
  await api.client.create(CustomResourceDefinitions, definition("ships", "v1", "v2"));
  await become(["v1.yard.example.com", "v2.yard.example.com"]);
  await api.client.delete(CustomResourceDefinitions, { name: "ships.yard.example.com" });
  await become(["v1.yard.example.com"]);
  expect((await api.client.get(APIServices, { name: "v1.yard.example.com" })).spec.versionPriority).toBe(7);
});

test("every group-version that is served from the start has its APIService, but the one that APIServices themselves are in", async () => {
  const served = api.server.registry.groupVersions();
  const local = localApiServices(served).map(({ object }) => object.metadata.name);
  const expected = served.map(({ group, version }) => `${version}.${group}`);
  expect(expected.filter((name) => !local.includes(name)).sort()).toEqual(["v1.apiregistration.k8s.io"]);
  for (const { object } of localApiServices(served)) {
    await api.client.create(APIServices, object as never);
  }
});
