/** StorageClasses: kinds of storage that claims can ask for by name. */
import type { StorageClass } from "../../api/storage/v1.ts";
import { duplicate, type FieldError, FieldPath, required } from "../../apimachinery/field-error.ts";
import { qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { deprecatedNodeLabels } from "../core/deprecated-node-labels.ts";
import { age, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { each, obeys, oneOf, optionalOneOf, unchanged } from "../validation/rules.ts";
import { validParameters } from "./parameters.ts";

const root = FieldPath.root;
const defaultAnnotations = [
  "storageclass.kubernetes.io/is-default-class",
  "storageclass.beta.kubernetes.io/is-default-class",
];

export const storageClasses = defineResource<StorageClass>({
  ...served("storage.k8s.io/v1", "storageclasses"),
  returnsDeletedObject: true,
  metadataLooks: { update: ["whole", "change"] },
  warnings: ({ allowedTopologies }) =>
    (allowedTopologies ?? []).flatMap(({ matchLabelExpressions }, index) =>
      (matchLabelExpressions ?? []).flatMap(({ key }, place) => {
        const text = deprecatedNodeLabels.get(key);
        const at = root.child("allowedTopologies").index(index).child("matchLabelExpressions").index(place);
        return text ? [`${at.child("key")}: ${text}`] : [];
      }),
    ),
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
  return [
    ...validProvisioner(storageClass.provisioner, root.child("provisioner")),
    ...validParameters(storageClass.parameters, true),
    ...(storageClass.reclaimPolicy
      ? oneOf(storageClass.reclaimPolicy, ["Delete", "Retain"], root.child("reclaimPolicy"))
      : []),
    ...optionalOneOf(
      storageClass.volumeBindingMode,
      ["Immediate", "WaitForFirstConsumer"],
      root.child("volumeBindingMode"),
    ),
    ...validTopologies(storageClass.allowedTopologies),
  ];
}

/** Upstream names in lower case what it finds wrong. */
export function validProvisioner(provisioner: string | undefined, path: FieldPath): FieldError[] {
  return provisioner ? obeys(provisioner.toLowerCase(), qualifiedNameProblems, path) : [required(path)];
}

function validTopologies(topologies: StorageClass["allowedTopologies"]): FieldError[] {
  // Upstream holds each term against as many empty ones as there are terms.
  const seen = (topologies ?? []).map(() => "[]");
  return each(topologies, root.child("allowedTopologies"), ({ matchLabelExpressions }, path) => {
    const expressionsPath = path.child("matchLabelExpressions");
    const terms = new Map<string, readonly string[]>();
    const errors = each(matchLabelExpressions, expressionsPath, ({ key, values }, at) => {
      const valuesPath = at.child("values");
      const found = values?.length ? [] : [required(valuesPath)];
      for (const [index, value] of (values ?? []).entries()) {
        if (values!.indexOf(value) < index) found.push(duplicate(valuesPath.index(index), value));
      }
      found.push(...obeys(key, qualifiedNameProblems, at.child("key")));
      if (terms.has(key)) found.push(duplicate(at.child("key"), key));
      terms.set(key, [...new Set(values)].sort());
      return found;
    });
    const identity = JSON.stringify([...terms].sort(([a], [b]) => (a < b ? -1 : 1)));
    for (const other of seen) if (other === identity) errors.push(duplicate(expressionsPath, ""));
    seen.push(identity);
    return errors;
  });
}

function validChange(next: StorageClass, previous: StorageClass): FieldError[] {
  return (["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] as const).flatMap((field) =>
    unchanged(next[field], previous[field], root.child(field)),
  );
}
