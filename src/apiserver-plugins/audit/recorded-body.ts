/** Bodies as audit events show them: as JSON, whatever they went over the wire as. */
import { gunzipSync } from "node:zlib";
import { schemaForKind } from "../../api/schema.ts";
import { parseApiVersion } from "../../apimachinery/group-version.ts";
import { decodeProtobuf, readEnvelope } from "../../apimachinery/serializer/protobuf.ts";
import { parseYaml } from "../../apimachinery/serializer/yaml.ts";

interface MetadataOnly {
  metadata?: { managedFields?: unknown };
}

/** Undefined for what is empty or cannot be read as an object. */
export function recordedBody(
  body: Uint8Array | string | undefined,
  headers: Readonly<Record<string, unknown>>,
  { omitManagedFields }: { omitManagedFields: boolean },
): unknown {
  if (!body?.length) return undefined;
  try {
    const plain = headers["content-encoding"] === "gzip" && typeof body !== "string" ? gunzipSync(body) : body;
    const value = readAs(String(headers["content-type"] ?? ""), plain);
    if (omitManagedFields) dropManagedFields(value);
    return value;
  } catch {
    return undefined;
  }
}

function readAs(type: string, body: Uint8Array | string): unknown {
  if (type.includes("protobuf") && typeof body !== "string") {
    const { apiVersion, kind } = readEnvelope(body);
    const { group, version } = parseApiVersion(apiVersion) ?? { group: "", version: "" };
    const schema = schemaForKind(group, version, kind);
    return schema && decodeProtobuf(body, schema);
  }
  const text = typeof body === "string" ? body : Buffer.from(body).toString();
  return type.includes("yaml") ? parseYaml(text).value : (JSON.parse(text) as unknown);
}

/** Of an object, of a list's items, and of the objects in a table's rows. */
function dropManagedFields(value: unknown): void {
  const { metadata, items, rows } = (value ?? {}) as MetadataOnly & {
    items?: readonly MetadataOnly[];
    rows?: readonly { object?: MetadataOnly }[];
  };
  delete metadata?.managedFields;
  for (const item of Array.isArray(items) ? items : []) delete item?.metadata?.managedFields;
  for (const row of Array.isArray(rows) ? rows : []) delete row?.object?.metadata?.managedFields;
}
