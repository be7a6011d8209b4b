/** Every resource that is served now: definitions become ServedResources, each with its watch cache. Definitions may come and go while the server runs. */
import type { KubeObject } from "../api/object.ts";
import { schemaForKind, type TypeSchema, typeSchema } from "../api/schema.ts";
import { apiVersionOf, type GroupResource, type GroupVersion, parseApiVersion } from "../apimachinery/group-version.ts";
import type { ResourceDefinition, SubresourceDefinition } from "../apimachinery/resource-definition.ts";
import { decodeValue } from "../apimachinery/serializer/json.ts";
import { StatusError } from "../apimachinery/status-error.ts";
import { unstoredLists } from "../apimachinery/strict-decode.ts";
import type { Clock } from "../base/clock.ts";
import type { Encoder } from "../storage/encoding.ts";
import { EncodingBudget } from "../storage/encoding-budget.ts";
import type { Store } from "../storage/store.ts";
import { WatchCache } from "../storage/watch-cache.ts";
import type { ForeignApi } from "./foreign-api.ts";
import { jsonEncoder, storedJsonCodec } from "./negotiation/json-encoder.ts";
import type { VirtualResource } from "./virtual-resource.ts";

/** One resource of one version, with what the hot paths want ready-made. */
export class ServedResource {
  readonly definition: ResourceDefinition;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly listKind: string;
  readonly plural: string;
  readonly apiVersion: string;
  readonly groupResource: GroupResource;
  readonly namespaced: boolean;
  readonly verbs: ReadonlySet<string>;
  readonly subresources: ReadonlyMap<string, SubresourceDefinition>;
  /** Shared by all versions of the resource. Holds objects in the version they are stored in. */
  readonly cache: WatchCache<KubeObject>;
  /** Answers in the place of the cache, for resources that nothing is stored of. */
  readonly virtual: VirtualResource | undefined;
  /** Writes this version's JSON, whichever version is stored. */
  readonly json: Encoder<KubeObject>;
  /** The same resource in another version, while that is served. */
  readonly inVersion: (apiVersion: string) => ServedResource | undefined;
  readonly #converted = new WeakMap<object, KubeObject>();
  readonly #watchEnds = new Set<() => void>();
  #schema: { type: TypeSchema | undefined } | undefined;
  #emptyStatus: { value: unknown } | undefined;
  #unstoredLists: readonly string[] | undefined;

  constructor(
    definition: ResourceDefinition,
    cache: WatchCache<KubeObject>,
    virtual: VirtualResource | undefined,
    inVersion: (apiVersion: string) => ServedResource | undefined,
  ) {
    this.definition = definition;
    this.inVersion = inVersion;
    this.virtual = virtual;
    this.group = definition.group;
    this.version = definition.version;
    this.kind = definition.kind;
    this.listKind = definition.listKind ?? `${definition.kind}List`;
    this.plural = definition.plural;
    this.apiVersion = apiVersionOf(definition);
    this.groupResource = { group: definition.group, resource: definition.plural };
    this.namespaced = definition.scope === "Namespaced";
    this.verbs = new Set(definition.verbs ?? defaultVerbs);
    this.subresources = subresourcesOf(definition);
    this.cache = cache;
    const { storedAs } = definition;
    this.json = jsonEncoder(
      this.apiVersion,
      this.kind,
      storedAs ? (o) => this.fromStored(o) : undefined,
      storedAs?.revision,
    );
  }

  /** `end` is called when `endWatches` is. Returns how to forget it. */
  onWatchesEnd(end: () => void): () => void {
    this.#watchEnds.add(end);
    return () => this.#watchEnds.delete(end);
  }

