/** TLS listeners: one port speaks HTTP/2 and HTTP/1.1, and asks for client certificates. */
import type { X509Certificate } from "node:crypto";
import { createServer as createHttp1Server, type Server as Http1Server, type IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import {
  createServer as createTlsServer,
  type SecureContextOptions,
  type TLSSocket,
  type Server as TlsServer,
} from "node:tls";
import type { Clock } from "../../base/clock.ts";
import { modernTls } from "../../base/node/modern-tls.ts";
import { Http2Connection } from "../http2/http2-connection.ts";
import { methodNotAllowed } from "../pipeline.ts";
import { type Exchange, Http1Exchange } from "./exchange.ts";

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
  readonly #sockets = new Set<Socket>();
  readonly #secured = new Set<TLSSocket>();
  readonly #http2 = new Set<Http2Connection>();

  constructor(options: ListenerTls, handlers: ListenerHandlers, clock: Clock) {
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
    const date = httpDate(clock);
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
        const connection = new Http2Connection({
          socket,
          maximumHeaderBytes,
          onExchange: handlers.exchange,
          date,
        });
        this.#http2.add(connection);
        socket.once("close", () => this.#http2.delete(connection));
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
    for (const connection of this.#http2) connection.close();
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

/** What the header `date` says: the text changes once a second. */
function httpDate(clock: Clock): () => string {
  let second = -1;
  let text = "";
  return () => {
    const now = Math.floor(clock.now() / 1000);
    if (now !== second) {
      second = now;
      text = new Date(now * 1000).toUTCString();
    }
    return text;
  };
}

function ignore(): void {}
