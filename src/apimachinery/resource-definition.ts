/** What the API server must know of a kind. Everything that differs between kinds is data and functions here; the server itself knows none. */
import type { KubeObject } from "../api/object.ts";
import type { TypeSchema } from "../api/schema.ts";
import type { FieldError } from "./field-error.ts";

/** Who asks, and with which options: what a strategy may need beside the objects. */
export interface WriteContext {
  verb: "create" | "update" | "delete";
  /** Empty for the main resource, else `status`, `scale`, ... */
  subresource: string;
  dryRun: boolean;
  /** Milliseconds since the epoch at which the write is stamped. */
  now: number;
  user: string;
  /** Adds a `Warning:` header to the answer. */
  warn(message: string): void;
}

/** One column of `kubectl get`; names, formats and priorities as upstream serves them. */
export interface Column<T> {
  name: string;
  type: "string" | "integer" | "number" | "boolean" | "date";
  /** `name` marks the object's name. */
  format?: string;
  description?: string;
  /** 0 always shown, 1 only with `-o wide`. */
  priority?: number;
  cell(object: T, now: number): string | number | bigint | boolean | null;
}

export interface SubresourceDefinition<T = KubeObject> {
  /** `status`, `scale`, `exec`, `binding`, ... */
  name: string;
  verbs: readonly string[];
  /** The kind it reads and writes, when not the resource's own: `{ group: "autoscaling", version: "v1", kind: "Scale" }`. */
  kind?: { group: string; version: string; kind: string };
  /**
   * Makes it a part of the object that is read and written as status is: get answers the whole object; update and patch write
   * what this returns, `previous` with that part of `sent`. Both are shared: copy what changes. beforeUpdate and validate follow,
   * with the subresource's name in the context.
   */
  part?(sent: T, previous: T): T;
  /** Labels, annotations and the rest of the metadata come with it; without this they stay. */
  takesMetadata?: boolean;
}

/** One look at metadata: at what an update may not change in it, or at all of it as if the object were new. */
export type MetadataLook = "change" | "whole";

/**
 * Upstream's kinds look at an update's metadata themselves after the server has, each in its own way, and users see a mistake
 * once a look.
 */
export interface MetadataLooks {
  /** `last`: the kind leaves the metadata to the server, which looks when all else is well, and lets any step of a path be a name. */
  create?: "last";
  /** Default: `["change"]`. */
  update?: readonly MetadataLook[];
  /** Of writes to status. Default: `["change"]`. */
  status?: readonly MetadataLook[];
}

/** Where `scale` finds its numbers inside the object. Paths are dotted. */
export interface ScaleDefinition {
  specReplicasPath: string;
  statusReplicasPath: string;
  /** A LabelSelector (object), a map, or a string in status, as the kind has it. */
  selectorPath?: string;
}

/** How a field selector such as `spec.nodeName=worker-1` reads an object. metadata.name and metadata.namespace are always there. */
export type FieldSelectors<T> = Record<string, (object: T) => string>;

export interface ResourceDefinition<T extends KubeObject = KubeObject> {
  group: string;
  version: string;
  kind: string;
  /** Default: kind + "List". */
  listKind?: string;
  plural: string;
  /** Default: kind in lower case. */
  singular?: string;
  shortNames?: readonly string[];
  categories?: readonly string[];
  scope: "Namespaced" | "Cluster";
  /** Default: create, delete, deletecollection, get, list, patch, update, watch. */
  verbs?: readonly string[];
  /** Full name of the type in the schema tables: `io.k8s.api.apps.v1.Deployment`. Default: looked up by group, version and kind. */
  schema?: string;
  /** The type itself, for kinds that the schema tables do not know: custom resources. */
  type?: TypeSchema;
  /** The status subresource: main writes keep the live status, status writes keep everything else but what `statusKeeps` leaves them. */
  hasStatus?: boolean;
  /**
   * What of the metadata stands whatever a status write says: all of it, or its labels alone. Default: nothing but what no
   * update may change. Custom resources are always held to all.
   */
  statusKeeps?: "metadata" | "labels";
  /** The version that discovery's `storageVersionHash` is made of, where it is not the stored one. */
  hashedVersion?: string;
  /** A creator's status is kept (nodes). Default: it is reset. */
  createsWithStatus?: boolean;
  /** What every answer about this version warns of: `v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice`. */
  deprecationWarning?: string;
  scale?: ScaleDefinition;
  /** Further subresources, served by handlers that the composition root registers by `<plural>/<name>`. */
  subresources?: readonly SubresourceDefinition<T>[];
  /** Key prefix in the store. Default: `/registry/<group, when not core>/<plural>`. */
  storagePrefix?: string;
  /** The other versions of this kind name the storage version here; `convert` translates between the two. */
  storedAs?: {
    group: string;
    version: string;
    /** Differs when `fromStored` does: what was encoded before is not what would be encoded now. */
    revision?: string;
    toStored(object: T): KubeObject;
    fromStored(object: KubeObject): T;
    /**
     * The same objects in another version, where that takes time (a webhook): asked before the two above, which then only see
     * objects of their own version. Rejects with a StatusError.
     */
    convert?(objects: readonly KubeObject[], apiVersion: string): Promise<KubeObject[]>;
  };

