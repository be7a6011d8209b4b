/**
 * Serves what CustomResourceDefinitions define: accepts their names, adds them to the registry, and on deletion removes their
 * objects first (upstream: the naming, establishing and finalizing controllers of apiextensions-apiserver, and its handler).
 */
import type { CustomResourceDefinition, CustomResourceDefinitionCondition } from "../../api/apiextensions/v1.ts";
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";
import { CustomResourceDefinitions } from "../../api/resources.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isConflict, isNotFound } from "../../apimachinery/status-error.ts";
import type { ResourceRegistry, ServedResource } from "../../apiserver/resource-registry.ts";
import { type Clock, rfc3339 } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Random } from "../../base/random.ts";
import type { Client } from "../../client/client.ts";
import { objectKey } from "../../controller-runtime/cache.ts";
import type { Informer } from "../../controller-runtime/informer.ts";
import { InformerCache } from "../../controller-runtime/informer-cache.ts";
import { WorkQueue } from "../../controller-runtime/work-queue.ts";
import type { WebhookCaller } from "../webhooks/webhook-caller.ts";
import { resourceDefinitionsOf } from "./definition-of.ts";
import { isEstablished, plannedStatus, withCondition } from "./naming.ts";
import { type Converter, webhookConverter } from "./webhook-conversion.ts";

type Definition = DeepReadonly<CustomResourceDefinition>;

const cleanupFinalizer = "customresourcecleanup.apiextensions.k8s.io";
/** How long watches of a definition that has changed go on. */
const teardownMs = 1000;
/** Looking again at objects whose own finalizers hold them. */
const cleanupRetryMs = 200;

export interface CustomResourcesOptions {
  registry: ResourceRegistry;
  client: Client;
  clock: Clock;
  log: Logger;
  random: Random;
  /** Asks conversion webhooks. */
  webhooks: Pick<WebhookCaller, "call">;
  signal: AbortSignal;
}

interface Serving {
  group: string;
  plural: string;
  versions: readonly string[];
  storage: string;
  /** Of what the registry's entries were made from. */
  revision: string;
  spec: Definition["spec"];
  names: NonNullable<Definition["status"]>["acceptedNames"];
  /** What somebody may watch: of this spec and these names, served anew or not. */
  watched: readonly ServedResource[];
}

export class CustomResources {
  readonly #options: CustomResourcesOptions;
  readonly #informer: Informer<CustomResourceDefinition>;
  readonly #queue: WorkQueue<string>;
  /** By the definition's name. */
  readonly #serving = new Map<string, Serving>();

