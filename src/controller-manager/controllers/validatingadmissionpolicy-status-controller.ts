/** Says in the status of ValidatingAdmissionPolicies where their expressions do not fit the kinds that they are about. */
import type {
  ExpressionWarning,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicySpec,
} from "../../api/admissionregistration/v1.ts";
import type { CustomResourceDefinition } from "../../api/apiextensions/v1.ts";
import { resources as discovered } from "../../api/discovery.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { CustomResourceDefinitions, ValidatingAdmissionPolicies } from "../../api/resources.ts";
import { schemaForKind, type TypeSchema } from "../../api/schema.ts";
import { namedResources, PolicyExpressions } from "../../apimachinery/cel/admission.ts";
import type { Compiled } from "../../apimachinery/cel/compile.ts";
import { celTypeOfOpenApi, celTypeOfSchema, type OpenApiSchema } from "../../apimachinery/cel/schema-types.ts";
import { type CelType, Dyn, type ObjectField } from "../../apimachinery/cel/types.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import type { Client } from "../../client/client.ts";
import { defineController, statusOf } from "../../controller-runtime/controller.ts";

/** As many kinds of one policy are looked at. */
const maximumKinds = 10;

export const validatingAdmissionPolicyStatusController = defineController<ValidatingAdmissionPolicy>({
  name: "validatingadmissionpolicy-status-controller",
  reconciles: ValidatingAdmissionPolicies,
  writes: [statusOf(ValidatingAdmissionPolicies)],
  async reconcile({ key, cache, api }) {
    const policy = cache.get(ValidatingAdmissionPolicies, key);
    if (!policy || policy.metadata.deletionTimestamp) return;
    const { generation } = policy.metadata;
    if (generation !== undefined && policy.status?.observedGeneration === generation) return;
    const warnings = typeWarnings(policy.spec, await customKindsOf(policy.spec, api));
    const status = {
      ...policy.status,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      typeChecking: warnings.length > 0 ? { expressionWarnings: warnings } : {},
    };
    await api.updateStatus(ValidatingAdmissionPolicies, { ...policy, status });
  },
});

interface Kind {
  text: string;
  type: CelType;
}

type Definition = DeepReadonly<CustomResourceDefinition>;

/** Definitions of the custom kinds that the policy names; kinds that do not exist yet are not looked at later either, as upstream does. */
async function customKindsOf(spec: DeepReadonly<ValidatingAdmissionPolicySpec>, api: Client): Promise<Definition[]> {
  const { matchConstraints, paramKind } = spec as ValidatingAdmissionPolicySpec;
  const found: Definition[] = [];
  for (const named of [...namedResources(matchConstraints?.resourceRules)].slice(0, maximumKinds)) {
    if (builtInKindOf(named) || !named.group) continue;
    const name = `${named.resource}.${named.group}`;
    const definition = await api.get(CustomResourceDefinitions, { name }).catch((error) => {
      if (!isNotFound(error)) throw error;
    });
    if (definition) found.push(definition);
  }
  const { group, version } = split(paramKind?.apiVersion ?? "");
  if (paramKind?.kind && group && !schemaForKind(group, version, paramKind.kind)) {
    const { items } = await api.list(CustomResourceDefinitions);
    found.push(...items.filter((one) => one.spec.group === group && one.spec.names.kind === paramKind.kind));
  }
  return found;
}

