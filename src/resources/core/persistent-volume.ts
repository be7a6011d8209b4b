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
import { internalForm } from "./internal-form.ts";
import { sourcesOf, validSources } from "./persistent-volume-sources.ts";
import { persistentVolumeWarnings } from "./persistent-volume-warnings.ts";
import { validNodeSelector } from "./pod-spec/scheduling.ts";
import { canonicalizeResourceList } from "./resource-list.ts";

const classAnnotation = "volume.beta.kubernetes.io/storage-class";
export const persistentVolumes = defineResource<PersistentVolume>({
  ...served("v1", "persistentvolumes"),
  metadataLooks: { update: ["whole", "whole"] },
  returnsDeletedObject: true,
  warnings: persistentVolumeWarnings,
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
  validate(next, previous) {
    const errors = validVolumeSpec(next.spec, next.metadata.name ?? "", specPath);
    // Upstream looks at the new spec as such and once more within the change.
    return previous ? [...errors, ...errors, ...validChange(next, previous)] : errors;
  },
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

/** `isInline`: it is part of what is attached to a node, and no volume of its own. */
export function validVolumeSpec(
  spec: PersistentVolumeSpec,
  volumeName: string,
  path: FieldPath,
  isInline = false,
): FieldError[] {
  const errors: FieldError[] = [];
  const notInline = (field: string) =>
    forbidden(path.child(field), "may not be specified in the context of inline volumes");
  if (isInline) {
    if (spec.claimRef) errors.push(notInline("claimRef"));
    if (Object.keys(spec.capacity ?? {}).length > 0) errors.push(notInline("capacity"));
    if (!spec.csi) errors.push(required(path.child("csi"), "has to be specified in the context of inline volumes"));
  }
  const modesPath = path.child("accessModes");
  if (!spec.accessModes?.length) errors.push(required(modesPath));
  errors.push(...validAccessModes(spec.accessModes, modesPath));
  if (!isInline) errors.push(...validCapacity(spec.capacity));
  if (spec.persistentVolumeReclaimPolicy) {
    const policies = ["Delete", "Recycle", "Retain"];
    const at = path.child("persistentVolumeReclaimPolicy");
    if (!isInline) errors.push(...oneOf(spec.persistentVolumeReclaimPolicy, policies, at));
    else if (spec.persistentVolumeReclaimPolicy !== "Retain")
      errors.push(forbidden(at, "may only be Retain in the context of inline volumes"));
  }
  const affinityPath = path.child("nodeAffinity");
  if (spec.nodeAffinity && isInline) errors.push(notInline("nodeAffinity"));
  else if (spec.nodeAffinity) {
    const { required: selector } = spec.nodeAffinity;
    if (!selector) errors.push(required(affinityPath.child("required"), "must specify required node constraints"));
    else errors.push(...validNodeSelector(selector.nodeSelectorTerms, affinityPath.child("required")));
  }
  errors.push(...validSources(spec, volumeName, path));
  if (spec.hostPath?.path && cleaned(spec.hostPath.path) === "/" && spec.persistentVolumeReclaimPolicy === "Recycle") {
    const detail = "may not be 'recycle' for a hostPath mount of '/'";
    errors.push(forbidden(path.child("persistentVolumeReclaimPolicy"), detail));
  }
  if (spec.storageClassName && isInline) errors.push(notInline("storageClassName"));
  else if (spec.storageClassName)
    errors.push(...validDnsSubdomain(spec.storageClassName, path.child("storageClassName")));
  const modePath = path.child("volumeMode");
  if (!isInline) errors.push(...optionalOneOf(spec.volumeMode, ["Block", "Filesystem"], modePath));
  else if ((spec.volumeMode ?? "Filesystem") !== "Filesystem") {
    const detail = "may not specify volumeMode other than Filesystem in the context of inline volumes";
    errors.push(forbidden(modePath, detail));
  }
  const className = spec.volumeAttributesClassName;
  if (className === undefined) return errors;
  const classPath = path.child("volumeAttributesClassName");
  if (className === "") errors.push(required(classPath, "an empty string is disallowed"));
  else errors.push(...validDnsSubdomain(className, classPath));
  if (!spec.csi) errors.push(required(path.child("csi"), "has to be specified when using volumeAttributesClassName"));
  return errors;
}

/** Without empty steps and steps to where one is. */
function cleaned(path: string): string {
  const steps = path.split("/").filter((step) => step !== "" && step !== ".");
  return `/${steps.join("/")}`;
}

function validCapacity(capacity: PersistentVolumeSpec["capacity"]): FieldError[] {
  const path = specPath.child("capacity");
  const names = Object.keys(capacity ?? {});
  const errors = names.length === 0 ? [required(path)] : [];
  if (names.length !== 1 || names[0] !== "storage") errors.push(notSupported(path, capacity ?? null, ["storage"]));
  for (const one of names) {
    const amount = capacity![one]!;
    const quantity = Quantity.parse(amount);
    const rounded = Math.ceil(quantity.toNumber());
    if (rounded < 0) errors.push(invalid(path.key(one), rounded, "must be a valid resource quantity"));
    if (quantity.sign() <= 0) errors.push(invalid(path.key(one), amount, "must be greater than zero"));
  }
  return errors;
}

/** Labels that were renamed: affinities may move to their new names. */
const renamedLabels: Readonly<Record<string, string>> = {
  "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
  "beta.kubernetes.io/os": "kubernetes.io/os",
  "beta.kubernetes.io/arch": "kubernetes.io/arch",
  "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
};

function withNewLabels(affinity: PersistentVolumeSpec["nodeAffinity"], next: PersistentVolumeSpec["nodeAffinity"]) {
  const copy = structuredClone(affinity);
  for (const [index, term] of (copy?.required?.nodeSelectorTerms ?? []).entries()) {
    for (const [at, requirement] of (term.matchExpressions ?? []).entries()) {
      const key = next?.required?.nodeSelectorTerms?.[index]?.matchExpressions?.[at]?.key;
      if (key !== undefined && renamedLabels[requirement.key] === key) requirement.key = key;
    }
  }
  return copy;
}

function validChange(next: PersistentVolume, previous: PersistentVolume): FieldError[] {
  const errors: FieldError[] = [];
  const [now, before] = [sourcesOf(next.spec), sourcesOf(previous.spec)];
  // A secret for growing the volume may come later.
  if (now.csi && before.csi && !before.csi.controllerExpandSecretRef) {
    const { controllerExpandSecretRef: _, ...rest } = now.csi;
    now.csi = rest;
  }
  if (!semanticallyEqual(now, before)) {
    const diff = jsonDiff(internalForm("PersistentVolumeSource", before), internalForm("PersistentVolumeSource", now));
    const detail = `spec.persistentvolumesource is immutable after creation\n${diff}`;
    errors.push(forbidden(specPath.child("persistentvolumesource"), detail));
  }
  errors.push(...unchanged(next.spec.volumeMode, previous.spec.volumeMode, FieldPath.root.child("volumeMode")));
  const affinity = next.spec.nodeAffinity;
  if (previous.spec.nodeAffinity && !semanticallyEqual(affinity, withNewLabels(previous.spec.nodeAffinity, affinity))) {
    const shown = affinity ? internalForm("VolumeNodeAffinity", affinity) : null;
    const detail = "field is immutable, except for updating from beta label to GA";
    errors.push(invalid(FieldPath.root.child("nodeAffinity"), shown, detail));
  }
  if (previous.spec.volumeAttributesClassName !== undefined && next.spec.volumeAttributesClassName === undefined) {
    const path = specPath.child("volumeAttributesClassName");
    errors.push(forbidden(path, "update from non-nil value to nil is forbidden"));
  }
  return errors;
}
