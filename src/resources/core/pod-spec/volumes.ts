/** A pod's volumes: each has a name and exactly one source. */
import type { EphemeralVolumeSource, Volume } from "../../../api/core/v1.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  required,
} from "../../../apimachinery/field-error.ts";
import { dns1123SubdomainProblems } from "../../../apimachinery/name-validation.ts";
import { validateAnnotations, validateLabels } from "../../../apimachinery/object-meta-validation.ts";
import { Quantity } from "../../../apimachinery/quantity.ts";
import { validCsiDriverName } from "../../validation/csi-driver-name.ts";
import { each, obeys, requiredOneOf, validDnsLabel } from "../../validation/rules.ts";
import { validateClaimSpec } from "../persistent-volume-claim.ts";
import { validDescendingPath, validFileMode } from "./paths.ts";
import { validDownwardFile, validKeys, validProjections } from "./projected-volume.ts";
import {
  needs,
  needsMonitors,
  tooLongForIscsiSession,
  validAzureDisk,
  validDisk,
  validFibreChannel,
  validFlexVolume,
  validFlocker,
  validHostPath,
  validIscsi,
  validNfs,
  validQuobyte,
  validStorageOs,
} from "./volume-sources.ts";

export interface ValidatedVolumes {
  errors: FieldError[];
  /** Names of the volumes without mistakes: mounts may refer to these. */
  names: ReadonlySet<string>;
  /** Those of them that are claims, and may be used as block devices. */
  claims: ReadonlySet<string>;
}

/** `podName`: of a pod itself; templates have none. */
export function validateVolumes(
  volumes: readonly Volume[] | undefined,
  path: FieldPath,
  podName: string | undefined,
): ValidatedVolumes {
  const names = new Set<string>();
  const claims = new Set<string>();
  const madeClaims = new Set(
    podName ? volumes?.filter(({ ephemeral }) => ephemeral).map(({ name }) => `${podName}-${name}`) : [],
  );
  const errors = each(volumes, path, (volume, at) => {
    const found = validSource(volume, at, podName);
    const namePath = at.child("name");
    found.push(...(volume.name ? validDnsLabel(volume.name, namePath) : [required(namePath)]));
    if (names.has(volume.name)) found.push(duplicate(namePath, volume.name));
    if (found.length === 0) {
      names.add(volume.name);
      if (volume.persistentVolumeClaim || volume.ephemeral) claims.add(volume.name);
    }
    const claimName = volume.persistentVolumeClaim?.claimName;
    if (claimName && madeClaims.has(claimName)) {
      const detail = "must not reference a PVC that gets created for an ephemeral volume";
      found.push(invalid(at.child("persistentVolumeClaim", "claimName"), claimName, detail));
    }
    return found;
  });
  return { errors, names, claims };
}

type Sources = Omit<Volume, "name">;
type SourceRules = { [K in keyof Sources]-?: (source: NonNullable<Sources[K]>, path: FieldPath) => FieldError[] };

const needsSecretName = (secret: { name?: string } | undefined, path: FieldPath, field = "secretRef") =>
  secret ? needs(path.child(field), { name: secret.name }) : [];

