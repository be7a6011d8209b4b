/** A kustomization's variables: values of objects, written for `$(NAME)` in others. The forerunner of replacements. */
import { CommandError } from "../command-error.ts";
import { type FieldSpec, type Slot, visitField } from "./field-specs.ts";
import type { Variable } from "./kustomization.ts";
import { lookup } from "./paths.ts";
import {
  isClusterScoped,
  type KindName,
  kindOf,
  type Resource,
  type ResourceId,
  sameId,
  sameKind,
  showKind,
  withAnyId,
} from "./resource.ts";

/** Marks the resources that variables are about, and adds the variables to the known ones. */
export function addVariables(
  resources: readonly Resource[],
  known: Map<string, Variable>,
  incoming: readonly Variable[],
): void {
  for (const variable of incoming) {
    const { objref } = variable;
    const id: ResourceId = { ...kindOfReferent(objref), name: objref.name ?? "", namespace: objref.namespace ?? "" };
    const fits =
      id.namespace || isClusterScoped(id)
        ? (each: ResourceId) => sameId(each, id)
        : (each: ResourceId) => each.name === id.name && sameKind(each, id);
    const matched = withAnyId(resources, fits);
    if (matched.length > 1) {
      throw new CommandError(
        `found ${matched.length} resId matches for var ${showVariable(variable)} (unable to disambiguate)`,
      );
    }
    matched[0]?.variableNames.push(variable.name);
  }
  mergeVariables(known, incoming);
}

export function mergeVariables(known: Map<string, Variable>, incoming: Iterable<Variable>): void {
  for (const variable of incoming) {
    if (known.has(variable.name)) throw new CommandError(`var '${variable.name}' already encountered`);
    known.set(variable.name, variable);
  }
}

function kindOfReferent(objref: Variable["objref"]): KindName {
  const named = { group: objref.group ?? "", version: objref.version ?? "", kind: objref.kind ?? "" };
  if (!objref.apiVersion) return named;
  const parts = kindOf(objref);
  return objref.apiVersion.includes("/") ? parts : { ...named, version: parts.version };
}

/** As Go prints it; `kind` is as much as is known of it by then. */
function showVariable({ name, objref, fieldref }: Variable, kind = kindOfReferent(objref)): string {
  return `{${name} ${showKind(kind)} {${fieldref?.fieldPath ?? ""}}}`;
}

/** Before their versions have been looked at. */
export const showVariables = (variables: readonly Variable[]): string =>
  `[${variables
    .map((each) => {
      const { group = "", version = "", kind = "" } = each.objref;
      return showVariable(each, { group, version, kind });
    })
    .join(" ")}]`;

/** Writes the variables' values. Resolves to the names of those that nothing asks for. */
export function resolveVariables(
  resources: readonly Resource[],
  variables: ReadonlyMap<string, Variable>,
  specs: readonly FieldSpec[],
): string[] {
  const values = new Map<string, unknown>();
  for (const variable of [...variables.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    values.set(variable.name, valueFor(resources, variable));
  }
  if (values.size === 0) return [];
  const used = new Set<string>();
  const replace = (text: string): unknown => withValues(text, values, used);
  for (const { object } of resources) {
    for (const spec of specs) visitField(object, spec, (slot) => replaceAt(slot, replace));
  }
  return [...values.keys()].filter((name) => !used.has(name));
}

function valueFor(resources: readonly Resource[], variable: Variable): unknown {
  const defaulted = { ...variable, fieldref: { fieldPath: variable.fieldref?.fieldPath || "metadata.name" } };
  const holder = resources.find(({ variableNames }) => variableNames.includes(variable.name));
  if (!holder) {
    throw new CommandError(
      `var '${showVariable(defaulted)}' cannot be mapped to a field in the set of known resources`,
    );
  }
  const value = lookup(holder.object, defaulted.fieldref.fieldPath);
  if (value === undefined) {
    throw new CommandError(`field specified in var '${showVariable(defaulted)}' not found in corresponding resource`);
  }
  return value;
}

function replaceAt({ holder, key }: Slot, replace: (text: string) => unknown): void {
  const value = holder[key];
  if (typeof value === "string") holder[key] = replace(value);
  else if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) {
      if (typeof item !== "string") throw new CommandError("invalid value type expect a string");
      value[i] = replace(item);
    }
  } else if (typeof value === "object" && value !== null) {
    const map = value as Record<string, unknown>;
    for (const [name, item] of Object.entries(map)) if (typeof item === "string") map[name] = replace(item);
  }
}

/** `$(NAME)` alone keeps the value's type; `$$` is a dollar; what is not known stays as it is. */
function withValues(text: string, values: ReadonlyMap<string, unknown>, used: Set<string>): unknown {
  let whole: unknown;
  const written = text.replace(/\$(?:\$|\(([^)]*)\))/g, (found, name: string | undefined) => {
    if (name === undefined) return "$";
    const value = values.get(name);
    if (value === undefined || typeof value === "object") return found;
    used.add(name);
    if (found === text) whole = value;
    return String(value);
  });
  return whole ?? written;
}