/** One warning an expression, with a paragraph for each kind that it does not fit. `custom`: definitions of kinds that are not built in. */
export function typeWarnings(
  spec: DeepReadonly<ValidatingAdmissionPolicySpec>,
  custom: readonly Definition[] = [],
): ExpressionWarning[] {
  const { matchConstraints, paramKind, variables = [], validations = [] } = spec as ValidatingAdmissionPolicySpec;
  const kinds = [...namedResources(matchConstraints?.resourceRules)].flatMap(
    (named) => builtInKindOf(named) ?? customKindOf(named, custom) ?? [],
  );
  kinds.sort((a, b) => (a.text < b.text ? -1 : 1));
  const found = new Map<string, string[]>();
  for (const kind of kinds.slice(0, maximumKinds)) {
    const expressions = new PolicyExpressions({
      objectType: kind.type,
      hasVariables: true,
      ...(paramKind ? { paramsType: paramsType(paramKind.apiVersion ?? "", paramKind.kind ?? "", custom) } : {}),
    });
    const note = (field: string, problem: string | undefined) => {
      // As upstream writes them: a paragraph ends with a line of its own.
      if (problem) found.set(field, [...(found.get(field) ?? []), `${kind.text}: ${problem}\n`]);
    };
    for (const { name, expression } of variables) expressions.addVariable(name, expression);
    for (const [i, { expression, messageExpression }] of validations.entries()) {
      note(`spec.validations[${i}].expression`, problemOf(expressions.expression(expression)));
      if (messageExpression) {
        note(`spec.validations[${i}].messageExpression`, problemOf(expressions.message(messageExpression)));
      }
    }
  }
  const inOrder = validations.flatMap((_, i) =>
    ["expression", "messageExpression"].map((field) => `spec.validations[${i}].${field}`),
  );
  return inOrder.flatMap((fieldRef) => {
    const texts = found.get(fieldRef);
    return texts ? [{ fieldRef, warning: texts.join("\n") }] : [];
  });
}

function problemOf(compiled: Compiled): string | undefined {
  return compiled.program ? undefined : compiled.message;
}

interface NamedResource {
  group: string;
  version: string;
  resource: string;
}

function builtInKindOf({ group, version, resource }: NamedResource): Kind | undefined {
  const apiVersion = group ? `${group}/${version}` : version;
  const kind = discovered[apiVersion]?.find(({ name }) => name === resource)?.kind;
  const schema = kind === undefined ? undefined : schemaForKind(group, version, kind);
  return schema && { text: `${apiVersion}, Kind=${kind}`, type: celTypeOfSchema(schema) };
}

function customKindOf({ group, version, resource }: NamedResource, custom: readonly Definition[]): Kind | undefined {
  const definition = custom.find(({ spec }) => spec.group === group && spec.names.plural === resource);
  const type = definition && customType(definition, version);
  return type && { text: `${group}/${version}, Kind=${definition.spec.names.kind}`, type };
}

/** As rules within the definition see its objects, but with all of their metadata. */
function customType(definition: Definition, version: string): CelType | undefined {
  const served = definition.spec.versions.find(({ name, served }) => name === version && served);
  const schema = served?.schema?.openAPIV3Schema;
  const type = schema && celTypeOfOpenApi(schema as OpenApiSchema, "object", true);
  if (type?.kind !== "object") return type;
  const metadata: ObjectField = { type: celTypeOfSchema(objectMeta()), jsonName: "metadata" };
  return { ...type, fields: new Map([...type.fields, ["metadata", metadata]]) };
}

function objectMeta(): TypeSchema {
  const value = schemaForKind("", "v1", "ConfigMap")?.fields.find(({ name }) => name === "metadata")?.value;
  if (value?.kind !== "struct") throw new Error("ConfigMaps have no metadata");
  return value.type;
}

/** Parameters of a kind that does not exist may be anything. */
function paramsType(apiVersion: string, kind: string, custom: readonly Definition[]): CelType {
  const { group, version } = split(apiVersion);
  const schema = schemaForKind(group, version, kind);
  if (schema) return celTypeOfSchema(schema);
  const definition = custom.find(({ spec }) => spec.group === group && spec.names.kind === kind);
  return (definition && customType(definition, version)) ?? Dyn;
}

function split(apiVersion: string): { group: string; version: string } {
  const [version = "", group = ""] = apiVersion.split("/").reverse();
  return { group, version };
}
