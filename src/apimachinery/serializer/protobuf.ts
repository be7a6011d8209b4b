/**
 * application/vnd.kubernetes.protobuf: objects as messages, in upstream's envelope (the magic `k8s\0`, then a runtime.Unknown).
 *
 * A stored object can keep its message bytes and be put into lists and watch events without being encoded again: see encodeMessage,
 * encodeEnvelope, listPieces and encodeWatchEvent.
 */
import type { FieldSchema, Scalar, TypeSchema, ValueSchema } from "../../api/schema.ts";
import { conform } from "../strict-decode.ts";
import { parseExactly, stringifyExactly } from "./big-integers.ts";
import { DecodeError } from "./decode-error.ts";
import { maximumDepth } from "./json-scan.ts";
import { Reader, ReverseWriter, wireBytes, wireFixed64, wireVarint } from "./protobuf-wire.ts";

const magic = Buffer.from("k8s\0");

interface TypeMeta {
  apiVersion: string;
  kind: string;
}

/** An object with its envelope; apiVersion and kind are taken from the object. */
export function encodeProtobuf(object: object, type: TypeSchema): Buffer {
  const { apiVersion = "", kind = "" } = object as Partial<TypeMeta>;
  return encodeEnvelope({ apiVersion, kind }, encodeMessage(object, type));
}

/** The message alone, as it stands inside lists and envelopes. */
export function encodeMessage(object: object, type: TypeSchema): Buffer {
  const writer = new ReverseWriter();
  messageOf(type).write(writer, object as Record<string, unknown>);
  return writer.finish();
}

export function encodeEnvelope({ apiVersion, kind }: TypeMeta, message: Uint8Array): Buffer {
  const writer = new ReverseWriter(message.length + 128);
  // Upstream writes empty contentEncoding and contentType; readers do not mind their absence, but bytes compare equal with them.
  writer.string("");
  writer.tag(4, wireBytes);
  writer.string("");
  writer.tag(3, wireBytes);
  writer.bytes(message);
  writer.tag(2, wireBytes);
  const mark = writer.mark;
  writer.string(kind);
  writer.tag(2, wireBytes);
  writer.string(apiVersion);
  writer.tag(1, wireBytes);
  writer.length(mark);
  writer.tag(1, wireBytes);
  writer.raw(magic);
  return writer.finish();
}

/**
 * A list with its envelope, piece by piece, from items that are messages already. `meta` is the list's metadata; `type` the list's type.
 * An empty piece is made for each item first, so that whoever takes them may pause: the envelope begins with the length of it all.
 */
export function* listPieces(
  { apiVersion, kind }: TypeMeta,
  meta: object,
  items: Iterable<Uint8Array>,
  type: TypeSchema,
): Generator<Uint8Array, void> {
  const tag = (type.byName.get("items")!.protobuf!.number << 3) | wireBytes;
  const metadata = new ReverseWriter();
  compileField(type.byName.get("metadata")!).write(metadata, meta as Record<string, unknown>);
  const metadataBytes = metadata.finish();
  const messages: Uint8Array[] = [];
  let length = metadataBytes.length;
  for (const message of items) {
    messages.push(message);
    length += itemHead(tag, message.length).length + message.length;
    yield noBytes;
  }
  const head = new ReverseWriter();
  head.uint(length);
  head.tag(2, wireBytes);
  const mark = head.mark;
  head.string(kind);
  head.tag(2, wireBytes);
  head.string(apiVersion);
  head.tag(1, wireBytes);
  head.length(mark);
  head.tag(1, wireBytes);
  head.raw(magic);
  yield head.finish();
  yield metadataBytes;
  for (const message of messages) {
    yield itemHead(tag, message.length);
    yield message;
  }
  const tail = new ReverseWriter();
  tail.string("");
  tail.tag(4, wireBytes);
  tail.string("");
  tail.tag(3, wireBytes);
  yield tail.finish();
}

const noBytes = new Uint8Array(0);
const itemHeads = new Map<number, Uint8Array>();

