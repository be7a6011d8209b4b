/** Keeps metadata.managedFields: who set which field, through which version, with apply or otherwise, and when. */
import type { ManagedFieldsEntry } from "../../api/meta/v1.ts";
import type { TypeSchema } from "../../api/schema.ts";
import { difference, differenceBelow, type FieldSet, inOrder, isEmptySet, union } from "./field-set.ts";
import { type Comparison, compareObjects } from "./typed-compare.ts";

export type ManagedFields = readonly ManagedFieldsEntry[];

export interface Writer {
  /** The fieldManager of the request, or the first word of its user agent. */
  manager: string;
  operation: "Apply" | "Update";
  /** Empty for the main resource. */
  subresource: string;
  apiVersion: string;
  /** RFC 3339, whole seconds. */
  time: string;
}

/** Another version that the object has, for managers who wrote through it: their fields are named as that version names them. */
export interface OtherVersion {
  type: TypeSchema;
  /** From the version of the write. May share parts with what it was given. */
  convert(object: object): object;
}

/** Undefined: the version is the write's own, or cannot be asked; fields are then taken to have the same names. */
export type OtherVersions = (apiVersion: string) => OtherVersion | undefined;

export interface UpdateInput extends Omit<Writer, "operation"> {
  /** The object as it stands; undefined when it is being created. */
  live: { metadata: { managedFields?: ManagedFields } } | undefined;
  /**
   * The new object in canonical form and defaulted, but neither admitted nor given what the server allocates (cluster IPs, node ports,
   * the namespace's finalizer): upstream counts none of that as the writer's. Its own managedFields are read, not changed.
   */
  next: { metadata: { managedFields?: ManagedFields } };
  type: TypeSchema;
  /** Fields that this request cannot set (another subresource's), such as `fieldSetOf(["f:status"])`. */
  ignore?: FieldSet | undefined;
  otherVersions?: OtherVersions | undefined;
}

/**
 * The managedFields for `next` after an update that is not an apply. Undefined: the object has none. The same array as before when
 * nobody's fields changed, so that the caller sees a write that changes nothing.
 */
export function updateManagers(input: UpdateInput): ManagedFields | undefined {
  const standing = standingManagers(input);
  // Once somebody emptied the list, nothing is recorded until the next apply.
  if (standing.length === 0 && input.live) return undefined;
  const comparison = compareObjects(input.live, input.next, input.type);
  const elsewhere = comparisonsElsewhere(input.live, () => input.next, comparison, input);
  return recordUpdate(standing, comparison, { ...input, operation: "Update" }, input.ignore, elsewhere);
}

/** What changed as a manager's own version shows it. */
export type ComparisonFor = (entry: ManagedFieldsEntry) => Comparison;

/** Compares in a version when somebody wrote through it, once. */
export function comparisonsElsewhere(
  live: object | undefined,
  next: () => object,
  comparison: Comparison,
  { apiVersion, otherVersions }: { apiVersion: string; otherVersions?: OtherVersions | undefined },
): ComparisonFor {
  const known = new Map<string, Comparison>([[apiVersion, comparison]]);
  return (entry) => {
    const version = entry.apiVersion ?? apiVersion;
    let found = known.get(version);
    if (!found) {
      const other = comparison.changed || comparison.removed ? otherVersions?.(version) : undefined;
      found = other && live ? compareObjects(other.convert(live), other.convert(next()), other.type) : comparison;
      known.set(version, found);
    }
    return found;
  };
}

/** What is recorded so far: a client may replace it through the main resource, and clears it with `[{}]`. */
function standingManagers({ live, next, subresource }: UpdateInput): ManagedFields {
  const mine = live?.metadata.managedFields ?? [];
  const given = next.metadata.managedFields;
  if (subresource || !given || given === mine) return mine;
  if (given.length === 0 || (given.length === 1 && Object.keys(given[0]!).length === 0)) return [];
  return given.every(isEntry) ? given : mine;
}

function isEntry(entry: ManagedFieldsEntry): boolean {
  return (
    (entry.operation === "Apply" || entry.operation === "Update") &&
    entry.fieldsType === "FieldsV1" &&
    typeof entry.fieldsV1 === "object"
  );
}

