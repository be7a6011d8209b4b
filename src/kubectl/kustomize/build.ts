/** Builds a kustomization: the objects of its resources with everything done to them that it and those around it say. */

import { join } from "node:path";
import { DecodeError } from "../../apimachinery/serializer/decode-error.ts";
import { encodeYaml, parseYaml } from "../../apimachinery/serializer/yaml.ts";
import type { Unstructured } from "../api.ts";
import { CommandError } from "../command-error.ts";
import { sortKeys } from "../printers/printable.ts";
import { MalformedYaml, resourcesIn } from "./documents.ts";
import { type FieldSpec, setEntries } from "./field-specs.ts";
import { absorb, type GeneratedKind, generated } from "./generate.ts";
import {
  checkedKustomization,
  type GeneratorEntry,
  type Kustomization,
  type LabelsEntry,
  type Variable,
} from "./kustomization.ts";
import { HttpError, Loader, type LoaderOptions } from "./loader.ts";
import { documentSchemas } from "./merge.ts";
import { fixReferences } from "./name-references.ts";
import { type Origin, originAt, showOrigin, showTransformations } from "./origin.ts";
import type { Change, Schemas } from "./patches.ts";
import { addHashes, transformers } from "./plugins.ts";
import { annotationsOf, append, idOf, kindOf, labelsOf, type Resource, sameId, showId } from "./resource.ts";
import { sortResources } from "./sort.ts";
import {
  configOfDefinitions,
  defaultConfig,
  emptyConfig,
  mergeConfigs,
  mergeSpecs,
  type TransformerConfig,
} from "./transformer-config.ts";
import { addVariables, mergeVariables, resolveVariables, showVariables } from "./variables.ts";

export interface BuildOptions extends LoaderOptions {
  /** Gets whole lines. */
  warn(line: string): void;
  /** Gets what kustomize would log. */
  log(message: string): void;
  /** Charts are allowed. */
  helm: boolean;
}

/** In the order in which they should be created. Rejects with a CommandError in kustomize's words. */
export async function buildKustomization(target: string, options: BuildOptions): Promise<Unstructured[]> {
  const loader = await Loader.at(target, options);
  try {
    const top = await Build.load(loader, options);
    return await top.objects();
  } finally {
    loader.close();
  }
}

/** What has been gathered so far: the objects, which fields hold what, and the variables. */
interface Gathered {
  resources: Resource[];
  config: TransformerConfig;
  variables: Map<string, Variable>;
}

const nothing = (): Gathered => ({ resources: [], config: emptyConfig(), variables: new Map() });

/** A change with what it is called in annotations. */
interface Step {
  change: Change;
  origin: Origin | undefined;
}

const fileNames = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

class Build {
  readonly #loader: Loader;
  readonly #options: BuildOptions;
  readonly #kustomization: Kustomization;
  readonly #fileName: string;
  /** One for the whole tree: the first kustomization that brings types settles it. */
  #schemas: { types: Schemas; isSet: boolean } = { types: undefined, isSet: false };
  #origin: Origin | undefined;

  private constructor(loader: Loader, options: BuildOptions, kustomization: Kustomization, fileName: string) {
    this.#loader = loader;
    this.#options = options;
    this.#kustomization = kustomization;
    this.#fileName = fileName;
  }

  static async load(loader: Loader, options: BuildOptions): Promise<Build> {
    const found: [name: string, text: string][] = [];
    for (const name of fileNames) {
      try {
        found.push([name, (await loader.load(name)).toString()]);
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
      }
    }
    const [first] = found;
    if (!first) {
      throw new CommandError(
        `unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '${loader.root}'`,
      );
    }
    if (found.length > 1) throw new CommandError(`Found multiple kustomization files under: ${loader.root}\n`);
    const [name, text] = first;
    let value: unknown;
    try {
      value = parseYaml(text).value;
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw new CommandError(`invalid Kustomization: ${error.message}`);
    }
    return new Build(loader, options, checkedKustomization(value, loader.root, options.warn), name);
  }

