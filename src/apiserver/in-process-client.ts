/**
 * The in-process door: a Client whose calls enter the pipeline as objects. Nothing is serialised; what comes back is shared and
 * frozen. Authorization, admission and validation are those of any request.
 */
import type { DeepReadonly, KubeObject, New } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import { StatusError } from "../apimachinery/status-error.ts";
import type {
  Client,
  DeleteOptions,
  ListOptions,
  ListResult,
  ObjectRef,
  PatchBody,
  ReadOptions,
  WatchEvent,
  WatchHandle,
  WatchOptions,
  WriteOptions,
} from "../client/client.ts";
import type { CacheEvent } from "../storage/watch-cache-contract.ts";
import { objectOf } from "./answer.ts";
import type { UserInfo } from "./authentication.ts";
import type { Attributes } from "./authorization.ts";
import { decodeBody } from "./decode-body.ts";
import { type Pipeline, unknownPath } from "./pipeline.ts";
import {
  checkedListOptions,
  checkedPatchOptions,
  checkedWriteOptions,
  deleteOptionsOf,
  type ListOptions as ServerListOptions,
} from "./request-options.ts";
import type { ServedResource } from "./resource-registry.ts";
import type { RequestContext } from "./services.ts";

export interface InProcessClientOptions {
  pipeline: Pipeline;
  user: UserInfo;
  /** What writes are booked under when they name no field manager: the component's name. */
  fieldManager: string;
  /** Receives what HTTP clients get as `Warning:` headers. */
  onWarning?(message: string): void;
}

export class InProcessClient implements Client {
  readonly #pipeline: Pipeline;
  readonly #user: UserInfo;
  readonly #fieldManager: string;
  readonly #onWarning: ((message: string) => void) | undefined;

  constructor(options: InProcessClientOptions) {
    this.#pipeline = options.pipeline;
    this.#user = options.user;
    this.#fieldManager = options.fieldManager;
    this.#onWarning = options.onWarning;
  }

