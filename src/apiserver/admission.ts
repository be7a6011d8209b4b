/** The contract of admission plugins: what may change a write (mutate), then what may refuse it (validate). Order is the list's order. */
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { GroupVersionKind } from "../apimachinery/group-version.ts";
import type { ResourceDefinition } from "../apimachinery/resource-definition.ts";
import type { UserInfo } from "./authentication.ts";

export type Operation = "CREATE" | "UPDATE" | "DELETE" | "CONNECT";

export interface AdmissionRequest {
  operation: Operation;
  definition: ResourceDefinition;
  /** Of `object`: the resource's own kind, or the subresource's (Scale, Eviction, PodExecOptions). */
  kind: GroupVersionKind;
  /** Empty for the main resource. */
  subresource: string;
  /** Empty for cluster-scoped objects. */
  namespace: string;
  /** Empty for a create with generateName, whose name is not drawn yet while plugins mutate, and for deletecollection. */
  name: string;
  /** The object about to be written; private to this request, so mutating plugins change it in place. Absent for deletes; a connect's options for CONNECT. */
  object: KubeObject | undefined;
  /** What stands in the store; absent for creates. */
  oldObject: DeepReadonly<KubeObject> | undefined;
  user: UserInfo;
  dryRun: boolean;
  options: Readonly<Record<string, unknown>>;
  /** Adds a `Warning:` header to the answer. */
  warn(message: string): void;
  /** Adds an annotation to the request's audit event, where there is one. `level`: only where bodies are recorded, too. */
  annotate(key: string, value: string, level?: "Request"): void;
  /** How often the mutating plugins have begun; from 1. */
  pass: number;
  /** Set by a plugin that changed what others have looked at already: all mutating plugins run once more. */
  reinvoke: boolean;
}

export interface AdmissionPlugin {
  /** Upstream's name: `NamespaceLifecycle`. */
  name: string;
  /** Asked for every write; must be cheap. */
  handles(request: AdmissionRequest): boolean;
  /** Throws a StatusError to refuse. May run again when a write conflicts and is retried, so it must be idempotent. */
  mutate?(request: AdmissionRequest): void | Promise<void>;
  /** Throws a StatusError to refuse. Must not change the object. Last before the store. */
  validate?(request: AdmissionRequest): void | Promise<void>;
}

export async function runMutating(plugins: readonly AdmissionPlugin[], request: AdmissionRequest): Promise<void> {
  do {
    request.pass++;
    // Counted: an iterator that lives through an await is made anew for each plugin.
    for (let i = 0; i < plugins.length; i++) {
      const plugin = plugins[i]!;
      if (!plugin.mutate || !plugin.handles(request)) continue;
      const pending = plugin.mutate(request);
      if (pending) await pending;
    }
  } while (request.reinvoke && request.pass < 2);
}

export async function runValidating(plugins: readonly AdmissionPlugin[], request: AdmissionRequest): Promise<void> {
  for (let i = 0; i < plugins.length; i++) {
    const plugin = plugins[i]!;
    if (!plugin.validate || !plugin.handles(request)) continue;
    const pending = plugin.validate(request);
    if (pending) await pending;
  }
}
