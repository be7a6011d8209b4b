/** Answers as bytes: negotiated, from the cache's encodings where there are any. */
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import { stringifyExactly } from "../../apimachinery/serializer/big-integers.ts";
import { StatusError } from "../../apimachinery/status-error.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Answer, ListAnswer } from "../answer.ts";
import {
  contentTypes,
  negotiate,
  negotiateError,
  notAcceptable,
  type Offer,
  type Rendering,
} from "../negotiation/accept.ts";
import {
  columnDefinitions,
  columnsOf,
  type IncludeObject,
  includeObjectOf,
  partialMetadata,
  type Table,
  tableRow,
} from "../negotiation/table.ts";
import { parameter, type Query } from "../request-info.ts";
import type { ServedResource } from "../resource-registry.ts";
import { ClientGoneError, type Exchange, type ResponseHeaders } from "./exchange.ts";
import {
  deflatedListChunks,
  isLarge,
  leastCompressedBytes,
  listChunks,
  type MadeList,
  madeChunks,
  prettyChunks,
  sendChunks,
  yamlChunks,
  zippedWhenLarge,
} from "./list-body.ts";

/** How the client wants to be answered. */
export interface Wanted {
  /** The client can read gzip. */
  gzip: boolean;
  rendering: Rendering;
  pretty: boolean;
  includeObject: IncludeObject;
}

const browsers = /^(curl|Wget|Mozilla\/5\.0)/;

/** Reads Accept, `pretty` and `includeObject`. Throws a 406. Custom resources have no protobuf form. */
export function wantedBy(exchange: Exchange, query: Query, offer: Offer = {}): Wanted {
  const rendering = negotiate(acceptOf(exchange), offer);
  const includeObject = rendering.as === "Table" ? includeObjectOf(parameter(query, "includeObject")) : "Metadata";
  const { pretty, gzip } = readingOf(exchange, query);
  return { rendering, pretty: rendering.pretty || pretty, includeObject, gzip };
}

export function acceptOf(exchange: Exchange): string | undefined {
  const accept = exchange.headers["accept"];
  return Array.isArray(accept) ? accept.join(",") : accept;
}

/** Whether people read the answer, and whether it may come compressed. */
export function readingOf(exchange: Exchange, query: Query): Pick<Wanted, "pretty" | "gzip"> {
  const asked = parameter(query, "pretty");
  const userAgent = exchange.headers["user-agent"];
  const pretty = asked
    ? /^(1|t|T|TRUE|true|True)$/.test(asked)
    : typeof userAgent === "string" && browsers.test(userAgent);
  const encodings = exchange.headers["accept-encoding"];
  const gzip = typeof encodings === "string" && encodings.split(",").some((each) => each.trim() === "gzip");
  return { pretty, gzip };
}

/** Headers that every answer carries. */
export function baseHeaders(auditId: string, contentType: string, warnings: readonly string[]): ResponseHeaders {
  const headers: ResponseHeaders = {
    "audit-id": auditId,
    "cache-control": "no-cache, private",
    "content-type": contentType,
  };
  if (warnings.length > 0) headers["warning"] = warnings.map(warningHeader);
  return headers;
}

