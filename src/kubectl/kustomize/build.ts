/** Builds a kustomization: the objects of its resources with everything done to them that it and those around it say. */
import { lstatSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { encodeYaml, parseYaml, parseYamlStream } from "../../apimachinery/serializer/yaml.ts";
import type { Unstructured } from "../api.ts";
import { CommandError } from "../command-error.ts";
import { sortKeys } from "../printers/printable.ts";
import { generate, nameSuffix } from "./generate.ts";
import { checkedKustomization, type Kustomization, type PatchEntry, type Replacement } from "./kustomization.ts";
import { fixReferences } from "./name-references.ts";
import { applyPatchEntry } from "./patches.ts";
import { applyReplacement } from "./replacements.ts";
import { idOf, inOrder, type Resource, rename, resourceOf } from "./resource.ts";
import { setAnnotations, setImages, setLabels, setNamespace, setPrefixAndSuffix, setReplicas } from "./transform.ts";

const fileNames = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/** In the order in which they should be created. Throws a CommandError in kustomize's words. `warn` gets whole lines; `helm`: charts are allowed. */
export function buildKustomization(folder: string, warn: (line: string) => void, helm = false): Unstructured[] {
  const path = resolve(folder);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat) {
    throw new CommandError(
      `must build at directory: not a valid directory: evalsymlink failure on '${folder}' : lstat ${folder}: no such file or directory`,
    );
  }
  const order = readKustomization(path, () => {}).sortOptions;
  const resources = build(path, [], warn, helm);
  for (const resource of resources) {
    if (!resource.needsHash) continue;
    const { object } = resource;
    rename(resource, `${object.metadata.name}-${nameSuffix(object)}`);
  }
  fixReferences(resources);
  return inOrder(resources, order).map(({ object }) => object);
}

function build(
  folder: string,
  given: readonly Resource[],
  warn: (line: string) => void,
  helm: boolean,
  /** The folders that this one is built for. */
  above: readonly string[] = [],
): Resource[] {
  const kustomization = readKustomization(folder, warn);
  let resources = [...given];
  for (const entry of [...(kustomization.resources ?? []), ...(kustomization.bases ?? [])]) {
    const found = accumulate(folder, entry, warn, helm, [...above, folder]);
    refuseTwins(resources, found, folder, entry);
    resources.push(...found);
  }
  for (const component of kustomization.components ?? []) {
    resources = build(join(folder, component), resources, warn, helm, [...above, folder]);
  }
  const [chart] = kustomization.helmCharts ?? [];
  if (chart) refuseChart(chart, helm);
  for (const entry of kustomization.configMapGenerator ?? []) {
    resources = generate("ConfigMap", entry, kustomization.generatorOptions, folder, resources);
  }
  for (const entry of kustomization.secretGenerator ?? []) {
    resources = generate("Secret", entry, kustomization.generatorOptions, folder, resources);
  }
  return transform(kustomization, folder, resources);
}

function transform(kustomization: Kustomization, folder: string, resources: Resource[]): Resource[] {
  const { namespace, namePrefix = "", nameSuffix = "", commonLabels, commonAnnotations, images } = kustomization;
  let left = resources;
  for (const text of kustomization.patchesStrategicMerge ?? []) {
    left = applyPatchEntry(left, {}, documents(text.includes("\n") ? text : readText(join(folder, text), text)));
  }
  for (const entry of kustomization.patches ?? []) left = applyPatchEntry(left, entry, patchOf(folder, entry));
  if (namespace) setNamespace(left, namespace);
  if (namePrefix || nameSuffix) setPrefixAndSuffix(left, namePrefix, nameSuffix);
  if (commonLabels) setLabels(left, { pairs: commonLabels, includeSelectors: true });
  for (const entry of kustomization.labels ?? []) setLabels(left, entry);
  if (commonAnnotations) setAnnotations(left, commonAnnotations);
  for (const entry of kustomization.patchesJson6902 ?? []) left = applyPatchEntry(left, entry, patchOf(folder, entry));
  for (const { name, count } of kustomization.replicas ?? []) {
    if (setReplicas(left, name, count)) continue;
    throw new CommandError(
      `resource with name ${name} does not match a config with the following GVK [Deployment.[noVer].[noGrp] StatefulSet.[noVer].[noGrp] ReplicaSet.[noVer].[noGrp] ReplicationController.[noVer].[noGrp]]`,
    );
  }
  if (images) setImages(left, images);
  if (kustomization.buildMetadata?.includes("managedByLabel")) {
    setLabels(left, { pairs: { "app.kubernetes.io/managed-by": "kustomize-(devel)" } });
  }
  for (const entry of kustomization.replacements ?? []) {
    for (const replacement of replacementsOf(folder, entry)) applyReplacement(left, replacement);
  }
  return left;
}

