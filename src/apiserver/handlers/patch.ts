/** PATCH: JSON patch, merge patch, strategic merge patch, server-side apply. The algorithms stand in apimachinery; here is what surrounds them. */

import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import { schemaForKind } from "../../api/schema.ts";
import { FieldPath, invalid } from "../../apimachinery/field-error.ts";
import { apiVersionOf, type GroupVersionKind } from "../../apimachinery/group-version.ts";
import { DecodeError } from "../../apimachinery/serializer/decode-error.ts";
import { decodeValue, parseJson } from "../../apimachinery/serializer/json.ts";
import { badRequestError, invalidError, StatusError } from "../../apimachinery/status-error.ts";
import type { Answer } from "../answer.ts";
import type { Body } from "../decode-body.ts";
import { bookUpdate } from "../field-management.ts";
import type { ObjectWriter } from "../object-writer.ts";
import type { PatchOptions } from "../request-options.ts";
import type { ServedResource } from "../resource-registry.ts";
import { type RequestContext, warn } from "../services.ts";
import { apply } from "./apply.ts";
import { onlyStatus } from "./update.ts";

export interface PatchRequest {
  type: "json" | "merge" | "strategic" | "apply";
  body: Body;
  options: PatchOptions;
}

const patchTypes: Readonly<Record<string, PatchRequest["type"]>> = {
  "application/json-patch+json": "json",
  "application/merge-patch+json": "merge",
  "application/strategic-merge-patch+json": "strategic",
  "application/apply-patch+yaml": "apply",
};

/** Throws the 415 that upstream gives to what is no patch. */
export function patchTypeOf(mediaType: string): PatchRequest["type"] {
  const type = patchTypes[mediaType];
  if (!type) throw new StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {});
  return type;
}

const maximumOperations = 10_000;

export async function patch(
  objects: ObjectWriter,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  name: string,
  subresource: "" | "status",
  request: PatchRequest,
): Promise<Answer> {
  if (request.type === "apply") return apply(objects, context, resource, namespace, name, subresource, request);
  const { definition } = resource;
  const { options } = request;
  const manager = options.fieldManager || context.defaultManager;
  const now = objects.services.clock.now();
  return objects.update(context, {
    resource,
    namespace,
    name,
    subresource,
    dryRun: options.dryRun,
    unconditional: true,
    async transform(previous) {
      const patched = await applyPatch(context, request, previous!, definition);
      const meta = patched.metadata as KubeObject["metadata"] & { namespace?: string };
      if (meta.name !== name) {
        throw badRequestError(`the name of the object (${meta.name}) does not match the name on the URL (${name})`);
      }
      definition.defaults?.(patched);
      return subresource === "status" ? onlyStatus(patched, previous!) : patched;
    },
    book: (next, previous) => bookUpdate(resource, next, previous, manager, subresource, now),
  });
}

/** The object that the patch makes of `standing`: fresh, decoded, not defaulted. */
export async function applyPatch(
  context: RequestContext,
  request: PatchRequest,
  standing: DeepReadonly<KubeObject>,
  expected: GroupVersionKind,
): Promise<KubeObject> {
  const document = patchDocument(request);
  const problems: string[] = [];
  let patched: unknown;
  let shown: string | undefined;
  switch (request.type) {
    case "merge":
      if (Array.isArray(document) || typeof document !== "object" || document === null) {
        throw badRequestError(
          `error decoding patch: json: cannot unmarshal ${Array.isArray(document) ? "array" : typeof document} into Go value of type map[string]interface {}`,
        );
      }
      patched = mergePatch(standing, document);
      break;
    default:
      throw new StatusError(501, "", `${request.type} patches are not there yet`);
  }
  const schema = schemaForKind(expected.group, expected.version, expected.kind);
  if (!schema) throw new Error(`no schema for ${expected.kind}`);
  const refuse = (why: string) => {
    shown ??= JSON.stringify(sortedTop(patched));
    const error = invalidError({ group: "", kind: "" }, "", [invalid(FieldPath.root.child("patch"), shown, why)]);
    const { kind: _kind, ...details } = error.details ?? {};
    return new StatusError(error.code, error.reason, error.message, details);
  };
  try {
    const { apiVersion, kind } = patched as { apiVersion?: unknown; kind?: unknown };
    if (apiVersion !== apiVersionOf(expected) || kind !== expected.kind) {
      throw new DecodeError(
        schemaForKindText(apiVersion, kind)
          ? `converting (${String(apiVersion).split("/").pop()}.${String(kind)}) to (${apiVersionOf(expected)}.${expected.kind}): unknown conversion`
          : `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/api/legacyscheme/scheme.go:30"`,
      );
    }
    const decoded = decodeValue<KubeObject>(patched, schema);
    problems.push(...decoded.problems);
    if (problems.length > 0 && request.options.fieldValidation === "Strict") {
      throw refuse(`strict decoding error: ${problems.join(", ")}`);
    }
    if (request.options.fieldValidation === "Warn") for (const problem of problems) warn(context, problem);
    return decoded.object;
  } catch (error) {
    if (error instanceof DecodeError) throw refuse(error.message);
    throw error;
  }
}

function schemaForKindText(apiVersion: unknown, kind: unknown): boolean {
  if (typeof apiVersion !== "string" || typeof kind !== "string") return false;
  const slash = apiVersion.indexOf("/");
  return schemaForKind(slash < 0 ? "" : apiVersion.slice(0, slash), apiVersion.slice(slash + 1), kind) !== undefined;
}

/** Parsed once, however often the patch is applied. */
function patchDocument(request: PatchRequest): unknown {
  const { body } = request;
  if (body.kind === "object") return body.object;
  const text = Buffer.from(body.bytes.buffer, body.bytes.byteOffset, body.bytes.byteLength).toString();
  try {
    const parsed = parseJson(text);
    request.body = { kind: "object", object: parsed as object };
    return parsed;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw badRequestError(request.type === "strategic" ? error.message : `error decoding patch: ${error.message}`);
  }
}

function sortedTop(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function mergePatch(target: unknown, change: unknown): unknown {
  if (typeof change !== "object" || change === null || Array.isArray(change)) return change;
  const base = typeof target === "object" && target !== null && !Array.isArray(target) ? target : {};
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(change)) {
    if (value === null) delete merged[key];
    else merged[key] = mergePatch(merged[key], value);
  }
  return merged;
}
void maximumOperations;
