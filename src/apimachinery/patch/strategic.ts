/** Strategic merge patch: a merge patch that knows from the type which lists merge, and takes directives ($patch, $retainKeys, ...). */
import type { FieldSchema, TypeSchema, ValueSchema } from "../../api/schema.ts";
import { badRequestError, StatusError } from "../status-error.ts";
import { deepEqual } from "./deep-equal.ts";
import { goPrint } from "./go-print.ts";

const patchDirective = "$patch";
const retainKeysDirective = "$retainKeys";
const deleteFromList = "$deleteFromPrimitiveList";
const setOrder = "$setElementOrder";

type Fields = Record<string, unknown>;

/** `target` with the patch merged in. Neither is changed; the result shares parts with both. Throws StatusError in upstream's words. */
export function strategicMergePatch(target: object, patch: object, type: TypeSchema): object {
  return mergeMap(target as Fields, patch as Fields, { kind: "struct", type, atomic: false });
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const serverError = (message: string): StatusError => new StatusError(500, "", message);
const unknownPatchType = (directive: unknown, map: unknown): StatusError =>
  serverError(`unknown patch type: ${goText(directive)} in map: ${goPrint(map)}`);
const noMergeKey = (map: unknown, key: string): StatusError =>
  serverError(`map: ${goPrint(map)} does not contain declared merge key: ${key}`);
const badType = (expected: "list" | "map", found: unknown): StatusError =>
  serverError(`expected a ${goTypes[expected]}, but received a ${goTypeOf(found) ?? "%!s(<nil>)"}`);

/** What the type says of a field: its own schema, how it merges and by which key. */
interface Lookup {
  value: ValueSchema | undefined;
  strategy: string;
  mergeKey: string;
}

/** Throws where the type has no such field: maps of maps, and what has no type, cannot be merged into. */
function lookup(schema: ValueSchema | undefined, key: string): Lookup {
  if (schema?.kind === "map" || schema?.kind === "list") {
    const kind = schema.kind === "map" ? "map" : "slice";
    throw serverError(`merging an object in json but data type is not struct, instead is: ${kind}`);
  }
  const field: FieldSchema | undefined = schema?.kind === "struct" ? schema.type.byName.get(key) : undefined;
  if (!field)
    throw serverError(`unable to find api field in struct ${nameOf(schema)} for the json field ${JSON.stringify(key)}`);
  const strategy = field.patchStrategy?.find((each) => each !== "retainKeys") ?? "";
  return { value: field.value, strategy, mergeKey: field.patchMergeKey ?? "" };
}

function nameOf(schema: ValueSchema | undefined): string {
  if (schema?.kind === "struct") return schema.type.name;
  return schema?.kind === "any" || schema?.kind === "either" ? schema.fullName.split(".").at(-1)! : "";
}

function mergeMap(original: Fields, patch: Fields, schema: ValueSchema | undefined): Fields {
  const directive = patch[patchDirective];
  if (directive !== undefined) {
    if (directive === "delete") return {};
    if (directive !== "replace") throw unknownPatchType(directive, patch);
    const { [patchDirective]: _, ...replacement } = patch;
    return replacement;
  }
  const merged = retainKeys(original, patch);
  const ordered = mergeOrderedLists(merged, patch, schema);

  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined || key === retainKeysDirective || key.startsWith(setOrder) || ordered.has(key)) continue;
    if (key.startsWith(deleteFromList)) removeFromList(merged, directiveField(key, deleteFromList), value, schema);
    else mergeField(merged, key, value, schema);
  }
  return merged;
}

function mergeField(merged: Fields, key: string, value: unknown, schema: ValueSchema | undefined): void {
  if (value === null) {
    delete merged[key];
    return;
  }
  const before = merged[key];
  if (isObject(before) && isObject(value)) {
    const field = lookup(schema, key);
    merged[key] = field.strategy === "replace" ? value : mergeMap(before, value, field.value);
  } else if (Array.isArray(before) && Array.isArray(value)) {
    const field = lookup(schema, key);
    merged[key] = field.strategy === "merge" ? mergeList(before, value, itemsOf(field.value), field.mergeKey) : value;
  } else {
    const added = withoutDirectives(withoutNulls(value));
    if (added === undefined) delete merged[key];
    else setOwn(merged, key, added);
  }
}

function removeFromList(merged: Fields, key: string, value: unknown, schema: ValueSchema | undefined): void {
  if (value === null) delete merged[key];
  const list = merged[key];
  if (!Array.isArray(list) || !Array.isArray(value)) return;
  const field = lookup(schema, key);
  if (elementType(list, value) === goTypes.map)
    merged[key] = mergeList(list, value, itemsOf(field.value), field.mergeKey);
  else merged[key] = list.filter((item) => !value.includes(item));
}

