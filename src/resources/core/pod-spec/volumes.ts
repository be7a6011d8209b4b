/** A pod's volumes: each has a name and exactly one source. */
import type { KeyToPath, Volume, VolumeProjection } from "../../../api/core/v1.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  required,
} from "../../../apimachinery/field-error.ts";
import { Quantity } from "../../../apimachinery/quantity.ts";
import { each, oneOf, validDnsLabel } from "../../validation/rules.ts";
import { validFieldReference, validResourceReference, volumeFields } from "./field-selector.ts";
import { validFileMode, validUnreservedPath, withoutBacksteps } from "./paths.ts";

export interface ValidatedVolumes {
  errors: FieldError[];
  /** Names of the volumes without mistakes: mounts may refer to these. */
  names: ReadonlySet<string>;
  /** Those of them that are claims, and may be used as block devices. */
  claims: ReadonlySet<string>;
}

export function validateVolumes(volumes: readonly Volume[] | undefined, path: FieldPath): ValidatedVolumes {
  const names = new Set<string>();
  const claims = new Set<string>();
  const errors = each(volumes, path, (volume, at) => {
    const found = validSource(volume, at);
    const namePath = at.child("name");
    found.push(...(volume.name ? validDnsLabel(volume.name, namePath) : [required(namePath)]));
    if (names.has(volume.name)) found.push(duplicate(namePath, volume.name));
    if (found.length > 0) return found;
    names.add(volume.name);
    if (volume.persistentVolumeClaim || volume.ephemeral) claims.add(volume.name);
    return [];
  });
  return { errors, names, claims };
}

type Sources = Omit<Volume, "name">;
type SourceRules = { [K in keyof Sources]-?: (source: NonNullable<Sources[K]>, path: FieldPath) => FieldError[] };

const hostPathTypes = [
  "",
  "BlockDevice",
  "CharDevice",
  "Directory",
  "DirectoryOrCreate",
  "File",
  "FileOrCreate",
  "Socket",
];

const needs = (path: FieldPath, values: Readonly<Record<string, unknown>>): FieldError[] =>
  Object.entries(values).flatMap(([field, value]) => (value ? [] : [required(path.child(field))]));

