/** WebSockets to the API server with the connection's own proof of who is asking. */
import { isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { WebSocket } from "ws";
import { StatusError } from "../apimachinery/status-error.ts";
import { identityHeaders } from "../client/identity-headers.ts";
import type { Connection } from "../client/kubeconfig.ts";
import { openTunnel } from "../client/proxy.ts";
import { tlsOptionsOf } from "../client/tls-options.ts";
import { userAgent } from "./api.ts";
import { CommandError } from "./command-error.ts";

/** A connection, and which of the protocols it speaks. */
export interface OpenSocket {
  socket: WebSocket;
  protocol: string;
}

/** Resolves when the connection is open. Rejects with a StatusError when the server refused, in its words. */
export async function openWebSocket(
  connection: Connection,
  path: string,
  protocols: readonly string[],
): Promise<OpenSocket> {
  const { proxyUrl, server } = connection;
  const tunnel = proxyUrl ? await openTunnel(proxyUrl, server) : undefined;
  return new Promise((resolve, reject) => {
    let chosen = "";
    const base = connection.server.replace(/^http/, "ws").replace(/\/+$/, "");
    const socket = new WebSocket(base + path, [], {
      headers: {
        "sec-websocket-protocol": protocols.join(","),
        "user-agent": userAgent,
        ...(identityHeaders(connection) as Record<string, string>),
      },
      ...(tunnel
        ? { createConnection: ((options: ConnectionOptions) => secured(tunnel, server, options)) as never }
        : {}),
      ...((server.startsWith("http:") ? {} : tlsOptionsOf(connection)) as object),
      perMessageDeflate: false,
      // Kubernetes' names of protocols may hold a slash, which the library takes for a mistake: here they are asked for and checked.
      finishRequest(request) {
        request.prependListener("upgrade", ({ headers }) => {
          chosen = headers["sec-websocket-protocol"] ?? "";
          delete headers["sec-websocket-protocol"];
        });
        request.end();
      },
    });
    socket.once("open", () => {
      if (protocols.includes(chosen)) return resolve({ socket, protocol: chosen });
      socket.terminate();
      reject(new CommandError(`unable to upgrade connection: the server chose the protocol ${JSON.stringify(chosen)}`));
    });
    socket.once("error", (error) => reject(new CommandError(`unable to upgrade connection: ${error.message}`)));
    socket.once("unexpected-response", (_request, response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        try {
          reject(StatusError.fromStatus(JSON.parse(text) as object as { message: string }));
        } catch {
          reject(new CommandError(`unable to upgrade connection: ${text || response.statusMessage}`));
        }
      });
    });
  });
}

/** The stream to the server in a proxy's tunnel. */
function secured(tunnel: Socket, server: string, options: ConnectionOptions): Socket {
  if (server.startsWith("http:")) return tunnel;
  const { ca, cert, key, rejectUnauthorized } = options;
  const host = new URL(server).hostname.replace(/^\[|\]$/g, "");
  const servername = options.servername || (isIP(host) ? undefined : host);
  return connectTls({ ca, cert, key, rejectUnauthorized, host, socket: tunnel, ...(servername ? { servername } : {}) });
}
