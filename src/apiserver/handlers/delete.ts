/** DELETE of one object or of a collection. */
import { schemaForKind } from "../../api/schema.ts";
import { parseApiVersion } from "../../apimachinery/group-version.ts";
import { DecodeError } from "../../apimachinery/serializer/decode-error.ts";
import { decodeValue, parseJson, readTypeMeta } from "../../apimachinery/serializer/json.ts";
import { literalsOf } from "../../apimachinery/serializer/number-literals.ts";
import { badRequestError, isNotFound } from "../../apimachinery/status-error.ts";
import type { Answer, ListAnswer } from "../answer.ts";
import { type Body, bodyFormatOf } from "../decode-body.ts";
import type { ObjectWriter } from "../object-writer.ts";
import type { Query } from "../request-info.ts";
import { type DeleteOptions, deleteOptionsOf, type ListOptions } from "../request-options.ts";
import type { ServedResource } from "../resource-registry.ts";
import type { RequestContext } from "../services.ts";
import { list } from "./list.ts";

/** Options from the body when there is one, else from the query. */
export async function readDeleteOptions(query: Query, body: Body): Promise<DeleteOptions> {
  if (body.kind === "object") return deleteOptionsOf(query, body.object as Record<string, unknown>);
  if (body.bytes.length === 0) return deleteOptionsOf(query, undefined);
  const schema = schemaForKind("", "v1", "DeleteOptions");
  if (!schema) throw new Error("no schema for DeleteOptions");
  try {
    let value: unknown;
    const format = bodyFormatOf(body.mediaType);
    if (format === "protobuf") {
      const { decodeProtobuf } = await import("../../apimachinery/serializer/protobuf.ts");
      return deleteOptionsOf(query, decodeProtobuf<Record<string, unknown>>(body.bytes, schema));
    }
    const text = Buffer.from(body.bytes.buffer, body.bytes.byteOffset, body.bytes.byteLength).toString();
    if (format === "json") value = parseDocument(text);
    else value = (await import("../../apimachinery/serializer/yaml.ts")).parseYaml(text).value;
    const { apiVersion, kind } = readTypeMeta(value);
    if (apiVersion && !parseApiVersion(apiVersion))
      throw badRequestError(`unexpected GroupVersion string: ${apiVersion}`);
    if (kind && kind !== "DeleteOptions") {
      throw badRequestError(
        `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion || "meta.k8s.io/v1")} in scheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"`,
      );
    }
    const asWritten = format === "json" ? () => literalsOf(text) : undefined;
    return deleteOptionsOf(query, decodeValue<Record<string, unknown>>(value ?? {}, schema, { asWritten }).object);
  } catch (error) {
    if (error instanceof DecodeError) throw badRequestError(error.message);
    throw error;
  }
}

function parseDocument(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw badRequestError(`couldn't get version/kind; json parse error: ${error.message}`);
  }
}

export function deleteOne(
  objects: ObjectWriter,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  name: string,
  options: DeleteOptions,
): Promise<Answer> {
  return objects.delete(context, resource, namespace, name, options);
}

/** How many deletions are under way at once: enough to fill the store's group commits. */
const lanes = 128;

/** Deletes what the selectors find now, and answers with it. Objects that others delete meanwhile are no failure. */
export async function deleteCollection(
  objects: ObjectWriter,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  listOptions: ListOptions,
  options: DeleteOptions,
): Promise<ListAnswer> {
  const found = await list(objects.services, context, resource, namespace, listOptions);
  let next = 0;
  let failure: unknown;
  const lane = async () => {
    while (failure === undefined && next < found.entries.length) {
      const meta = found.entries[next++]!.object.metadata as { name: string; namespace?: string };
      try {
        await objects.delete(context, resource, meta.namespace ?? "", meta.name, { ...options });
      } catch (error) {
        if (!isNotFound(error)) failure ??= error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, found.entries.length) }, lane));
  if (failure !== undefined) throw failure;
  return { ...found, continue: undefined, remaining: undefined };
}
