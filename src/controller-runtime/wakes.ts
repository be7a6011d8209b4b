/** The usual ways in which a change of one object concerns another. */
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import { objectKey } from "./cache.ts";
import { type Wake, wake } from "./controller.ts";

/** Objects with a controller ownerReference to the reconciled kind wake their owner. */
export function owned<T extends KubeObject>(resource: Resource<T>): Wake {
  return wake<KubeObject>({
    resource: resource as Resource,
    *keys(object, _cache, reconciles) {
      const owner = object.metadata.ownerReferences?.find((reference) => reference.controller);
      if (owner?.kind !== reconciles.kind || groupOf(owner.apiVersion) !== reconciles.group) return;
      yield objectKey(owner.name, reconciles.scope === "Namespaced" ? namespaceOf(object) : undefined);
    },
  });
}

/** Objects of the same namespace and name. */
export function sameName<T extends KubeObject>(resource: Resource<T>): Wake {
  return wake<KubeObject>({
    resource: resource as Resource,
    *keys(object) {
      yield objectKey(object.metadata.name, namespaceOf(object));
    },
  });
}

/** Every reconciled object of the changed object's namespace. */
export function allInNamespace<T extends KubeObject>(resource: Resource<T>, when?: Wake<T>["when"]): Wake {
  return wake<T>({
    resource,
    *keys(object, cache, reconciles) {
      for (const candidate of cache.list(reconciles, namespaceOf(object))) {
        yield objectKey(candidate.metadata.name, namespaceOf(candidate));
      }
    },
    ...(when ? { when } : {}),
  });
}

export function namespaceOf(object: DeepReadonly<KubeObject>): string | undefined {
  return (object.metadata as { namespace?: string }).namespace;
}

function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf("/");
  return slash < 0 ? "" : apiVersion.slice(0, slash);
}
