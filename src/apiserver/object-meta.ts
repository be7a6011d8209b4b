/** ObjectMeta: what the server fills in, what nobody may change, and what it says of mistakes. One place for every kind. */
import type { ObjectMeta, OwnerReference } from "../api/meta/v1.ts";
import type { KubeObject } from "../api/object.ts";
import { type FieldError, invalid, metadata } from "../apimachinery/field-error.ts";
import { pathSegmentProblems } from "../apimachinery/name-validation.ts";
import {
  nameRuleOf,
  validateChangeableMeta,
  validateObjectMeta,
  validateObjectMetaUpdate,
  validFinalizerDomains,
} from "../apimachinery/object-meta-validation.ts";
import type { MetadataLook, ResourceDefinition } from "../apimachinery/resource-definition.ts";
import { rfc3339 } from "../base/clock.ts";
import { nameSuffix, type Random } from "../base/random.ts";

export const orphanFinalizer = "orphan";
export const foregroundFinalizer = "foregroundDeletion";

const maximumGeneratedPrefix = 58;

/** A name for `generateName`: its first 58 characters and five random ones. */
export function generatedName(prefix: string, random: Random): string {
  return prefix.slice(0, maximumGeneratedPrefix) + nameSuffix(random);
}

/** Stamps an object that is about to be created. */
export function stampCreated(meta: ObjectMeta, now: number, random: Random): void {
  dropSystemFields(meta);
  meta.uid = random.uuid();
  meta.creationTimestamp = rfc3339(now);
}

/** What a creator may say and only the server knows. */
export function dropSystemFields(meta: ObjectMeta): void {
  delete meta.uid;
  delete meta.creationTimestamp;
  delete meta.deletionTimestamp;
  delete meta.deletionGracePeriodSeconds;
  delete meta.selfLink;
}

/** Carries over from `previous` what an update may leave out. */
export function carryOver(next: ObjectMeta, previous: ObjectMeta): void {
  next.uid ||= previous.uid!;
  next.creationTimestamp ||= previous.creationTimestamp!;
  if (previous.deletionTimestamp) next.deletionTimestamp = previous.deletionTimestamp;
  if (previous.deletionGracePeriodSeconds !== undefined) {
    next.deletionGracePeriodSeconds ??= previous.deletionGracePeriodSeconds;
  }
  if (previous.generation === undefined) delete next.generation;
  else next.generation = previous.generation;
  if (previous.selfLink) next.selfLink = previous.selfLink;
  else delete next.selfLink;
}

/**
 * The object as it is stored and answered: type first, metadata next, its fields in the order upstream writes them.
 * Readers of `kubectl get -o json` see that order, and encoders rely on what stands first.
 */
export function canonical(
  object: KubeObject,
  apiVersion: string,
  kind: string,
  unstoredLists: readonly string[],
): KubeObject {
  const { kind: _kind, apiVersion: _apiVersion, metadata, ...rest } = object as KubeObject & Record<string, unknown>;
  for (const field of unstoredLists) if ((rest[field] as unknown[] | null)?.length === 0) rest[field] = null;
  return { kind, apiVersion, metadata: canonicalMeta(metadata), ...rest } as KubeObject;
}

type StoredMeta = KubeObject["metadata"];

function canonicalMeta(meta: StoredMeta): StoredMeta {
  const out: Record<string, unknown> = { name: meta.name };
  if (meta.generateName) out["generateName"] = meta.generateName;
  if (meta.namespace) out["namespace"] = meta.namespace;
  if (meta.selfLink) out["selfLink"] = meta.selfLink;
  out["uid"] = meta.uid;
  // The cache puts the revision here.
  out["resourceVersion"] = meta.resourceVersion ?? "";
  if (meta.generation) out["generation"] = meta.generation;
  out["creationTimestamp"] = meta.creationTimestamp;
  if (meta.deletionTimestamp) out["deletionTimestamp"] = meta.deletionTimestamp;
  if (meta.deletionGracePeriodSeconds !== undefined) {
    out["deletionGracePeriodSeconds"] = meta.deletionGracePeriodSeconds;
  }
  if (notEmpty(meta.labels)) out["labels"] = meta.labels;
  if (notEmpty(meta.annotations)) out["annotations"] = meta.annotations;
  if (meta.ownerReferences?.length) out["ownerReferences"] = meta.ownerReferences;
  if (meta.finalizers?.length) out["finalizers"] = meta.finalizers;
  if (meta.managedFields?.length) out["managedFields"] = meta.managedFields;
  return out as unknown as StoredMeta;
}