/** Items of one length are many: their heads are made once. */
function itemHead(tag: number, length: number): Uint8Array {
  const key = length * 32_768 + tag;
  let head = itemHeads.get(key);
  if (!head) {
    const writer = new ReverseWriter(16);
    writer.uint(length);
    writer.uint(tag);
    head = writer.finish();
    if (itemHeads.size === 4096) itemHeads.clear();
    itemHeads.set(key, head);
  }
  return head;
}

/** One event of a watch: `object` is a whole envelope. Framing it is the stream's business (see frame). */
export function encodeWatchEvent(type: string, object: Uint8Array): Buffer {
  const writer = new ReverseWriter(object.length + 64);
  const mark = writer.mark;
  writer.bytes(object);
  writer.tag(1, wireBytes);
  writer.length(mark);
  writer.tag(2, wireBytes);
  writer.string(type);
  writer.tag(1, wireBytes);
  return writer.finish();
}

/** A watch stream's frame: the length in four bytes, big end first. */
export function frame(event: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(event.length + 4);
  framed.writeUInt32BE(event.length);
  framed.set(event, 4);
  return framed;
}

export interface ProtobufEnvelope extends TypeMeta {
  message: Uint8Array;
  contentType: string;
}

/** Opens the envelope. Throws DecodeError when there is none. */
export function readEnvelope(bytes: Uint8Array): ProtobufEnvelope {
  if (bytes.length < 4 || magic.compare(bytes, 0, 4) !== 0) {
    throw new DecodeError(
      `provided data does not appear to be a protobuf message, expected prefix [${[...magic].join(" ")}]`,
    );
  }
  const envelope: ProtobufEnvelope = { apiVersion: "", kind: "", message: new Uint8Array(), contentType: "" };
  const reader = new Reader(bytes, 4);
  while (!reader.done) {
    const tag = reader.uint();
    if (tag === 10) {
      const meta = reader.message();
      while (!meta.done) {
        const metaTag = meta.uint();
        if (metaTag === 10) envelope.apiVersion = meta.string();
        else if (metaTag === 18) envelope.kind = meta.string();
        else meta.skip(metaTag & 7);
      }
    } else if (tag === 18) envelope.message = reader.bytes();
    else if (tag === 34) envelope.contentType = reader.string();
    else reader.skip(tag & 7);
  }
  return envelope;
}

/** An object of a known type from its enveloped bytes, in the same canonical form that decodeJson gives. Throws DecodeError. */
export function decodeProtobuf<T>(bytes: Uint8Array, type: TypeSchema): T {
  const { apiVersion, kind, message, contentType } = readEnvelope(bytes);
  if (contentType === "application/json") return conform<T>(parse(Buffer.from(message)), type).object;
  const object = messageOf(type).read(new Reader(message), 0);
  const typeMeta: Record<string, unknown> = {};
  if (kind && type.byName.has("kind")) typeMeta["kind"] = kind;
  if (apiVersion && type.byName.has("apiVersion")) typeMeta["apiVersion"] = apiVersion;
  return conform<T>({ ...typeMeta, ...object }, type).object;
}

function parse(bytes: Buffer): unknown {
  try {
    return parseExactly(bytes.toString());
  } catch (cause) {
    throw new DecodeError((cause as Error).message, { cause });
  }
}

/** How one type's message is written and read. */
class Message {
  /** Fields, and messages around fields that JSON inlines, by descending numbers: the writer goes backwards, and upstream's upwards. */
  readonly #parts: (FieldCodec | { number: number; message: Message })[] = [];
  readonly #byTag = new Map<number, FieldCodec>();
  readonly #embedded = new Map<number, Message>();

  constructor(fields: readonly FieldSchema[], depth: number) {
    const inner = new Map<number, FieldSchema[]>();
    for (const field of fields) {
      if (!field.protobuf) continue;
      const through = field.protobuf.via[depth];
      if (through === undefined) this.#add(compileField(field));
      else if (inner.has(through)) inner.get(through)!.push(field);
      else inner.set(through, [field]);
    }
    for (const [number, list] of inner) {
      const message = new Message(list, depth + 1);
      this.#embedded.set(number, message);
      this.#parts.push({ number, message });
    }
    this.#parts.sort((one, other) => other.number - one.number);
  }

