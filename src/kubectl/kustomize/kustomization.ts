/** What a kustomization file may say, and what its mistakes are called. */
import { CommandError } from "../command-error.ts";
import type { FieldSpec } from "./field-specs.ts";

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
  name?: string;
  namespace?: string;
  behavior?: string;
  type?: string;
  literals?: string[];
  files?: string[];
  envs?: string[];
  env?: string;
  options?: GeneratorOptions;
}

export interface LabelsEntry {
  pairs?: Record<string, string>;
  includeSelectors?: boolean;
  includeTemplates?: boolean;
  /** More places for the labels. */
  fields?: FieldSpec[];
}

export interface ImageEntry {
  name?: string;
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
  sourceValue?: string;
  targets?: { select?: Target; reject?: Target[]; fieldPaths?: string[]; options?: ReplacementOptions }[];
}

export interface Variable {
  name: string;
  objref: { apiVersion?: string; group?: string; version?: string; kind?: string; name?: string; namespace?: string };
  /** `metadata.name` if nothing is said. */
  fieldref?: { fieldPath?: string };
}

/** How the objects stand in the end: as they came, or by kind, some kinds first and some last. */
export interface SortOptions {
  order?: string;
  legacySortOptions?: { orderFirst?: string[]; orderLast?: string[] };
}

export interface Kustomization {
  apiVersion?: string;
  kind: string;
  metadata?: object;
  resources?: string[];
  components?: string[];
  generators?: string[];
  transformers?: string[];
  validators?: string[];
  configurations?: string[];
  crds?: string[];
  openapi?: Record<string, string>;
  namePrefix?: string;
  nameSuffix?: string;
  namespace?: string;
  labels?: LabelsEntry[];
  commonLabels?: Record<string, string>;
  commonAnnotations?: Record<string, string>;
  images?: ImageEntry[];
  replicas?: { name?: string; count?: number }[];
  patches?: PatchEntry[];
  patchesStrategicMerge?: string[];
  patchesJson6902?: PatchEntry[];
  configMapGenerator?: GeneratorEntry[];
  secretGenerator?: GeneratorEntry[];
  generatorOptions?: GeneratorOptions;
  replacements?: Replacement[];
  vars?: Variable[];
  helmCharts?: object[];
  buildMetadata?: string[];
  sortOptions?: SortOptions;
}

/** A field's type, with what Go calls it: its messages name that. */
type Shape =
  | { is: "text" | "flag" | "number"; go: string }
  | { is: "anything"; go?: string }
  | { is: "list"; go: string; of: Shape }
  | { is: "map"; go: string; of: Shape }
  | { is: "struct"; go: string; fields: Readonly<Record<string, Shape>> };

const text: Shape = { is: "text", go: "string" };
const flag: Shape = { is: "flag", go: "bool" };
const int: Shape = { is: "number", go: "int" };
const anything: Shape = { is: "anything" };
const list = (of: Shape): Shape => ({ is: "list", go: `[]${of.go ?? "interface {}"}`, of });
const mapOf = (of: Shape): Shape => ({ is: "map", go: `map[string]${of.go ?? "interface {}"}`, of });
const struct = (go: string, fields: Readonly<Record<string, Shape>>): Shape => ({
  is: "struct",
  go: `types.${go}`,
  fields,
});

const id = { group: text, version: text, kind: text, name: text, namespace: text };
const selector = struct("Selector", { ...id, labelSelector: text, annotationSelector: text });
const texts = list(text);
const textMap = mapOf(text);
const patch = (go: string) =>
  struct(go, {
    path: text,
    patch: text,
    target: selector,
    options: struct("PatchArgs", { allowNameChange: flag, allowKindChange: flag }),
  });
const generatorOptions = struct("GeneratorOptions", {
  labels: textMap,
  annotations: textMap,
  disableNameSuffixHash: flag,
  immutable: flag,
});
const generator = (go: string, more: Readonly<Record<string, Shape>> = {}) =>
  struct(go, {
    name: text,
    namespace: text,
    behavior: text,
    literals: texts,
    files: texts,
    envs: texts,
    env: text,
    options: generatorOptions,
    ...more,
  });
