/**
 * Gives a cluster back the FlowSchemas and PriorityLevelConfigurations that it must have, when somebody deletes or changes them: those
 * of which the annotation `apf.kubernetes.io/autoupdate-spec` says "false" stay as they were changed, but for those that nothing goes
 * without (upstream: the priority-and-fairness-config-producer).
 */
import type { ObjectMeta } from "../../api/meta/v1.ts";
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../../apimachinery/status-error.ts";
import type { Logger } from "../../base/logger.ts";
import type { Client } from "../../client/client.ts";
import type { InformerCache } from "../../controller-runtime/informer-cache.ts";
import type { BootstrapObject } from "../bootstrap/bootstrap-object.ts";

interface Configured extends KubeObject {
  spec?: unknown;
}

export interface KeepDefaultsOptions {
  defaults: readonly BootstrapObject[];
  cache: InformerCache;
  client: Client;
  log: Logger;
  signal: AbortSignal;
}

const autoUpdate = "apf.kubernetes.io/autoupdate-spec";
const indispensable: ReadonlySet<string> = new Set(["exempt", "catch-all"]);

export function keepDefaults({ defaults, cache, client, log, signal }: KeepDefaultsOptions): void {
  const byResource = new Map<Resource, Map<string, { metadata: ObjectMeta; spec?: unknown }>>();
  for (const { resource, object } of defaults) {
    if (!byResource.has(resource)) byResource.set(resource, new Map());
    byResource.get(resource)!.set(object.metadata.name!, object);
  }
  for (const [resource, wanted] of byResource) {
    const write = (name: string, pending: Promise<unknown>) => {
      pending.catch((error: Error) => {
        // Who was faster brings another event.
        if (signal.aborted || isConflict(error) || isNotFound(error) || isAlreadyExists(error)) return;
        log.warn("a default of priority and fairness could not be given back", { name, error: error.message });
      });
    };
    cache.informer(resource as Resource<Configured>).addHandler(({ type, object }) => {
      const { name } = object.metadata;
      const own = wanted.get(name);
      if (!own || signal.aborted) return;
      if (type === "DELETED") write(name, client.create(resource as Resource<Configured>, own as Configured));
      else if (type === "MODIFIED" && differs(object, own)) {
        const annotations = { ...object.metadata.annotations, [autoUpdate]: "true" };
        const next = { ...object, metadata: { ...object.metadata, annotations }, spec: own.spec };
        write(name, client.update(resource as Resource<Configured>, next));
      }
    });
  }
}

function differs({ kind, metadata, spec }: DeepReadonly<Configured>, own: { spec?: unknown }): boolean {
  const { name, annotations } = metadata;
  // How many seats those count who are not limited is the users' to say.
  if (kind === "PriorityLevelConfiguration" && name === "exempt") return false;
  if (annotations?.[autoUpdate] === "false" && !indispensable.has(name)) return false;
  return !semanticEqual(spec, own.spec);
}
