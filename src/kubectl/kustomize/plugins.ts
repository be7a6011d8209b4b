/** kustomize's built-in transformers by their kinds: the kustomization's own fields configure them, and so do objects of `transformers`. */
import { basename } from "node:path";
import { encodeYaml, parseYaml } from "../../apimachinery/serializer/yaml.ts";
import { CommandError } from "../command-error.ts";
import { sortKeys } from "../printers/printable.ts";
import { MalformedYaml, resourcesIn } from "./documents.ts";
import { type FieldSpec, setEntries } from "./field-specs.ts";
import { nameSuffix } from "./generate.ts";
import type { ImageEntry, PatchEntry, Replacement, SortOptions, Target } from "./kustomization.ts";
import type { Loader } from "./loader.ts";
import { type Change, jsonPatch, patchOf, type Schemas, strategicPatches } from "./patches.ts";
import { applyReplacement } from "./replacements.ts";
import { type Resource, rememberId, selectTargets } from "./resource.ts";
import { sortResources } from "./sort.ts";
import { addValue, setAffix, setImages, setNamespace, setReplicas, subjectModes } from "./transform.ts";

export interface PluginHelp {
  loader: Loader;
  schemas: Schemas;
}

/** `config` is what the object says beside its kind; its types are the user's affair, as they are upstream's. */
type Transformer = (config: never, help: PluginHelp) => Promise<Change> | Change;

/** Configures first, and changes later: all are configured before the first one changes anything. */
export const transformers: Readonly<Record<string, Transformer>> = {
  AnnotationsTransformer: ({ annotations, fieldSpecs = [] }: { annotations?: Record<string, string> } & Specs) => {
    return (resources) => {
      for (const { object } of resources) setEntries(object, fieldSpecs, annotations ?? {});
    };
  },
  HashTransformer: () => addHashes,
  ImageTagTransformer: ({ imageTag = {}, fieldSpecs = [] }: { imageTag?: ImageEntry } & Specs) => {
    return (resources) => setImages(resources, imageTag, fieldSpecs);
  },
  LabelTransformer: ({ labels, fieldSpecs = [] }: { labels?: Record<string, string> } & Specs) => {
    return (resources) => {
      for (const { object } of resources) setEntries(object, fieldSpecs, labels ?? {});
    };
  },
  NamespaceTransformer: (config: NamespaceConfig) => {
    const { metadata, fieldSpecs: specs = [], unsetOnly, setRoleBindingSubjects: subjects = "" } = config;
    if (subjects && !subjectModes.includes(subjects)) {
      const [first, second, third] = subjectModes.map((mode) => JSON.stringify(mode));
      throw new CommandError(
        `invalid value ${JSON.stringify(subjects)} for setRoleBindingSubjects: must be one of ${first}, ${second} or ${third}`,
      );
    }
    const namespace = metadata?.namespace;
    return (resources) => {
      if (!namespace) return;
      setNamespace(resources, namespace, {
        specs,
        ...(unsetOnly ? { unsetOnly } : {}),
        ...(subjects ? { subjects } : {}),
      });
    };
  },
  PatchTransformer: configuredPatch,
  PatchStrategicMergeTransformer: configuredStrategicPatches,
  PatchJson6902Transformer: configuredJsonPatch,
  PrefixTransformer: ({ prefix = "", fieldSpecs }: { prefix?: string } & Specs) => affix({ prefix }, fieldSpecs),
  SuffixTransformer: ({ suffix = "", fieldSpecs }: { suffix?: string } & Specs) => affix({ suffix }, fieldSpecs),
  PrefixSuffixTransformer: ({ prefix = "", suffix = "", fieldSpecs }: { prefix?: string; suffix?: string } & Specs) => {
    const [before, behind] = [affix({ prefix }, fieldSpecs), affix({ suffix }, fieldSpecs)];
    return (resources) => {
      before(resources);
      behind(resources);
    };
  },
  ReplacementTransformer: async ({ replacements = [] }: { replacements?: Replacement[] }, { loader }) => {
    const all: Replacement[] = [];
    for (const entry of replacements) all.push(...(await replacementsOf(entry, loader)));
    return (resources) => {
      for (const each of all) applyReplacement(resources, each);
    };
  },
  ReplicaCountTransformer: ({
    replica = {},
    fieldSpecs = [],
  }: { replica?: { name?: string; count?: number } } & Specs) => {
    return (resources) => setReplicas(resources, replica, fieldSpecs);
  },
  SortOrderTransformer: ({ sortOptions }: { sortOptions?: SortOptions }) => {
    return (resources) => sortResources(resources, sortOptions ?? { order: "fifo" });
  },
  ValueAddTransformer: configuredValue,
};

interface Specs {
  fieldSpecs?: FieldSpec[];
}

interface NamespaceConfig extends Specs {
  metadata?: { namespace?: string };
  unsetOnly?: boolean;
  setRoleBindingSubjects?: string;
}