function replacementsOf(folder: string, entry: Replacement): Replacement[] {
  if (!entry.path) return [entry];
  return documents(readText(join(folder, entry.path), entry.path)).flat() as Replacement[];
}

function patchOf(folder: string, { path, patch }: PatchEntry): unknown[] {
  if (path && patch) throw new CommandError("patch and path can't be set at the same time");
  if (!path && !patch) throw new CommandError("must specify one of patch and path in patch");
  return documents(patch ?? readText(join(folder, path!), path!));
}

const documents = (text: string): unknown[] =>
  parseYamlStream(text)
    .map(({ value }) => value)
    .filter((value) => value !== null && value !== undefined);

function readKustomization(folder: string, warn: (line: string) => void): Kustomization {
  for (const name of fileNames) {
    const file = join(folder, name);
    if (!lstatSync(file, { throwIfNoEntry: false })) continue;
    const text = readFileSync(file, "utf8");
    if (text.trim() === "") throw new CommandError(`${name} is empty`);
    const kustomization = checkedKustomization(parseYaml(text).value, folder);
    for (const [field, successor] of Object.entries(successors)) {
      if (!(field in kustomization)) continue;
      warn(
        `# Warning: '${field}' is deprecated. Please use '${successor}' instead. Run 'kustomize edit fix' to update your Kustomization automatically.\n`,
      );
    }
    return kustomization;
  }
  throw new CommandError(
    `unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '${folder}'`,
  );
}

const successors: Readonly<Record<string, string>> = {
  bases: "resources",
  commonLabels: "labels",
  patchesStrategicMerge: "patches",
  patchesJson6902: "patches",
};

/** A file of objects, or a folder with a kustomization of its own. */
function accumulate(
  folder: string,
  entry: string,
  warn: (line: string) => void,
  helm: boolean,
  above: readonly string[],
): Resource[] {
  if (/^(https?:\/\/|git@|github\.com\/)/.test(entry)) {
    throw new CommandError(
      `accumulating resources: ${JSON.stringify(entry)}: resources from elsewhere are not supported by this kubectl yet; download them first`,
    );
  }
  const path = join(folder, entry);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat) {
    const missing = `evalsymlink failure on '${path}' : lstat ${path}: no such file or directory`;
    throw new CommandError(
      `accumulating resources: accumulation err='accumulating resources from '${entry}': ${missing}': must build at directory: not a valid directory: ${missing}`,
    );
  }
  const visited = above.find((each) => each === path || each.startsWith(`${path}/`));
  if (stat.isDirectory() && visited) {
    throw new CommandError(
      `accumulating resources: accumulation err='accumulating resources from '${entry}': '${path}' must resolve to a file': cycle detected: candidate root '${path}' contains visited root '${visited}'`,
    );
  }
  if (stat.isDirectory()) return build(path, [], warn, helm, above);
  const objects = documents(readFileSync(path, "utf8")) as Unstructured[];
  return objects.flatMap((object) =>
    object.kind === "List" && Array.isArray(object["items"])
      ? (object["items"] as Unstructured[]).map(resourceOf)
      : [resourceOf(object)],
  );
}

/** Charts are Helm's to read. */
function refuseChart(chart: object, isEnabled: boolean): never {
  const text = encodeYaml(sortKeys(chart));
  throw new CommandError(
    isEnabled
      ? 'the field "helmCharts" of kustomizations is not supported by this kubectl: "helm template" writes what a chart makes, which resources may then name'
      : `trouble configuring builtin HelmChartInflationGenerator with config: \`\n${text}\`: must specify --enable-helm`,
  );
}

function refuseTwins(present: readonly Resource[], found: readonly Resource[], folder: string, entry: string): void {
  const seen = new Set(present.map(({ object }) => idOf(object)));
  for (const { object } of found) {
    const id = idOf(object);
    if (seen.has(id)) {
      const merging = `merging resources from '${entry}': may not add resource with an already registered id: ${id}`;
      throw new CommandError(
        `accumulating resources: accumulation err='${merging}': must build at directory: '${join(folder, entry)}': file is not directory`,
      );
    }
    seen.add(id);
  }
}

function readText(path: string, shown: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    throw new CommandError(
      `unable to load patch ${JSON.stringify(shown)}: evalsymlink failure on '${path}' : lstat ${path}: no such file or directory`,
    );
  }
}
