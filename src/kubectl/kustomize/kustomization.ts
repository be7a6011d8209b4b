/** What a kustomization file may say, as far as it is understood here. */
import { CommandError } from "../command-error.ts";

export interface Target {
  group?: string;
  version?: string;
  kind?: string;
  name?: string;
  namespace?: string;
  labelSelector?: string;
  annotationSelector?: string;
}

export interface PatchEntry {
  path?: string;
  patch?: string;
  target?: Target;
  options?: { allowNameChange?: boolean; allowKindChange?: boolean };
}

export interface GeneratorOptions {
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  disableNameSuffixHash?: boolean;
  immutable?: boolean;
}

export interface GeneratorEntry {
  name: string;
  namespace?: string;
  behavior?: "create" | "merge" | "replace";
  type?: string;
  literals?: string[];
  files?: string[];
  envs?: string[];
  env?: string;
  options?: GeneratorOptions;
}

export interface LabelsEntry {
  pairs: Record<string, string>;
  includeSelectors?: boolean;
  includeTemplates?: boolean;
}

export interface ImageEntry {
  name: string;
  newName?: string;
  newTag?: string;
  tagSuffix?: string;
  digest?: string;
}

/** How a part of a text is meant instead of all of it. */
export interface ReplacementOptions {
  delimiter?: string;
  index?: number;
  /** Fields that are missing are made. */
  create?: boolean;
}

export interface Replacement {
  /** A file that says what follows, once or in a list. */
  path?: string;
  source?: Target & { fieldPath?: string; options?: ReplacementOptions };
  targets?: { select?: Target; reject?: Target[]; fieldPaths?: string[]; options?: ReplacementOptions }[];
}

export interface Kustomization {
  apiVersion?: string;
  kind?: string;
  metadata?: object;
  resources?: string[];
  bases?: string[];
  components?: string[];
  namePrefix?: string;
  nameSuffix?: string;
  namespace?: string;
  labels?: LabelsEntry[];
  commonLabels?: Record<string, string>;
  commonAnnotations?: Record<string, string>;
  images?: ImageEntry[];
  replicas?: { name: string; count: number }[];
  patches?: PatchEntry[];
  patchesStrategicMerge?: string[];
  patchesJson6902?: PatchEntry[];
  configMapGenerator?: GeneratorEntry[];
  secretGenerator?: GeneratorEntry[];
  generatorOptions?: GeneratorOptions;
  replacements?: Replacement[];
  helmCharts?: object[];
  buildMetadata?: string[];
  sortOptions?: SortOptions;
}

/** How the objects stand in the end: as they came, or by kind, some kinds first and some last. */
export interface SortOptions {
  order?: "fifo" | "legacy";
  legacySortOptions?: { orderFirst?: string[]; orderLast?: string[] };
}

const understood = new Set([
  "apiVersion",
  "kind",
  "metadata",
  "resources",
  "bases",
  "components",
  "namePrefix",
  "nameSuffix",
  "namespace",
  "labels",
  "commonLabels",
  "commonAnnotations",
  "images",
  "replicas",
  "patches",
  "patchesStrategicMerge",
  "patchesJson6902",
  "configMapGenerator",
  "secretGenerator",
  "generatorOptions",
  "replacements",
  "helmCharts",
  "helmGlobals",
  "buildMetadata",
  "sortOptions",
]);
/** Known to kustomize, not to us: better an error than objects that lack something. */
const notUnderstood = new Set([
  "vars",
  "generators",
  "transformers",
  "validators",
  "configurations",
  "crds",
  "openapi",
  "inventory",
]);

/** Throws a CommandError for fields that do not exist, and for those that are not understood here. */
export function checkedKustomization(value: unknown, folder: string): Kustomization {
  const kustomization = (value ?? {}) as Kustomization;
  if (!["Kustomization", "Component"].includes(kustomization.kind ?? "Kustomization")) {
    throw new CommandError(
      `Failed to read kustomization file under ${folder}:\nkind should be Kustomization or Component`,
    );
  }
  const annotations = kustomization.buildMetadata?.find((each) => each !== "managedByLabel");
  if (annotations) {
    throw new CommandError(`buildMetadata ${JSON.stringify(annotations)} is not supported by this kubectl yet`);
  }
  for (const field of Object.keys(kustomization)) {
    if (notUnderstood.has(field)) {
      throw new CommandError(
        `the field ${JSON.stringify(field)} of kustomizations is not supported by this kubectl yet`,
      );
    }
    if (!understood.has(field))
      throw new CommandError(`invalid Kustomization: json: unknown field ${JSON.stringify(field)}`);
  }
  expectTexts("commonLabels", kustomization.commonLabels);
  expectTexts("commonAnnotations", kustomization.commonAnnotations);
  for (const [i, { pairs }] of (kustomization.labels ?? []).entries()) expectTexts(`labels.${i}.pairs`, pairs);
  return kustomization;
}

/** `y` and `1` are no texts in YAML unless they stand in quotes. */
function expectTexts(place: string, map: Readonly<Record<string, unknown>> = {}): void {
  for (const [key, value] of Object.entries(map ?? {})) {
    if (typeof value === "string" || value === null) continue;
    const type = typeof value === "boolean" ? "bool" : typeof value === "object" ? "object" : "number";
    throw new CommandError(
      `invalid Kustomization: json: cannot unmarshal ${type} into Go struct field Kustomization.${place}.${key} of type string`,
    );
  }
}
