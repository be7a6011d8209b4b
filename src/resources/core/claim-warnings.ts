/** What works in a claim for storage but is probably not meant. */
import type { PersistentVolumeClaimSpec } from "../../api/core/v1.ts";
import type { FieldPath } from "../../apimachinery/field-error.ts";
import { fractionWarnings } from "./fraction-warnings.ts";

export function claimSpecWarnings({ resources }: PersistentVolumeClaimSpec, path: FieldPath): string[] {
  return (["requests", "limits"] as const).flatMap((list) =>
    fractionWarnings(resources?.[list], ["storage"], path.child("resources", list)),
  );
}

/** The annotation from before claims and volumes had a field for their class. */
export function classAnnotationWarnings(
  annotations: Readonly<Record<string, string>> | undefined,
  path: FieldPath,
): string[] {
  const key = "volume.beta.kubernetes.io/storage-class";
  if (annotations?.[key] === undefined) return [];
  return [`${path.key(key)}: deprecated since v1.8; use "storageClassName" attribute instead`];
}