const image = struct("Image", { name: text, newName: text, tagSuffix: text, newTag: text, digest: text });
const fieldOptions = struct("FieldOptions", { delimiter: text, index: int, encoding: text, create: flag });
const replacement = struct("ReplacementField", {
  path: text,
  source: struct("SourceSelector", { ...id, fieldPath: text, options: fieldOptions }),
  sourceValue: text,
  targets: {
    is: "list",
    go: "[]*types.TargetSelector",
    of: struct("TargetSelector", {
      select: selector,
      reject: { is: "list", go: "[]*types.Selector", of: selector },
      fieldPaths: texts,
      options: fieldOptions,
    }),
  },
});
const fieldSpec = struct("FieldSpec", { group: text, version: text, kind: text, path: text, create: flag });
const chart = struct("HelmChart", {
  ...Object.fromEntries(
    [
      "name",
      "version",
      "repo",
      "releaseName",
      "namespace",
      "valuesFile",
      "valuesMerge",
      "kubeVersion",
      "nameTemplate",
    ].map((name) => [name, text]),
  ),
  ...Object.fromEntries(["includeCRDs", "skipHooks", "skipTests", "debug", "devel"].map((name) => [name, flag])),
  additionalValuesFiles: texts,
  apiVersions: texts,
  valuesInline: mapOf(anything),
});
const oldChart = struct("HelmChartArgs", {
  ...Object.fromEntries(
    [
      ...["chartName", "chartVersion", "chartRepoUrl", "chartHome", "chartRepoName", "helmBin", "helmHome"],
      ...["values", "valuesMerge", "releaseName", "releaseNamespace"],
    ].map((name) => [name, text]),
  ),
  valuesLocal: mapOf(anything),
  extraArgs: texts,
});

const shape = struct("Kustomization", {
  apiVersion: text,
  kind: text,
  metadata: struct("ObjectMeta", { name: text, namespace: text, labels: textMap, annotations: textMap }),
  openapi: textMap,
  namePrefix: text,
  nameSuffix: text,
  namespace: text,
  commonLabels: textMap,
  labels: list(
    struct("Label", { pairs: textMap, includeSelectors: flag, includeTemplates: flag, fields: list(fieldSpec) }),
  ),
  commonAnnotations: textMap,
  patchesStrategicMerge: {
    is: "list",
    go: "[]types.PatchStrategicMerge",
    of: { is: "text", go: "types.PatchStrategicMerge" },
  },
  patchesJson6902: list(patch("Patch")),
  patches: list(patch("Patch")),
  images: list(image),
  imageTags: list(image),
  replacements: list(replacement),
  replicas: list(struct("Replica", { name: text, count: { is: "number", go: "int64" } })),
  vars: list(
    struct("Var", {
      name: text,
      objref: struct("Target", { ...id, apiVersion: text }),
      fieldref: struct("FieldSelector", { fieldPath: text }),
    }),
  ),
  sortOptions: struct("SortOptions", {
    order: { is: "text", go: "types.SortOrder" },
    legacySortOptions: struct("LegacySortOptions", { orderFirst: texts, orderLast: texts }),
  }),
  ...Object.fromEntries(
    [
      ...["resources", "components", "crds", "bases", "configurations"],
      ...["generators", "transformers", "validators", "buildMetadata"],
    ].map((name) => [name, texts]),
  ),
  configMapGenerator: list(generator("ConfigMapArgs")),
  secretGenerator: list(generator("SecretArgs", { type: text })),
  helmGlobals: struct("HelmGlobals", { chartHome: text, configHome: text }),
  helmCharts: list(chart),
  helmChartInflationGenerator: list(oldChart),
  generatorOptions,
});

/**
 * What a kustomization's file says, with the names that fields had before where their successors stand now. `warn` gets a whole line for
 * each old one. Throws a CommandError in kustomize's words for fields that do not exist and for values of another type.
 */
