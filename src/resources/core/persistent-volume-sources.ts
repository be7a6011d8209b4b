/** What stands behind a PersistentVolume: exactly one source. */
import type { CSIPersistentVolumeSource, PersistentVolumeSpec } from "../../api/core/v1.ts";
import { type FieldError, type FieldPath, forbidden, invalid, required } from "../../apimachinery/field-error.ts";
import { dns1123LabelProblems } from "../../apimachinery/name-validation.ts";
import { validCsiDriverName } from "../validation/csi-driver-name.ts";
import { obeys, validDnsLabel, validDnsSubdomain } from "../validation/rules.ts";
import { withoutBacksteps } from "./pod-spec/paths.ts";
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
} from "./pod-spec/volume-sources.ts";

type NotSource =
  | "capacity"
  | "accessModes"
  | "claimRef"
  | "persistentVolumeReclaimPolicy"
  | "storageClassName"
  | "mountOptions"
  | "volumeMode"
  | "nodeAffinity"
  | "volumeAttributesClassName";
type Sources = Omit<PersistentVolumeSpec, NotSource>;
type SourceRules = { [K in keyof Sources]-?: (source: NonNullable<Sources[K]>, path: FieldPath) => FieldError[] };

const needsSecret = (secret: { name?: string; namespace?: string } | undefined, path: FieldPath) =>
  secret ? needs(path.child("secretRef"), { name: secret.name, namespace: secret.namespace }) : [];

/** In the order in which upstream looks for them. */
const rules: SourceRules = {
  hostPath: validHostPath,
  gcePersistentDisk: ({ pdName, partition }, path) => validDisk({ pdName }, partition, path),
  awsElasticBlockStore: ({ volumeID, partition }, path) => validDisk({ volumeID }, partition, path),
  glusterfs: ({ endpoints, path: volume, endpointsNamespace }, path) => [
    ...needs(path, { endpoints, path: volume }),
    ...validEndpointsNamespace(endpointsNamespace, path.child("endpointsNamespace")),
  ],
  flocker: validFlocker,
  nfs: validNfs,
  rbd: ({ monitors, image }, path) => [...needsMonitors(monitors, path), ...needs(path, { image })],
  quobyte: validQuobyte,
  cephfs: ({ monitors }, path) => needsMonitors(monitors, path),
  iscsi: (iscsi, path) => [
    ...validIscsi(iscsi, "must be valid format", path),
    ...(iscsi.secretRef ? needs(path.child("secretRef"), { name: iscsi.secretRef.name }) : []),
  ],
  cinder: ({ volumeID, secretRef }, path) => [...needs(path, { volumeID }), ...needsSecret(secretRef, path)],
  fc: validFibreChannel,
  flexVolume: validFlexVolume,
  azureFile: ({ secretName, shareName, secretNamespace }, path) => [
    ...needs(path, { secretName, shareName }),
    ...(secretNamespace === undefined ? [] : needs(path, { secretNamespace })),
  ],
  vsphereVolume: ({ volumePath }, path) => needs(path, { volumePath }),
  photonPersistentDisk: ({ pdID }, path) => needs(path, { pdID }),
  portworxVolume: ({ volumeID }, path) => needs(path, { volumeID }),
  azureDisk: validAzureDisk,
  scaleIO: ({ gateway, system, volumeName }, path) => needs(path, { gateway, system, volumeName }),
  local: ({ path: localPath }, path) =>
    localPath ? withoutBacksteps(localPath, path.child("path")) : [required(path.child("path"))],
  storageos: (source, path) => validStorageOs(source, needsSecret(source.secretRef, path), path),
  csi: validCsi,
};

/** Sources that upstream calls otherwise than their field, when they are the one and when they are one too many. */
const sourcePaths: Partial<Record<keyof Sources, string>> = { gcePersistentDisk: "persistentDisk" };
const secondSourcePaths: Partial<Record<keyof Sources, string>> = { cephfs: "cephFS" };

export function sourcesOf(spec: PersistentVolumeSpec): Sources {
  const given = (Object.keys(rules) as (keyof Sources)[]).filter(
    (name) => spec[name] !== undefined && spec[name] !== null,
  );
  return Object.fromEntries(given.map((name) => [name, spec[name]]));
}

/** `base` is where the spec stands. */
export function validSources(spec: PersistentVolumeSpec, volumeName: string, base: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const names = Object.keys(sourcesOf(spec)) as (keyof Sources)[];
  for (const [index, name] of names.entries()) {
    if (index > 0 && name !== "flexVolume") {
      const path = base.child(secondSourcePaths[name] ?? name);
      errors.push(forbidden(path, "may not specify more than 1 volume type"));
      continue;
    }
    // The table's type pairs each rule with its source; the compiler loses that in the loop.
    const rule = rules[name] as (source: unknown, path: FieldPath) => FieldError[];
    errors.push(...rule(spec[name], base.child(sourcePaths[name] ?? name)));
    const session = name === "iscsi" && tooLongForIscsiSession(volumeName, spec.iscsi!);
    if (session) errors.push(invalid(base.child("iscsi", "targetportal"), spec.iscsi!.targetPortal, session));
    if (name === "local" && !spec.nodeAffinity) {
      errors.push(required(base.child("nodeAffinity"), "Local volume requires node affinity"));
    }
  }
  return names.length > 0 ? errors : [required(base, "must specify a volume type")];
}

function validEndpointsNamespace(namespace: string | undefined, path: FieldPath): FieldError[] {
  if (namespace === undefined) return [];
  if (namespace) return obeys(namespace, dns1123LabelProblems, path);
  return [invalid(path, namespace, "if the endpointnamespace is set, it must be a valid namespace name")];
}

function validCsi(csi: CSIPersistentVolumeSource, path: FieldPath): FieldError[] {
  const secrets = [
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
  ] as const;
  return [
    ...validCsiDriverName(csi.driver, path.child("driver")),
    ...needs(path, { volumeHandle: csi.volumeHandle }),
    ...secrets.flatMap((field) => {
      const secret = csi[field];
      if (!secret) return [];
      const at = path.child(field);
      return [
        ...(secret.name ? validDnsSubdomain(secret.name, at.child("name")) : [required(at.child("name"))]),
        ...(secret.namespace
          ? validDnsLabel(secret.namespace, at.child("namespace"))
          : [required(at.child("namespace"))]),
      ];
    }),
  ];
}
