/** Strategic merge as kustomize does it, which is not the API server's: what the patch says of a list comes first, and the directives are fewer. Upstream's counterpart is kyaml's merge2. */
import type { FieldSchema, TypeSchema, ValueSchema } from "../../api/schema.ts";
import { encodeYaml } from "../../apimachinery/serializer/yaml.ts";
import { CommandError } from "../command-error.ts";
import { sortKeys } from "../printers/printable.ts";
import { textOf } from "./resource.ts";

type Fields = Record<string, unknown>;

/** What merging asks of a type. */
export interface MergeSchema {
  field(name: string): MergeSchema | undefined;
  items(): MergeSchema | undefined;
  /** The keys by which a list's items are told from each other; none for lists of scalars; undefined where lists are replaced. */
  mergeKeys?: readonly string[];
}

/** `dest` with the patch in it; both may be changed. Undefined where the patch deletes it. */
export function merged(dest: unknown, patch: unknown, schema?: MergeSchema): unknown {
  const kind = kindName(dest) ?? kindName(patch);
  for (const value of [dest, patch]) {
    const found = kindName(value);
    if (found && found !== kind) {
      const shown = typeof value === "object" ? encodeYaml(sortKeys(value)) : `${textOf(value)}\n`;
      throw new CommandError(`wrong node kind: expected ${kind} but got ${found}: node contents:\n${shown}`);
    }
  }
  if (kind === "SequenceNode") {
    if (schema?.mergeKeys) return mergedList(dest as unknown[], patch as unknown[], schema, schema.mergeKeys);
    return patch === undefined ? dest : (patch ?? undefined);
  }
  if (kind === "ScalarNode") return patch === undefined ? dest : (patch ?? undefined);
  return mergedMap(dest, patch, schema);
}

function kindName(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value)) return "SequenceNode";
  return typeof value === "object" ? "MappingNode" : "ScalarNode";
}

function mergedMap(dest: unknown, patch: unknown, schema: MergeSchema | undefined): unknown {
  if (dest === undefined || dest === null) {
    if (patch === undefined) return dest;
    if (patch === null || takeDirective(patch as Fields) === "delete") return undefined;
    return eachField(patch as Fields, patch as Fields, schema);
  }
  if (patch === null) return undefined;
  const directive = patch === undefined ? "merge" : takeDirective(patch as Fields);
  if (directive === "delete") return undefined;
  return eachField(
    (directive === "replace" ? patch : dest) as Fields,
    patch as Fields | undefined,
    schema,
    dest as Fields,
  );
}

function eachField(result: Fields, patch: Fields | undefined, schema: MergeSchema | undefined, dest = result): Fields {
  for (const name of new Set([...Object.keys(dest), ...Object.keys(patch ?? {})])) {
    const before = result[name];
    if (before === null && patch?.[name] === undefined) continue;
    const value = merged(before, patch?.[name], schema?.field(name));
    if (value === undefined || value === null) delete result[name];
    else result[name] = value;
  }
  return result;
}

/** Removes the directive, which would otherwise stay. */
function takeDirective(patch: Fields): string {
  const directive = patch["$patch"];
  if (directive === undefined) return "merge";
  return checkedDirective(directive, () => delete patch["$patch"]);
}

function checkedDirective(directive: unknown, take: () => void): string {
  const text = textOf(directive);
  if (!["delete", "replace", "merge"].includes(text)) throw new CommandError(`unknown patch strategy '${text}'`);
  take();
  return text;
}

function mergedList(
  dest: unknown[] | null | undefined,
  patch: unknown[] | null | undefined,
  schema: MergeSchema,
  mergeKeys: readonly string[],
): unknown {
  let base = dest;
  if (base === undefined || base === null) {
    if (!patch) return undefined;
    base = patch;
  } else {
    if (patch === null) return undefined;
    const directive = patch ? takeListDirective(patch) : "merge";
    if (directive === "delete") return undefined;
    if (directive === "replace") base = patch!;
  }
  if (!patch) return base;
  const keys = mergeKeys.length > 0 ? mergeKeys : [""];
  return mergedItems(base, patch, schema.items(), keys);
}

function takeListDirective(patch: unknown[]): string {
  const at = patch.findIndex((item) => kindName(item) === "MappingNode" && "$patch" in (item as Fields));
  if (at < 0 || Object.keys(patch[at] as Fields).length > 1) return "merge";
  return checkedDirective((patch[at] as Fields)["$patch"], () => patch.splice(at, 1));
}

/** An item's value of each key, empty where it has none. */
type KeyValues = readonly string[];

function mergedItems(
  dest: unknown[],
  patch: unknown[],
  schema: MergeSchema | undefined,
  keys: readonly string[],
): unknown[] {
  let all = distinct([...patch, ...dest].map((item) => keys.map((key) => keyValue(item, key))));
  if (keys.length > 1) all = completed(all);
  const used = keys.filter((_, i) => all.some((values) => values[i] !== ""));
  const valid = used.length > 0 ? used : keys;
  const added: unknown[] = [];
  let rest = dest;
  for (const values of all) {
    const itemKeys = valid.filter((key) => values[keys.indexOf(key)] !== "" || used.length === 0);
    const itemValues = itemKeys.map((key) => values[keys.indexOf(key)]!);
    const find = (list: unknown[]) =>
      list.find((item) => itemKeys.every((key, i) => hasValue(item, key, itemValues[i]!)));
    const [before, change] = [find(rest), find(patch)];
    const item = merged(before, change, schema);
    const validValues = valid.map((key) => values[keys.indexOf(key)]!);
    if (item === undefined || item === null || isEmptyMap(item)) {
      rest = withItem(rest, valid, validValues);
      continue;
    }
    if (kindName(item) === "MappingNode") {
      for (const [i, key] of valid.entries()) {
        if (!(key in (item as Fields)) && validValues[i]) (item as Fields)[key] = validValues[i];
      }
    }
    added.splice(0, added.length, ...withItem(added, valid, validValues, item));
  }
  return behind(added, rest, valid);
}

