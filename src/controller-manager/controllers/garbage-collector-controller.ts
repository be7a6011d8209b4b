/** Deletes what has lost all its owners, and carries out foreground and orphaning deletions. */
import type { OwnerReference } from "../../api/meta/v1.ts";
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";
import { APIServices, CustomResourceDefinitions } from "../../api/resources.ts";
import { parseApiVersion } from "../../apimachinery/group-version.ts";
import { isConflict, isNotFound, type StatusError } from "../../apimachinery/status-error.ts";
import { sleep } from "../../base/clock.ts";
import { type DeleteOptions, refOf } from "../../client/client.ts";
import type { ControllerProcess, ProcessContext } from "../../controller-runtime/controller.ts";
import { namespaceOf } from "../../controller-runtime/wakes.ts";
import { whenAborted } from "../../controller-runtime/when-aborted.ts";
import { WorkQueue } from "../../controller-runtime/work-queue.ts";
import { messageOf } from "../pod-control.ts";
import { can, type Discover } from "../served-resources.ts";
import {
  foregroundFinalizer,
  type GraphEffects,
  type GraphNode,
  OwnerGraph,
  orphanFinalizer,
  ownerNamespace,
} from "./garbage-collector/owner-graph.ts";

const concurrency = 32;
/** What other servers serve changes without an event: upstream looks as often. */
const discoverEveryMs = 30_000;
/** A kind that cannot be listed (its conversion webhook is away, say) holds up all others for no longer than this. */
const syncPatienceMs = 30_000;
/** Events come and go in numbers, and own nothing. */
const ignored = new Set(["events", "events.events.k8s.io"]);

export function garbageCollectorController(discover: Discover): ControllerProcess {
  return {
    name: "garbage-collector-controller",
    run: (context) => new GarbageCollector(context, discover).run(),
  };
}

class GarbageCollector {
  readonly #context: ProcessContext;
  readonly #discover: Discover;
  readonly #graph = new OwnerGraph();
  readonly #watched = new Map<string, Resource>();
  readonly #deleting: WorkQueue<string>;
  readonly #orphaning: WorkQueue<string>;
  /** Identities that were seen to go, and uids, behind their namespace, that were asked for and do not exist: they never will again. */
  readonly #absent = new Set<string>();
  #isForgetting = false;
  #beginning: Promise<void> | undefined;
  readonly #discovery: WorkQueue<"discover">;

