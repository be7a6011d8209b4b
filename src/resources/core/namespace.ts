/** Namespaces: born Active, Terminating once deleted, gone when the finalizer `kubernetes` has been taken away. */
import type { Namespace } from "../../api/core/v1.ts";
import { type FieldError, FieldPath, invalid } from "../../apimachinery/field-error.ts";
import { qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { isStandardFinalizer } from "../../apimachinery/object-meta-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { each, obeys } from "../validation/rules.ts";

/** Names without a domain must be known ones. */
function validFinalizer(finalizer: string, path: FieldPath): FieldError[] {
  const errors = obeys(finalizer, qualifiedNameProblems, path);
  if (finalizer.includes("/") || isStandardFinalizer(finalizer)) return errors;
  const detail = "name is neither a standard finalizer name nor is it fully qualified";
  return [...errors, invalid(path, finalizer, detail)];
}

const nameLabel = "kubernetes.io/metadata.name";
const finalizersPath = FieldPath.root.child("spec", "finalizers");

export const namespaces = defineResource<Namespace>({
  ...served("v1", "namespaces"),
  metadataLooks: { update: ["whole", "change"] },
  validateName: "dns-label",
  defaults(namespace) {
    if (namespace.metadata.name)
      namespace.metadata.labels = { ...namespace.metadata.labels, [nameLabel]: namespace.metadata.name };
  },
  beforeCreate(namespace) {
    namespace.spec ??= {};
    const finalizers = namespace.spec.finalizers ?? [];
    if (!finalizers.includes("kubernetes")) namespace.spec.finalizers = [...finalizers, "kubernetes"];
    namespace.status = { phase: "Active" };
    namespace.metadata.labels = { ...namespace.metadata.labels, [nameLabel]: namespace.metadata.name ?? "" };
  },
  beforeUpdate(next, previous) {
    // Only the finalize subresource changes the finalizers in spec.
    next.spec = previous.spec;
    next.status = previous.status;
  },
  otherFinalizers: (namespace) => namespace.spec?.finalizers ?? [],
  beforeMarkedDeleted(namespace) {
    namespace.status = { ...namespace.status, phase: "Terminating" };
  },
  validate: (next, previous, { subresource }) => {
    const finalizers = next.spec?.finalizers;
    if (!previous) return (finalizers ?? []).flatMap((finalizer) => validFinalizer(finalizer, finalizersPath));
    return subresource === "finalize" ? each(finalizers, finalizersPath, validFinalizer) : [];
  },
  validateStatus: ({ metadata, status }) => {
    const phase = metadata.deletionTimestamp ? "Terminating" : "Active";
    if (status?.phase === phase) return [];
    const detail = `may only be '${phase}' if \`deletionTimestamp\` is ${phase === "Active" ? "empty" : "not empty"}`;
    return [invalid(FieldPath.root.child("status", "Phase"), status?.phase ?? "", detail)];
  },
  fieldSelectors: { "status.phase": (namespace) => namespace.status?.phase ?? "" },
  columns: [name, text("Status", (namespace) => namespace.status?.phase ?? ""), age],
});
