/** The shape of a controller: one verb, reconcile by key, and a declaration of what it reads and writes. */
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { Client } from "../client/client.ts";
import type { EventRecorder } from "./events.ts";
import type { ObjectKey, ReadCache } from "./cache.ts";

export interface Reconcile {
  key: ObjectKey;
  /** What informers have seen so far: read it, never trust the event that woke you. */
  cache: ReadCache;
  api: Client;
  clock: Clock;
  random: Random;
  events: EventRecorder;
  log: Logger;
  signal: AbortSignal;
}

/** Return `{ afterMs }` to be called again later; throw to be retried with back-off; otherwise the next change wakes you. */
export type ReconcileResult = { afterMs: number } | undefined | void;

/** Maps a changed object to the keys that it wakes. */
export interface Wake<T extends KubeObject = KubeObject> {
  resource: Resource<T>;
  keys(object: DeepReadonly<T>, cache: ReadCache, reconciles: Resource): Iterable<ObjectKey>;
}

export interface ControllerDefinition<T extends KubeObject = KubeObject> {
  /** Upstream's name, as `--controllers` takes it: `replicaset-controller`. */
  name: string;
  reconciles: Resource<T>;
  wakesOn?: readonly Wake[];
  /** Read from the cache besides: informers are started for them, they wake nobody. */
  reads?: readonly Resource[];
  /** What it writes: `Pods`, `statusOf(ReplicaSets)`. Documentation, and checked in simulation. */
  writes?: readonly (Resource | { statusOf: Resource })[];
  /** Keys worked on at the same time. Default 8; one key is never worked on twice at once. */
  concurrency?: number;
  reconcile(context: Reconcile): Promise<ReconcileResult>;
}

export function defineController<T extends KubeObject>(definition: ControllerDefinition<T>): ControllerDefinition<T> {
  return definition;
}

export function statusOf(resource: Resource): { statusOf: Resource } {
  return { statusOf: resource };
}
