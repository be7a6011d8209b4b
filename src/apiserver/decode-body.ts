/** From what a client sent to an object of the kind that is due, with upstream's words for what is wrong. */

import type { KubeObject } from "../api/object.ts";
import { schemaForKind, type TypeSchema } from "../api/schema.ts";
import { FieldPath, invalid } from "../apimachinery/field-error.ts";
import { apiVersionOf, type GroupVersionKind, parseApiVersion } from "../apimachinery/group-version.ts";
import { parseExactly } from "../apimachinery/serializer/big-integers.ts";
import { DecodeError, summarizeBody } from "../apimachinery/serializer/decode-error.ts";
import { decodeJson, decodeValue, parseJson, readTypeMeta } from "../apimachinery/serializer/json.ts";
import { badRequestError, invalidError, StatusError } from "../apimachinery/status-error.ts";
import type { FieldValidation } from "./request-options.ts";
import { schemaOfDefinition } from "./resource-registry.ts";
import { type RequestContext, warn } from "./services.ts";

/** What a door hands in: bytes as they came, or an object that was made in this process. */
export type Body =
  | { kind: "bytes"; bytes: Uint8Array; mediaType: string | undefined }
  | { kind: "object"; object: object };

/** The kind a request expects, and the schema that its fields are read by. */
export interface ExpectedKind extends GroupVersionKind {
  schema?: string | undefined;
  type?: TypeSchema | undefined;
  /** Other versions that are taken for this one: their fields are the same. */
  olderVersions?: readonly string[] | undefined;
}

const offered = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
const customOffered = "application/json, application/yaml";