function affix(part: { prefix?: string; suffix?: string }, specs: FieldSpec[] | undefined): Change {
  if (!specs) throw new CommandError("fieldSpecs is not expected to be nil");
  return (resources) => setAffix(resources, part, specs);
}

export function addHashes(resources: readonly Resource[]): void {
  for (const resource of resources) {
    if (!resource.needsHash) continue;
    rememberId(resource);
    resource.object.metadata.name += `-${nameSuffix(resource.object)}`;
  }
}

async function configuredPatch(entry: PatchEntry, { loader, schemas }: PluginHelp): Promise<Change> {
  const { path = "", patch = "" } = entry;
  const given = patch.trim();
  const shown = () => encodeYaml(sortKeys(entry));
  if (!given && !path) throw new CommandError(`must specify one of patch and path in\n${shown()}`);
  if (given && path) throw new CommandError(`patch and path can't be set at the same time\n${shown()}`);
  if (given) return patchOf(given, `[patch: ${goQuoted(given)}]`, entry, schemas);
  let text: string;
  try {
    text = (await loader.load(path)).toString();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(`failed to get the patch file from path(${path}): ${error.message}`);
  }
  return patchOf(text, `[path: ${goQuoted(path)}]`, entry, schemas);
}

const goQuoted = (text: string): string => JSON.stringify(text);

async function configuredStrategicPatches(
  { paths = [], patches = "" }: { paths?: string[]; patches?: string },
  { loader, schemas }: PluginHelp,
): Promise<Change> {
  if (paths.length === 0 && !patches) throw new CommandError("empty file path and empty patch content");
  const all: Resource[] = [];
  for (const path of paths) all.push(...(await strategicIn(path, loader)));
  if (patches) all.push(...resourcesIn(patches));
  if (all.length === 0) {
    throw new CommandError(`patch appears to be empty; files=[${paths.join(" ")}], Patch=${patches}`);
  }
  return strategicPatches(all, schemas);
}

/** A text that is a patch, else a file that holds one. */
async function strategicIn(path: string, loader: Loader): Promise<Resource[]> {
  try {
    return resourcesIn(path);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
  }
  const text = (await loader.load(path)).toString();
  try {
    return resourcesIn(text);
  } catch (error) {
    if (error instanceof MalformedYaml) throw new MalformedYaml(`${error.message} in File: ${path}`);
    throw error;
  }
}

async function configuredJsonPatch(
  { target, path = "", jsonOp = "" }: { target?: Target; path?: string; jsonOp?: string },
  { loader }: PluginHelp,
): Promise<Change> {
  if (!target?.name) throw new CommandError("must specify the target name");
  if (!path && !jsonOp) throw new CommandError("empty file path and empty jsonOp");
  if (path && jsonOp) throw new CommandError("must specify a file path or jsonOp, not both");
  const text = jsonOp || (await loader.load(path)).toString();
  if (!text) throw new CommandError(`patch file '${path}' empty seems to be empty`);
  return jsonPatch(text, path, target);
}

async function replacementsOf(entry: Replacement, loader: Loader): Promise<Replacement[]> {
  const { path, source, targets = [] } = entry;
  if (!path) return [entry];
  if (source || targets.length > 0) throw new CommandError("cannot specify both path and inline replacement");
  const { value } = parseYaml((await loader.load(path)).toString());
  if (Array.isArray(value)) return value as Replacement[];
  if (typeof value === "object" && value !== null) return [value as Replacement];
  const kind =
    value === null ? "invalid" : typeof value === "number" ? "float64" : typeof value === "boolean" ? "bool" : "string";
  throw new CommandError(`unsupported replacement type encountered within replacement path: ${kind}`);
}

async function configuredValue(
  config: { value?: string; targets?: ValueTarget[]; targetFilePath?: string },
  { loader }: PluginHelp,
): Promise<Change> {
  const { targets = [], targetFilePath } = config;
  const value = config.value?.trim() || basename(loader.root);
  const all = [...targets];
  if (targetFilePath) {
    const listed = parseYaml((await loader.load(targetFilePath)).toString()).value as {
      targets?: ValueTarget[];
    } | null;
    all.push(...(listed?.targets ?? []));
  }
  if (all.length === 0) throw new CommandError("must specify at least one target");
  for (const { fieldPath, filePathPosition = 0 } of all) {
    if (!fieldPath) throw new CommandError("fieldPath cannot be empty");
    if (filePathPosition < 0) {
      throw new CommandError(`value of FilePathPosition (${filePathPosition}) cannot be negative`);
    }
  }
  return (resources) => {
    for (const { selector, fieldPath = "", filePathPosition = 0 } of all) {
      const chosen = selector ? selectTargets(resources, selector) : resources;
      addValue(chosen, value, { fieldPath, filePathPosition });
    }
  };
}

interface ValueTarget {
  selector?: Target;
  fieldPath?: string;
  filePathPosition?: number;
}
