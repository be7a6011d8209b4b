/** Fields by their paths, as kustomize's configuration names them, and the way to them. Upstream's counterpart is kustomize's fieldspec filter. */
import type { Unstructured } from "../api.ts";
import { CommandError } from "../command-error.ts";
import { idOf, isSelected, type KindName, kindOf, showId } from "./resource.ts";

export interface FieldSpec extends Partial<KindName> {
  /** `spec/template/spec/containers[]/image`; lists on the way are gone through. */
  path: string;
  /** Missing fields on the way are made. */
  create?: boolean;
}

/** A value in its place. */
export interface Slot {
  holder: Record<PropertyKey, unknown>;
  key: string | number;
}

/** Calls `set` for each place of the field. `made`: what a missing last field is made as; without it none is made. */
export function visitField(
  object: Unstructured,
  spec: FieldSpec,
  set: (slot: Slot) => void,
  made?: "map" | "scalar",
): void {
  if (!isSelected(kindOf(object), spec)) return;
  try {
    walk({ holder: { object }, key: "object" }, splitPath(spec.path, "/"), spec.create === true, set, made);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(`considering field '${spec.path}' of object ${showId(idOf({ object }))}: ${error.message}`);
  }
}

/** At the delimiters that no backslash stands before. */
export function splitPath(path: string, delimiter: string): string[] {
  const parts = path.split(delimiter);
  if (parts.length > 1 && parts[0] === "") parts.shift();
  const joined: string[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (last?.endsWith("\\")) joined[joined.length - 1] = last.slice(0, -1) + delimiter + part;
    else joined.push(part);
  }
  return joined;
}

function walk(
  slot: Slot,
  path: readonly string[],
  creates: boolean,
  set: (slot: Slot) => void,
  made?: "map" | "scalar",
) {
  if (path.length === 0) {
    set(slot);
    return;
  }
  const value = slot.holder[slot.key];
  if (value === null || value === undefined) return;
  if (Array.isArray(value)) {
    try {
      for (const key of value.keys()) walk({ holder: value as never, key }, path, creates, set, made);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      throw new CommandError(`visit traversal on path: [${path.join(" ")}]: ${error.message}`);
    }
    return;
  }
  if (typeof value !== "object") throw new CommandError("expected sequence or mapping node");
  const [first = "", ...rest] = path;
  const holder = value as Slot["holder"];
  const isList = first.endsWith("[]");
  const key = isList ? first.slice(0, -2) : first;
  if (!key) throw new CommandError("cannot set or create an empty field name");
  if (!creates || made === undefined || isList) {
    if (!(key in holder)) return;
    if (isList && holder[key] === null) holder[key] = [];
  } else if (holder[key] === undefined || holder[key] === null) {
    holder[key] = rest.length > 0 || made === "map" ? {} : "";
  }
  walk({ holder, key }, rest, creates, set, made);
}

/** Sets entries of a map. */
export function setEntries(
  object: Unstructured,
  specs: readonly FieldSpec[],
  entries: Readonly<Record<string, string>>,
): void {
  for (const name of Object.keys(entries).sort()) {
    for (const spec of specs) {
      const set = ({ holder, key }: Slot) => {
        const map = holder[key];
        if (typeof map !== "object" || map === null || Array.isArray(map)) {
          throw new CommandError("wrong node kind: expected MappingNode but was ScalarNode");
        }
        (map as Record<string, unknown>)[name] = entries[name];
      };
      visitField(object, spec, set, "map");
    }
  }
}
