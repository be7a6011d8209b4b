/**
 * A gRPC client over Node's own HTTP/2: unary calls and server streams to a Unix socket, which is all that a kubelet asks of
 * runtimes and volume plugins. Upstream's counterpart is google.golang.org/grpc.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect as http2Connect } from "node:http2";
import { connect as netConnect } from "node:net";
import type { Clock } from "../../base/clock.ts";
import type { Message, Read, Written } from "./message.ts";

/** Upstream's status codes, those that somebody here asks for. */
export const grpcCode = {
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  unavailable: 14,
} as const;

export class GrpcError extends Error {
  override name = "GrpcError";
  readonly code: number;

  constructor(code: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function isGrpcError(error: unknown, code: number): error is GrpcError {
  return error instanceof GrpcError && error.code === code;
}

/** One method: `/runtime.v1.RuntimeService/Version` with what goes in and what comes out. */
// biome-ignore lint/suspicious/noExplicitAny: a method's messages are inferred from its own.
export interface Method<In extends Message<any>, Out extends Message<any>> {
  path: string;
  request: In;
  response: Out;
}

// biome-ignore lint/suspicious/noExplicitAny: as above.
type Input<M> = M extends Message<infer F> ? Written<F> : any;
// biome-ignore lint/suspicious/noExplicitAny: as above.
type Output<M> = M extends Message<infer F> ? Read<F> : any;

export interface CallOptions {
  signal?: AbortSignal;
  /** Default: none. */
  timeoutMs?: number;
}

/** The largest answer that is taken; upstream's kubelet takes as much from a runtime. */
const maximumMessageBytes = 16 << 20;
const windowBytes = 4 << 20;

export class GrpcChannel {
  readonly #socketPath: string;
  readonly #clock: Clock;
  #session: ClientHttp2Session | undefined;
  #isClosed = false;

  /** Connects with the first call, and again after the other side went. */
  constructor(socketPath: string, clock: Clock) {
    this.#socketPath = socketPath.replace(/^unix:(\/\/)?/, "");
    this.#clock = clock;
  }

  /** Rejects with a GrpcError; with code `unavailable` when nobody serves the socket. */
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  async call<In extends Message<any>, Out extends Message<any>>(
    method: Method<In, Out>,
    input: Input<In>,
    options: CallOptions = {},
  ): Promise<Output<Out>> {
    for await (const answer of this.stream(method, input, options)) return answer;
    throw new GrpcError(grpcCode.unknown, `${method.path} gave no answer`);
  }

  /** The answers, one after the other, until the other side ends them. Leaving the loop ends the call. */
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  async *stream<In extends Message<any>, Out extends Message<any>>(
    method: Method<In, Out>,
    input: Input<In>,
    { signal, timeoutMs }: CallOptions = {},
  ): AsyncGenerator<Output<Out>> {
    signal?.throwIfAborted();
    const stream = this.#open(method.path, timeoutMs);
    const ended = trailersOf(stream, method.path);
    ended.catch(() => {});
    let timedOut = false;
    const cancel = () => stream.close(http2Cancel);
    const timer = timeoutMs
      ? this.#clock.setTimer(timeoutMs, () => {
          timedOut = true;
          cancel();
        })
      : undefined;
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      stream.end(framed(method.request.encode(input)));
      const frames = new FrameCutter();
      for await (const chunk of stream) {
        for (const body of frames.take(chunk as Buffer)) yield method.response.decode(body) as Output<Out>;
      }
      await ended;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (timedOut) throw new GrpcError(grpcCode.deadlineExceeded, `${method.path}: context deadline exceeded`);
      if (error instanceof GrpcError) throw error;
      const { message } = error as Error;
      throw new GrpcError(grpcCode.unavailable, `${method.path} at ${this.#socketPath}: ${message}`, { cause: error });
    } finally {
      timer?.[Symbol.dispose]();
      signal?.removeEventListener("abort", cancel);
      if (!stream.closed) cancel();
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#session?.destroy();
    this.#session = undefined;
  }

  #open(path: string, timeoutMs: number | undefined): ClientHttp2Stream {
    const stream = this.#connected().request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...(timeoutMs ? { "grpc-timeout": `${Math.ceil(timeoutMs)}m` } : {}),
    });
    stream.on("error", () => {}); // Seen by whoever reads it.
    return stream;
  }

  #connected(): ClientHttp2Session {
    if (this.#isClosed) throw new GrpcError(grpcCode.unavailable, `the connection to ${this.#socketPath} is closed`);
    const { closed, destroyed } = this.#session ?? { closed: true, destroyed: true };
    if (this.#session && !closed && !destroyed) return this.#session;
    const session = http2Connect("http://localhost", {
      createConnection: () => netConnect(this.#socketPath),
      settings: { initialWindowSize: windowBytes, enablePush: false },
    });
    session.once("connect", () => session.setLocalWindowSize(windowBytes));
    const forget = () => {
      if (this.#session === session) this.#session = undefined;
    };
    session.on("error", forget); // The calls under way fail with it.
    session.once("close", forget);
    session.once("goaway", forget);
    this.#session = session;
    return session;
  }
}

/** Resolves when the call ended well; rejects with what the other side said of it. */
function trailersOf(stream: ClientHttp2Stream, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let status: { code: number; message: string } | undefined;
    const note = (headers: Record<string, unknown>) => {
      const code = headers["grpc-status"];
      if (code !== undefined)
        status = { code: Number(code), message: unescaped(String(headers["grpc-message"] ?? "")) };
      else if (headers[":status"] !== 200)
        status = { code: grpcCode.unknown, message: `${path}: HTTP status ${headers[":status"]}` };
    };
    stream.on("response", note);
    stream.on("trailers", (headers) => note({ ":status": 200, ...headers }));
    stream.once("error", reject);
    stream.once("close", () => {
      if (status?.code === 0) resolve();
      else if (status) reject(new GrpcError(status.code, status.message));
      else reject(new GrpcError(grpcCode.unavailable, `${path}: the connection was closed`));
    });
  });
}

function unescaped(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}

/** A message with its five bytes before: not compressed, and its length. */
export function framed(body: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

/** Cuts a byte stream into messages. */
export class FrameCutter {
  #pending: Buffer = Buffer.alloc(0);

  *take(chunk: Buffer): Iterable<Buffer> {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= 5) {
      const length = this.#pending.readUInt32BE(1);
      if (this.#pending[0] !== 0) throw new GrpcError(grpcCode.unimplemented, "compressed messages are not understood");
      if (length > maximumMessageBytes)
        throw new GrpcError(grpcCode.unknown, `a message of ${length} bytes is too long`);
      if (this.#pending.length < 5 + length) return;
      const body = this.#pending.subarray(5, 5 + length);
      this.#pending = this.#pending.subarray(5 + length);
      yield body;
    }
  }
}

const http2Cancel = 8;