  #add(codec: FieldCodec): void {
    this.#parts.push(codec);
    this.#byTag.set(codec.number, codec);
  }

  write(writer: ReverseWriter, object: Record<string, unknown>): void {
    for (const part of this.#parts) {
      if ("message" in part) {
        const mark = writer.mark;
        part.message.write(writer, object);
        if (writer.mark === mark) continue;
        writer.length(mark);
        writer.tag(part.number, wireBytes);
      } else {
        const value = object[part.name];
        if (value !== undefined && value !== null) part.write(writer, value);
      }
    }
  }

  read(reader: Reader, depth: number, object: Record<string, unknown> = {}): Record<string, unknown> {
    if (depth > maximumDepth) throw new DecodeError("exceeded max depth");
    while (!reader.done) {
      const tag = reader.uint();
      const number = Math.floor(tag / 8);
      const codec = this.#byTag.get(number);
      if (codec) codec.read(reader, tag & 7, object, depth);
      else {
        const embedded = this.#embedded.get(number);
        if (embedded) embedded.read(reader.message(), depth + 1, object);
        else reader.skip(tag & 7);
      }
    }
    return object;
  }
}

interface FieldCodec {
  name: string;
  number: number;
  write(writer: ReverseWriter, value: unknown): void;
  read(reader: Reader, wire: number, object: Record<string, unknown>, depth: number): void;
}

const messages = new WeakMap<TypeSchema, Message>();

function messageOf(type: TypeSchema): Message {
  let message = messages.get(type);
  if (!message) {
    message = new Message(type.fields, 0);
    messages.set(type, message);
  }
  return message;
}

function compileField(field: FieldSchema): FieldCodec {
  const { name, value } = field;
  const { number } = field.protobuf!;
  if (value.kind === "list" && !value.wrapped) {
    const item = compileValue(value.items);
    return {
      name,
      number,
      write(writer, list) {
        for (let i = (list as unknown[]).length - 1; i >= 0; i--) {
          item.write(writer, (list as unknown[])[i]);
          writer.tag(number, item.wire);
        }
      },
      read(reader, wire, object, depth) {
        const list = (object[name] ??= []) as unknown[];
        if (wire === wireBytes && item.wire !== wireBytes) {
          const packed = reader.message();
          while (!packed.done) list.push(item.read(packed, depth));
        } else list.push(item.read(checked(reader, wire, item.wire), depth));
      },
    };
  }
  if (value.kind === "map") {
    const item = compileValue(
      value.wrapped ? { ...(value.values as ValueSchema & { kind: "list" }), wrapped: true } : value.values,
    );
    return {
      name,
      number,
      write(writer, map) {
        for (const [key, entry] of Object.entries(map as object).reverse()) {
          const mark = writer.mark;
          item.write(writer, entry);
          writer.tag(2, item.wire);
          writer.string(key);
          writer.tag(1, wireBytes);
          writer.length(mark);
          writer.tag(number, wireBytes);
        }
      },
      read(reader, wire, object, depth) {
        const map = (object[name] ??= {}) as Record<string, unknown>;
        const entry = checked(reader, wire, wireBytes).message();
        let key = "";
        let found: unknown = null;
        while (!entry.done) {
          const tag = entry.uint();
          if (tag === 10) key = entry.string();
          else if (tag >> 3 === 2) found = item.read(checked(entry, tag & 7, item.wire), depth);
          else entry.skip(tag & 7);
        }
        Object.defineProperty(map, key, { value: found, enumerable: true, configurable: true, writable: true });
      },
    };
  }
  const codec = compileValue(value);
  return {
    name,
    number,
    write(writer, given) {
      codec.write(writer, given);
      writer.tag(number, codec.wire);
    },
    read(reader, wire, object, depth) {
      object[name] = codec.read(checked(reader, wire, codec.wire), depth);
    },
  };
}

