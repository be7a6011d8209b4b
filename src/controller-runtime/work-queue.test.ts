import { expect, test } from "vitest";
import { SteppedClock } from "../base/stepped-clock.ts";
import { WorkQueue } from "./work-queue.ts";

function recording(concurrency = 1, work: (key: string) => Promise<void> = async () => {}) {
  const clock = new SteppedClock();
  const worked: string[] = [];
  const queue = new WorkQueue<string>({
    clock,
    concurrency,
    work: async (key) => {
      worked.push(key);
      await work(key);
    },
  });
  queue.start();
  return { clock, worked, queue };
}

test("a key added many times in one go is worked on once", async () => {
  const { clock, worked, queue } = recording();
  for (let i = 0; i < 5; i++) queue.add("a");
  queue.add("b");
  await clock.advance(0);
  expect(worked).toEqual(["a", "b"]);
});

test("a key added while it is worked on is worked on again, never twice at once", async () => {
  let running = 0;
  const { clock, worked, queue } = recording(4, async () => {
    running++;
    expect(running).toBe(1);
    if (worked.length === 1) queue.add("a");
    await Promise.resolve();
    running--;
  });
  queue.add("a");
  await clock.advance(0);
  expect(worked).toEqual(["a", "a"]);
});

test("retries back off from 5 ms, doubling, until the key is forgotten", async () => {
  const { clock, worked, queue } = recording();
  expect(queue.retry("a")).toBe(1);
  await clock.advance(4);
  expect(worked).toEqual([]);
  await clock.advance(1);
  expect(worked).toEqual(["a"]);
  expect(queue.retry("a")).toBe(2);
  await clock.advance(9);
  expect(worked).toEqual(["a"]);
  await clock.advance(1);
  expect(worked).toEqual(["a", "a"]);
  queue.forget("a");
  expect(queue.retry("a")).toBe(1);
});

test("of two delays for one key the earlier counts", async () => {
  const { clock, worked, queue } = recording();
  queue.addAfter("a", 100);
  queue.addAfter("a", 10);
  queue.addAfter("a", 50);
  await clock.advance(10);
  expect(worked).toEqual(["a"]);
  await clock.advance(1000);
  expect(worked).toEqual(["a"]);
});

test("stopping waits for work in hand and takes no more", async () => {
  let finish!: () => void;
  const { clock, worked, queue } = recording(1, () => new Promise((resolve) => (finish = resolve)));
  queue.add("a");
  await clock.advance(0);
  let isStopped = false;
  const stopped = queue.stop().then(() => (isStopped = true));
  queue.add("b");
  await clock.advance(1000);
  expect(isStopped).toBe(false);
  finish();
  await stopped;
  expect(worked).toEqual(["a"]);
});
