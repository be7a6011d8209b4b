/** Which fields differ between two objects of a type, as server-side apply counts fields (the structured merge's comparison upstream). */
import type { FieldSchema, ListSchema, MapSchema, TypeSchema, ValueSchema } from "../../api/schema.ts";
import { conform } from "../strict-decode.ts";
import { deepEqual } from "./deep-equal.ts";
import { type FieldSet, member } from "./field-set.ts";
import { itemElement } from "./list-key.ts";

export interface Comparison {
  /** Fields that the second object has and the first has not or has otherwise. */
  changed: FieldSet | undefined;
  /** Fields that only the first object has. */
  removed: FieldSet | undefined;
}

/** Fields whose owners nobody records: they belong to the server. */
export const unrecordedMetadata: ReadonlySet<string> = new Set([
  "name",
  "namespace",
  "creationTimestamp",
  "selfLink",
  "uid",
  "clusterName",
  "generation",
  "managedFields",
  "resourceVersion",
]);

/** Compares without apiVersion, kind and the metadata that nobody owns. `before` undefined: against an object just born empty. */
export function compareObjects(before: object | undefined, after: object, type: TypeSchema): Comparison {
  let compiled = roots.get(type);
  if (!compiled) {
    compiled = { walk: compileRoot(type), empty: withoutLists(conform<object>({}, type).object) as object };
    roots.set(type, compiled);
  }
  const comparison: Comparison = { changed: undefined, removed: undefined };
  compiled.walk(before ?? compiled.empty, after, comparison);
  return comparison;
}

/** A list that was never given is no list at all, however an answer shows it: giving an empty one is a change. */
function withoutLists(value: unknown): unknown {
  if (Array.isArray(value)) return null;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutLists(inner)]));
}

/** Fills in what differs at and below the two values' place. Undefined is absence; null is a value. The two are not the same object. */
type Walk = (before: unknown, after: unknown, into: Comparison) => void;

const roots = new WeakMap<TypeSchema, { walk: Walk; empty: object }>();
const structs = new WeakMap<TypeSchema, Walk>();

function compileRoot(type: TypeSchema): Walk {
  const fields = type.fields.filter((field) => field.name !== "apiVersion" && field.name !== "kind");
  return compileFields(
    fields,
    type.preserveUnknown ? new Set(["apiVersion", "kind", ...type.byName.keys()]) : undefined,
    (field) => {
      const { value } = field;
      if (field.name !== "metadata" || value.kind !== "struct") return compileValue(value);
      const walk = compileFields(
        value.type.fields.filter(({ name }) => !unrecordedMetadata.has(name)),
        undefined,
        (inner) => compileValue(inner.value),
      );
      // Metadata as such is nobody's either, so its absence is no difference.
      return (before, after, into) => walk(before ?? {}, after ?? {}, into);
    },
  );
}

function structWalk(type: TypeSchema): Walk {
  let walk = structs.get(type);
  if (!walk) {
    walk = compileFields(type.fields, type.preserveUnknown ? new Set(type.byName.keys()) : undefined, (field) =>
      compileValue(field.value),
    );
    structs.set(type, walk);
  }
  return walk;
}

function compileValue(value: ValueSchema): Walk {
  switch (value.kind) {
    case "struct": {
      let walk: Walk | undefined;
      return (before, after, into) =>
        (walk ??= value.atomic ? compareLeaves : structWalk(value.type))(before, after, into);
    }
    case "list":
      return value.listType === "atomic" ? compareLeaves : compileList(value);
    case "map":
      return value.atomic ? compareLeaves : compileMap(value);
    case "any":
      return value.atomic ? compareLeaves : compareDeduced;
    default:
      return compareLeaves;
  }
}

function compareLeaves(before: unknown, after: unknown, into: Comparison): void {
  if (before === undefined) into.changed = member;
  else if (after === undefined) into.removed = member;
  else if (!deepEqual(before, after)) into.changed = member;
}

/** Adds the node itself to what was found below it, when it came or went as a whole. */
function finish(
  before: unknown,
  after: unknown,
  changed: Node | undefined,
  removed: Node | undefined,
  into: Comparison,
): void {
  if (before === undefined) (changed ??= {})["."] = member;
  if (after === undefined) (removed ??= {})["."] = member;
  into.changed = changed;
  into.removed = removed;
}

type Node = Record<string, FieldSet>;

function fieldsOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

function isEmpty(fields: Record<string, unknown> | undefined): boolean {
  for (const key in fields) if (fields[key] !== undefined) return false;
  return true;
}

