import { afterAll, beforeAll, expect, test } from "vitest";
import { ConfigMaps } from "../api/resources.ts";
import { silentLogger } from "../base/logger.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { startTestApiServer, type TestApiServer } from "../testing/api-server.ts";
import { ReferencedObjects } from "./referenced-objects.ts";

let api: TestApiServer;
const stop = new AbortController();
const told: string[] = [];
let objects: ReferencedObjects;
beforeAll(async () => {
  api = await startTestApiServer();
  objects = new ReferencedObjects({
    client: api.client,
    clock: systemClock,
    log: silentLogger,
    signal: stop.signal,
    onChange: (podUid) => told.push(podUid),
  });
});
afterAll(async () => {
  stop.abort();
  await api[Symbol.asyncDispose]();
});

const colorOf = async (podUid: string, name = "settings") =>
  (await objects.get(ConfigMaps, "default", name, podUid))?.data?.["color"];

async function create(name: string): Promise<void> {
  await api.client.create(ConfigMaps, { metadata: { name, namespace: "default" }, data: { color: "red" } });
}

test("an object is read once, and its users are told of changes until they are gone", async () => {
  await create("settings");
  expect(await colorOf("a")).toBe("red");
  expect(await colorOf("b")).toBe("red");
  const change = (color: string) =>
    api.client.patch(
      ConfigMaps,
      { name: "settings", namespace: "default" },
      { type: "merge", body: { data: { color } } },
    );
  await change("blue");
  await reaches(() => told.length === 2);
  expect(told.splice(0).sort()).toEqual(["a", "b"]);
  expect(await colorOf("a")).toBe("blue");
  objects.release("a");
  await change("green");
  await reaches(() => told.length > 0);
  expect(told.splice(0)).toEqual(["b"]);
  await api.client.delete(ConfigMaps, { name: "settings", namespace: "default" });
  await reaches(() => told.length > 0);
  expect(await colorOf("b")).toBeUndefined();
  told.length = 0;
});

test("one that is not there yet is told of when it comes", async () => {
  expect(await colorOf("a", "late")).toBeUndefined();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await create("late");
  await reaches(() => told.includes("a"));
  expect(await colorOf("a", "late")).toBe("red");
});

async function reaches(done: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!done()) {
    if (performance.now() > deadline) throw new Error("not reached");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
