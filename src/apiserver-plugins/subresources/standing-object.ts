/** Reads the objects that a subresource's handler decides by. */
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";
import { notFoundError } from "../../apimachinery/status-error.ts";
import type { ObjectWriter } from "../../apiserver/object-writer.ts";
import type { ServedResource } from "../../apiserver/resource-registry.ts";

export function servedResource(objects: ObjectWriter, { group, version, plural }: Resource): ServedResource {
  const served = objects.services.registry.find(group, version, plural);
  if (!served) throw new Error(`${plural} are not served`);
  return served;
}

/** The newest state, or a 404 in the resource's name. */
export async function standingObject<T extends KubeObject>(
  objects: ObjectWriter,
  resource: Resource<T>,
  namespace: string,
  name: string,
): Promise<DeepReadonly<T>> {
  const served = servedResource(objects, resource);
  if (!served.cache.isReady) await served.cache.ready();
  const entry = served.cache.newest(served.key(namespace, name));
  if (!entry) throw notFoundError(served.groupResource, name);
  // The registry knows kinds as data; what is stored under this resource has its shape.
  return served.fromStored(entry.object) as unknown as DeepReadonly<T>;
}

/** What a subresource answers that changes something and has nothing to show. */
export function success(code: number): { kind: "object"; code: number; object: object } {
  return { kind: "object", code, object: { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code } };
}