/** In the order in which upstream looks for them. */
const sourceRules: SourceRules = {
  emptyDir: ({ sizeLimit }, path) =>
    sizeLimit !== undefined && Quantity.parse(sizeLimit).sign() < 0
      ? [forbidden(path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity")]
      : [],
  hostPath: ({ path: hostPath, type }, path) =>
    hostPath
      ? [...withoutBacksteps(hostPath, path.child("path")), ...oneOf(type ?? "", hostPathTypes, path.child("type"))]
      : [required(path.child("path"))],
  gitRepo: ({ repository, directory }, path) => [
    ...needs(path, { repository }),
    ...(directory ? validUnreservedPath(directory, path.child("directory")) : []),
  ],
  gcePersistentDisk: ({ pdName }, path) => needs(path, { pdName }),
  awsElasticBlockStore: ({ volumeID }, path) => needs(path, { volumeID }),
  secret: ({ secretName, items, defaultMode }, path) => [
    ...needs(path, { secretName }),
    ...validFileMode(defaultMode, path.child("defaultMode")),
    ...validKeys(items, path.child("items")),
  ],
  nfs: ({ server, path: exported }, path) => [
    ...needs(path, { server, path: exported }),
    ...(exported && !exported.startsWith("/")
      ? [invalid(path.child("path"), exported, "must be an absolute path")]
      : []),
  ],
  iscsi: ({ targetPortal, iqn }, path) => needs(path, { targetPortal, iqn }),
  glusterfs: ({ endpoints, path: volume }, path) => needs(path, { endpoints, path: volume }),
  persistentVolumeClaim: ({ claimName }, path) => needs(path, { claimName }),
  rbd: ({ monitors, image }, path) => [
    ...(monitors?.length ? [] : [required(path.child("monitors"))]),
    ...needs(path, { image }),
  ],
  cinder: ({ volumeID }, path) => needs(path, { volumeID }),
  cephfs: ({ monitors }, path) => (monitors?.length ? [] : [required(path.child("monitors"))]),
  flocker: ({ datasetName, datasetUUID }, path) => {
    if (!datasetName && !datasetUUID) return [required(path, "one of datasetName and datasetUUID is required")];
    return datasetName && datasetUUID
      ? [invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously")]
      : [];
  },
  downwardAPI: ({ items, defaultMode }, path) => [
    ...validFileMode(defaultMode, path.child("defaultMode")),
    ...(items ?? []).flatMap((item) => validDownwardFile(item, path)),
  ],
  fc: ({ targetWWNs, wwids }, path) =>
    targetWWNs?.length || wwids?.length
      ? []
      : [required(path.child("targetWWNs"), "must specify either targetWWNs or wwids, but not both")],
  azureFile: ({ secretName, shareName }, path) => needs(path, { secretName, shareName }),
  configMap: ({ name, items, defaultMode }, path) => [
    ...needs(path, { name }),
    ...validFileMode(defaultMode, path.child("defaultMode")),
    ...validKeys(items, path.child("items")),
  ],
  vsphereVolume: ({ volumePath }, path) => needs(path, { volumePath }),
  photonPersistentDisk: ({ pdID }, path) => needs(path, { pdID }),
  portworxVolume: ({ volumeID }, path) => needs(path, { volumeID }),
  quobyte: ({ registry, volume }, path) => needs(path, { registry, volume }),
  azureDisk: ({ diskName, diskURI }, path) => needs(path, { diskName, diskURI }),
  storageos: ({ volumeName }, path) => needs(path, { volumeName }),
  projected: ({ sources, defaultMode }, path) => [
    ...validFileMode(defaultMode, path.child("defaultMode")),
    ...validProjections(sources, path),
  ],
  scaleIO: ({ gateway, system, volumeName }, path) => needs(path, { gateway, system, volumeName }),
  csi: ({ driver }, path) => needs(path, { driver }),
  flexVolume: ({ driver }, path) => needs(path, { driver }),
  ephemeral: ({ volumeClaimTemplate }, path) => needs(path, { volumeClaimTemplate }),
  image: ({ pullPolicy }, path) =>
    pullPolicy ? oneOf(pullPolicy, ["Always", "IfNotPresent", "Never"], path.child("pullPolicy")) : [],
};

function validSource(volume: Volume, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  let sources = 0;
  for (const name of Object.keys(sourceRules) as (keyof Sources)[]) {
    const source = volume[name];
    if (source === undefined || source === null) continue;
    if (sources++ > 0) errors.push(forbidden(path.child(name), "may not specify more than 1 volume type"));
    // The table's type pairs each rule with its source; the compiler loses that in the loop.
    else
      errors.push(
        ...(sourceRules[name] as (source: unknown, path: FieldPath) => FieldError[])(source, path.child(name)),
      );
  }
  if (sources === 0) errors.push(required(path, "must specify a volume type"));
  return errors;
}

function validKeys(items: readonly KeyToPath[] | undefined, path: FieldPath): FieldError[] {
  return each(items, path, (item, at) => [
    ...needs(at, { key: item.key, path: item.path }),
    ...validUnreservedPath(item.path ?? "", at.child("path")),
    ...validFileMode(item.mode, at.child("mode")),
  ]);
}

type DownwardFile = NonNullable<NonNullable<Volume["downwardAPI"]>["items"]>[number];

function validDownwardFile(file: DownwardFile, path: FieldPath): FieldError[] {
  const errors = needs(path, { path: file.path });
  errors.push(...validUnreservedPath(file.path ?? "", path.child("path")));
  if (file.fieldRef) {
    errors.push(...validFieldReference(file.fieldRef, volumeFields, path.child("fieldRef")));
    if (file.resourceFieldRef) {
      errors.push(invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"));
    }
  } else if (file.resourceFieldRef) {
    errors.push(...validResourceReference(file.resourceFieldRef, path.child("resourceFieldRef"), true));
  } else {
    errors.push(required(path, "one of fieldRef and resourceFieldRef is required"));
  }
  return [...errors, ...validFileMode(file.mode, path.child("mode"))];
}

const shortestToken = 600;
const longestToken = 2 ** 32;

function validProjections(sources: readonly VolumeProjection[] | undefined | null, path: FieldPath): FieldError[] {
  const paths = new Set<string>();
  const distinct = (value: string, shown: string, at: FieldPath) => {
    const seen = paths.has(value);
    paths.add(value);
    return seen && value ? [invalid(at, shown, `conflicting duplicate paths`)] : [];
  };
  return each(sources, path.child("sources"), (source, at) => {
    const errors: FieldError[] = [];
    const { secret, configMap, downwardAPI, serviceAccountToken: token } = source;
    if (secret) {
      const secretPath = at.child("secret");
      errors.push(...needs(secretPath, { name: secret.name }), ...validKeys(secret.items, secretPath.child("items")));
      for (const item of secret.items ?? []) errors.push(...distinct(item.path, secret.name ?? "", path));
    }
    if (configMap) {
      const mapPath = at.child("configMap");
      errors.push(...needs(mapPath, { name: configMap.name }), ...validKeys(configMap.items, mapPath.child("items")));
      for (const item of configMap.items ?? []) errors.push(...distinct(item.path, configMap.name ?? "", path));
    }
    if (downwardAPI) {
      for (const item of downwardAPI.items ?? []) {
        errors.push(...validDownwardFile(item, at.child("downwardAPI")));
        errors.push(...distinct(item.path, item.path, path));
      }
    }
    if (token) errors.push(...validTokenProjection(token, at.child("serviceAccountToken")));
    const given = Object.values(source).filter((one) => one !== undefined && one !== null).length;
    if (given > 1) errors.push(forbidden(at, "may not specify more than 1 volume type per source"));
    if (given === 0) errors.push(required(at, "must specify a source"));
    return errors;
  });
}

function validTokenProjection(
  { expirationSeconds = 3600, path: file }: NonNullable<VolumeProjection["serviceAccountToken"]>,
  path: FieldPath,
): FieldError[] {
  const errors: FieldError[] = [];
  const expirationPath = path.child("expirationSeconds");
  if (expirationSeconds < shortestToken) {
    errors.push(invalid(expirationPath, expirationSeconds, "may not specify a duration less than 10 minutes"));
  }
  if (expirationSeconds > longestToken) {
    errors.push(invalid(expirationPath, expirationSeconds, "may not specify a duration larger than 2^32 seconds"));
  }
  if (!file) return [...errors, required(path.child("path"))];
  return [...errors, ...validUnreservedPath(file, path.child("path"))];
}
