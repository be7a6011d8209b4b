/** PersistentVolumes: storage that the cluster has. */
import type { PersistentVolume, PersistentVolumeSpec } from "../../api/core/v1.ts";
import {
  type FieldError,
  FieldPath,
  forbidden,
  invalid,
  notSupported,
  required,
  spec as specPath,
} from "../../apimachinery/field-error.ts";
import { Quantity } from "../../apimachinery/quantity.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { rfc3339 } from "../../base/clock.ts";
import { jsonDiff } from "../json-diff.ts";
import { age, name, text, unset, wide } from "../printing/columns.ts";
import { served } from "../served.ts";
import { oneOf, optionalOneOf, unchanged, validDnsSubdomain } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import { accessModesText, validAccessModes } from "./access-modes.ts";
import { withoutBacksteps } from "./pod-spec/paths.ts";
import { validNodeSelector } from "./pod-spec/scheduling.ts";
import { canonicalizeResourceList } from "./resource-list.ts";

const classAnnotation = "volume.beta.kubernetes.io/storage-class";
/** Fields of the spec that are not a source. */
const notSources = new Set([
  "capacity",
  "accessModes",
  "claimRef",
  "persistentVolumeReclaimPolicy",
  "storageClassName",
  "mountOptions",
  "volumeMode",
  "nodeAffinity",
  "volumeAttributesClassName",
]);

export const persistentVolumes = defineResource<PersistentVolume>({
  ...served("v1", "persistentvolumes"),
  returnsDeletedObject: true,
  defaults({ spec }) {
    spec.persistentVolumeReclaimPolicy ||= "Retain";
    spec.volumeMode ??= "Filesystem";
    canonicalizeResourceList(spec.capacity);
    if (spec.hostPath) spec.hostPath.type ??= "";
  },
  beforeCreate(volume, { now }) {
    volume.status = { phase: "Pending", lastPhaseTransitionTime: rfc3339(now) };
  },
  beforeUpdate() {},
  beforeStatusUpdate(next, previous, { now }) {
    if (next.status.phase !== previous.status?.phase) next.status.lastPhaseTransitionTime ??= rfc3339(now);
  },
  validate: (next, previous) => [...validVolumeSpec(next.spec), ...(previous ? validChange(next, previous) : [])],
  columns: [
    name,
    text("Capacity", ({ spec }) => spec.capacity?.["storage"] ?? "0"),
    text("Access Modes", ({ spec }) => accessModesText(spec.accessModes)),
    text("Reclaim Policy", ({ spec }) => spec.persistentVolumeReclaimPolicy ?? ""),
    text("Status", ({ metadata, status }) => (metadata.deletionTimestamp ? "Terminating" : (status?.phase ?? ""))),
    text("Claim", ({ spec }) => (spec.claimRef ? `${spec.claimRef.namespace ?? ""}/${spec.claimRef.name ?? ""}` : "")),
    text(
      "StorageClass",
      ({ metadata, spec }) => metadata.annotations?.[classAnnotation] ?? spec.storageClassName ?? "",
    ),
    text("VolumeAttributesClass", ({ spec }) => spec.volumeAttributesClassName ?? unset),
    text("Reason", ({ status }) => status?.reason ?? ""),
    age,
    wide(text("VolumeMode", ({ spec }) => spec.volumeMode ?? unset)),
  ],
});

function sourcesOf(spec: PersistentVolumeSpec): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(spec).filter(([field, value]) => !notSources.has(field) && value !== undefined && value !== null),
  );
}

