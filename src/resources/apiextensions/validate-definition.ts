/** What is wrong with a CustomResourceDefinition, in upstream's words and places. */
import type {
  CustomResourceConversion,
  CustomResourceDefinition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionSpec,
  CustomResourceDefinitionVersion,
  CustomResourceSubresources,
  JSONSchemaProps,
} from "../../api/apiextensions/v1.ts";
import {
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  metadata,
  notSupported,
  required,
  spec,
  status,
} from "../../apimachinery/field-error.ts";
import { dns1035LabelProblems, dns1123SubdomainProblems } from "../../apimachinery/name-validation.ts";
import { deepEqual } from "../../apimachinery/patch/deep-equal.ts";
import { fieldAt, validateSchema } from "../../apimachinery/structural-schema/validate-schema.ts";
import { obeys, unchanged } from "../validation/rules.ts";

export function validateDefinition(
  next: CustomResourceDefinition,
  previous: CustomResourceDefinition | undefined,
): FieldError[] {
  const { names, group } = next.spec;
  const expected = `${names.plural}.${group}`;
  return [
    ...(next.metadata.name === expected
      ? []
      : [invalid(metadata.child("name"), next.metadata.name, 'must be spec.names.plural+"."+spec.group')]),
    ...validateSpec(next.spec, previous?.spec),
    ...validateStored(next),
    ...validateApproval(next, previous),
  ];
}

export function validateDefinitionUpdate(
  next: CustomResourceDefinition,
  previous: CustomResourceDefinition,
): FieldError[] {
  const errors = validateDefinition(next, previous);
  const isEstablished = previous.status?.conditions?.some(
    ({ type, status: value }) => type === "Established" && value === "True",
  );
  if (isEstablished) {
    errors.push(...unchanged(next.spec.scope, previous.spec.scope, spec.child("scope")));
    errors.push(...unchanged(next.spec.names.kind, previous.spec.names.kind, spec.child("names", "kind")));
  }
  errors.push(...unchanged(next.spec.group, previous.spec.group, spec.child("group")));
  errors.push(...unchanged(next.spec.names.plural, previous.spec.names.plural, spec.child("names", "plural")));
  return errors;
}

function validateSpec(
  next: CustomResourceDefinitionSpec,
  previous: CustomResourceDefinitionSpec | undefined,
): FieldError[] {
  const errors: FieldError[] = [];
  const { group, scope, versions } = next;
  const groupPath = spec.child("group");
  if (!group) errors.push(required(groupPath));
  else {
    errors.push(...obeys(group, dns1123SubdomainProblems, groupPath));
    if (!group.includes(".")) errors.push(invalid(groupPath, group, "should be a domain with at least one dot"));
  }
  if (!scope) errors.push(required(spec.child("scope")));
  else if (scope !== "Cluster" && scope !== "Namespaced")
    errors.push(notSupported(spec.child("scope"), scope, ["Cluster", "Namespaced"]));
  if (next.preserveUnknownFields && !previous?.preserveUnknownFields)
    errors.push(
      invalid(
        spec.child("preserveUnknownFields"),
        true,
        "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
      ),
    );
  errors.push(...validateVersions(versions));
  errors.push(...validateNames(next.names));
  errors.push(...validateConversion(next.conversion));
  return errors;
}

/** What all versions say alike, upstream's internal form says once, and its messages name that place. */
function sharedPath(
  versions: readonly CustomResourceDefinitionVersion[],
  field: keyof CustomResourceDefinitionVersion,
) {
  const first = versions[0]?.[field];
  return versions.every((version) => deepEqual(version[field] ?? null, first ?? null));
}

function validateVersions(versions: readonly CustomResourceDefinitionVersion[]): FieldError[] {
  const errors: FieldError[] = [];
  const path = spec.child("versions");
  const names = versions.map(({ name }) => name);
  versions.forEach((version, i) => {
    errors.push(...obeys(version.name, dns1035LabelProblems, path.index(i).child("name")));
  });
  if (versions[0]) errors.push(...obeys(versions[0].name, dns1035LabelProblems, spec.child("version")));
  const printed = () => versions.map((version) => printedVersion(version, versions));
  if (new Set(names).size !== names.length) errors.push(invalid(path, printed(), "must contain unique version names"));
  if (versions.filter(({ storage }) => storage).length !== 1)
    errors.push(invalid(path, printed(), "must have exactly one version marked as storage version"));
  const once = (field: keyof CustomResourceDefinitionVersion, at: FieldPath) =>
    versions.flatMap((version, i) => {
      const shared = sharedPath(versions, field);
      return shared && i > 0 ? [] : [{ version, at: shared ? at : path.index(i).child(field) }];
    });
  versions.forEach((version, i) => {
    if (!version.schema?.openAPIV3Schema) errors.push(required(path.index(i).child("schema", "openAPIV3Schema")));
  });
  for (const { version, at } of once("schema", spec.child("validation")))
    if (version.schema?.openAPIV3Schema)
      errors.push(...validateSchema(version.schema.openAPIV3Schema, at.child("openAPIV3Schema")));
  for (const { version, at } of once("subresources", spec.child("subresources")))
    errors.push(...validateSubresources(version.subresources, at));
  for (const { version, at } of once("additionalPrinterColumns", spec.child("additionalPrinterColumns")))
    errors.push(...validateColumns(version, at));
  for (const { version, at } of once("selectableFields", spec.child("selectableFields")))
    errors.push(...validateSelectable(version, at));
  versions.forEach(({ deprecated, deprecationWarning }, i) => {
    const at = path.index(i).child("deprecationWarning");
    if (deprecationWarning === undefined) return;
    if (!deprecated) errors.push(invalid(at, deprecationWarning, "can only be set for deprecated versions"));
    if (deprecationWarning.length > 256) errors.push(invalid(at, deprecationWarning, "must be <= 256 characters long"));
    if (deprecationWarning === "") errors.push(invalid(at, deprecationWarning, "must not be an empty string"));
  });
  return errors;
}

