/** Where objects name others, the names follow when these are renamed. Changes the resources that it is given. */

import { encodeYaml } from "../../apimachinery/serializer/yaml.ts";
import { CommandError } from "../command-error.ts";
import { sortKeys } from "../printers/printable.ts";
import { type FieldSpec, type Slot, visitField } from "./field-specs.ts";
import {
  effectiveNamespace,
  formerIdsOf,
  idOf,
  isClusterScoped,
  isSelected,
  type KindName,
  originalIdOf,
  type Resource,
  type ResourceId,
  showId,
  textOf,
} from "./resource.ts";
import type { NameReference } from "./transformer-config.ts";

/** Gives each reference the name that its object has now. Throws a CommandError where several could be meant. */
export function fixReferences(resources: readonly Resource[], references: readonly NameReference[]): void {
  const originals = new Map(resources.map((resource) => [resource, originalIdOf(resource)]));
  for (const referrer of resources) {
    const candidates = withinReach(referrer, resources);
    for (const { fieldSpecs, ...referent } of references) {
      for (const spec of fieldSpecs) {
        if (isSelected(originals.get(referrer)!, spec)) fixField(referrer, spec, referent, candidates);
      }
    }
  }
}

/** Objects of a namespace may name those of the same and those of none; a RoleBinding also accounts elsewhere. */
function withinReach(referrer: Resource, resources: readonly Resource[]): readonly Resource[] {
  const id = idOf(referrer);
  if (isClusterScoped(id)) return resources;
  const subjects = id.kind === "RoleBinding" ? referrer.object["subjects"] : undefined;
  const elsewhere = new Set(
    (Array.isArray(subjects) ? (subjects as Record<string, unknown>[]) : [])
      .filter((subject) => subject?.["kind"] === "ServiceAccount" && typeof subject["namespace"] === "string")
      .map((subject) => subject["namespace"]),
  );
  return resources.filter((each) => {
    const other = idOf(each);
    return (
      isClusterScoped(other) ||
      effectiveNamespace(other) === effectiveNamespace(id) ||
      (other.namespace !== "" && elsewhere.has(other.namespace))
    );
  });
}

function fixField(
  referrer: Resource,
  spec: FieldSpec,
  referent: Partial<KindName>,
  candidates: readonly Resource[],
): void {
  const choose = (name: string, among: readonly Resource[], withNamespace: boolean) =>
    theReferral(referrer, spec, referent, name, among, withNamespace);
  const fixName = ({ holder, key }: Slot) => {
    const found = choose(textOf(holder[key]), candidates, false);
    if (found) holder[key] = found.object.metadata.name;
  };
  const fixMap = (map: Record<string, unknown>) => {
    if (!("name" in map)) throw new CommandError("path config error; no 'name' field in node");
    const found = choose(textOf(map["name"]), inNamespaceOf(map, candidates), true);
    if (!found) return;
    map["name"] = found.object.metadata.name;
    if (found.object.metadata.namespace) map["namespace"] = found.object.metadata.namespace;
  };
  const fix = (slot: Slot): void => {
    const value = slot.holder[slot.key];
    if (value === null || value === undefined) return;
    if (Array.isArray(value)) {
      for (const key of value.keys()) fix({ holder: value as never, key });
    } else if (typeof value === "object") fixMap(value as Record<string, unknown>);
    else fixName(slot);
  };
  const { path } = spec;
  try {
    visitField(referrer.object, { path }, fix);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(
      `updating name reference in '${path}' field of '${showId(idOf(referrer))}': ${error.message}`,
    );
  }
}

function inNamespaceOf(map: Record<string, unknown>, candidates: readonly Resource[]): readonly Resource[] {
  if (!("namespace" in map)) return candidates;
  const namespace = textOf(map["namespace"]);
  const within = (idFor: (resource: Resource) => ResourceId) =>
    candidates.filter((each) => !isClusterScoped(idFor(each)) && effectiveNamespace(idFor(each)) === namespace);
  const original = within(originalIdOf);
  return original.length > 0 ? original : within(idOf);
}

function theReferral(
  referrer: Resource,
  { path }: FieldSpec,
  referent: Partial<KindName>,
  name: string,
  among: readonly Resource[],
  withNamespace: boolean,
): Resource | undefined {
  const role = path.endsWith("roleRef/name") ? roleOf(referrer) : undefined;
  const own = idOf(referrer);
  let left = among.filter((each) => {
    const former = formerIdsOf(each);
    const current = idOf(each);
    return (
      former.some((id) => id.name === name) &&
      former.some((id) => isSelected(id, referent)) &&
      (!role || former.some((id) => isSelected(id, role))) &&
      (isClusterScoped(own) ||
        isClusterScoped(current) ||
        current.kind === "ServiceAccount" ||
        effectiveNamespace(own) === effectiveNamespace(current))
    );
  });
  if (left.length === 1) return left[0];
  left = left.filter((each) => hasSameAffixes(each, referrer, true));
  if (left.length > 1) left = left.filter((each) => hasSameAffixes(each, referrer, false));
  const [first] = left;
  if (!first || left.length === 1) return first;
  const shown = ({ object: { metadata } }: Resource) =>
    withNamespace ? `${metadata.namespace ?? ""}/${metadata.name}` : metadata.name;
  if (left.every((each) => shown(each) === shown(first))) return first;
  const yaml = ({ object }: Resource) => encodeYaml(sortKeys(object));
  throw new CommandError(
    `found multiple possible referrals: ${left.map((each) => showId(idOf(each))).join(", ")}\n\n**** Too many possible referral targets to referrer:\n${yaml(referrer)}\n${left.map((each, i) => `--- possible referral ${i}:\n${yaml(each)}\n`).join("")}`,
  );
}

function roleOf({ object }: Resource): Partial<KindName> | undefined {
  const role = object["roleRef"] as { apiGroup?: unknown; kind?: unknown } | undefined;
  if (!role || role.apiGroup === undefined || role.kind === undefined) return undefined;
  return { group: textOf(role.apiGroup), kind: textOf(role.kind) };
}

/** Whether two have gone through the same kustomizations. */
function hasSameAffixes(a: Resource, b: Resource, emptyFits: boolean): boolean {
  const same = (x: readonly string[], y: readonly string[]) => {
    const [short, long] = x.length > y.length ? [y, x] : [x, y];
    if (short.length === 0) return emptyFits || long.length === 0;
    return short.every((each, i) => long[i + long.length - short.length] === each);
  };
  return same(a.prefixes, b.prefixes) && same(a.suffixes, b.suffixes);
}
