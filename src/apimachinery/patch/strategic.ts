/** Strategic merge patch: a merge patch that knows from the type which lists merge, and takes directives ($patch, $retainKeys, ...). */
import type { FieldSchema, TypeSchema, ValueSchema } from "../../api/schema.ts";
import { badRequestError, StatusError } from "../status-error.ts";
import { deepEqual } from "./deep-equal.ts";
import { goPrint } from "./go-print.ts";

const patchDirective = "$patch";
const retainKeysDirective = "$retainKeys";
const deleteFromListPrefix = "$deleteFromPrimitiveList/";
const setOrderPrefix = "$setElementOrder/";

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
  serverError(`unknown patch type: ${goPrint(directive)} in map: ${goPrint(map)}`);
const noMergeKey = (map: unknown, key: string): StatusError =>
  serverError(`map: ${goPrint(map)} does not contain declared merge key: ${key}`);

/** What the type says of a field: its own schema, how it merges and by which key. */
interface Lookup {
  value: ValueSchema | undefined;
  strategy: string;
  mergeKey: string;
}

function lookup(schema: ValueSchema | undefined, key: string): Lookup {
  const field: FieldSchema | undefined = schema?.kind === "struct" ? schema.type.byName.get(key) : undefined;
  const value = field?.value ?? (schema?.kind === "map" ? schema.values : undefined);
  const strategy = field?.patchStrategy?.find((each) => each !== "retainKeys") ?? "";
  return { value, strategy, mergeKey: field?.patchMergeKey ?? "" };
}

function mergeMap(original: Fields, patch: Fields, schema: ValueSchema | undefined): Fields {
  const directive = patch[patchDirective];
  if (directive !== undefined) {
    if (directive === "replace") {
      const { [patchDirective]: _, ...replacement } = patch;
      return withoutNulls(replacement) as Fields;
    }
    if (directive === "delete") return {};
    if (directive !== "merge") throw unknownPatchType(directive, patch);
  }
  const merged = retainKeys(original, patch);
  const ordered = mergeOrderedLists(merged, patch, schema);

  for (const [key, value] of Object.entries(patch)) {
    if (
      value === undefined ||
      key === retainKeysDirective ||
      key === patchDirective ||
      key.startsWith(setOrderPrefix) ||
      ordered.has(key)
    )
      continue;
    if (key.startsWith(deleteFromListPrefix)) {
      const name = key.slice(deleteFromListPrefix.length);
      if (!Array.isArray(value)) throw badRequestError("invalid patch format of primitive list");
      const list = merged[name];
      if (Array.isArray(list)) merged[name] = list.filter((item) => !value.some((gone) => deepEqual(item, gone)));
      continue;
    }
    if (value === null) {
      delete merged[key];
      continue;
    }
    const before = merged[key];
    const { value: field, strategy, mergeKey } = lookup(schema, key);
    if (isObject(before) && isObject(value))
      merged[key] = strategy === "replace" ? withoutNulls(value) : mergeMap(before, value, field);
    else if (Array.isArray(before) && Array.isArray(value)) {
      merged[key] = strategy === "merge" ? mergeList(before, value, itemsOf(field), mergeKey) : value;
    } else {
      const added = withoutDirectives(value);
      if (added === undefined) delete merged[key];
      else setOwn(merged, key, added);
    }
  }
  return merged;
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
    if (
      key === retainKeysDirective ||
      value === null ||
      key.startsWith(deleteFromListPrefix) ||
      key.startsWith(setOrderPrefix)
    )
      continue;
    if (!retained.has(key)) throw badRequestError("invalid patch format of retainKeys");
  }
  return Object.fromEntries(Object.entries(original).filter(([key]) => retained.has(key)));
}