/** As upstream's internal type prints. */
function printedVersion(
  version: CustomResourceDefinitionVersion,
  all: readonly CustomResourceDefinitionVersion[],
): object {
  const own = (field: keyof CustomResourceDefinitionVersion) =>
    sharedPath(all, field) ? null : (version[field] ?? null);
  return {
    Name: version.name,
    Served: version.served,
    Storage: version.storage,
    Deprecated: version.deprecated ?? false,
    DeprecationWarning: version.deprecationWarning ?? null,
    Schema: own("schema"),
    Subresources: own("subresources"),
    AdditionalPrinterColumns: own("additionalPrinterColumns"),
    SelectableFields: own("selectableFields"),
  };
}

function validateNames(names: CustomResourceDefinitionNames): FieldError[] {
  const path = spec.child("names");
  const errors: FieldError[] = [];
  const { plural, singular = "", kind, listKind = "", shortNames, categories } = names;
  const entries = { plural, singular, kind, listKind };
  for (const [name, value] of Object.entries(entries)) if (!value) errors.push(required(path.child(name)));
  if (plural) errors.push(...obeys(plural, dns1035LabelProblems, path.child("plural")));
  if (singular) errors.push(...obeys(singular, dns1035LabelProblems, path.child("singular")));
  for (const [field, value] of [
    ["kind", kind],
    ["listKind", listKind],
  ] as const) {
    if (!value) continue;
    for (const problem of dns1035LabelProblems(value.toLowerCase()))
      errors.push(invalid(path.child(field), value, `may have mixed case, but should otherwise match: ${problem}`));
  }
  shortNames?.forEach((name, i) => {
    errors.push(...obeys(name, dns1035LabelProblems, path.child("shortNames").index(i)));
  });
  if (kind && kind === listKind)
    errors.push(invalid(path.child("listKind"), listKind, "kind and listKind may not be the same"));
  categories?.forEach((name, i) => {
    errors.push(...obeys(name, dns1035LabelProblems, path.child("categories").index(i)));
  });
  return errors;
}

function validateConversion(conversion: CustomResourceConversion | undefined): FieldError[] {
  if (!conversion) return [];
  const path = spec.child("conversion");
  const { strategy, webhook } = conversion;
  if (strategy !== "None" && strategy !== "Webhook")
    return [
      strategy ? notSupported(path.child("strategy"), strategy, ["None", "Webhook"]) : required(path.child("strategy")),
    ];
  if (strategy === "None") {
    return webhook
      ? [forbidden(path.child("webhookClientConfig"), "should not be set when strategy is not set to Webhook")]
      : [];
  }
  const errors: FieldError[] = [];
  const config = webhook?.clientConfig;
  const at = path.child("webhookClientConfig");
  if (!config) errors.push(required(at, "required when strategy is set to Webhook"));
  else if ((config.url === undefined) === (config.service === undefined))
    errors.push(required(at, "exactly one of url or service is required"));
  else if (config.url !== undefined) {
    if (!URL.canParse(config.url)) errors.push(required(at.child("url"), `url must be a valid URL: ${config.url}`));
    else if (new URL(config.url).protocol !== "https:")
      errors.push(
        invalid(
          at.child("url"),
          new URL(config.url).protocol.slice(0, -1),
          `'https' is the only allowed URL scheme; desired format: https://host[/path]`,
        ),
      );
  } else if (config.service) {
    if (!config.service.name) errors.push(required(at.child("service", "name"), "service name is required"));
    if (!config.service.namespace)
      errors.push(required(at.child("service", "namespace"), "service namespace is required"));
  }
  const versions = webhook?.conversionReviewVersions ?? [];
  const versionsPath = path.child("conversionReviewVersions");
  if (versions.length === 0) errors.push(required(versionsPath));
  else if (!versions.some((version) => version === "v1" || version === "v1beta1"))
    errors.push(invalid(versionsPath, versions, "must include at least one of v1, v1beta1"));
  return errors;
}

