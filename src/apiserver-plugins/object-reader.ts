/** What plugins may know of other objects: the newest state, from the watch caches. */
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import type { ResourceRegistry, ServedResource } from "../apiserver/resource-registry.ts";

export interface ObjectReader {
  /** At once when the cache is warm, as it is after start. `namespace` is empty for cluster-scoped kinds. */
  get<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string,
    name: string,
  ): DeepReadonly<T> | undefined | Promise<DeepReadonly<T> | undefined>;
  /** In key order; of one namespace, or of all when it is empty. */
  list<T extends KubeObject>(resource: Resource<T>, namespace: string): Promise<readonly DeepReadonly<T>[]>;
  /**
   * As `list`, with the last decided state of each object, which may not be durable yet: the base for a write, never to be shown.
   */
  listNewest<T extends KubeObject>(resource: Resource<T>, namespace: string): Promise<readonly DeepReadonly<T>[]>;
  /** Saves the hot path a list: true when the whole cluster has no such object. */
  hasNone(resource: Resource): boolean;
}

/** Reads what the registry serves. A kind that is not served has no objects. */
export class RegistryReader implements ObjectReader {
  readonly #registry: ResourceRegistry;

  constructor(registry: ResourceRegistry) {
    this.#registry = registry;
  }

  get<T extends KubeObject>(resource: Resource<T>, namespace: string, name: string) {
    const served = this.#find(resource);
    if (!served) return undefined;
    const read = () => {
      const entry = served.cache.get(served.key(namespace, name));
      return entry && (served.fromStored(entry.object as KubeObject) as DeepReadonly<T>);
    };
    return served.cache.isReady ? read() : served.cache.ready().then(read);
  }

  async list<T extends KubeObject>(resource: Resource<T>, namespace: string): Promise<readonly DeepReadonly<T>[]> {
    const served = this.#find(resource);
    if (!served) return [];
    const entries = await entriesOf(served, namespace);
    return entries.map((entry) => served.fromStored(entry.object as KubeObject) as DeepReadonly<T>);
  }

  async listNewest<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string,
  ): Promise<readonly DeepReadonly<T>[]> {
    const served = this.#find(resource);
    if (!served) return [];
    const entries = await entriesOf(served, namespace);
    return entries.map((entry) => {
      const { object } = served.cache.newest(entry.key) ?? entry;
      return served.fromStored(object as KubeObject) as DeepReadonly<T>;
    });
  }

  hasNone(resource: Resource): boolean {
    const served = this.#find(resource);
    return !served || (served.cache.isReady && served.cache.size === 0);
  }

  #find({ group, version, plural }: Resource): ServedResource | undefined {
    return this.#registry.find(group, version, plural);
  }
}

async function entriesOf(served: ServedResource, namespace: string) {
  if (!served.cache.isReady) await served.cache.ready();
  const page = await served.cache.list({ keyPrefix: served.keyPrefix(namespace) });
  return page.entries;
}
