/** What is wrong with a CustomResourceDefinition, in upstream's words and places. */

import type {
  CustomResourceDefinition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionSpec,
  CustomResourceDefinitionVersion,
  CustomResourceSubresources,
  JSONSchemaProps,
} from "../../api/apiextensions/v1.ts";
import { approvalAnnotation, approvalOf, isProtectedGroup } from "../../apimachinery/api-approval.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  invalid,
  metadata,
  notSupported,
  required,
  spec,
  status,
  tooMany,
} from "../../apimachinery/field-error.ts";
import { dns1035LabelProblems, dns1123SubdomainProblems } from "../../apimachinery/name-validation.ts";
import { deepEqual } from "../../apimachinery/patch/deep-equal.ts";
import { findField } from "../../apimachinery/structural-schema/field-path.ts";
import { printedSchema } from "../../apimachinery/structural-schema/print-schema.ts";
import { validateSchema } from "../../apimachinery/structural-schema/validate-schema.ts";
import { utf8Length } from "../../base/utf8.ts";
import { unchanged } from "../validation/rules.ts";
import { schemaParts } from "./schema-parts.ts";
import { isEstablished, validateConversion } from "./validate-conversion.ts";

export function validateDefinition(
  next: CustomResourceDefinition,
  previous: CustomResourceDefinition | undefined,
): FieldError[] {
  const { names, group } = next.spec;
  const expected = `${names.plural}.${group}`;
  return [
    ...(previous || next.metadata.name === expected
      ? []
      : [invalid(metadata.child("name"), next.metadata.name, 'must be spec.names.plural+"."+spec.group')]),
    ...validateSpec(next.spec, previous),
    ...(previous ? validateUnchanged(next.spec, previous) : []),
    ...validateStatus(next),
    ...validateStored(next),
    ...validateApproval(next, previous),
    ...(next.spec.preserveUnknownFields && !previous?.spec.preserveUnknownFields
      ? [
          invalid(
            spec.child("preserveUnknownFields"),
            true,
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
          ),
        ]
      : []),
  ];
}

/** Also all that a write of the status is checked for. */
export function validateStatus({ status: stands }: CustomResourceDefinition): FieldError[] {
  const accepted = stands?.acceptedNames;
  return accepted ? validateNames(accepted, status.child("acceptedNames")) : [];
}

function validateUnchanged(next: CustomResourceDefinitionSpec, previous: CustomResourceDefinition): FieldError[] {
  const { spec: before } = previous;
  return [
    ...(isEstablished(previous)
      ? [
          ...unchanged(next.scope, before.scope, spec.child("scope")),
          ...unchanged(next.names.kind, before.names.kind, spec.child("names", "kind")),
        ]
      : []),
    ...unchanged(next.group, before.group, spec.child("group")),
    ...unchanged(next.names.plural, before.names.plural, spec.child("names", "plural")),
  ];
}

function validateSpec(
  next: CustomResourceDefinitionSpec,
  previous: CustomResourceDefinition | undefined,
): FieldError[] {
  const errors: FieldError[] = [];
  const { group, scope, versions } = next;
  const groupPath = spec.child("group");
  if (!group) errors.push(required(groupPath));
  else {
    const problems = obeysAtOnce(group, dns1123SubdomainProblems, groupPath);
    errors.push(...problems);
    if (problems.length === 0 && !group.includes("."))
      errors.push(invalid(groupPath, group, "should be a domain with at least one dot"));
  }
  if (!scope) errors.push(required(spec.child("scope")));
  else if (scope !== "Cluster" && scope !== "Namespaced")
    errors.push(notSupported(spec.child("scope"), scope, ["Cluster", "Namespaced"]));
  errors.push(...validateVersions(versions, next.preserveUnknownFields ?? false));
  errors.push(...validateRequiredNames(next.names), ...validateNames(next.names, spec.child("names")));
  errors.push(...validateShared(versions));
  if (next.preserveUnknownFields && next.conversion && next.conversion.strategy !== "None")
    errors.push(
      invalid(
        spec.child("conversion", "strategy"),
        next.conversion.strategy,
        "must be None if spec.preserveUnknownFields is true",
      ),
    );
  errors.push(...validateConversion(next.conversion, previous));
  return errors;
}