/** The field that stands behind the slash of a directive such as `$setElementOrder/containers`. */
function directiveField(key: string, directive: typeof deleteFromList | typeof setOrder): string {
  if (key.startsWith(`${directive}/`)) return key.slice(directive.length + 1);
  const what = directive === setOrder ? "setElementOrder list" : "primitive list";
  throw badRequestError(`invalid patch format of ${what}`);
}

function setOwn(object: Fields, key: string, value: unknown): void {
  if (key === "__proto__")
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}

function itemsOf(schema: ValueSchema | undefined): ValueSchema | undefined {
  return schema?.kind === "list" ? schema.items : undefined;
}

/** A copy of the original, with only the keys that `$retainKeys` names when the patch has it. */
function retainKeys(original: Fields, patch: Fields): Fields {
  const keys = patch[retainKeysDirective];
  if (keys === undefined) return { ...original };
  if (!Array.isArray(keys)) throw badRequestError("invalid patch format of retainKeys");
  const retained = new Set(keys);
  for (const [key, value] of Object.entries(patch)) {
    if (key === retainKeysDirective || value === null || key.startsWith(deleteFromList) || key.startsWith(setOrder))
      continue;
    if (!retained.has(key)) throw badRequestError("invalid patch format of retainKeys");
  }
  return Object.fromEntries(Object.entries(original).filter(([key]) => retained.has(key)));
}

/** Merges and sorts the lists that a `$setElementOrder` stands for; answers with their keys, which are then done. */
function mergeOrderedLists(merged: Fields, patch: Fields, schema: ValueSchema | undefined): Set<string> {
  const done = new Set<string>();
  for (const [directive, order] of Object.entries(patch)) {
    if (!directive.startsWith(setOrder)) continue;
    if (!Array.isArray(order)) throw badType("list", order);
    const key = directiveField(directive, setOrder);
    const before = listAt(merged, key);
    const change = listAt(patch, key);
    const { value, strategy, mergeKey } = lookup(schema, key);
    if (value?.kind !== "list") throw serverError("expected slice or array type, but got: struct");
    if (change) checkOrder(change, order, mergeKey);
    let list: readonly unknown[];
    if (before && change) list = strategy === "merge" ? mergeList(before, change, value.items, mergeKey) : change;
    else if (before) list = before;
    else if (change) list = withoutDirectives(change) as unknown[];
    else continue;
    if (mergeKey) requireKeys(list, order, mergeKey);
    elementType(before ?? [], change ?? []);
    merged[key] = inOrder(list, order, before ?? [], mergeKey);
    done.add(key);
  }
  return done;
}

function listAt(fields: Fields, key: string): unknown[] | undefined {
  const value = fields[key];
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw badType("list", value);
  return value;
}

/** What is sorted by its merge keys must have them. */
function requireKeys(list: readonly unknown[], order: readonly unknown[], mergeKey: string): void {
  for (const item of list) {
    if (!isObject(item)) throw badType("map", item);
    if (item[mergeKey] === undefined) throw noMergeKey(item, mergeKey);
    for (const [index, named] of order.entries()) {
      if (!isObject(named)) throw serverError(`value for key ${index} is not a map`);
      if (named[mergeKey] === item[mergeKey]) break;
    }
  }
}

/** The patch's items must come in the order that the directive sets. */
function checkOrder(change: readonly unknown[], order: readonly unknown[], mergeKey: string): void {
  if (change.length === 0 || order.length === 0) return;
  if (mergeKey) for (const item of change) if (!isObject(item)) throw badType("map", item);
  let at = 0;
  for (const item of change) {
    if (isObject(item) && item[patchDirective] !== undefined) continue;
    while (at < order.length && !sameKey(item, order[at], mergeKey)) at++;
    if (at >= order.length) {
      throw serverError(
        `The order in patch list:\n${goPrint(change)}\n doesn't match $setElementOrder list:\n${goPrint(order)}\n`,
      );
    }
    at++;
  }
}

/** Throws where there is no key to compare by. */
function sameKey(item: unknown, named: unknown, mergeKey: string): boolean {
  if (!mergeKey) return item === named;
  for (const each of [item, named]) {
    if (!isObject(each)) throw badType("map", each);
    if (each[mergeKey] === undefined) throw noMergeKey(each, mergeKey);
  }
  return (item as Fields)[mergeKey] === (named as Fields)[mergeKey];
}

function sameItem(a: unknown, b: unknown, mergeKey: string): boolean {
  return mergeKey && isObject(a) && isObject(b) ? deepEqual(a[mergeKey], b[mergeKey]) : deepEqual(a, b);
}

