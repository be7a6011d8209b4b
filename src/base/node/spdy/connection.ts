/**
 * A SPDY/3.1 connection as Kubernetes uses it: the client opens streams, each a Duplex here. Either end of it.
 * Neither side keeps flow-control windows (upstream's library has none): a stream whose reader is slow holds back the
 * whole connection, so that nothing is buffered without bound.
 */
import { Duplex } from "node:stream";
import {
  dataFrame,
  type Frame,
  FrameReader,
  goAwayFrame,
  ProtocolError,
  pingFrame,
  resetFrame,
  synReplyFrame,
  synStreamFrame,
} from "./frames.ts";
import { HeaderReader, type Headers, HeaderWriter } from "./header-block.ts";

/** Enough for a browser's worth of forwarded connections, two streams each. */
const maximumStreams = 1000;
const cancelStatus = 5;
const refusedStatus = 3;

type SendFrame = (frame: Buffer, done: (error?: Error | null) => void) => void;

export class SpdyStream extends Duplex {
  readonly id: number;
  readonly headers: Headers;
  readonly #send: SendFrame;
  #wanted: (() => void) | undefined;
  #isReset = false;
  #hasAll = false;

  constructor(id: number, headers: Headers, send: SendFrame) {
    super({ allowHalfOpen: true });
    this.id = id;
    this.headers = headers;
    this.#send = send;
  }

  /** Takes bytes from the connection; resolves when more may come. */
  receive(payload: Buffer): Promise<void> | undefined {
    if (this.destroyed || this.push(payload)) return undefined;
    return new Promise((resolve) => {
      this.#wanted = resolve;
    });
  }

  receiveEnd(): void {
    this.#hasAll = true;
    this.push(null);
  }

  /** Nothing more goes either way. What has come may still be read. */
  finish(): void {
    this.#isReset = true;
    if (!this.#hasAll) this.receiveEnd();
    if (!this.writableEnded) this.end();
  }

  receiveReset(): void {
    this.#isReset = true;
    this.destroy();
  }

  override _read(): void {
    this.#wanted?.();
    this.#wanted = undefined;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(dataFrame(this.id, chunk, false), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#send(dataFrame(this.id, Buffer.alloc(0), true), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#wanted?.();
    this.#wanted = undefined;
    const isWhole = this.#isReset || this.writableFinished;
    if (isWhole) done(error);
    else this.#send(resetFrame(this.id, cancelStatus), () => done(error));
  }
}

export class SpdyConnection {
  readonly #socket: Duplex;
  readonly #streams = new Map<number, SpdyStream>();
  readonly #headerReader = new HeaderReader();
  readonly #headerWriter = new HeaderWriter();
  readonly #onStream: (stream: SpdyStream) => void;
  readonly #isClient: boolean;
  #lastStreamId = 0;
  #opening: Promise<unknown> = Promise.resolve();

  /** `onStream` is called for each stream that the other side opens, before any of its bytes. "client": this side opens them. */
  constructor(socket: Duplex, onStream: ((stream: SpdyStream) => void) | "client") {
    this.#socket = socket;
    this.#isClient = onStream === "client";
    this.#onStream = onStream === "client" ? (stream) => stream.destroy() : onStream;
    socket.on("error", () => this.close());
  }

  /** Reads until the connection ends. Never rejects: a broken peer is a closed connection. `head` is what was read before. */
  async run(head: Buffer): Promise<void> {
    const reader = new FrameReader();
    try {
      for (const frame of reader.read(head)) await this.#handle(frame);
      for await (const chunk of this.#socket) {
        for (const frame of reader.read(chunk as Buffer)) await this.#handle(frame);
      }
    } catch (error) {
      if (error instanceof ProtocolError && this.#socket.writable) this.#socket.write(goAwayFrame(this.#lastStreamId));
    } finally {
      this.close();
    }
  }

  /** Ends the connection after what was written before. */
  end(): void {
    if (this.#socket.writable) this.#socket.end(goAwayFrame(this.#lastStreamId));
  }

  close(): void {
    for (const stream of this.#streams.values()) {
      if (this.#isClient) stream.finish();
      else stream.receiveReset();
    }
    this.#streams.clear();
    this.#headerReader.close();
    this.#headerWriter.close();
    this.#socket.destroy();
  }

  async #handle(frame: Frame): Promise<void> {
    switch (frame.kind) {
      case "synStream":
        return this.#open(frame.streamId, frame.fin, await this.#headerReader.read(frame.headerBlock));
      case "headers":
      case "synReply":
        await this.#headerReader.read(frame.headerBlock); // The compression state must follow.
        return;
      case "data": {
        const stream = this.#streams.get(frame.streamId);
        if (!stream) return;
        if (frame.payload.length > 0) await stream.receive(frame.payload);
        if (frame.fin) stream.receiveEnd();
        return;
      }
      case "reset": {
        const stream = this.#streams.get(frame.streamId);
        // Upstream's servers end what they have written to with a reset.
        if (this.#isClient) stream?.finish();
        else stream?.receiveReset();
        return;
      }
      case "ping":
        // Odd ids are the client's, even ones the server's; the other side's want an answer.
        if ((frame.id % 2 === 1) !== this.#isClient) this.#socket.write(pingFrame(frame.id));
        return;
      case "goAway":
      case "other":
        return;
    }
  }

  /** Opens a stream, as a client. Rejects with a ProtocolError when the connection is gone. */
  open(headers: Headers): Promise<SpdyStream> {
    // One after the other: the header blocks build on each other.
    const opened = this.#opening.then(() => this.#openNext(headers));
    this.#opening = opened.catch(() => {});
    return opened;
  }

  async #openNext(headers: Headers): Promise<SpdyStream> {
    if (!this.#socket.writable) throw new ProtocolError("the connection is closed");
    const id = this.#lastStreamId === 0 ? 1 : this.#lastStreamId + 2;
    this.#lastStreamId = id;
    const stream = this.#add(id, headers);
    this.#socket.write(synStreamFrame(id, await this.#headerWriter.write(headers)));
    return stream;
  }

  #add(id: number, headers: Headers): SpdyStream {
    const stream = new SpdyStream(id, headers, (frame, done) => {
      if (this.#socket.writable) this.#socket.write(frame, done);
      else done();
    });
    stream.on("error", () => stream.destroy());
    stream.once("close", () => this.#streams.delete(id));
    this.#streams.set(id, stream);
    return stream;
  }

  async #open(id: number, fin: boolean, headers: Headers): Promise<void> {
    if (id <= this.#lastStreamId) throw new ProtocolError(`stream ${id} was opened after stream ${this.#lastStreamId}`);
    this.#lastStreamId = id;
    if (this.#streams.size >= maximumStreams) {
      this.#socket.write(resetFrame(id, refusedStatus));
      return;
    }
    const stream = this.#add(id, headers);
    this.#socket.write(synReplyFrame(id, await this.#headerWriter.write({})));
    this.#onStream(stream);
    if (fin) stream.receiveEnd();
  }
}
