/** Port-forwarding as kubectl speaks it: SPDY streams, bare or tunnelled through a WebSocket (KEP-4006); others have channels. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createWebSocketStream, WebSocketServer } from "ws";
import { SpdyConnection, type SpdyStream } from "../../base/node/spdy/connection.ts";
import { servePortChannels } from "./port-channels.ts";
import { acceptSpdy, chooseProtocol, refuseUpgrade, wantsWebSocket } from "./upgrade.ts";

const protocol = "portforward.k8s.io";
const tunnelProtocol = `SPDY/3.1+${protocol}`;

const tunnels = new WebSocketServer({
  noServer: true,
  perMessageDeflate: false,
});
// The name holds a slash, which the library takes for a mistake: it is kept from it, and answered here.
tunnels.on("headers", (headers) => headers.push(`Sec-WebSocket-Protocol: ${tunnelProtocol}`));

/** Opens a connection to a port of the pod. Rejects with the words that the user reads. */
export type ConnectToPort = (port: number) => Promise<Duplex>;

/** Upgrades the connection and forwards until the client closes it. Never rejects. */
export async function servePortForward(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  connect: ConnectToPort,
): Promise<void> {
  if (wantsWebSocket(request)) {
    const isTunnel = (request.headers["sec-websocket-protocol"] ?? "").includes(tunnelProtocol);
    if (!isTunnel) return servePortChannels(request, socket, head, connect);
    const tunnel = await openTunnel(request, socket, head);
    if (tunnel) await forward(tunnel, Buffer.alloc(0), connect);
    return;
  }
  const chosen = chooseProtocol(request, [protocol]);
  if (!chosen)
    return refuseUpgrade(socket, 403, `unable to upgrade: unsupported stream protocol; this server speaks ${protocol}`);
  acceptSpdy(socket, chosen);
  await forward(socket, head, connect);
}

function openTunnel(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<Duplex | undefined> {
  return new Promise((resolve) => {
    socket.once("close", () => resolve(undefined));
    delete request.headers["sec-websocket-protocol"];
    tunnels.handleUpgrade(request, socket, head, (webSocket) => resolve(createWebSocketStream(webSocket)));
  });
}

interface Pair {
  error?: SpdyStream;
  data?: SpdyStream;
}

/** Each forwarded connection is a pair of streams with one request id: data both ways, and what went wrong. */
async function forward(transport: Duplex, head: Buffer, connect: ConnectToPort): Promise<void> {
  const pairs = new Map<string, Pair>();
  const connection = new SpdyConnection(transport, (stream) => {
    const { streamtype, port = "", requestid = "" } = stream.headers;
    if (streamtype !== "data" && streamtype !== "error") return stream.destroy();
    const pair = pairs.get(requestid) ?? {};
    pair[streamtype] = stream;
    pairs.set(requestid, pair);
    stream.once("close", () => pairs.delete(requestid));
    if (pair.error && pair.data) void forwardOne(pair.error, pair.data, port, connect);
  });
  await connection.run(head);
}

async function forwardOne(
  error: SpdyStream,
  data: SpdyStream,
  portText: string,
  connect: ConnectToPort,
): Promise<void> {
  error.resume();
  const port = Number(portText);
  let target: Duplex | undefined;
  try {
    if (!Number.isInteger(port) || port < 1 || port > 65535)
      throw new Error(`unable to parse ${JSON.stringify(portText)} as a port`);
    target = await connect(port);
    await Promise.all([pipeline(data, target), pipeline(target, data)]);
  } catch (failure) {
    const { code, message } = failure as NodeJS.ErrnoException;
    // One side left in the middle: that is how connections end.
    const isEnd =
      target !== undefined && (code === "ERR_STREAM_PREMATURE_CLOSE" || code === "ECONNRESET" || code === "EPIPE");
    if (!isEnd && error.writable) error.write(`error forwarding port ${portText} to pod: ${message}`);
    target?.destroy();
  } finally {
    if (!data.writableEnded) data.end();
    if (!error.writableEnded) error.end();
  }
}
