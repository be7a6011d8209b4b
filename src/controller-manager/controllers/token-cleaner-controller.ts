/** Deletes bootstrap tokens when their time is over. */
import type { Secret } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Secrets } from "../../api/resources.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { refOf } from "../../client/client.ts";
import { defineController } from "../../controller-runtime/controller.ts";
import { isBootstrapToken } from "./bootstrap-signer-controller.ts";

export const tokenCleanerController = defineController<Secret>({
  name: "token-cleaner-controller",
  reconciles: Secrets,
  when: ({ type, object }) => type !== "DELETED" && isBootstrapToken(object),
  writes: [Secrets],
  async reconcile({ key, cache, api, clock }) {
    const secret = cache.get(Secrets, key);
    if (!secret || !isBootstrapToken(secret)) return;
    const dueMs = expirationMs(secret);
    if (dueMs === undefined) return;
    const afterMs = dueMs - clock.now();
    if (afterMs > 0) return { afterMs };
    const { uid, resourceVersion } = secret.metadata;
    try {
      await api.delete(Secrets, refOf(secret), { preconditions: { uid, resourceVersion } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  },
});

/** In epoch milliseconds; undefined when the token stays for good. A time that cannot be read is over. */
export function expirationMs({ data }: DeepReadonly<Secret>): number | undefined {
  const text = Buffer.from(data?.["expiration"] ?? "", "base64").toString();
  if (text === "") return undefined;
  return Date.parse(text) || 0;
}
