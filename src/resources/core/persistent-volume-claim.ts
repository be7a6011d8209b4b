/** PersistentVolumeClaims: storage that a namespace asks for. */
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from "../../api/core/v1.ts";
import {
  type FieldError,
  FieldPath,
  forbidden,
  invalid,
  metadata as metadataPath,
  notSupported,
  required,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import { qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { Quantity } from "../../apimachinery/quantity.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { jsonDiff } from "../json-diff.ts";
import { age, name, text, unset, wide } from "../printing/columns.ts";
import { served } from "../served.ts";
import { validLabelSelector } from "../validation/label-selector.ts";
import { obeys, optionalOneOf, unchanged, validDnsLabel, validDnsSubdomain } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import { accessModesText, validAccessModes } from "./access-modes.ts";
import { claimSpecWarnings, classAnnotationWarnings } from "./claim-warnings.ts";
import { internalForm } from "./internal-form.ts";
import { canonicalizeResourceList } from "./resource-list.ts";
import { isNativeResource, validAmount } from "./resource-names.ts";

const classAnnotation = "volume.beta.kubernetes.io/storage-class";

export const persistentVolumeClaims = defineResource<PersistentVolumeClaim>({
  ...served("v1", "persistentvolumeclaims"),
  metadataLooks: { update: ["whole", "change", "whole"] },
  returnsDeletedObject: true,
  warnings: ({ metadata, spec }) => [
    ...classAnnotationWarnings(metadata.annotations, metadataPath.child("annotations")),
    ...claimSpecWarnings(spec, specPath),
  ],
  defaults({ spec, status }) {
    spec.volumeMode ??= "Filesystem";
    canonicalizeResourceList(spec.resources?.requests);
    canonicalizeResourceList(spec.resources?.limits);
    canonicalizeResourceList(status?.capacity);
    // Sources that are neither claims nor snapshots need the newer field; those of other namespaces a feature that is off.
    if (spec.dataSourceRef?.namespace) delete spec.dataSourceRef;
    if (!spec.dataSourceRef && spec.dataSource && !isClaimOrSnapshot(spec.dataSource)) delete spec.dataSource;
    // Two names for one thing, the second from before references could cross namespaces.
    if (spec.dataSource && !spec.dataSourceRef) spec.dataSourceRef = { ...spec.dataSource };
    else if (spec.dataSourceRef && !spec.dataSource) spec.dataSource = { ...spec.dataSourceRef };
  },
  beforeCreate(claim) {
    claim.status = { phase: "Pending" };
  },
  beforeUpdate() {},
  validate(next, previous) {
    const errors = validateClaimSpec(next.spec, specPath);
    // Upstream looks at the new spec as such and once more within the change.
    return previous ? [...errors, ...errors, ...validChange(next, previous)] : errors;
  },
  validateStatus: validStatus,
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

function isClaimOrSnapshot({ apiGroup, kind }: NonNullable<PersistentVolumeClaimSpec["dataSource"]>): boolean {
  return apiGroup
    ? apiGroup === "snapshot.storage.k8s.io" && kind === "VolumeSnapshot"
    : kind === "PersistentVolumeClaim";
}

function classText({ metadata, spec }: PersistentVolumeClaim): string {
  return metadata.annotations?.[classAnnotation] ?? spec.storageClassName ?? "";
}

/** Also of the claims that StatefulSets make and that pods carry. */
export function validateClaimSpec(spec: PersistentVolumeClaimSpec, path: FieldPath): FieldError[] {
  const modesPath = path.child("accessModes");
  const errors = spec.accessModes?.length ? [] : [required(modesPath, "at least 1 access mode is required")];
  errors.push(...validLabelSelector(spec.selector, path.child("selector")));
  errors.push(...validAccessModes(spec.accessModes, modesPath));
  const storagePath = path.child("resources").key("storage");
  const storage = spec.resources?.requests?.["storage"];
  if (storage === undefined) errors.push(required(storagePath));
  else if (Quantity.parse(storage).sign() <= 0) errors.push(invalid(storagePath, storage, "must be greater than zero"));
  else errors.push(...validAmount("storage", storage, storagePath));
  if (spec.storageClassName) errors.push(...validDnsSubdomain(spec.storageClassName, path.child("storageClassName")));
  errors.push(...optionalOneOf(spec.volumeMode, ["Block", "Filesystem"], path.child("volumeMode")));
  errors.push(...validDataSources(spec, path));
  if (spec.volumeAttributesClassName) {
    errors.push(...validDnsSubdomain(spec.volumeAttributesClassName, path.child("volumeAttributesClassName")));
  }
  return errors;
}

function validDataSources({ dataSource, dataSourceRef }: PersistentVolumeClaimSpec, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  for (const [field, source] of [
    ["dataSource", dataSource],
    ["dataSourceRef", dataSourceRef],
  ] as const) {
    if (!source) continue;
    const at = path.child(field);
    const { apiGroup, kind, name: sourceName } = source;
    if (!sourceName) errors.push(required(at.child("name")));
    if (!kind) errors.push(required(at.child("kind")));
    if (!apiGroup && kind !== "PersistentVolumeClaim") {
      const detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
      errors.push(invalid(at, kind ?? "", detail));
    }
    if (apiGroup) errors.push(...validDnsSubdomain(apiGroup, at.child("apiGroup")));
  }
  if (dataSourceRef?.namespace) {
    errors.push(...validDnsLabel(dataSourceRef.namespace, path.child("dataSourceRef", "namespace")));
  }
  // Upstream shows the path where the value belongs, which prints as nothing.
  if (!dataSource || !dataSourceRef) return errors;
  const same = (["apiGroup", "kind", "name"] as const).every((field) => dataSource[field] === dataSourceRef[field]);
  if (dataSourceRef.namespace) {
    errors.push(invalid(path, {}, "may not be specified when dataSourceRef.namespace is specified"));
  } else if (!same) errors.push(invalid(path, {}, "must match dataSourceRef"));
  return errors;
}

const resizeStates = [
  "ControllerResizeInProgress",
  "ControllerResizeInfeasible",
  "NodeResizePending",
  "NodeResizeInProgress",
  "NodeResizeInfeasible",
].sort();

function validStatus({ status }: PersistentVolumeClaim): FieldError[] {
  const errors: FieldError[] = [];
  for (const [resource, amount] of Object.entries(status.capacity ?? {}).sort()) {
    if (Quantity.parse(amount).sign() >= 0) continue;
    const shown = Math.ceil(Quantity.parse(amount).toNumber());
    errors.push(invalid(statusPath.child("capacity").key(resource), shown, "must be a valid resource quantity"));
  }
  const statesPath = statusPath.child("allocatedResourceStatuses");
  for (const [resource, state] of Object.entries(status.allocatedResourceStatuses ?? {}).sort()) {
    errors.push(...validClaimResource(resource, statesPath));
    if (!resizeStates.includes(state)) errors.push(notSupported(statesPath, resource, resizeStates));
  }
  const allocatedPath = statusPath.child("allocatedResources");
  for (const [resource, amount] of Object.entries(status.allocatedResources ?? {}).sort()) {
    const problems = validClaimResource(resource, allocatedPath);
    errors.push(...(problems.length > 0 ? problems : validAmount("storage", amount, allocatedPath.key(resource))));
  }
  return errors;
}

function validClaimResource(resource: string, path: FieldPath): FieldError[] {
  const errors = obeys(resource, qualifiedNameProblems, path);
  if (errors.length > 0 || !isNativeResource(resource) || resource === "storage") return errors;
  return [notSupported(path, resource, ["storage"])];
}

function validChange(next: PersistentVolumeClaim, previous: PersistentVolumeClaim): FieldError[] {
  const errors: FieldError[] = [];
  const [now, before] = [structuredClone(next.spec), structuredClone(previous.spec)];
  const [classNow, classBefore] = [next, previous].map(({ metadata }) => metadata.annotations?.[classAnnotation]);
  const movesToField =
    classBefore !== undefined &&
    before.storageClassName === undefined &&
    now.storageClassName === classBefore &&
    (classNow === undefined || classNow === classBefore);
  if (!movesToField && classNow !== classBefore) {
    const path = FieldPath.root.child("metadata", "annotations", classAnnotation);
    errors.push(invalid(path, classNow ?? "", "field is immutable"));
  }
  // The volume is filled in once; bound claims may grow.
  if (!before.volumeName && now.volumeName) before.volumeName = now.volumeName;
  const mayNameClass = classBefore === undefined || now.storageClassName === classBefore;
  if (before.storageClassName === undefined && now.storageClassName !== undefined && mayNameClass) {
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
  if (oldSize !== undefined && Quantity.parse(newSize ?? "0").compare(Quantity.parse(oldSize)) < 0) {
    const capacity = previous.status?.capacity?.["storage"] ?? "0";
    if (Quantity.parse(newSize ?? "0").compare(Quantity.parse(capacity)) <= 0) {
      const path = specPath.child("resources", "requests", "storage");
      errors.push(forbidden(path, "field can not be less than status.capacity"));
    }
  }
  errors.push(...unchanged(next.spec.volumeMode, previous.spec.volumeMode, FieldPath.root.child("volumeMode")));
  const applied = previous.status?.currentVolumeAttributesClassName !== undefined;
  const className = next.spec.volumeAttributesClassName;
  if (applied && !className && className !== previous.spec.volumeAttributesClassName) {
    const what = className === undefined ? "nil" : "empty string";
    const detail = `update to ${what} is forbidden when status.currentVolumeAttributesClassName is not nil`;
    errors.push(forbidden(specPath.child("volumeAttributesClassName"), detail));
  }
  return errors;
}
