/** The objects of one resource as last seen, indexed; each visible change is told once (client-go's SharedIndexInformer). */
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { WatchEvent } from "../client/client.ts";
import { keyOf, type ObjectKey } from "./cache.ts";
import type { ReflectorSink } from "./reflector.ts";

export interface Change<T extends KubeObject = KubeObject> {
  type: "ADDED" | "MODIFIED" | "DELETED";
  object: DeepReadonly<T>;
  /** The state before; present for MODIFIED. */
  previous?: DeepReadonly<T>;
}

export type ChangeHandler<T extends KubeObject = KubeObject> = (change: Change<T>) => void;

/** The values under which an object is found. */
export type IndexFunction<T extends KubeObject = KubeObject> = (
  object: DeepReadonly<T>,
) => Iterable<string> | string | undefined;

/** Every informer has these two. */
export const namespaceIndex = "namespace";
export const controllerUidIndex = "controllerUid";

const noObjects = new Map<ObjectKey, never>();

/**
 * Invariant: `objects` is the state at `seenResourceVersion`, overlaid with what this process wrote later.
 * A write's answer is put in at once (observeWrite), so a controller always reads its own writes; the watch
 * event that follows has the same resourceVersion and is not told again.
 */
export class Informer<T extends KubeObject> implements ReflectorSink<T> {
  readonly synced: Promise<void>;
  #resolveSynced!: () => void;
  #isSynced = false;
  #objects = new Map<ObjectKey, DeepReadonly<T>>();
  #indexes = new Map<string, Index<T>>();
  #handlers: ChangeHandler<T>[] = [];
  /** Everything up to here has come by the watch (or by a list). */
  #seen = 0;
  /** Uids whose deletion was accepted, and not yet seen to have begun. */
  #deleting = new Map<string, string>();

  readonly #selective: boolean;

