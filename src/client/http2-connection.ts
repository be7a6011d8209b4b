/** HTTP/2 requests to one server over one session, which is opened when needed and again when it is lost. */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from "node:http2";
import { isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type { Clock, Timer } from "../base/clock.ts";
import { identityHeaders } from "./identity-headers.ts";
import type { Connection } from "./kubeconfig.ts";
import { openTunnel } from "./proxy.ts";
import { tlsOptionsOf } from "./tls-options.ts";

export interface HttpRequest {
  method: string;
  /** Path and query. */
  path: string;
  headers?: Readonly<Record<string, string>>;
  body?: string | Uint8Array;
  signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** A response whose body is still arriving. */
export interface StreamingResponse {
  status: number;
  headers: IncomingHttpHeaders;
  stream: ClientHttp2Stream;
}

/** How long nothing may arrive before the session is asked whether it lives, and how long it may take to say so. */
const idleBeforePingMs = 30_000;
const pingPatienceMs = 15_000;
const windowBytes = 4 * 1024 * 1024;
/** As long as client-go dials. */
const connectPatienceMs = 30_000;

/** The server could not be reached or went away. */
export class TransportError extends Error {
  override readonly name = "TransportError";
  /** The server has certainly not acted on the request. */
  readonly unsent: boolean;

  constructor(message: string, unsent: boolean, options?: ErrorOptions) {
    super(message, options);
    this.unsent = unsent;
  }
}

export class Http2Connection {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #userAgent: string;
  /** What the server's address says before the API's own paths: empty, or `/k8s/clusters/c-1`. */
  readonly #pathPrefix: string;
  #session: Promise<ClientHttp2Session> | undefined;
  #closed = false;

  constructor(connection: Connection, clock: Clock, userAgent: string) {
    this.#connection = connection;
    this.#clock = clock;
    this.#userAgent = userAgent;
    this.#pathPrefix = new URL(connection.server).pathname.replace(/\/+$/, "");
  }

  async request(request: HttpRequest): Promise<HttpResponse> {
    const { status, headers, stream } = await this.open(request);
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of stream) chunks.push(chunk as Buffer);
    } catch (cause) {
      request.signal?.throwIfAborted();
      throw this.#failure(request, false, cause);
    }
    request.signal?.throwIfAborted();
    return { status, headers, body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks) };
  }

  /** Resolves with the response's head. A request that the server refused to look at is sent once more. */
  async open(request: HttpRequest): Promise<StreamingResponse> {
    try {
      return await this.#openOnce(request);
    } catch (error) {
      if (!(error instanceof TransportError) || !error.unsent || this.#closed) throw error;
      return this.#openOnce(request);
    }
  }

  async #openOnce(request: HttpRequest): Promise<StreamingResponse> {
    request.signal?.throwIfAborted();
    const session = await this.#ready(request);
    request.signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      let stream: ClientHttp2Stream;
      try {
        stream = session.request(this.#headersOf(request), { endStream: request.body === undefined });
      } catch (cause) {
        // The session closed between being looked up and used.
        reject(this.#failure(request, true, cause));
        return;
      }
      keepAliveFor(session, stream);
      const onAbort = () => {
        stream.close(constants.NGHTTP2_CANCEL);
        reject(request.signal?.reason);
      };
      request.signal?.addEventListener("abort", onAbort, { once: true });
      let answered = false;
      stream.once("response", (headers) => {
        answered = true;
        resolve({ status: Number(headers[":status"]), headers, stream });
      });
      stream.on("error", (cause) => {
        const refused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
        if (!answered) reject(this.#failure(request, refused, cause));
      });
      stream.once("close", () => {
        request.signal?.removeEventListener("abort", onAbort);
        if (!answered) reject(this.#failure(request, stream.rstCode === constants.NGHTTP2_REFUSED_STREAM, undefined));
      });
      if (request.body !== undefined) stream.end(request.body);
    });
  }

  close(): void {
    this.#closed = true;
    this.#session?.then(
      (session) => session.destroy(),
      () => {},
    );
    this.#session = undefined;
  }

  #headersOf({ method, path, headers, body }: HttpRequest): Record<string, string | string[]> {
    const all: Record<string, string | string[]> = {
      ":method": method,
      ":path": this.#pathPrefix + path,
      accept: "application/json",
      "user-agent": this.#userAgent,
      ...identityHeaders(this.#connection),
      ...headers,
    };
    if (body !== undefined) all["content-length"] = String(Buffer.byteLength(body));
    return all;
  }

  async #ready(request: HttpRequest): Promise<ClientHttp2Session> {
    if (this.#closed) throw new TransportError("the client is closed", false);
    this.#session ??= this.#connect();
    try {
      return await unlessAborted(this.#session, request.signal);
    } catch (cause) {
      request.signal?.throwIfAborted();
      throw this.#failure(request, false, cause);
    }
  }

  #connect(): Promise<ClientHttp2Session> {
    const { server, proxyUrl } = this.#connection;
    const security = server.startsWith("http:") ? {} : tlsOptionsOf(this.#connection);
    const open = (tunnel: Socket | undefined) =>
      new Promise<ClientHttp2Session>((resolve, reject) => {
        const session = connect(server, {
          ...security,
          settings: { enablePush: false, initialWindowSize: windowBytes },
          ...(tunnel ? { createConnection: () => securedTunnel(tunnel, server, security) } : {}),
        });
        session.setMaxListeners(0);
        const patience = this.#clock.setTimer(connectPatienceMs, () => {
          session.destroy(new Error(`no connection within ${connectPatienceMs / 1000} s`));
        });
        session.once("connect", () => {
          patience[Symbol.dispose]();
          session.setLocalWindowSize(windowBytes * 4);
          this.#watchOver(session);
          // From here on it is the requests under way that keep the process alive.
          session.unref();
          resolve(session);
        });
        // A later session may have taken this one's place.
        const forget = () => {
          if (this.#session === connecting) this.#session = undefined;
        };
        session.on("error", (cause) => {
          forget();
          reject(cause);
        });
        session.once("close", () => {
          patience[Symbol.dispose]();
          forget();
          reject(new Error("the connection closed"));
        });
        // No new requests on a session that is going away; those under way end on it.
        session.once("goaway", forget);
      });
    const connecting: Promise<ClientHttp2Session> = proxyUrl
      ? openTunnel(proxyUrl, server).then(open)
      : open(undefined);
    // Whoever waits for it hears of a failure.
    connecting.catch(() => {});
    return connecting;
  }

  /** Finds out that a peer is gone which never said so: its host lost power, or a firewall forgot the connection. */
  #watchOver(session: ClientHttp2Session): void {
    let timer: Timer | undefined;
    const arm = () => {
      timer = this.#clock.setTimer(idleBeforePingMs, ask, { background: true });
    };
    const ask = () => {
      if (session.destroyed) return;
      const patience = this.#clock.setTimer(pingPatienceMs, () => session.destroy(), { background: true });
      const sent = session.ping(() => {
        patience[Symbol.dispose]();
        if (!session.destroyed) arm();
      });
      if (!sent) patience[Symbol.dispose]();
    };
    arm();
    session.once("close", () => timer?.[Symbol.dispose]());
  }

  #failure({ method, path }: HttpRequest, unsent: boolean, cause: unknown): TransportError {
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    const where = path.split("?")[0];
    return new TransportError(`${method} ${this.#connection.server}${where}${why}`, unsent, { cause });
  }
}

/** The stream to the server in a proxy's tunnel. */
function securedTunnel(tunnel: Socket, server: string, security: ConnectionOptions): Socket {
  const { protocol, hostname } = new URL(server);
  if (protocol === "http:") return tunnel;
  const host = hostname.replace(/^\[|\]$/g, "");
  const servername = security.servername ?? (isIP(host) ? undefined : host);
  return connectTls({
    ...security,
    host,
    socket: tunnel,
    ALPNProtocols: ["h2"],
    ...(servername ? { servername } : {}),
  });
}

const requestsUnderWay = new WeakMap<ClientHttp2Session, number>();

/** A process with nothing else to do waits for answers, but not for an idle connection. */
function keepAliveFor(session: ClientHttp2Session, stream: ClientHttp2Stream): void {
  const count = (requestsUnderWay.get(session) ?? 0) + 1;
  requestsUnderWay.set(session, count);
  if (count === 1) session.ref();
  stream.once("close", () => {
    const left = requestsUnderWay.get(session)! - 1;
    requestsUnderWay.set(session, left);
    if (left === 0 && !session.destroyed) session.unref();
  });
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
