/** What each kind of volume needs, whether a pod names it or a PersistentVolume stands for it. */
import type {
  AzureDiskVolumeSource,
  FCVolumeSource,
  FlexVolumeSource,
  FlockerVolumeSource,
  HostPathVolumeSource,
  ISCSIVolumeSource,
  NFSVolumeSource,
  QuobyteVolumeSource,
  StorageOSVolumeSource,
} from "../../../api/core/v1.ts";
import { type FieldError, type FieldPath, invalid, notSupported, required } from "../../../apimachinery/field-error.ts";
import { inRange, oneOf, optionalOneOf, validDnsLabel } from "../../validation/rules.ts";
import { withoutBacksteps } from "./paths.ts";

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

/** One Required for each value that is missing or empty. */
export const needs = (path: FieldPath, values: Readonly<Record<string, unknown>>): FieldError[] =>
  Object.entries(values).flatMap(([field, value]) => (value ? [] : [required(path.child(field))]));

export const needsMonitors = (monitors: readonly string[] | undefined | null, path: FieldPath): FieldError[] =>
  monitors?.length ? [] : [required(path.child("monitors"))];

export function validHostPath({ path: hostPath, type }: HostPathVolumeSource, path: FieldPath): FieldError[] {
  if (!hostPath) return [required(path.child("path"))];
  return [
    ...withoutBacksteps(hostPath, path.child("path")),
    ...(type === undefined || type === null ? [] : oneOf(type, hostPathTypes, path.child("type"))),
  ];
}

/** A disk and the partition of it: 0 is the whole disk. */
export function validDisk(
  needed: Readonly<Record<string, unknown>>,
  partition: number | undefined,
  path: FieldPath,
): FieldError[] {
  const at = path.child("partition");
  const isPartition = partition === undefined || (partition >= 0 && partition <= 255);
  return [
    ...needs(path, needed),
    ...(isPartition ? [] : [invalid(at, partition, "must be between 1 and 255, inclusive")]),
  ];
}

export function validNfs({ server, path: exported }: NFSVolumeSource, path: FieldPath): FieldError[] {
  const errors = needs(path, { server, path: exported });
  if (!exported?.startsWith("/")) errors.push(invalid(path.child("path"), exported ?? "", "must be an absolute path"));
  return errors;
}

const iscsiNames: Readonly<Record<string, RegExp>> = {
  iqn: /iqn\.\d{4}-\d{2}\.([A-Za-z0-9\-.]+)(:[^,;*&$|\s]+)$/,
  eui: /^eui.[A-Za-z0-9]{16}$/,
  naa: /^naa.[A-Za-z0-9]{32}$/,
};

/** `unknownForm`: what is said of a name that starts like none of the three forms. */
export function validIscsi(
  iscsi: Pick<ISCSIVolumeSource, "targetPortal" | "iqn" | "lun" | "initiatorName"> & {
    chapAuthDiscovery?: boolean;
    chapAuthSession?: boolean;
    secretRef?: object;
  },
  unknownForm: string,
  path: FieldPath,
): FieldError[] {
  const errors = needs(path, { targetPortal: iscsi.targetPortal, iqn: iscsi.iqn });
  if (iscsi.iqn) errors.push(...validIscsiName(iscsi.iqn, unknownForm, path.child("iqn")));
  errors.push(...inRange(iscsi.lun ?? 0, 0, 255, path.child("lun")));
  if ((iscsi.chapAuthDiscovery || iscsi.chapAuthSession) && !iscsi.secretRef) {
    errors.push(required(path.child("secretRef")));
  }
  if (iscsi.initiatorName !== undefined) {
    errors.push(...validIscsiName(iscsi.initiatorName, unknownForm, path.child("initiatorname")));
  }
  return errors;
}

function validIscsiName(name: string, unknownForm: string, path: FieldPath): FieldError[] {
  const pattern = iscsiNames[name.slice(0, 3)];
  if (!pattern) return [invalid(path, name, unknownForm)];
  return pattern.test(name) ? [] : [invalid(path, name, "must be valid format")];
}