/** In the order in which upstream looks for them. */
const sourceRules: SourceRules = {
  emptyDir: ({ sizeLimit }, path) =>
    sizeLimit !== undefined && Quantity.parse(sizeLimit).sign() < 0
      ? [forbidden(path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity")]
      : [],
  hostPath: validHostPath,
  gitRepo: ({ repository, directory }, path) => [
    ...needs(path, { repository }),
    ...validDescendingPath(directory ?? "", path.child("directory")),
  ],
  gcePersistentDisk: ({ pdName, partition }, path) => validDisk({ pdName }, partition, path),
  awsElasticBlockStore: ({ volumeID, partition }, path) => validDisk({ volumeID }, partition, path),
  secret: ({ secretName, items, defaultMode }, path) => [
    ...needs(path, { secretName }),
    ...validFileMode(defaultMode, path.child("defaultMode")),
    ...validKeys(items, path.child("items")),
  ],
  nfs: validNfs,
  iscsi: (iscsi, path) => validIscsi(iscsi, "must be valid format starting with iqn, eui, or naa", path),
  glusterfs: ({ endpoints, path: volume }, path) => needs(path, { endpoints, path: volume }),
  flocker: validFlocker,
  persistentVolumeClaim: ({ claimName }, path) => needs(path, { claimName }),
  rbd: ({ monitors, image }, path) => [...needsMonitors(monitors, path), ...needs(path, { image })],
  cinder: ({ volumeID, secretRef }, path) => [...needs(path, { volumeID }), ...needsSecretName(secretRef, path)],
  cephfs: ({ monitors }, path) => needsMonitors(monitors, path),
  quobyte: validQuobyte,
  downwardAPI: ({ items, defaultMode }, path) => [
    ...validFileMode(defaultMode, path.child("defaultMode")),
    ...(items ?? []).flatMap((item) => validDownwardFile(item, path)),
  ],
  fc: validFibreChannel,
  flexVolume: validFlexVolume,
  configMap: ({ name, items, defaultMode }, path) => [
    ...needs(path, { name }),
    ...validFileMode(defaultMode, path.child("defaultMode")),
    ...validKeys(items, path.child("items")),
  ],
  azureFile: ({ secretName, shareName }, path) => needs(path, { secretName, shareName }),
  vsphereVolume: ({ volumePath }, path) => needs(path, { volumePath }),
  photonPersistentDisk: ({ pdID }, path) => needs(path, { pdID }),
  portworxVolume: ({ volumeID }, path) => needs(path, { volumeID }),
  azureDisk: validAzureDisk,
  storageos: (source, path) => validStorageOs(source, needsSecretName(source.secretRef, path), path),
  projected: ({ sources, defaultMode }, path) => [
    ...validFileMode(defaultMode, path.child("defaultMode")),
    ...validProjections(sources, path),
  ],
  scaleIO: ({ gateway, system, volumeName }, path) => needs(path, { gateway, system, volumeName }),
  csi: ({ driver, nodePublishSecretRef }, path) => [
    ...validCsiDriverName(driver, path.child("driver")),
    ...needsSecretName(nodePublishSecretRef, path, "nodePublishSecretRef"),
    ...(nodePublishSecretRef?.name
      ? obeys(nodePublishSecretRef.name, dns1123SubdomainProblems, path.child("name"))
      : []),
  ],
  ephemeral: validEphemeral,
  image: ({ pullPolicy }, path) =>
    requiredOneOf(pullPolicy, ["Always", "IfNotPresent", "Never"], path.child("pullPolicy")),
};

/** Sources that upstream calls otherwise than their field. */
const sourcePaths: Partial<Record<keyof Sources, string>> = { gcePersistentDisk: "persistentDisk" };
const secondSourcePaths: Partial<Record<keyof Sources, string>> = { cephfs: "cephFS", downwardAPI: "downwarAPI" };

function validSource(volume: Volume, path: FieldPath, podName: string | undefined): FieldError[] {
  const errors: FieldError[] = [];
  let sources = 0;
  for (const name of Object.keys(sourceRules) as (keyof Sources)[]) {
    const source = volume[name];
    if (source === undefined || source === null) continue;
    if (sources++ > 0) {
      errors.push(forbidden(path.child(secondSourcePaths[name] ?? name), "may not specify more than 1 volume type"));
      continue;
    }
    // The table's type pairs each rule with its source; the compiler loses that in the loop.
    const rule = sourceRules[name] as (source: unknown, path: FieldPath) => FieldError[];
    errors.push(...rule(source, path.child(sourcePaths[name] ?? name)));
    // A template may leave the image to whoever makes pods of it.
    if (name === "image" && podName) errors.unshift(...needs(path.child(name), { reference: volume.image?.reference }));
    if (name === "ephemeral") errors.push(...validMadeClaimName(volume.name, podName, path));
  }
  if (sources === 0) errors.push(required(path, "must specify a volume type"));
  const session = volume.iscsi && tooLongForIscsiSession(volume.name, volume.iscsi);
  if (session) errors.push(invalid(path.child("name"), volume.name, session));
  return errors;
}

/** The claim is named after pod and volume, and made when the pod is. */
function validMadeClaimName(volumeName: string, podName: string | undefined, path: FieldPath): FieldError[] {
  if (!podName || !volumeName) return [];
  const claimName = `${podName}-${volumeName}`;
  return dns1123SubdomainProblems(claimName).map((problem) =>
    invalid(path.child("name"), volumeName, `PVC name ${JSON.stringify(claimName)}: ${problem}`),
  );
}

function validEphemeral({ volumeClaimTemplate: template }: EphemeralVolumeSource, path: FieldPath): FieldError[] {
  const at = path.child("volumeClaimTemplate");
  if (!template) return [required(at)];
  const { annotations, labels, ...others } = template.metadata ?? {};
  const metadataPath = at.child("metadata");
  return [
    ...validateAnnotations(annotations, metadataPath.child("annotations")),
    ...validateLabels(labels, metadataPath.child("labels")),
    ...Object.entries(others).flatMap(([field, value]) =>
      value ? [forbidden(metadataPath.child(field), "cannot be set")] : [],
    ),
    ...validateClaimSpec(template.spec ?? {}, at.child("spec")),
  ];
}