  async objects(): Promise<Unstructured[]> {
    await this.#useTypes();
    const { buildMetadata = [], sortOptions } = this.#kustomization;
    if (buildMetadata.length > 0) this.#origin = {};
    const { resources, config, variables } = await this.#gather(nothing());
    addHashes(resources);
    fixReferences(resources, config.nameReference);
    const unused = resolveVariables(resources, variables, config.varReference);
    if (unused.length > 0) {
      this.#options.log(`well-defined vars that were never replaced: ${unused.join(",")}`);
    }
    const left = resources.filter((each) => {
      const local = annotationsOf(each)["config.kubernetes.io/local-config"];
      return local === undefined || local === "false";
    });
    sortResources(left, sortOptions);
    const managed = { "app.kubernetes.io/managed-by": "kustomize-(devel)" };
    const labelled = [{ path: "metadata/labels", create: true }];
    for (const resource of left) {
      if (buildMetadata.includes("managedByLabel")) setEntries(resource.object, labelled, managed);
      annotate(resource, buildMetadata);
    }
    return left.map(({ object }) => object);
  }

  async #useTypes(): Promise<void> {
    const { openapi = {} } = this.#kustomization;
    const document = openapi["path"] === undefined ? undefined : (await this.#loader.load(openapi["path"])).toString();
    if (this.#schemas.isSet) return;
    const { version } = openapi;
    if (document !== undefined) {
      if (version !== undefined) {
        throw new CommandError("builtin version and custom schema provided, cannot use both");
      }
      Object.assign(this.#schemas, { types: documentSchemas(parseYaml(document).value), isSet: true });
    } else if (version) {
      if (version !== "v1.21.2" && version !== "v1.20.4") {
        throw new CommandError("the specified OpenAPI version is not built in");
      }
      this.#schemas.isSet = true;
    }
  }

  async #gather(gathered: Gathered): Promise<Gathered> {
    const { resources = [], components = [], configurations = [], crds = [], vars = [] } = this.#kustomization;
    let now = await prefixed("accumulating resources", () => this.#addPaths(gathered, resources));
    now.config = mergeConfigs(now.config, await this.#ownConfig(configurations));
    const defined = await prefixed(`loading CRDs [${crds.join(" ")}]`, () => this.#definedConfig(crds));
    now.config = mergeConfigs(now.config, defined);
    await this.#generate(now);
    now = await prefixed("accumulating components", () => this.#addComponents(now, components));
    for (const { change, origin } of [
      ...(await this.#ownSteps(now.config)),
      ...(await this.#namedSteps("transformers")),
    ]) {
      change(now.resources);
      if (origin)
        for (const resource of now.resources)
          resource.origin ? resource.transformations.push(origin) : (resource.origin = origin);
    }
    await this.#validate(now.resources);
    await prefixed(`merging vars ${showVariables(vars)}`, async () => addVariables(now.resources, now.variables, vars));
    return now;
  }

  async #ownConfig(paths: readonly string[]): Promise<TransformerConfig> {
    let config = defaultConfig();
    for (const path of paths) {
      const text = (await this.#loader.load(path)).toString();
      config = mergeConfigs(config, (parseYaml(text).value ?? {}) as Partial<TransformerConfig>);
    }
    return config;
  }

  async #definedConfig(paths: readonly string[]): Promise<TransformerConfig> {
    let config = emptyConfig();
    for (const path of paths) {
      const text = (await this.#loader.load(path)).toString();
      config = mergeConfigs(config, configOfDefinitions((parseYaml(text).value ?? {}) as Record<string, unknown>));
    }
    return config;
  }

  /** Files, folders with kustomizations of their own, and repositories with such. */
  async #addPaths(gathered: Gathered, paths: readonly string[]): Promise<Gathered> {
    let now = gathered;
    for (const path of paths) {
      const problem = await this.#addFile(now.resources, path);
      if (!problem) continue;
      if (problem instanceof HttpError) throw problem;
      let loader: Loader;
      try {
        loader = await this.#loader.below(path);
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        if (problem instanceof MalformedYaml) throw problem;
        throw new CommandError(`accumulation err='${problem.message}': ${error.message}`);
      }
      now = await prefixed(`accumulation err='${problem.message}'`, () => this.#addFolder(now, loader, path, false));
    }
    return now;
  }

  /** Resolves to what stands against it. */
  async #addFile(resources: Resource[], path: string): Promise<CommandError | undefined> {
    let found: Resource[];
    try {
      found = resourcesIn((await this.#loader.load(path)).toString());
      append([], found);
    } catch (error) {
      const message = `accumulating resources from '${path}': ${(error as Error).message}`;
      if (error instanceof HttpError) return new HttpError(message);
      if (error instanceof MalformedYaml) return new MalformedYaml(`${message} in File: ${path}`);
      if (error instanceof CommandError) return new CommandError(message);
      throw error;
    }
    if (this.#origin) for (const resource of found) resource.origin = originAt(this.#origin, path);
    try {
      append(resources, found);
    } catch (error) {
      return new CommandError(`merging resources from '${path}': ${(error as Error).message}`);
    }
    return undefined;
  }

  async #addComponents(gathered: Gathered, paths: readonly string[]): Promise<Gathered> {
    let now = gathered;
    for (const path of paths) {
      let loader: Loader;
      try {
        loader = await this.#loader.below(path);
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        throw new CommandError(`loader.New ${JSON.stringify(error.message)}`);
      }
      try {
        now = await this.#addFolder(now, loader, path, true);
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        throw new CommandError(`accumulateDirectory: ${JSON.stringify(error.message)}`);
      }
    }
    return now;
  }

  async #addFolder(gathered: Gathered, loader: Loader, path: string, isComponent: boolean): Promise<Gathered> {
    try {
      const below = await prefixed(`couldn't make target for path '${loader.root}'`, () =>
        Build.load(loader, this.#options),
      );
      below.#schemas = this.#schemas;
      below.#origin = this.#origin && originAt(this.#origin, path);
      await below.#useTypes();
      const { kind } = below.#kustomization;
      if (isComponent && kind !== "Component") {
        throw new CommandError(`expected kind 'Component' for path '${loader.root}' but got '${kind}'`);
      }
      if (!isComponent && kind === "Component") {
        throw new CommandError(`expected kind != 'Component' for path '${loader.root}'`);
      }
      const recursed = `recursed accumulation of path '${loader.root}'`;
      if (isComponent) return await prefixed(recursed, () => below.#gather(gathered));
      const found = await prefixed(recursed, () => below.#gather(nothing()));
      return await prefixed(`recursed merging from path '${loader.root}'`, async () => {
        append(gathered.resources, found.resources);
        mergeVariables(gathered.variables, found.variables.values());
        return { ...gathered, config: mergeConfigs(gathered.config, found.config) };
      });
    } finally {
      loader.close();
    }
  }

  /** Helm is refused before anything is made. */
  async #generate({ resources }: Gathered): Promise<void> {
    const { configMapGenerator = [], secretGenerator = [], generatorOptions, helmCharts = [] } = this.#kustomization;
    const [chart] = helmCharts;
    if (chart) refuseChart(chart, this.#kustomization.namespace, this.#options.helm);
    const own = async (kind: GeneratedKind, entry: GeneratorEntry) => {
      const made = await generated(kind, entry, generatorOptions, this.#loader);
      if (this.#origin) made.origin = this.#configuredBy(`${kind}Generator`);
      addGenerated(resources, [made], `${kind}Generator`);
    };
    for (const entry of configMapGenerator) await own("ConfigMap", entry);
    for (const entry of secretGenerator) await own("Secret", entry);
    const configs = await prefixed("loading generator plugins", () => this.#pluginConfigs("generators"));
    for (const config of configs) {
      const kind = await prefixed("loading generator plugins: failed to load generator", async () =>
        generatorKind(config),
      );
      const entry = config.object as unknown as GeneratorEntry;
      const { metadata } = config.object;
      const named = { ...entry, name: entry.name || metadata.name, ...namespaceOf(entry, metadata.namespace) };
      const made = await generated(kind, named, undefined, this.#loader);
      if (this.#origin) made.origin = customOrigin(config);
      addGenerated(resources, [made], config.object.kind ?? "");
    }
  }

  #configuredBy(kind: string): Origin {
    const { repo, ref, path = "" } = this.#origin ?? {};
    return {
      ...(repo ? { repo } : {}),
      ...(ref ? { ref } : {}),
      configuredIn: join(path, this.#fileName),
      configuredBy: { apiVersion: "builtin", kind },
    };
  }

  /** Objects that configure plugins, in the kustomization itself or in files and folders that it names. */
  async #pluginConfigs(field: "generators" | "transformers" | "validators"): Promise<Resource[]> {
    const paths: string[] = [];
    const gathered = nothing();
    for (const entry of this.#kustomization[field] ?? []) {
      let inline: Resource[];
      try {
        inline = resourcesIn(entry);
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        paths.push(entry);
        continue;
      }
      if (this.#origin) for (const each of inline) each.origin = originAt(this.#origin, this.#fileName);
      const what = field === "generators" ? "generator" : "transformer";
      await prefixed(`configuring external ${what}`, async () => append(gathered.resources, inline));
    }
    return (await this.#addPaths(gathered, paths)).resources;
  }

  async #namedSteps(field: "transformers" | "validators"): Promise<Step[]> {
    const steps: Step[] = [];
    for (const config of await this.#pluginConfigs(field)) {
      const { object } = config;
      const id = showId(idOf(config));
      refuseExternal(config);
      const transformer = transformers[object.kind ?? ""];
      if (!transformer) {
        if (object.kind === "ConfigMapGenerator" || object.kind === "SecretGenerator") {
          throw new CommandError(`plugin ${id} not a transformer`);
        }
        throw new CommandError(`unable to load builtin ${id.split("/")[0]}`);
      }
      const change = await prefixed(`plugin ${id} fails configuration`, async () =>
        transformer(object as never, this.#help()),
      );
      steps.push({ change, origin: this.#origin && customOrigin(config) });
    }
    return steps;
  }

  #help() {
    return { loader: this.#loader, schemas: this.#schemas.types };
  }

  /** What the kustomization's own fields do, in kustomize's order. All is read before anything is changed. */
  async #ownSteps(config: TransformerConfig): Promise<Step[]> {
    const { namespace, namePrefix, nameSuffix, labels = [], commonLabels, commonAnnotations } = this.#kustomization;
    const { patches = [], patchesStrategicMerge = [], patchesJson6902 = [] } = this.#kustomization;
    const { replicas = [], images = [], replacements = [] } = this.#kustomization;
    const steps: [kind: string, config: object][] = [
      ...(patchesStrategicMerge.length > 0
        ? ([["PatchStrategicMergeTransformer", { paths: patchesStrategicMerge }]] as [string, object][])
        : []),
      ...patches.map((entry): [string, object] => ["PatchTransformer", withoutEmpty(entry)]),
      ...only("NamespaceTransformer", namespace, { metadata: { namespace }, fieldSpecs: config.namespace }),
      ...only("PrefixTransformer", namePrefix, { prefix: namePrefix, fieldSpecs: config.namePrefix }),
      ...only("SuffixTransformer", nameSuffix, { suffix: nameSuffix, fieldSpecs: config.nameSuffix }),
      ...labels.map((entry): [string, object] => [
        "LabelTransformer",
        { labels: entry.pairs ?? {}, fieldSpecs: labelSpecs(entry, config) },
      ]),
      // Once more, as for the old field, even where it is not there: kustomize counts it.
      ...(labels.length > 0 || commonLabels
        ? ([["LabelTransformer", { labels: commonLabels ?? {}, fieldSpecs: config.commonLabels }]] as [
            string,
            object,
          ][])
        : []),
      ...only("AnnotationsTransformer", commonAnnotations && Object.keys(commonAnnotations).length > 0, {
        annotations: commonAnnotations,
        fieldSpecs: config.commonAnnotations,
      }),
      ...patchesJson6902.map(({ target, path, patch }): [string, object] => [
        "PatchJson6902Transformer",
        withoutEmpty({ target, path, jsonOp: patch }),
      ]),
      ...replicas.map((replica): [string, object] => [
        "ReplicaCountTransformer",
        { replica, fieldSpecs: config.replicas },
      ]),
      ...images.map((imageTag): [string, object] => ["ImageTagTransformer", { imageTag, fieldSpecs: config.images }]),
      ...only("ReplacementTransformer", replacements.length > 0, { replacements }),
    ];
    const configured: Step[] = [];
    for (const [kind, entry] of steps) {
      const shown = `trouble configuring builtin ${kind} with config: \`\n${encodeYaml(sortKeys(entry))}\``;
      const change = await prefixed(shown, async () => transformers[kind]!(entry as never, this.#help()));
      configured.push({ change, origin: this.#origin && this.#configuredBy(kind) });
    }
    return configured;
  }

  async #validate(resources: Resource[]): Promise<void> {
    for (const { change } of await this.#namedSteps("validators")) {
      const content = ({ object }: Resource) => {
        const { "validated-by": _, ...labels } = labelsOf({ object } as Resource);
        return JSON.stringify(sortKeys({ ...object, metadata: { ...object.metadata, labels } }));
      };
      const before = resources.map((each) => [idOf(each), content(each)] as const);
      change(resources);
      const problem = "validator shouldn't modify the resource map: ";
      if (before.length !== resources.length)
        throw new CommandError(`${problem}lists have different number of entries`);
      for (const [id, text] of before) {
        const now = resources.find((each) => sameId(idOf(each), id));
        if (!now) throw new CommandError(`${problem}id in self missing from other; id: ${showId(id)}`);
        if (content(now) !== text) {
          const after = JSON.stringify(sortKeys(now.object));
          throw new CommandError(`${problem}nodes unequal: \n -- ${text},\n -- ${after}`);
        }
      }
    }
  }
}

const only = (kind: string, condition: unknown, config: object): [kind: string, config: object][] =>
  condition ? [[kind, config]] : [];

const withoutEmpty = (entry: object): object =>
  Object.fromEntries(
    Object.entries(entry).filter(([, value]) => value !== undefined && value !== "" && value !== null),
  );

async function prefixed<T>(prefix: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(`${prefix}: ${error.message}`);
  }
}

function labelSpecs(entry: LabelsEntry, config: TransformerConfig): FieldSpec[] {
  const { includeSelectors, includeTemplates, fields = [] } = entry;
  try {
    const specs = mergeSpecs(fields, config.labels);
    if (includeSelectors) return mergeSpecs(specs, config.commonLabels);
    const withTemplates = includeTemplates ? mergeSpecs(specs, config.templateLabels) : specs;
    return mergeSpecs(withTemplates, [{ path: "metadata/labels", create: true }]);
  } catch (error) {
    throw new CommandError(`failed to merge labels: ${(error as Error).message}`);
  }
}

/** Upstream's message names a place in memory where this one names the generator. */
function addGenerated(resources: Resource[], made: readonly Resource[], generator: string): void {
  try {
    for (const each of made) absorb(resources, each);
  } catch (error) {
    throw new CommandError(`merging from generator ${generator}: ${(error as Error).message}`);
  }
}

const namespaceOf = (entry: GeneratorEntry, given: string | undefined): { namespace?: string } => {
  const namespace = entry.namespace || given;
  return namespace ? { namespace } : {};
};

function generatorKind(config: Resource): GeneratedKind {
  refuseExternal(config);
  const { kind = "" } = config.object;
  if (kind === "ConfigMapGenerator") return "ConfigMap";
  if (kind === "SecretGenerator") return "Secret";
  const id = showId(idOf(config));
  if (kind === "HelmChartInflationGenerator") {
    throw new CommandError(`plugin ${id} fails configuration: must specify --enable-helm`);
  }
  if (kind in transformers) throw new CommandError(`plugin ${id} not a generator`);
  throw new CommandError(`unable to load builtin ${id.split("/")[0]}`);
}

function refuseExternal({ object }: Resource): void {
  const { group, version, kind } = kindOf(object);
  if (group === "" && version === "builtin") return;
  throw new CommandError(`external plugins disabled; unable to load external plugin '${kind}'`);
}

function customOrigin({ object, origin }: Resource): Origin {
  const { repo, ref, path } = origin ?? {};
  const { apiVersion = "", kind = "", metadata } = object;
  return {
    ...(repo ? { repo } : {}),
    ...(ref ? { ref } : {}),
    ...(path ? { configuredIn: path } : {}),
    configuredBy: {
      apiVersion,
      kind,
      name: metadata.name,
      ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
    },
  };
}

/** Charts are Helm's to read. */
function refuseChart(chart: object, namespace: string | undefined, isEnabled: boolean): never {
  const text = encodeYaml(sortKeys({ ...(namespace ? { namespace } : {}), ...chart }));
  throw new CommandError(
    isEnabled
      ? 'the field "helmCharts" of kustomizations is not supported by this kubectl: "helm template" writes what a chart makes, which resources may then name'
      : `trouble configuring builtin HelmChartInflationGenerator with config: \`\n${text}\`: must specify --enable-helm`,
  );
}

/** What it is and what was done to it where that is asked for; and annotations are texts, whatever they were. */
function annotate(resource: Resource, asked: readonly string[]): void {
  const { object, origin, transformations } = resource;
  const annotations: Record<string, string> = annotationsOf(resource);
  if (origin && asked.includes("originAnnotations")) annotations["config.kubernetes.io/origin"] = showOrigin(origin);
  if (transformations.length > 0 && asked.includes("transformerAnnotations")) {
    annotations["alpha.config.kubernetes.io/transformations"] = showTransformations(transformations);
  }
  if (Object.keys(annotations).length > 0) object.metadata.annotations = annotations;
  else delete object.metadata.annotations;
}
