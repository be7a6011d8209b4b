/** What works in a PersistentVolume but is on its way out. */
import type { PersistentVolume, PersistentVolumeSpec } from "../../api/core/v1.ts";
import { metadata as metadataPath, spec as specPath } from "../../apimachinery/field-error.ts";
import { classAnnotationWarnings } from "./claim-warnings.ts";
import { nodeTermWarnings } from "./deprecated-node-labels.ts";

/** Each source with the name that the warning gives it, where that is not the field's own. */
const deprecatedSources: readonly (readonly [source: keyof PersistentVolumeSpec, text: string, shown?: string])[] = [
  ["cephfs", "deprecated in v1.28, non-functional in v1.31+"],
  ["photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"],
  ["scaleIO", "deprecated in v1.16, non-functional in v1.22+"],
  ["storageos", "deprecated in v1.22, non-functional in v1.25+", "storageOS"],
  ["glusterfs", "deprecated in v1.25, non-functional in v1.26+"],
  ["rbd", "deprecated in v1.28, non-functional in v1.31+"],
];

export function persistentVolumeWarnings({ metadata, spec }: PersistentVolume): string[] {
  const warnings = classAnnotationWarnings(metadata.annotations, metadataPath.child("annotations"));
  if (spec.persistentVolumeReclaimPolicy === "Recycle") {
    const instead = "Instead, the recommended approach is to use dynamic provisioning.";
    const path = specPath.child("persistentVolumeReclaimPolicy");
    warnings.push(`${path}: The Recycle reclaim policy is deprecated. ${instead}`);
  }
  const termsPath = specPath.child("nodeAffinity", "required", "nodeSelectorTerms");
  for (const [index, term] of (spec.nodeAffinity?.required?.nodeSelectorTerms ?? []).entries()) {
    warnings.push(...nodeTermWarnings(term, termsPath.index(index), false));
  }
  for (const [source, text, shown = source] of deprecatedSources) {
    if (spec[source]) warnings.push(`${specPath.child(shown)}: ${text}`);
  }
  return warnings;
}
