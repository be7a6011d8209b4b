/** Lists as bytes: chunk by chunk, from what the cache keeps, so that a list of ten thousand objects holds up nobody else. */
import { constants } from "node:zlib";
import type { KubeObject } from "../../api/object.ts";
import { stringifyExactly } from "../../apimachinery/serializer/big-integers.ts";
import type { Clock } from "../../base/clock.ts";
import type { Encoder } from "../../storage/encoding.ts";
import type { Entry } from "../../storage/watch-cache-contract.ts";
import { deflatePiece, GzipTrailer, gzipHead, packPiece, unpackPiece } from "../negotiation/deflate.ts";
import { jsonFrame, jsonTypePrefix } from "../negotiation/json-encoder.ts";
import type { ServedResource } from "../resource-registry.ts";
import type { Exchange, ResponseHeaders } from "./exchange.ts";

type Entries = readonly Entry<KubeObject>[];
/** Parts of a body in order; the consumer decides how many to join. */
type Parts = Generator<Uint8Array, void>;

/** Bytes that are joined to one write. */
const chunkBytes = 256 * 1024;
/** How long the parts of one chunk may take to make: other requests wait for it. */
const sliceMs = 3;
/** Upstream compresses answers beyond this. */
export const leastCompressedBytes = 128 * 1024;

/**
 * Chunks that no write holds any more, for the next ones. Made anew for every write, a busy server would allocate hundreds of
 * megabytes a second outside of the heap, and collect garbage most of the time.
 */
const spareChunks: Buffer[] = [];
const mostSpareChunks = 4;

/** Sends the parts, letting other requests have their turn between chunks and waiting for clients that read slowly. */
export async function sendChunks(
  exchange: Exchange,
  headers: ResponseHeaders,
  parts: Parts,
  clock: Clock,
): Promise<void> {
  const joiner = new Joiner(parts, clock);
  let begun = false;
  let wake: (() => void) | undefined;
  for (;;) {
    const memory = spareChunks.pop() ?? Buffer.allocUnsafeSlow(chunkBytes);
    const { chunk, done } = joiner.next(memory);
    const release = () => {
      if (spareChunks.length < mostSpareChunks) spareChunks.push(memory);
    };
    // So far everything was preparation.
    if (chunk.length === 0 && !done) {
      release();
      await new Promise((resolve) => setImmediate(resolve));
      continue;
    }
    if (!begun) {
      if (done) {
        exchange.respond(200, headers, Buffer.from(chunk));
        release();
        return;
      }
      begun = true;
      exchange.begin(200, headers);
      exchange.onClose(() => wake?.());
    }
    if (exchange.closed) return release();
    const ready = exchange.write(chunk);
    if (done) {
      exchange.end();
      // When the last bytes have gone is not known here: the chunk is left to the garbage collector.
      return;
    }
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (ready) setImmediate(resolve);
      else exchange.onDrain(resolve);
    });
    // A stream that has drained has let go of all it was given; one that was closed, or had room for more, may have not.
    if (!ready && !exchange.closed) release();
  }
}

/** Puts parts into chunks, as many as fit or can be made in the time of one slice. */
class Joiner {
  readonly #parts: Parts;
  readonly #clock: Clock;
  /** Had no room in the chunk before. */
  #left: Uint8Array | undefined;

  constructor(parts: Parts, clock: Clock) {
    this.#parts = parts;
    this.#clock = clock;
  }