  /** `selective`: only some of the resource's objects are watched, so a write to an unknown one says nothing. */
  constructor(selective = false) {
    this.#selective = selective;
    this.synced = new Promise((resolve) => {
      this.#resolveSynced = resolve;
    });
    this.addIndex({
      name: namespaceIndex,
      values: (object) => (object.metadata as { namespace?: string }).namespace ?? "",
    });
    this.addIndex({ name: controllerUidIndex, values: (object) => controllerUid(object) });
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  get size(): number {
    return this.#objects.size;
  }

  /** Several may ask for the same index. Throws when its name is another's already: one of the two would read the wrong objects. */
  addIndex({ name, values }: { readonly name: string; readonly values: IndexFunction<T> }): void {
    const present = this.#indexes.get(name);
    if (present && present.values !== values) throw new Error(`two indexes are called "${name}"`);
    if (present) return;
    const index = new Index<T>(values);
    for (const [key, object] of this.#objects) index.add(key, object);
    this.#indexes.set(name, index);
  }

  /** Tells later changes; the present objects are told at once as ADDED. */
  addHandler(handler: ChangeHandler<T>): void {
    this.#handlers.push(handler);
    for (const object of this.#objects.values()) handler({ type: "ADDED", object });
  }

  get(key: ObjectKey): DeepReadonly<T> | undefined {
    return this.#objects.get(key);
  }

  list(): DeepReadonly<T>[] {
    return [...this.#objects.values()];
  }

  byIndex(name: string, value: string): DeepReadonly<T>[] {
    const index = this.#indexes.get(name);
    if (!index) throw new Error(`no index "${name}" was registered`);
    return [...index.get(value).values()];
  }

  /** How many objects an index holds under a value, without collecting them. */
  countByIndex(name: string, value: string): number {
    return this.#indexes.get(name)?.get(value).size ?? 0;
  }

  replace(items: readonly DeepReadonly<T>[], resourceVersion: string): void {
    const listedAt = Number(resourceVersion);
    this.#seen = Math.max(this.#seen, listedAt);
    const present = new Set<ObjectKey>();
    for (const item of items) {
      const key = keyOf(item);
      present.add(key);
      this.#put(key, item);
    }
    for (const [key, object] of this.#objects) {
      // What we wrote after the list was taken is not in it, and not gone.
      if (!present.has(key) && versionOf(object) <= listedAt) this.#remove(key, object);
    }
    if (!this.#isSynced) {
      this.#isSynced = true;
      this.#resolveSynced();
    }
  }

  apply(events: readonly WatchEvent<T>[]): void {
    for (const event of events) {
      const version = Number(event.object.metadata.resourceVersion);
      if (version > this.#seen) this.#seen = version;
      if (event.type === "BOOKMARK") continue;
      const key = keyOf(event.object);
      if (event.type !== "DELETED") this.#put(key, event.object);
      else {
        const current = this.#objects.get(key);
        this.#deleting.delete(event.object.metadata.uid);
        // A successor of the same name that we created ourselves may already be here.
        if (current && versionOf(current) <= version) this.#remove(key, event.object);
      }
    }
  }

  /** Tells every object as deleted, and counts as synced: nothing more will come. */
  clear(): void {
    for (const [key, object] of [...this.#objects]) this.#remove(key, object);
    this.#resolveSynced();
  }

  /** Takes in the answer to a write of this process, unless the watch has already told that state or a later one. */
  observeWrite(object: DeepReadonly<T>): void {
    const key = keyOf(object);
    if (this.#selective && !this.#objects.has(key)) return;
    if (versionOf(object) > this.#seen) this.#put(key, object);
  }

  /** A delete of `uid` was accepted at `deletionTimestamp`: until the watch tells, the object counts as terminating. */
  observeDelete(key: ObjectKey, uid: string, deletionTimestamp: string): void {
    const current = this.#objects.get(key);
    if (!current || current.metadata.uid !== uid || current.metadata.deletionTimestamp) return;
    this.#deleting.set(uid, deletionTimestamp);
    this.#store(key, current, asDeleting(current, deletionTimestamp));
  }

  #put(key: ObjectKey, object: DeepReadonly<T>): void {
    const current = this.#objects.get(key);
    if (current && versionOf(current) >= versionOf(object)) return;
    const { uid, deletionTimestamp } = object.metadata;
    if (this.#deleting.size > 0 && this.#deleting.has(uid)) {
      if (deletionTimestamp) this.#deleting.delete(uid);
      else object = asDeleting(object, this.#deleting.get(uid)!);
    }
    if (current && current.metadata.uid !== uid) {
      // The watch would have told a deletion and an addition.
      this.#remove(key, current);
      this.#store(key, undefined, object);
    } else this.#store(key, current, object);
  }

  #store(key: ObjectKey, previous: DeepReadonly<T> | undefined, object: DeepReadonly<T>): void {
    this.#objects.set(key, object);
    for (const index of this.#indexes.values()) {
      if (previous) index.remove(key, previous);
      index.add(key, object);
    }
    this.#tell(previous ? { type: "MODIFIED", object, previous } : { type: "ADDED", object });
  }

  #remove(key: ObjectKey, object: DeepReadonly<T>): void {
    const current = this.#objects.get(key);
    if (!current) return;
    this.#objects.delete(key);
    this.#deleting.delete(current.metadata.uid);
    for (const index of this.#indexes.values()) index.remove(key, current);
    this.#tell({ type: "DELETED", object, previous: current });
  }

  #tell(change: Change<T>): void {
    for (const handler of this.#handlers) handler(change);
  }
}

class Index<T extends KubeObject> {
  readonly values: IndexFunction<T>;
  readonly #entries = new Map<string, Map<ObjectKey, DeepReadonly<T>>>();

  constructor(values: IndexFunction<T>) {
    this.values = values;
  }

  get(value: string): ReadonlyMap<ObjectKey, DeepReadonly<T>> {
    return this.#entries.get(value) ?? noObjects;
  }

  add(key: ObjectKey, object: DeepReadonly<T>): void {
    this.#each(object, (value) => {
      const entry = this.#entries.get(value);
      if (entry) entry.set(key, object);
      else this.#entries.set(value, new Map([[key, object]]));
    });
  }

  remove(key: ObjectKey, object: DeepReadonly<T>): void {
    this.#each(object, (value) => {
      const entry = this.#entries.get(value);
      if (entry?.delete(key) && entry.size === 0) this.#entries.delete(value);
    });
  }

  #each(object: DeepReadonly<T>, visit: (value: string) => void): void {
    const values = this.values(object);
    if (values === undefined) return;
    if (typeof values === "string") visit(values);
    else for (const value of values) visit(value);
  }
}

export function controllerUid(object: DeepReadonly<KubeObject>): string | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller)?.uid;
}

function versionOf(object: DeepReadonly<KubeObject>): number {
  return Number(object.metadata.resourceVersion);
}

function asDeleting<T extends KubeObject>(object: DeepReadonly<T>, deletionTimestamp: string): DeepReadonly<T> {
  // A copy of a readonly object with one field more is the same type; inference through DeepReadonly<T> cannot see it.
  return { ...object, metadata: { ...object.metadata, deletionTimestamp } } as DeepReadonly<T>;
}