  /** The resource is served otherwise now, or no longer: who watches it as it was must begin again. */
  endWatches(): void {
    for (const end of [...this.#watchEnds]) end();
  }

  /** What objects of this kind look like. Undefined for kinds that nothing describes. */
  get schema(): TypeSchema | undefined {
    this.#schema ??= { type: schemaOfDefinition(this.definition) };
    return this.#schema.type;
  }

  /** Fields at the root whose empty lists are stored as null. */
  get unstoredLists(): readonly string[] {
    this.#unstoredLists ??= this.schema ? unstoredLists(this.schema) : [];
    return this.#unstoredLists;
  }

  /** The status of an object that has none yet, as upstream's JSON shows it: fresh, or undefined when it shows none. */
  emptyStatus(): unknown {
    this.#emptyStatus ??= { value: emptyStatusOf(this.schema) };
    return structuredClone(this.#emptyStatus.value);
  }

  key(namespace: string, name: string): string {
    return this.namespaced ? `${this.cache.prefix}${namespace}/${name}` : this.cache.prefix + name;
  }

  /** Where the keys of one namespace begin, or of all. */
  keyPrefix(namespace: string): string {
    return namespace && this.namespaced ? `${this.cache.prefix}${namespace}/` : this.cache.prefix;
  }

  /** Subresources that read and write the object itself; all others have handlers of their own. */
  isObjectPart(subresource: string): boolean {
    return subresource === "status" || subresource === "scale" || !!this.subresources.get(subresource)?.part;
  }

  /** The object in this version. Conversions are kept as long as the stored object lives. */
  fromStored(object: KubeObject): KubeObject {
    const { storedAs } = this.definition;
    if (!storedAs) return object;
    let converted = this.#converted.get(object);
    if (!converted) {
      if (storedAs.convert && object.apiVersion !== this.apiVersion) throw unconverted(object, this.apiVersion);
      converted = storedAs.fromStored(object);
      this.#converted.set(object, converted);
    }
    return converted;
  }

  /** Whether `prepare` may ever have something to wait for. */
  get needsPreparing(): boolean {
    return this.definition.storedAs?.convert !== undefined;
  }

  /** What must be awaited before `fromStored` may be asked for these objects, if anything. */
  prepare(objects: readonly KubeObject[]): Promise<void> | undefined {
    const { storedAs } = this.definition;
    if (!storedAs?.convert) return undefined;
    const waiting = objects.filter((o) => o.apiVersion !== this.apiVersion && !this.#converted.has(o));
    if (waiting.length === 0) return undefined;
    return storedAs.convert(waiting, this.apiVersion).then((converted) => {
      waiting.forEach((object, i) => {
        this.#converted.set(object, storedAs.fromStored(converted[i]!));
      });
    });
  }

  toStored(object: KubeObject): KubeObject {
    const { storedAs } = this.definition;
    if (!storedAs) return object;
    const stored = apiVersionOf(storedAs);
    if (storedAs.convert && this.apiVersion !== stored) throw unconverted(object, stored);
    return storedAs.toStored(object);
  }

  /** As toStored, for versions that take time to convert. */
  async store(object: KubeObject): Promise<KubeObject> {
    const { storedAs } = this.definition;
    if (!storedAs?.convert) return this.toStored(object);
    const [converted] = await storedAs.convert([object], apiVersionOf(storedAs));
    return converted!;
  }
}

function unconverted(object: KubeObject, apiVersion: string): StatusError {
  return new StatusError(
    500,
    "InternalError",
    `${object.kind} of ${object.apiVersion} has not been converted to ${apiVersion}`,
  );
}

export function schemaOfDefinition(definition: {
  group: string;
  version: string;
  kind: string;
  schema?: string | undefined;
  type?: TypeSchema | undefined;
}): TypeSchema | undefined {
  const { type, schema, group, version, kind } = definition;
  return type ?? (schema ? typeSchema(schema) : undefined) ?? schemaForKind(group, version, kind);
}

function emptyStatusOf(schema: TypeSchema | undefined): unknown {
  return schema && decodeValue<{ status?: unknown }>({}, schema).object.status;
}

const defaultVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const readWrite = ["get", "patch", "update"];

function subresourcesOf(definition: ResourceDefinition): Map<string, SubresourceDefinition> {
  const subresources = new Map<string, SubresourceDefinition>();
  for (const subresource of definition.subresources ?? []) subresources.set(subresource.name, subresource);
  if (definition.hasStatus) subresources.set("status", { name: "status", verbs: readWrite });
  if (definition.scale) {
    subresources.set("scale", {
      name: "scale",
      verbs: readWrite,
      kind: { group: "autoscaling", version: "v1", kind: "Scale" },
    });
  }
  return subresources;
}

export interface RegistryOptions {
  store: Store;
  clock: Clock;
  /** Shared by all caches. Default: one of its own. */
  budget?: EncodingBudget;
}

export class ResourceRegistry {
  readonly #options: RegistryOptions;
  readonly #budget: EncodingBudget;
  /** `apps/v1` → `deployments` → resource. */
  readonly #byGroupVersion = new Map<string, Map<string, ServedResource>>();
  readonly #caches = new Map<string, WatchCache<KubeObject>>();
  readonly #listeners = new Set<() => void>();
  #generation = 0;
  #foreign: ReadonlyMap<string, ForeignApi> = new Map();

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#budget = options.budget ?? new EncodingBudget();
  }

  /** Grows with every change: what was derived from the registry is stale when it differs. */
  get generation(): number {
    return this.#generation;
  }

  /** By `group/version`: what other servers answer for. What is served here comes first. */
  get foreign(): ReadonlyMap<string, ForeignApi> {
    return this.#foreign;
  }

  setForeign(apis: readonly ForeignApi[]): void {
    this.#foreign = new Map(apis.map((api) => [`${api.group}/${api.version}`, api]));
    this.#changed();
  }

  /** Begins to serve, or replaces what was served under the same group, version and plural. */
  add(...definitions: readonly ResourceDefinition[]): void {
    for (const definition of definitions) this.#put(definition, undefined);
    this.#changed();
  }

  /** Serves what nothing is stored of. */
  addVirtual(...virtuals: readonly VirtualResource[]): void {
    for (const virtual of virtuals) this.#put(virtual.definition, virtual);
    this.#changed();
  }

  /** Ends serving; watches of its last version end with it. */
  remove(groupVersion: GroupVersion, plural: string): void {
    const name = apiVersionOf(groupVersion);
    const resources = this.#byGroupVersion.get(name);
    const removed = resources?.get(plural);
    if (!resources || !removed) return;
    resources.delete(plural);
    if (resources.size === 0) this.#byGroupVersion.delete(name);
    const { cache } = removed;
    if (![...this.all()].some((other) => other.cache === cache)) {
      this.#caches.delete(cache.prefix);
      cache.close();
    }
    this.#changed();
  }

  find(group: string, version: string, plural: string): ServedResource | undefined {
    return this.#byGroupVersion.get(group === "" ? version : `${group}/${version}`)?.get(plural);
  }

  /** By kind, for what refers to objects by apiVersion and kind. */
  findKind(apiVersion: string, kind: string): ServedResource | undefined {
    for (const resource of this.#byGroupVersion.get(apiVersion)?.values() ?? []) {
      if (resource.kind === kind) return resource;
    }
    return undefined;
  }

  *all(): Iterable<ServedResource> {
    for (const resources of this.#byGroupVersion.values()) yield* resources.values();
  }

  /** The resources of one group-version, or undefined when it is not served. */
  inGroupVersion(apiVersion: string): Iterable<ServedResource> | undefined {
    return this.#byGroupVersion.get(apiVersion)?.values();
  }

  groupVersions(): GroupVersion[] {
    return [...this.#byGroupVersion.keys()].map((text) => parseApiVersion(text)!);
  }

  /** Called after every change. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    for (const cache of this.#caches.values()) cache.close();
    this.#caches.clear();
  }

  #put(definition: ResourceDefinition, virtual: VirtualResource | undefined): void {
    const groupVersion = apiVersionOf(definition);
    let resources = this.#byGroupVersion.get(groupVersion);
    if (!resources) this.#byGroupVersion.set(groupVersion, (resources = new Map()));
    const cache = this.#cacheFor(definition);
    const inVersion = (apiVersion: string) => {
      const other = this.#byGroupVersion.get(apiVersion)?.get(definition.plural);
      return other?.cache === cache ? other : undefined;
    };
    resources.set(definition.plural, new ServedResource(definition, cache, virtual, inVersion));
  }

  #changed(): void {
    this.#generation++;
    for (const listener of this.#listeners) listener();
  }

  #cacheFor(definition: ResourceDefinition): WatchCache<KubeObject> {
    const prefix = storagePrefixOf(definition);
    const stored = definition.storedAs ?? definition;
    const existing = this.#caches.get(prefix);
    if (existing) return existing;
    const cache = new WatchCache<KubeObject>({
      store: this.#options.store,
      prefix,
      codec: storedJsonCodec(apiVersionOf(stored), definition.kind),
      clock: this.#options.clock,
      budget: this.#budget,
      indices: indicesOf(definition),
      ...(definition.claims ? { claims: definition.claims } : {}),
    });
    this.#caches.set(prefix, cache);
    return cache;
  }
}

function storagePrefixOf(definition: ResourceDefinition): string {
  const group = definition.storedAs?.group ?? definition.group;
  const prefix = definition.storagePrefix ?? `/registry/${group ? `${group}/` : ""}${definition.plural}`;
  return prefix.endsWith("/") ? prefix : `${prefix}/`;
}

/** Fields whose selectors come with every watcher of the kind, so that finding the few must not search the many. */
function indicesOf(definition: ResourceDefinition): Record<string, (object: KubeObject) => string | undefined> {
  const selectors = definition.fieldSelectors ?? {};
  const nodeName = selectors["spec.nodeName"];
  return nodeName && !definition.storedAs ? { "spec.nodeName": nodeName } : {};
}
