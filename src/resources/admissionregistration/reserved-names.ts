/** Names that will belong to what a server reads from its own files. */
import type { KubeObject } from "../../api/object.ts";

const reservedSuffix = ".static.k8s.io";

export function reservedNameWarnings({ metadata }: KubeObject): string[] {
  if (!metadata.name?.endsWith(reservedSuffix)) return [];
  return [
    `metadata.name: names ending with "${reservedSuffix}" will be reserved for static manifest-based configurations when the ManifestBasedAdmissionControlConfig feature gate is enabled`,
  ];
}
