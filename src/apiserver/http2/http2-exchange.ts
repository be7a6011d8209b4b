/** One request over HTTP/2, and its response: a stream of an `Http2Connection`. */
import type { TLSSocket } from "node:tls";
import { ClientGoneError, type Exchange, type Headers, type ResponseHeaders, tooLarge } from "../http/exchange.ts";
import { type ErrorCode, errorCodes } from "./frames.ts";
import type { RequestHeaders } from "./request-headers.ts";

/** What a stream asks of its connection. */
export interface Http2Carrier {
  readonly socket: TLSSocket;
  /** Writes the head of a response; `isAll` when no body follows. */
  sendHead(stream: Http2Exchange, status: number, headers: ResponseHeaders, isAll: boolean): void;
  /** The stream has something to send, or its end. */
  ready(stream: Http2Exchange): void;
  /** So many bytes of a body have been taken, and may come anew. */
  consumed(stream: Http2Exchange, bytes: number): void;
  reset(stream: Http2Exchange, code: ErrorCode): void;
}

/** Bytes that wait in a stream without its writer being asked to wait. */
const highWaterBytes = 64 * 1024;
const noBody = Buffer.alloc(0);
const bodilessStatuses = new Set([204, 205, 304]);

export class Http2Exchange implements Exchange {
  readonly id: number;
  readonly method: string;
  readonly target: string;
  readonly headers: Headers;
  commonHeaders: Readonly<Record<string, string>> | undefined;
  /** How many bytes the peer still takes. Below 0 when it took back what it had allowed. */
  window: number;
  /** The connection has it among those with something to send. */
  isQueued = false;
  /** Bytes of the body that came and were taken, of which the peer has not been told yet. */
  unreportedBytes = 0;
  /** The whole request has come. */
  hasAll: boolean;
  /** Of the response that has begun; 0 before. */
  status = 0;
  readonly #carrier: Http2Carrier;
  readonly #announcedBytes: number | undefined;
  #closed = false;
  #onClose: (() => void)[] = [];
  #onDrain: (() => void)[] = [];
  #onEveryDrain: (() => void) | undefined;

  // What has come and nobody has taken.
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #totalBytes = 0;
  #isDiscarding = false;
  #onReceived: (() => void) | undefined;

  // What waits to be sent; of the first, `#sentOfFirst` bytes have gone.
  #waiting: Uint8Array[] = [];
  #sentOfFirst = 0;
  #waitingBytes = 0;
  #owesDrain = false;
  /** The writer has said that nothing more comes. */
  #ended = false;
  /** No body is sent, whatever the writer says. */
  #isBodiless = false;

  constructor(carrier: Http2Carrier, id: number, request: RequestHeaders, hasAll: boolean, window: number) {
    this.#carrier = carrier;
    this.id = id;
    this.method = request.method;
    this.target = request.target === "" ? "/" : request.target;
    this.headers = request.headers;
    this.hasAll = hasAll;
    this.window = window;
    this.#announcedBytes = request.announcedBytes;
  }

  get socket(): TLSSocket {
    return this.#carrier.socket;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get hasBegun(): boolean {
    return this.status !== 0;
  }

  get body(): AsyncIterable<Uint8Array> {
    return this.#bodyParts();
  }

