/** Who owns an object's number of replicas, as seen through its Scale, and back (upstream: managedfields.ScaleHandler). */
import type { ManagedFieldsEntry } from "../../api/meta/v1.ts";
import { type FieldSet, fieldSetOf, intersection } from "./field-set.ts";
import { isWriter, type ManagedFields, makeEntry, sortEntries, withoutFields } from "./managed-fields.ts";

const scaleApiVersion = "autoscaling/v1";
const replicasOfScale = fieldSetOf(["f:spec", "f:replicas"]);

/** The entries that own the field at `path` (dotted), as owners of a Scale's `spec.replicas`. */
export function managersOfScale(entries: ManagedFields | undefined, path: string): ManagedFieldsEntry[] {
  const replicas = fieldSetAt(path);
  return (entries ?? [])
    .filter((entry) => intersection(entry.fieldsV1 as FieldSet, replicas))
    .map((entry) => ({ ...entry, apiVersion: scaleApiVersion, fieldsV1: replicasOfScale }));
}

/** The object's entries after its Scale's have become `scaled`: whoever lost the replicas there loses them here. */
export function managersFromScale(
  entries: ManagedFields | undefined,
  scaled: ManagedFields | undefined,
  path: string,
  apiVersion: string,
): ManagedFieldsEntry[] {
  const replicas = fieldSetAt(path);
  const owners = new Set(scaled);
  const kept = (entries ?? []).flatMap((entry) => {
    if (!intersection(entry.fieldsV1 as FieldSet, replicas)) return [entry];
    const owner = [...owners].find((one) => isSameManager(one, entry));
    if (!owner) return withoutFields([entry], () => replicas);
    owners.delete(owner);
    return [entry];
  });
  const gained = [...owners].map(({ manager = "", operation, subresource = "", time = "" }) =>
    makeEntry({ manager, operation: operation as "Apply" | "Update", subresource, time, apiVersion }, replicas),
  );
  return sortEntries([...kept, ...gained]);
}

function isSameManager(one: ManagedFieldsEntry, { manager = "", operation, subresource = "" }: ManagedFieldsEntry) {
  const apiVersion = one.apiVersion ?? "";
  return isWriter(one, { manager, operation: operation as "Apply" | "Update", subresource, apiVersion, time: "" });
}

function fieldSetAt(path: string): FieldSet {
  const steps = path.split(".").filter((step) => step !== "");
  return fieldSetOf(steps.map((step) => `f:${step}`));
}