export function checkedKustomization(value: unknown, folder: string, warn: (line: string) => void): Kustomization {
  let first: CommandError | undefined;
  const fields = checked(value, shape, [], (problem) => {
    first ??= new CommandError(`invalid Kustomization: json: ${problem}`);
  }) as Record<string, unknown> | null;
  if (first) throw first;
  for (const [field, successor] of Object.entries(successors)) {
    if (fields?.[field] === undefined || fields[field] === null) continue;
    const experimental = field === "vars" ? "[EXPERIMENTAL] " : "";
    warn(
      `# Warning: '${field}' is deprecated. Please use '${successor}' instead. ${experimental}Run 'kustomize edit fix' to update your Kustomization automatically.\n`,
    );
  }
  const { apiVersion, kind = "Kustomization", ...rest } = withoutNulls(fields ?? {});
  if (Object.values(rest).every(isZero)) throw new CommandError("kustomization.yaml is empty");
  const problems: string[] = [];
  const isComponent = kind === "Component";
  if (kind !== "Kustomization" && !isComponent) problems.push("kind should be Kustomization or Component");
  const wanted = `kustomize.config.k8s.io/${isComponent ? "v1alpha1" : "v1beta1"}`;
  if (apiVersion && apiVersion !== wanted) problems.push(`apiVersion for ${String(kind)} should be ${wanted}`);
  if (problems.length > 0) {
    throw new CommandError(`Failed to read kustomization file under ${folder}:\n${problems.join("\n")}`);
  }
  return withSuccessors({ ...rest, kind } as Kustomization & Record<string, unknown>);
}

const successors: Readonly<Record<string, string>> = {
  bases: "resources",
  commonLabels: "labels",
  imageTags: "images",
  patchesJson6902: "patches",
  patchesStrategicMerge: "patches",
  vars: "replacements",
};

function withSuccessors(kustomization: Kustomization & Record<string, unknown>): Kustomization {
  const { bases = [], imageTags = [], helmChartInflationGenerator = [], ...rest } = kustomization;
  const withEnvs = (entries: GeneratorEntry[] = []) =>
    entries.map(({ env, ...entry }) => (env ? { ...entry, envs: [...(entry.envs ?? []), env] } : entry));
  const charts = (helmChartInflationGenerator as Record<string, string>[]).map(
    ({ chartName, chartVersion, chartRepoUrl }) => ({
      ...(chartName ? { name: chartName } : {}),
      ...(chartRepoUrl ? { repo: chartRepoUrl } : {}),
      ...(chartVersion ? { version: chartVersion } : {}),
    }),
  );
  return {
    ...rest,
    resources: [...(rest.resources ?? []), ...(bases as string[])],
    images: [...(rest.images ?? []), ...(imageTags as ImageEntry[])],
    configMapGenerator: withEnvs(rest.configMapGenerator),
    secretGenerator: withEnvs(rest.secretGenerator),
    helmCharts: [...(rest.helmCharts ?? []), ...charts],
  };
}

function withoutNulls(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

/** An empty list counts as something, as for Go. */
const isZero = (value: unknown): boolean => value === "" || value === undefined || value === null;

/** The value with fields under their right names (capitals do not matter); problems in the order of the fields' names. */
function checked(value: unknown, type: Shape, path: readonly string[], problem: (text: string) => void): unknown {
  if (value === null || value === undefined || type.is === "anything") return value;
  const found = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : (typeof value as string);
  const wanted = { text: "string", flag: "bool", number: "number", list: "array", map: "object", struct: "object" }[
    type.is
  ];
  if (found !== wanted || (type.is === "number" && !Number.isInteger(value))) {
    const shown = type.is === "number" && found === "number" ? `number ${String(value)}` : found;
    const place = path.length > 0 ? `struct field Kustomization.${path.join(".")}` : "value";
    problem(`cannot unmarshal ${shown} into Go ${place} of type ${type.go}`);
    return undefined;
  }
  if (type.is === "list")
    return (value as unknown[]).map((item, i) => checked(item, type.of, [...path, String(i)], problem));
  if (type.is !== "map" && type.is !== "struct") return value;
  const result: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value as object).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (type.is === "map") {
      result[key] = checked(item, type.of, [...path, key], problem);
      continue;
    }
    const name =
      key in type.fields ? key : Object.keys(type.fields).find((each) => each.toLowerCase() === key.toLowerCase());
    if (name === undefined) problem(`unknown field ${JSON.stringify(key)}`);
    else result[name] = checked(item, type.fields[name]!, [...path, name], problem);
  }
  return result;
}