  /** Fills what the writer left out. Mutates the fresh, private object. Runs on every decode of a request body, before admission. Idempotent. */
  defaults?(object: T): void;
  /**
   * Takes what must be given back when the write fails (a Service's addresses and ports). Called after admission has mutated and
   * before beforeCreate or beforeUpdate; `next` is private and may be changed, and is undefined for deletes that remove the object.
   * Throws a StatusError to refuse. What it returns is called exactly once, with whether the write was stored.
   */
  beginWrite?(
    next: T | undefined,
    previous: T | undefined,
    context: WriteContext,
  ): ((succeeded: boolean) => void) | undefined;
  /**
   * For what `beginWrite` takes where several servers share a store, each with allocators of its own: a key for each thing taken,
   * and the refusal of what a writer asked for by name and another server has given away. What was only drawn is drawn again.
   */
  claims?: { keysOf(object: T): readonly string[]; refusal(keys: readonly string[]): Error };
  /** Clears what a creator may not set, sets what the server owns (phase, generation). Mutates. Status is already reset when hasStatus. */
  beforeCreate?(object: T, context: WriteContext): void;
  /**
   * Restores what an updater may not change, bumps generation. Mutates `next`. For main writes with hasStatus the live status has already been put back;
   * default (when absent) with a `spec`: generation is bumped when anything but metadata and status changed.
   */
  beforeUpdate?(next: T, previous: T, context: WriteContext): void;
  /** As beforeUpdate, for writes to status. Everything but status and what may change of the metadata has been put back already. */
  beforeStatusUpdate?(next: T, previous: T, context: WriteContext): void;
  /** Every mistake found, in upstream's words. `previous` is there on update. ObjectMeta is validated by the server. */
  validate?(next: T, previous: T | undefined, context: WriteContext): FieldError[];
  validateStatus?(next: T, previous: T, context: WriteContext): FieldError[];
  /** How object names are checked. Default: DNS subdomain. */
  validateName?: "dns-subdomain" | "dns-label" | "dns1035-label" | "path-segment" | ((name: string) => string[]);
  /** Finalizers may be named without a domain (custom resources, and the kinds that define kinds). */
  anyFinalizers?: boolean;
  /** How often a mistake in the metadata is found. Default: once on creation, and once more in what an update changed. */
  metadataLooks?: MetadataLooks;
  /** Messages for `Warning:` headers on create and update. */
  warnings?(next: T, previous: T | undefined): string[];
  /** PUT (and server-side apply) of an object that does not exist creates it. */
  allowCreateOnUpdate?: boolean;
  /** PUT without metadata.resourceVersion is allowed (default true) or refused. */
  allowUnconditionalUpdate?: boolean;
  /**
   * Graceful deletion (pods): returns the grace period to start, or undefined to delete at once.
   * The server then sets deletionTimestamp and deletionGracePeriodSeconds instead of removing the object.
   */
  gracePeriodSeconds?(object: T, requested: number | undefined): number | undefined;
  /** What happens to dependents when the client does not say. Default: background. */
  defaultPropagation?: "Orphan" | "Background";
  /**
   * What holds a deleted object beside metadata.finalizers (namespaces: spec.finalizers). While any is left, deletion only
   * marks the object, and without a grace period.
   */
  otherFinalizers?(object: T): readonly string[];
  /** Finalizers that deletion itself adds (CustomResourceDefinitions: what they define is cleaned up first). */
  deletionFinalizers?: readonly string[];
  /** A deletion answers with the object that it removed instead of a Status (pods, services). */
  returnsDeletedObject?: boolean;
  /** Called with the private copy when deletion only marks the object (finalizers remain); namespaces set their phase here. */
  beforeMarkedDeleted?(object: T, context: WriteContext): void;
  fieldSelectors?: FieldSelectors<T>;
  /** Default: Name and Created At, as upstream's. */
  columns?: readonly Column<T>[];
}

/** Names the type parameter once and keeps the literal's own type checked. */
export function defineResource<T extends KubeObject>(definition: ResourceDefinition<T>): ResourceDefinition<T> {
  return definition;
}