function mergeList(
  original: readonly unknown[],
  patch: readonly unknown[],
  items: ValueSchema | undefined,
  mergeKey: string,
): unknown[] {
  if (original.length === 0 && patch.length === 0) return [];
  if (elementType(original, patch) !== goTypes.map) {
    return inOrder([...new Set([...original, ...patch])], patch, original, "");
  }
  if (!mergeKey) {
    throw serverError(
      `cannot merge lists without merge key for ${items?.kind === "struct" ? items.type.name : "list"}`,
    );
  }
  let left = [...original] as Fields[];
  const changes: Fields[] = [];
  let replaces = false;
  for (const item of patch as Fields[]) {
    const directive = item[patchDirective];
    if (directive === undefined) changes.push(item);
    else if (directive === "replace") replaces = true;
    else if (directive === "delete") {
      if (item[mergeKey] === undefined) throw noMergeKey(item, mergeKey);
      left = left.filter((other) => !deepEqual(other[mergeKey], item[mergeKey]));
    } else if (directive === "merge") throw serverError("merging lists cannot yet be specified in the patch");
    else throw unknownPatchType(directive, item);
  }
  if (replaces) {
    requireKeys(changes, [], mergeKey);
    return changes;
  }
  const standing = left.slice();
  for (const change of changes) {
    const key = change[mergeKey];
    if (key === undefined) throw noMergeKey(change, mergeKey);
    const at = left.findIndex((item) => item[mergeKey] === key);
    if (at >= 0) left[at] = mergeMap(left[at]!, change, items);
    else left.push(change);
  }
  requireKeys(left, changes, mergeKey);
  return inOrder(left, changes, standing, mergeKey);
}

/** What all items of both lists are. Throws where they differ, and for lists of lists. */
function elementType(...lists: (readonly unknown[])[]): string {
  let type: string | undefined;
  for (const item of lists.flat(1)) {
    const found = goTypeOf(item);
    if (found === goTypes.list && type === undefined) throw listOfLists();
    if (type !== undefined && found !== type) {
      throw serverError(`list element types are not identical: ${goPrint(lists)}`);
    }
    type = found;
  }
  if (type === undefined) throw serverError("no elements in any of the given slices");
  return type;
}

/** Upstream leaves the reason to a message that its answer does not show. */
function listOfLists(): StatusError {
  return new StatusError(422, "Invalid", "the server rejected our request due to an error in our request", {});
}

const goTypes = { list: "[]interface {}", map: "map[string]interface {}" };

/** As what Go reads a JSON value; undefined for null. */
function goTypeOf(value: unknown): string | undefined {
  if (value === null) return undefined;
  if (Array.isArray(value)) return goTypes.list;
  if (typeof value === "object") return goTypes.map;
  if (typeof value === "number") return Number.isInteger(value) ? "int64" : "float64";
  if (typeof value === "bigint") return "int64";
  return typeof value === "boolean" ? "bool" : "string";
}

/** A value where Go was told to expect text. */
function goText(value: unknown): string {
  if (typeof value === "string") return value;
  const type = goTypeOf(value);
  return type === undefined ? "%!s(<nil>)" : `%!s(${type}=${goPrint(value)})`;
}

/**
 * Items that `order` names come in its order. The others keep theirs (as in `original`), each before the first named item that stood
 * after it; where nothing tells, the named ones go first.
 */
function inOrder(
  list: readonly unknown[],
  order: readonly unknown[],
  original: readonly unknown[],
  mergeKey: string,
): unknown[] {
  const indexIn = (where: readonly unknown[], item: unknown): number =>
    where.findIndex((other) => sameItem(other, item, mergeKey));
  const named = list.filter((item) => indexIn(order, item) >= 0).sort((a, b) => indexIn(order, a) - indexIn(order, b));
  const others = list
    .filter((item) => indexIn(order, item) < 0)
    .sort((a, b) => indexIn(original, a) - indexIn(original, b));
  const sorted: unknown[] = [];
  let o = 0;
  let n = 0;
  while (o < others.length || n < named.length) {
    if (o >= others.length) sorted.push(named[n++]);
    else if (n >= named.length) sorted.push(others[o++]);
    else {
      const [left, right] = [indexIn(original, others[o]), indexIn(original, named[n])];
      sorted.push(left >= 0 && right >= 0 && left < right ? others[o++] : named[n++]);
    }
  }
  return sorted;
}

/** What an addition leaves: nothing of a map that has a `$patch`, whatever it says. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDirectives).filter((item) => item !== undefined);
  if (!isObject(value)) return value;
  if (Object.hasOwn(value, patchDirective)) return undefined;
  const kept: Fields = {};
  for (const [key, child] of Object.entries(value)) {
    const left = withoutDirectives(child);
    if (left !== undefined) setOwn(kept, key, left);
  }
  return kept;
}

/** Without the null fields of maps; a list's own nulls stay. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, child]) => child !== null)
      .map(([key, child]) => [key, withoutNulls(child)]),
  );
}
