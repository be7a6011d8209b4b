/** The informers of one component: started as they are asked for, shared by its controllers (client-go's SharedInformerFactory). */
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Client } from "../client/client.ts";
import type { ObjectKey, ReadCache } from "./cache.ts";
import { controllerUidIndex, Informer, namespaceIndex } from "./informer.ts";
import { reflect } from "./reflector.ts";
import { whenAborted } from "./when-aborted.ts";

export interface InformerCacheOptions {
  client: Client;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
  /** Per plural, restricts what is watched: a kubelet wants only the pods of its node. */
  fieldSelectors?: Readonly<Record<string, string>>;
}

export class InformerCache implements ReadCache {
  readonly #options: InformerCacheOptions;
  readonly #informers = new Map<string, Informer<KubeObject>>();
  readonly #stops = new Map<string, AbortController>();
  readonly #running = new Set<Promise<void>>();

  constructor(options: InformerCacheOptions) {
    this.#options = options;
  }

  /** The resource's informer; the first call starts it. */
  informer<T extends KubeObject>(resource: Resource<T>): Informer<T> {
    const name = resourceName(resource);
    let informer = this.#informers.get(name);
    if (!informer) {
      const fieldSelector = this.#options.fieldSelectors?.[resource.plural];
      informer = new Informer<KubeObject>(fieldSelector !== undefined);
      this.#informers.set(name, informer);
      const stop = new AbortController();
      this.#stops.set(name, stop);
      const run = reflect<KubeObject>(resource, informer, {
        ...this.#options,
        signal: AbortSignal.any([this.#options.signal, stop.signal]),
        ...(fieldSelector ? { fieldSelector } : {}),
      });
      this.#running.add(run);
      void run.finally(() => this.#running.delete(run));
    }
    // One informer per resource, and the resource names its objects' type.
    return informer as unknown as Informer<T>;
  }

  /** Ends the informer of a resource that is no longer served, telling its objects as deleted. */
  stop(resource: Resource): void {
    const name = resourceName(resource);
    this.#stops.get(name)?.abort();
    this.#stops.delete(name);
    this.#informers.get(name)?.clear();
    this.#informers.delete(name);
  }

  /** The informer if it was started. */
  started<T extends KubeObject>(resource: Resource<T>): Informer<T> | undefined {
    return this.#informers.get(resourceName(resource)) as unknown as Informer<T> | undefined;
  }

  get<T extends KubeObject>(resource: Resource<T>, key: ObjectKey): DeepReadonly<T> | undefined {
    return this.informer(resource).get(key);
  }

  list<T extends KubeObject>(resource: Resource<T>, namespace?: string): DeepReadonly<T>[] {
    const informer = this.informer(resource);
    return namespace === undefined ? informer.list() : informer.byIndex(namespaceIndex, namespace);
  }

  ownedBy<T extends KubeObject>(resource: Resource<T>, owner: { metadata: { uid: string } }): DeepReadonly<T>[] {
    return this.informer(resource).byIndex(controllerUidIndex, owner.metadata.uid);
  }

  byIndex<T extends KubeObject>(resource: Resource<T>, index: string, value: string): DeepReadonly<T>[] {
    return this.informer(resource).byIndex(index, value);
  }

  countByIndex(resource: Resource, index: string, value: string): number {
    return this.informer(resource).countByIndex(index, value);
  }

  /** Resolves when every started informer has its first list, or when the signal aborts. */
  async synced(): Promise<void> {
    await Promise.race([
      Promise.all([...this.#informers.values()].map((informer) => informer.synced)),
      whenAborted(this.#options.signal),
    ]);
  }

  /** Resolves when every reflector has ended, after the signal aborted. */
  async stopped(): Promise<void> {
    await Promise.all(this.#running);
  }
}

function resourceName(resource: Resource): string {
  return `${resource.plural}.${resource.version}.${resource.group}`;
}
