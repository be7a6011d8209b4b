/**
 * Creating, changing and deleting objects: system fields, strategies, admission, validation and the compare-and-swap, the same for
 * every kind and every door (upstream: the generic registry's Store).
 */
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import { FieldPath, invalid } from "../apimachinery/field-error.ts";
import type { WriteContext } from "../apimachinery/resource-definition.ts";
import {
  alreadyExistsError,
  badRequestError,
  conflictError,
  invalidError,
  modifiedConflictError,
  notFoundError,
  StatusError,
} from "../apimachinery/status-error.ts";
import { rfc3339 } from "../base/clock.ts";
import { ClaimedError, type Entry } from "../storage/watch-cache-contract.ts";
import { type AdmissionRequest, runMutating, runValidating } from "./admission.ts";
import { type Answer, successStatus } from "./answer.ts";
import {
  canonical,
  carryOver,
  createdProblems,
  dropRepeatedOwners,
  foregroundFinalizer,
  generatedName,
  orphanFinalizer,
  stampCreated,
  updatedMetaProblems,
} from "./object-meta.ts";
import { type DeleteOptions, notUint64 } from "./request-options.ts";
import type { ServedResource } from "./resource-registry.ts";
import { type RequestContext, type Services, warn } from "./services.ts";
import type { SubresourceRequest } from "./subresource-handler.ts";
import { otherUidMessage, upstreamKeyOf } from "./upstream-key.ts";

type Shared = DeepReadonly<KubeObject>;

export interface CreateRequest {
  resource: ServedResource;
  /** Private to this call. */
  object: KubeObject;
  namespace: string;
  /** Runs on the object before admission: books its fields under their manager. */
  book?(object: KubeObject): void;
  dryRun: boolean;
  options?: Readonly<Record<string, unknown>>;
}

export interface UpdateRequest {
  resource: ServedResource;
  namespace: string;
  name: string;
  /** Empty, or `status`, or what the subresource's handler is called. */
  subresource: string;
  dryRun: boolean;
  options?: Readonly<Record<string, unknown>>;
  /** What PUT says of the object it means to replace. */
  expectedUid?: string;
  /** Whether an update that names no resourceVersion is this one's to decide: patches build on what stands. */
  unconditional: boolean;
  /**
   * The object as it should be: fresh, private, complete. Called again when another write came between.
   * `previous` is absent when the object does not exist and `mayCreate` is set.
   */
  transform(previous: Shared | undefined): KubeObject | Promise<KubeObject>;
  /** Runs on what `transform` made, before admission: books changed fields under their manager. */
  book?(next: KubeObject, previous: Shared | undefined): void;
  mayCreate?: boolean;
  /** Admission has seen the request already, as what was sent to the subresource. */
  admitted?: boolean;
  /** The kind that admission is told of, where the subresource has its own. */
  admissionKind?: { group: string; version: string; kind: string };
}

/** More rounds than writers that ever meet at one object; upstream stops at 5 for patches and never for updates. */
const maximumRounds = 64;
/** Addresses and ports are drawn from thousands: that another server draws the same is rare once. */
const maximumDraws = 8;

export class ObjectWriter {
  readonly services: Services;

  constructor(services: Services) {
    this.services = services;
  }

  async create(context: RequestContext, request: CreateRequest): Promise<Answer> {
    const { cache, definition } = request.resource;
    if (!cache.hasRivals) return this.#create(context, request);
    const asked = definition.claims!.keysOf(request.object);
    for (let draw = 1; ; draw++) {
      try {
        return await this.#create(context, { ...request, object: structuredClone(request.object) });
      } catch (error) {
        if (!(error instanceof ClaimedError)) throw error;
        refuseWhatWasAsked(request.resource, error, asked, draw);
      }
    }
  }

