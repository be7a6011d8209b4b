/** Server-side apply: a manager's wishes merged into an object, with conflicts where another manager wished otherwise. */

import type { ManagedFieldsEntry } from "../../api/meta/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { TypeSchema, ValueSchema } from "../../api/schema.ts";
import { parseApiVersion } from "../group-version.ts";
import { stringifyExactly } from "../serializer/big-integers.ts";
import { DecodeError, MismatchError } from "../serializer/decode-error.ts";
import { badRequestError, StatusError } from "../status-error.ts";
import { conform } from "../strict-decode.ts";
import { deepEqual } from "./deep-equal.ts";
import {
  difference,
  differenceBelow,
  type FieldSet,
  fieldPaths,
  fieldSetOf,
  intersection,
  union,
} from "./field-set.ts";
import { inKeyOrder } from "./go-print.ts";
import {
  type ComparisonFor,
  comparisonsElsewhere,
  isWriter,
  type ManagedFields,
  makeEntry,
  type OtherVersions,
  recordUpdate,
  sortEntries,
  type Writer,
  withoutFields,
} from "./managed-fields.ts";
import { appliedFields, mergeApplied, removeUnowned, TypedError } from "./typed-apply.ts";
import { compareObjects, unrecordedMetadata } from "./typed-compare.ts";

export interface ApplyInput extends Omit<Writer, "operation"> {
  /** The object as it stands; undefined when the apply creates it. */
  live: { metadata: { managedFields?: ManagedFields } } | undefined;
  /** The configuration as it was sent: parsed, not pruned, with nothing filled in. */
  applied: object;
  type: TypeSchema;
  /** Takes fields from managers that set them otherwise, instead of failing. */
  force: boolean;
  /** Fields that this request cannot set (another subresource's): merged, but not owned. */
  ignore?: FieldSet | undefined;
  otherVersions?: OtherVersions | undefined;
}

export interface Applied {
  /** In canonical form, with its managedFields, not defaulted: a private copy, or `live` itself when nothing changed. */
  object: object;
  managedFields: ManagedFields | undefined;
}

/**
 * Throws StatusError: 409 with one cause per conflict, 500 when the configuration does not fit the type, as upstream has it,
 * 400 when it brings managedFields of its own.
 */
export function applyPatch(input: ApplyInput): Applied {
  const { live, type, force } = input;
  const applied = input.applied as {
    apiVersion?: string;
    kind?: string;
    metadata?: { name?: string; namespace?: string; managedFields?: unknown } | null;
  };
  if (applied.metadata?.managedFields) throw badRequestError("metadata.managedFields must be nil");
  const writer: Writer = { ...input, operation: "Apply" };
  const standing = standingManagers(input);
  const earlier = standing.find((entry) => isWriter(entry, writer));
  const others = standing.filter((entry) => entry !== earlier);

  const named = namedFields(input, applied);
  const claimed = differenceBelow(difference(named, unrecorded), input.ignore);
  const schema: ValueSchema = { kind: "struct", type, atomic: false };
  let object = mergeApplied(live ?? {}, input.applied, schema) as object;
  const last = earlier?.fieldsV1 as FieldSet | undefined;
  if (last) {
    // What nobody owns but the configuration names (the object's name) stays as well.
    const owned = others.reduce<FieldSet | undefined>((all, entry) => union(all, entry.fieldsV1 as FieldSet), named);
    object = (removeUnowned(object, last, owned, schema) ?? {}) as object;
  }

  const compared = compareObjects(live, object, type);
  // An empty map has no place in what is stored: claiming one that is not there changes nothing, and nobody can mind.
  const isUnchanged =
    live !== undefined && compared.changed !== undefined && sameObject(converted(object, input) as typeof live, live);
  const comparison = isUnchanged ? { ...compared, changed: undefined, removed: undefined } : compared;
  const compareFor = comparisonsElsewhere(live, () => converted(object, input), comparison, input);
  // What this request cannot set it takes from nobody.
  const comparisonFor: ComparisonFor = (entry) => {
    const { changed, removed } = compareFor(entry);
    return { changed: differenceBelow(changed, input.ignore), removed: differenceBelow(removed, input.ignore) };
  };
  if (!force) {
    const conflicts = findConflicts(others, comparisonFor);
    const serious =
      input.manager === "kubectl"
        ? conflicts.map((conflict) => withoutLastApplied(conflict, live, type)).filter((c) => c !== undefined)
        : conflicts;
    if (serious.length > 0) throw conflictError(serious);
  }
  const entries = withoutFields(others, (entry) => {
    const { changed, removed } = comparisonFor(entry);
    return union(changed, removed);
  });
  if (claimed) entries.push(makeEntry(writer, claimed));
  if (input.manager === "kubectl") object = refreshLastApplied(object, input.applied);

  const result = converted(object, input) as { metadata: { managedFields?: ManagedFields } };
  if (live && sameEntries(entries, live.metadata.managedFields ?? []) && sameObject(result, live)) {
    return { object: live, managedFields: live.metadata.managedFields };
  }
  const managedFields = entries.length > 0 ? sortEntries(entries) : undefined;
  if (managedFields) result.metadata.managedFields = managedFields;
  else delete result.metadata.managedFields;
  return { object: result, managedFields };
}

