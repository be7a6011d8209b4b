/** Volumes that no node can mount any more, and files that hide each other. */
import type { Volume, VolumeProjection } from "../../../api/core/v1.ts";
import type { FieldPath } from "../../../apimachinery/field-error.ts";
import { claimSpecWarnings } from "../claim-warnings.ts";

/** Each source with the name that the warning gives it, where that is not the field's own. */
const deprecatedSources: readonly (readonly [source: keyof Volume, text: string, shown?: string])[] = [
  ["photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"],
  ["gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"],
  ["scaleIO", "deprecated in v1.16, non-functional in v1.22+"],
  ["flocker", "deprecated in v1.22, non-functional in v1.25+"],
  ["storageos", "deprecated in v1.22, non-functional in v1.25+", "storageOS"],
  ["quobyte", "deprecated in v1.22, non-functional in v1.25+"],
  ["glusterfs", "deprecated in v1.25, non-functional in v1.26+"],
  ["cephfs", "deprecated in v1.28, non-functional in v1.31+"],
  ["rbd", "deprecated in v1.28, non-functional in v1.31+"],
];

export function volumeWarnings(volumes: readonly Volume[] | undefined, path: FieldPath): string[] {
  const warnings: string[] = [];
  for (const [index, volume] of (volumes ?? []).entries()) {
    const at = path.index(index);
    for (const [source, text, shown = source] of deprecatedSources) {
      if (volume[source]) warnings.push(`${at.child(shown)}: ${text}`);
    }
    const claim = volume.ephemeral?.volumeClaimTemplate?.spec;
    if (claim) warnings.push(...claimSpecWarnings(claim, at.child("ephemeral", "volumeClaimTemplate", "spec")));
  }
  for (const volume of volumes ?? []) warnings.push(...overlaps(volume));
  return warnings;
}

/** A file's place in its volume, and where it comes from. */
interface Place {
  path: string;
  source: string;
}

function overlaps({ name, configMap, secret, downwardAPI, projected }: Volume): string[] {
  const title = `volume ${JSON.stringify(name)}`;
  const own = (what: string, items: readonly { path?: string }[] | undefined) =>
    overlapsOf(places(items, "")).map((text) => `${title} (${what}): overlapping paths: ${text}`);
  const warnings = [
    ...own(`ConfigMap ${JSON.stringify(configMap?.name ?? "")}`, configMap?.items),
    ...own(`Secret ${JSON.stringify(secret?.secretName ?? "")}`, secret?.items),
    ...own("DownwardAPI", downwardAPI?.items),
  ];
  const taken: Place[] = [];
  for (const source of projected?.sources ?? []) {
    if (Object.values(source).every((one) => !one)) warnings.push(`${title} (Projected) has no sources provided`);
    for (const text of overlapsOf(projectedPlaces(source), taken)) {
      warnings.push(`${title} (Projected): overlapping paths: ${text}`);
    }
  }
  return warnings;
}

function projectedPlaces({ configMap, secret, downwardAPI, serviceAccountToken: token }: VolumeProjection): Place[] {
  if (configMap?.items) return places(configMap.items, `ConfigMap ${JSON.stringify(configMap.name ?? "")}`);
  if (secret?.items) return places(secret.items, `Secret ${JSON.stringify(secret.name ?? "")}`);
  if (downwardAPI?.items) return places(downwardAPI.items, "DownwardAPI");
  return token ? places([token], "ServiceAccountToken") : [];
}

function places(items: readonly { path?: string }[] | undefined, source: string): Place[] {
  return (items ?? []).map(({ path = "" }) => ({ path: path.replace(/\/+$/, ""), source }));
}

/** Each place that is, lies in, or holds one of those before it. Adds the places to `taken`. */
function overlapsOf(found: readonly Place[], taken: Place[] = []): string[] {
  return found.flatMap((place) => {
    const clashes = taken.filter(
      (other) =>
        place.path &&
        other.path &&
        (`${other.path}/`.startsWith(`${place.path}/`) || `${place.path}/`.startsWith(`${other.path}/`)),
    );
    taken.push(place);
    return clashes.map((other) => `${placeText(place)} with ${placeText(other)}`);
  });
}

function placeText({ path, source }: Place): string {
  return source ? `${JSON.stringify(path)} (${source})` : JSON.stringify(path);
}
