/** CustomResourceDefinitions: what further kinds there are. Serving them is the work of apiserver-plugins/custom-resources. */
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionCondition,
  JSONSchemaProps,
} from "../../api/apiextensions/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isKnownFormat } from "../../apimachinery/structural-schema/formats.ts";
import { rfc3339 } from "../../base/clock.ts";
import { served } from "../served.ts";
import { schemaParts } from "./schema-parts.ts";
import { validateDefinition, validateStatus } from "./validate-definition.ts";

const cleanupFinalizer = "customresourcecleanup.apiextensions.k8s.io";

export const customResourceDefinitions = defineResource<CustomResourceDefinition>({
  ...served("apiextensions.k8s.io/v1", "customresourcedefinitions"),
  allowUnconditionalUpdate: false,
  anyFinalizers: true,
  // Upstream still announces the version in which it once stored them.
  hashedVersion: "v1beta1",
  defaults({ spec }) {
    const { names } = spec;
    if (names.kind) {
      names.singular ||= names.kind.toLowerCase();
      names.listKind ||= `${names.kind}List`;
    }
    spec.conversion ??= { strategy: "None" };
    const { service } = spec.conversion.webhook?.clientConfig ?? {};
    if (service) service.port ??= 443;
  },
  beforeCreate(definition) {
    definition.metadata.generation = 1;
    const stored = definition.spec.versions.filter(({ storage }) => storage).map(({ name }) => name);
    if (stored.length > 0) definition.status = { ...definition.status!, storedVersions: stored.slice(0, 1) };
  },
  beforeUpdate(next, previous) {
    next.metadata.generation = (previous.metadata.generation ?? 1) + (semanticEqual(next.spec, previous.spec) ? 0 : 1);
    const stored = next.spec.versions.find(({ storage }) => storage)?.name;
    const before = previous.status?.storedVersions ?? [];
    if (stored && !before.includes(stored)) next.status = { ...next.status!, storedVersions: [...before, stored] };
  },
  warnings(next, previous) {
    const before = new Set(previous ? unknownFormats(previous) : []);
    return unknownFormats(next)
      .filter((format) => !before.has(format))
      .map((format) => `unrecognized format ${JSON.stringify(format)}`);
  },
  validate: (next, previous) => validateDefinition(next, previous),
  validateStatus,
  deletionFinalizers: [cleanupFinalizer],
  beforeMarkedDeleted(definition, { now }) {
    const condition: CustomResourceDefinitionCondition = {
      type: "Terminating",
      status: "True",
      lastTransitionTime: rfc3339(now),
      reason: "InstanceDeletionPending",
      message: "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    };
    const others = (definition.status?.conditions ?? []).filter(({ type }) => type !== condition.type);
    definition.status = { ...definition.status!, conditions: [...others, condition] };
  },
});

/** Formats in its schemas that nothing is checked by. */
function unknownFormats({ spec }: CustomResourceDefinition): string[] {
  return spec.versions.flatMap(({ schema }) => unknownFormatsIn(schema?.openAPIV3Schema));
}

function unknownFormatsIn(schema: JSONSchemaProps | undefined): string[] {
  if (!schema) return [];
  const { type, format } = schema;
  const own = format && !isKnownFormat(type, format) ? [format] : [];
  return [...own, ...schemaParts(schema).flatMap(unknownFormatsIn)];
}