/** What is recorded so far. An object without records belongs to "before-first-apply" as it stands. */
function standingManagers({ live, type, apiVersion, time }: ApplyInput): ManagedFields {
  if (!live) return [];
  const managers = live.metadata.managedFields ?? [];
  if (managers.length > 0) return managers;
  const writer: Writer = { manager: "before-first-apply", operation: "Update", subresource: "", apiVersion, time };
  return recordUpdate([], compareObjects(undefined, live, type), writer, undefined) ?? [];
}

/** The server's own fields, which a configuration names but does not own. */
const unrecorded = fieldSetOf(
  ["f:apiVersion"],
  ["f:kind"],
  ["f:metadata"],
  ...[...unrecordedMetadata].map((name) => ["f:metadata", `f:${name}`]),
);

/** Every field of the configuration, those that are nobody's included. */
function namedFields({ type }: ApplyInput, applied: object): FieldSet | undefined {
  try {
    return appliedFields(applied, type);
  } catch (cause) {
    if (!(cause instanceof TypedError)) throw cause;
    const { place } = whereabouts(applied);
    throw new StatusError(500, "", `failed to create typed patch object (${place}): ${cause.message}`, undefined, {
      cause,
    });
  }
}

/** The merged object in canonical form. */
function converted(object: object, { type, applied }: ApplyInput): object {
  try {
    return conform<object>(object, type, { isConverted: true }).object;
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    const { place, kind } = whereabouts(applied);
    const why = cause instanceof MismatchError ? cause.conversionProblem : cause.message;
    const problem = `failed to convert new object (${place}) to proper version: unable to convert unstructured object to ${kind}: ${why}`;
    throw new StatusError(500, "", problem, undefined, { cause });
  }
}

/** What upstream's messages call a configuration: `namespace/name; apps/v1, Kind=Deployment`. */
function whereabouts(applied: object): { place: string; kind: string } {
  const {
    apiVersion = "",
    kind = "",
    metadata,
  } = applied as { apiVersion?: string; kind?: string; metadata?: { name?: string; namespace?: string } };
  const { group, version } = parseApiVersion(apiVersion) ?? { group: "", version: apiVersion };
  const found = `${group}/${version}, Kind=${kind}`;
  return { place: `${metadata?.namespace ?? ""}/${metadata?.name ?? ""}; ${found}`, kind: found };
}

interface Conflict {
  entry: ManagedFieldsEntry;
  fields: FieldSet;
}

function findConflicts(others: ManagedFields, comparisonFor: ComparisonFor): Conflict[] {
  const conflicts: Conflict[] = [];
  for (const entry of others) {
    const fields = intersection(entry.fieldsV1 as FieldSet, comparisonFor(entry).changed);
    if (fields) conflicts.push({ entry, fields });
  }
  return conflicts;
}

const lastAppliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration";

/**
 * Someone who moves from kubectl's client-side apply to server-side apply meets the owner of their own earlier writes. Fields that still
 * stand as the last client-side apply left them are no conflict.
 */