function validVolumeSpec(spec: PersistentVolumeSpec): FieldError[] {
  const errors: FieldError[] = [];
  const modesPath = specPath.child("accessModes");
  if (!spec.accessModes?.length) errors.push(required(modesPath));
  errors.push(...validAccessModes(spec.accessModes, modesPath));
  errors.push(...validCapacity(spec.capacity));
  if (spec.persistentVolumeReclaimPolicy) {
    const policies = ["Delete", "Recycle", "Retain"];
    errors.push(
      ...oneOf(spec.persistentVolumeReclaimPolicy, policies, specPath.child("persistentVolumeReclaimPolicy")),
    );
  }
  const affinityPath = specPath.child("nodeAffinity");
  if (spec.nodeAffinity) {
    const { required: selector } = spec.nodeAffinity;
    if (!selector) errors.push(required(affinityPath.child("required"), "must specify required node constraints"));
    else errors.push(...validNodeSelector(selector.nodeSelectorTerms, affinityPath.child("required")));
  }
  const sources = Object.keys(sourcesOf(spec));
  for (const extra of sources.slice(1)) {
    errors.push(forbidden(specPath.child(extra), "may not specify more than 1 volume type"));
  }
  if (sources.length === 0) errors.push(required(specPath, "must specify a volume type"));
  errors.push(...validSource(spec));
  if (spec.hostPath?.path === "/" && spec.persistentVolumeReclaimPolicy === "Recycle") {
    const detail = "may not be 'recycle' for a hostPath mount of '/'";
    errors.push(forbidden(specPath.child("persistentVolumeReclaimPolicy"), detail));
  }
  if (spec.storageClassName)
    errors.push(...validDnsSubdomain(spec.storageClassName, specPath.child("storageClassName")));
  return [...errors, ...optionalOneOf(spec.volumeMode, ["Block", "Filesystem"], specPath.child("volumeMode"))];
}

function validCapacity(capacity: PersistentVolumeSpec["capacity"]): FieldError[] {
  const path = specPath.child("capacity");
  const names = Object.keys(capacity ?? {});
  const errors = names.length === 0 ? [required(path)] : [];
  if (names.length !== 1 || names[0] !== "storage") errors.push(notSupported(path, capacity ?? null, ["storage"]));
  for (const one of names) {
    const amount = capacity![one]!;
    if (Quantity.parse(amount).sign() <= 0) errors.push(invalid(path.key(one), amount, "must be greater than zero"));
  }
  return errors;
}

function validSource(spec: PersistentVolumeSpec): FieldError[] {
  if (spec.hostPath) {
    const path = specPath.child("hostPath", "path");
    return spec.hostPath.path ? withoutBacksteps(spec.hostPath.path, path) : [required(path)];
  }
  if (spec.local) {
    const path = specPath.child("local", "path");
    return [
      ...(spec.local.path ? withoutBacksteps(spec.local.path, path) : [required(path)]),
      ...(spec.nodeAffinity ? [] : [required(specPath.child("nodeAffinity"), "Local volume requires node affinity")]),
    ];
  }
  const needs = (source: string, values: Readonly<Record<string, unknown>>) =>
    Object.entries(values).flatMap(([field, value]) => (value ? [] : [required(specPath.child(source, field))]));
  if (spec.nfs) return needs("nfs", { server: spec.nfs.server, path: spec.nfs.path });
  if (spec.csi) return needs("csi", { driver: spec.csi.driver, volumeHandle: spec.csi.volumeHandle });
  return [];
}

function validChange(next: PersistentVolume, previous: PersistentVolume): FieldError[] {
  const errors: FieldError[] = [];
  const [now, before] = [sourcesOf(next.spec), sourcesOf(previous.spec)];
  if (!semanticallyEqual(now, before)) {
    const detail = `spec.persistentvolumesource is immutable after creation\n${jsonDiff(before, now)}`;
    errors.push(forbidden(specPath.child("persistentvolumesource"), detail));
  }
  errors.push(...unchanged(next.spec.volumeMode, previous.spec.volumeMode, FieldPath.root.child("volumeMode")));
  if (previous.spec.nodeAffinity) {
    errors.push(...unchanged(next.spec.nodeAffinity, previous.spec.nodeAffinity, FieldPath.root.child("nodeAffinity")));
  }
  return errors;
}
