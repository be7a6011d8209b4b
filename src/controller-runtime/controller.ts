/** The shape of a controller: one verb, reconcile by key, and a declaration of what it reads and writes. */
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { Client } from "../client/client.ts";
import type { ObjectKey, ReadCache } from "./cache.ts";
import type { EventRecorder } from "./events.ts";
import type { Change, IndexFunction } from "./informer.ts";
import type { InformerCache } from "./informer-cache.ts";

export interface Reconcile {
  key: ObjectKey;
  /** What informers have seen so far, and what this process wrote itself: read it, never trust the event that woke you. */
  cache: ReadCache;
  /** Writes through it are in the cache when they resolve: a controller reads its own writes. */
  api: Client;
  clock: Clock;
  random: Random;
  events: EventRecorder;
  log: Logger;
  signal: AbortSignal;
}

/** Return `{ afterMs }` to be called again later; throw to be retried with back-off; otherwise the next change wakes you. */
// biome-ignore lint/suspicious/noConfusingVoidType: a reconcile that returns nothing is the usual one.
export type ReconcileResult = { afterMs: number } | undefined | void;

/** Maps a changed object to the keys that it wakes. Asked for the state before and after a change. */
export interface Wake<T extends KubeObject = KubeObject> {
  resource: Resource<T>;
  keys(object: DeepReadonly<T>, cache: ReadCache, reconciles: Resource): Iterable<ObjectKey>;
  /** Changes that wake nobody are left out here: heartbeats of nodes. Default: every change. */
  when?(change: Change<T>): boolean;
}

/** An index that the controller reads by `cache.byIndex(resource, name, value)`. */
export interface IndexDefinition<T extends KubeObject = KubeObject> {
  resource: Resource<T>;
  name: string;
  values: IndexFunction<T>;
}

export interface ControllerDefinition<T extends KubeObject = KubeObject> {
  /** Upstream's name, as `--controllers` takes it: `replicaset-controller`. */
  name: string;
  /** `source.component` of its events where upstream's differs from the name. */
  eventSource?: string;
  reconciles: Resource<T>;
  /** Changes of the reconciled resource that are not worth a look. Default: every change is. */
  when?(change: Change<T>): boolean;
  wakesOn?: readonly Wake[];
  /** Read from the cache besides: informers are started for them, they wake nobody. */
  reads?: readonly Resource[];
  indexes?: readonly IndexDefinition[];
  /** What it writes: `Pods`, `statusOf(ReplicaSets)`. Documentation, and checked in simulation. */
  writes?: readonly (Resource | { statusOf: Resource })[];
  /** Keys worked on at the same time. Default 8; one key is never worked on twice at once. */
  concurrency?: number;
  reconcile(context: Reconcile): Promise<ReconcileResult>;
}

/** What a controller that is not one verb over one kind gets to work with. */
export interface ProcessContext extends Omit<Reconcile, "key" | "cache"> {
  cache: InformerCache;
}

/** A controller that is not one verb over one kind: garbage collection watches every resource there is. */
export interface ControllerProcess {
  name: string;
  eventSource?: string;
  /** Returns when the signal aborts. Throws only when a restart with back-off could help. */
  run(context: ProcessContext): Promise<void>;
}

export type AnyController = ControllerDefinition | ControllerProcess;

/**
 * Names the type parameter once. The result is the definition for any object type: the runner hands a controller
 * objects of the resources it named, so what it takes is what it gets.
 */
export function defineController<T extends KubeObject>(definition: ControllerDefinition<T>): ControllerDefinition {
  return definition as unknown as ControllerDefinition;
}

export function wake<T extends KubeObject>(definition: Wake<T>): Wake {
  return definition as unknown as Wake;
}

export function index<T extends KubeObject>(definition: IndexDefinition<T>): IndexDefinition {
  return definition as unknown as IndexDefinition;
}

export function statusOf(resource: Resource): { statusOf: Resource } {
  return { statusOf: resource };
}
