/** Keeps an APIService for each group-version of custom kinds (upstream: the crd-registration and autoregister controllers). */
import type { CustomResourceDefinition } from "../../api/apiextensions/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { APIServices, CustomResourceDefinitions } from "../../api/resources.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../../apimachinery/status-error.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Client } from "../../client/client.ts";
import { objectKey } from "../../controller-runtime/cache.ts";
import type { InformerCache } from "../../controller-runtime/informer-cache.ts";
import { WorkQueue } from "../../controller-runtime/work-queue.ts";
import { apiService, automanaged } from "../bootstrap/api-services.ts";

export interface DefinitionRegistrationOptions {
  cache: InformerCache;
  client: Client;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
}

const priority = [1000, 100] as const;

/** Runs until the signal aborts. */
export function registerDefinitions({ cache, client, clock, log, signal }: DefinitionRegistrationOptions): void {
  const definitions = cache.informer(CustomResourceDefinitions);
  const services = cache.informer(APIServices);
  const isServed = (name: string) => definitions.list().some((definition) => servedBy(definition).includes(name));
  const reconcile = async (name: string) => {
    const standing = services.get(objectKey(name));
    if (isServed(name)) {
      if (standing) return;
      const [version = "", ...group] = name.split(".");
      await client.create(APIServices, apiService(group.join("."), version, priority, "true"));
    } else if (standing?.metadata.labels?.[automanaged] === "true") {
      await client.delete(APIServices, { name }, { preconditions: { uid: standing.metadata.uid } });
    }
  };
  const queue = new WorkQueue<string>({
    clock,
    concurrency: 1,
    work: async (name) => {
      try {
        await reconcile(name);
        queue.forget(name);
      } catch (error) {
        if (signal.aborted || isAlreadyExists(error) || isNotFound(error) || isConflict(error)) return;
        log.warn("an APIService of custom kinds could not be kept", { name, error });
        queue.retry(name);
      }
    },
  });
  signal.addEventListener("abort", () => void queue.stop(), { once: true });
  definitions.addHandler(({ object, previous }) => {
    for (const name of [...servedBy(object), ...(previous ? servedBy(previous) : [])]) queue.add(name);
  });
  services.addHandler(({ object: { metadata } }) => {
    if (metadata.labels?.[automanaged] !== "onstart") queue.add(metadata.name);
  });
  void cache.synced().then(() => queue.start());
}

/** The names of the APIServices that a definition wants. */
function servedBy({ spec }: DeepReadonly<CustomResourceDefinition>): string[] {
  return spec.versions.filter(({ served }) => served).map(({ name }) => `${name}.${spec.group}`);
}
