/** A kustomization's patches: strategic merge patches by kind and name, and JSON patches by their targets. */
import { schemaForKind } from "../../api/schema.ts";
import type { JsonPatchOperation } from "../../apimachinery/patch/json.ts";
import type { Unstructured } from "../api.ts";
import { CommandError } from "../command-error.ts";
import { resourcesIn } from "./documents.ts";
import { operationsIn, withOperations } from "./json-patches.ts";
import type { PatchEntry, Target } from "./kustomization.ts";
import { builtInSchema, type MergeSchema, merged } from "./merge.ts";
import { append, idOf, kindOf, type Resource, rememberId, selectTargets, showId, theOneFor } from "./resource.ts";

/** Changes the resources that it is given; those that are deleted are gone from the list. */
export type Change = (resources: Resource[]) => void;

/** The types of kinds, where a kustomization brings its own: by `group/version/kind`. */
export type Schemas = ReadonlyMap<string, MergeSchema> | undefined;

/** `text` is what the patch says; `shown` what messages call it. */
export function patchOf(text: string, shown: string, { target, options }: PatchEntry, schemas: Schemas): Change {
  const strategic = attempt(() => resourcesIn(text));
  const operations = attempt(() => operationsIn(text));
  if (strategic?.length && operations?.length) {
    throw new CommandError(`illegally qualifies as both an SM and JSON patch: ${shown}`);
  }
  if (!strategic && !operations) throw new CommandError(`unable to parse SM or JSON patch from ${shown}`);
  if (!strategic) {
    return (resources) => {
      if (!target) throw new CommandError(`must specify a target for JSON patch ${shown}`);
      applyOperations(resources, target, operations!, true);
    };
  }
  return (resources) => {
    if (strategic.length === 0) return;
    if (!target) {
      for (const patch of strategic) applyStrategic([theTarget(resources, patch)], patch, options, schemas);
      dropDeleted(resources);
      return;
    }
    if (strategic.length > 1) {
      throw new CommandError(
        `Multiple Strategic-Merge Patches in one \`patches\` entry is not allowed to set \`patches.target\` field: ${shown}`,
      );
    }
    applyStrategic(selectTargets(resources, target), strategic[0]!, options, schemas);
    dropDeleted(resources, true);
  };
}

/** Patches that name their objects themselves. */
export function strategicPatches(patches: readonly Resource[], schemas: Schemas): Change {
  return (resources) => {
    for (const patch of patches) {
      applyStrategic([theOneFor(resources, idOf(patch))], patch, undefined, schemas);
      dropDeleted(resources, true);
    }
  };
}

export function jsonPatch(text: string, path: string, target: Target): Change {
  let operations: JsonPatchOperation[];
  try {
    operations = operationsIn(text);
  } catch (error) {
    throw new CommandError(`decoding ${text}: ${(error as Error).message}`);
  }
  if (operations.length === 0) {
    throw new CommandError(`patch appears to be empty; file=${path}, JsonOp=${text}`);
  }
  return (resources) => applyOperations(resources, target, operations, false);
}

function theTarget(resources: readonly Resource[], patch: Resource): Resource {
  try {
    return theOneFor(resources, idOf(patch));
  } catch (error) {
    const shown = JSON.stringify(showId(idOf(patch)));
    throw new CommandError(`no resource matches strategic merge patch ${shown}: ${(error as Error).message}`);
  }
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

function applyOperations(
  resources: readonly Resource[],
  target: Target,
  operations: readonly JsonPatchOperation[],
  remembers: boolean,
): void {
  for (const resource of selectTargets(resources, target)) {
    if (remembers) rememberId(resource);
    resource.object = withOperations(resource.object, operations) as Unstructured;
  }
}

/** Name and kind stay unless the entry says that they may change; the namespace always stays. */
function applyStrategic(
  targets: readonly Resource[],
  patch: Resource,
  options: PatchEntry["options"],
  schemas: Schemas,
): void {
  for (const resource of targets) {
    const { apiVersion = "", kind = "", metadata } = resource.object;
    const { name, namespace } = metadata;
    if (options?.allowNameChange || options?.allowKindChange) rememberId(resource);
    const content = structuredClone(patch.object);
    const result = merged(resource.object, { ...content, apiVersion }, schemaOf(resource.object, schemas));
    if (result === undefined || Object.keys(result as object).length === 0) {
      resource.object = {} as Unstructured;
      continue;
    }
    resource.object = result as Unstructured;
    resource.object.metadata ??= { name };
    if (!options?.allowKindChange) resource.object.kind = kind;
    if (!options?.allowNameChange) resource.object.metadata.name = name;
    if (namespace) resource.object.metadata.namespace = namespace;
    else delete resource.object.metadata.namespace;
  }
}

function schemaOf(object: Unstructured, schemas: Schemas): MergeSchema | undefined {
  const { group, version, kind } = kindOf(object);
  if (schemas) return schemas.get([group, version, kind].join("/"));
  const type = schemaForKind(group, version, kind);
  return type && builtInSchema(type);
}

function dropDeleted(resources: Resource[], refusesTwins = false): void {
  const left = resources.filter(({ object }) => Object.keys(object).length > 0);
  resources.length = 0;
  if (refusesTwins) append(resources, left);
  else resources.push(...left);
}