  constructor(options: CustomResourcesOptions) {
    this.#options = options;
    const { client, clock, log, signal } = options;
    this.#informer = new InformerCache({ client, clock, log, signal }).informer(CustomResourceDefinitions);
    this.#queue = new WorkQueue({
      clock,
      concurrency: 1,
      work: async (name) => {
        try {
          await this.#reconcile(name);
          this.#queue.forget(name);
        } catch (error) {
          if (signal.aborted) return;
          if (!isConflict(error)) log.warn("a CustomResourceDefinition could not be worked on", { name, error });
          this.#queue.retry(name);
        }
      },
    });
    signal.addEventListener("abort", () => void this.#queue.stop(), { once: true });
  }

  /** Resolves when everything that was established before is served again. */
  async start(): Promise<void> {
    this.#informer.addHandler(({ object }) => this.#queue.add(object.metadata.name));
    await this.#informer.synced;
    for (const definition of this.#informer.list()) if (isEstablished(definition)) this.#serve(definition);
    this.#queue.start();
  }

  async #reconcile(name: string): Promise<void> {
    const definition = this.#informer.get(objectKey(name));
    if (!definition) return this.#gone(name);
    if (definition.metadata.deletionTimestamp) return this.#cleanUp(definition);
    const time = rfc3339(this.#options.clock.now());
    const status = plannedStatus(definition, this.#informer.list(), time);
    const next = status === definition.status ? definition : ({ ...definition, status } as Definition);
    // Whoever reads that it is established finds it served.
    if (isEstablished(next)) this.#serve(next);
    if (next === definition) return;
    await this.#options.client.updateStatus(CustomResourceDefinitions, next as never);
    // Names that it no longer has others may want.
    if (definition.status?.acceptedNames?.plural) this.#reconsiderOthers(name);
  }

  #serve(definition: Definition): void {
    const { registry } = this.#options;
    const { metadata, spec, status } = definition;
    const revision = JSON.stringify([
      metadata.uid,
      metadata.generation,
      status?.acceptedNames,
      status?.storedVersions?.length,
      metadata.deletionTimestamp !== undefined,
    ]);
    const before = this.#serving.get(metadata.name);
    if (before?.revision === revision) return;
    const storage = spec.versions.find((version) => version.storage)!.name;
    const definitions = resourceDefinitionsOf(definition, this.#converterOf(definition));
    const versions = definitions.map(({ version }) => version);
    const names = status?.acceptedNames;
    const isSame = before && semanticEqual(before.spec, spec) && semanticEqual(before.names, names);
    if (before && !isSame) this.#endWatches(before);
    // Objects are kept in the stored version's bytes: with another one they are read anew.
    if (before && before.storage !== storage) this.#remove(before, []);
    registry.add(...definitions);
    if (before) this.#remove(before, versions);
    const { group } = spec;
    const { plural } = spec.names;
    const resources = versions.flatMap((version) => registry.find(group, version, plural) ?? []);
    const watched = [...(isSame ? before.watched : []), ...resources];
    this.#serving.set(metadata.name, { group, plural, versions, storage, revision, spec, names, watched });
  }

  /** Clients watch the definition as it was: they begin again. */
  #endWatches({ watched }: Serving): void {
    const end = () => {
      for (const resource of watched) resource.endWatches();
    };
    this.#options.clock.setTimer(teardownMs, end, { background: true });
  }

  #converterOf(definition: Definition): Converter | undefined {
    const { webhooks, random } = this.#options;
    return webhookConverter(definition, webhooks, random);
  }

  #remove({ group, plural, versions }: Serving, except: readonly string[]): void {
    for (const version of versions)
      if (!except.includes(version)) this.#options.registry.remove({ group, version }, plural);
  }

  #stopServing(name: string): void {
    const serving = this.#serving.get(name);
    if (!serving) return;
    this.#serving.delete(name);
    this.#remove(serving, []);
  }

  #gone(name: string): void {
    this.#stopServing(name);
    this.#reconsiderOthers(name);
  }

  /** Those of its group, whose names it may have had. */
  #reconsiderOthers(name: string): void {
    const group = name.slice(name.indexOf(".") + 1);
    for (const other of this.#informer.list())
      if (other.spec.group === group && other.metadata.name !== name) this.#queue.add(other.metadata.name);
  }

  async #cleanUp(definition: Definition): Promise<void> {
    const { client } = this.#options;
    const { name, finalizers = [] } = definition.metadata;
    if (!finalizers.includes(cleanupFinalizer)) return;
    if (isEstablished(definition)) this.#serve(definition);
    const instances = this.#instances(name);
    if (instances) {
      await this.#tell(definition, {
        reason: "InstanceDeletionInProgress",
        message: "CustomResource deletion is in progress",
      });
      await client.deleteCollection(instances, {}, {});
      const { items } = await client.list(instances, { limit: 1 });
      if (items.length > 0) {
        this.#queue.addAfter(name, cleanupRetryMs);
        return;
      }
    }
    this.#stopServing(name);
    try {
      const current = await client.get(CustomResourceDefinitions, { name });
      if (current.metadata.uid !== definition.metadata.uid) return;
      await client.update(CustomResourceDefinitions, {
        ...current,
        metadata: {
          ...current.metadata,
          finalizers: (current.metadata.finalizers ?? []).filter((one) => one !== cleanupFinalizer),
        },
      } as never);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async #tell(definition: Definition, { reason, message }: { reason: string; message: string }): Promise<void> {
    const { client, clock } = this.#options;
    const conditions = (definition.status?.conditions ?? []) as CustomResourceDefinitionCondition[];
    const next = withCondition(
      conditions,
      { type: "Terminating", status: "True", reason, message },
      rfc3339(clock.now()),
    );
    if (next === conditions) return;
    const changed = { ...definition, status: { ...definition.status, conditions: next } };
    await client.updateStatus(CustomResourceDefinitions, changed as never);
  }

  /** Any version in which the definition's objects can be reached. */
  #instances(name: string): Resource<KubeObject> | undefined {
    const serving = this.#serving.get(name);
    const version = serving?.versions[0];
    const served = version && this.#options.registry.find(serving.group, version, serving.plural);
    if (!served) return undefined;
    const { group, kind, plural, definition } = served;
    return { group, version, kind, plural, scope: definition.scope };
  }
}
