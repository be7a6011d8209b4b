/** SPDY/3.1 frames as data: reading them from bytes and writing them (draft-mbelshe-httpbis-spdy-00, section 2.2). */

export type Frame =
  | { kind: "data"; streamId: number; fin: boolean; payload: Buffer }
  | { kind: "synStream"; streamId: number; fin: boolean; headerBlock: Buffer }
  | { kind: "synReply"; streamId: number; fin: boolean; headerBlock: Buffer }
  | { kind: "headers"; streamId: number; fin: boolean; headerBlock: Buffer }
  | { kind: "reset"; streamId: number; status: number }
  | { kind: "ping"; id: number }
  | { kind: "goAway"; lastStreamId: number; status: number }
  /** SETTINGS, WINDOW_UPDATE, and what is unknown: nothing that we act on. */
  | { kind: "other"; type: number };

export class ProtocolError extends Error {
  override name = "ProtocolError";
}

const version = 3;
const finFlag = 1;
const type = { synStream: 1, synReply: 2, reset: 3, ping: 6, goAway: 7, headers: 8 };
const headBytes = 8;
/** Clients write far smaller frames; a length beyond this is a mistake or an attack. */
const maximumFrameBytes = 1 << 20;

/** Cuts a byte stream into frames. Keeps at most one incomplete frame. */
export class FrameReader {
  #pending: Buffer = Buffer.alloc(0);

  /** The frames that `chunk` completes. Throws ProtocolError for what is no SPDY/3.1. */
  *read(chunk: Buffer): Iterable<Frame> {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= headBytes) {
      const length = this.#pending.readUInt32BE(4) & 0xffffff;
      if (length > maximumFrameBytes) throw new ProtocolError(`a frame of ${length} bytes is too long`);
      if (this.#pending.length < headBytes + length) return;
      const head = this.#pending.subarray(0, headBytes);
      const body = this.#pending.subarray(headBytes, headBytes + length);
      this.#pending = this.#pending.subarray(headBytes + length);
      yield parseFrame(head, body);
    }
  }
}

function parseFrame(head: Buffer, body: Buffer): Frame {
  const flags = head[4]!;
  const fin = (flags & finFlag) !== 0;
  if ((head[0]! & 0x80) === 0) return { kind: "data", streamId: head.readUInt32BE(0), fin, payload: body };
  const frameVersion = head.readUInt16BE(0) & 0x7fff;
  if (frameVersion !== version) throw new ProtocolError(`SPDY version ${frameVersion} is not supported`);
  const frameType = head.readUInt16BE(2);
  const streamId = () => needed(body, 4).readUInt32BE(0) & 0x7fffffff;
  switch (frameType) {
    case type.synStream:
      return { kind: "synStream", streamId: streamId(), fin, headerBlock: needed(body, 10).subarray(10) };
    case type.synReply:
      return { kind: "synReply", streamId: streamId(), fin, headerBlock: body.subarray(4) };
    case type.headers:
      return { kind: "headers", streamId: streamId(), fin, headerBlock: body.subarray(4) };
    case type.reset:
      return { kind: "reset", streamId: streamId(), status: needed(body, 8).readUInt32BE(4) };
    case type.ping:
      return { kind: "ping", id: needed(body, 4).readUInt32BE(0) };
    case type.goAway:
      return { kind: "goAway", lastStreamId: streamId(), status: needed(body, 8).readUInt32BE(4) };
    default:
      return { kind: "other", type: frameType };
  }
}

function needed(body: Buffer, bytes: number): Buffer {
  if (body.length < bytes) throw new ProtocolError(`a control frame of ${body.length} bytes is too short`);
  return body;
}

export function dataFrame(streamId: number, payload: Buffer, fin: boolean): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(streamId, 0);
  head.writeUInt32BE(payload.length, 4);
  if (fin) head[4] = finFlag;
  return Buffer.concat([head, payload]);
}

/** The opening of a stream, as a client sends it. */
export function synStreamFrame(streamId: number, headerBlock: Buffer): Buffer {
  const body = Buffer.alloc(10);
  body.writeUInt32BE(streamId, 0);
  return controlFrame(type.synStream, 0, Buffer.concat([body, headerBlock]));
}

export function synReplyFrame(streamId: number, headerBlock: Buffer): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt32BE(streamId, 0);
  return controlFrame(type.synReply, 0, Buffer.concat([body, headerBlock]));
}

export function resetFrame(streamId: number, status: number): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt32BE(streamId, 0);
  body.writeUInt32BE(status, 4);
  return controlFrame(type.reset, 0, body);
}

export function pingFrame(id: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt32BE(id, 0);
  return controlFrame(type.ping, 0, body);
}

export function goAwayFrame(lastStreamId: number): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt32BE(lastStreamId, 0);
  return controlFrame(type.goAway, 0, body);
}

function controlFrame(frameType: number, flags: number, body: Buffer): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt16BE(0x8000 | version, 0);
  head.writeUInt16BE(frameType, 2);
  head.writeUInt32BE(body.length, 4);
  head[4] = flags;
  return Buffer.concat([head, body]);
}
