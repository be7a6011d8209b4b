/** Which PersistentVolume satisfies a claim: asked by the binder, and by the scheduler for claims that wait for a Node. Pure. */
import type { PersistentVolume, PersistentVolumeClaim } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { compareQuantities } from "../apimachinery/quantity.ts";
import { selectorOf } from "./compiled-selector.ts";
import { matchesNodeSelector, type NodeIdentity } from "./node-matching.ts";

export type ReadClaim = DeepReadonly<PersistentVolumeClaim>;
export type ReadVolume = DeepReadonly<PersistentVolume>;

/** Annotations that binder, scheduler and provisioner agree through. */
export const bindCompleted = "pv.kubernetes.io/bind-completed";
export const boundByController = "pv.kubernetes.io/bound-by-controller";
export const selectedNode = "volume.kubernetes.io/selected-node";
export const provisionedBy = "pv.kubernetes.io/provisioned-by";

export const classAnnotation = "volume.beta.kubernetes.io/storage-class";

export function classNameOf({
  metadata,
  spec,
}: {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: { readonly storageClassName?: string };
}): string {
  return metadata.annotations?.[classAnnotation] ?? spec.storageClassName ?? "";
}

export function requestedStorage({ spec }: ReadClaim): string {
  return spec.resources?.requests?.["storage"] ?? "0";
}

export function capacityOf({ spec }: ReadVolume): string {
  return spec.capacity?.["storage"] ?? "0";
}

/** The volume names this claim, by name alone or by uid too. */
export function isReservedFor({ spec }: ReadVolume, { metadata }: ReadClaim): boolean {
  const { claimRef } = spec;
  if (claimRef?.name !== metadata.name || claimRef.namespace !== metadata.namespace) return false;
  return !claimRef.uid || claimRef.uid === metadata.uid;
}

export function isReachable({ spec }: ReadVolume, node: NodeIdentity): boolean {
  const required = spec.nodeAffinity?.required;
  return !required || matchesNodeSelector(required, node);
}

/** Why a volume that a claim asks for by name will not do, in upstream's words; undefined when it will. */
export function mismatch(volume: ReadVolume, claim: ReadClaim): string | undefined {
  const { name, deletionTimestamp } = volume.metadata;
  if (deletionTimestamp) return `the volume is marked for deletion ${JSON.stringify(name)}`;
  if (compareQuantities(capacityOf(volume), requestedStorage(claim)) < 0) return "requested PV is too small";
  if (classNameOf(volume) !== classNameOf(claim)) return "storageClassName does not match";
  if (attributesClassOf(volume) !== attributesClassOf(claim)) return "volumeAttributesClassName does not match";
  if (modeOf(volume) !== modeOf(claim)) return "incompatible volumeMode";
  return hasModes(volume, claim) ? undefined : "incompatible accessMode";
}

export interface MatchOptions {
  /** The Node that must reach the volume. */
  node?: NodeIdentity;
  /** Only volumes that name the claim themselves: the rest waits for a Node. */
  onlyReserved?: boolean;
  /** Volumes promised to other claims that the API does not know of yet. */
  isTaken?(volume: ReadVolume): boolean;
}

/**
 * One that names the claim, else the smallest free one that is large enough. Without a Node, one that offers fewer access modes
 * goes before one that offers more, however large it is.
 */
export function findVolume(
  volumes: readonly ReadVolume[],
  claim: ReadClaim,
  { node, onlyReserved = false, isTaken = () => false }: MatchOptions = {},
): ReadVolume | undefined {
  const request = requestedStorage(claim);
  const selector = claim.spec.selector ? selectorOf(claim.spec.selector) : undefined;
  let best: ReadVolume | undefined;
  for (const volume of volumes) {
    if (volume.metadata.deletionTimestamp || modeOf(volume) !== modeOf(claim)) continue;
    if (attributesClassOf(volume) !== attributesClassOf(claim)) continue;
    if (compareQuantities(capacityOf(volume), request) < 0) continue;
    const isWithinReach = !node || isReachable(volume, node);
    if (isReservedFor(volume, claim)) {
      if (!isWithinReach) return undefined;
      if (node || hasModes(volume, claim)) return volume;
      continue;
    }
    if (!isWithinReach || onlyReserved || volume.spec.claimRef || volume.status?.phase !== "Available") continue;
    if (classNameOf(volume) !== classNameOf(claim) || !hasModes(volume, claim) || isTaken(volume)) continue;
    if (selector && !selector.matches(volume.metadata.labels)) continue;
    if (!best || (node ? bySize(volume, best) : byModes(volume, best) || bySize(volume, best)) < 0) best = volume;
  }
  return best;
}

function bySize(a: ReadVolume, b: ReadVolume): number {
  return compareQuantities(capacityOf(a), capacityOf(b));
}

function byModes(a: ReadVolume, b: ReadVolume): number {
  return (a.spec.accessModes?.length ?? 0) - (b.spec.accessModes?.length ?? 0);
}

function attributesClassOf({ spec }: ReadVolume | ReadClaim): string {
  return spec.volumeAttributesClassName ?? "";
}

export function modeOf({ spec }: ReadVolume | ReadClaim): string {
  return spec.volumeMode ?? "Filesystem";
}

function hasModes(volume: ReadVolume, claim: ReadClaim): boolean {
  return (claim.spec.accessModes ?? []).every((mode) => volume.spec.accessModes?.includes(mode));
}
