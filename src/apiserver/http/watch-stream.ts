/** A watch as a chunked stream of events over HTTP/2 or HTTP/1.1. */
import type { KubeObject } from "../../api/object.ts";
import type { StatusError } from "../../apimachinery/status-error.ts";
import type { Clock } from "../../base/clock.ts";
import type { Encoder } from "../../storage/encoding.ts";
import type { CacheEvent, WatchBatch } from "../../storage/watch-cache.ts";
import type { OpenWatch, WatchReceiver } from "../handlers/watch.ts";
import { contentTypes, notAcceptable } from "../negotiation/accept.ts";
import { bookmarkObject, jsonEncoder, jsonFrame } from "../negotiation/json-encoder.ts";
import { partialMetadata } from "../negotiation/table.ts";
import type { ServedResource } from "../resource-registry.ts";
import type { Exchange } from "./exchange.ts";
import { baseHeaders, tableOf, type Wanted } from "./respond.ts";

/** Turns batches into the bytes of one watcher's rendering. */
export interface StreamFormat {
  contentType: string;
  batch(batch: WatchBatch<KubeObject>): Buffer;
  error(error: StatusError): Buffer;
}

/** Throws a 406 for renderings that cannot be streamed. */
export async function streamFormatOf(resource: ServedResource, wanted: Wanted, clock: Clock): Promise<StreamFormat> {
  const { mediaType, as, version } = wanted.rendering;
  if (mediaType === "json") {
    const encoder =
      as === "PartialObjectMetadata" || as === "PartialObjectMetadataList"
        ? partialEncoder(resource, version)
        : resource.json;
    return {
      contentType: contentTypes.json,
      batch: as === "Table" ? tableWriter(resource, wanted, clock) : (batch) => batch.encoded(encoder),
      error: errorFrame,
    };
  }
  if (mediaType === "protobuf" && as === "object") {
    const { protobufEncoder, protobufErrorFrame } = await import("../negotiation/protobuf-encoder.ts");
    const encoder = protobufEncoder(resource);
    return {
      contentType: `${contentTypes.protobuf};stream=watch`,
      batch: (batch) => batch.encoded(encoder),
      error: (error) => protobufErrorFrame(error.toStatus()),
    };
  }
  throw notAcceptable(
    `only the following media types are accepted: ${contentTypes.json};stream=watch, ${contentTypes.protobuf};stream=watch`,
  );
}

function partialEncoder(resource: ServedResource, version: string): Encoder<KubeObject> {
  const plain = jsonEncoder(`meta.k8s.io/${version}`, "PartialObjectMetadata");
  return {
    id: `json PartialObjectMetadata ${version} ${resource.apiVersion}`,
    encode: (object) => Buffer.from(JSON.stringify(partialMetadata(resource.fromStored(object), version))),
    frame: jsonFrame,
    bookmark: plain.bookmark,
  };
}

/** Column definitions come with the first event only; ages are told anew with each, so nothing is kept. */
function tableWriter(resource: ServedResource, wanted: Wanted, clock: Clock): StreamFormat["batch"] {
  let first = true;
  const frameOf = (event: CacheEvent<KubeObject>): Buffer => {
    const isBookmark = event.type === "BOOKMARK";
    const object = isBookmark
      ? (bookmarkObject(resource.apiVersion, resource.kind, event.revision, event.initialEventsEnd) as KubeObject)
      : resource.fromStored(event.entry.object);
    const metadata = { resourceVersion: object.metadata.resourceVersion };
    const table = tableOf(resource, [object], metadata, wanted, clock.now(), first);
    if (isBookmark) table.rows = [{ cells: table.rows[0]!.cells.map(() => null), object }];
    first = false;
    const encoded = Buffer.from(JSON.stringify(table));
    if (isBookmark) return Buffer.from(`{"type":"BOOKMARK","object":${encoded.toString()}}\n`);
    return jsonFrame(event.type, encoded);
  };
  return (batch) => Buffer.concat(batch.events.map(frameOf));
}

function errorFrame(error: StatusError): Buffer {
  return Buffer.from(`{"type":"ERROR","object":${JSON.stringify(error.toStatus())}}\n`);
}

/** Streams until the watch or the client ends. `open` starts the watch; headers go out once it stands. */
export async function streamWatch(
  exchange: Exchange,
  auditId: string,
  warnings: readonly string[],
  format: StreamFormat,
  open: (receiver: WatchReceiver) => Promise<OpenWatch>,
): Promise<void> {
  let watch: OpenWatch | undefined;
  let begun = false;
  let held = false;
  const begin = () => {
    if (begun) return;
    begun = true;
    exchange.begin(200, baseHeaders(auditId, format.contentType, warnings));
  };
  const resume = () => {
    held = false;
    watch?.resume();
  };
  const receiver: WatchReceiver = {
    deliver(batch) {
      begin();
      const more = exchange.write(format.batch(batch));
      if (!more && !held) {
        held = true;
        exchange.onDrain(resume);
      }
      return more;
    },
    ended(error) {
      begin();
      if (error) exchange.write(format.error(error));
      exchange.end();
    },
    // What waits in its socket would wait for ever: the client finds the stream broken, and lists again.
    dropped: () => exchange.abort(),
  };
  watch = await open(receiver);
  exchange.onClose(() => watch.stop());
  begin();
  watch.resume();
}
