/** What controllers read: informers' objects, indexed. Implemented by informer-cache.ts. */
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";

/** `namespace/name`, or `name` for cluster-scoped objects. */
export type ObjectKey = string & { readonly __brand: "ObjectKey" };

export function objectKey(name: string, namespace?: string): ObjectKey {
  return (namespace ? `${namespace}/${name}` : name) as ObjectKey;
}

export function keyOf(object: { metadata: { name?: string; namespace?: string } }): ObjectKey {
  return objectKey(object.metadata.name ?? "", object.metadata.namespace);
}

export function splitKey(key: ObjectKey): { namespace?: string; name: string } {
  const slash = key.indexOf("/");
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

export interface ReadCache {
  get<T extends KubeObject>(resource: Resource<T>, key: ObjectKey): DeepReadonly<T> | undefined;
  /** All, or those of one namespace. Not sorted. */
  list<T extends KubeObject>(resource: Resource<T>, namespace?: string): DeepReadonly<T>[];
  /** Objects whose controller ownerReference carries the owner's uid: indexed, no walk. */
  ownedBy<T extends KubeObject>(resource: Resource<T>, owner: { metadata: { uid: string } }): DeepReadonly<T>[];
  /** Objects found under `value` of an index registered by name with the informer (`nodeName` of pods, `service` of slices). */
  byIndex<T extends KubeObject>(resource: Resource<T>, index: string, value: string): DeepReadonly<T>[];
  /** How many byIndex would yield, without collecting them. */
  countByIndex(resource: Resource, index: string, value: string): number;
}
