/** Checks ObjectMeta on create and update, in upstream's words (apimachinery's validation package). */

import type { ManagedFieldsEntry, ObjectMeta, OwnerReference } from "../api/meta/v1.ts";
import { utf8Length } from "../base/utf8.ts";
import { type FieldError, type FieldPath, forbidden, invalid, metadata, required, tooLong } from "./field-error.ts";
import { parseApiVersion } from "./group-version.ts";
import {
  dns1035LabelProblems,
  dns1123LabelProblems,
  dns1123SubdomainProblems,
  labelValueProblems,
  maskTrailingDash,
  pathSegmentProblems,
  qualifiedNameProblems,
} from "./name-validation.ts";
import type { ResourceDefinition } from "./resource-definition.ts";

export type NameRule = (name: string) => string[];

/** Turns a definition's validateName into the function it stands for. */
export function nameRuleOf(rule: ResourceDefinition["validateName"]): NameRule {
  if (typeof rule === "function") return rule;
  return nameRules[rule ?? "dns-subdomain"];
}

const nameRules = {
  "dns-subdomain": dns1123SubdomainProblems,
  "dns-label": dns1123LabelProblems,
  "dns1035-label": dns1035LabelProblems,
  "path-segment": pathSegmentProblems,
} satisfies Record<string, NameRule>;

const totalAnnotationBytes = 256 * 1024;
const maximumManagerLength = 128;

/** Names finalizers may have without a domain. */
const standardFinalizers = new Set(["kubernetes", "orphan", "foregroundDeletion"]);

export const isStandardFinalizer = (name: string): boolean => standardFinalizers.has(name);

/** Everything that can be wrong with the metadata of a new or changed object. */
export function validateObjectMeta(
  meta: ObjectMeta,
  namespaced: boolean,
  nameRule: NameRule,
  path: FieldPath = metadata,
  anyFinalizers = false,
): FieldError[] {
  const errors: FieldError[] = [];
  if (meta.generateName) {
    for (const problem of nameRule(maskTrailingDash(meta.generateName))) {
      errors.push(invalid(path.child("generateName"), meta.generateName, problem));
    }
  }
  if (!meta.name) errors.push(required(path.child("name"), "name or generateName is required"));
  else for (const problem of nameRule(meta.name)) errors.push(invalid(path.child("name"), meta.name, problem));
  if (namespaced) {
    if (!meta.namespace) errors.push(required(path.child("namespace")));
    else {
      for (const problem of dns1123LabelProblems(meta.namespace)) {
        errors.push(invalid(path.child("namespace"), meta.namespace, problem));
      }
    }
  } else if (meta.namespace) {
    errors.push(forbidden(path.child("namespace"), "not allowed on this type"));
  }
  if ((meta.generation ?? 0) < 0) {
    errors.push(invalid(path.child("generation"), meta.generation, "must be greater than or equal to 0"));
  }
  errors.push(...validateLabels(meta.labels, path.child("labels")));
  errors.push(...validateAnnotations(meta.annotations, path.child("annotations")));
  errors.push(...validateOwnerReferences(meta.ownerReferences, path.child("ownerReferences")));
  errors.push(...validateFinalizers(meta.finalizers, path.child("finalizers")));
  errors.push(...validateManagedFields(meta.managedFields, path.child("managedFields")));
  if (!anyFinalizers) errors.push(...validFinalizerDomains(meta.finalizers, path.child("finalizers")));
  return errors;
}

