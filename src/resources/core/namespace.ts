/** Namespaces: born Active, Terminating once deleted, gone when the finalizer `kubernetes` has been taken away. */
import type { Namespace } from "../../api/core/v1.ts";
import { FieldPath } from "../../apimachinery/field-error.ts";
import { qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { each, obeys } from "../validation/rules.ts";

const nameLabel = "kubernetes.io/metadata.name";
const finalizersPath = FieldPath.root.child("spec", "finalizers");

export const namespaces = defineResource<Namespace>({
  ...served("v1", "namespaces"),
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
    namespace.metadata.labels = { ...namespace.metadata.labels, [nameLabel]: namespace.metadata.name };
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
  validate: (next) =>
    each(next.spec?.finalizers, finalizersPath, (finalizer, at) => obeys(finalizer, qualifiedNameProblems, at)),
  fieldSelectors: { "status.phase": (namespace) => namespace.status?.phase ?? "" },
  columns: [name, text("Status", (namespace) => namespace.status?.phase ?? ""), age],
});