function notEmpty(map: Readonly<Record<string, string>> | undefined): boolean {
  for (const _ in map) return true;
  return false;
}

/** Removes repeated owner references. Returns the warning that this is worth, if any. */
export function dropRepeatedOwners(meta: ObjectMeta): string | undefined {
  const owners = meta.ownerReferences;
  if (!owners || owners.length < 2) return undefined;
  const seen = new Set<string>();
  const repeated = new Set<string>();
  const kept: OwnerReference[] = [];
  for (const owner of owners) {
    const identity = JSON.stringify([
      owner.apiVersion,
      owner.kind,
      owner.name,
      owner.uid,
      owner.controller,
      owner.blockOwnerDeletion,
    ]);
    if (seen.has(identity)) {
      repeated.add(owner.uid);
      continue;
    }
    seen.add(identity);
    kept.push(owner);
  }
  if (repeated.size === 0) return undefined;
  meta.ownerReferences = kept;
  return `.metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: ${[...repeated].join(", ")}`;
}

/**
 * What is wrong with an object about to be created: `ofKind` are the mistakes that its kind finds. Upstream's kinds check the
 * metadata together with all else, or leave it to the server, which then looks last.
 */
export function createdProblems(
  meta: ObjectMeta,
  definition: ResourceDefinition,
  ofKind: () => FieldError[],
): FieldError[] {
  const isNamespaced = definition.scope === "Namespaced";
  if (definition.metadataLooks?.create === "last") {
    const errors = ofKind();
    return errors.length > 0
      ? errors
      : validateObjectMeta(meta, isNamespaced, nameRuleOf("path-segment"), metadata, true);
  }
  const nameRule = nameRuleOf(definition.validateName);
  const errors = [...validateObjectMeta(meta, isNamespaced, nameRule, metadata, definition.anyFinalizers), ...ofKind()];
  // Rules of a kind's own may let through what no path can hold; the server looks last.
  if (errors.length > 0 || typeof definition.validateName !== "function") return errors;
  return pathSegmentProblems(meta.name!).map((problem) => invalid(metadata.child("name"), meta.name, problem));
}

/**
 * What is wrong with the metadata of an update. `next` has been through carryOver.
 * Upstream's server checks it for every kind, and each kind's own validation does again; its users see each cause as often, so
 * do ours.
 */
export function updatedMetaProblems(
  next: ObjectMeta,
  previous: ObjectMeta,
  definition: ResourceDefinition,
  looks: readonly MetadataLook[] = ["change"],
): FieldError[] {
  const fixed = validateObjectMetaUpdate(next, previous);
  const isSame =
    next.labels === previous.labels &&
    next.annotations === previous.annotations &&
    next.ownerReferences === previous.ownerReferences &&
    next.finalizers === previous.finalizers;
  if (isSame && fixed.length === 0) return fixed;
  const change = [...fixed, ...validateChangeableMeta(next)];
  // The name was checked when the object was made, and names that older rules allowed stay usable.
  const whole = validateObjectMeta(next, definition.scope === "Namespaced", () => [], metadata, true);
  const domains = definition.anyFinalizers ? [] : validFinalizerDomains(next.finalizers, metadata.child("finalizers"));
  const ofKind = looks.flatMap((look) => [...(look === "change" ? change : whole), ...domains]);
  return [...whole, ...change, ...ofKind];
}
