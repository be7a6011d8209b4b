/** PATCH with application/apply-patch+yaml: server-side apply. */
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import { parseApiVersion } from "../../apimachinery/group-version.ts";
import { applyPatch as applyConfiguration, isWrittenAgain } from "../../apimachinery/patch/apply.ts";
import { parseExactly } from "../../apimachinery/serializer/big-integers.ts";
import { DecodeError } from "../../apimachinery/serializer/decode-error.ts";
import { decodeValue } from "../../apimachinery/serializer/json.ts";
import { countKeys, countTextKeys } from "../../apimachinery/serializer/json-scan.ts";
import { asJson } from "../../apimachinery/serializer/yaml.ts";
import { badRequestError, conflictError } from "../../apimachinery/status-error.ts";
import { rfc3339 } from "../../base/clock.ts";
import type { Answer } from "../answer.ts";
import { otherVersionsOf, schemaOfResource, untouchable } from "../field-management.ts";
import type { ObjectWriter } from "../object-writer.ts";
import type { ServedResource } from "../resource-registry.ts";
import { type RequestContext, warn } from "../services.ts";
import type { PatchRequest } from "./patch.ts";
import { onlyPart } from "./update.ts";

interface Configuration {
  apiVersion?: string;
  kind?: string;
  metadata?: { name?: string; namespace?: string; resourceVersion?: string; uid?: string };
}

export async function apply(
  objects: ObjectWriter,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  name: string,
  subresource: string,
  request: PatchRequest,
): Promise<Answer> {
  const { definition } = resource;
  const { options } = request;
  const applied = await configurationOf(context, request);
  checkConfiguration(applied, resource, name);
  const type = schemaOfResource(resource);
  const time = rfc3339(objects.services.clock.now());
  return objects.update(context, {
    resource,
    namespace,
    name,
    subresource,
    dryRun: options.dryRun,
    unconditional: true,
    mayCreate: subresource === "",
    transform(previous) {
      const { object, managedFields } = applyConfiguration({
        live: previous as KubeObject | undefined,
        applied,
        type,
        manager: options.fieldManager,
        subresource,
        apiVersion: resource.apiVersion,
        time,
        force: options.force ?? false,
        ignore: untouchable(resource, subresource),
        otherVersions: otherVersionsOf(resource),
      });
      const { uid } = applied.metadata ?? {};
      if (!previous && uid) {
        const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
        throw conflictError(resource.groupResource, name, why);
      }
      const next = object === previous ? copyOf(previous) : canonicalised(object, type);
      next.metadata = { ...next.metadata };
      if (managedFields) {
        next.metadata.managedFields = managedFields as NonNullable<KubeObject["metadata"]["managedFields"]>;
      } else {
        delete next.metadata.managedFields;
      }
      // Only a version that the configuration names is a claim; to create there is none to claim.
      const claimed = previous ? (applied.metadata?.resourceVersion ?? "") : "";
      next.metadata.resourceVersion = claimed;
      next.apiVersion = resource.apiVersion;
      next.kind = resource.kind;
      if (object !== previous) {
        definition.defaults?.(next);
        if (previous && isWrittenAgain(next, previous)) {
          next.metadata.managedFields = previous.metadata.managedFields as typeof next.metadata.managedFields;
        }
      }
      return previous ? onlyPart(resource, subresource, next, previous) : next;
    },
  });
}

function copyOf(object: DeepReadonly<KubeObject>): KubeObject {
  return { ...object, metadata: { ...object.metadata } } as KubeObject;
}

function canonicalised(object: object, type: Parameters<typeof decodeValue>[1]): KubeObject {
  try {
    return decodeValue<KubeObject>(object, type, { isConverted: true }).object;
  } catch (error) {
    if (error instanceof DecodeError) throw badRequestError(error.message);
    throw error;
  }
}

/** What was sent, parsed but not looked into. Keys given twice are warned of, or refused when asked to be strict. Throws upstream's 400. */
export async function configurationOf(context: RequestContext, request: PatchRequest): Promise<Configuration> {
  const { body } = request;
  if (body.kind === "object") return body.object as Configuration;
  const text = Buffer.from(body.bytes.buffer, body.bytes.byteOffset, body.bytes.byteLength).toString();
  const json = asJson(text);
  if (json !== undefined && countKeys(json) === countTextKeys(text)) return asConfiguration(parseExactly(text, json));
  try {
    const { parseYaml } = await import("../../apimachinery/serializer/yaml.ts");
    const { value, problems } = parseYaml(text, true);
    if (problems.length > 0 && request.options.fieldValidation === "Strict") {
      throw badRequestError(
        `error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  ${problems.join("\n  ")}`,
      );
    }
    if (request.options.fieldValidation === "Warn") for (const problem of problems) warn(context, problem);
    return asConfiguration(value);
  } catch (error) {
    if (error instanceof DecodeError) {
      throw badRequestError(`error decoding YAML: error converting YAML to JSON: ${error.message}`);
    }
    throw error;
  }
}

/** Nothing at all counts as an empty object. */
function asConfiguration(value: unknown): Configuration {
  if (value === null || value === undefined) return {};
  if (typeof value === "object" && !Array.isArray(value)) return value;
  const found = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
  throw badRequestError(
    `error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${found} into Go value of type map[string]interface {}`,
  );
}

/** It must be of the kind that the URL names, and of that name. */
export function checkConfiguration(
  applied: Configuration,
  resource: { apiVersion: string; kind: string },
  name: string,
): void {
  const { apiVersion = "", kind = "" } = applied;
  if (apiVersion !== resource.apiVersion || kind !== resource.kind) {
    const { group, version } = parseApiVersion(apiVersion) ?? { group: "", version: apiVersion };
    throw badRequestError(`invalid object type: ${group}/${version}, Kind=${kind}`);
  }
  const given = applied.metadata?.name;
  if (!given) {
    throw badRequestError(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
  }
  if (given !== name) {
    throw badRequestError(`the name of the object (${given}) does not match the name on the URL (${name})`);
  }
}
