/**
 * The patch of client-side apply: what the user changed since the last apply, over what others have made of the object.
 * What stood in the last applied object and is gone from the new one is deleted; everything else that others wrote stays.
 * https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/#how-apply-calculates-differences-and-merges-changes
 */
import type { TypeSchema, ValueSchema } from "../api/schema.ts";
import { deepEqual } from "../apimachinery/patch/deep-equal.ts";

type Fields = Record<string, unknown>;

/** A strategic merge patch where the type is known, else a JSON merge patch. An empty object: nothing to change. Pure. */
export function threeWayPatch(
  original: object,
  modified: object,
  current: object,
  type: TypeSchema | undefined,
): Fields {
  const schema: ValueSchema | undefined = type && { kind: "struct", type, atomic: false };
  return diffMaps(original as Fields, modified as Fields, current as Fields, schema) ?? {};
}

function isMap(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function diffMaps(
  original: Fields,
  modified: Fields,
  current: Fields,
  schema: ValueSchema | undefined,
): Fields | undefined {
  const patch: Fields = {};
  for (const key of Object.keys(original)) {
    const wanted = modified[key];
    if (wanted === undefined && original[key] !== null && current[key] !== undefined) patch[key] = null;
  }
  for (const [key, wanted] of Object.entries(modified)) {
    // A field that is null asks for nothing to be there.
    if (wanted === undefined || (wanted === null && current[key] === undefined)) continue;
    Object.assign(patch, diffField(key, original[key], wanted, current[key], schema));
  }
  return Object.keys(patch).length > 0 ? patch : undefined;
}

function diffField(
  key: string,
  original: unknown,
  wanted: unknown,
  current: unknown,
  schema: ValueSchema | undefined,
): Fields {
  const field = schema?.kind === "struct" ? schema.type.byName.get(key) : undefined;
  const value = field?.value ?? (schema?.kind === "map" ? schema.values : undefined);
  if (isMap(wanted) && isMap(current)) {
    const replaced = field?.patchStrategy?.includes("replace") || (value?.kind === "struct" && value.atomic);
    if (replaced && schema) return deepEqual(wanted, current) ? {} : { [key]: { $patch: "replace", ...wanted } };
    const inner = diffMaps(isMap(original) ? original : {}, wanted, current, value);
    if (!inner) return {};
    return {
      [key]: field?.patchStrategy?.includes("retainKeys") ? { $retainKeys: Object.keys(wanted), ...inner } : inner,
    };
  }
  if (Array.isArray(wanted) && Array.isArray(current) && field?.patchStrategy?.includes("merge")) {
    const before = Array.isArray(original) ? original : [];
    const items = value?.kind === "list" ? value.items : undefined;
    return field.patchMergeKey
      ? diffKeyedLists(key, field.patchMergeKey, before as Fields[], wanted as Fields[], current as Fields[], items)
      : diffSets(key, before, wanted, current);
  }
  return deepEqual(wanted, current) ? {} : { [key]: wanted };
}

function diffKeyedLists(
  name: string,
  mergeKey: string,
  original: readonly Fields[],
  wanted: readonly Fields[],
  current: readonly Fields[],
  schema: ValueSchema | undefined,
): Fields {
  const find = (items: readonly Fields[], key: unknown) => items.find((item) => item?.[mergeKey] === key);
  const changes: Fields[] = [];
  for (const item of wanted) {
    const key = item[mergeKey];
    const present = find(current, key);
    if (!present) changes.push(item);
    else {
      const inner = diffMaps(find(original, key) ?? {}, item, present, schema);
      if (inner) changes.push({ ...inner, [mergeKey]: key });
    }
  }
  for (const item of original) {
    const key = item?.[mergeKey];
    if (!find(wanted, key) && find(current, key)) changes.push({ $patch: "delete", [mergeKey]: key });
  }
  const order = wanted.map((item) => ({ [mergeKey]: item[mergeKey] }));
  const isInOrder = deepEqual(
    order.map((item) => item[mergeKey]),
    current.map((item) => item[mergeKey]).filter((key) => find(wanted, key)),
  );
  if (changes.length === 0 && isInOrder) return {};
  return { [`$setElementOrder/${name}`]: order, ...(changes.length > 0 ? { [name]: changes } : {}) };
}

function diffSets(
  name: string,
  original: readonly unknown[],
  wanted: readonly unknown[],
  current: readonly unknown[],
): Fields {
  const added = wanted.filter((item) => !current.includes(item));
  const removed = original.filter((item) => !wanted.includes(item) && current.includes(item));
  if (added.length === 0 && removed.length === 0) return {};
  return {
    [`$setElementOrder/${name}`]: wanted,
    ...(added.length > 0 ? { [name]: added } : {}),
    ...(removed.length > 0 ? { [`$deleteFromPrimitiveList/${name}`]: removed } : {}),
  };
}
