/** Who owns whom, over all resources: fed by every change, asked by the garbage collector. Pure bookkeeping. */
import type { OwnerReference } from "../../../api/meta/v1.ts";
import type { DeepReadonly, KubeObject } from "../../../api/object.ts";
import type { Resource } from "../../../api/resource.ts";
import { namespaceOf } from "../../../controller-runtime/wakes.ts";

export const foregroundFinalizer = "foregroundDeletion";
export const orphanFinalizer = "orphan";

export interface GraphNode {
  uid: string;
  resource: Resource;
  /** The object as last seen. */
  object: DeepReadonly<KubeObject>;
  owners: readonly DeepReadonly<OwnerReference>[];
}

/** What a change gives cause to look at. */
export interface GraphEffects {
  /** Uids whose owners or dependents changed so that they may have to be deleted. */
  attemptToDelete: Iterable<string>;
  /** Uids that are being deleted with their dependents to be left alone. */
  attemptToOrphan: Iterable<string>;
}

export class OwnerGraph {
  readonly #nodes = new Map<string, GraphNode>();
  /** Dependents by owner's uid. The owner itself may be unknown, or not exist. */
  readonly #dependents = new Map<string, Set<GraphNode>>();

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  dependentsOf(uid: string): ReadonlySet<GraphNode> {
    return this.#dependents.get(uid) ?? none;
  }

  /** Takes in an object as added or changed. */
  put(resource: Resource, object: DeepReadonly<KubeObject>): GraphEffects {
    const { uid, ownerReferences = [] } = object.metadata;
    const attemptToDelete = new Set<string>();
    const attemptToOrphan = new Set<string>();
    let node = this.#nodes.get(uid);
    const previous = node?.object;
    if (!node) {
      node = { uid, resource, object, owners: [] };
      this.#nodes.set(uid, node);
    }
    node.object = object;

    if (node.owners !== ownerReferences) {
      const before = node.owners;
      node.owners = ownerReferences;
      for (const owner of before) {
        const after = ownerReferences.find((reference) => reference.uid === owner.uid);
        if (!after) this.#unlink(owner.uid, node);
        // An owner in foreground deletion no longer has to wait for this one.
        if (owner.blockOwnerDeletion && !after?.blockOwnerDeletion) attemptToDelete.add(owner.uid);
      }
      for (const owner of ownerReferences) {
        if (!before.some((reference) => reference.uid === owner.uid)) {
          this.#link(owner.uid, node);
          // A new owner may not exist, or be about to go.
          attemptToDelete.add(uid);
        }
      }
    }

    const isDeleting = (o: DeepReadonly<KubeObject> | undefined) => o?.metadata.deletionTimestamp !== undefined;
    const has = (o: DeepReadonly<KubeObject> | undefined, finalizer: string) =>
      o?.metadata.finalizers?.includes(finalizer) === true;
    if (isDeleting(object)) {
      if (has(object, orphanFinalizer)) attemptToOrphan.add(uid);
      const wasForeground = isDeleting(previous) && has(previous, foregroundFinalizer);
      if (has(object, foregroundFinalizer) && !wasForeground) {
        attemptToDelete.add(uid);
        for (const dependent of this.dependentsOf(uid)) attemptToDelete.add(dependent.uid);
      }
    }
    return { attemptToDelete, attemptToOrphan };
  }

  /** Takes in that an object is gone. */
  remove(uid: string): GraphEffects {
    const node = this.#nodes.get(uid);
    const attemptToDelete = new Set<string>();
    if (node) {
      this.#nodes.delete(uid);
      for (const owner of node.owners) {
        this.#unlink(owner.uid, node);
        if (this.isWaitingForDependents(owner.uid)) attemptToDelete.add(owner.uid);
      }
    }
    for (const dependent of this.dependentsOf(uid)) attemptToDelete.add(dependent.uid);
    return { attemptToDelete, attemptToOrphan: [] };
  }

  /** Being deleted in the foreground: it stays until the dependents that block it are gone. */
  isWaitingForDependents(uid: string): boolean {
    const metadata = this.#nodes.get(uid)?.object.metadata;
    return metadata?.deletionTimestamp !== undefined && metadata.finalizers?.includes(foregroundFinalizer) === true;
  }

  /** Dependents that a foreground deletion of `uid` waits for. */
  blockingDependentsOf(uid: string): GraphNode[] {
    return [...this.dependentsOf(uid)].filter(({ owners }) =>
      owners.some((owner) => owner.uid === uid && owner.blockOwnerDeletion),
    );
  }

  #link(ownerUid: string, node: GraphNode): void {
    const dependents = this.#dependents.get(ownerUid);
    if (dependents) dependents.add(node);
    else this.#dependents.set(ownerUid, new Set([node]));
  }

  #unlink(ownerUid: string, node: GraphNode): void {
    const dependents = this.#dependents.get(ownerUid);
    if (dependents?.delete(node) && dependents.size === 0) this.#dependents.delete(ownerUid);
  }
}

const none: ReadonlySet<GraphNode> = new Set();

/** Where an owner that a reference names would be: beside its dependent, unless its kind is cluster-scoped. */
export function ownerNamespace(node: GraphNode, ownerResource: Resource): string | undefined {
  return ownerResource.scope === "Namespaced" ? namespaceOf(node.object) : undefined;
}