  async #create(context: RequestContext, request: CreateRequest): Promise<Answer> {
    const { services } = this;
    const { resource, object, namespace, dryRun } = request;
    const { definition, cache } = resource;
    const meta = object.metadata as KubeObject["metadata"] & { namespace?: string; generateName?: string };
    if (!cache.isReady) await cache.ready();
    if (resource.namespaced) {
      if (meta.namespace && meta.namespace !== namespace) throw namespaceMismatch();
      if (namespace) meta.namespace = namespace;
    } else delete meta.namespace;
    this.#dedupOwners(context, object);
    request.book?.(object);
    const admission = this.#admissionRequest(context, request, "CREATE", "", meta.name ?? "", object, undefined);
    await runMutating(services.admission, admission);
    this.#dedupOwners(context, object);
    if (meta.resourceVersion && meta.resourceVersion !== "0") {
      throw new StatusError(500, "", "resourceVersion should not be set on objects to be created");
    }
    const now = services.clock.now();
    const writeContext = this.#writeContext(context, "create", "", dryRun, now);
    const generated = !meta.name && !!meta.generateName;
    if (definition.hasStatus && !definition.createsWithStatus) resetStatus(resource, object);
    stampCreated(meta, now, services.random);
    delete (meta as { resourceVersion?: string }).resourceVersion;
    const finish = definition.beginWrite?.(object, undefined, writeContext);
    let written = false;
    try {
      // Names that are drawn may be taken: a few other draws follow before the client hears of it.
      for (let draws = 0; ; draws++) {
        if (generated) meta.name = generatedName(meta.generateName!, services.random);
        if (draws === 0) {
          definition.beforeCreate?.(object, writeContext);
          const ofKind = () => definition.validate?.(object, undefined, writeContext) ?? [];
          const errors = createdProblems(meta, definition, ofKind);
          if (errors.length > 0) throw invalidError(definition, meta.name ?? "", errors);
          for (const text of definition.warnings?.(object, undefined) ?? []) warn(context, text);
          admission.name = meta.name;
          await runValidating(services.admission, admission);
        }
        const stored = canonical(
          await resource.store(object),
          storedApiVersion(resource),
          definition.kind,
          resource.unstoredLists,
        );
        const key = resource.key(namespace, meta.name);
        if (dryRun) {
          const standing = cache.newest(key);
          if (standing) throw alreadyExists(resource, meta.name, standing.object);
          return {
            kind: "object",
            code: 201,
            object: withoutVersion(canonical(object, resource.apiVersion, resource.kind, resource.unstoredLists)),
            resource,
          };
        }
        const outcome = await cache.create(key, stored);
        if (outcome.ok) {
          written = true;
          await resource.prepare([outcome.entry.object]);
          return { kind: "entry", code: 201, resource, entry: outcome.entry };
        }
        if (!generated || draws >= 7) throw alreadyExists(resource, meta.name, outcome.current?.object);
      }
    } finally {
      finish?.(written);
    }
  }

  async update(context: RequestContext, request: UpdateRequest): Promise<Answer> {
    const { services } = this;
    const { resource, namespace, name, subresource, dryRun } = request;
    const { definition, cache } = resource;
    if (!cache.isReady) await cache.ready();
    const key = resource.key(namespace, name);
    for (let round = 1; ; round++) {
      const standing = cache.newest(key);
      if (!standing) {
        if (!request.mayCreate) throw notFoundError(resource.groupResource, name);
        if (request.expectedUid) throw otherUid(request, request.expectedUid, "");
        const object = await request.transform(undefined);
        const book = request.book;
        return this.create(context, {
          resource,
          object,
          namespace,
          dryRun,
          ...(book ? { book: (created: KubeObject) => book(created, undefined) } : {}),
          ...(request.options ? { options: request.options } : {}),
        });
      }
      await resource.prepare([standing.object]);
      const previous = resource.fromStored(standing.object) as Shared;
      if (request.expectedUid && request.expectedUid !== previous.metadata.uid) {
        throw otherUid(request, request.expectedUid, previous.metadata.uid);
      }
      const next = await request.transform(previous);
      const meta = next.metadata as KubeObject["metadata"] & { namespace?: string };
      this.#dedupOwners(context, next);
      const given = givenVersion(meta.resourceVersion);
      if (given === undefined && !request.unconditional && definition.allowUnconditionalUpdate === false) {
        const field = FieldPath.root.child("metadata", "resourceVersion");
        throw invalidError({ group: resource.group, kind: resource.plural }, name, [
          invalid(field, 0, "must be specified for an update"),
        ]);
      }
      if (given !== undefined && given !== standing.modRevision)
        throw modifiedConflictError(resource.groupResource, name);
      meta.resourceVersion = previous.metadata.resourceVersion;
      if (resource.namespaced) {
        if (meta.namespace && meta.namespace !== namespace) throw namespaceMismatch();
        meta.namespace = namespace;
      }
      request.book?.(next, previous);
      const admission = this.#admissionRequest(context, request, "UPDATE", subresource, name, next, previous);
      if (!request.admitted) await runMutating(services.admission, admission);
      this.#dedupOwners(context, next);
      const writeContext = this.#writeContext(context, "update", subresource, dryRun, services.clock.now());
      const asked = cache.hasRivals ? definition.claims!.keysOf(next) : [];
      const finish = definition.beginWrite?.(next, previous as KubeObject, writeContext);
      let written = false;
      let claimed = false;
      try {
        this.#settle(context, resource, next, previous, writeContext);
        if (!request.admitted) await runValidating(services.admission, admission);
        const object = canonical(next, resource.apiVersion, resource.kind, resource.unstoredLists);
        if (isFinished(resource, object, previous)) {
          if (dryRun) return { kind: "object", code: 200, object, resource };
          const removed = await cache.delete(key, standing.modRevision);
          // The answer is the last state that was written, as upstream gives it.
          if (removed.ok) {
            written = true;
            definition.beginWrite?.(undefined, object, writeContext)?.(true);
            return { kind: "object", code: 200, object, resource };
          }
        } else {
          if (dryRun) return { kind: "object", code: 200, object, resource };
          const stored = definition.storedAs
            ? canonical(
                await resource.store(object),
                storedApiVersion(resource),
                definition.kind,
                resource.unstoredLists,
              )
            : object;
          const outcome = await cache.update(key, stored, standing.modRevision);
          if (outcome.ok) {
            written = true;
            await resource.prepare([outcome.entry.object]);
            return { kind: "entry", code: 200, resource, entry: outcome.entry };
          }
        }
      } catch (error) {
        if (!(error instanceof ClaimedError)) throw error;
        refuseWhatWasAsked(resource, error, asked, round);
        claimed = true;
      } finally {
        finish?.(written);
      }
      if (claimed) continue;
      // A patch is made anew of what stands now; if it named a version itself, the next round refuses it.
      const final = given !== undefined && !request.unconditional;
      if (final || round >= maximumRounds) throw modifiedConflictError(resource.groupResource, name);
    }
  }

  /** Applies the strategies to an update and refuses what they find wrong. */
  #settle(
    context: RequestContext,
    resource: ServedResource,
    next: KubeObject,
    previous: Shared,
    writeContext: WriteContext,
  ): void {
    const { definition } = resource;
    const { subresource } = writeContext;
    const before = previous as KubeObject;
    carryOver(next.metadata, before.metadata);
    let errors: ReturnType<typeof updatedMetaProblems>;
    if (subresource === "status") {
      definition.beforeStatusUpdate?.(next, before, writeContext);
      errors = updatedMetaProblems(next.metadata, before.metadata, definition, definition.metadataLooks?.status);
      if (definition.validateStatus) errors.push(...definition.validateStatus(next, before, writeContext));
    } else {
      if (definition.hasStatus && subresource === "") putBack(next, before, "status");
      if (subresource === "" || resource.isObjectPart(subresource)) {
        if (definition.beforeUpdate) definition.beforeUpdate(next, before, writeContext);
        else bumpGeneration(next, before);
      }
      errors = updatedMetaProblems(next.metadata, before.metadata, definition, definition.metadataLooks?.update);
      if (definition.validate) errors.push(...definition.validate(next, before, writeContext));
    }
    if (errors.length > 0) throw invalidError(definition, next.metadata.name, errors);
    if (subresource === "") for (const text of definition.warnings?.(next, before) ?? []) warn(context, text);
  }

  async delete(
    context: RequestContext,
    resource: ServedResource,
    namespace: string,
    name: string,
    options: DeleteOptions,
  ): Promise<Answer> {
    const { services } = this;
    const { definition, cache } = resource;
    if (!cache.isReady) await cache.ready();
    const key = resource.key(namespace, name);
    for (let round = 1; ; round++) {
      const standing = cache.newest(key);
      if (!standing) throw notFoundError(resource.groupResource, name);
      await resource.prepare([standing.object]);
      const previous = resource.fromStored(standing.object) as Shared;
      checkPreconditions(resource, previous, options);
      const admission = this.#admissionRequest(
        context,
        { resource, namespace, dryRun: options.dryRun },
        "DELETE",
        "",
        name,
        undefined,
        previous,
      );
      await runMutating(services.admission, admission);
      await runValidating(services.admission, admission);
      const now = services.clock.now();
      const step = planDeletion(resource, previous, options, now);
      if (step.kind === "nothing") {
        const entry = cache.get(key);
        if (entry && entry.modRevision === standing.modRevision) return { kind: "entry", code: 200, resource, entry };
        return { kind: "object", code: 200, object: previous, resource };
      }
      if (step.kind === "mark") {
        const writeContext = this.#writeContext(context, "delete", "", options.dryRun, now);
        if (step.first) definition.beforeMarkedDeleted?.(step.object, writeContext);
        const object = canonical(step.object, resource.apiVersion, resource.kind, resource.unstoredLists);
        if (options.dryRun) return { kind: "object", code: 200, object, resource };
        const stored = definition.storedAs
          ? canonical(await resource.store(object), storedApiVersion(resource), definition.kind, resource.unstoredLists)
          : object;
        const outcome = await cache.update(key, stored, standing.modRevision);
        if (outcome.ok) {
          // Upstream answers 202 to those who ask for a cascade in the old way and have to wait for it.
          const code = options.orphanDependents === false ? 202 : 200;
          await resource.prepare([outcome.entry.object]);
          return { kind: "entry", code, resource, entry: outcome.entry };
        }
      } else {
        if (options.dryRun) return deletedAnswer(resource, previous, undefined);
        const outcome = await cache.delete(key, standing.modRevision);
        if (outcome.ok) {
          const writeContext = this.#writeContext(context, "delete", "", false, now);
          definition.beginWrite?.(undefined, previous as KubeObject, writeContext)?.(true);
          if (!step.last) return deletedAnswer(resource, previous, outcome.entry);
          step.last.metadata.resourceVersion = String(outcome.entry?.modRevision ?? previous.metadata.resourceVersion);
          return deletedAnswer(resource, step.last as Shared, undefined);
        }
      }
      if (round >= maximumRounds) throw modifiedConflictError(resource.groupResource, name);
    }
  }

  /**
   * Asks admission about what was sent to a subresource that has its own kind: a Binding, an Eviction, a TokenRequest, or a connection's
   * options. `object` is private, and may come back changed. Throws the refusal.
   */
  async admitSubresource(
    { context, resource, namespace, subresource, name, query }: SubresourceRequest,
    operation: "CREATE" | "UPDATE" | "CONNECT",
    object: KubeObject | undefined,
  ): Promise<void> {
    if (operation === "CREATE" && object?.metadata && resource.namespaced) {
      const meta: { namespace?: string } = object.metadata;
      if (meta.namespace && meta.namespace !== namespace) throw namespaceMismatch();
      meta.namespace = namespace;
    }
    const { admission } = this.services;
    const kind = resource.subresources.get(subresource)?.kind;
    const request = this.#admissionRequest(
      context,
      { resource, namespace, dryRun: query["dryRun"] === "All", ...(kind ? { admissionKind: kind } : {}) },
      operation,
      subresource,
      name,
      object,
      undefined,
    );
    await runMutating(admission, request);
    await runValidating(admission, request);
  }

  #admissionRequest(
    context: RequestContext,
    request: {
      resource: ServedResource;
      namespace: string;
      dryRun: boolean;
      options?: Readonly<Record<string, unknown>>;
      admissionKind?: { group: string; version: string; kind: string };
    },
    operation: AdmissionRequest["operation"],
    subresource: string,
    name: string,
    object: KubeObject | undefined,
    oldObject: Shared | undefined,
  ): AdmissionRequest {
    const { resource } = request;
    return {
      operation,
      definition: resource.definition,
      kind: request.admissionKind ?? resource.definition,
      subresource,
      namespace: resource.namespaced ? request.namespace : "",
      name,
      object,
      oldObject,
      user: context.user,
      dryRun: request.dryRun,
      options: request.options ?? noOptions,
      warn: (message) => warn(context, message),
      annotate: (key, value, level) => context.annotate?.(key, value, level),
      pass: 0,
      reinvoke: false,
    };
  }

  #writeContext(
    context: RequestContext,
    verb: WriteContext["verb"],
    subresource: string,
    dryRun: boolean,
    now: number,
  ): WriteContext {
    return { verb, subresource, dryRun, now, user: context.user.name, warn: (message) => warn(context, message) };
  }

  #dedupOwners(context: RequestContext, object: KubeObject): void {
    const warning = dropRepeatedOwners(object.metadata);
    if (warning) warn(context, warning);
  }
}

