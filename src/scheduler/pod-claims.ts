/** The claims that a Pod's volumes name, and their volumes: what the volume plugins look at. */
import type { Pod } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { PersistentVolumeClaims, PersistentVolumes } from "../api/resources.ts";
import { objectKey, type ReadCache } from "../controller-runtime/cache.ts";
import { bindCompleted, type ReadClaim, type ReadVolume } from "../controller-runtime/volume-matching.ts";

export interface ClaimName {
  name: string;
  /** The claim belongs to the Pod and is made for it. */
  isEphemeral: boolean;
}

const none: readonly ClaimName[] = [];

export function claimNamesOf({ metadata, spec }: DeepReadonly<Pod>): readonly ClaimName[] {
  let names: ClaimName[] | undefined;
  for (const { name, persistentVolumeClaim, ephemeral } of spec.volumes ?? []) {
    if (persistentVolumeClaim) (names ??= []).push({ name: persistentVolumeClaim.claimName, isEphemeral: false });
    else if (ephemeral) (names ??= []).push({ name: `${metadata.name}-${name}`, isEphemeral: true });
  }
  return names ?? none;
}

export function isFullyBound({ metadata, spec }: ReadClaim): boolean {
  return Boolean(spec.volumeName) && metadata.annotations?.[bindCompleted] !== undefined;
}

/** The volumes of the Pod's claims that have one. */
export function boundVolumesOf(pod: DeepReadonly<Pod>, cache: ReadCache): ReadVolume[] {
  return claimNamesOf(pod).flatMap(({ name }) => {
    const claim = cache.get(PersistentVolumeClaims, objectKey(name, pod.metadata.namespace));
    const volume = claim?.spec.volumeName && cache.get(PersistentVolumes, objectKey(claim.spec.volumeName));
    return volume || [];
  });
}
