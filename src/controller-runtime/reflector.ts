/** Keeps one consumer abreast of one resource: list, watch from there, resume, and list again when the server has forgotten (client-go's Reflector). */
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import { isGone, isNotFound } from "../apimachinery/status-error.ts";
import { backoffDelayMs } from "../base/backoff.ts";
import { type Clock, sleep } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Client, WatchEvent } from "../client/client.ts";

export interface ReflectorSink<T extends KubeObject> {
  /** The whole present state: what is not in `items` is gone. First call ends the initial sync. */
  replace(items: readonly DeepReadonly<T>[], resourceVersion: string): void;
  /** Changes since, in order. */
  apply(events: readonly WatchEvent<T>[]): void;
}

export interface ReflectorOptions {
  client: Client;
  clock: Clock;
  log: Logger;
  /** Restricts what is listed and watched, in the query's syntax. */
  fieldSelector?: string;
  labelSelector?: string;
  namespace?: string;
  signal: AbortSignal;
}

const shortWatchMs = 1000;
const retry = { initialMs: 50, maximumMs: 30_000 };

/** Runs until the signal aborts; never rejects. Errors of the server are retried with back-off, and logged once per streak. */
export async function reflect<T extends KubeObject>(
  resource: Resource<T>,
  sink: ReflectorSink<T>,
  options: ReflectorOptions,
): Promise<void> {
  const { client, clock, log, signal } = options;
  const scope = {
    ...(options.namespace ? { namespace: options.namespace } : {}),
    ...(options.fieldSelector ? { fieldSelector: options.fieldSelector } : {}),
    ...(options.labelSelector ? { labelSelector: options.labelSelector } : {}),
  };
  let resourceVersion: string | undefined;
  let failures = 0;
  let isEmptied = false;
  while (!signal.aborted) {
    try {
      if (resourceVersion === undefined) {
        const list = await client.list(resource, { ...scope, signal });
        if (signal.aborted) return;
        resourceVersion = list.metadata.resourceVersion;
        sink.replace(list.items, resourceVersion);
      }
      const receive = (events: readonly WatchEvent<T>[]) => {
        if (signal.aborted || events.length === 0) return;
        failures = 0;
        resourceVersion = events[events.length - 1]!.object.metadata.resourceVersion;
        sink.apply(events);
      };
      const watch = await client.watch(resource, { ...scope, resourceVersion, allowBookmarks: true, signal }, receive);
      const stop = () => watch.stop();
      signal.addEventListener("abort", stop, { once: true });
      if (signal.aborted) stop();
      const openedMs = clock.now();
      try {
        await watch.closed;
      } finally {
        signal.removeEventListener("abort", stop);
        watch.stop();
      }
      // Servers end watches after minutes; one that ends them at once must not be asked in a hot loop.
      if (clock.now() - openedMs < shortWatchMs) await sleep(clock, backoffDelayMs(retry, ++failures), signal);
    } catch (error) {
      if (signal.aborted) return;
      if (isGone(error)) resourceVersion = undefined;
      if (isNotFound(error) && !isEmptied) {
        // The API does not serve this resource (yet): there are none, and whoever waits for the first list need not.
        isEmptied = true;
        sink.replace([], "0");
      }
      failures++;
      // The first failure may be a mere time-out of a connection; what repeats is worth a line.
      if (failures === 2 && !isNotFound(error))
        log.warn(`watch ${resource.plural}: retrying`, { error: String(error) });
      try {
        await sleep(clock, failures === 1 && isGone(error) ? 0 : backoffDelayMs(retry, failures), signal);
      } catch {
        return;
      }
    }
  }
}
