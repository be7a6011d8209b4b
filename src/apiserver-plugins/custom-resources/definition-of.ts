/** What a CustomResourceDefinition yields for the API server: one ResourceDefinition for each served version. */

import type {
  CustomResourceDefinition,
  CustomResourceDefinitionVersion,
  JSONSchemaProps,
} from "../../api/apiextensions/v1.ts";
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import { apiVersionOf } from "../../apimachinery/group-version.ts";
import { finalizerWarnings } from "../../apimachinery/object-meta-validation.ts";
import type { ResourceDefinition } from "../../apimachinery/resource-definition.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { decodeValue } from "../../apimachinery/serializer/json.ts";
import { StatusError } from "../../apimachinery/status-error.ts";
import { compileDefaulting, hasDefaults } from "../../apimachinery/structural-schema/defaulting.ts";
import { compileSimplePath } from "../../apimachinery/structural-schema/json-path.ts";
import { customType } from "../../apimachinery/structural-schema/type-schema.ts";
import { printerColumns } from "./printer-columns.ts";
import { instanceValidation } from "./validate-instance.ts";
import type { Converter } from "./webhook-conversion.ts";

type Definition = DeepReadonly<CustomResourceDefinition>;

/**
 * Names are those that were accepted, not those that are asked for. Where no version is served, the stored one is while the definition
 * is deleted: its objects could not be deleted otherwise.
 */
export function resourceDefinitionsOf(definition: Definition, convert: Converter | undefined): ResourceDefinition[] {
  const { versions } = definition.spec;
  const served = versions.filter((version) => version.served);
  const isDeleted = definition.metadata.deletionTimestamp !== undefined;
  return (served.length === 0 && isDeleted ? versions.filter((version) => version.storage) : served).map((version) =>
    definitionOf(definition as CustomResourceDefinition, version as CustomResourceDefinitionVersion, convert),
  );
}

function definitionOf(
  { spec, status, metadata }: CustomResourceDefinition,
  version: CustomResourceDefinitionVersion,
  convert: Converter | undefined,
): ResourceDefinition {
  const names = status!.acceptedNames!;
  const schema = spec.preserveUnknownFields ? undefined : version.schema?.openAPIV3Schema;
  const type = customType({ group: spec.group, version: version.name, kind: names.kind }, schema);
  const defaults = compileDefaulting(schema);
  const hasStatus = version.subresources?.status !== undefined;
  const { scale } = version.subresources ?? {};
  const storage = spec.versions.find((one) => one.storage)!.name;
  const isTerminating = metadata.deletionTimestamp !== undefined;
  const own = { group: spec.group, version: version.name };
  // Stored objects are as they were when they were written: in other versions, without later defaults.
  const differs = version.name !== storage || hasDefaults(schema) || (status!.storedVersions?.length ?? 0) > 1;
  const fromStored = (stored: KubeObject): KubeObject => {
    const { object } = decodeValue<KubeObject>(structuredClone(stored), type);
    object.apiVersion = apiVersionOf(own);
    defaults?.(object);
    return object;
  };
  const scalePaths = scale && {
    specReplicasPath: scale.specReplicasPath,
    statusReplicasPath: scale.statusReplicasPath,
    ...(scale.labelSelectorPath ? { selectorPath: scale.labelSelectorPath } : {}),
  };
  const validation = instanceValidation(schema as JSONSchemaProps | undefined, scalePaths);
  return {
    ...own,
    kind: names.kind,
    plural: names.plural,
    ...(names.listKind ? { listKind: names.listKind } : {}),
    ...(names.singular ? { singular: names.singular } : {}),
    ...(names.shortNames ? { shortNames: names.shortNames } : {}),
    ...(names.categories ? { categories: names.categories } : {}),
    scope: spec.scope as ResourceDefinition["scope"],
    verbs: ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
    type,
    hasStatus,
    allowUnconditionalUpdate: false,
    anyFinalizers: true,
    warnings: (next, previous) => [
      ...finalizerWarnings(next.metadata, previous?.metadata),
      ...(previous ? validation.ratcheted(next) : []),
    ],
    ...(scalePaths ? { scale: scalePaths } : {}),
    ...(version.deprecated
      ? {
          deprecationWarning: version.deprecationWarning ?? `${apiVersionOf(own)} ${names.kind} is deprecated`,
        }
      : {}),
    ...(differs
      ? {
          storedAs: {
            group: spec.group,
            version: storage,
            revision: `${metadata.uid}/${metadata.generation}`,
            toStored: (object) => ({ ...object, apiVersion: apiVersionOf({ group: spec.group, version: storage }) }),
            fromStored,
            ...(convert ? { convert } : {}),
          },
        }
      : {}),
    ...(defaults ? { defaults } : {}),
    beforeCreate(object) {
      if (isTerminating) {
        throw new StatusError(
          405,
          "MethodNotAllowed",
          `create not allowed while custom resource definition is terminating`,
          { group: spec.group, kind: names.plural },
        );
      }
      object.metadata.generation = 1;
    },
    ...(hasStatus ? {} : { beforeUpdate: countEveryChange }),
    validate: validation.validate!,
    validateStatus: validation.validateStatus!,
    fieldSelectors: Object.fromEntries(
      (version.selectableFields ?? []).map(({ jsonPath }) => {
        const read = compileSimplePath(jsonPath);
        return [jsonPath.replace(/^\./, ""), (object: KubeObject) => selectable(read(object))];
      }),
    ),
    columns: printerColumns(version.additionalPrinterColumns),
  };
}

const selectable = (value: unknown): string => (value === undefined || value === null ? "" : String(value));

/** Without a status subresource, status is a field like any other. */
function countEveryChange(next: KubeObject, previous: KubeObject): void {
  const { metadata: _m1, ...now } = next;
  const { metadata: _m2, ...before } = previous;
  if (!semanticEqual(now, before)) next.metadata.generation = (previous.metadata.generation ?? 0) + 1;
}
