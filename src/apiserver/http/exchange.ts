/** One HTTP request and its response: the same to the door whether HTTP/2 or HTTP/1.1 carries it. */
import { type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { StatusError } from "../../apimachinery/status-error.ts";

export type Headers = Readonly<Record<string, string | string[] | undefined>>;
export type ResponseHeaders = Record<string, string | number | readonly string[]>;

export interface Exchange {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: Headers;
  readonly socket: TLSSocket | undefined;
  /** Those that every response carries, whoever writes it. */
  commonHeaders?: Readonly<Record<string, string>> | undefined;
  /** Called once when the response can no longer be sent or has been. */
  onClose(callback: () => void): void;
  /** The whole body. Throws a 413 when it is longer than `limit`. */
  readBody(limit: number): Promise<Buffer>;
  /** The body as it arrives. */
  readonly body: AsyncIterable<Uint8Array>;
  /** The whole response. */
  respond(status: number, headers: ResponseHeaders, body: Uint8Array | string): void;
  /** Status and headers of a response whose body follows in pieces. */
  begin(status: number, headers: ResponseHeaders): void;
  /** Returns false when the client does not keep up: wait for `onDrain`. */
  write(chunk: Uint8Array | string): boolean;
  /** As `write`, of parts that follow one another. They may be kept until they are sent: never change them. */
  writeParts(parts: readonly Uint8Array[]): boolean;
  onDrain(callback: () => void): void;
  /** As `onDrain`, whenever it happens: a stream that writes for hours need not ask each time. */
  onEveryDrain(callback: () => void): void;
  end(): void;
  /** Cuts the response off, so that the client sees it is not complete. */
  abort(): void;
  readonly closed: boolean;
  /** Of the response that has begun; 0 before. */
  readonly status: number;
}

const noBody = Buffer.alloc(0);

export class Http1Exchange implements Exchange {
  readonly method: string;
  readonly target: string;
  readonly headers: Headers;
  readonly socket: TLSSocket | undefined;
  commonHeaders: Readonly<Record<string, string>> | undefined;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse, socket: TLSSocket | undefined) {
    this.method = request.method ?? "GET";
    this.target = request.url ?? "/";
    this.headers = request.headers;
    this.socket = socket;
    this.#request = request;
    this.#response = response;
  }

  get closed(): boolean {
    return this.#response.destroyed || this.#response.writableEnded;
  }

  get status(): number {
    return this.#response.headersSent ? this.#response.statusCode : 0;
  }

  get body(): AsyncIterable<Uint8Array> {
    return this.#request;
  }

  onClose(callback: () => void): void {
    if (this.#response.destroyed) callback();
    else this.#response.once("close", callback);
  }

  readBody(limit: number): Promise<Buffer> {
    const { headers } = this.#request;
    if (headers["content-length"] === undefined && headers["transfer-encoding"] === undefined) {
      return Promise.resolve(noBody);
    }
    return collect(this.#request, headers, limit);
  }

  respond(status: number, headers: ResponseHeaders, body: Uint8Array | string): void {
    const response = this.#response;
    if (response.headersSent || response.destroyed) return;
    if (this.#request.readableEnded === false && !this.#request.complete) {
      // The rest of the body will not be read: this connection cannot carry another request.
      response.shouldKeepAlive = false;
      this.#request.resume();
    }
    headers["content-length"] ??= typeof body === "string" ? Buffer.byteLength(body) : body.length;
    if (this.commonHeaders) Object.assign(headers, this.commonHeaders);
    response.writeHead(status, headers as OutgoingHttpHeaders);
    response.end(this.method === "HEAD" ? undefined : body);
  }

  begin(status: number, headers: ResponseHeaders): void {
    if (this.#response.headersSent || this.#response.destroyed) return;
    if (this.commonHeaders) Object.assign(headers, this.commonHeaders);
    this.#response.writeHead(status, headers as OutgoingHttpHeaders);
    this.#response.flushHeaders();
  }

  write(chunk: Uint8Array | string): boolean {
    if (this.closed) return true;
    return this.#response.write(chunk);
  }

  /** In one piece: each costs a chunk's head and end. */
  writeParts(parts: readonly Uint8Array[]): boolean {
    return this.write(joined(parts));
  }

  onDrain(callback: () => void): void {
    this.#response.once("drain", callback);
  }

  onEveryDrain(callback: () => void): void {
    this.#response.on("drain", callback);
  }

  end(): void {
    if (!this.closed) this.#response.end();
  }

  abort(): void {
    this.#response.destroy();
  }
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

/** Reads a body to its end, or to the limit. */
function collect(source: NodeJS.ReadableStream, headers: Headers, limit: number): Promise<Buffer> {
  const announced = Number(headers["content-length"] ?? 0);
  if (announced > limit) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    let first: Buffer | undefined;
    let more: Buffer[] | undefined;
    let length = 0;
    const onData = (chunk: Buffer) => {
      length += chunk.length;
      if (length > limit) {
        stop();
        source.resume();
        reject(tooLarge());
      } else if (!first) first = chunk;
      else if (more) more.push(chunk);
      else more = [first, chunk];
    };
    const onEnd = () => {
      stop();
      resolve(more ? Buffer.concat(more, length) : (first ?? noBody));
    };
    const onGone = () => {
      stop();
      reject(new ClientGoneError());
    };
    const stop = () => {
      source.off("data", onData).off("end", onEnd).off("error", onGone).off("aborted", onGone).off("close", onGone);
    };
    source.on("data", onData).on("end", onEnd).on("error", onGone).on("aborted", onGone).on("close", onGone);
  });
}

/** The client went away while it was being listened to. Nobody is left to answer. */
export class ClientGoneError extends Error {
  override readonly name = "ClientGoneError";
}

export function tooLarge(): StatusError {
  return new StatusError(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728");
}

/** The refusal of a request whose socket was handed over for an upgrade. */
export class SocketExchange implements Exchange {
  readonly method: string;
  readonly target: string;
  readonly headers: Headers;
  readonly socket: TLSSocket | undefined;
  readonly #raw: Duplex;
  readonly #request: IncomingMessage;
  status = 0;

  constructor(request: IncomingMessage, raw: Duplex, socket: TLSSocket | undefined) {
    this.method = request.method ?? "GET";
    this.target = request.url ?? "/";
    this.headers = request.headers;
    this.socket = socket;
    this.#raw = raw;
    this.#request = request;
  }

  get closed(): boolean {
    return this.#raw.destroyed || this.#raw.writableEnded;
  }

  get body(): AsyncIterable<Uint8Array> {
    return this.#request;
  }

  onClose(callback: () => void): void {
    this.#raw.once("close", callback);
  }

  readBody(): Promise<Buffer> {
    return Promise.resolve(noBody);
  }

  respond(status: number, headers: ResponseHeaders, body: Uint8Array | string): void {
    this.begin(status, { ...headers, "content-length": Buffer.byteLength(body), connection: "close" });
    this.#raw.end(body);
  }

  begin(status: number, headers: ResponseHeaders): void {
    this.status = status;
    const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`];
    for (const [name, value] of Object.entries(headers)) {
      for (const one of Array.isArray(value) ? value : [value]) lines.push(`${name}: ${one}`);
    }
    this.#raw.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  }

  write(chunk: Uint8Array | string): boolean {
    return this.#raw.write(chunk);
  }

  writeParts(parts: readonly Uint8Array[]): boolean {
    return this.write(joined(parts));
  }

  onDrain(callback: () => void): void {
    this.#raw.once("drain", callback);
  }

  onEveryDrain(callback: () => void): void {
    this.#raw.on("drain", callback);
  }

  end(): void {
    this.#raw.end();
  }

  abort(): void {
    this.#raw.destroy();
  }

  /** No further use of the socket. */
  finish(): void {
    if (!this.#raw.writableEnded) this.#raw.end();
  }
}