  constructor(context: ProcessContext, discover: Discover) {
    this.#context = context;
    this.#discover = discover;
    const { clock } = context;
    const queue = (work: (uid: string) => Promise<void>) => {
      const created: WorkQueue<string> = new WorkQueue({
        clock,
        concurrency,
        work: async (uid) => {
          try {
            await work(uid);
            created.forget(uid);
          } catch (error) {
            if (context.signal.aborted) return;
            const failures = created.retry(uid);
            if (!isConflict(error) || failures > 5) {
              const { kind, metadata } = this.#graph.get(uid)?.object ?? {};
              context.log.warn("garbage collection will be retried", {
                kind,
                name: metadata?.name,
                failures,
                error: messageOf(error),
              });
            }
          }
        },
      });
      return created;
    };
    this.#deleting = queue((uid) => this.#attemptToDelete(uid));
    this.#orphaning = queue((uid) => this.#attemptToOrphan(uid));
    this.#discovery = new WorkQueue({
      clock,
      concurrency: 1,
      work: async (key) => {
        try {
          await this.#watchAll();
          this.#discovery.forget(key);
          this.#discovery.addAfter(key, discoverEveryMs);
        } catch (error) {
          context.log.warn("discovery failed, will retry", { error: messageOf(error) });
          this.#discovery.retry(key);
        }
      },
    });
  }

  async run(): Promise<void> {
    const { cache, signal } = this.#context;
    // What is served changes with custom resources and aggregated APIs.
    for (const resource of [CustomResourceDefinitions, APIServices] as Resource[]) {
      cache.informer(resource).addHandler(({ type, object, previous }) => {
        const generation = previous?.metadata.generation;
        const isTrivial =
          type === "MODIFIED" && object.metadata.generation === generation && !isNewlyServed(object, previous);
        if (!isTrivial) this.#discovery.add("discover");
      });
    }
    this.#discovery.add("discover");
    this.#discovery.start();
    await whenAborted(signal);
    await Promise.all([this.#deleting.stop(), this.#orphaning.stop(), this.#discovery.stop()]);
  }

  /** Watches every resource that can be deleted, and only those. */
  async #watchAll(): Promise<void> {
    const { cache } = this.#context;
    const { resources, failures } = await this.#discover();
    const wanted = new Map(
      resources
        .filter((served) => can(served, "list", "watch", "delete"))
        .map(({ resource }): [string, Resource] => [resourceKey(resource), resource])
        .filter(([key]) => !ignored.has(key)),
    );
    for (const [key, resource] of wanted) {
      const watched = this.#watched.get(key);
      if (watched?.version === resource.version) continue;
      // The version that was watched may be served no longer.
      if (watched) this.#forget(watched);
      this.#watched.set(key, resource);
      cache.informer(resource).addHandler(({ type, object }) => {
        if (type === "DELETED") this.#remove(resource, object);
        else this.#queue(this.#graph.put(resource, object));
      });
    }
    for (const [key, resource] of this.#watched) {
      // A group that did not answer still has what it had.
      if (wanted.has(key) || failures.some(({ groupVersion }) => groupVersion.startsWith(`${resource.group}/`)))
        continue;
      this.#watched.delete(key);
      this.#forget(resource);
    }
    this.#beginning ??= this.#begin();
  }

  /** Only when everything has been listed is an owner that the graph does not know worth asking for. */
  async #begin(): Promise<void> {
    const { cache, clock, signal } = this.#context;
    const patience = new AbortController();
    const synced = Promise.all([...this.#watched.values()].map((resource) => cache.informer(resource).synced));
    const isOver = sleep(clock, syncPatienceMs, AbortSignal.any([signal, patience.signal])).catch(() => {});
    await Promise.race([synced, isOver]);
    patience.abort();
    this.#deleting.start();
    this.#orphaning.start();
  }

  /** Watches a resource no longer: what it held may well be there, and is asked for when it matters. */
  #forget(resource: Resource): void {
    this.#isForgetting = true;
    this.#context.cache.stop(resource);
    this.#isForgetting = false;
  }

  #remove(resource: Resource, object: DeepReadonly<KubeObject>): void {
    const { uid, name } = object.metadata;
    // That it is gone is still known when its kind is gone too, and can no longer be asked for.
    if (!this.#isForgetting && this.#graph.dependentsOf(uid).size > 0)
      this.#noteAbsence(identityOf(resource, namespaceOf(object), name, uid));
    this.#queue(this.#graph.remove(uid));
  }

  /** Whether it was seen to go: exactly what the reference names, where it would have to be. */
  #wasSeenToGo({ object }: GraphNode, { apiVersion, kind, name, uid }: DeepReadonly<OwnerReference>): boolean {
    const group = parseApiVersion(apiVersion)?.group ?? "";
    return [namespaceOf(object), undefined].some((namespace) =>
      this.#absent.has(identityOf({ group, kind }, namespace, name, uid)),
    );
  }

  #noteAbsence(key: string): void {
    this.#absent.add(key);
    if (this.#absent.size > 500) this.#absent.delete(this.#absent.values().next().value!);
  }

  #queue({ attemptToDelete, attemptToOrphan }: GraphEffects): void {
    for (const uid of attemptToDelete) this.#deleting.add(uid);
    for (const uid of attemptToOrphan) this.#orphaning.add(uid);
  }

  async #attemptToDelete(uid: string): Promise<void> {
    const node = this.#graph.get(uid);
    if (!node) return;
    const { metadata } = node.object;
    if (this.#graph.isWaitingForDependents(uid)) return this.#processForeground(node);
    if (metadata.deletionTimestamp) return;
    if (node.owners.length === 0) return;

    const { solid, dangling, waiting } = await this.#classify(node);
    if (this.#graph.get(uid) !== node) return;
    if (solid.length > 0) {
      const gone = [...dangling, ...waiting];
      if (gone.length > 0) await this.#removeOwners(node, new Set(gone.map((owner) => owner.uid)));
      return;
    }
    if (waiting.length > 0 && this.#graph.dependentsOf(uid).size > 0) {
      // A circle of owners would wait for itself: let go of it here.
      for (const dependent of this.#graph.dependentsOf(uid)) {
        if (this.#graph.isWaitingForDependents(dependent.uid)) {
          await this.#unblockOwners(node);
          break;
        }
      }
      return this.#delete(node, "Foreground");
    }
    const { finalizers = [] } = metadata;
    await this.#delete(
      node,
      finalizers.includes(orphanFinalizer)
        ? "Orphan"
        : finalizers.includes(foregroundFinalizer)
          ? "Foreground"
          : "Background",
    );
  }

  async #processForeground(node: GraphNode): Promise<void> {
    const blocking = this.#graph.blockingDependentsOf(node.uid);
    if (blocking.length === 0) return this.#removeFinalizer(node, foregroundFinalizer);
    for (const dependent of blocking) {
      if (!dependent.object.metadata.deletionTimestamp) this.#deleting.add(dependent.uid);
    }
  }

  async #classify(node: GraphNode) {
    const solid: DeepReadonly<OwnerReference>[] = [];
    const dangling: DeepReadonly<OwnerReference>[] = [];
    const waiting: DeepReadonly<OwnerReference>[] = [];
    for (const owner of node.owners) {
      if (!(await this.#exists(node, owner))) dangling.push(owner);
      else if (this.#graph.isWaitingForDependents(owner.uid)) waiting.push(owner);
      else solid.push(owner);
    }
    return { solid, dangling, waiting };
  }

  async #exists(node: GraphNode, owner: DeepReadonly<OwnerReference>): Promise<boolean> {
    if (this.#wasSeenToGo(node, owner)) return false;
    const candidate = this.#graph.get(owner.uid);
    // A reference with somebody's uid but another name or kind leads to nobody.
    const known = candidate && isNamedBy(candidate, owner) ? candidate : undefined;
    const resource = known?.resource ?? this.#resourceOf(owner);
    if (!resource) {
      throw new Error(
        `unable to find the resource of owner ${owner.apiVersion}, Kind=${owner.kind} of ${node.resource.kind} ${node.object.metadata.name}`,
      );
    }
    const namespace = ownerNamespace(node, resource);
    const isReachable = resource.scope === "Cluster" || namespace !== undefined;
    if (known) {
      if (isReachable && (resource.scope === "Cluster" || namespaceOf(known.object) === namespace)) return true;
      this.#warnOfNamespace(node, owner, namespace);
      // A namespaced owner of a cluster-scoped object can never be found; such an object is left alone.
      return !isReachable;
    }
    if (!isReachable) {
      this.#warnOfNamespace(node, owner, namespace);
      return true;
    }
    const absentKey = `${namespace ?? ""}/${owner.uid}`;
    if (this.#absent.has(absentKey)) return false;
    try {
      const found = await this.#context.api.get(
        resource,
        namespace ? { name: owner.name, namespace } : { name: owner.name },
      );
      if (found.metadata.uid === owner.uid) return true;
    } catch (error) {
      if (!isNotFound(error) || isUnserved(error)) throw error;
    }
    this.#noteAbsence(absentKey);
    return false;
  }

  #warnOfNamespace(node: GraphNode, owner: DeepReadonly<OwnerReference>, namespace: string | undefined): void {
    const { apiVersion, kind, name, uid } = owner;
    const place = namespace ?? "";
    const message = `ownerRef [${apiVersion}/${kind}, namespace: ${place}, name: ${name}, uid: ${uid}] does not exist in namespace "${place}"`;
    this.#context.events.event(node.object, "Warning", "OwnerRefInvalidNamespace", message);
  }

  /** References name a version; any version of the kind leads to the same objects. */
  #resourceOf({ apiVersion, kind }: DeepReadonly<OwnerReference>): Resource | undefined {
    const group = parseApiVersion(apiVersion)?.group;
    for (const resource of this.#watched.values()) {
      if (resource.group === group && resource.kind === kind) return resource;
    }
    return undefined;
  }

  async #delete(node: GraphNode, propagationPolicy: NonNullable<DeleteOptions["propagationPolicy"]>): Promise<void> {
    const { uid, resourceVersion } = node.object.metadata;
    try {
      // The version guards against owners that were added since we looked.
      await this.#context.api.delete(node.resource, refOf(node.object), {
        propagationPolicy,
        preconditions: { uid, resourceVersion },
      });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async #removeOwners(node: GraphNode, uids: ReadonlySet<string>): Promise<void> {
    const ownerReferences = node.owners.filter((owner) => !uids.has(owner.uid));
    await this.#patchMetadata(node, { ownerReferences: ownerReferences.length > 0 ? ownerReferences : null });
  }

  async #unblockOwners(node: GraphNode): Promise<void> {
    const ownerReferences = node.owners.map((owner) => ({ ...owner, blockOwnerDeletion: false }));
    await this.#patchMetadata(node, { ownerReferences });
  }

  async #removeFinalizer(node: GraphNode, finalizer: string): Promise<void> {
    const { finalizers } = node.object.metadata;
    if (!finalizers?.includes(finalizer)) return;
    await this.#patchMetadata(node, { finalizers: finalizers.filter((name) => name !== finalizer) });
  }

  /** Merge patches work on every resource, and the version makes them fail on anything newer. */
  async #patchMetadata(node: GraphNode, metadata: object): Promise<void> {
    const { uid, resourceVersion } = node.object.metadata;
    try {
      await this.#context.api.patch(node.resource, refOf(node.object), {
        type: "merge",
        body: { metadata: { uid, resourceVersion, ...metadata } },
      });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async #attemptToOrphan(uid: string): Promise<void> {
    const node = this.#graph.get(uid);
    if (!node?.object.metadata.finalizers?.includes(orphanFinalizer)) return;
    const dependents = [...this.#graph.dependentsOf(uid)];
    await Promise.all(dependents.map((dependent) => this.#removeOwners(dependent, new Set([uid]))));
    await this.#removeFinalizer(node, orphanFinalizer);
  }
}

function identityOf(
  { group, kind }: Pick<Resource, "group" | "kind">,
  namespace: string | undefined,
  name: string,
  uid: string,
): string {
  return `${kind}.${group}/${namespace ?? ""}/${name}/${uid}`;
}

/** The kind is not there (any more, in this version), which says nothing about its objects. */
function isUnserved(error: unknown): boolean {
  return !(error as StatusError).details?.name;
}

function isNamedBy({ resource, object }: GraphNode, { apiVersion, kind, name }: DeepReadonly<OwnerReference>): boolean {
  return (
    object.metadata.name === name && resource.kind === kind && resource.group === parseApiVersion(apiVersion)?.group
  );
}

function resourceKey({ plural, group }: Resource): string {
  return group ? `${plural}.${group}` : plural;
}

/** A definition whose condition became true is served from now on, without a change of its spec. */
function isNewlyServed(object: DeepReadonly<KubeObject>, previous: DeepReadonly<KubeObject> | undefined): boolean {
  return readiness(object) !== readiness(previous);
}

function readiness(object: DeepReadonly<KubeObject> | undefined): string {
  const { status } = (object ?? {}) as { status?: { conditions?: { type: string; status: string }[] } };
  return (status?.conditions ?? [])
    .filter(({ type }) => type === "Established" || type === "Available")
    .map(({ type, status: value }) => `${type}=${value}`)
    .join(",");
}
