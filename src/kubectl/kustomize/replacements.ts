/** A kustomization's replacements: a value of one object written into fields of others. Changes the resources that it is given. */
import { CommandError } from "../command-error.ts";
import type { Replacement, ReplacementOptions, Target } from "./kustomization.ts";
import { isTarget } from "./patches.ts";
import type { Resource } from "./resource.ts";

type Place = { holder: Record<string, unknown> | unknown[]; key: string | number };

export function applyReplacement(resources: readonly Resource[], { source, targets }: Replacement): void {
  if (!source || !targets) throw new CommandError("replacements must specify a source and at least one target");
  const value = sourceValue(resources, source);
  for (const { select, reject = [], fieldPaths = ["metadata.name"], options = {} } of targets) {
    if (!select) throw new CommandError("target must specify resources to select");
    const chosen = resources.filter(
      (resource) => isTarget(resource, select) && !reject.some((not) => isTarget(resource, not)),
    );
    for (const { object } of chosen) {
      for (const path of fieldPaths) {
        const places = placesAt(object as never, fieldsOf(path), options.create === true);
        if (places.length === 0)
          throw new CommandError(`unable to find field ${JSON.stringify(path)} in replacement target`);
        for (const place of places) write(place, value, options);
      }
    }
  }
}

/** A source is named, not matched by an expression. */
const exactly = (target: Target): Target => ({
  ...target,
  ...(target.name ? { name: target.name.replaceAll(".", "\\.") } : {}),
});

function sourceValue(resources: readonly Resource[], source: NonNullable<Replacement["source"]>): unknown {
  const { fieldPath = "metadata.name", options = {}, ...selector } = source;
  const found = resources.filter((resource) => isTarget(resource, exactly(selector)));
  const shown = `${selector.kind ?? "[noKind]"}.${selector.version ?? "[noVer]"}.${selector.group ?? "[noGrp]"}/${selector.name ?? "[noName]"}.${selector.namespace ?? "[noNs]"}`;
  if (found.length > 1) throw new CommandError(`multiple matches for selector ${shown}`);
  const [only] = found;
  if (!only) throw new CommandError(`nothing selected by ${shown}`);
  const [place] = placesAt(only.object as never, fieldsOf(fieldPath), false);
  if (!place) throw new CommandError(`fieldPath \`${fieldPath}\` is missing for replacement source ${shown}`);
  const value = read(place);
  const { delimiter, index = 0 } = options;
  if (!delimiter) return value;
  const parts = String(value).split(delimiter);
  if (index < 0 || index >= parts.length)
    throw new CommandError(`options.index ${index} is out of bounds for value ${String(value)}`);
  return parts[index];
}

/** At dots that no backslash stands before and no bracket is around. */
function fieldsOf(path: string): string[] {
  return (path.match(/(?:\\.|\[[^\]]*\]|[^.])+/g) ?? []).map((field) => field.replace(/\\(.)/g, "$1"));
}

function placesAt(value: unknown, [field, ...rest]: readonly string[], creates: boolean): Place[] {
  if (field === undefined || typeof value !== "object" || value === null) return [];
  const within = (place: Place): Place[] => {
    if (rest.length === 0) return [place];
    if (read(place) === undefined && creates) put(place, {});
    return placesAt(read(place), rest, creates);
  };
  if (Array.isArray(value)) {
    const matching = /^\[(.*?)=(.*)\]$/.exec(field);
    const holder = value as unknown[];
    const isChosen = (item: unknown, i: number) => {
      if (field === "*") return true;
      if (!matching) return field === String(i);
      const [, name = "", wanted] = matching;
      return String(name === "" ? item : (item as Record<string, unknown> | undefined)?.[name]) === wanted;
    };
    const chosen = holder.flatMap((item, key) => (isChosen(item, key) ? [key] : []));
    if (chosen.length === 0 && creates && matching?.[1]) {
      holder.push({ [matching[1]]: matching[2] });
      chosen.push(holder.length - 1);
    }
    return chosen.flatMap((key) => within({ holder, key }));
  }
  const holder = value as Record<string, unknown>;
  if (field === "*") return Object.keys(holder).flatMap((key) => within({ holder, key }));
  return field in holder || creates ? within({ holder, key: field }) : [];
}

const read = ({ holder, key }: Place): unknown => (holder as Record<PropertyKey, unknown>)[key];

function put({ holder, key }: Place, value: unknown): void {
  (holder as Record<PropertyKey, unknown>)[key] = value;
}

function write(place: Place, value: unknown, { delimiter, index = 0 }: ReplacementOptions): void {
  const present = read(place);
  if (delimiter && typeof present === "string") {
    const parts = present.split(delimiter);
    if (index < 0) parts.unshift(String(value));
    else if (index >= parts.length) parts.push(String(value));
    else parts[index] = String(value);
    put(place, parts.join(delimiter));
    return;
  }
  // What is there keeps its type.
  const isText = typeof present === "string" && typeof value !== "object";
  put(place, isText ? String(value) : structuredClone(value));
}