function withoutLastApplied(conflict: Conflict, live: object | undefined, type: TypeSchema): Conflict | undefined {
  const text = (live as { metadata?: { annotations?: Record<string, string> } } | undefined)?.metadata?.annotations?.[
    lastAppliedAnnotation
  ];
  if (!live || !text) return conflict;
  try {
    const lastApplied = JSON.parse(text) as { apiVersion?: unknown };
    if (lastApplied.apiVersion !== (live as { apiVersion?: unknown }).apiVersion) return conflict;
    const { changed, removed } = compareObjects(lastApplied, live, type);
    const untouched = difference(difference(appliedFields(lastApplied, type), changed), removed);
    const fields = difference(conflict.fields, untouched);
    return fields ? { ...conflict, fields } : undefined;
  } catch {
    return conflict; // An annotation that makes no sense settles nothing.
  }
}

/** An object that client-side apply once wrote keeps that annotation up to date, so that one may go back. */
function refreshLastApplied(object: object, applied: object): object {
  const { metadata } = object as { metadata?: { annotations?: Record<string, string> } };
  if (!metadata?.annotations?.[lastAppliedAnnotation]) return object;
  const { metadata: appliedMetadata, ...rest } = applied as { metadata?: { annotations?: Record<string, string> } };
  const { [lastAppliedAnnotation]: _, ...annotations } = appliedMetadata?.annotations ?? {};
  const config = {
    ...rest,
    metadata: { ...appliedMetadata, ...(appliedMetadata?.annotations ? { annotations } : {}) },
  };
  const text = `${goJson(config)}\n`;
  if (metadata.annotations[lastAppliedAnnotation] === text) return object;
  return {
    ...object,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [lastAppliedAnnotation]: text } },
  };
}

/** As Go writes a map: keys sorted, and nothing that HTML would take for its own. */
function goJson(value: unknown): string {
  return stringifyExactly(inKeyOrder(value)).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function conflictError(conflicts: readonly Conflict[]): StatusError {
  const found = conflicts.flatMap(({ entry, fields }) =>
    [...fieldPaths(fields)].map((field) => ({ who: printManager(entry), field })),
  );
  const causes = found.map(({ who, field }) => ({
    reason: "FieldManagerConflict",
    message: `conflict with ${who}`,
    field,
  }));
  const first = found[0]!;
  if (found.length === 1)
    return new StatusError(
      409,
      "Conflict",
      `Apply failed with 1 conflict: conflict with ${first.who}: ${first.field}`,
      { causes },
    );
  const lines: string[] = [];
  for (const who of [...new Set(found.map((conflict) => conflict.who))].sort()) {
    lines.push(
      `conflicts with ${who}:`,
      ...found.filter((conflict) => conflict.who === who).map(({ field }) => `- ${field}`),
    );
  }
  return new StatusError(409, "Conflict", `Apply failed with ${found.length} conflicts: ${lines.join("\n")}`, {
    causes,
  });
}

function printManager({ manager = "", subresource, operation, apiVersion }: ManagedFieldsEntry): string {
  const name = JSON.stringify(manager) + (subresource ? ` with subresource ${JSON.stringify(subresource)}` : "");
  return operation === "Update" ? `${name} using ${apiVersion}` : name;
}

interface Recorded {
  metadata: { managedFields?: unknown; resourceVersion?: string };
}

/** Whether an apply, once defaults have filled it, says what stood before: then nobody's time of writing has changed either. */
export function isWrittenAgain(next: Recorded, standing: DeepReadonly<Recorded>): boolean {
  const after = next.metadata.managedFields as ManagedFields | undefined;
  const before = standing.metadata.managedFields as ManagedFields | undefined;
  if (!after || !before || !sameEntries(after, before)) return false;
  const versionless = ({ metadata, ...rest }: DeepReadonly<Recorded>) => {
    const { resourceVersion: _version, ...kept } = metadata;
    return { ...rest, metadata: kept };
  };
  return sameObject(versionless(next), versionless(standing));
}

/** Times aside. */
function sameEntries(entries: ManagedFields, standing: ManagedFields): boolean {
  return (
    entries.length === standing.length &&
    entries.every((entry) =>
      standing.some((other) => other === entry || deepEqual({ ...other, time: "" }, { ...entry, time: "" })),
    )
  );
}

/** managedFields aside. */
function sameObject(a: { metadata: object }, b: { metadata: object }): boolean {
  return deepEqual(
    { ...a, metadata: { ...a.metadata, managedFields: undefined } },
    { ...b, metadata: { ...b.metadata, managedFields: undefined } },
  );
}
