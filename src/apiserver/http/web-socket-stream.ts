/** A streamed answer over WebSocket, as browsers can read it: its bytes in binary messages, or in text ones that are base64 (upstream's wsstream). */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { StatusError } from "../../apimachinery/status-error.ts";
import type { HttpExchange } from "../subresource-handler.ts";
import { SocketExchange } from "./exchange.ts";

const base64Protocol = "base64.binary.k8s.io";
const protocols: readonly string[] = ["binary.k8s.io", base64Protocol];
/** Clients say nothing that is read. */
const maximumMessageBytes = 64 * 1024;
const noBytes = Buffer.alloc(0);

const server = new WebSocketServer({
  noServer: true,
  perMessageDeflate: false,
  maxPayload: maximumMessageBytes,
  handleProtocols: (offered) => [...offered].find((protocol) => protocols.includes(protocol)) ?? false,
});

/**
 * Lets `respond` answer a request that came with `Upgrade`: what it streams with status 200 goes over a WebSocket, any other answer over
 * plain HTTP, and so does everything when the client wants another upgrade than that. Rejects with what `respond` rejects with as
 * long as nothing has been answered.
 */
export async function streamOverWebSocket(
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  signal: AbortSignal,
  respond: (exchange: HttpExchange) => Promise<void>,
): Promise<void> {
  const isWebSocket = incoming.headers.upgrade?.toLowerCase() === "websocket";
  const plain = new SocketExchange(incoming, socket, undefined);
  let client: WebSocket | undefined;
  const exchange: HttpExchange = {
    method: plain.method,
    headers: plain.headers,
    body: plain.body,
    signal,
    begin(status, headers) {
      if (!isWebSocket || status !== 200) return plain.begin(status, { ...headers, connection: "close" });
      refuseOtherProtocols(incoming);
      server.handleUpgrade(incoming, socket, head, (opened) => {
        client = opened;
        opened.on("error", () => opened.terminate());
        // Nothing is to be read, but pings are answered.
        opened.on("message", () => {});
        // Clients wait for a first message, which is empty.
        opened.send(noBytes, { binary: true });
      });
    },
    write(chunk) {
      return new Promise((resolve) => {
        if (client) sendChunk(client, chunk, resolve);
        // A handshake that was refused has ended the connection.
        else if (plain.status === 0 || plain.closed || plain.write(chunk)) resolve();
        else {
          plain.onDrain(resolve);
          plain.onClose(resolve);
        }
      });
    },
    async end() {
      if (client) client.close(1000);
      else plain.finish();
    },
  };
  try {
    await respond(exchange);
  } catch (error) {
    if (client) client.close(1011);
    else if (plain.status > 0) plain.abort();
    else throw error;
  }
}

/** Calls `done` when the kernel has taken it, or the client is gone. */
function sendChunk(client: WebSocket, chunk: Uint8Array | string, done: () => void): void {
  const bytes =
    typeof chunk === "string" ? Buffer.from(chunk) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
  const isText = client.protocol === base64Protocol;
  client.send(isText ? bytes.toString("base64") : bytes, { binary: !isText }, () => done());
}

function refuseOtherProtocols({ headers }: IncomingMessage): void {
  const offered = headers["sec-websocket-protocol"];
  if (offered === undefined) return;
  const names = offered.split(",").map((protocol) => protocol.trim());
  if (names.some((name) => protocols.includes(name))) return;
  const message = `requested protocol(s) are not supported: [${names.join(" ")}]; supports [${protocols.join(" ")}]`;
  throw new StatusError(403, "Forbidden", message);
}
