/**
 * A client whose writes are visible in the cache as soon as they are answered.
 *
 * A controller that created a Pod must count it when it looks again, even when the watch lags. Upstream keeps
 * expectations per controller for that; here the answer to every write goes straight into the informer (see Informer).
 */
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import { type Clock, rfc3339 } from "../base/clock.ts";
import type { Client } from "../client/client.ts";
import { objectKey } from "./cache.ts";
import type { InformerCache } from "./informer-cache.ts";

export function writeThroughClient(client: Client, cache: InformerCache, clock: Clock): Client {
  function seen<T extends KubeObject>(resource: Resource<T>, object: DeepReadonly<T>): DeepReadonly<T> {
    // Subresources may answer with another kind (Scale, Status): only the resource's own objects belong in its informer.
    if (object.kind === resource.kind) cache.started(resource)?.observeWrite(object);
    return object;
  }
  return {
    get: (resource, ref, options) => client.get(resource, ref, options),
    list: (resource, options) => client.list(resource, options),
    watch: (resource, options, receive) => client.watch(resource, options, receive),
    deleteCollection: (resource, list, options) => client.deleteCollection(resource, list, options),
    createSubresource: (resource, ref, subresource, body, options) =>
      client.createSubresource(resource, ref, subresource, body, options),
    async updateSubresource(resource, ref, subresource, body, options) {
      const answer = await client.updateSubresource(resource, ref, subresource, body, options);
      if (isObject(answer) && !options?.dryRun) seen(resource, answer);
      return answer;
    },
    async create(resource, object, options) {
      const answer = await client.create(resource, object, options);
      return options?.dryRun ? answer : seen(resource, answer);
    },
    async update(resource, object, options) {
      const answer = await client.update(resource, object, options);
      return options?.dryRun ? answer : seen(resource, answer);
    },
    async updateStatus(resource, object, options) {
      const answer = await client.updateStatus(resource, object, options);
      return options?.dryRun ? answer : seen(resource, answer);
    },
    async patch(resource, ref, patch, options) {
      const answer = await client.patch(resource, ref, patch, options);
      return options?.dryRun ? answer : seen(resource, answer);
    },
    async delete(resource, ref, options) {
      const key = objectKey(ref.name, ref.namespace);
      const informer = cache.started(resource);
      const uid = options?.preconditions?.uid ?? informer?.get(key)?.metadata.uid;
      await client.delete(resource, ref, options);
      if (uid && !options?.dryRun) informer?.observeDelete(key, uid, rfc3339(clock.now()));
    },
  };
}

function isObject(answer: unknown): answer is KubeObject {
  return typeof answer === "object" && answer !== null && "kind" in answer && "metadata" in answer;
}
