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
import { createSeriesRecorder } from "../controller-runtime/series-recorder.ts";
import { startTestApiServer } from "./api-server.ts";

const run = promisify(execFile);

async function withRecorder() {
  const api = await startTestApiServer({});
  const stop = new AbortController();
  let aheadMs = 0;
  const timers = new Set<{ dueMs: number; fire(): void }>();
  const clock: Clock = {
    now: () => systemClock.now() + aheadMs,
    setTimer: (delayMs, callback) => {
      const timer = { dueMs: clock.now() + delayMs, fire: () => timers.delete(timer) && callback() };
      timers.add(timer);
      return { [Symbol.dispose]: () => timers.delete(timer) };
    },
  };
  const recorder = createEventRecorder({
    client: api.client,
    clock,
    log: silentLogger,
    component: "kubelet",
    host: "node-1",
    signal: stop.signal,
  });
  const series = createSeriesRecorder({
    client: api.client,
    clock,
    log: silentLogger,
    controller: "default-scheduler",
    host: "myserver01",
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
    /** The scheduler's, of the Pod in the state `resourceVersion`. */
    fail: (resourceVersion: string, note: string) => {
      const regarding = { ...pod, apiVersion: "v1", kind: "Pod", metadata: { ...pod.metadata, resourceVersion } };
      series.event({ regarding, type: "Warning", reason: "FailedScheduling", action: "Scheduling", note });
    },
    travel: (ms: number) => {
      aheadMs += ms;
      for (const timer of [...timers]) if (timer.dueMs <= clock.now()) timer.fire();
    },
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

test("of a flood 25 pass at once, and one more every five minutes; what is held back counts", async () => {
  await using cluster = await withRecorder();
  for (let i = 0; i < 100; i++) cluster.record("Flood", "too much");
  const count = async () => (await cluster.told())[0]?.count;
  await expect.poll(count).toBe(25);
  cluster.travel(300_000);
  for (let i = 0; i < 3; i++) cluster.record("Flood", "too much");
  await expect.poll(count).toBe(101);
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

test("what the scheduler tells again of a Pod's same state makes a series, which describe shows with its span", async () => {
  await using cluster = await withRecorder();
  cluster.travel(-32_000);
  cluster.fail("1", "0/1 nodes are available: 1 Insufficient cpu.");
  // Its condition was written meanwhile: another state, another event.
  cluster.fail("2", "0/1 nodes are available: 1 Insufficient cpu.");
  cluster.travel(31_000);
  cluster.fail("2", "0/2 nodes are available: 2 Insufficient cpu.");
  await expect.poll(async () => (await cluster.told()).map(({ series }) => series?.count)).toEqual([undefined, 2]);
  const [first] = await cluster.told();
  expect(first).toMatchObject({
    involvedObject: { kind: "Pod", name: "web", resourceVersion: "1" },
    reportingComponent: "default-scheduler",
    reportingInstance: "default-scheduler-myserver01",
    action: "Scheduling",
    firstTimestamp: null,
  });
  const { stdout } = await run("kubectl", ["--kubeconfig", cluster.api.kubeconfig, "describe", "pod", "web"]);
  expect(stdout).toMatch(/FailedScheduling +3\ds +default-scheduler +0\/1 nodes/);
  expect(stdout).toMatch(/FailedScheduling +\ds \(x2 over 3\ds\) +default-scheduler +0\/1 nodes/);
});

test("a series goes on quietly: its count is written every half hour, and when it has been silent for six minutes", async () => {
  await using cluster = await withRecorder();
  const counts = async () => (await cluster.told()).map(({ series }) => series?.count);
  for (let i = 0; i < 4; i++) cluster.fail("1", "0/1 nodes are available");
  await expect.poll(counts).toEqual([2]);
  cluster.travel(361_000);
  await expect.poll(counts).toEqual([4]);
  cluster.fail("1", "0/1 nodes are available");
  await expect.poll(counts).toEqual([4, undefined]);
});

test("a note longer than the API takes is cut", async () => {
  await using cluster = await withRecorder();
  cluster.fail("1", "x".repeat(2000));
  await expect.poll(async () => (await cluster.told())[0]?.message).toBe(`${"x".repeat(1020)} ...`);
});
