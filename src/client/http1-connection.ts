/** HTTP/1.1 requests to one server: for addresses without TLS (`kubectl proxy`), and servers and balancers that speak nothing newer. */
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { type HttpRequest, type HttpResponse, TransportError } from "./http2-connection.ts";
import { identityHeaders } from "./identity-headers.ts";
import type { Connection } from "./kubeconfig.ts";
import { openTunnel } from "./proxy.ts";
import { tlsOptionsOf } from "./tls-options.ts";

export class Http1Connection {
  readonly #connection: Connection;
  readonly #userAgent: string;
  readonly #agent: HttpAgent;

  constructor(connection: Connection, userAgent: string) {
    this.#connection = connection;
    this.#userAgent = userAgent;
    this.#agent = connection.server.startsWith("http:")
      ? new HttpAgent({ keepAlive: true })
      : new HttpsAgent({ keepAlive: true, ...tlsOptionsOf(connection) });
  }

  async request(request: HttpRequest): Promise<HttpResponse> {
    const { status, headers, stream } = await this.open(request);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    request.signal?.throwIfAborted();
    return { status, headers, body: Buffer.concat(chunks) };
  }

  /** Resolves with the response's head. Rejects with a TransportError when there is none. */
  async open({ method, path, headers, body, signal }: HttpRequest) {
    signal?.throwIfAborted();
    const { server, proxyUrl } = this.#connection;
    const url = new URL(server);
    const tunnel = proxyUrl ? await openTunnel(proxyUrl, server) : undefined;
    const send = url.protocol === "http:" ? requestHttp : requestHttps;
    return new Promise<{ status: number; headers: IncomingMessage["headers"]; stream: IncomingMessage }>(
      (resolve, reject) => {
        const sent = send(
          {
            host: url.hostname.replace(/^\[|\]$/g, ""),
            port: url.port,
            path: url.pathname.replace(/\/+$/, "") + path,
            method,
            headers: {
              accept: "application/json",
              "user-agent": this.#userAgent,
              ...identityHeaders(this.#connection),
              ...headers,
              ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }),
            },
            ...(tunnel ? { agent: false, socket: tunnel } : { agent: this.#agent }),
            ...(signal ? { signal } : {}),
          },
          (response) => resolve({ status: response.statusCode!, headers: response.headers, stream: response }),
        );
        sent.once("error", (cause) => {
          if (signal?.aborted) return reject(signal.reason);
          reject(new TransportError(`${method} ${server}${path.split("?")[0]}: ${cause.message}`, false, { cause }));
        });
        sent.end(body);
      },
    );
  }

  close(): void {
    this.#agent.destroy();
  }
}
