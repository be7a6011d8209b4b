/**
 * The ConfigMaps and Secrets that pods of this node refer to: read once, watched by name while a pod uses them (upstream's
 * watch-based object managers). A change wakes the pods that refer to the object; nothing is polled.
 */
import type { ConfigMap, Secret } from "../api/core/v1.ts";
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import { isNotFound } from "../apimachinery/status-error.ts";
import { backoffDelayMs } from "../base/backoff.ts";
import { type Clock, sleep } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Client, WatchHandle } from "../client/client.ts";

export interface ReferencedObjectsOptions {
  client: Client;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
  /** An object that the pod refers to has appeared, changed or gone. */
  onChange(podUid: string): void;
}

type Source = ConfigMap | Secret;

export class ReferencedObjects {
  readonly #options: ReferencedObjectsOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: ReferencedObjectsOptions) {
    this.#options = options;
  }

  /** The object as it is now; undefined when there is none. From here on the pod is told of its changes. */
  async get<T extends Source>(
    resource: Resource<T>,
    namespace: string,
    name: string,
    podUid: string,
  ): Promise<DeepReadonly<T> | undefined> {
    const key = `${resource.plural}/${namespace}/${name}`;
    let entry = this.#entries.get(key);
    if (!entry) {
      entry = new Entry(resource as unknown as Resource, namespace, name, this.#options);
      this.#entries.set(key, entry);
      void entry.run();
    }
    entry.users.add(podUid);
    await entry.loaded;
    // The entry's key holds the resource, and the resource names the type.
    return entry.object as DeepReadonly<T> | undefined;
  }

  /** The pod is gone: what nobody else refers to is no longer watched. */
  release(podUid: string): void {
    for (const [key, entry] of this.#entries) {
      if (!entry.users.delete(podUid) || entry.users.size > 0) continue;
      entry.stop();
      this.#entries.delete(key);
    }
  }
}

/** One object: read at once, then followed by a watch that starts where the reading ended. */
class Entry {
  readonly users = new Set<string>();
  object: DeepReadonly<KubeObject> | undefined;
  /** Resolves with the first reading. Rejects when a reading fails; the next one then has a promise of its own. */
  loaded: Promise<void>;
  #settle: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  #watch: WatchHandle | undefined;
  readonly #stopping = new AbortController();
  readonly #resource: Resource;
  readonly #namespace: string;
  readonly #name: string;
  readonly #options: ReferencedObjectsOptions;

  constructor(resource: Resource, namespace: string, name: string, options: ReferencedObjectsOptions) {
    this.#resource = resource;
    this.#namespace = namespace;
    this.#name = name;
    this.#options = options;
    this.loaded = this.#nextLoading();
  }

  #nextLoading(): Promise<void> {
    const loading = new Promise<void>((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    loading.catch(() => {}); // Every reader gets the error by itself.
    return loading;
  }

  stop(): void {
    this.#stopping.abort();
    this.#watch?.stop();
  }

  async run(): Promise<void> {
    const signal = AbortSignal.any([this.#options.signal, this.#stopping.signal]);
    for (let failures = 0; !signal.aborted; ) {
      try {
        const resourceVersion = await this.#read(signal);
        this.#settle?.resolve();
        this.#settle = undefined;
        failures = 0;
        await this.#follow(resourceVersion, signal);
      } catch (error) {
        if (signal.aborted) break;
        failures++;
        if (this.#settle) {
          this.#settle.reject(error);
          this.loaded = this.#nextLoading();
        }
        this.#options.log.debug("watching a referenced object failed", {
          object: `${this.#resource.plural} ${this.#namespace}/${this.#name}`,
          error: String(error),
        });
        const delayMs = backoffDelayMs({ initialMs: 200, maximumMs: 30_000 }, failures);
        await sleep(this.#options.clock, delayMs, signal).catch(() => {});
      }
    }
    this.#settle?.reject(new Error("the kubelet is stopping"));
  }

  /** Yields the version to watch from. */
  async #read(signal: AbortSignal): Promise<string> {
    const { client } = this.#options;
    const reference = { namespace: this.#namespace, name: this.#name };
    try {
      const object = await client.get(this.#resource, reference, { signal });
      this.#set(object);
      return object.metadata.resourceVersion;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    const fieldSelector = `metadata.name=${this.#name}`;
    const list = await client.list(this.#resource, { namespace: this.#namespace, fieldSelector, signal });
    this.#set(list.items[0]);
    return list.metadata.resourceVersion;
  }

  async #follow(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const fieldSelector = `metadata.name=${this.#name}`;
    const options = { namespace: this.#namespace, fieldSelector, resourceVersion, allowBookmarks: true, signal };
    this.#watch = await this.#options.client.watch(this.#resource, options, (events) => {
      for (const event of events) {
        if (event.type === "BOOKMARK") continue;
        this.#set(event.type === "DELETED" ? undefined : event.object);
      }
    });
    if (signal.aborted) this.#watch.stop();
    await this.#watch.closed;
  }

  #set(object: DeepReadonly<KubeObject> | undefined): void {
    const changed = object?.metadata.resourceVersion !== this.object?.metadata.resourceVersion;
    this.object = object;
    if (!changed || this.#settle) return; // The first reading is no change.
    for (const podUid of this.users) this.#options.onChange(podUid);
  }
}
