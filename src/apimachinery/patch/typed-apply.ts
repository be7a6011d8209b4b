/** The three steps of server-side apply that need the type: reading what was applied, merging it in, and taking fields out. */
import type { ListSchema, TypeSchema, ValueSchema } from "../../api/schema.ts";
import { deepEqual } from "./deep-equal.ts";
import { type FieldSet, isMember, member, printElement } from "./field-set.ts";
import { itemElement } from "./list-key.ts";

/** What an applied configuration claims. Throws TypedError when it does not fit the type. */
export function appliedFields(applied: object, type: TypeSchema): FieldSet | undefined {
  const problems: string[] = [];
  const set = readFields(applied, { kind: "struct", type, atomic: false }, "", problems);
  if (problems.length === 1) throw new TypedError(problems[0]!);
  if (problems.length > 1) throw new TypedError(["errors:", ...problems.map((problem) => `  ${problem}`)].join("\n"));
  return set;
}

export class TypedError extends Error {}

/** Paths to what an applied configuration would replace as a whole, where its author may mean a part: `.spec.template.spec.containers[0].args`. */
export function atomicParts(applied: unknown, schema: ValueSchema, path = ""): string[] {
  if (Array.isArray(applied)) {
    const isList = schema.kind === "list";
    const isAtomic = isList ? schema.listType === "atomic" : schema.kind === "any";
    const items = isList ? schema.items : schema;
    return [...(isAtomic ? [path] : []), ...applied.flatMap((item, i) => atomicParts(item, items, `${path}[${i}]`))];
  }
  if (!isObject(applied) || schema.kind === "list" || schema.kind === "scalar" || schema.kind === "either") return [];
  const below = Object.entries(applied).flatMap(([key, value]) => {
    const field =
      schema.kind === "struct" ? schema.type.byName.get(key)?.value : schema.kind === "map" ? schema.values : schema;
    return field && value !== undefined ? atomicParts(value, field, `${path}.${key}`) : [];
  });
  return [...(schema.atomic ? [path] : []), ...below];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readFields(value: unknown, schema: ValueSchema, path: string, problems: string[]): FieldSet | undefined {
  const refuse = (message: string): undefined => {
    problems.push(path ? `${path}: ${message}` : message);
  };
  switch (schema.kind) {
    case "scalar": {
      const wanted = scalarProblem(schema.scalar, value);
      return wanted ? refuse(wanted) : member;
    }
    case "any":
      return schema.atomic ? member : readDeduced(value);
    case "either":
      return member;
    case "map":
    case "struct": {
      if (value === null) return schema.atomic ? member : undefined;
      if (!isObject(value)) return refuse(`expected map, got &{${String(value)}}`);
      const node: Record<string, FieldSet> = {};
      for (const key in value) {
        const child = value[key];
        if (child === undefined) continue;
        const field = schema.kind === "struct" ? schema.type.byName.get(key)?.value : schema.values;
        const childPath = `${path}.${key}`;
        if (!field && !(schema.kind === "struct" && schema.type.preserveUnknown)) {
          problems.push(`${childPath}: field not declared in schema`);
          continue;
        }
        const below = field ? readFields(child, field, childPath, problems) : readDeduced(child);
        // A struct's field counts by what is below it; a map's entry, and what is empty, counts itself.
        const counts = child === null || (isObject(child) && isBare(child)) || schema.kind === "map" || !field;
        const found = counts ? withSelf(below) : below;
        if (found) node[`f:${key}`] = found;
      }
      if (schema.atomic) return member;
      return isBare(node) ? undefined : node;
    }
    case "list": {
      if (value === null) return schema.listType === "atomic" ? member : undefined;
      if (!Array.isArray(value)) return refuse(`expected list, got &{${isObject(value) ? "map[]" : String(value)}}`);
      return readList(value, schema, path, problems);
    }
  }
}

function readList(list: unknown[], schema: ListSchema, path: string, problems: string[]): FieldSet | undefined {
  if (schema.listType === "atomic") {
    list.forEach((item, i) => {
      if (item !== null) readFields(item, schema.items, `${path}[${i}]`, problems);
    });
    return member;
  }
  const elementOf = itemElement(schema);
  const node: Record<string, FieldSet> = {};
  list.forEach((item, i) => {
    let element: string;
    try {
      element = elementOf(item);
    } catch (error) {
      problems.push(`${path}: element ${i}: ${(error as Error).message}`);
      return;
    }
    if (node[element]) problems.push(`${path}: duplicate entries for key ${printElement(element)}`);
    node[element] = withSelf(readFields(item, schema.items, path + printElement(element), problems));
  });
  return isBare(node) ? undefined : node;
}

function readDeduced(value: unknown): FieldSet | undefined {
  if (!isObject(value)) return member;
  const node: Record<string, FieldSet> = {};
  for (const key in value) if (value[key] !== undefined) node[`f:${key}`] = withSelf(readDeduced(value[key]));
  return isBare(node) ? undefined : node;
}

function withSelf(below: FieldSet | undefined): FieldSet {
  return below && below !== member && !isMember(below) ? { ".": member, ...below } : (below ?? member);
}

function isBare(object: object): boolean {
  for (const _ in object) return false;
  return true;
}

function scalarProblem(scalar: string, value: unknown): string | undefined {
  if (value === null) return undefined;
  const goType = Array.isArray(value)
    ? "[]interface {}"
    : {
        string: "string",
        boolean: "bool",
        number: Number.isInteger(value) ? "int64" : "float64",
        object: "map[string]interface {}",
      }[typeof value as "string"];
  switch (scalar) {
    case "int32":
    case "int64":
    case "double":
      return typeof value === "number" || typeof value === "bigint"
        ? undefined
        : `expected numeric (int or float), got ${goType}`;
    case "boolean":
      return typeof value === "boolean" ? undefined : `expected boolean, got &{${String(value)}}`;
    case "quantity":
    case "int-or-string":
      return typeof value === "object"
        ? `expected any scalar, got &{${Array.isArray(value) ? value.join(" ") : "map[]"}}`
        : undefined;
    default:
      return typeof value === "string"
        ? undefined
        : `expected string, got &value.valueUnstructured{Value:${typeof value === "object" ? `${goType}{}` : String(value)}}`;
  }
}

/** `live` with what was applied laid over it. The same object as `live` when nothing changes; parts are shared with both. */
export function mergeApplied(live: unknown, applied: unknown, schema: ValueSchema): unknown {
  if (applied === undefined) return live;
  switch (schema.kind) {
    case "struct":
    case "map": {
      if (schema.atomic) break;
      const known = isObject(live) && !isBare(live) ? live : undefined;
      if (!isObject(applied) || isBare(applied)) {
        if (known && (applied === null || isObject(applied))) return live;
        break;
      }
      let merged: Record<string, unknown> | undefined;
      for (const key in applied) {
        const field = schema.kind === "map" ? schema.values : (schema.type.byName.get(key)?.value ?? deduced);
        const before = known?.[key];
        const after = mergeApplied(before, applied[key], field);
        if (after !== before) (merged ??= { ...known })[key] = after;
      }
      return merged ?? live;
    }
    case "list":
      if (schema.listType === "atomic" || !Array.isArray(applied) || applied.length === 0) {
        if (schema.listType !== "atomic" && Array.isArray(live) && live.length > 0) return live;
        break;
      }
      return mergeLists(Array.isArray(live) ? live : [], applied, schema, live);
    case "any":
      if (!schema.atomic && isObject(live) && isObject(applied))
        return mergeApplied(live, applied, { kind: "map", values: schema, atomic: false, wrapped: false });
      break;
  }
  return deepEqual(live, applied) ? live : applied;
}

const deduced: ValueSchema = { kind: "any", fullName: "", atomic: false };

/**
 * Items that only one side has stay in their order; items of both come in the applied order. Live items that were not applied go
 * before the next applied one, as upstream puts them.
 */
function mergeLists(live: unknown[], applied: unknown[], schema: ListSchema, whole: unknown): unknown {
  const elementOf = itemElement(schema);
  const liveElements = live.map(elementOf);
  const appliedElements = applied.map(elementOf);
  const liveItems = new Map(liveElements.map((element, i) => [element, live[i]]));
  const wanted = new Set(appliedElements);
  const shared = appliedElements.filter((element) => liveItems.has(element));
  const merged: unknown[] = [];
  let nextShared = 0;
  let l = 0;
  let a = 0;
  while (l < live.length || a < applied.length) {
    if (l < live.length) {
      const element = liveElements[l]!;
      if (!wanted.has(element)) {
        merged.push(live[l++]);
        continue;
      }
      // It comes, or came, at its place among the applied ones.
      if (element !== shared[nextShared]) {
        l++;
        continue;
      }
    }
    const element = appliedElements[a]!;
    merged.push(mergeApplied(liveItems.get(element), applied[a], schema.items));
    if (element === shared[nextShared]) {
      nextShared++;
      if (liveElements[l] === element) l++;
    }
    a++;
  }
  const same = merged.length === live.length && merged.every((item, i) => item === live[i]);
  return same ? whole : merged;
}

/**
 * Takes out the fields that are in `last` and that nobody owns any more. A struct's field that holds an owned field counts as owned.
 * The same object when nothing goes. What loses all it held becomes null: emptied, but not gone from those who own it.
 */
export function removeUnowned(
  value: unknown,
  last: FieldSet,
  owned: FieldSet | undefined,
  schema: ValueSchema,
): unknown {
  if (schema.kind === "list") {
    if (schema.listType === "atomic" || !Array.isArray(value) || value.length === 0) return value;
    const elementOf = itemElement(schema);
    const kept: unknown[] = [];
    for (const item of value) {
      const element = elementOf(item);
      const lost = last[element];
      const held = owned?.[element];
      if (lost && isMember(lost) && !(held && isMember(held))) continue;
      kept.push(lost ? removeUnowned(item, lost, held, schema.items) : item);
    }
    if (kept.length === value.length && kept.every((item, i) => item === value[i])) return value;
    return kept.length > 0 ? kept : null;
  }
  if (!isObject(value) || isBare(value) || schema.kind === "scalar" || schema.kind === "either") return value;
  if (schema.atomic) return value;
  let kept: Record<string, unknown> | undefined;
  for (const element in last) {
    if (!element.startsWith("f:")) continue;
    const key = element.slice(2);
    if (value[key] === undefined) continue;
    const field = schema.kind === "struct" ? schema.type.byName.get(key)?.value : undefined;
    const lost = last[element]!;
    const held = owned?.[element];
    if ((field || isMember(lost)) && !(held && (field || isMember(held)))) {
      kept ??= { ...value };
      delete kept[key];
      continue;
    }
    const inner = removeUnowned(value[key], lost, held, field ?? (schema.kind === "map" ? schema.values : deduced));
    if (inner === value[key]) continue;
    kept ??= { ...value };
    kept[key] = inner;
  }
  if (!kept) return value;
  return isBare(kept) ? null : kept;
}