  /** `chunk` lies in `memory`, unless one part alone is larger. */
  next(memory: Buffer): { chunk: Uint8Array; done: boolean } {
    let length = 0;
    const until = this.#clock.now() + sliceMs;
    for (let count = 1; ; count++) {
      const part = this.#left ?? this.#parts.next().value;
      this.#left = undefined;
      if (!part) return { chunk: memory.subarray(0, length), done: true };
      if (length + part.length > memory.length) {
        if (length === 0) return { chunk: part, done: false };
        this.#left = part;
        return { chunk: memory.subarray(0, length), done: false };
      }
      memory.set(part, length);
      length += part.length;
      if (count % 2 === 0 && this.#clock.now() >= until) return { chunk: memory.subarray(0, length), done: false };
    }
  }
}

const brace = Buffer.from("{");
const commaBrace = Buffer.from(",{");
const comma = Buffer.from(",");
const listTail = Buffer.from("]}\n");

/** How many bytes of an item's encoding are its kind and apiVersion: items of built-in kinds go without, custom resources with them. */
function prefixLength({ definition, apiVersion, kind }: ServedResource): number {
  return definition.type?.custom ? 1 : Buffer.byteLength(jsonTypePrefix(apiVersion, kind));
}

export function* listChunks(resource: ServedResource, entries: Entries, head: string): Parts {
  const prefix = prefixLength(resource);
  yield Buffer.from(head);
  let separator = brace;
  for (const entry of entries) {
    yield separator;
    yield entry.encoded(resource.json).subarray(prefix);
    separator = commaBrace;
  }
  yield listTail;
}

/** The same in one gzip stream, of items that were compressed when they were first asked for. */
export function* deflatedListChunks(resource: ServedResource, entries: Entries, head: string): Parts {
  const encoder = deflatedItemEncoder(resource);
  const trailer = new GzipTrailer();
  yield gzipHead;
  const first = deflatePiece(Buffer.from(head));
  trailer.add(first);
  yield first.bytes;
  const between = deflatePiece(comma);
  for (let i = 0; i < entries.length; i++) {
    if (i > 0) {
      trailer.add(between);
      yield between.bytes;
    }
    const piece = unpackPiece(entries[i]!.encoded(encoder));
    trailer.add(piece);
    yield piece.bytes;
  }
  const last = deflatePiece(listTail);
  trailer.add(last);
  yield last.bytes;
  yield trailer.end();
}

/** Pieces that a list made for one answer is compressed in: large enough to compress well, small enough that nobody waits for one. */
const leastPieceBytes = 32 * 1024;

/** The parts, as one gzip stream once they turn out to be a large answer; `headers` say so before the first of them comes out. */
export function* zippedWhenLarge(parts: Parts, headers: ResponseHeaders): Parts {
  let gathered: Uint8Array[] = [];
  let length = 0;
  let trailer: GzipTrailer | undefined;
  const piece = () => {
    const deflated = deflatePiece(Buffer.concat(gathered, length), constants.Z_BEST_SPEED);
    trailer?.add(deflated);
    gathered = [];
    length = 0;
    return deflated.bytes;
  };
  for (const part of parts) {
    gathered.push(part);
    length += part.length;
    if (!trailer && length > leastCompressedBytes) {
      trailer = new GzipTrailer();
      headers["content-encoding"] = "gzip";
      headers["vary"] = "Accept-Encoding";
      yield gzipHead;
    }
    // Nothing as long as nobody knows: what makes the parts must not go on for longer than a slice either.
    yield trailer && length >= leastPieceBytes ? piece() : nothing;
  }
  if (!trailer) return yield* gathered;
  if (length > 0) yield piece();
  yield trailer.end();
}

const nothing = new Uint8Array(0);

const deflatedEncoders = new WeakMap<ServedResource, Encoder<KubeObject>>();

function deflatedItemEncoder(resource: ServedResource): Encoder<KubeObject> {
  let encoder = deflatedEncoders.get(resource);
  if (!encoder) {
    const prefix = prefixLength(resource);
    encoder = {
      id: `deflated item ${resource.json.id}`,
      encode: (object) => {
        const item = resource.json.encode(object).subarray(prefix - 1);
        // Where the kind's prefix ended the item's own brace begins.
        item[0] = 0x7b;
        return packPiece(deflatePiece(item));
      },
      frame: jsonFrame,
      bookmark: resource.json.bookmark,
    };
    deflatedEncoders.set(resource, encoder);
  }
  return encoder;
}

/** Whether compressing is worth its while, judged by the first few items. */
export function isLarge(resource: ServedResource, entries: Entries): boolean {
  const sample = entries.slice(0, 8);
  const bytes = sample.reduce((sum, entry) => sum + entry.encoded(resource.json).length, 0);
  return sample.length > 0 && (bytes / sample.length) * entries.length > leastCompressedBytes;
}

/** A list whose items are made for this answer alone: everything of it but the items, how the member with them is called, and the items. */
export interface MadeList {
  frame: object;
  member: "items" | "rows";
  count: number;
  items: Iterable<object>;
}

export function* madeChunks({ frame, member, items }: MadeList): Parts {
  yield Buffer.from(`${JSON.stringify(frame).slice(0, -1)},"${member}":[`);
  let separator = "";
  for (const item of items) {
    yield Buffer.from(separator + stringifyExactly(item));
    separator = ",";
  }
  yield listTail;
}

/** Indented for people. */
export function* prettyChunks({ frame, member, count, items }: MadeList): Parts {
  if (count === 0) return yield Buffer.from(JSON.stringify({ ...frame, [member]: [] }, null, 2));
  yield Buffer.from(`${JSON.stringify(frame, null, 2).slice(0, -2)},\n  "${member}": [`);
  let separator = "\n    ";
  for (const item of items) {
    // Within JSON's strings there are no line breaks.
    yield Buffer.from(separator + stringifyExactly(item, 2).replaceAll("\n", "\n    "));
    separator = ",\n    ";
  }
  yield Buffer.from("\n  ]\n}");
}

export function* yamlChunks({ frame, member, count, items }: MadeList, encode: (value: unknown) => string): Parts {
  if (count === 0) return yield Buffer.from(encode({ ...frame, [member]: [] }));
  const fields = Object.entries(frame);
  const before = fields.filter(([name]) => name < member);
  const after = fields.filter(([name]) => name > member);
  yield Buffer.from(`${encode(Object.fromEntries(before))}${member}:\n`);
  for (const item of items) yield Buffer.from(encode([item]));
  if (after.length > 0) yield Buffer.from(encode(Object.fromEntries(after)));
}