const noOptions = Object.freeze({});

function storedApiVersion(resource: ServedResource): string {
  const { storedAs } = resource.definition;
  if (!storedAs) return resource.apiVersion;
  return storedAs.group ? `${storedAs.group}/${storedAs.version}` : storedAs.version;
}

export function namespaceMismatch(): StatusError {
  return badRequestError("the namespace of the provided object does not match the namespace sent on the request");
}

/** Someone who creates over an object that is on its way out is told so. */
function alreadyExists(resource: ServedResource, name: string, standing: KubeObject | undefined): StatusError {
  const error = alreadyExistsError(resource.groupResource, name);
  if (!(standing?.metadata as { deletionTimestamp?: string } | undefined)?.deletionTimestamp) return error;
  return new StatusError(409, "AlreadyExists", `object is being deleted: ${error.message}`, error.details);
}

/** Nobody is created with a status; what upstream's JSON shows of an empty one stays. */
function resetStatus(resource: ServedResource, object: KubeObject): void {
  const target = object as KubeObject & { status?: unknown };
  const empty = resource.emptyStatus();
  if (empty === undefined) delete target.status;
  else target.status = empty;
}

function withoutVersion(object: KubeObject): KubeObject {
  delete (object.metadata as { resourceVersion?: string }).resourceVersion;
  return object;
}

