/** Who controls what: objects that a controller's selector matches are adopted, those it no longer matches are released (ControllerRefManager upstream). */
import type { OwnerReference } from "../api/meta/v1.ts";
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import { apiVersionOf } from "../apimachinery/group-version.ts";
import { isInvalid, isNotFound } from "../apimachinery/status-error.ts";
import { type Client, refOf } from "../client/client.ts";
import { keyOf, type ObjectKey, type ReadCache } from "../controller-runtime/cache.ts";
import type { CompiledSelector } from "../controller-runtime/compiled-selector.ts";
import { type IndexDefinition, index, type Wake, wake } from "../controller-runtime/controller.ts";
import { namespaceOf } from "../controller-runtime/wakes.ts";

export function controllerReferenceOf(object: DeepReadonly<KubeObject>): DeepReadonly<OwnerReference> | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller);
}

/** The reference that makes `owner` the controller of an object. */
export function controllerReferenceTo(resource: Resource, owner: DeepReadonly<KubeObject>): OwnerReference {
  return {
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

const orphansIndexName = "orphans";

/** Objects without a controller, by namespace: the candidates for adoption. */
export function orphansOf<T extends KubeObject>(resource: Resource<T>): IndexDefinition {
  return index<KubeObject>({
    resource: resource as Resource,
    name: orphansIndexName,
    values: namespaceOfOrphan,
  });
}

function namespaceOfOrphan(object: DeepReadonly<KubeObject>): string | undefined {
  return controllerReferenceOf(object) ? undefined : (namespaceOf(object) ?? "");
}

/** Orphans wake every reconciled object of their namespace whose selector matches them. */
export function adoptable<T extends KubeObject, O extends KubeObject>(
  resource: Resource<T>,
  owners: Resource<O>,
  selector: (owner: DeepReadonly<O>) => CompiledSelector,
): Wake {
  return wake<KubeObject>({
    resource: resource as Resource,
    *keys(object, cache): Iterable<ObjectKey> {
      if (controllerReferenceOf(object)) return;
      for (const owner of cache.list(owners, namespaceOf(object))) {
        if (selector(owner).matches(object.metadata.labels)) yield keyOf(owner);
      }
    },
  });
}

/**
 * The objects that `owner` controls, after adopting matching orphans and releasing what its selector no longer matches.
 * Needs the index orphansOf(resource). An owner being deleted neither adopts nor releases. What is released loses `finalizer`, too.
 */
export async function claim<T extends KubeObject>(
  { cache, api }: { cache: ReadCache; api: Client },
  owner: DeepReadonly<KubeObject>,
  owners: Resource,
  resource: Resource<T>,
  selector: CompiledSelector,
  { finalizer }: { finalizer?: string } = {},
): Promise<DeepReadonly<T>[]> {
  const claimed: DeepReadonly<T>[] = [];
  const ownerIsDeleted = owner.metadata.deletionTimestamp !== undefined;
  for (const object of cache.ownedBy(resource, owner)) {
    if (selector.matches(object.metadata.labels)) claimed.push(object);
    else if (!ownerIsDeleted && !object.metadata.deletionTimestamp)
      await release(api, owner, resource, object, finalizer);
  }
  if (ownerIsDeleted) return claimed;

  const orphans = cache.byIndex(resource, orphansIndexName, namespaceOf(owner) ?? "");
  const matching = orphans.filter((o) => !o.metadata.deletionTimestamp && selector.matches(o.metadata.labels));
  if (matching.length === 0) return claimed;
  // An owner that was deleted meanwhile must not adopt: its dependents would die with it.
  const fresh = await api.get(owners, refOf(owner));
  if (fresh.metadata.uid !== owner.metadata.uid) {
    throw new Error(
      `original ${owners.kind} ${keyOf(owner)} is gone: got uid ${fresh.metadata.uid}, wanted ${owner.metadata.uid}`,
    );
  }
  if (fresh.metadata.deletionTimestamp) return claimed;
  for (const object of matching) {
    const adopted = await adopt(api, owner, owners, resource, object);
    if (adopted) claimed.push(adopted);
  }
  return claimed;
}

async function adopt<T extends KubeObject>(
  api: Client,
  owner: DeepReadonly<KubeObject>,
  owners: Resource,
  resource: Resource<T>,
  object: DeepReadonly<T>,
): Promise<DeepReadonly<T> | undefined> {
  // The uid in the patch makes it fail on a successor of the same name.
  const body = { metadata: { uid: object.metadata.uid, ownerReferences: [controllerReferenceTo(owners, owner)] } };
  try {
    return await api.patch(resource, refOf(object), { type: "strategic", body });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function release<T extends KubeObject>(
  api: Client,
  owner: DeepReadonly<KubeObject>,
  resource: Resource<T>,
  object: DeepReadonly<T>,
  finalizer: string | undefined,
): Promise<void> {
  const ownerReferences = [{ $patch: "delete", uid: owner.metadata.uid }];
  const finalizers = finalizer ? { "$deleteFromPrimitiveList/finalizers": [finalizer] } : {};
  try {
    await api.patch(resource, refOf(object), {
      type: "strategic",
      body: { metadata: { uid: object.metadata.uid, ownerReferences, ...finalizers } },
    });
  } catch (error) {
    // Gone, or no longer ours.
    if (!isNotFound(error) && !isInvalid(error)) throw error;
  }
}