function checked(reader: Reader, wire: number, expected: number): Reader {
  if (wire !== expected) throw new DecodeError(`proto: wrong wireType = ${wire}`);
  return reader;
}

interface ValueCodec {
  wire: number;
  /** Writes the value with its length but without its tag. */
  write(writer: ReverseWriter, value: unknown): void;
  read(reader: Reader, depth: number): unknown;
}

function compileValue(value: ValueSchema): ValueCodec {
  switch (value.kind) {
    case "scalar":
      return scalars[value.scalar];
    case "struct":
      return {
        wire: wireBytes,
        write: (writer, object) =>
          delimited(writer, () => messageOf(value.type).write(writer, (object ?? {}) as Record<string, unknown>)),
        read: (reader, depth) => messageOf(value.type).read(reader.message(), depth + 1),
      };
    case "any":
      return freeForm;
    case "either":
      return compileEither(value.fullName, compileValue(value.struct), value.or);
    case "list": {
      // A list where protobuf cannot repeat: a message whose field 1 does.
      const item = compileValue(value.items);
      return {
        wire: wireBytes,
        write: (writer, list) =>
          delimited(writer, () => {
            for (const entry of [...(list as unknown[])].reverse()) {
              item.write(writer, entry);
              writer.tag(1, item.wire);
            }
          }),
        read(reader, depth) {
          const list: unknown[] = [];
          const message = reader.message();
          while (!message.done) {
            const tag = message.uint();
            if (tag >> 3 === 1) list.push(item.read(checked(message, tag & 7, item.wire), depth));
            else message.skip(tag & 7);
          }
          return list;
        },
      };
    }
    case "map":
      throw new Error("a map of maps has no protobuf form");
  }
}

function delimited(writer: ReverseWriter, write: () => void): void {
  const mark = writer.mark;
  write();
  writer.length(mark);
}

/** Free-form JSON: a message whose field 1 holds the text. A client may put a whole envelope there instead. */
const freeForm: ValueCodec = {
  wire: wireBytes,
  write: (writer, value) =>
    delimited(writer, () => {
      if (value === null) return;
      writer.string(stringifyExactly(value));
      writer.tag(1, wireBytes);
    }),
  read(reader) {
    const message = reader.message();
    let raw: Buffer | undefined;
    while (!message.done) {
      const tag = message.uint();
      if (tag === 10) raw = message.bytes();
      else message.skip(tag & 7);
    }
    if (!raw || raw.length === 0) return null;
    if (raw.subarray(0, 4).equals(magic))
      throw new DecodeError("an object embedded in protobuf form is not understood; send it as JSON");
    return parse(raw);
  },
};

/** JSONSchemaPropsOrBool numbers the boolean first, the other two the schema. */
function compileEither(fullName: string, struct: ValueCodec, or: ValueSchema): ValueCodec {
  const structNumber = fullName.endsWith("Bool") ? 2 : 1;
  const other = compileField({
    name: "other",
    value: or,
    required: false,
    whenEmpty: "keep",
    protobuf: { number: 3 - structNumber, via: [] },
  });
  return {
    wire: wireBytes,
    write: (writer, value) =>
      delimited(writer, () => {
        if (typeof value !== "object" || value === null || Array.isArray(value)) return other.write(writer, value);
        struct.write(writer, value);
        writer.tag(structNumber, wireBytes);
      }),
    read(reader, depth) {
      const message = reader.message();
      const object: Record<string, unknown> = {};
      while (!message.done) {
        const tag = message.uint();
        if (tag >> 3 === structNumber) object["struct"] = struct.read(checked(message, tag & 7, wireBytes), depth + 1);
        else if (tag >> 3 === 3 - structNumber) other.read(message, tag & 7, object, depth + 1);
        else message.skip(tag & 7);
      }
      return object["struct"] ?? object["other"] ?? (or.kind === "scalar" ? false : []);
    },
  };
}

