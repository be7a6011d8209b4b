/** Upgrading an HTTP/1.1 request to a streaming protocol, or refusing to. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

export function wantsWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === "websocket";
}

/** Of the protocols that the client offers, the first that we speak, by the client's order. Undefined: none. */
export function chooseProtocol(request: IncomingMessage, spoken: readonly string[]): string | undefined {
  return offeredProtocols(request).find((protocol) => spoken.includes(protocol));
}

/** Clients repeat the header, or list protocols in one. */
function offeredProtocols({ headersDistinct }: IncomingMessage): string[] {
  const values = headersDistinct["x-stream-protocol-version"] ?? [];
  return values.flatMap((value) => value.split(",")).map((value) => value.trim());
}

export function acceptSpdy(socket: Duplex, protocol: string): void {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
}

export function refuseUpgrade(socket: Duplex, code: number, message: string): void {
  const body = `${message}\n`;
  socket.end(
    `HTTP/1.1 ${code} ${code === 403 ? "Forbidden" : "Bad Request"}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