/** What all versions say alike, upstream's internal form says once, and its messages name that place. */
function isShared(versions: readonly CustomResourceDefinitionVersion[], part: Part): boolean {
  const first = versions[0]?.[part];
  return versions.every((version) => deepEqual(version[part] ?? null, first ?? null));
}

/** All that is wrong with one name is one mistake. */
function obeysAtOnce(value: string, rule: (value: string) => string[], path: FieldPath): FieldError[] {
  const problems = rule(value);
  return problems.length > 0 ? [invalid(path, value, problems.join(","))] : [];
}

const parts = ["schema", "subresources", "additionalPrinterColumns", "selectableFields"] as const;
type Part = (typeof parts)[number];

/**
 * One part of a version, at the place where it is said. `unseen` tells that selectable fields do not stand where the schema
 * does: upstream looks for it beside them.
 */
function validatePart(
  part: Part,
  version: CustomResourceDefinitionVersion,
  path: FieldPath,
  hasStatus: boolean,
  unseen: string | undefined,
): FieldError[] {
  switch (part) {
    case "schema": {
      const schema = version.schema?.openAPIV3Schema;
      return schema ? validateSchema(schema, path.child("openAPIV3Schema"), { hasStatus }) : [];
    }
    case "subresources":
      return validateSubresources(version.subresources, path);
    case "additionalPrinterColumns":
      return validateColumns(version, path);
    case "selectableFields":
      return validateSelectable(version, path, unseen);
  }
}

const sharedPlaces: Readonly<Record<Part, FieldPath>> = {
  schema: spec.child("validation"),
  subresources: spec.child("subresources"),
  additionalPrinterColumns: spec.child("additionalPrinterColumns"),
  selectableFields: spec.child("selectableFields"),
};

function hasDefault(schema: JSONSchemaProps | undefined): boolean {
  return schema !== undefined && (schema.default !== undefined || schemaParts(schema).some(hasDefault));
}

function validateVersions(
  versions: readonly CustomResourceDefinitionVersion[],
  preservesUnknown: boolean,
): FieldError[] {
  const errors: FieldError[] = [];
  const path = spec.child("versions");
  const names = versions.map(({ name }) => name);
  versions.forEach((version, i) => {
    if (!version.schema?.openAPIV3Schema) errors.push(required(path.index(i).child("schema", "openAPIV3Schema")));
  });
  if (preservesUnknown && versions.some(({ schema }) => hasDefault(schema?.openAPIV3Schema))) {
    const why = "must be false in order to use defaults in the schema";
    errors.push(invalid(spec.child("preserveUnknownFields"), true, why));
  }
  versions.forEach((version, i) => {
    const at = path.index(i);
    errors.push(...obeysAtOnce(version.name, dns1035LabelProblems, at.child("name")));
    for (const problem of deprecationProblems(version))
      errors.push(invalid(at.child("deprecationWarning"), version.deprecationWarning, problem));
    const hasStatus = version.subresources?.status !== undefined;
    const unseen =
      isShared(versions, "schema") || !version.schema?.openAPIV3Schema
        ? "may only be set when `version.schema.openAPIV3Schema` is not included"
        : undefined;
    for (const part of parts)
      if (!isShared(versions, part)) errors.push(...validatePart(part, version, at.child(part), hasStatus, unseen));
  });
  const printed = () => versions.map((version) => printedVersion(version, versions));
  if (new Set(names).size !== names.length) errors.push(invalid(path, printed(), "must contain unique version names"));
  if (versions.filter(({ storage }) => storage).length !== 1)
    errors.push(invalid(path, printed(), "must have exactly one version marked as storage version"));
  if (versions[0]) errors.push(...obeysAtOnce(versions[0].name, dns1035LabelProblems, spec.child("version")));
  return errors;
}

