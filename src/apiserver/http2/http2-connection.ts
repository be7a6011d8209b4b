/**
 * One connection that speaks HTTP/2 (RFC 9113), as a server's end.
 *
 * Why not Node's own: it makes objects, errors and turns of the event loop for each request and each piece of a stream, which
 * together cost several times what the request itself does. Here what a turn of the event loop brings forth, of all streams,
 * is one write; a stream is one object; bytes that many streams send are copied once each, into that write.
 *
 * Bounded are: streams at once, the size of headers, what is taken of bodies that nobody reads, what waits in a stream before its
 * writer is told to wait, frames that demand an answer while the peer does not read, and requests that are called off.
 */
import type { TLSSocket } from "node:tls";
import type { ResponseHeaders } from "../http/exchange.ts";
import {
  ConnectionError,
  defaultWindowBytes,
  type ErrorCode,
  errorCodes,
  frameFlags,
  frameHeadBytes,
  frameKinds,
  maximumFrameBytes,
  maximumWindowBytes,
  readUint31,
  readUint32,
  settings,
  writeFrameHead,
  writeUint32,
} from "./frames.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { HpackEncoder } from "./hpack-encoder.ts";
import { type Http2Carrier, Http2Exchange } from "./http2-exchange.ts";
import { RequestHeaders } from "./request-headers.ts";
import { giveMemory, mostWrittenBytes, takeMemory } from "./write-memory.ts";

export interface Http2Options {
  socket: TLSSocket;
  /** Of the names and values of one request, as HTTP/2 counts them. */
  maximumHeaderBytes: number;
  /** A request's headers are there; its body may be as well. */
  onExchange(exchange: Http2Exchange): void;
  /** What the header `date` says. */
  date(): string;
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const mostStreams = 1000;
/** What a client may send of one body, and of all, that nobody takes. */
const streamWindowBytes = 1024 * 1024;
const connectionWindowBytes = 4 * 1024 * 1024;
/** Headers in more pieces than this are sent to keep a server busy. */
const mostContinuations = 32;
/** So many more requests may be called off before they are answered than are answered. */
const mostCalledOff = 1000;
/** Frames that demand an answer, while none of the answers is read. */
const mostAnswersOwed = 1000;

export class Http2Connection implements Http2Carrier {
  readonly socket: TLSSocket;
  readonly #options: Http2Options;
  readonly #streams = new Map<number, Http2Exchange>();
  readonly #decoder = new HpackDecoder();
  readonly #encoder = new HpackEncoder();
  #lastStream = 0;
  #isOver = false;
  #isLeaving = false;
  #calledOff = 0;
  #answersOwed = 0;

  // What comes.
  #hasGreeted = false;
  #hasSettings = false;
  #rest: Buffer | undefined;
  /** Requests of the part that is being read: begun at its end, when most of their bodies are there. */
  #begun: Http2Exchange[] = [];
  #headerBlock: { streamId: number; isEnd: boolean; parts: Buffer[]; bytes: number } | undefined;
  /** Bytes of bodies that came, and those of them that were taken, of which the client has not been told yet. */
  #outstandingBytes = 0;
  #unreportedBytes = 0;

  // What goes.
  #window = defaultWindowBytes;
  #streamWindow = defaultWindowBytes;
  #memory: Buffer | undefined;
  #length = 0;
  /** Streams with something to send that have not run out of window, each in its turn. */
  #queue: Http2Exchange[] = [];
  #isScheduled = false;
  #isWriting = false;
  readonly #flushNow = () => {
    this.#isScheduled = false;
    this.#flush();
  };