  onClose(callback: () => void): void {
    if (this.#closed) callback();
    else this.#onClose.push(callback);
  }

  readBody(limit: number): Promise<Buffer> {
    if (this.hasAll && this.#totalBytes <= limit) return Promise.resolve(this.#takeReceived());
    if ((this.#announcedBytes ?? 0) > limit) return Promise.reject(tooLarge());
    return this.#collect(limit);
  }

  async #collect(limit: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (;;) {
      if (this.#closed && !this.hasAll) throw new ClientGoneError();
      if (this.#totalBytes > limit) {
        this.#isDiscarding = true;
        this.#takeReceived();
        throw tooLarge();
      }
      parts.push(this.#takeReceived());
      if (this.hasAll) return Buffer.concat(parts);
      await this.#somethingReceived();
    }
  }

  async *#bodyParts(): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#receivedBytes > 0) yield this.#takeReceived();
      else if (this.hasAll) return;
      else if (this.#closed) throw new ClientGoneError();
      else await this.#somethingReceived();
    }
  }

  #somethingReceived(): Promise<void> {
    return new Promise((resolve) => {
      this.#onReceived = resolve;
    });
  }

  #takeReceived(): Buffer {
    const received = this.#received;
    const bytes = this.#receivedBytes;
    if (bytes === 0) return noBody;
    this.#received = [];
    this.#receivedBytes = 0;
    if (!this.#closed) this.#carrier.consumed(this, bytes);
    return received.length === 1 ? received[0]! : Buffer.concat(received, bytes);
  }

  respond(status: number, headers: ResponseHeaders, body: Uint8Array | string): void {
    if (this.#closed || this.hasBegun) return;
    this.#begin(status, headers, body.length === 0);
    if (!this.#isBodiless) this.#push(body);
    this.end();
  }

  begin(status: number, headers: ResponseHeaders): void {
    if (!this.#closed && !this.hasBegun) this.#begin(status, headers, false);
  }

  #begin(status: number, headers: ResponseHeaders, isEmpty: boolean): void {
    this.status = status;
    this.#isBodiless = isEmpty || this.method === "HEAD" || bodilessStatuses.has(status);
    if (this.commonHeaders) Object.assign(headers, this.commonHeaders);
    this.#carrier.sendHead(this, status, headers, this.#isBodiless);
    if (this.#isBodiless) this.#carrier.ready(this);
  }

  write(chunk: Uint8Array | string): boolean {
    if (this.#closed || this.#ended || this.#isBodiless || chunk.length === 0) return true;
    this.#push(chunk);
    return this.#hasRoom();
  }

  writeParts(parts: readonly Uint8Array[]): boolean {
    if (this.#closed || this.#ended || this.#isBodiless) return true;
    for (const part of parts) if (part.length > 0) this.#push(part);
    return this.#waitingBytes === 0 || this.#hasRoom();
  }

  /** After something was added to what waits. */
  #hasRoom(): boolean {
    this.#carrier.ready(this);
    this.#owesDrain = this.#waitingBytes > highWaterBytes;
    return !this.#owesDrain;
  }

  #push(chunk: Uint8Array | string): void {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  onDrain(callback: () => void): void {
    this.#onDrain.push(callback);
  }

  onEveryDrain(callback: () => void): void {
    this.#onEveryDrain = callback;
  }

  end(): void {
    if (this.#closed || this.#ended || this.#isBodiless) return;
    this.#ended = true;
    this.#carrier.ready(this);
  }

  abort(): void {
    if (!this.#closed) this.#carrier.reset(this, errorCodes.internalError);
  }

  // For the connection:

  /** Takes a part of the body; false when it makes more than was announced. */
  receive(bytes: Buffer): boolean {
    this.#totalBytes += bytes.length;
    if (this.#announcedBytes !== undefined && this.#totalBytes > this.#announcedBytes) return false;
    if (this.#isDiscarding) this.#carrier.consumed(this, bytes.length);
    else {
      this.#received.push(bytes);
      this.#receivedBytes += bytes.length;
    }
    this.#tellReader();
    return true;
  }

  /** Bytes of the body that the peer may not send anew yet. */
  get outstandingBytes(): number {
    return this.#receivedBytes + this.unreportedBytes;
  }

  /** Nothing more of the body comes; false when that makes it less than was announced. */
  receiveEnd(): boolean {
    this.hasAll = true;
    if (this.#announcedBytes !== undefined && this.#totalBytes !== this.#announcedBytes) return false;
    this.#tellReader();
    return true;
  }

  #tellReader(): void {
    const tell = this.#onReceived;
    this.#onReceived = undefined;
    tell?.();
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** The head was the whole response. */
  get isBodiless(): boolean {
    return this.#isBodiless;
  }

  /** What has been taken is the end of the response. */
  get hasSentAll(): boolean {
    return this.#isBodiless || (this.#ended && this.#waitingBytes === 0);
  }

  /** Copies the next `length` of the waiting bytes, which are as many or more. */
  copyWaiting(target: Uint8Array, at: number, length: number): void {
    this.#waitingBytes -= length;
    const [only] = this.#waiting;
    if (this.#waiting.length === 1 && length === only!.length) {
      target.set(only!, at);
      this.#waiting = [];
      return;
    }
    let done = 0;
    let finished = 0;
    for (; length > 0; ) {
      const chunk = this.#waiting[finished]!;
      const part = Math.min(length, chunk.length - this.#sentOfFirst);
      const isWhole = part === chunk.length;
      target.set(isWhole ? chunk : chunk.subarray(this.#sentOfFirst, this.#sentOfFirst + part), at + done);
      done += part;
      length -= part;
      this.#sentOfFirst += part;
      if (this.#sentOfFirst < chunk.length) break;
      this.#sentOfFirst = 0;
      finished++;
    }
    this.#waiting.splice(0, finished);
  }

  /** Whether whoever was told to wait is to be told to go on: once for each time. */
  takeDrain(): boolean {
    if (!this.#owesDrain || this.#waitingBytes > 0) return false;
    this.#owesDrain = false;
    return true;
  }

  drained(): void {
    if (this.#closed) return;
    const waiting = this.#onDrain;
    this.#onDrain = [];
    for (const callback of waiting) callback();
    this.#onEveryDrain?.();
  }

  /** Nothing more goes or comes. Returns how many bytes came that had not been taken. */
  close(): number {
    if (this.#closed) return 0;
    this.#closed = true;
    const untaken = this.#receivedBytes;
    if (!this.hasAll) {
      this.#received = [];
      this.#receivedBytes = 0;
    }
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#tellReader();
    const callbacks = this.#onClose;
    this.#onClose = [];
    for (const callback of callbacks) callback();
    return untaken;
  }
}