function givenVersion(text: string | undefined): number | undefined {
  if (!text || text === "0") return undefined;
  const problem = notUint64(text);
  if (!problem) return Number(text);
  throw new StatusError(500, "", problem);
}

function otherUid({ resource, namespace, name }: UpdateRequest, expected: string, found: string): StatusError {
  return conflictError(
    resource.groupResource,
    name,
    otherUidMessage(upstreamKeyOf(resource, namespace, name), expected, found),
  );
}

function putBack(next: KubeObject, previous: KubeObject, field: string): void {
  const target = next as unknown as Record<string, unknown>;
  const value = (previous as unknown as Record<string, unknown>)[field];
  if (value === undefined) delete target[field];
  else target[field] = value;
}

/** What a kind without a rule of its own does: the generation counts changes of everything but metadata and status. */
function bumpGeneration(next: KubeObject, previous: KubeObject): void {
  if (previous.metadata.generation === undefined) return;
  const { metadata: _m1, status: _s1, ...now } = next as KubeObject & { status?: unknown };
  const { metadata: _m2, status: _s2, ...before } = previous as KubeObject & { status?: unknown };
  if (!equal(now, before)) next.metadata.generation = previous.metadata.generation + 1;
}

function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  for (const key in left) if (!equal(left[key], right[key])) return false;
  for (const key in right) if (right[key] !== undefined && left[key] === undefined) return false;
  return true;
}