  constructor(options: Http2Options) {
    this.#options = options;
    this.socket = options.socket;
    this.#sendSettings();
    this.socket.on("data", (chunk: Buffer) => this.#take(chunk));
    this.socket.on("close", () => this.#finish());
    this.socket.on("end", () => this.#finish());
  }

  /** Tells the client that nothing more is taken. What is under way may end as long as the socket stands. */
  close(): void {
    if (this.#isOver || this.#isLeaving) return;
    this.#isLeaving = true;
    this.#sendGoaway(errorCodes.noError);
    if (this.#streams.size === 0) this.#leave();
    // At once: whoever closes may end the socket next.
    else this.#flush();
  }

  // Reading

  #take(chunk: Buffer): void {
    if (this.#isOver) return;
    try {
      this.#read(this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk);
    } catch (error) {
      // A mistake of ours, too, ends this connection and no other.
      this.#fail(error instanceof ConnectionError ? error.code : errorCodes.internalError);
      return;
    }
    const begun = this.#begun;
    if (begun.length === 0) return;
    this.#begun = [];
    for (const exchange of begun) if (!exchange.closed) this.#options.onExchange(exchange);
  }

  #read(bytes: Buffer): void {
    let at = 0;
    this.#rest = undefined;
    if (!this.#hasGreeted) {
      const greeting = bytes.subarray(0, preface.length);
      if (!greeting.equals(preface.subarray(0, greeting.length))) throw protocolError("this is not HTTP/2");
      if (bytes.length < preface.length) {
        this.#rest = bytes;
        return;
      }
      this.#hasGreeted = true;
      at = preface.length;
    }
    while (bytes.length - at >= frameHeadBytes) {
      const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
      if (length > maximumFrameBytes) throw frameSizeError();
      const start = at + frameHeadBytes;
      if (bytes.length - start < length) break;
      this.#frame(bytes[at + 3]!, bytes[at + 4]!, readUint31(bytes, at + 5), bytes.subarray(start, start + length));
      if (this.#isOver) return;
      at = start + length;
    }
    if (at < bytes.length) this.#rest = bytes.subarray(at);
  }

  #frame(kind: number, flags: number, streamId: number, payload: Buffer): void {
    if (!this.#hasSettings && kind !== frameKinds.settings) throw protocolError("settings come first");
    if (this.#headerBlock && (kind !== frameKinds.continuation || streamId !== this.#headerBlock.streamId)) {
      throw protocolError("headers were not ended");
    }
    switch (kind) {
      case frameKinds.data:
        this.#takeData(flags, streamId, payload);
        break;
      case frameKinds.headers:
        this.#takeHeaders(flags, streamId, payload);
        break;
      case frameKinds.continuation:
        this.#continueHeaders(flags, payload);
        break;
      case frameKinds.windowUpdate:
        this.#takeWindowUpdate(streamId, payload);
        break;
      case frameKinds.rstStream:
        this.#takeReset(streamId, payload);
        break;
      case frameKinds.settings:
        this.#takeSettings(flags, streamId, payload);
        break;
      case frameKinds.ping:
        this.#takePing(flags, streamId, payload);
        break;
      case frameKinds.goaway:
        this.#isLeaving = true;
        if (this.#streams.size === 0) this.#leave();
        break;
      case frameKinds.priority:
        if (streamId === 0) throw protocolError("nothing to give priority to");
        break;
      case frameKinds.pushPromise:
        throw protocolError("clients do not push");
      default:
      // What is not known is passed over.
    }
  }

  #takeHeaders(flags: number, streamId: number, payload: Buffer): void {
    if (streamId % 2 === 0) throw protocolError("clients' streams are odd");
    let block = unpadded(flags, payload);
    if (flags & frameFlags.priority) {
      if (block.length < 5) throw frameSizeError();
      block = block.subarray(5);
    }
    const isEnd = (flags & frameFlags.endStream) !== 0;
    if (flags & frameFlags.endHeaders) this.#takeBlock(streamId, isEnd, block);
    else this.#headerBlock = { streamId, isEnd, parts: [block], bytes: block.length };
  }

  #continueHeaders(flags: number, payload: Buffer): void {
    const block = this.#headerBlock;
    if (!block) throw protocolError("nothing to go on with");
    block.parts.push(payload);
    block.bytes += payload.length;
    if (block.bytes > this.#options.maximumHeaderBytes * 2 || block.parts.length > mostContinuations) {
      throw new ConnectionError(errorCodes.enhanceYourCalm, "headers without end");
    }
    if ((flags & frameFlags.endHeaders) === 0) return;
    this.#headerBlock = undefined;
    this.#takeBlock(block.streamId, block.isEnd, Buffer.concat(block.parts));
  }

  #takeBlock(streamId: number, isEnd: boolean, block: Buffer): void {
    const request = new RequestHeaders(this.#options.maximumHeaderBytes);
    // Read in any case: the next block builds on it.
    this.#decoder.decode(block, (name, value) => request.add(name, value));
    if (streamId <= this.#lastStream) this.#takeTrailers(streamId, isEnd);
    else {
      this.#lastStream = streamId;
      if (!this.#isLeaving) this.#begin(streamId, isEnd, request);
    }
  }

  #begin(streamId: number, isEnd: boolean, request: RequestHeaders): void {
    request.finish();
    if (this.#streams.size >= mostStreams) this.#sendReset(streamId, errorCodes.refusedStream);
    else if (request.isMalformed || (isEnd && (request.announcedBytes ?? 0) > 0)) {
      this.#sendReset(streamId, errorCodes.protocolError);
    } else {
      const exchange = new Http2Exchange(this, streamId, request, isEnd, this.#streamWindow);
      this.#streams.set(streamId, exchange);
      if (request.isTooLarge) exchange.respond(431, {}, "");
      else this.#begun.push(exchange);
    }
  }

  /** Nobody reads what they say. */
  #takeTrailers(streamId: number, isEnd: boolean): void {
    const stream = this.#streams.get(streamId);
    if (!stream) return;
    if (!isEnd || stream.hasAll) throw protocolError("headers within a body");
    if (!stream.receiveEnd()) this.reset(stream, errorCodes.protocolError);
  }

  #takeData(flags: number, streamId: number, payload: Buffer): void {
    if (streamId === 0 || streamId > this.#lastStream) throw protocolError("data of no stream");
    const stream = this.#streams.get(streamId);
    const data = unpadded(flags, payload);
    this.#outstandingBytes += payload.length;
    this.#consumedByConnection(payload.length - data.length);
    if (!stream) {
      this.#consumedByConnection(data.length);
      return;
    }
    const isEnd = (flags & frameFlags.endStream) !== 0;
    const isSound = !stream.hasAll && (data.length === 0 || stream.receive(data)) && (!isEnd || stream.receiveEnd());
    if (stream.outstandingBytes > streamWindowBytes || this.#outstandingBytes > connectionWindowBytes) {
      throw new ConnectionError(errorCodes.flowControlError, "more data than was asked for");
    }
    if (!isSound) this.reset(stream, errorCodes.protocolError);
  }

  #takeReset(streamId: number, payload: Buffer): void {
    if (payload.length !== 4) throw frameSizeError();
    if (streamId === 0 || streamId > this.#lastStream) throw protocolError("a reset of no stream");
    const stream = this.#streams.get(streamId);
    if (!stream) return;
    if (!stream.hasBegun && ++this.#calledOff > mostCalledOff) {
      throw new ConnectionError(errorCodes.enhanceYourCalm, "too many requests are called off");
    }
    this.#end(stream);
  }

  #takeWindowUpdate(streamId: number, payload: Buffer): void {
    if (payload.length !== 4) throw frameSizeError();
    const more = readUint31(payload, 0);
    if (streamId === 0) {
      if (more === 0) throw protocolError("a window that grows by nothing");
      this.#window += more;
      if (this.#window > maximumWindowBytes) throw new ConnectionError(errorCodes.flowControlError, "the window");
      this.#schedule();
      return;
    }
    if (streamId > this.#lastStream) throw protocolError("a window of no stream");
    const stream = this.#streams.get(streamId);
    if (!stream) return;
    stream.window += more;
    if (more === 0) this.reset(stream, errorCodes.protocolError);
    else if (stream.window > maximumWindowBytes) this.reset(stream, errorCodes.flowControlError);
    else if (stream.waitingBytes > 0) this.ready(stream);
  }

  #takeSettings(flags: number, streamId: number, payload: Buffer): void {
    this.#hasSettings = true;
    if (streamId !== 0) throw protocolError("settings of a stream");
    const isAck = (flags & frameFlags.ack) !== 0;
    if (isAck ? payload.length > 0 : payload.length % 6 !== 0) throw frameSizeError();
    if (isAck) return;
    for (let at = 0; at < payload.length; at += 6) {
      this.#takeSetting((payload[at]! << 8) | payload[at + 1]!, readUint32(payload, at + 2));
    }
    this.#answer(frameKinds.settings, frameFlags.ack, noPayload);
  }

  #takeSetting(setting: number, value: number): void {
    if (setting === settings.headerTableSize) this.#encoder.limit(value);
    else if (setting === settings.enablePush && value > 1) throw protocolError("neither yes nor no");
    else if (setting === settings.maxFrameSize && (value < maximumFrameBytes || value > 0xff_ffff)) {
      throw protocolError("no size of frames");
    } else if (setting === settings.initialWindowSize) {
      if (value > maximumWindowBytes) throw new ConnectionError(errorCodes.flowControlError, "the window");
      const more = value - this.#streamWindow;
      this.#streamWindow = value;
      for (const stream of this.#streams.values()) {
        stream.window += more;
        if (stream.waitingBytes > 0) this.ready(stream);
      }
    }
  }

  #takePing(flags: number, streamId: number, payload: Buffer): void {
    if (streamId !== 0) throw protocolError("a ping of a stream");
    if (payload.length !== 8) throw frameSizeError();
    if ((flags & frameFlags.ack) === 0) this.#answer(frameKinds.ping, frameFlags.ack, payload);
  }

  #answer(kind: number, flags: number, payload: Buffer): void {
    if (++this.#answersOwed > mostAnswersOwed) {
      throw new ConnectionError(errorCodes.enhanceYourCalm, "answers are demanded and not read");
    }
    this.#sendFrame(kind, flags, 0, payload);
  }

  // Writing

  sendHead(stream: Http2Exchange, status: number, headers: ResponseHeaders, isAll: boolean): void {
    if (this.#isOver) return;
    headers["date"] ??= this.#options.date();
    const block = this.#encoder.encode(status, headers);
    const endStream = isAll ? frameFlags.endStream : 0;
    let from = 0;
    let kind: number = frameKinds.headers;
    do {
      const to = Math.min(from + maximumFrameBytes, block.length);
      const endHeaders = to === block.length ? frameFlags.endHeaders : 0;
      const flags = endHeaders | (from === 0 ? endStream : 0);
      this.#sendFrame(kind, flags, stream.id, block.subarray(from, to));
      from = to;
      kind = frameKinds.continuation;
    } while (from < block.length);
    if (this.#calledOff > 0) this.#calledOff--;
  }

  ready(stream: Http2Exchange): void {
    if (!stream.isQueued) {
      stream.isQueued = true;
      this.#queue.push(stream);
    }
    this.#schedule();
  }

  consumed(stream: Http2Exchange, bytes: number): void {
    this.#consumedByConnection(bytes);
    stream.unreportedBytes += bytes;
    if (stream.hasAll || stream.unreportedBytes < streamWindowBytes / 2) return;
    this.#sendWindowUpdate(stream.id, stream.unreportedBytes);
    stream.unreportedBytes = 0;
  }

  reset(stream: Http2Exchange, code: ErrorCode): void {
    this.#sendReset(stream.id, code);
    this.#end(stream);
  }

  #consumedByConnection(bytes: number): void {
    this.#unreportedBytes += bytes;
    if (this.#unreportedBytes < connectionWindowBytes / 2) return;
    this.#sendWindowUpdate(0, this.#unreportedBytes);
    this.#outstandingBytes -= this.#unreportedBytes;
    this.#unreportedBytes = 0;
  }

  #end(stream: Http2Exchange): void {
    this.#streams.delete(stream.id);
    this.#consumedByConnection(stream.close());
    if (this.#isLeaving && this.#streams.size === 0) this.#leave();
  }

  #sendSettings(): void {
    const pairs = [
      [settings.enablePush, 0],
      [settings.maxConcurrentStreams, mostStreams],
      [settings.initialWindowSize, streamWindowBytes],
      [settings.maxHeaderListSize, this.#options.maximumHeaderBytes],
    ] as const;
    const payload = Buffer.alloc(pairs.length * 6);
    pairs.forEach(([setting, value], at) => {
      payload.writeUInt16BE(setting, at * 6);
      payload.writeUInt32BE(value, at * 6 + 2);
    });
    this.#sendFrame(frameKinds.settings, 0, 0, payload);
    this.#sendWindowUpdate(0, connectionWindowBytes - defaultWindowBytes);
  }

  #sendWindowUpdate(streamId: number, more: number): void {
    this.#sendNumbers(frameKinds.windowUpdate, streamId, [more]);
  }

  #sendReset(streamId: number, code: ErrorCode): void {
    if (++this.#answersOwed > mostAnswersOwed) this.#fail(errorCodes.enhanceYourCalm);
    else this.#sendNumbers(frameKinds.rstStream, streamId, [code]);
  }

  #sendGoaway(code: ErrorCode): void {
    this.#sendNumbers(frameKinds.goaway, 0, [this.#lastStream, code]);
  }

  #sendNumbers(kind: number, streamId: number, numbers: readonly number[]): void {
    const payload = Buffer.allocUnsafe(numbers.length * 4);
    for (const [at, number] of numbers.entries()) writeUint32(payload, at * 4, number);
    this.#sendFrame(kind, 0, streamId, payload);
  }

  /** Adds a frame to what is written next. */
  #sendFrame(kind: number, flags: number, streamId: number, payload: Buffer): void {
    if (this.#isOver) return;
    const memory = this.#room(frameHeadBytes + payload.length);
    writeFrameHead(memory, this.#length, payload.length, kind, flags, streamId);
    memory.set(payload, this.#length + frameHeadBytes);
    this.#length += frameHeadBytes + payload.length;
    this.#schedule();
  }

  /** Memory with so much room behind what it holds. */
  #room(bytes: number): Buffer {
    const held = this.#memory;
    if (held && held.length - this.#length >= bytes) return held;
    const memory = takeMemory(this.#length + bytes);
    if (held) {
      held.copy(memory, 0, 0, this.#length);
      giveMemory(held);
    }
    this.#memory = memory;
    return memory;
  }

  /** Writes once everything that this turn of the event loop leads to has been said. */
  #schedule(): void {
    if (this.#isScheduled || this.#isWriting) return;
    this.#isScheduled = true;
    process.nextTick(this.#flushNow);
  }

  #flush(): void {
    if (this.#isWriting || this.#isOver || !this.socket.writable) return;
    const told = this.#queue.length > 0 ? this.#frameData() : noStreams;
    const memory = this.#memory;
    const length = this.#length;
    this.#memory = undefined;
    this.#length = 0;
    if (memory && length > 0) {
      this.#isWriting = true;
      this.socket.write(memory.subarray(0, length), () => {
        giveMemory(memory);
        this.#isWriting = false;
        this.#answersOwed = 0;
        this.#flush();
      });
      // Nothing could be sent: a client that takes nothing holds no memory for it.
    } else if (memory) giveMemory(memory);
    for (const stream of told) {
      if (stream.hasSentAll) this.#sentAll(stream);
      else stream.drained();
    }
  }

  /**
   * Turns what waits in the streams into frames, each stream in its turn, as far as windows and one write allow. Returns the streams
   * that have ended, and those whose writers may go on.
   */
  #frameData(): readonly Http2Exchange[] {
    const queue = this.#queue;
    const told: Http2Exchange[] = [];
    let waiting = 0;
    for (const { waitingBytes } of queue) waiting += waitingBytes + frameHeadBytes;
    const memory = this.#room(
      Math.min(waiting + frameHeadBytes, Math.max(mostWrittenBytes - this.#length, frameHeadBytes)),
    );
    let at = 0;
    for (; at < queue.length; at++) {
      const stream = queue[at]!;
      const room = memory.length - this.#length - frameHeadBytes;
      const { waitingBytes } = stream;
      if (room < 0 || (waitingBytes > 0 && (room === 0 || this.#window <= 0))) break;
      stream.isQueued = false;
      if (stream.closed) continue;
      if (waitingBytes > 0 && stream.window <= 0) continue;
      const length = Math.min(waitingBytes, room, maximumFrameBytes, this.#window, stream.window);
      if (waitingBytes > 0) this.#frameOf(stream, memory, length);
      else if (stream.hasSentAll && !stream.isBodiless) this.#frameOf(stream, memory, 0);
      if (stream.waitingBytes > 0) {
        stream.isQueued = true;
        queue.push(stream);
      } else if (stream.hasSentAll || stream.takeDrain()) told.push(stream);
    }
    this.#queue = at === queue.length ? [] : queue.slice(at);
    return told;
  }

  #frameOf(stream: Http2Exchange, memory: Buffer, length: number): void {
    const at = this.#length;
    if (length > 0) {
      stream.copyWaiting(memory, at + frameHeadBytes, length);
      stream.window -= length;
      this.#window -= length;
    }
    const flags = stream.hasSentAll ? frameFlags.endStream : 0;
    writeFrameHead(memory, at, length, frameKinds.data, flags, stream.id);
    this.#length += frameHeadBytes + length;
  }

  /** A client that is still sending is told that nobody listens. */
  #sentAll(stream: Http2Exchange): void {
    if (stream.closed) return;
    if (stream.hasAll) this.#end(stream);
    else this.reset(stream, errorCodes.noError);
  }

  // The end

  #fail(code: ErrorCode): void {
    if (this.#isOver) return;
    this.#sendGoaway(code);
    this.#leave();
  }

  /** Says what is left to say, and closes the socket. */
  #leave(): void {
    if (this.#isOver) return;
    if (this.#memory && this.#length > 0) this.socket.write(this.#memory.subarray(0, this.#length));
    this.#finish();
    this.socket.destroySoon();
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#memory = undefined;
    this.#rest = undefined;
    this.#queue = [];
    for (const stream of this.#streams.values()) stream.close();
    this.#streams.clear();
  }
}

const noPayload = Buffer.alloc(0);
const noStreams: readonly Http2Exchange[] = [];

function unpadded(flags: number, payload: Buffer): Buffer {
  if ((flags & frameFlags.padded) === 0) return payload;
  const padding = payload[0] ?? payload.length;
  if (padding >= payload.length) throw protocolError("more padding than frame");
  return payload.subarray(1, payload.length - padding);
}

function protocolError(message: string): ConnectionError {
  return new ConnectionError(errorCodes.protocolError, message);
}

function frameSizeError(): ConnectionError {
  return new ConnectionError(errorCodes.frameSizeError, "a frame of the wrong size");
}
