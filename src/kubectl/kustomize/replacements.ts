/** A kustomization's replacements: a value of one object written into fields of others. Changes the resources that it is given. */
import { encodeYaml, parseYaml } from "../../apimachinery/serializer/yaml.ts";
import { CommandError } from "../command-error.ts";
import type { Slot } from "./field-specs.ts";
import type { Replacement, ReplacementOptions, Target } from "./kustomization.ts";
import { lookup, type Made, placesAt, splitFieldPath } from "./paths.ts";
import {
  formerIdsOf,
  hasLabelsAndAnnotations,
  idOf,
  isSelected,
  patternsOf,
  type Resource,
  type ResourceId,
  showId,
  textOf,
} from "./resource.ts";

export function applyReplacement(resources: readonly Resource[], { source, sourceValue, targets }: Replacement): void {
  if ((!source && sourceValue === undefined) || !targets) {
    throw new CommandError("replacements must specify a source and at least one target");
  }
  if (source && sourceValue !== undefined) {
    throw new CommandError("value and resource selectors are mutually exclusive");
  }
  const value = source ? valueAt(resources, source) : sourceValue;
  for (const { select, reject = [], fieldPaths = [], options = {} } of targets) {
    if (!select) throw new CommandError("target must specify resources to select");
    for (const resource of chosen(resources, select, reject)) {
      const paths = fieldPaths.length > 0 ? fieldPaths : ["metadata.name"];
      for (const path of paths) writeAt(resource, path, value, options, source === undefined);
    }
  }
}

const idsOf = (resource: Resource): ResourceId[] => [...formerIdsOf(resource), idOf(resource)].reverse();

function chosen(resources: readonly Resource[], select: Target, reject: readonly Target[]): Resource[] {
  const fits = (target: Target) => {
    const pattern = patternsOf(target);
    return (id: ResourceId) => pattern.kind(id) && pattern.name(id.name) && pattern.namespace(id.namespace);
  };
  const selects = fits(select);
  const namesObject = (target: Target) =>
    ["group", "version", "kind", "name", "namespace"].some((part) => target[part as keyof Target]);
  const rejects = reject.filter(namesObject).map(fits);
  const rejectors = reject.filter(({ labelSelector, annotationSelector }) => labelSelector || annotationSelector);
  return resources.filter((resource) => {
    const ids = idsOf(resource);
    return (
      hasLabelsAndAnnotations(resource, select) &&
      !rejectors.some((each) => hasLabelsAndAnnotations(resource, each)) &&
      !ids.some((id) => rejects.some((each) => each(id))) &&
      ids.some(selects)
    );
  });
}

/** A source is named, not matched by an expression. */
function valueAt(resources: readonly Resource[], source: NonNullable<Replacement["source"]>): unknown {
  const { fieldPath = "metadata.name", options = {}, name = "", namespace = "" } = source;
  const selector: ResourceId = { group: "", version: "", kind: "", ...source, name, namespace };
  const found = resources.filter((resource) =>
    idsOf(resource).some(
      (id) =>
        isSelected(id, selector) &&
        (!name || id.name === name) &&
        (!namespace || namespace === (id.namespace || "default")),
    ),
  );
  const shown = showSelector(selector, source.fieldPath, options);
  if (found.length > 1) throw new CommandError(`multiple matches for selector ${shown}`);
  const [only] = found;
  if (!only) throw new CommandError(`nothing selected by ${shown}`);
  const value = lookup(only.object, splitFieldPath(fieldPath));
  if (isNilOrEmpty(value)) {
    throw new CommandError(`fieldPath \`${fieldPath}\` is missing for replacement source ${showId(selector)}`);
  }
  const { delimiter, index = 0 } = options;
  if (!delimiter) return value;
  if (typeof value === "object") throw new CommandError("delimiter option can only be used with scalar nodes");
  const text = textOf(value);
  const parts = text.split(delimiter);
  if (index < 0 || index >= parts.length) {
    throw new CommandError(`options.index ${index} is out of bounds for value ${text}`);
  }
  return typeof value === "string" ? parts[index] : scalarOf(parts[index]!);
}

const isNilOrEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (typeof value === "object" && Object.keys(value).length === 0);

/** As kustomize shows it: the id, and what was said of the field. */
function showSelector(selector: ResourceId, fieldPath: string | undefined, options: ReplacementOptions): string {
  const { delimiter = "", index = 0, create = false } = options;
  const shownOptions = delimiter || create ? `${delimiter}(${index}), create=${create}` : "";
  const parts = [showId(selector), fieldPath ?? "", shownOptions].filter(Boolean);
  return parts.join(":");
}

