/** Runs controllers: starts their informers, queues the keys that changes wake, reconciles, retries. */
import type { KubeObject } from "../api/object.ts";
import { isConflict } from "../apimachinery/status-error.ts";
import { backoffDelayMs } from "../base/backoff.ts";
import { type Clock, sleep } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { Client } from "../client/client.ts";
import { keyOf, type ObjectKey } from "./cache.ts";
import type {
  AnyController,
  ControllerDefinition,
  ControllerProcess,
  ProcessContext,
  ReconcileResult,
} from "./controller.ts";
import { createEventRecorder } from "./event-recorder.ts";
import type { Change } from "./informer.ts";
import { InformerCache } from "./informer-cache.ts";
import { isNamespaceTerminating } from "./namespace-terminating.ts";
import { whenAborted } from "./when-aborted.ts";
import { WorkQueue } from "./work-queue.ts";
import { writeThroughClient } from "./write-through-client.ts";

export interface RunOptions {
  client: Client;
  clock: Clock;
  random: Random;
  log: Logger;
  signal: AbortSignal;
  /** Shared by several calls in one component; by default the controllers of one call share one of their own. */
  cache?: InformerCache;
}

export interface RunningControllers {
  cache: InformerCache;
  /** Resolves when the first lists are in and work has begun. */
  ready: Promise<void>;
  /** Resolves when the signal has aborted and all work in hand is finished. */
  done: Promise<void>;
}

const defaultConcurrency = 8;
const restart = { initialMs: 1000, maximumMs: 60_000 };

export function runControllers(controllers: readonly AnyController[], options: RunOptions): RunningControllers {
  const { client, clock, log, signal } = options;
  const cache = options.cache ?? new InformerCache({ client, clock, log, signal });
  const api = writeThroughClient(client, cache, clock);
  const contextOf = ({ name, eventSource = name }: AnyController): ProcessContext => {
    const controllerLog = log.with({ controller: name });
    const events = createEventRecorder({ client, clock, log: controllerLog, component: eventSource, signal });
    return { cache, api, clock, random: options.random, events, log: controllerLog, signal };
  };

  const running = controllers.map((controller) =>
    "reconcile" in controller
      ? startController(controller, contextOf(controller))
      : startProcess(controller, contextOf(controller)),
  );
  return {
    cache,
    ready: Promise.all(running.map((r) => r.ready)).then(() => {}),
    done: Promise.all(running.map((r) => r.done)).then(() => {}),
  };
}

function startController(controller: ControllerDefinition, context: ProcessContext) {
  const { cache, clock, signal, log } = context;
  const { reconciles, wakesOn = [], reads = [], indexes = [] } = controller;

  const queue = new WorkQueue<ObjectKey>({
    clock,
    concurrency: controller.concurrency ?? defaultConcurrency,
    work: async (key) => {
      if (signal.aborted) return;
      let result: ReconcileResult;
      try {
        result = await controller.reconcile({ ...context, key });
      } catch (error) {
        if (signal.aborted) return;
        if (isNamespaceTerminating(error)) {
          queue.forget(key);
          return;
        }
        const failures = queue.retry(key);
        // A conflict means that somebody else was quicker: the next look settles it.
        if (!isConflict(error) || failures > 5)
          log.warn("reconcile failed, will retry", { key, failures, error: describe(error) });
        return;
      }
      queue.forget(key);
      if (result) queue.addAfter(key, result.afterMs);
    },
  });

  for (const definition of indexes) cache.informer(definition.resource).addIndex(definition);
  const informers = [cache.informer(reconciles), ...reads.map((resource) => cache.informer(resource))];
  cache.informer(reconciles).addHandler((change) => {
    if (controller.when && !controller.when(change)) return;
    queue.add(keyOf(change.object));
  });
  for (const wake of wakesOn) {
    const informer = cache.informer(wake.resource);
    informers.push(informer);
    informer.addHandler((change: Change<KubeObject>) => {
      if (wake.when && !wake.when(change)) return;
      for (const key of wake.keys(change.object, cache, reconciles)) queue.add(key);
      if (change.type !== "MODIFIED" || !change.previous) return;
      for (const key of wake.keys(change.previous, cache, reconciles)) queue.add(key);
    });
  }

  const aborted = whenAborted(signal);
  const ready = Promise.race([Promise.all(informers.map((informer) => informer.synced)), aborted]).then(() => {
    if (!signal.aborted) queue.start();
  });
  return { ready, done: aborted.then(() => queue.stop()) };
}

function startProcess(controller: ControllerProcess, context: ProcessContext) {
  const { clock, signal, log } = context;
  const done = (async () => {
    for (let failures = 0; !signal.aborted; ) {
      try {
        await controller.run(context);
        if (!signal.aborted) throw new Error("returned before it was told to stop");
      } catch (error) {
        if (signal.aborted) return;
        failures++;
        log.error("controller failed, will restart", { failures, error: describe(error) });
        await sleep(clock, backoffDelayMs(restart, failures), signal).catch(() => {});
      }
    }
  })();
  return { ready: Promise.resolve(), done };
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