/** Merges and sorts the lists that a `$setElementOrder` stands for; answers with their keys, which are then done. */
function mergeOrderedLists(merged: Fields, patch: Fields, schema: ValueSchema | undefined): Set<string> {
  const done = new Set<string>();
  for (const [directive, order] of Object.entries(patch)) {
    if (!directive.startsWith(setOrderPrefix)) continue;
    const key = directive.slice(setOrderPrefix.length);
    if (!key || !Array.isArray(order)) throw badRequestError("invalid patch format of setElementOrder list");
    const before = merged[key];
    const change = patch[key];
    for (const list of [before, change]) {
      if (list !== undefined && list !== null && !Array.isArray(list))
        throw serverError("expected a list, but received something else");
    }
    const { value, strategy, mergeKey } = lookup(schema, key);
    if (Array.isArray(change)) checkOrder(change, order, mergeKey);
    if (change === null) continue;
    let list: unknown[];
    if (Array.isArray(before) && Array.isArray(change))
      list = strategy === "merge" ? mergeList(before, change, itemsOf(value), mergeKey) : change;
    else if (Array.isArray(before)) list = before;
    else if (Array.isArray(change)) list = (withoutDirectives(change) as unknown[] | undefined) ?? [];
    else continue;
    merged[key] = inOrder(list, order, Array.isArray(before) ? before : [], mergeKey);
    done.add(key);
  }
  return done;
}

/** The patch's items must come in the order that the directive sets. */
function checkOrder(change: readonly unknown[], order: readonly unknown[], mergeKey: string): void {
  let at = 0;
  for (const item of change) {
    if (isObject(item) && item[patchDirective] !== undefined) continue;
    while (at < order.length && !sameItem(order[at], item, mergeKey)) at++;
    if (at >= order.length) {
      throw serverError(
        `The order in patch list:\n${goPrint(change)}\n doesn't match $setElementOrder list:\n${goPrint(order)}\n`,
      );
    }
    at++;
  }
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
  const first = original[0] ?? patch[0];
  if (!isObject(first)) {
    if (Array.isArray(first)) throw new StatusError(422, "Invalid", "lists of lists are not supported", {});
    const merged: unknown[] = [];
    for (const item of [...original, ...patch]) if (!merged.includes(item)) merged.push(item);
    return inOrder(merged, patch, original, "");
  }
  if (!mergeKey)
    throw serverError(
      `cannot merge lists without merge key for ${items?.kind === "struct" ? items.type.name : "list"}`,
    );
  let left = [...original] as Fields[];
  const changes: Fields[] = [];
  let replaces = false;
  for (const item of patch as Fields[]) {
    if (!isObject(item)) throw serverError(`invalid type: ${goPrint(item)} in a list of maps`);
    const directive = item[patchDirective];
    if (directive === undefined) changes.push(item);
    else if (directive === "replace") replaces = true;
    else if (directive === "delete") {
      if (item[mergeKey] === undefined) throw noMergeKey(item, mergeKey);
      left = left.filter((other) => !deepEqual(other[mergeKey], item[mergeKey]));
    } else if (directive === "merge") throw serverError("merging lists cannot yet be specified in the patch");
    else throw unknownPatchType(directive, item);
  }
  if (replaces) return changes.map(withoutNulls);
  const standing = left.slice();
  for (const change of changes) {
    const key = change[mergeKey];
    if (key === undefined) throw noMergeKey(change, mergeKey);
    const at = left.findIndex((item) => deepEqual(item[mergeKey], key));
    if (at >= 0) left[at] = mergeMap(left[at]!, change, items);
    else {
      const added = withoutDirectives(change);
      if (added !== undefined) left.push(added as Fields);
    }
  }
  return inOrder(left, changes, standing, mergeKey);
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

/** What an addition leaves when its directives are obeyed: nothing for `$patch: delete`. Nulls go too. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDirectives).filter((item) => item !== undefined);
  if (!isObject(value)) return value;
  if (value[patchDirective] === "delete") return undefined;
  const kept: Fields = {};
  for (const [key, child] of Object.entries(value)) {
    if (
      key === patchDirective ||
      key === retainKeysDirective ||
      key.startsWith(deleteFromListPrefix) ||
      key.startsWith(setOrderPrefix)
    )
      continue;
    const left = child === null ? undefined : withoutDirectives(child);
    if (left !== undefined) setOwn(kept, key, left);
  }
  return kept;
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, child]) => child !== null)
      .map(([key, child]) => [key, withoutNulls(child)]),
  );
}