/** Gives the writer what changed and takes it, and what went, from everybody else. */
export function recordUpdate(
  standing: ManagedFields,
  comparison: Comparison,
  writer: Writer,
  ignore: FieldSet | undefined,
  comparisonFor: ComparisonFor = () => comparison,
): ManagedFields | undefined {
  const changed = differenceBelow(comparison.changed, ignore);
  const { removed } = comparison;
  if (!changed && !removed) return standing.length > 0 ? standing : undefined;
  const entries = withoutFields(standing, (entry) => {
    const seen = comparisonFor(entry);
    return union(differenceBelow(seen.changed, ignore), seen.removed);
  });
  if (!changed) return entries.length > 0 ? sortEntries(entries) : undefined;
  const mine = entries.findIndex((entry) => isWriter(entry, writer));
  // The whole set was taken from everybody, from the writer's earlier entry too, and is now given back to it.
  const before = mine >= 0 ? (entries.splice(mine, 1)[0]!.fieldsV1 as FieldSet) : undefined;
  entries.push(makeEntry(writer, union(before, changed)!));
  return sortEntries(capUpdaters(entries));
}

/** Entries that own none of the fields; those left with nothing are gone. A fresh array. */
export function withoutFields(
  entries: ManagedFields,
  fieldsFor: (entry: ManagedFieldsEntry) => FieldSet | undefined,
): ManagedFieldsEntry[] {
  const left: ManagedFieldsEntry[] = [];
  for (const entry of entries) {
    const before = entry.fieldsV1 as FieldSet;
    const after = difference(before, fieldsFor(entry));
    if (after === before) left.push(entry);
    else if (after && !isEmptySet(after)) left.push({ ...entry, fieldsV1: inOrder(after) });
  }
  return left;
}

/** Whether the entry is the one that this writer's earlier writes made. An applier is the same through every version. */
export function isWriter(entry: ManagedFieldsEntry, writer: Writer): boolean {
  return (
    entry.manager === writer.manager &&
    entry.operation === writer.operation &&
    (entry.subresource ?? "") === writer.subresource &&
    (writer.operation === "Apply" || entry.apiVersion === writer.apiVersion)
  );
}

export function makeEntry(writer: Writer, fields: FieldSet): ManagedFieldsEntry {
  return {
    manager: writer.manager,
    operation: writer.operation,
    apiVersion: writer.apiVersion,
    time: writer.time,
    fieldsType: "FieldsV1",
    fieldsV1: inOrder(fields),
    ...(writer.subresource ? { subresource: writer.subresource } : {}),
  };
}

/** Appliers first, then by time and name, as upstream stores them. */
export function sortEntries(entries: ManagedFieldsEntry[]): ManagedFieldsEntry[] {
  const compare = (a = "", b = ""): number => (a < b ? -1 : a > b ? 1 : 0);
  return entries.sort(
    (a, b) =>
      compare(a.operation, b.operation) ||
      compare(a.time ?? "", b.time ?? "") ||
      compare(a.manager, b.manager) ||
      compare(a.apiVersion, b.apiVersion) ||
      compare(a.subresource, b.subresource),
  );
}

const maximumUpdaters = 10;
const oldUpdaters = "ancient-changes";

/** Beyond ten, the oldest updaters of a version become one. */
function capUpdaters(entries: ManagedFieldsEntry[]): ManagedFieldsEntry[] {
  if (entries.length <= maximumUpdaters) return entries;
  const updaters = entries.filter((entry) => entry.operation === "Update");
  if (updaters.length <= maximumUpdaters) return entries;
  updaters.sort((a, b) => ((a.time ?? "") < (b.time ?? "") ? -1 : (a.time ?? "") > (b.time ?? "") ? 1 : 0));
  const merged = new Set<ManagedFieldsEntry>();
  const first = new Map<string, ManagedFieldsEntry>();
  const buckets = new Map<string, ManagedFieldsEntry>();
  let left = updaters.length;
  for (const entry of updaters) {
    if (left <= maximumUpdaters) break;
    const version = entry.apiVersion ?? "";
    const oldest = first.get(version);
    if (!oldest) {
      first.set(version, entry);
      continue;
    }
    merged.add(oldest).add(entry);
    const { subresource: _, ...rest } = entry;
    buckets.set(version, {
      ...rest,
      manager: oldUpdaters,
      fieldsV1: inOrder(union((buckets.get(version) ?? oldest).fieldsV1 as FieldSet, entry.fieldsV1 as FieldSet)!),
    });
    left--;
  }
  return [...entries.filter((entry) => !merged.has(entry)), ...buckets.values()];
}
