/** Objects that every Namespace must have wake their Namespace when somebody changes or deletes them. */
import type { KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import { objectKey } from "../controller-runtime/cache.ts";
import { type Wake, wake } from "../controller-runtime/controller.ts";
import { namespaceOf } from "../controller-runtime/wakes.ts";

export function ownNamespace<T extends KubeObject>(resource: Resource<T>, name: string): Wake {
  return wake<KubeObject>({
    resource: resource as Resource,
    when: ({ type, object }) => type !== "ADDED" && object.metadata.name === name,
    *keys(object) {
      yield objectKey(namespaceOf(object) ?? "");
    },
  });
}