/** What all versions have in common. */
function validateShared(versions: readonly CustomResourceDefinitionVersion[]): FieldError[] {
  const [first] = versions;
  if (!first) return [];
  const hasStatus = versions.some(({ subresources }) => subresources?.status !== undefined);
  const unseen =
    isShared(versions, "schema") && first.schema ? undefined : "may only be set when validations.schema is included";
  return parts.flatMap((part) =>
    isShared(versions, part) ? validatePart(part, first, sharedPlaces[part], hasStatus, unseen) : [],
  );
}

function deprecationProblems({ deprecated, deprecationWarning: warning }: CustomResourceDefinitionVersion): string[] {
  if (warning === undefined) return [];
  if (!deprecated) return ["can only be set for deprecated versions"];
  const problems: string[] = [];
  if (utf8Length(warning) > 256) problems.push("must be <= 256 characters long");
  if (warning === "") problems.push("must not be an empty string");
  const bad = warning.search(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u);
  if (bad >= 0) {
    const at = utf8Length(warning.slice(0, bad));
    problems.push(`must only contain printable UTF-8 characters; non-printable character found at index ${at}`);
  }
  return problems;
}

/** As upstream's internal type prints. */
function printedVersion(
  version: CustomResourceDefinitionVersion,
  all: readonly CustomResourceDefinitionVersion[],
): object {
  const own = (part: Part) => (isShared(all, part) ? null : (version[part] ?? null));
  const schema = own("schema") && { OpenAPIV3Schema: printedSchema(version.schema?.openAPIV3Schema) };
  return {
    Name: version.name,
    Served: version.served,
    Storage: version.storage,
    Deprecated: version.deprecated ?? false,
    DeprecationWarning: version.deprecationWarning ?? null,
    Schema: schema,
    Subresources: own("subresources"),
    AdditionalPrinterColumns: own("additionalPrinterColumns"),
    SelectableFields: own("selectableFields"),
  };
}

function validateRequiredNames({ plural, singular, kind, listKind }: CustomResourceDefinitionNames): FieldError[] {
  return Object.entries({ plural, singular, kind, listKind }).flatMap(([name, value]) =>
    value ? [] : [required(spec.child("names", name))],
  );
}

function validateNames(names: CustomResourceDefinitionNames, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const { plural, singular, kind, listKind, shortNames, categories } = names;
  const label = (value: string, at: FieldPath) => {
    errors.push(...obeysAtOnce(value, dns1035LabelProblems, at));
  };
  if (plural) label(plural, path.child("plural"));
  if (singular) label(singular, path.child("singular"));
  for (const [field, value] of Object.entries({ kind, listKind })) {
    const problems = value ? dns1035LabelProblems(value.toLowerCase()) : [];
    if (problems.length === 0) continue;
    const detail = `may have mixed case, but should otherwise match: ${problems.join(",")}`;
    errors.push(invalid(path.child(field), value, detail));
  }
  for (const [i, name] of (shortNames ?? []).entries()) label(name, path.child("shortNames").index(i));
  if (kind && kind === listKind)
    errors.push(invalid(path.child("listKind"), listKind, "kind and listKind may not be the same"));
  for (const [i, name] of (categories ?? []).entries()) label(name, path.child("categories").index(i));
  return errors;
}

function validateSubresources(subresources: CustomResourceSubresources | undefined, path: FieldPath): FieldError[] {
  const scale = subresources?.scale;
  if (!scale) return [];
  const errors: FieldError[] = [];
  const check = (field: string, value: string | undefined, below: readonly string[], where: string) => {
    const at = path.child("scale", field);
    if (!value) errors.push(required(at));
    else if (!value.startsWith(".")) errors.push(invalid(at, value, "must be a simple json path starting with ."));
    else if (!below.some((prefix) => value.startsWith(prefix)))
      errors.push(invalid(at, value, `should be a json path under ${where}`));
  };
  check("specReplicasPath", scale.specReplicasPath, [".spec."], ".spec");
  check("statusReplicasPath", scale.statusReplicasPath, [".status."], ".status");
  if (scale.labelSelectorPath)
    check("labelSelectorPath", scale.labelSelectorPath, [".spec.", ".status."], "either .spec or .status");
  return errors;
}