/** With an initiator's name, the volume's name and the portal together name a session. */
export function tooLongForIscsiSession(
  volumeName: string,
  { targetPortal, initiatorName }: Pick<ISCSIVolumeSource, "targetPortal" | "initiatorName">,
): string | undefined {
  if (initiatorName === undefined || `${volumeName}:${targetPortal}`.length <= 64) return undefined;
  return "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
}

export function validFlocker({ datasetName, datasetUUID }: FlockerVolumeSource, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  if (!datasetName && !datasetUUID) {
    errors.push(required(path, "one of datasetName and datasetUUID is required"));
  }
  if (datasetName && datasetUUID) {
    errors.push(invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously"));
  }
  if (datasetName?.includes("/")) {
    errors.push(invalid(path.child("datasetName"), datasetName, "must not contain '/'"));
  }
  return errors;
}

export function validFibreChannel({ targetWWNs, wwids, lun }: FCVolumeSource, path: FieldPath): FieldError[] {
  const at = path.child("targetWWNs");
  const errors: FieldError[] = [];
  if (!targetWWNs?.length && !wwids?.length) {
    errors.push(required(at, "must specify either targetWWNs or wwids, but not both"));
  }
  if (targetWWNs?.length && wwids?.length) {
    errors.push(invalid(at, targetWWNs, "targetWWNs and wwids can not be specified simultaneously"));
  }
  if (!targetWWNs?.length) return errors;
  if (lun === undefined) errors.push(required(path.child("lun"), "lun is required if targetWWNs is specified"));
  else errors.push(...inRange(lun, 0, 255, path.child("lun")));
  return errors;
}

export function validQuobyte({ registry, tenant, volume }: QuobyteVolumeSource, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const pairs = "must be a host:port pair or multiple pairs separated by commas";
  if (!registry) errors.push(required(path.child("registry"), pairs));
  else if ((tenant?.length ?? 0) >= 65) {
    errors.push(required(path.child("tenant"), "must be a UUID and may not exceed a length of 64 characters"));
  } else {
    for (const pair of registry.split(",")) {
      if (!/^(\[[^\]]*\]|[^:[\]]*):[^:[\]]*$/.test(pair)) errors.push(invalid(path.child("registry"), registry, pairs));
    }
  }
  return [...errors, ...needs(path, { volume })];
}

export function validFlexVolume(
  { driver, options }: Pick<FlexVolumeSource, "driver" | "options">,
  path: FieldPath,
): FieldError[] {
  const errors = needs(path, { driver });
  for (const key of Object.keys(options ?? {}).sort()) {
    const namespace = `.${key.split("/")[0]!.toLowerCase()}`;
    if (!namespace.endsWith(".kubernetes.io") && !namespace.endsWith(".k8s.io")) continue;
    const detail = "kubernetes.io and k8s.io namespaces are reserved";
    errors.push(invalid(path.child("options").key(key), key, detail));
  }
  return errors;
}

export function validAzureDisk(
  { diskName, diskURI, cachingMode, kind }: AzureDiskVolumeSource,
  path: FieldPath,
): FieldError[] {
  const errors = needs(path, { diskName, diskURI });
  errors.push(...optionalOneOf(cachingMode, ["None", "ReadOnly", "ReadWrite"], path.child("cachingMode")));
  errors.push(...optionalOneOf(kind, ["Dedicated", "Managed", "Shared"], path.child("kind")));
  if (kind === undefined) return errors;
  const [start, form] =
    kind === "Managed"
      ? [
          "/subscriptions/",
          "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
        ]
      : ["https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"];
  if (!diskURI?.startsWith(start)) errors.push(notSupported(path.child("diskURI"), diskURI ?? "", [form]));
  return errors;
}

/** `secret`: the fields of secretRef that must be there. */
export function validStorageOs(
  { volumeName, volumeNamespace }: Pick<StorageOSVolumeSource, "volumeName" | "volumeNamespace">,
  secret: FieldError[],
  path: FieldPath,
): FieldError[] {
  return [
    ...(volumeName ? validDnsLabel(volumeName, path.child("volumeName")) : [required(path.child("volumeName"))]),
    ...(volumeNamespace ? validDnsLabel(volumeNamespace, path.child("volumeNamespace")) : []),
    ...secret,
  ];
}