/** `known` is given when fields outside the schema are kept too. */
function compileFields(
  fields: readonly FieldSchema[],
  known: ReadonlySet<string> | undefined,
  compile: (field: FieldSchema) => Walk,
): Walk {
  const names = fields.map(({ name }) => name);
  const elements = names.map((name) => `f:${name}`);
  const walks = fields.map(compile);
  const count = fields.length;
  return (before, after, into) => {
    const x = fieldsOf(before);
    const y = fieldsOf(after);
    if (isEmpty(x) && isEmpty(y)) {
      compareLeaves(before, after, into);
      return;
    }
    let changed: Node | undefined;
    let removed: Node | undefined;
    for (let i = 0; i < count; i++) {
      const name = names[i]!;
      const a = x?.[name];
      const b = y?.[name];
      if (a === b) continue;
      const found: Comparison = { changed: undefined, removed: undefined };
      walks[i]!(a, b, found);
      if (found.changed) (changed ??= {})[elements[i]!] = found.changed;
      if (found.removed) (removed ??= {})[elements[i]!] = found.removed;
    }
    if (known) {
      for (const key of new Set([...Object.keys(x ?? {}), ...Object.keys(y ?? {})])) {
        if (known.has(key) || x?.[key] === y?.[key]) continue;
        const found: Comparison = { changed: undefined, removed: undefined };
        compareDeduced(x?.[key], y?.[key], found);
        if (found.changed) (changed ??= {})[`f:${key}`] = found.changed;
        if (found.removed) (removed ??= {})[`f:${key}`] = found.removed;
      }
    }
    finish(before, after, changed, removed, into);
  };
}

function compileMap(schema: MapSchema): Walk {
  const walk = compileValue(schema.values);
  return (before, after, into) => compareEntries(before, after, walk, into);
}

function compareEntries(before: unknown, after: unknown, walk: Walk, into: Comparison): void {
  const x = fieldsOf(before);
  const y = fieldsOf(after);
  if (isEmpty(x) && isEmpty(y)) {
    compareLeaves(before, after, into);
    return;
  }
  let changed: Node | undefined;
  let removed: Node | undefined;
  for (const key in y) {
    const a = x?.[key];
    const b = y[key];
    if (a === b) continue;
    const found: Comparison = { changed: undefined, removed: undefined };
    walk(a, b, found);
    if (found.changed) (changed ??= {})[`f:${key}`] = found.changed;
    if (found.removed) (removed ??= {})[`f:${key}`] = found.removed;
  }
  for (const key in x) {
    if (x[key] === undefined || (y && y[key] !== undefined)) continue;
    const found: Comparison = { changed: undefined, removed: undefined };
    walk(x[key], undefined, found);
    if (found.removed) (removed ??= {})[`f:${key}`] = found.removed;
  }
  finish(before, after, changed, removed, into);
}

/** Free-form parts of custom resources: maps by entry, all else as a whole. */
function compareDeduced(before: unknown, after: unknown, into: Comparison): void {
  const x = fieldsOf(before);
  const y = fieldsOf(after);
  if ((x || before === undefined) && (y || after === undefined)) compareEntries(before, after, compareDeduced, into);
  else compareLeaves(before, after, into);
}

function compileList(schema: ListSchema): Walk {
  const walk = compileValue(schema.items);
  let elementOf: ReturnType<typeof itemElement> | undefined;
  return (before, after, into) => {
    const x = Array.isArray(before) ? before : [];
    const y = Array.isArray(after) ? after : [];
    if (x.length === 0 && y.length === 0) {
      compareLeaves(before, after, into);
      return;
    }
    elementOf ??= itemElement(schema);
    const [xs, ys] = [byElement(x, elementOf), byElement(y, elementOf)];
    let changed: Node | undefined;
    let removed: Node | undefined;
    for (const [element, b] of ys) {
      const a = xs.get(element);
      if (a === b) continue;
      const found: Comparison = { changed: undefined, removed: undefined };
      // Items given twice have no fields of their own: they are compared together.
      if (b instanceof Duplicates || a instanceof Duplicates) compareLeaves(a && listed(a), listed(b), found);
      else walk(a, b, found);
      if (found.changed) (changed ??= {})[element] = found.changed;
      if (found.removed) (removed ??= {})[element] = found.removed;
    }
    for (const [element, a] of xs) {
      if (ys.has(element)) continue;
      const found: Comparison = { changed: undefined, removed: undefined };
      if (a instanceof Duplicates) found.removed = member;
      else walk(a, undefined, found);
      if (found.removed) (removed ??= {})[element] = found.removed;
    }
    finish(before, after, changed, removed, into);
  };
}

class Duplicates {
  readonly items: unknown[];
  constructor(items: unknown[]) {
    this.items = items;
  }
}

const listed = (item: unknown): unknown[] => (item instanceof Duplicates ? item.items : [item]);

function byElement(list: unknown[], elementOf: (item: unknown) => string): Map<string, unknown> {
  const items = new Map<string, unknown>();
  for (const item of list) {
    const element = elementOf(item);
    const known = items.get(element);
    if (known === undefined) items.set(element, item);
    else if (known instanceof Duplicates) known.items.push(item);
    else items.set(element, new Duplicates([known, item]));
  }
  return items;
}
