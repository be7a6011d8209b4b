/** Shapes every API object shares, beyond what the OpenAPI document can say. */
import type { ListMeta, ObjectMeta } from "./meta/v1.ts";

/** Metadata of a stored cluster-scoped object: what the server guarantees is required. */
export interface ClusterMeta extends ObjectMeta {
  name: string;
  uid: string;
  /** Opaque to clients, and a decimal number. */
  resourceVersion: string;
  /** RFC 3339, whole seconds, UTC. */
  creationTimestamp: string;
}

/** Metadata of a stored namespaced object. */
export interface NamespacedMeta extends ClusterMeta {
  namespace: string;
}

/** The least that any stored object has. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ClusterMeta;
}

/** What one writes to create a T: the server fills in the rest. */
export type New<T extends KubeObject> = Omit<T, "apiVersion" | "kind" | "metadata" | "status"> & {
  apiVersion?: T["apiVersion"];
  kind?: T["kind"];
  metadata: ObjectMeta;
} & (T extends { status: infer S } ? { status?: S } : unknown);

/** A list of T as the API returns it. */
export interface ObjectList<T extends KubeObject> {
  apiVersion: string;
  /** The kind of the items followed by "List". */
  kind: string;
  metadata: ListMeta;
  items: T[];
}

/** Objects from a cache are shared: copy before changing. */
export type DeepReadonly<T> = T extends (...args: never[]) => unknown
  ? T
  : T extends readonly (infer E)[]
    ? readonly DeepReadonly<E>[]
    : T extends object
      ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
      : T;