export function unsupportedMediaType(types = offered): StatusError {
  return new StatusError(
    415,
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${types}`,
  );
}

export type BodyFormat = "json" | "yaml" | "protobuf";

/** Throws a 415. No media type at all counts as JSON. */
export function bodyFormatOf(mediaType: string | undefined): BodyFormat {
  switch (bareMediaType(mediaType)) {
    case "":
    case "application/json":
      return "json";
    case "application/yaml":
      return "yaml";
    case "application/vnd.kubernetes.protobuf":
      return "protobuf";
    default:
      throw unsupportedMediaType();
  }
}

const parameters = /^(\s*;\s*[\w!#$%&'*+.^`|~-]+\s*=\s*([\w!#$%&'*+.^`|~-]+|"([^"\\]|\\.)*"))*\s*;?\s*$/;

/** Without parameters, in lower case. One whose parameters cannot be read is none that anybody knows. */
function bareMediaType(mediaType: string | undefined): string {
  if (!mediaType) return "";
  const semicolon = mediaType.indexOf(";");
  if (semicolon < 0) return mediaType.trim().toLowerCase();
  if (!parameters.test(mediaType.slice(semicolon))) return mediaType;
  return mediaType.slice(0, semicolon).trim().toLowerCase();
}

/** The object: fresh, complete in type and metadata, not defaulted. Unknown fields are reported as `validation` asks. */
export async function decodeBody(
  context: RequestContext,
  body: Body,
  expected: ExpectedKind,
  validation: FieldValidation,
): Promise<KubeObject> {
  const schema = schemaOfDefinition(expected);
  if (!schema)
    throw new StatusError(500, "InternalError", `no schema for ${expected.kind} in ${apiVersionOf(expected)}`);
  if (body.kind === "object") return decodeOwn(context, body.object, expected, schema, validation);
  const format = bodyFormatOf(body.mediaType);
  if (format === "protobuf" && schema.custom) throw unsupportedMediaType(customOffered);
  const bytes = body.bytes;
  let value: unknown;
  let text = "";
  let duplicates: string[] = [];
  let found: GroupVersionKind | undefined;
  try {
    if (format === "json") {
      text = textOf(bytes);
      value = parseJson(text);
      if (schema.custom) value = parseExactly(text, value);
    } else if (format === "yaml") {
      const { parseYaml } = await import("../apimachinery/serializer/yaml.ts");
      const parsed = parseYaml(textOf(bytes), true);
      value = parsed.value;
      duplicates = parsed.problems;
    } else {
      const { decodeProtobuf } = await import("../apimachinery/serializer/protobuf.ts");
      const decoded = decodeProtobuf<KubeObject>(bytes, schema);
      return complete(decoded, expected);
    }
  } catch (error) {
    throw unrecognized(error, expected, bytes, format !== "protobuf");
  }
  let meta: { apiVersion: string; kind: string };
  try {
    meta = readTypeMeta(value);
    const groupVersion = meta.apiVersion ? parseApiVersion(meta.apiVersion) : undefined;
    if (meta.apiVersion && !groupVersion) {
      throw new DecodeError(`unexpected GroupVersion string: ${meta.apiVersion}`);
    }
    if (schema.custom) {
      if (!meta.kind) throw new DecodeError(`Object 'Kind' is missing in '${textOf(bytes)}'`);
      checkCustomKind(value as Partial<KubeObject>, expected);
    }
    found = { group: expected.group, version: expected.version, ...groupVersion, kind: meta.kind || expected.kind };
    if (!schema.custom) checkKind(found, expected);
    const decoded =
      format === "json"
        ? decodeJson<KubeObject>(text, schema, value ?? {})
        : decodeValue<KubeObject>(value ?? {}, schema);
    report(context, [...duplicates, ...decoded.problems], validation, expected);
    return complete(decoded.object, expected);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    if (!found) throw unrecognized(error, expected, bytes, false);
    throw badRequestError(
      `${found.kind} in version ${JSON.stringify(found.version)} cannot be handled as a ${expected.kind}: ${error.message}`,
    );
  }
}

function decodeOwn(
  context: RequestContext,
  object: object,
  expected: ExpectedKind,
  schema: TypeSchema,
  validation: FieldValidation,
): KubeObject {
  try {
    const decoded = decodeValue<KubeObject>(object, schema);
    report(context, decoded.problems, validation, expected);
    return complete(decoded.object, expected);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw badRequestError(
      `${expected.kind} in version ${JSON.stringify(expected.version)} cannot be handled as a ${expected.kind}: ${error.message}`,
    );
  }
}

/** Says what fields the kind does not have, as an error or as warnings. */
export function report(
  context: RequestContext,
  problems: readonly string[],
  validation: FieldValidation,
  expected: GroupVersionKind,
): void {
  if (problems.length === 0 || validation === "Ignore") return;
  if (validation === "Strict") {
    throw badRequestError(
      `${expected.kind} in version ${JSON.stringify(expected.version)} cannot be handled as a ${expected.kind}: strict decoding error: ${problems.join(", ")}`,
    );
  }
  for (const problem of problems) warn(context, problem);
}

const utf8 = new TextDecoder("utf-8");

function textOf(bytes: Uint8Array): string {
  return Buffer.isBuffer(bytes) ? bytes.toString("utf8") : utf8.decode(bytes);
}

function complete(object: KubeObject, expected: GroupVersionKind): KubeObject {
  object.apiVersion = apiVersionOf(expected);
  object.kind = expected.kind;
  object.metadata ??= {} as KubeObject["metadata"];
  return object;
}

function checkKind(found: GroupVersionKind, expected: ExpectedKind): void {
  if (found.kind === expected.kind && found.group === expected.group) {
    if (found.version === expected.version || expected.olderVersions?.includes(found.version)) return;
  }
  if (!schemaForKind(found.group, found.version, found.kind)) {
    throw new DecodeError(
      `no kind ${JSON.stringify(found.kind)} is registered for version ${JSON.stringify(apiVersionOf(found))} in scheme "pkg/api/legacyscheme/scheme.go:30"`,
    );
  }
  if (found.kind === expected.kind && found.group === expected.group) {
    throw badRequestError(
      `the API version in the data (${apiVersionOf(found)}) does not match the expected API version (${apiVersionOf(expected)})`,
    );
  }
  throw new DecodeError(
    `converting (${found.version}.${found.kind}) to (${internalPackage(expected.group)}.${expected.kind}): unknown conversion`,
  );
}

/** A custom resource's version must be that of the URL; another kind is a mistake in the object. */
export function checkCustomKind(value: Partial<KubeObject>, expected: GroupVersionKind): void {
  const { apiVersion = "", kind = "", metadata } = value;
  if (apiVersion !== apiVersionOf(expected)) {
    throw badRequestError(
      `the API version in the data (${apiVersion}) does not match the expected API version (${apiVersionOf(expected)})`,
    );
  }
  if (kind === expected.kind) return;
  throw invalidError({ group: expected.group, kind }, metadata?.name ?? "", [
    invalid(FieldPath.root.child("kind"), kind, `must be ${expected.kind}`),
  ]);
}

/** What upstream calls a group in Go: its first label. */
function internalPackage(group: string): string {
  return group === "" ? "core" : group.split(".")[0]!;
}

function unrecognized(error: unknown, expected: GroupVersionKind, bytes: Uint8Array, isParse: boolean): Error {
  if (!(error instanceof DecodeError)) return error instanceof Error ? error : new Error(String(error));
  const isYaml = error.message.startsWith("yaml: ");
  const message = isParse && !isYaml ? `couldn't get version/kind; json parse error: ${error.message}` : error.message;
  return badRequestError(
    `the object provided is unrecognized (must be of type ${expected.kind}): ${message} (${summarizeBody(bytes)})`,
  );
}