const columnTypes = ["boolean", "date", "integer", "number", "string"];
const columnFormats = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

function validateColumns(
  { additionalPrinterColumns = [] }: CustomResourceDefinitionVersion,
  path: FieldPath,
): FieldError[] {
  return additionalPrinterColumns.flatMap(({ name, type, format, jsonPath }, i) => {
    const at = path.index(i);
    return [
      ...(name ? [] : [required(at.child("name"))]),
      ...(type
        ? columnTypes.includes(type)
          ? []
          : [invalid(at.child("type"), type, `must be one of ${columnTypes.join(",")}`)]
        : [required(at.child("type"), `must be one of ${columnTypes.join(",")}`)]),
      ...(format && !columnFormats.includes(format)
        ? [invalid(at.child("format"), format, `must be one of ${columnFormats.join(",")}`)]
        : []),
      ...(jsonPath
        ? jsonPath.startsWith(".")
          ? []
          : [invalid(at.child("JSONPath"), jsonPath, "must be a simple json path starting with .")]
        : [required(at.child("JSONPath"))]),
    ];
  });
}

const mostSelectable = 8;

function validateSelectable(
  { selectableFields = [], schema }: CustomResourceDefinitionVersion,
  path: FieldPath,
  unseen: string | undefined,
): FieldError[] {
  const errors: FieldError[] = [];
  if (unseen && selectableFields.length > 0) return [invalid(path, "", unseen)];
  const seen = new Set<string>();
  if (!schema?.openAPIV3Schema) return errors;
  selectableFields.forEach(({ jsonPath }, i) => {
    const at = path.index(i).child("jsonPath");
    if (!jsonPath) {
      errors.push(required(at));
      return;
    }
    const found = findField(jsonPath, schema.openAPIV3Schema!, { brackets: false });
    if (found.problem !== undefined) {
      errors.push(invalid(at, jsonPath, `is an invalid path: ${found.problem}`));
      return;
    }
    if (found.root === "metadata") errors.push(invalid(at, jsonPath, "must not point to fields in metadata"));
    if (!["string", "boolean", "integer"].includes(found.schema.type ?? ""))
      errors.push(
        invalid(
          at,
          jsonPath,
          "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
        ),
      );
    const name = found.path.toString();
    if (seen.has(name)) errors.push(duplicate(at, jsonPath));
    seen.add(name);
  });
  if (seen.size > mostSelectable) errors.push(tooMany(path, seen.size, mostSelectable));
  return errors;
}

/** A version in which objects may still be stored cannot go. */
function validateStored({ spec: { versions }, status: stands }: CustomResourceDefinition): FieldError[] {
  const stored = stands?.storedVersions ?? [];
  const path = status.child("storedVersions");
  if (stored.length === 0) return [invalid(path, stands?.storedVersions, "must have at least one stored version")];
  const names = new Set(versions.map(({ name }) => name));
  const storage = versions.filter((version) => version.storage && !stored.includes(version.name));
  const gone = stored.flatMap((name, i) => {
    if (names.has(name)) return [];
    const why = `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`;
    return [invalid(path.index(i), name, why)];
  });
  return [...storage.map(({ name }) => invalid(path, stored, `must have the storage version ${name}`)), ...gone];
}

/** Groups of the project itself are not for everybody. */
function validateApproval(
  { spec: { group }, metadata: meta }: CustomResourceDefinition,
  previous: CustomResourceDefinition | undefined,
): FieldError[] {
  if (!isProtectedGroup(group)) return [];
  const said = meta.annotations?.[approvalAnnotation];
  const at = metadata.child("annotations").key(approvalAnnotation);
  const { state, message } = approvalOf(meta.annotations);
  if (previous && approvalOf(previous.metadata.annotations).state === state) return [];
  if (state === "Missing") return [required(at, message)];
  return state === "Invalid" ? [invalid(at, said, message)] : [];
}
