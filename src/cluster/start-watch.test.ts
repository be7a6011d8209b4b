import { expect, test } from "vitest";
import { SteppedClock } from "../base/stepped-clock.ts";
import { StartWatch } from "./start-watch.ts";

const never = new Promise<never>(() => {});

test("a start without progress ends with what it still waits for", async () => {
  const clock = new SteppedClock();
  const watch = new StartWatch(clock, 60);
  const work = watch.guard(
    Promise.all([watch.until("cluster DNS", never), watch.until("Ready nodes", never, () => "worker-1: no runtime")]),
  );
  const outcome = expect(work).rejects.toThrow(
    "the cluster is not usable after 60 s without progress; it still waits for\n  cluster DNS\n  Ready nodes: worker-1: no runtime",
  );
  await clock.advance(60_000);
  await outcome;
});

test("every wait that ends gives the others the whole time again", async () => {
  const clock = new SteppedClock();
  const watch = new StartWatch(clock, 60);
  let done = () => {};
  const slow = new Promise<void>((resolve) => {
    done = resolve;
  });
  let failure: Error | undefined;
  watch.guard(Promise.all([watch.until("slow", slow), watch.until("slower", never)])).catch((error) => {
    failure = error;
  });
  await clock.advance(50_000);
  done();
  await clock.advance(59_000);
  expect(failure).toBeUndefined();
  await clock.advance(1_000);
  expect(failure?.message).toMatch(/for\n {2}slower$/);
});