/** What an update may not change. Both objects are complete; the new one's own fields are checked by validateObjectMeta. */
export function validateObjectMetaUpdate(
  next: ObjectMeta,
  previous: ObjectMeta,
  path: FieldPath = metadata,
): FieldError[] {
  const errors: FieldError[] = [];
  if (previous.deletionTimestamp) {
    const added = (next.finalizers ?? []).filter((finalizer) => !previous.finalizers?.includes(finalizer));
    if (added.length > 0) {
      const list = added.toSorted().map((finalizer) => JSON.stringify(finalizer));
      errors.push(
        forbidden(
          path.child("finalizers"),
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list.join(", ")}}`,
        ),
      );
    }
  }
  if (!next.resourceVersion) errors.push(invalid(path.child("resourceVersion"), 0, "must be specified for an update"));
  if ((next.generation ?? 0) < (previous.generation ?? 0)) {
    errors.push(invalid(path.child("generation"), next.generation ?? 0, "must not be decremented"));
  }
  for (const field of immutableFields) {
    if (next[field] !== previous[field]) {
      errors.push(
        invalid(
          path.child(field),
          next[field] ?? (field === "name" || field === "namespace" || field === "uid" ? "" : null),
          "field is immutable",
        ),
      );
    }
  }
  return errors;
}

/** What is wrong with those parts of the metadata that updates may change, but for finalizers. */
export function validateChangeableMeta(meta: ObjectMeta, path: FieldPath = metadata): FieldError[] {
  return [
    ...validateLabels(meta.labels, path.child("labels")),
    ...validateAnnotations(meta.annotations, path.child("annotations")),
    ...validateOwnerReferences(meta.ownerReferences, path.child("ownerReferences")),
    ...validateManagedFields(meta.managedFields, path.child("managedFields")),
  ];
}

const immutableFields = [
  "name",
  "namespace",
  "uid",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
] as const;

export function validateLabels(labels: Record<string, string> | undefined, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  for (const [key, value] of sortedEntries(labels)) {
    errors.push(...validateLabelKey(key, path));
    for (const problem of labelValueProblems(value)) errors.push(invalid(path, value, problem));
  }
  return errors;
}

export function validateLabelKey(key: string, path: FieldPath): FieldError[] {
  return qualifiedNameProblems(key).map((problem) => invalid(path, key, problem));
}

export function validateAnnotations(annotations: Record<string, string> | undefined, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  let characters = 0;
  for (const [key, value] of sortedEntries(annotations)) {
    // Upper case is forgiven in annotation keys.
    for (const problem of qualifiedNameProblems(key.toLowerCase())) errors.push(invalid(path, key, problem));
    characters += key.length + value.length;
  }
  // Characters are never more than bytes nor less than a third of them: most objects need no encoding to be found small.
  if (characters * 3 > totalAnnotationBytes && annotationBytes(annotations) > totalAnnotationBytes) {
    errors.push(tooLong(path, totalAnnotationBytes));
  }
  return errors;
}

function annotationBytes(annotations: Record<string, string> | undefined): number {
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    bytes += utf8Length(key) + utf8Length(value);
  }
  return bytes;
}

function validateOwnerReferences(references: OwnerReference[] | undefined, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  let controller = "";
  for (const reference of references ?? []) {
    errors.push(...validateOwnerReference(reference, path));
    if (!reference.controller) continue;
    const name = `${reference.kind}/${reference.name}`;
    if (controller) {
      const detail = `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${name}`;
      errors.push(invalid(path, references, detail));
    } else {
      controller = name;
    }
  }
  return errors;
}

function validateOwnerReference(reference: OwnerReference, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const groupVersion = reference.apiVersion ? parseApiVersion(reference.apiVersion) : undefined;
  if (reference.apiVersion && !groupVersion) {
    errors.push(
      invalid(
        path.child("apiVersion"),
        reference.apiVersion,
        `unexpected GroupVersion string: ${reference.apiVersion}`,
      ),
    );
  }
  if (!groupVersion?.version)
    errors.push(invalid(path.child("apiVersion"), reference.apiVersion ?? "", "version must not be empty"));
  if (!reference.kind) errors.push(invalid(path.child("kind"), reference.kind ?? "", "must not be empty"));
  if (!reference.name) errors.push(invalid(path.child("name"), reference.name ?? "", "must not be empty"));
  if (!reference.uid) errors.push(invalid(path.child("uid"), reference.uid ?? "", "must not be empty"));
  if (groupVersion?.group === "" && groupVersion.version === "v1" && reference.kind === "Event") {
    errors.push(invalid(path, reference, "/v1, Kind=Event is disallowed from being an owner"));
  }
  return errors;
}

/** Names that others might choose too. */
export function validFinalizerDomains(finalizers: readonly string[] | undefined, path: FieldPath): FieldError[] {
  const detail = "name is neither a standard finalizer name nor is it fully qualified";
  return (finalizers ?? []).flatMap((finalizer, index) =>
    isUnmistakable(finalizer) ? [] : [invalid(path.index(index), finalizer, detail)],
  );
}

function validateFinalizers(finalizers: string[] | undefined, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  for (const finalizer of finalizers ?? []) errors.push(...validateFinalizerName(finalizer, path));
  if (finalizers?.includes("orphan") && finalizers.includes("foregroundDeletion")) {
    errors.push(invalid(path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set"));
  }
  return errors;
}

const isUnmistakable = (finalizer: string): boolean => finalizer.includes("/") || standardFinalizers.has(finalizer);

/** What writers of finalizers hear that others might choose too. Those that were there before are let be. */
export function finalizerWarnings(next: ObjectMeta, previous: ObjectMeta | undefined): string[] {
  return (next.finalizers ?? [])
    .filter((finalizer) => !isUnmistakable(finalizer) && !previous?.finalizers?.includes(finalizer))
    .map(
      (finalizer) =>
        `metadata.finalizers: ${JSON.stringify(finalizer)}: prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers`,
    );
}

export function validateFinalizerName(name: string, path: FieldPath): FieldError[] {
  return qualifiedNameProblems(name).map((problem) => invalid(path, name, problem));
}

function validateManagedFields(entries: ManagedFieldsEntry[] | undefined, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, entry] of (entries ?? []).entries()) {
    const at = path.index(index);
    if (entry.operation !== "Apply" && entry.operation !== "Update") {
      errors.push(invalid(at.child("operation"), entry.operation ?? "", "must be `Apply` or `Update`"));
    }
    if (entry.fieldsType && entry.fieldsType !== "FieldsV1") {
      errors.push(invalid(at.child("fieldsType"), entry.fieldsType, "must be `FieldsV1`"));
    }
    if (utf8Length(entry.manager ?? "") > maximumManagerLength)
      errors.push(tooLong(at.child("manager"), maximumManagerLength));
    if (utf8Length(entry.subresource ?? "") > 256) errors.push(tooLong(at.child("subresource"), 256));
  }
  return errors;
}

function sortedEntries(map: Record<string, string> | undefined): [string, string][] {
  if (!map) return [];
  const entries = Object.entries(map);
  return entries.length > 1 ? entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)) : entries;
}
