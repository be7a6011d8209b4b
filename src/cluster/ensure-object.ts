/** Writes an object that a cluster must have, without a second try at what was allocated to it. */
import type { KubeObject, New } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import { isNotFound } from "../apimachinery/status-error.ts";
import type { Client } from "../client/client.ts";

/**
 * `create` leaves an object that is there as it is; `keep` writes it again.
 * It looks before it creates: a Service's addresses are taken, by itself, once it is there.
 */
export async function ensureObject<T extends KubeObject>(
  client: Client,
  resource: Resource<T>,
  object: New<T>,
  policy: "create" | "keep" = "create",
): Promise<void> {
  const { name = "", namespace } = object.metadata;
  const isThere = await client.get(resource, { name, ...(namespace ? { namespace } : {}) }).then(
    () => true,
    (error) => {
      if (isNotFound(error)) return false;
      throw error;
    },
  );
  if (!isThere) await client.create(resource, object);
  // A whole object but for what the server adds.
  else if (policy === "keep")
    await client.update(resource, object as unknown as Parameters<typeof client.update<T>>[1]);
}
