/** Writes an object that a cluster must have, without a second try at what was allocated to it. */
import type { KubeObject, New } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import { isNotFound } from "../apimachinery/status-error.ts";
import type { BootstrapObject } from "../apiserver-plugins/bootstrap/bootstrap-object.ts";
import { completed } from "../apiserver-plugins/bootstrap/complete-role.ts";
import type { Client } from "../client/client.ts";

/**
 * `create` leaves an object that is there as it is, `complete` gives a role back what it lacks, and `keep` writes it again.
 * It looks before it creates: a Service's addresses are taken, by itself, once it is there.
 */
export async function ensureObject<T extends KubeObject>(
  client: Client,
  resource: Resource<T>,
  object: New<T>,
  policy: BootstrapObject["policy"] = "create",
): Promise<void> {
  const { name = "", namespace } = object.metadata;
  const standing = await client.get(resource, { name, ...(namespace ? { namespace } : {}) }).catch((error) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  if (!standing) {
    await client.create(resource, object);
    return;
  }
  const wanted = policy === "keep" ? object : policy === "complete" ? completed(standing, object) : undefined;
  // A whole object but for what the server adds.
  if (wanted) await client.update(resource, wanted as unknown as Parameters<typeof client.update<T>>[1]);
}
