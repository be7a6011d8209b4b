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
export type BatchWriter = (batch: WatchBatch<KubeObject>) => Buffer;

/** Throws a 406 for renderings that cannot be streamed. */
export function batchWriterOf(resource: ServedResource, wanted: Wanted, clock: Clock): BatchWriter {
  const { mediaType, as, version } = wanted.rendering;
  if (mediaType === "yaml") {
    throw notAcceptable(
      `only the following media types are accepted: ${contentTypes.json};stream=watch, ${contentTypes.protobuf};stream=watch`,
    );
  }
  if (mediaType === "protobuf")
    throw notAcceptable("only the following media types are accepted: application/json;stream=watch");
  if (as === "object") return (batch) => batch.encoded(resource.json);
  if (as === "Table") return tableWriter(resource, wanted, clock);
  const encoder = partialEncoder(resource, version);
  return (batch) => batch.encoded(encoder);
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
function tableWriter(resource: ServedResource, wanted: Wanted, clock: Clock): BatchWriter {
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

export function errorFrame(error: StatusError): string {
  return `{"type":"ERROR","object":${JSON.stringify(error.toStatus())}}\n`;
}

/** Streams until the watch or the client ends. `open` starts the watch; headers go out once it stands. */
export async function streamWatch(
  exchange: Exchange,
  auditId: string,
  warnings: readonly string[],
  write: BatchWriter,
  contentType: string,
  open: (receiver: WatchReceiver) => Promise<OpenWatch>,
): Promise<void> {
  let watch: OpenWatch | undefined;
  let begun = false;
  let held = false;
  const begin = () => {
    if (begun) return;
    begun = true;
    exchange.begin(200, baseHeaders(auditId, contentType, warnings));
  };
  const resume = () => {
    held = false;
    watch?.resume();
  };
  const receiver: WatchReceiver = {
    deliver(batch) {
      begin();
      const more = exchange.write(write(batch));
      if (!more && !held) {
        held = true;
        exchange.onDrain(resume);
      }
      return more;
    },
    ended(error) {
      begin();
      if (error) exchange.write(errorFrame(error));
      exchange.end();
    },
  };
  watch = await open(receiver);
  exchange.onClose(() => watch.stop());
  begin();
}