function writeAt(
  { object }: Resource,
  path: string,
  value: unknown,
  options: ReplacementOptions,
  isGiven: boolean,
): void {
  const made = options.create ? madeFor(value) : undefined;
  const parts = splitFieldPath(path);
  if (writeInText(object, parts, value, made)) return;
  const missing = `unable to find ${made ? "or create " : ""}field ${JSON.stringify(path)} in replacement target`;
  let places: Slot[];
  try {
    places = placesAt(object, parts, made);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(`${missing}: ${error.message}`);
  }
  if (places.length === 0) throw new CommandError(missing);
  for (const place of places) write(place, value, options, isGiven);
}

const madeFor = (value: unknown): Made =>
  Array.isArray(value) ? "list" : typeof value === "object" && value !== null ? "map" : "scalar";

function write(
  { holder, key }: Slot,
  value: unknown,
  { delimiter, index = 0 }: ReplacementOptions,
  isGiven = false,
): void {
  const present = holder[key];
  if (delimiter) {
    if (typeof present === "object" && present !== null) {
      throw new CommandError("delimiter option can only be used with scalar nodes");
    }
    const parts = textOf(present).split(delimiter);
    if (index < 0) parts.unshift(textOf(value));
    else if (index >= parts.length) parts.push(textOf(value));
    else parts[index] = textOf(value);
    holder[key] = retyped(present, parts.join(delimiter));
    return;
  }
  if (typeof present === "object" && present !== null) {
    holder[key] = isGiven ? scalarOf(textOf(value)) : structuredClone(value);
    return;
  }
  if (typeof value === "object" && value !== null && present === undefined) {
    holder[key] = structuredClone(value);
    return;
  }
  holder[key] = retyped(present, textOf(value));
}

/** What is there keeps its type. */
function retyped(present: unknown, text: string): unknown {
  if (typeof present === "string") return text;
  const value = scalarOf(text);
  if (typeof present === "number" && typeof value !== "number") {
    const [tag, wanted] = [typeof value === "boolean" ? "bool" : "str", Number.isInteger(present) ? "int" : "float"];
    throw new CommandError(`map[string]interface {}(nil): yaml: cannot decode !!${tag} \`${text}\` as a !!${wanted}`);
  }
  if (typeof present === "boolean" && typeof value !== "boolean") {
    throw new CommandError(`map[string]interface {}(nil): yaml: cannot decode !!str \`${text}\` as a !!bool`);
  }
  return value;
}

/** What the text means where it stands without quotes. */
function scalarOf(text: string): unknown {
  if (/^(?:true|false)$/i.test(text)) return /^t/i.test(text);
  if (/^(?:null|~|)$/i.test(text)) return null;
  return /^[-+]?(?:0x[0-9a-f]+|0o[0-7]+|[0-9][0-9_]*(?:\.[0-9]*)?(?:e[-+]?[0-9]+)?|\.[0-9]+)$/i.test(text)
    ? Number(text.replaceAll("_", ""))
    : text;
}

/** Where the path leads into a text that is YAML or JSON itself, as of a ConfigMap. Whether it did. */
function writeInText(object: unknown, parts: readonly string[], value: unknown, made: Made | undefined): boolean {
  for (let i = 1; i < parts.length; i++) {
    const holder = lookup(object, parts.slice(0, i - 1)) as Record<string, unknown> | undefined;
    const text = lookup(object, parts.slice(0, i));
    if (typeof text === "object" || text === undefined) continue;
    return typeof text === "string" && writeWithin(holder!, parts[i - 1]!, text, parts.slice(i), value, made);
  }
  return false;
}

function writeWithin(
  holder: Record<string, unknown>,
  key: string,
  text: string,
  path: readonly string[],
  value: unknown,
  made: Made | undefined,
): boolean {
  let content: unknown;
  let places: Slot[];
  try {
    content = parseYaml(text).value;
    places = placesAt(content, path, made);
  } catch {
    return false;
  }
  if (places.length === 0) return false;
  try {
    for (const place of places) write(place, value, {});
  } catch {
    // A value that does not fit leaves the text as it is, and nothing is said.
    return true;
  }
  if (!/^\s*[{[]/.test(text)) holder[key] = encodeYaml(content).trim();
  else holder[key] = JSON.stringify(content, undefined, text.includes("\n") && text.includes("  ") ? 2 : undefined);
  return true;
}