const pathPattern = /^(\.[^.[\]]+|\['[^']+'\]|\["[^"]+"\])+$/;

function validateSubresources(subresources: CustomResourceSubresources | undefined, path: FieldPath): FieldError[] {
  const scale = subresources?.scale;
  if (!scale) return [];
  const errors: FieldError[] = [];
  const check = (field: string, value: string | undefined, below: readonly string[], isRequired = true) => {
    const at = path.child("scale", field);
    if (!value) {
      if (isRequired) errors.push(required(at));
    } else if (!pathPattern.test(value)) errors.push(invalid(at, value, "must be a simple json path starting with ."));
    else if (!below.some((prefix) => value.startsWith(`${prefix}.`)))
      errors.push(invalid(at, value, `should be a json path under ${below.join(" or ")}`));
  };
  check("specReplicasPath", scale.specReplicasPath, [".spec"]);
  check("statusReplicasPath", scale.statusReplicasPath, [".status"]);
  check("labelSelectorPath", scale.labelSelectorPath, [".spec", ".status"], false);
  return errors;
}

const columnTypes = ["boolean", "date", "integer", "number", "string"];
const columnFormats = ["binary", "byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

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
      ...(jsonPath ? [] : [required(at.child("JSONPath"))]),
    ];
  });
}

function validateSelectable(version: CustomResourceDefinitionVersion, path: FieldPath): FieldError[] {
  const { selectableFields = [], schema } = version;
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  if (selectableFields.length > 8)
    errors.push({
      reason: "FieldValueTooMany",
      field: path.toString(),
      message: `Too many: ${selectableFields.length}: must have at most 8 items`,
    });
  selectableFields.forEach(({ jsonPath }, i) => {
    const at = path.index(i).child("jsonPath");
    if (!jsonPath) errors.push(required(at));
    else if (!pathPattern.test(jsonPath) || jsonPath.includes("["))
      errors.push(invalid(at, jsonPath, "is an invalid path: must be a simple json path starting with ."));
    else if (jsonPath === ".metadata" || jsonPath.startsWith(".metadata."))
      errors.push(invalid(at, jsonPath, "must not point to fields in metadata"));
    else {
      const field = schema?.openAPIV3Schema && fieldAt(schema.openAPIV3Schema as JSONSchemaProps, jsonPath);
      if (!field) errors.push(invalid(at, jsonPath, "is an invalid path: does not refer to a valid field"));
      else if (!["string", "boolean", "integer"].includes(field.type ?? ""))
        errors.push(
          invalid(
            at,
            jsonPath,
            "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
          ),
        );
    }
    if (seen.has(jsonPath))
      errors.push({
        reason: "FieldValueDuplicate",
        field: at.toString(),
        message: `Duplicate value: ${JSON.stringify(jsonPath)}`,
      });
    seen.add(jsonPath);
  });
  return errors;
}

/** A version in which objects may still be stored cannot go. */
export function validateStored({ spec: { versions }, status: stands }: CustomResourceDefinition): FieldError[] {
  const stored = stands?.storedVersions ?? [];
  const path = status.child("storedVersions");
  if (stored.length === 0) return [invalid(path, null, "must have at least one stored version")];
  const names = new Set(versions.map(({ name }) => name));
  const errors = stored.flatMap((name, i) =>
    names.has(name)
      ? []
      : [
          invalid(
            path.index(i),
            name,
            "missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions".replaceAll(
              "v1",
              name,
            ),
          ),
        ],
  );
  return errors;
}

const approval = "api-approved.kubernetes.io";

/** Groups of the project itself are not for everybody. */
function validateApproval(
  { spec: { group }, metadata: meta }: CustomResourceDefinition,
  previous: CustomResourceDefinition | undefined,
): FieldError[] {
  if (!/(^|\.)(k8s|kubernetes)\.io$/.test(group)) return [];
  const said = meta.annotations?.[approval];
  if (previous && previous.metadata.annotations?.[approval] === said) return [];
  const at = metadata.child("annotations").key(approval);
  const see = "see https://github.com/kubernetes/enhancements/pull/1111";
  if (!said)
    return [required(at, `protected groups must have approval annotation ${JSON.stringify(approval)}, ${see}`)];
  if (said.startsWith("unapproved") || URL.canParse(said)) return [];
  return [
    invalid(
      at,
      said,
      `protected groups must have approval annotation ${JSON.stringify(approval)} with either a URL or a reason starting with "unapproved", ${see}`,
    ),
  ];
}