  async get<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    options: ReadOptions = {},
  ): Promise<DeepReadonly<T>> {
    const { served, context } = await this.#enter("get", resource, ref, "", options.signal);
    const version = options.resourceVersion ?? "";
    const answer = await this.#pipeline.get(context, served, ref.namespace ?? "", ref.name, "", version);
    return objectOf(answer) as DeepReadonly<T>;
  }

  async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<ListResult<T>> {
    const ref = { name: "", ...(options.namespace ? { namespace: options.namespace } : {}) };
    const { served, context } = await this.#enter("list", resource, ref, "", options.signal, options);
    const answer = await this.#pipeline.list(
      context,
      served,
      options.namespace ?? "",
      serverListOptions(options, "list"),
    );
    return {
      items: answer.entries.map((entry) => served.fromStored(entry.object) as DeepReadonly<T>),
      metadata: {
        resourceVersion: String(answer.revision),
        ...(answer.continue ? { continue: answer.continue } : {}),
        ...(answer.remaining !== undefined ? { remainingItemCount: answer.remaining } : {}),
      },
    };
  }

  async watch<T extends KubeObject>(
    resource: Resource<T>,
    options: WatchOptions,
    receive: (events: readonly WatchEvent<T>[]) => void,
  ): Promise<WatchHandle> {
    const ref = { name: "", ...(options.namespace ? { namespace: options.namespace } : {}) };
    const { served, context } = await this.#enter("watch", resource, ref, "", options.signal, options);
    let close!: () => void;
    let fail!: (error: Error) => void;
    const closed = new Promise<void>((resolve, reject) => {
      close = resolve;
      fail = reject;
    });
    // Whoever does not look at `closed` must not take the process down with it.
    closed.catch(() => {});
    let stopped = false;
    const watch = await this.#pipeline.watch(
      context,
      served,
      options.namespace ?? "",
      serverListOptions(options, "watch"),
      {
        deliver(batch) {
          if (!stopped) receive(batch.events.map((event) => clientEvent<T>(served, event)));
          return true;
        },
        ended(error) {
          if (error) fail(error);
          else close();
        },
      },
    );
    const stop = () => {
      if (stopped) return;
      stopped = true;
      watch.stop();
      close();
    };
    // What comes is delivered after the caller holds the handle.
    setImmediate(() => watch.resume());
    options.signal?.addEventListener("abort", stop, { once: true });
    return { closed, stop };
  }

  async create<T extends KubeObject>(
    resource: Resource<T>,
    object: New<NoInfer<T>>,
    options: WriteOptions = {},
  ): Promise<DeepReadonly<T>> {
    const meta = object.metadata;
    const ref = { name: meta.name ?? "", ...(meta.namespace ? { namespace: meta.namespace } : {}) };
    const { served, context } = await this.#enter("create", resource, ref, "", options.signal);
    const answer = await this.#pipeline.create(
      context,
      served,
      ref.namespace ?? "",
      { kind: "object", object },
      checkedWriteOptions(options, "CreateOptions"),
    );
    this.#warn(context);
    return objectOf(answer) as DeepReadonly<T>;
  }

  update<T extends KubeObject>(
    resource: Resource<T>,
    object: DeepReadonly<NoInfer<T>>,
    options: WriteOptions = {},
  ): Promise<DeepReadonly<T>> {
    return this.#put(resource, object, "", options);
  }

  updateStatus<T extends KubeObject>(
    resource: Resource<T>,
    object: DeepReadonly<NoInfer<T>>,
    options: WriteOptions = {},
  ): Promise<DeepReadonly<T>> {
    return this.#put(resource, object, "status", options);
  }

  async #put<T extends KubeObject>(
    resource: Resource<T>,
    object: DeepReadonly<T>,
    subresource: string,
    options: WriteOptions,
  ): Promise<DeepReadonly<T>> {
    const meta = object.metadata as { name: string; namespace?: string };
    const { served, context } = await this.#enter("update", resource, meta, subresource, options.signal);
    const answer = await this.#pipeline.update(
      context,
      served,
      meta.namespace ?? "",
      meta.name,
      subresource,
      { kind: "object", object: object as object },
      checkedWriteOptions(options, "UpdateOptions"),
    );
    this.#warn(context);
    return objectOf(answer) as DeepReadonly<T>;
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    patch: PatchBody,
    options: WriteOptions & { subresource?: string } = {},
  ): Promise<DeepReadonly<T>> {
    const subresource = options.subresource ?? "";
    const { served, context } = await this.#enter("patch", resource, ref, subresource, options.signal);
    const isApply = patch.type === "apply";
    // Components apply under their own name, as upstream's do.
    const named = isApply ? { ...options, fieldManager: options.fieldManager ?? this.#fieldManager } : options;
    const answer = await this.#pipeline.patch(context, served, ref.namespace ?? "", ref.name, subresource, {
      type: patch.type,
      body: { kind: "object", object: patch.body as object },
      options: checkedPatchOptions(named, isApply ? patch.force : undefined, isApply),
    });
    this.#warn(context);
    return objectOf(answer) as DeepReadonly<T>;
  }

  async delete<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    options: DeleteOptions = {},
  ): Promise<void> {
    const { served, context } = await this.#enter("delete", resource, ref, "", options.signal);
    await this.#pipeline.delete(context, served, ref.namespace ?? "", ref.name, serverDeleteOptions(options));
    this.#warn(context);
  }

  async deleteCollection<T extends KubeObject>(
    resource: Resource<T>,
    list: ListOptions,
    options: DeleteOptions = {},
  ): Promise<void> {
    const ref = { name: "", ...(list.namespace ? { namespace: list.namespace } : {}) };
    const { served, context } = await this.#enter("deletecollection", resource, ref, "", options.signal, list);
    const listOptions = serverListOptions(list, "deletecollection");
    const deleteOptions = serverDeleteOptions(options);
    await this.#pipeline.deleteCollection(context, served, list.namespace ?? "", listOptions, deleteOptions);
  }

  createSubresource(
    resource: Resource,
    ref: ObjectRef,
    subresource: string,
    body: object,
    options: WriteOptions = {},
  ): Promise<unknown> {
    return this.#callSubresource("create", "POST", resource, ref, subresource, body, options);
  }

  updateSubresource(
    resource: Resource,
    ref: ObjectRef,
    subresource: string,
    body: object,
    options: WriteOptions = {},
  ): Promise<unknown> {
    return this.#callSubresource("update", "PUT", resource, ref, subresource, body, options);
  }

  async #callSubresource(
    verb: "create" | "update",
    method: string,
    resource: Resource,
    ref: ObjectRef,
    subresource: string,
    body: object,
    options: WriteOptions,
  ): Promise<unknown> {
    const { served, context } = await this.#enter(verb, resource, ref, subresource, options.signal);
    const checked = checkedWriteOptions(options, verb === "create" ? "CreateOptions" : "UpdateOptions");
    if (verb === "update" && served.isObjectPart(subresource)) {
      const sent = { kind: "object", object: body } as const;
      const answer = await this.#pipeline.update(
        context,
        served,
        ref.namespace ?? "",
        ref.name,
        subresource,
        sent,
        checked,
      );
      return objectOf(answer);
    }
    const handler = this.#pipeline.subresourceHandler(served, subresource);
    if (handler.kind !== "object") {
      throw new StatusError(
        400,
        "BadRequest",
        `${served.plural}/${subresource} is a stream, which only HTTP can carry`,
      );
    }
    const kind = served.subresources.get(subresource)?.kind ?? served.definition;
    const object = await decodeBody(context, { kind: "object", object: body }, kind, checked.fieldValidation);
    const request = {
      context,
      resource: served,
      subresource,
      verb,
      method,
      namespace: ref.namespace ?? "",
      name: ref.name,
      query: options.dryRun ? { dryRun: "All" } : {},
      rest: undefined,
      objects: this.#pipeline.objects,
    };
    await request.objects.admitSubresource(request, verb === "create" ? "CREATE" : "UPDATE", object);
    const answer = await handler.handle(request, object);
    this.#warn(context);
    return objectOf(answer);
  }

  /** Finds what is asked for and whether it may be. */
  async #enter(
    verb: string,
    resource: Resource,
    ref: ObjectRef,
    subresource: string,
    signal: AbortSignal | undefined,
    { fieldSelector, labelSelector }: Pick<ListOptions, "fieldSelector" | "labelSelector"> = {},
  ): Promise<{ served: ServedResource; context: RequestContext }> {
    signal?.throwIfAborted();
    const attributes: Attributes = {
      user: this.#user,
      verb,
      isResource: true,
      group: resource.group,
      version: resource.version,
      resource: resource.plural,
      subresource,
      namespace: ref.namespace ?? "",
      name: verb === "create" && !subresource ? "" : ref.name,
      path: "",
      ...(fieldSelector ? { fieldSelector } : {}),
      ...(labelSelector ? { labelSelector } : {}),
    };
    const pending = this.#pipeline.authorize(attributes);
    if (pending) await pending;
    const served = this.#pipeline.services.registry.find(resource.group, resource.version, resource.plural);
    if (!served) throw unknownPath();
    if (subresource && !served.subresources.has(subresource)) throw unknownPath();
    if (served.namespaced && !ref.namespace && ref.name && verb !== "create") throw unknownPath();
    return { served, context: { user: this.#user, defaultManager: this.#fieldManager, warnings: [], signal } };
  }

  #warn(context: RequestContext): void {
    if (this.#onWarning) for (const warning of context.warnings) this.#onWarning(warning);
  }
}

function clientEvent<T extends KubeObject>(served: ServedResource, event: CacheEvent<KubeObject>): WatchEvent<T> {
  if (event.type === "BOOKMARK") {
    const metadata = {
      resourceVersion: String(event.revision),
      ...(event.initialEventsEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
    };
    return { type: "BOOKMARK", object: { metadata } };
  }
  return { type: event.type, object: served.fromStored(event.entry.object) as DeepReadonly<T> };
}

function serverListOptions(
  options: ListOptions & Partial<WatchOptions>,
  verb: "list" | "watch" | "deletecollection",
): ServerListOptions {
  return checkedListOptions(
    {
      labelSelector: options.labelSelector ?? "",
      fieldSelector: options.fieldSelector ?? "",
      limit: options.limit ?? 0,
      continue: options.continue ?? "",
      resourceVersion: options.resourceVersion ?? "",
      resourceVersionMatch:
        options.resourceVersionMatch ?? (options.sendInitialEvents !== undefined ? "NotOlderThan" : ""),
      allowWatchBookmarks: options.allowBookmarks ?? false,
      sendInitialEvents: options.sendInitialEvents,
      timeoutSeconds: options.timeoutSeconds,
    },
    verb,
  );
}

function serverDeleteOptions({ signal: _signal, dryRun, ...rest }: DeleteOptions) {
  return deleteOptionsOf({}, { ...rest, ...(dryRun ? { dryRun: ["All"] } : {}) });
}