function warningHeader(text: string): string {
  const quoted = text.replace(/[\x00-\x1f\x7f]/g, " ").replace(/["\\]/g, "\\$&");
  // Header values travel as bytes: what is beyond Latin-1 goes as UTF-8.
  return `299 - "${Buffer.from(quoted, "utf8").toString("latin1")}"`;
}

export interface AnswerContext {
  exchange: Exchange;
  wanted: Wanted;
  auditId: string;
  warnings: readonly string[];
  clock: Clock;
}

export async function sendAnswer(context: AnswerContext, answer: Answer): Promise<void> {
  const { wanted } = context;
  const { rendering } = wanted;
  if (rendering.as !== "object") return sendTransformed(context, answer);
  if (answer.kind === "list") return sendList(context, answer);
  if (answer.kind === "entry" && rendering.mediaType === "json" && !wanted.pretty) {
    const body = answer.entry.encoded(answer.resource.json);
    const headers = baseHeaders(context.auditId, contentTypes.json, context.warnings);
    return respondOnce(context, answer.code, headers, body);
  }
  if (answer.kind === "entry" && rendering.mediaType === "protobuf") {
    const { protobufEncoder, protobufEntry } = await import("../negotiation/protobuf-encoder.ts");
    const body = protobufEntry(answer.resource, answer.entry.encoded(protobufEncoder(answer.resource)));
    const headers = baseHeaders(context.auditId, contentTypes.protobuf, context.warnings);
    return respondOnce(context, answer.code, headers, body);
  }
  const object = answer.kind === "entry" ? answer.resource.fromStored(answer.entry.object) : answer.object;
  return sendObject(context, answer.code, object);
}

export async function sendObject(context: Omit<AnswerContext, "clock">, code: number, object: object): Promise<void> {
  const { wanted, auditId, warnings } = context;
  const { mediaType } = wanted.rendering;
  const body = await encodeObject(object, mediaType, wanted.pretty);
  return respondOnce(context, code, baseHeaders(auditId, contentTypes[mediaType], warnings), body);
}

const zip = promisify(gzip);

/** An answer in one piece, compressed when it is large and the client can read that. */
export function respondOnce(
  { exchange, wanted }: { exchange: Exchange; wanted: Pick<Wanted, "gzip"> },
  code: number,
  headers: ResponseHeaders,
  body: Uint8Array | string,
): void | Promise<void> {
  if (!wanted.gzip || body.length <= leastCompressedBytes) return exchange.respond(code, headers, body);
  headers["content-encoding"] = "gzip";
  headers["vary"] = "Accept-Encoding";
  return zip(body, { level: constants.Z_BEST_SPEED }).then((zipped) => exchange.respond(code, headers, zipped));
}

export async function encodeObject(
  object: object,
  mediaType: Rendering["mediaType"],
  pretty: boolean,
): Promise<Uint8Array | string> {
  if (mediaType === "json") return pretty ? stringifyExactly(object, 2) : `${stringifyExactly(object)}\n`;
  if (mediaType === "yaml") {
    const { encodeYaml } = await import("../../apimachinery/serializer/yaml.ts");
    return encodeYaml(object);
  }
  const { encodeProtobufObject } = await import("../negotiation/protobuf-encoder.ts");
  return encodeProtobufObject(object);
}

/** A Table or metadata alone. */
async function sendTransformed(context: AnswerContext, answer: Answer): Promise<void> {
  const { wanted, auditId, warnings, clock } = context;
  const { as, version, mediaType } = wanted.rendering;
  // A Status or a Scale has no columns and stays what it is.
  if (answer.kind === "object" && !answer.resource) return sendObject(context, answer.code, answer.object);
  const { resource } = answer as { resource: ServedResource };
  if (answer.kind !== "list") {
    if (as === "PartialObjectMetadataList") {
      throw notAcceptable(
        `you requested PartialObjectMetadataList, but the requested object is not a list (*${packageOf(resource)}.${resource.kind})`,
      );
    }
    const object = answer.kind === "entry" ? resource.fromStored(answer.entry.object) : (answer.object as KubeObject);
    const { resourceVersion } = object.metadata;
    const shown =
      as === "Table"
        ? tableOf(resource, [object], { resourceVersion }, wanted, clock.now(), true)
        : partialMetadata(object, version);
    return sendObject(context, answer.code, shown);
  }
  if (as === "PartialObjectMetadata") {
    throw notAcceptable(
      `you requested PartialObjectMetadata, but the requested object is a list (*${packageOf(resource)}.${resource.listKind})`,
    );
  }
  const now = clock.now();
  const columns = columnsOf(resource.definition);
  const isTable = as === "Table";
  const items = answer.entries.map((entry) => entry.object);
  const render = (stored: Stored) => {
    const object = resource.fromStored(stored);
    return isTable ? tableRow(columns, object, wanted.includeObject, version, now) : partialMetadata(object, version);
  };
  const frame = {
    kind: isTable ? "Table" : "PartialObjectMetadataList",
    apiVersion: `meta.k8s.io/${version}`,
    metadata: listMetadata(answer),
    ...(isTable ? { columnDefinitions: columnDefinitions(columns) } : {}),
  };
  if (mediaType === "protobuf") {
    if (isTable) return sendObject(context, 200, { ...frame, rows: items.map(render) });
    const { protobufMetadataList } = await import("../negotiation/protobuf-encoder.ts");
    const headers = baseHeaders(auditId, contentTypes.protobuf, warnings);
    return sendParts(context, headers, protobufMetadataList(version, frame.metadata, made(items, render)));
  }
  return sendMade(context, frame, isTable ? "rows" : "items", items, render);
}

type Stored = ListAnswer["entries"][number]["object"];

function* made(stored: readonly Stored[], render: (object: Stored) => object): Generator<object> {
  for (const object of stored) yield render(object);
}

/** A list as text, whose items are rendered as fast as they are sent. */
async function sendMade(
  context: AnswerContext,
  frame: object,
  member: MadeList["member"],
  stored: readonly Stored[],
  render: (object: Stored) => object,
): Promise<void> {
  const { wanted, auditId, warnings } = context;
  const list: MadeList = { frame, member, count: stored.length, items: made(stored, render) };
  const { mediaType } = wanted.rendering;
  const headers = baseHeaders(auditId, contentTypes[mediaType], warnings);
  if (mediaType === "yaml") {
    const { encodeYaml } = await import("../../apimachinery/serializer/yaml.ts");
    return sendParts(context, headers, yamlChunks(list, encodeYaml));
  }
  return sendParts(context, headers, wanted.pretty ? prettyChunks(list) : madeChunks(list));
}

/** What was made for this answer, compressed when it is large and the client can read that. */
function sendParts(
  { exchange, wanted, clock }: AnswerContext,
  headers: ResponseHeaders,
  parts: Generator<Uint8Array, void>,
): Promise<void> {
  return sendChunks(exchange, headers, wanted.gzip ? zippedWhenLarge(parts, headers) : parts, clock);
}

function packageOf(resource: ServedResource): string {
  return resource.group === "" ? "core" : resource.group.split(".")[0]!;
}

export function tableOf(
  resource: ServedResource,
  objects: readonly DeepReadonly<KubeObject>[],
  metadata: Table["metadata"],
  { rendering, includeObject }: Wanted,
  now: number,
  withHeaders: boolean,
): Table {
  const columns = columnsOf(resource.definition);
  return {
    kind: "Table",
    apiVersion: `meta.k8s.io/${rendering.version}`,
    metadata,
    columnDefinitions: withHeaders ? columnDefinitions(columns) : null,
    rows: objects.map((object) => tableRow(columns, object, includeObject, rendering.version, now)),
  };
}

export function listMetadata(answer: ListAnswer): {
  resourceVersion?: string;
  continue?: string;
  remainingItemCount?: number;
} {
  return {
    ...(answer.revision > 0 ? { resourceVersion: String(answer.revision) } : {}),
    ...(answer.continue ? { continue: answer.continue } : {}),
    ...(answer.remaining !== undefined ? { remainingItemCount: answer.remaining } : {}),
  };
}

async function sendList(context: AnswerContext, answer: ListAnswer): Promise<void> {
  const { exchange, wanted, auditId, warnings, clock } = context;
  const { resource } = answer;
  const { mediaType } = wanted.rendering;
  // Lists of custom resources say more than those of built-in kinds, whose fields are left out when empty.
  const isCustom = resource.definition.type?.custom === true;
  const metadata = isCustom ? { continue: "", ...listMetadata(answer) } : listMetadata(answer);
  if (mediaType === "protobuf") {
    const { protobufList } = await import("../negotiation/protobuf-encoder.ts");
    const headers = baseHeaders(auditId, contentTypes.protobuf, warnings);
    return sendParts(context, headers, protobufList(resource, answer, metadata));
  }
  if (mediaType !== "json" || wanted.pretty) {
    const render = (stored: Stored) => {
      if (isCustom) return resource.fromStored(stored);
      const { kind: _kind, apiVersion: _apiVersion, ...item } = resource.fromStored(stored);
      return item;
    };
    const frame = { kind: resource.listKind, apiVersion: resource.apiVersion, metadata };
    const items = answer.entries.map((entry) => entry.object);
    return sendMade(context, frame, "items", items, render);
  }
  const head = `{"kind":${JSON.stringify(resource.listKind)},"apiVersion":${JSON.stringify(resource.apiVersion)},"metadata":${JSON.stringify(metadata)},"items":[`;
  const headers = baseHeaders(auditId, contentTypes.json, warnings);
  if (wanted.gzip && isLarge(resource, answer.entries)) {
    headers["content-encoding"] = "gzip";
    headers["vary"] = "Accept-Encoding";
    return sendChunks(exchange, headers, deflatedListChunks(resource, answer.entries, head), clock);
  }
  return sendChunks(exchange, headers, listChunks(resource, answer.entries, head), clock);
}

/** Any failure as a Status, in a form that the client reads. What is no StatusError is ours: logged, and a 500 that says nothing of the inside. */
export function sendError(
  exchange: Exchange,
  error: unknown,
  auditId: string,
  warnings: readonly string[],
  log: Logger,
): void | Promise<void> {
  if (error instanceof ClientGoneError || exchange.closed) return;
  const status = statusErrorOf(error, log, exchange);
  const mediaType = negotiateError(acceptOf(exchange));
  const headers = baseHeaders(auditId, contentTypes[mediaType], warnings);
  if (status.code === 401) headers["www-authenticate"] = 'Basic realm="kubernetes-master"';
  const retryAfter = status.details?.retryAfterSeconds;
  if (retryAfter !== undefined) headers["retry-after"] = String(retryAfter);
  if (status.code === 403) headers["x-content-type-options"] = "nosniff";
  if (mediaType === "json") return exchange.respond(status.code, headers, `${JSON.stringify(status.toStatus())}\n`);
  return encodeObject(status.toStatus(), mediaType, false).then((body) => exchange.respond(status.code, headers, body));
}

export function statusErrorOf(error: unknown, log: Logger, exchange: Pick<Exchange, "method" | "target">): StatusError {
  if (error instanceof StatusError) return error;
  log.error("a request failed", {
    method: exchange.method,
    path: exchange.target,
    error: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
  const message = error instanceof Error ? error.message : String(error);
  return new StatusError(500, "InternalError", `Internal error occurred: ${message}`, { causes: [{ message }] });
}
