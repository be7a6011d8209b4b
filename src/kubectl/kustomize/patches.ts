/** A kustomization's patches: strategic merge patches by kind and name, and JSON patches by their targets. */
import { schemaForKind } from "../../api/schema.ts";
import { applyJsonPatch, readJsonPatch } from "../../apimachinery/patch/json.ts";
import { mergePatch } from "../../apimachinery/patch/merge.ts";
import { strategicMergePatch } from "../../apimachinery/patch/strategic.ts";
import { parseLabelSelector } from "../../apimachinery/selectors.ts";
import type { Unstructured } from "../api.ts";
import { CommandError } from "../command-error.ts";
import type { PatchEntry, Target } from "./kustomization.ts";
import { groupOf, hasHadName, idOf, type Resource } from "./resource.ts";

/** `documents` is what the patch's text holds. Resolves to the resources that are left. */
export function applyPatchEntry(
  resources: readonly Resource[],
  { target, options }: PatchEntry,
  documents: readonly unknown[],
): Resource[] {
  let left = [...resources];
  for (const document of documents) {
    if (Array.isArray(document)) {
      if (!target) throw new CommandError("must specify a target for JSON patch");
      const operations = readJsonPatch(document);
      for (const resource of left.filter((each) => isTarget(each, target))) {
        resource.object = applyJsonPatch(resource.object, operations) as Unstructured;
      }
      continue;
    }
    const patch = document as Unstructured;
    const chosen = left.filter((each) => (target ? isTarget(each, target) : isNamed(each, patch)));
    if (chosen.length === 0 && !target) {
      const id = idOf(patch);
      throw new CommandError(
        `no resource matches strategic merge patch ${JSON.stringify(id)}: no matches for Id ${id}; failed to find unique target for patch ${id}`,
      );
    }
    for (const resource of chosen) {
      if ((patch as { $patch?: string }).$patch === "delete") left = left.filter((each) => each !== resource);
      else {
        const former = resource.object.metadata.name;
        resource.object = merged(resource.object, patch, options);
        // What names it follows.
        if (resource.object.metadata.name !== former) resource.formerNames.push(former);
      }
    }
  }
  return left;
}

/** Name and kind stay unless the entry says that they may change. */
function merged(object: Unstructured, patch: Unstructured, options: PatchEntry["options"]): Unstructured {
  const { apiVersion = "", kind = "", metadata } = object;
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  const schema = schemaForKind(group!, version!, kind);
  const changed = (schema ? strategicMergePatch(object, patch, schema) : mergePatch(object, patch)) as Unstructured;
  if (!options?.allowNameChange) changed.metadata.name = metadata.name;
  if (!options?.allowNameChange && metadata.namespace) changed.metadata.namespace = metadata.namespace;
  if (!options?.allowKindChange) Object.assign(changed, { apiVersion, kind });
  return changed;
}

function isNamed(resource: Resource, { apiVersion, kind, metadata }: Unstructured): boolean {
  const { object } = resource;
  if (object.kind !== kind || object.apiVersion !== apiVersion || !hasHadName(resource, metadata?.name)) return false;
  const namespaces = [object.metadata.namespace, ...resource.formerNamespaces];
  return metadata.namespace === undefined || namespaces.includes(metadata.namespace);
}

/** Each given field must fit; names are whole regular expressions. */
export function isTarget(resource: Resource, target: Target): boolean {
  const { object } = resource;
  const fits = (pattern: string | undefined, values: readonly (string | undefined)[]) =>
    !pattern || values.some((value) => new RegExp(`^(?:${pattern})$`).test(value ?? ""));
  const [version] = (object.apiVersion ?? "").split("/").reverse();
  return (
    fits(target.group, [groupOf(object)]) &&
    fits(target.version, [version]) &&
    fits(target.kind, [object.kind]) &&
    fits(target.name, [object.metadata.name, ...resource.formerNames]) &&
    fits(target.namespace, [object.metadata.namespace, ...resource.formerNamespaces]) &&
    (!target.labelSelector || parseLabelSelector(target.labelSelector).matches(object.metadata.labels ?? {})) &&
    (!target.annotationSelector ||
      parseLabelSelector(target.annotationSelector).matches(object.metadata.annotations ?? {}))
  );
}
