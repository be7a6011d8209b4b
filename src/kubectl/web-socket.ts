/** WebSockets to the API server with the connection's own proof of who is asking. */
import { WebSocket } from "ws";
import { StatusError } from "../apimachinery/status-error.ts";
import type { Connection } from "../client/kubeconfig.ts";
import { CommandError } from "./command-error.ts";

/** A connection, and which of the protocols it speaks. */
export interface OpenSocket {
  socket: WebSocket;
  protocol: string;
}

/** Resolves when the connection is open. Rejects with a StatusError when the server refused, in its words. */
export function openWebSocket(connection: Connection, path: string, protocols: readonly string[]): Promise<OpenSocket> {
  return new Promise((resolve, reject) => {
    let chosen = "";
    const base = connection.server.replace(/^http/, "ws").replace(/\/+$/, "");
    const token = connection.token?.();
    const socket = new WebSocket(base + path, [], {
      headers: {
        "sec-websocket-protocol": protocols.join(","),
        "user-agent": "kubectl/v1.36.0 (linux/amd64) pinnace",
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(connection.impersonate ? { "impersonate-user": connection.impersonate.user } : {}),
      },
      ...(connection.ca ? { ca: connection.ca } : {}),
      ...(connection.certificate ? { cert: connection.certificate, key: connection.key } : {}),
      ...(connection.tlsServerName ? { servername: connection.tlsServerName } : {}),
      rejectUnauthorized: !connection.insecureSkipTlsVerify,
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