/** What was there before takes its place again, or comes last where it has not all keys. */
function behind(list: unknown[], dest: readonly unknown[], keys: readonly string[]): unknown[] {
  let result = list;
  for (const item of dest) {
    if (keys[0] === "") {
      result = withItem(result, [""], [textOf(item)], item);
      continue;
    }
    const values: string[] = [];
    for (const key of keys) {
      if (kindName(item) === "MappingNode" && key in (item as Fields)) values.push(keyValue(item, key));
      else result = [...result, item];
    }
    if (keys.length > 1) result = withItem(result, keys, values);
    result = withItem(result, keys, values, item);
  }
  return result;
}

/** Replaces the items that have the values, else appends; without an item removes them. */
function withItem(list: readonly unknown[], keys: readonly string[], values: KeyValues, item?: unknown): unknown[] {
  let isThere = false;
  const result = list.flatMap((each) => {
    if (isEmptyMap(each)) return [];
    // Without any value nothing fits and nothing stays: so it is upstream.
    if (values.length === 0) return [];
    if (!keys.every((key, i) => i >= values.length || hasValue(each, key, values[i]!))) return [each];
    isThere = true;
    return item === undefined ? [] : [item];
  });
  return isThere || item === undefined ? result : [...result, item];
}

const isEmptyMap = (value: unknown): boolean =>
  kindName(value) === "MappingNode" && Object.keys(value as Fields).length === 0;

const keyValue = (item: unknown, key: string): string =>
  key === "" ? textOf(item) : kindName(item) === "MappingNode" ? textOf((item as Fields)[key]) : "";

function hasValue(item: unknown, key: string, value: string): boolean {
  if (key === "") return textOf(item) === value;
  if (kindName(item) !== "MappingNode" || !(key in (item as Fields))) return false;
  return value === "" || textOf((item as Fields)[key]) === value;
}

function distinct(all: readonly KeyValues[]): KeyValues[] {
  const seen = new Map(all.map((values) => [JSON.stringify(values), values]));
  return [...seen.values()];
}

/** Where two agree in one key and the other says more, both say it. */
function completed(all: readonly KeyValues[]): KeyValues[] {
  const result = [...all];
  for (let i = 0; i < result.length; i++) {
    for (let j = 0; j < result.length; j++) {
      const joined = joinedValues(result[i]!, result[j]!);
      if (joined) result[i] = result[j] = joined;
    }
  }
  return result;
}

function joinedValues(a: KeyValues, b: KeyValues): KeyValues | undefined {
  if (a.some((value, i) => value !== b[i] && value !== "" && b[i] !== "")) return undefined;
  return a.some((value, i) => value === b[i]) ? a.map((value, i) => value || b[i]!) : undefined;
}

/** Of a built-in kind. */
export const builtInSchema = (type: TypeSchema): MergeSchema => ofValue({ kind: "struct", type, atomic: false });

function ofValue(value: ValueSchema, field?: FieldSchema): MergeSchema {
  const isMerged = field?.patchStrategy?.includes("merge");
  const listKeys = value.kind === "list" && value.mapKeys.length > 0 ? value.mapKeys : undefined;
  return {
    field(name) {
      if (value.kind === "map") return ofValue(value.values);
      const found = value.kind === "struct" ? value.type.byName.get(name) : undefined;
      return found && ofValue(found.value, found);
    },
    items: () => (value.kind === "list" ? ofValue(value.items) : undefined),
    ...(value.kind === "list" && isMerged
      ? { mergeKeys: listKeys ?? (field?.patchMergeKey ? [field.patchMergeKey] : []) }
      : {}),
  };
}

/** By `group/version/kind`, of an OpenAPI document that a kustomization brings (`openapi.path`). */
export function documentSchemas(document: unknown): ReadonlyMap<string, MergeSchema> {
  const definitions = ((document as Fields | null)?.["definitions"] ?? {}) as Record<string, Fields>;
  const schemas = new Map<string, MergeSchema>();
  for (const definition of Object.values(definitions)) {
    for (const each of (definition["x-kubernetes-group-version-kind"] ?? []) as Fields[]) {
      schemas.set(
        [each["group"] ?? "", each["version"], each["kind"]].join("/"),
        ofDefinition(definition, definitions),
      );
    }
  }
  return schemas;
}

function ofDefinition(given: Fields, definitions: Readonly<Record<string, Fields>>): MergeSchema {
  const reference = given["$ref"];
  const target = typeof reference === "string" ? definitions[reference.replace("#/definitions/", "")] : undefined;
  const definition = { ...target, ...given };
  const inner = (value: unknown) => (value ? ofDefinition(value as Fields, definitions) : undefined);
  const isMerged = String(definition["x-kubernetes-patch-strategy"] ?? "")
    .split(",")
    .includes("merge");
  const [listKeys, key] = [definition["x-kubernetes-list-map-keys"], definition["x-kubernetes-patch-merge-key"]];
  return {
    field: (name) =>
      inner((definition["properties"] as Fields | undefined)?.[name] ?? definition["additionalProperties"]),
    items: () => inner(definition["items"]),
    ...(isMerged ? { mergeKeys: (listKeys as string[] | undefined) ?? (key ? [String(key)] : []) } : {}),
  };
}
