/** StorageClasses: kinds of storage that claims can ask for by name. */
import type { StorageClass } from "../../api/storage/v1.ts";
import { type FieldError, FieldPath, required } from "../../apimachinery/field-error.ts";
import { qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { obeys, optionalOneOf, unchanged } from "../validation/rules.ts";

const root = FieldPath.root;
const defaultAnnotations = [
  "storageclass.kubernetes.io/is-default-class",
  "storageclass.beta.kubernetes.io/is-default-class",
];

export const storageClasses = defineResource<StorageClass>({
  ...served("storage.k8s.io/v1", "storageclasses"),
  defaults(storageClass) {
    storageClass.reclaimPolicy ??= "Delete";
    storageClass.volumeBindingMode ??= "Immediate";
  },
  validate: (next, previous) => [...validClass(next), ...(previous ? validChange(next, previous) : [])],
  columns: [
    { ...name, cell: (storageClass: StorageClass) => nameText(storageClass) },
    text("Provisioner", ({ provisioner }) => provisioner),
    text("ReclaimPolicy", ({ reclaimPolicy }) => reclaimPolicy ?? "Delete"),
    text("VolumeBindingMode", ({ volumeBindingMode }) => volumeBindingMode ?? "Immediate"),
    text("AllowVolumeExpansion", ({ allowVolumeExpansion }) => allowVolumeExpansion ?? false),
    age,
  ],
});

function nameText({ metadata }: StorageClass): string {
  const isDefault = defaultAnnotations.some((annotation) => metadata.annotations?.[annotation] === "true");
  return isDefault ? `${metadata.name} (default)` : metadata.name;
}

function validClass(storageClass: StorageClass): FieldError[] {
  const path = root.child("provisioner");
  const { provisioner } = storageClass;
  return [
    ...(provisioner
      ? obeys(provisioner.toLowerCase(), qualifiedNameProblems, path)
      : [required(path), ...obeys("", qualifiedNameProblems, path)]),
    ...optionalOneOf(storageClass.reclaimPolicy, ["Delete", "Retain"], root.child("reclaimPolicy")),
    ...optionalOneOf(
      storageClass.volumeBindingMode,
      ["Immediate", "WaitForFirstConsumer"],
      root.child("volumeBindingMode"),
    ),
  ];
}

function validChange(next: StorageClass, previous: StorageClass): FieldError[] {
  return (["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] as const).flatMap((field) =>
    unchanged(next[field], previous[field], root.child(field)),
  );
}
