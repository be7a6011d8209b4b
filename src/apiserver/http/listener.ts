/** TLS listeners: one port speaks HTTP/2 and HTTP/1.1, and asks for client certificates. */
import type { X509Certificate } from "node:crypto";
import { createServer as createHttp1Server, type Server as Http1Server, type IncomingMessage } from "node:http";
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import {
  createServer as createTlsServer,
  type SecureContextOptions,
  type TLSSocket,
  type Server as TlsServer,
} from "node:tls";
import { modernTls } from "../../base/node/modern-tls.ts";
import { methodNotAllowed } from "../pipeline.ts";
import { type Exchange, Http1Exchange, Http2Exchange } from "./exchange.ts";

export interface ListenOptions {
  /** PEM. */
  key: string;
  cert: string;
  /** PEM of the authorities that client certificates must come from: of users, of proxies. */
  clientCa: string | string[];
  /** A listening address; or `fd`, a socket that is bound already (in another network namespace, say). */
  host?: string;
  port?: number;
  fd?: number;
}

/** What may change while a listener is open. */
export type ListenerTls = Pick<ListenOptions, "key" | "cert" | "clientCa">;

export interface ListenerHandlers {
  exchange(exchange: Exchange): void;
  /** An HTTP/1.1 request that asks to upgrade. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, tls: TLSSocket | undefined): void;
}

const maximumHeaderBytes = 256 * 1024;
const headersTimeoutMs = 30_000;
/** Longer than clients keep idle connections, so that they close first and never write into a closing one. */
const keepAliveTimeoutMs = 180_000;
const handshakeTimeoutMs = 15_000;

export class Listener {
  readonly #tls: TlsServer;
  readonly #http1: Http1Server;
  readonly #http2: Http2Server;
  readonly #sockets = new Set<Socket>();
  readonly #secured = new Set<TLSSocket>();
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor(options: ListenerTls, handlers: ListenerHandlers) {
    this.#http1 = createHttp1Server({
      maxHeaderSize: maximumHeaderBytes,
      headersTimeout: headersTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      // Watches and uploads may take as long as they take.
      requestTimeout: 0,
    });
    this.#http1.on("request", (request, response) => {
      handlers.exchange(new Http1Exchange(request, response, request.socket as TLSSocket));
    });
    this.#http1.on("upgrade", (request, socket, head) => {
      handlers.upgrade(request, socket, head, request.socket as TLSSocket);
    });
    this.#http1.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      if (!socket.writable) return socket.destroy();
      if (error.code === "HPE_INVALID_METHOD") return socket.end(invalidMethodResponse());
      if (error.code === "HPE_HEADER_OVERFLOW") {
        return socket.end("HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n");
      }
      socket.end(
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n400 Bad Request",
      );
    });
    this.#http2 = createHttp2Server({
      maxSessionMemory: 64,
      settings: {
        maxConcurrentStreams: 1000,
        initialWindowSize: 1024 * 1024,
        maxHeaderListSize: maximumHeaderBytes,
        enablePush: false,
      },
    });
    this.#http2.on("session", (session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
      session.on("error", () => session.destroy());
    });
    this.#http2.on("stream", (stream, headers, flags) => {
      stream.on("error", ignore);
      handlers.exchange(new Http2Exchange(stream, headers, flags, tlsOf.get(stream.session as ServerHttp2Session)));
    });
    this.#http2.on("sessionError", ignore);
    this.#tls = createTlsServer({
      ...secureContextOf(options),
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ["h2", "http/1.1"],
      handshakeTimeout: handshakeTimeoutMs,
      noDelay: true,
    });
    this.#tls.on("secureConnection", (socket) => {
      this.#secured.add(socket);
      socket.once("close", () => this.#secured.delete(socket));
      socket.on("error", ignore);
      if (socket.alpnProtocol === "h2") {
        this.#http2.once("session", (session) => tlsOf.set(session, socket));
        this.#http2.emit("connection", socket);
      } else {
        this.#http1.emit("connection", socket);
      }
    });
    this.#tls.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    this.#tls.on("tlsClientError", ignore);
  }

  /** Resolves when connections are taken. */
  listen(options: Pick<ListenOptions, "host" | "port" | "fd">): Promise<AddressInfo> {
    return new Promise((resolve, reject) => {
      this.#tls.once("error", reject);
      const ready = () => {
        this.#tls.off("error", reject);
        this.#tls.on("error", ignore);
        resolve(this.#tls.address() as AddressInfo);
      };
      if (options.fd !== undefined) this.#tls.listen({ fd: options.fd, backlog: 1024 }, ready);
      else this.#tls.listen({ host: options.host, port: options.port ?? 0, backlog: 1024 }, ready);
    });
  }

  /**
   * New connections are made with these; those that stand go on, unless `isStillTrusted` refuses their client's certificate:
   * whoever's authority has gone is out at once.
   */
  renew(options: ListenerTls, isStillTrusted: (certificate: X509Certificate) => boolean): void {
    this.#tls.setSecureContext(secureContextOf(options));
    for (const socket of this.#secured) {
      const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
      if (certificate && !isStillTrusted(certificate)) socket.destroy();
    }
  }

  /** Takes no new connections, lets requests under way end for a moment, then closes everything. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#tls.close(() => resolve()));
    this.#http1.close();
    for (const session of this.#sessions) if (!session.closed) session.close();
    this.#http1.closeAllConnections();
    for (const socket of this.#sockets) socket.destroySoon();
    await closed;
  }
}

function secureContextOf({ key, cert, clientCa }: ListenerTls): SecureContextOptions {
  return { key, cert, ca: clientCa, ...modernTls };
}

/** Methods that Node does not know never become requests: the parser refuses them. */
function invalidMethodResponse(): string {
  const body = `${JSON.stringify(methodNotAllowed().toStatus())}\n`;
  const head = [
    "HTTP/1.1 405 Method Not Allowed",
    "Connection: close",
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

/** The TLS socket under an HTTP/2 session; the session's own `socket` is a proxy that refuses much. */
const tlsOf = new WeakMap<ServerHttp2Session, TLSSocket>();

function ignore(): void {}