type Meta = Shared["metadata"];

/** Nothing holds a deleted object any longer: it goes with this write. */
function isFinished(resource: ServedResource, next: KubeObject, previous: Shared): boolean {
  if (!next.metadata.deletionTimestamp || next.metadata.finalizers?.length) return false;
  if (resource.definition.otherFinalizers?.(next).length) return false;
  return !(previous.metadata as Meta).deletionGracePeriodSeconds && !next.metadata.deletionGracePeriodSeconds;
}

function checkPreconditions(resource: ServedResource, object: Shared, options: DeleteOptions): void {
  const { uid, resourceVersion } = options.preconditions ?? {};
  const { name } = object.metadata;
  // Upstream names the kind here, and not the resource.
  const refused = { group: resource.definition.group, resource: resource.definition.kind };
  if (uid !== undefined && uid !== null && uid !== object.metadata.uid) {
    throw conflictError(
      refused,
      name,
      `the UID in the precondition (${uid}) does not match the UID in record (${object.metadata.uid}). The object might have been deleted and then recreated`,
    );
  }
  if (
    resourceVersion !== undefined &&
    resourceVersion !== null &&
    resourceVersion !== object.metadata.resourceVersion
  ) {
    throw conflictError(
      refused,
      name,
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${object.metadata.resourceVersion}). The object might have been modified`,
    );
  }
}

type DeletionStep =
  /** Deletion is under way already and this request adds nothing. */
  | { kind: "nothing" }
  /** `object`, a private copy, says that it is being deleted. */
  | { kind: "mark"; object: KubeObject; first: boolean }
  | { kind: "remove"; last?: KubeObject };

/** What deleting this object now means: see the API conventions on finalizers and graceful deletion. */
function planDeletion(resource: ServedResource, object: Shared, options: DeleteOptions, now: number): DeletionStep {
  const { definition } = resource;
  const meta = object.metadata;
  const started = meta.deletionTimestamp !== undefined;
  const held = definition.otherFinalizers?.(object as KubeObject) ?? [];
  if (definition.otherFinalizers) {
    if (held.length === 0 && !meta.finalizers?.length) return { kind: "remove" };
    if (started) {
      throw conflictError(
        resource.groupResource,
        meta.name,
        "The system is ensuring all content is removed from this namespace.  Upon completion, this namespace will automatically be purged by the system.",
      );
    }
    return { kind: "mark", first: true, object: marked(object, meta.finalizers, now, undefined) };
  }
  const grace = gracefulStep(resource, object, options);
  if (grace === "pending") return { kind: "nothing" };
  const finalizers = finalizersAfter(object, options, definition.defaultPropagation);
  if (!started) {
    for (const finalizer of definition.deletionFinalizers ?? [])
      if (!finalizers.includes(finalizer)) finalizers.push(finalizer);
  }
  const changed = !sameSet(finalizers, meta.finalizers ?? []);
  if (grace !== undefined) {
    const from = started ? Date.parse(meta.deletionTimestamp!) - durationMs(meta.deletionGracePeriodSeconds ?? 0) : now;
    const ending = marked(object, finalizers, from + durationMs(grace), grace, !started);
    if (grace > 0 || finalizers.length > 0) return { kind: "mark", first: !started, object: ending };
    // Its grace period was cut short: that is how it is seen for the last time.
    return started ? { kind: "remove", last: ending } : { kind: "remove" };
  }
  if (finalizers.length === 0) return { kind: "remove" };
  if (started && !changed) return { kind: "nothing" };
  const at = started ? Math.min(Date.parse(meta.deletionTimestamp!), now) : now;
  return { kind: "mark", first: !started, object: marked(object, finalizers, at, 0, !started) };
}

/** A client's seconds in milliseconds; what the 64 bits of Go's nanoseconds do not hold wraps around, as upstream. */
function durationMs(seconds: number): number {
  if (seconds <= 9e9) return Number(seconds) * 1000;
  return Number(BigInt.asIntN(64, BigInt(seconds) * 1_000_000_000n) / 1_000_000n);
}

/** The grace period that begins (or is shortened to), `pending` when one runs already, undefined when there is none to give. */
function gracefulStep(
  resource: ServedResource,
  object: Shared,
  options: DeleteOptions,
): number | "pending" | undefined {
  const { definition } = resource;
  if (!definition.gracePeriodSeconds) return undefined;
  const requested = options.gracePeriodSeconds;
  const meta = object.metadata;
  if (meta.deletionTimestamp !== undefined) {
    const running = meta.deletionGracePeriodSeconds;
    if (running === undefined) return undefined;
    if (requested === undefined || requested >= running) return "pending";
    return requested < 0 ? 0 : requested;
  }
  return definition.gracePeriodSeconds(object as KubeObject, requested);
}

function marked(
  object: Shared,
  finalizers: readonly string[] | undefined,
  atMs: number,
  graceSeconds: number | undefined,
  countsAsChange = false,
): KubeObject {
  const metadata = { ...object.metadata } as KubeObject["metadata"];
  metadata.deletionTimestamp = rfc3339(atMs);
  if (graceSeconds !== undefined) metadata.deletionGracePeriodSeconds = graceSeconds;
  if (finalizers?.length) metadata.finalizers = [...finalizers];
  else delete metadata.finalizers;
  if (countsAsChange && metadata.generation) metadata.generation++;
  return { ...object, metadata } as KubeObject;
}

/** The finalizers that the garbage collector goes by, as the options ask, beside those that are there. */
function finalizersAfter(
  object: Shared,
  options: DeleteOptions,
  defaultPropagation: "Orphan" | "Background" | undefined,
): string[] {
  const before = object.metadata.finalizers ?? [];
  const kept = before.filter((finalizer) => finalizer !== orphanFinalizer && finalizer !== foregroundFinalizer);
  const { orphanDependents, propagationPolicy } = options;
  let orphan: boolean;
  let foreground = false;
  if (orphanDependents !== undefined) orphan = orphanDependents;
  else if (propagationPolicy !== undefined) {
    orphan = propagationPolicy === "Orphan";
    foreground = propagationPolicy === "Foreground";
  } else {
    orphan = before.includes(orphanFinalizer) || defaultPropagation === "Orphan";
    foreground = before.includes(foregroundFinalizer);
  }
  if (orphan) kept.push(orphanFinalizer);
  if (foreground) kept.push(foregroundFinalizer);
  return kept;
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item) => b.includes(item));
}

function deletedAnswer(resource: ServedResource, object: Shared, entry: Entry<KubeObject> | undefined): Answer {
  if (resource.definition.returnsDeletedObject) {
    if (entry) return { kind: "entry", code: 200, resource, entry };
    return { kind: "object", code: 200, object, resource };
  }
  return {
    kind: "object",
    code: 200,
    object: successStatus(resource, object.metadata.name, object.metadata.uid),
  };
}

/** What another server has just given away is refused to those who asked for it, or drew too often; returns when it may be drawn again. */
function refuseWhatWasAsked(
  { definition }: ServedResource,
  { keys }: ClaimedError,
  asked: readonly string[],
  draws: number,
): void {
  if (draws >= maximumDraws || keys.some((key) => asked.includes(key))) throw definition.claims!.refusal(keys);
}
