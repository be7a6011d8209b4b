/** A watch as a chunked stream of events over HTTP/2 or HTTP/1.1. */
import type { KubeObject } from "../../api/object.ts";
import { stringifyExactly } from "../../apimachinery/serializer/big-integers.ts";
import type { StatusError } from "../../apimachinery/status-error.ts";
import type { Clock } from "../../base/clock.ts";
import type { Encoder } from "../../storage/encoding.ts";
import type { CacheEvent, WatchBatch } from "../../storage/watch-cache-contract.ts";
import type { OpenWatch, WatchReceiver } from "../handlers/watch.ts";
import { contentTypes, notAcceptable } from "../negotiation/accept.ts";
import { bookmarkObject, jsonEncoder, jsonFrame } from "../negotiation/json-encoder.ts";
import { partialMetadata } from "../negotiation/table.ts";
import type { ServedResource } from "../resource-registry.ts";
import type { Exchange } from "./exchange.ts";
import { baseHeaders, tableOf, type Wanted } from "./respond.ts";
import type { RoundMember, WatchRounds } from "./watch-rounds.ts";

/** Turns batches into the bytes of one watcher's rendering. */
export interface StreamFormat {
  contentType: string;
  /** In one part or many; the same parts for all watchers that want the same. */
  batch(batch: WatchBatch<KubeObject>): readonly Uint8Array[];
  error(error: StatusError): Buffer;
}

/** Throws a 406 for renderings that cannot be streamed. */
export async function streamFormatOf(resource: ServedResource, wanted: Wanted, clock: Clock): Promise<StreamFormat> {
  const { mediaType, as, version } = wanted.rendering;
  const isPartial = as === "PartialObjectMetadata" || as === "PartialObjectMetadataList";
  if (mediaType === "json") {
    const encoder = isPartial ? partialEncoder(resource, version) : resource.json;
    return {
      contentType: contentTypes.json,
      batch: as === "Table" ? tableWriter(resource, wanted, clock) : (batch) => batch.parts(encoder),
      error: errorFrame,
    };
  }
  if (mediaType === "protobuf" && as !== "Table") {
    const encoders = await import("../negotiation/protobuf-encoder.ts");
    const { protobufErrorFrame } = encoders;
    const encoder = isPartial
      ? encoders.protobufMetadataEncoder(resource, version)
      : encoders.protobufEncoder(resource);
    return {
      contentType: `${contentTypes.protobuf};stream=watch`,
      batch: (batch) => batch.parts(encoder),
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
  const frameOf = (event: CacheEvent<KubeObject>): readonly Uint8Array[] => {
    const isBookmark = event.type === "BOOKMARK";
    const object = isBookmark
      ? (bookmarkObject(resource.apiVersion, resource.kind, event.revision, event.initialEventsEnd) as KubeObject)
      : resource.fromStored(event.entry.object);
    const metadata = { resourceVersion: object.metadata.resourceVersion };
    const table = tableOf(resource, [object], metadata, wanted, clock.now(), first);
    if (isBookmark) table.rows = [{ cells: table.rows[0]!.cells.map(() => null), object }];
    first = false;
    const encoded = Buffer.from(stringifyExactly(table));
    if (isBookmark) return [Buffer.from(`{"type":"BOOKMARK","object":${encoded.toString()}}\n`)];
    return jsonFrame(event.type, encoded);
  };
  return (batch) => batch.events.flatMap(frameOf);
}

function errorFrame(error: StatusError): Buffer {
  return Buffer.from(`{"type":"ERROR","object":${JSON.stringify(error.toStatus())}}\n`);
}

/** As much waits for its turn, in events and in bytes; beyond, the watch is held back until that is written. */
const fullEvents = 32;
const fullBytes = 64 * 1024;

/** Streams until the watch or the client ends. `open` starts the watch; headers go out once it stands. */
export async function streamWatch(
  exchange: Exchange,
  auditId: string,
  warnings: readonly string[],
  format: StreamFormat,
  rounds: WatchRounds,
  open: (receiver: WatchReceiver) => Promise<OpenWatch>,
): Promise<void> {
  const stream = new WatchStream(exchange, format, rounds, () =>
    exchange.begin(200, baseHeaders(auditId, format.contentType, warnings)),
  );
  stream.start(await open(stream));
}

/** One watcher's bytes, from the batches it is given to the turn in which it writes. */
class WatchStream implements WatchReceiver, RoundMember {
  readonly connection: object | undefined;
  readonly #exchange: Exchange;
  readonly #format: StreamFormat;
  readonly #rounds: WatchRounds;
  readonly #sendHead: () => void;
  #watch: OpenWatch | undefined;
  #begun = false;
  #waiting: WatchBatch<KubeObject>[] = [];
  #waitingEvents = 0;
  #waitingBytes = 0;
  /** The watch was told to wait until `#resume`. */
  #held = false;
  /** The socket has enough for now. */
  #draining = false;

  constructor(exchange: Exchange, format: StreamFormat, rounds: WatchRounds, sendHead: () => void) {
    this.connection = exchange.socket;
    this.#exchange = exchange;
    this.#format = format;
    this.#rounds = rounds;
    this.#sendHead = sendHead;
  }

  start(watch: OpenWatch): void {
    this.#watch = watch;
    this.#exchange.onClose(() => {
      this.#forget();
      watch.stop();
    });
    this.#exchange.onEveryDrain(() => this.#resume());
    this.#begin();
    watch.resume();
  }

  deliver(batch: WatchBatch<KubeObject>): boolean {
    this.#waiting.push(batch);
    this.#waitingEvents += batch.events.length;
    this.#waitingBytes += batch.weight;
    this.#held = this.#draining || this.#waitingEvents >= fullEvents || this.#waitingBytes >= fullBytes;
    if (!this.#draining) this.#rounds.join(this);
    return !this.#held;
  }

  ended(error: StatusError | undefined): void {
    this.#begin();
    const parts = this.takeParts();
    this.#forget();
    if (this.#exchange.closed) return;
    if (parts.length > 0) this.#exchange.writeParts(parts);
    if (error) this.#exchange.write(this.#format.error(error));
    this.#exchange.end();
  }

  // What waits in its socket would wait for ever: the client finds the stream broken, and lists again.
  dropped(): void {
    this.#forget();
    this.#exchange.abort();
  }

  takeParts(): readonly Uint8Array[] {
    const waiting = this.#waiting;
    if (waiting.length === 0) return [];
    this.#forgetWaiting();
    return waiting.length === 1
      ? this.#format.batch(waiting[0]!)
      : waiting.flatMap((batch) => this.#format.batch(batch));
  }

  write(parts: readonly Uint8Array[]): void {
    this.#begin();
    if (!this.#exchange.writeParts(parts)) this.#draining = true;
    else if (this.#held) this.#resume();
  }

  #resume(): void {
    this.#draining = false;
    if (this.#waiting.length > 0) this.#rounds.join(this);
    if (!this.#held) return;
    this.#held = false;
    this.#watch?.resume();
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#sendHead();
  }

  #forget(): void {
    this.#rounds.leave(this);
    this.#forgetWaiting();
  }

  #forgetWaiting(): void {
    this.#waiting = [];
    this.#waitingEvents = 0;
    this.#waitingBytes = 0;
  }
}
