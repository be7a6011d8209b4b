/** Lets go of an object that is being deleted. */
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import { isNotFound } from "../apimachinery/status-error.ts";
import { type Client, refOf } from "../client/client.ts";

/** Takes one finalizer out; without error when it, or the object, is gone already. Rejects with Conflict when the object has changed. */
export async function withoutFinalizer<T extends KubeObject>(
  api: Client,
  resource: Resource<T>,
  object: DeepReadonly<T>,
  finalizer: string,
): Promise<void> {
  const { finalizers = [], uid, resourceVersion } = object.metadata;
  if (!finalizers.includes(finalizer)) return;
  const body = { metadata: { uid, resourceVersion, finalizers: finalizers.filter((name) => name !== finalizer) } };
  try {
    await api.patch(resource, refOf(object), { type: "merge", body });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
