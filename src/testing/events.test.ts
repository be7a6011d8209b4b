/** Events as users read them: counted, combined, cut, in order. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import type { Event } from "../api/core/v1.ts";
import { Events, Pods } from "../api/resources.ts";
import type { Clock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { createEventRecorder } from "../controller-runtime/event-recorder.ts";
import { startTestApiServer } from "./api-server.ts";

const run = promisify(execFile);

async function withRecorder() {
  const api = await startTestApiServer({});
  const stop = new AbortController();
  let aheadMs = 0;
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  const recorder = createEventRecorder({
    client: api.client,
    clock,
    log: silentLogger,
    component: "kubelet",
    host: "node-1",
    signal: stop.signal,
  });
  const ref = { name: "web", namespace: "default" };
  const pod = await api.client.create(Pods, {
    metadata: ref,
    spec: { containers: [{ name: "main", image: "app:1" }] },
  });
  const told = async (): Promise<readonly Event[]> => (await api.client.list(Events, ref)).items as readonly Event[];
  return {
    api,
    told,
    record: (reason: string, message: string, atMs?: number) =>
      recorder.event({ ...pod, apiVersion: "v1", kind: "Pod" }, "Warning", reason, message, undefined, atMs),
    travel: (ms: number) => (aheadMs += ms),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await api[Symbol.asyncDispose]();
    },
  };
}

test("a repeated event is one event with a count, which describe shows with its span", async () => {
  await using cluster = await withRecorder();
  cluster.travel(-31_000);
  for (let repeat = 0; repeat < 4; repeat++) {
    cluster.record("BackOff", "Back-off restarting failed container main");
    cluster.travel(10_000);
  }
  await expect.poll(async () => (await cluster.told()).map(({ count }) => count)).toEqual([4]);
  const { stdout } = await run("kubectl", ["--kubeconfig", cluster.api.kubeconfig, "describe", "pod", "web"]);
  expect(stdout).toMatch(/Warning +BackOff +\ds \(x4 over 3\ds\) +kubelet +Back-off restarting failed container main/);
});

test("from the tenth of similar events on, one stands for all that follow; ten quiet minutes end that", async () => {
  await using cluster = await withRecorder();
  for (let i = 1; i <= 12; i++) cluster.record("Unhealthy", `failed for the ${i}th time`);
  const summary = async () => (await cluster.told()).map(({ message, count }) => `${message} ×${count}`);
  await expect.poll(async () => (await summary()).length).toBe(10);
  await expect
    .poll(async () => (await summary()).filter((line) => line.startsWith("(combined")))
    .toEqual(["(combined from similar events): failed for the 12th time ×3"]);
  cluster.record("Unhealthy", "failed for the 3th time");
  await expect.poll(summary).toContain("failed for the 3th time ×2");
  cluster.travel(601_000);
  cluster.record("Unhealthy", "failed for the 13th time");
  await expect.poll(summary).toContain("failed for the 13th time ×1");
});

test("of a flood 25 pass at once, and one more every five minutes", async () => {
  await using cluster = await withRecorder();
  for (let i = 0; i < 100; i++) cluster.record("Flood", "too much");
  const count = async () => (await cluster.told())[0]?.count;
  await expect.poll(count).toBe(25);
  cluster.travel(300_000);
  for (let i = 0; i < 3; i++) cluster.record("Flood", "too much");
  await expect.poll(count).toBe(26);
});

test("what is told afterwards carries the time at which it happened, and sorts by it", async () => {
  await using cluster = await withRecorder();
  const before = systemClock.now();
  await new Promise((done) => setTimeout(done, 2));
  cluster.record("Pulling", "Pulling image");
  cluster.record("Scheduled", "Successfully assigned default/web to node-1", before);
  await expect.poll(async () => (await cluster.told()).map(({ reason }) => reason)).toEqual(["Scheduled", "Pulling"]);
});

test("an event that has expired meanwhile starts anew with its count", async () => {
  await using cluster = await withRecorder();
  cluster.record("BackOff", "again");
  await expect.poll(async () => (await cluster.told()).length).toBe(1);
  await cluster.api.client.deleteCollection(Events, { namespace: "default" });
  cluster.record("BackOff", "again");
  await expect.poll(async () => (await cluster.told()).map(({ count }) => count)).toEqual([2]);
});
