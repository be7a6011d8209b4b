/**
 * The one way to speak to the API. Two implementations (over HTTPS, and in process) pass client.conformance.ts.
 *
 * Objects that come back are shared and frozen (or fresh, over HTTPS): copy before changing.
 * Every failure of the API is a StatusError; a failure of the transport is an Error with `cause`.
 */
import type { ObjectMeta } from "../api/meta/v1.ts";
import type { DeepReadonly, KubeObject, New } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";

/** Names one object. An object with metadata will do. `namespace` is absent for cluster-scoped resources. */
export interface ObjectRef {
  name: string;
  namespace?: string;
}

export interface ReadOptions {
  resourceVersion?: string;
  signal?: AbortSignal;
}

export interface ListOptions extends ReadOptions {
  /** Absent: all namespaces. */
  namespace?: string;
  /** In the query's syntax: `app=web,tier in (a,b)`. */
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
  resourceVersionMatch?: "Exact" | "NotOlderThan";
}

export interface WatchOptions extends ListOptions {
  allowBookmarks?: boolean;
  /** Streams the present state first, ended by a bookmark annotated `k8s.io/initial-events-end`. */
  sendInitialEvents?: boolean;
  timeoutSeconds?: number;
}

export interface WriteOptions {
  dryRun?: boolean;
  fieldManager?: string;
  /** Absent: as the server has it, which is Warn. */
  fieldValidation?: "Ignore" | "Warn" | "Strict";
  signal?: AbortSignal;
}

export interface DeleteOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: "Orphan" | "Background" | "Foreground";
  preconditions?: { uid?: string; resourceVersion?: string };
  dryRun?: boolean;
  signal?: AbortSignal;
}

export type PatchBody =
  | { type: "json"; body: readonly { op: string; path: string; value?: unknown; from?: string }[] }
  | { type: "merge"; body: unknown }
  | { type: "strategic"; body: unknown }
  | { type: "apply"; body: unknown; force?: boolean };

export type WatchEvent<T extends KubeObject = KubeObject> =
  | { type: "ADDED" | "MODIFIED" | "DELETED"; object: DeepReadonly<T> }
  | { type: "BOOKMARK"; object: { metadata: { resourceVersion: string; annotations?: Record<string, string> } } };

export interface WatchHandle {
  /** Resolves when the server ended the watch (time-out); rejects with a StatusError (410: list again) or a transport error. */
  readonly closed: Promise<void>;
  /** Ends the watch; `closed` resolves. No event is delivered afterwards. */
  stop(): void;
}

export interface ListResult<T extends KubeObject> {
  items: readonly DeepReadonly<T>[];
  metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number };
}

export interface Client {
  get<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, options?: ReadOptions): Promise<DeepReadonly<T>>;
  list<T extends KubeObject>(resource: Resource<T>, options?: ListOptions): Promise<ListResult<T>>;
  /**
   * Resolves when the watch is established. `receive` gets batches in order and must not block.
   * Rejects with a StatusError 410 when the resourceVersion is too old.
   */
  watch<T extends KubeObject>(
    resource: Resource<T>,
    options: WatchOptions,
    receive: (events: readonly WatchEvent<T>[]) => void,
  ): Promise<WatchHandle>;
  create<T extends KubeObject>(
    resource: Resource<T>,
    object: New<NoInfer<T>>,
    options?: WriteOptions,
  ): Promise<DeepReadonly<T>>;
  /** PUT. Fails with Conflict when `metadata.resourceVersion` is given and old. */
  update<T extends KubeObject>(
    resource: Resource<T>,
    object: DeepReadonly<NoInfer<T>>,
    options?: WriteOptions,
  ): Promise<DeepReadonly<T>>;
  /** PUT of the status subresource. */
  updateStatus<T extends KubeObject>(
    resource: Resource<T>,
    object: DeepReadonly<NoInfer<T>>,
    options?: WriteOptions,
  ): Promise<DeepReadonly<T>>;
  patch<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    patch: PatchBody,
    options?: WriteOptions & { subresource?: string },
  ): Promise<DeepReadonly<T>>;
  /** Resolves when the deletion is accepted; the object may stay for its grace period and its finalizers. */
  delete<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, options?: DeleteOptions): Promise<void>;
  deleteCollection<T extends KubeObject>(
    resource: Resource<T>,
    list: ListOptions,
    options?: DeleteOptions,
  ): Promise<void>;
  /** POST to a subresource such as `binding`, `eviction`, `token`. Yields the answer's object. */
  createSubresource(
    resource: Resource,
    ref: ObjectRef,
    subresource: string,
    body: object,
    options?: WriteOptions,
  ): Promise<unknown>;
  /** PUT of a subresource other than status: `finalize` of a Namespace, `approval` of a CertificateSigningRequest. Yields the answer's object. */
  updateSubresource(
    resource: Resource,
    ref: ObjectRef,
    subresource: string,
    body: object,
    options?: WriteOptions,
  ): Promise<unknown>;
}

/** The reference to an object one holds. */
export function refOf(object: { metadata: Pick<ObjectMeta, "name" | "namespace"> }): ObjectRef {
  const { name = "", namespace } = object.metadata;
  return namespace ? { name, namespace } : { name };
}
