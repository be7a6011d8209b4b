/** PersistentVolumeClaims: storage that a namespace asks for. */
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from "../../api/core/v1.ts";
import {
  type FieldError,
  FieldPath,
  forbidden,
  invalid,
  required,
  spec as specPath,
} from "../../apimachinery/field-error.ts";
import { Quantity } from "../../apimachinery/quantity.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { jsonDiff } from "../json-diff.ts";
import { age, name, text, unset, wide } from "../printing/columns.ts";
import { served } from "../served.ts";
import { validLabelSelector } from "../validation/label-selector.ts";
import { optionalOneOf, unchanged, validDnsSubdomain } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import { accessModesText, validAccessModes } from "./access-modes.ts";
import { internalForm } from "./internal-form.ts";
import { canonicalizeResourceList } from "./resource-list.ts";
import { validAmount } from "./resource-names.ts";

const classAnnotation = "volume.beta.kubernetes.io/storage-class";

export const persistentVolumeClaims = defineResource<PersistentVolumeClaim>({
  ...served("v1", "persistentvolumeclaims"),
  returnsDeletedObject: true,
  defaults({ spec, status }) {
    spec.volumeMode ??= "Filesystem";
    canonicalizeResourceList(spec.resources?.requests);
    canonicalizeResourceList(spec.resources?.limits);
    canonicalizeResourceList(status?.capacity);
    // Two names for one thing, the second from before references could cross namespaces.
    if (spec.dataSource && !spec.dataSourceRef) spec.dataSourceRef = { ...spec.dataSource };
    else if (spec.dataSourceRef && !spec.dataSource && !spec.dataSourceRef.namespace) {
      const { namespace: _, ...local } = spec.dataSourceRef;
      spec.dataSource = local;
    }
  },
  beforeCreate(claim) {
    claim.status = { phase: "Pending" };
  },
  beforeUpdate() {},
  validate: (next, previous) => [
    ...validateClaimSpec(next.spec, specPath),
    ...(previous ? validChange(next, previous) : []),
  ],
  columns: [
    name,
    text("Status", ({ metadata, status }) => (metadata.deletionTimestamp ? "Terminating" : (status?.phase ?? ""))),
    text("Volume", ({ spec }) => spec.volumeName ?? ""),
    text("Capacity", ({ spec, status }) => (spec.volumeName ? (status?.capacity?.["storage"] ?? "0") : "")),
    text("Access Modes", ({ spec, status }) => (spec.volumeName ? accessModesText(status?.accessModes) : "")),
    text("StorageClass", classText),
    text("VolumeAttributesClass", ({ spec }) => spec.volumeAttributesClassName ?? unset),
    age,
    wide(text("VolumeMode", ({ spec }) => spec.volumeMode ?? unset)),
  ],
});

function classText({ metadata, spec }: PersistentVolumeClaim): string {
  return metadata.annotations?.[classAnnotation] ?? spec.storageClassName ?? "";
}

/** Also of the claims that StatefulSets make and that pods carry. */
export function validateClaimSpec(spec: PersistentVolumeClaimSpec, path: FieldPath): FieldError[] {
  const errors = validLabelSelector(spec.selector, path.child("selector"));
  const modesPath = path.child("accessModes");
  if (!spec.accessModes?.length) errors.push(required(modesPath, "at least 1 access mode is required"));
  errors.push(...validAccessModes(spec.accessModes, modesPath));
  const storagePath = path.child("resources").key("storage");
  const storage = spec.resources?.requests?.["storage"];
  if (storage === undefined) errors.push(required(storagePath));
  else if (Quantity.parse(storage).sign() <= 0) errors.push(invalid(storagePath, storage, "must be greater than zero"));
  else errors.push(...validAmount("storage", storage, storagePath));
  if (spec.storageClassName) errors.push(...validDnsSubdomain(spec.storageClassName, path.child("storageClassName")));
  return [...errors, ...optionalOneOf(spec.volumeMode, ["Block", "Filesystem"], path.child("volumeMode"))];
}

function validChange(next: PersistentVolumeClaim, previous: PersistentVolumeClaim): FieldError[] {
  const errors: FieldError[] = [];
  const [now, before] = [structuredClone(next.spec), structuredClone(previous.spec)];
  // The volume is filled in once; bound claims may grow.
  if (!before.volumeName && now.volumeName) before.volumeName = now.volumeName;
  if (before.storageClassName === undefined && now.storageClassName !== undefined) {
    before.storageClassName = now.storageClassName;
  }
  const oldSize = before.resources?.requests?.["storage"];
  const newSize = now.resources?.requests?.["storage"];
  if (next.status?.phase === "Bound" && now.resources?.requests && oldSize !== undefined) {
    now.resources.requests["storage"] = oldSize;
  }
  if (next.status?.phase === "Bound") {
    if (before.volumeAttributesClassName === undefined) delete now.volumeAttributesClassName;
    else now.volumeAttributesClassName = before.volumeAttributesClassName;
  }
  if (!semanticallyEqual(now, before)) {
    const diff = jsonDiff(
      internalForm("PersistentVolumeClaimSpec", before),
      internalForm("PersistentVolumeClaimSpec", now),
    );
    const detail =
      "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
    errors.push(forbidden(specPath, `${detail}\n${diff}`));
  }
  if (newSize !== undefined && oldSize !== undefined && Quantity.parse(newSize).compare(Quantity.parse(oldSize)) < 0) {
    const capacity = previous.status?.capacity?.["storage"] ?? "0";
    if (Quantity.parse(newSize).compare(Quantity.parse(capacity)) <= 0) {
      const path = specPath.child("resources", "requests", "storage");
      errors.push(forbidden(path, "field can not be less than status.capacity"));
    }
  }
  return [...errors, ...unchanged(next.spec.volumeMode, previous.spec.volumeMode, FieldPath.root.child("volumeMode"))];
}