const text: ValueCodec = {
  wire: wireBytes,
  write: (writer, value) => writer.string(value as string),
  read: (reader) => reader.string(),
};
const int: ValueCodec = {
  wire: wireVarint,
  write: (writer, value) => writer.int(value as number | bigint),
  read: (reader) => reader.int(),
};

const scalars: Record<Scalar, ValueCodec> = {
  string: text,
  int32: { ...int, read: (reader) => reader.int() | 0 },
  int64: { ...int, read: (reader) => reader.int64() },
  boolean: {
    wire: wireVarint,
    write: (writer, value) => writer.uint(value ? 1 : 0),
    read: (reader) => reader.int() !== 0,
  },
  double: {
    wire: wireFixed64,
    write: (writer, value) => writer.double(value as number),
    read: (reader) => reader.double(),
  },
  bytes: {
    wire: wireBytes,
    write: (writer, value) => writer.string(value as string, "base64"),
    read: (reader) => reader.base64(),
  },
  quantity: {
    wire: wireBytes,
    write: (writer, value) =>
      delimited(writer, () => {
        writer.string(value as string);
        writer.tag(1, wireBytes);
      }),
    read(reader) {
      let quantity = "0";
      const message = reader.message();
      while (!message.done) {
        const tag = message.uint();
        if (tag === 10) quantity = message.string() || "0";
        else message.skip(tag & 7);
      }
      return quantity;
    },
  },
  "int-or-string": {
    wire: wireBytes,
    write: (writer, value) =>
      delimited(writer, () => {
        const isText = typeof value === "string";
        writer.string(isText ? value : "");
        writer.tag(3, wireBytes);
        writer.int(isText ? 0 : (value as number));
        writer.tag(2, wireVarint);
        writer.uint(isText ? 1 : 0);
        writer.tag(1, wireVarint);
      }),
    read(reader) {
      let isText = false;
      let number = 0;
      let string = "";
      const message = reader.message();
      while (!message.done) {
        const tag = message.uint();
        if (tag === 8) isText = message.int() !== 0;
        else if (tag === 16) number = message.int() | 0;
        else if (tag === 26) string = message.string();
        else message.skip(tag & 7);
      }
      return isText ? string : number;
    },
  },
  time: timestamp(false),
  microtime: timestamp(true),
  duration: {
    wire: wireBytes,
    write: (writer, value) =>
      delimited(writer, () => {
        writer.int(Math.round(Number.parseFloat(value as string) * 1e9));
        writer.tag(1, wireVarint);
      }),
    read(reader) {
      let nanoseconds = 0;
      const message = reader.message();
      while (!message.done) {
        const tag = message.uint();
        if (tag === 8) nanoseconds = message.int();
        else message.skip(tag & 7);
      }
      return `${nanoseconds / 1e9}s`;
    },
  },
};

function timestamp(micro: boolean): ValueCodec {
  return {
    wire: wireBytes,
    write: (writer, value) =>
      delimited(writer, () => {
        if (value === null) return;
        const seconds = Date.parse(`${(value as string).slice(0, 19)}Z`) / 1000;
        const fraction = micro ? (value as string).slice(20, 26) : "0";
        writer.uint(Number(fraction) * 1000);
        writer.tag(2, wireVarint);
        writer.int(seconds);
        writer.tag(1, wireVarint);
      }),
    read(reader) {
      let seconds = 0;
      let nanos = 0;
      const message = reader.message();
      while (!message.done) {
        const tag = message.uint();
        if (tag === 8) seconds = message.int();
        else if (tag === 16) nanos = message.int();
        else message.skip(tag & 7);
      }
      if (seconds === 0 && nanos === 0) return null;
      const date = new Date(seconds * 1000);
      if (Number.isNaN(date.getTime())) throw new DecodeError("proto: time out of range");
      const text = date.toISOString();
      return micro
        ? text.replace(/\.\d+Z$/, `.${String(Math.floor(nanos / 1000)).padStart(6, "0")}Z`)
        : text.replace(/\.\d+Z$/, "Z");
    },
  };
}
