/** Fields by paths with dots, as replacements and variables name them. Upstream's counterpart is kyaml's PathMatcher. */
import { CommandError } from "../command-error.ts";
import type { Slot } from "./field-specs.ts";
import { splitPath } from "./field-specs.ts";
import { textOf } from "./resource.ts";

/** At dots that no backslash stands before and no bracket is around. */
export function splitFieldPath(path: string): string[] {
  const parts: string[] = [];
  const split = splitPath(path, ".");
  for (let i = 0; i < split.length; i++) {
    let part = split[i]!;
    if (part.startsWith("[") && !part.endsWith("]")) {
      while (i < split.length - 1) {
        part += `.${split[++i]}`;
        if (part.endsWith("]")) break;
      }
      if (!part.includes("=")) part = part.replace(/^[[\]]+|[[\]]+$/g, "");
    }
    parts.push(part);
  }
  return parts;
}

/** The value there, undefined where there is none. `a.[name=b].c`, `a.0.c`, `a[0].c`. */
export function lookup(object: unknown, path: string | readonly string[]): unknown {
  const parts = typeof path === "string" ? splitFieldPath(path.replace(/\[(\d+)\]/g, ".$1")) : path;
  return parts.reduce<unknown>((value, part) => {
    if (typeof value !== "object" || value === null) return undefined;
    if (!Array.isArray(value)) return (value as Record<string, unknown>)[part];
    const matching = /^\[(.*?)=(.*)\]$/.exec(part);
    if (matching) {
      const [, name = "", wanted] = matching;
      return value.find((item) => (name === "" ? textOf(item) : textOf((item as never)?.[name])) === wanted);
    }
    if (part === "-") return value.at(-1);
    return /^\d+$/.test(part) ? value[Number(part)] : undefined;
  }, object);
}

/** What a missing last field is made as. */
export type Made = "map" | "list" | "scalar";

/** Every place that the path leads to. Throws a CommandError for an index that is not there. */
export function placesAt(start: unknown, path: readonly string[], made?: Made): Slot[] {
  const [first, ...rest] = path;
  if (first === undefined || typeof start !== "object" || start === null) return [];
  const go = (slot: Slot): Slot[] => {
    if (rest.length === 0) return [slot];
    if (slot.holder[slot.key] === null && made) slot.holder[slot.key] = emptyFor(rest[0], made);
    return placesAt(slot.holder[slot.key], rest, made);
  };
  const list = Array.isArray(start) ? (start as unknown[]) : undefined;
  if (/^\d+$/.test(first)) {
    if (!list) {
      if (first in start) return go({ holder: start as never, key: first });
      throw new CommandError("wrong node kind: expected SequenceNode but was MappingNode");
    }
    const index = Number(first);
    if (index === list.length && made) list.push(emptyFor(rest[0], made));
    if (list.length <= index) {
      throw new CommandError(`index ${index} specified but only ${list.length} elements found`);
    }
    return go({ holder: list as never, key: index });
  }
  const matching = /^\[(.*?)=(.*)\]$/.exec(first);
  if (matching) return list ? matched(list, matching[1]!, matching[2]!, rest, go, made) : [];
  if (first === "*") return list ? list.flatMap((_, key) => go({ holder: list as never, key })) : [];
  if (list) return [];
  const holder = start as Record<string, unknown>;
  if (!(first in holder) || holder[first] === null) {
    if (!made) return first in holder && rest.length === 0 ? [{ holder, key: first }] : [];
    holder[first] = emptyFor(rest[0], made);
  }
  return go({ holder, key: first });
}

function matched(
  list: unknown[],
  field: string,
  wanted: string,
  rest: readonly string[],
  go: (slot: Slot) => Slot[],
  made?: Made,
): Slot[] {
  const expression = new RegExp(wanted);
  const find = () =>
    list.flatMap((item, key) => {
      const value = field === "" ? item : (item as Record<string, unknown> | null)?.[field];
      if (value === undefined || !expression.test(textOf(value))) return [];
      return field === "" ? [{ holder: list as never, key }] : go({ holder: list as never, key });
    });
  const found = find();
  if (found.length > 0 || !made) return found;
  list.push(field === "" ? wanted : { [field]: wanted });
  return rest.length === 0 || field === "" ? [{ holder: list as never, key: list.length - 1 }] : find();
}

function emptyFor(next: string | undefined, made: Made): unknown {
  if (next === undefined || next === "") return made === "map" ? {} : made === "list" ? [] : undefined;
  return /^\d+$/.test(next) || /^\[.*=.*\]$/.test(next) || next === "*" || next === "-" ? [] : {};
}
