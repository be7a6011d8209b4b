/** Browsers send no Authorization with a WebSocket: their token comes as one of the protocols that they offer (upstream's websocket authenticator). */
import type { IncomingHttpHeaders } from "node:http";

const prefix = "base64url.bearer.authorization.k8s.io.";

/**
 * Moves the token to where tokens are looked for, and takes it off the protocols, so that nobody further on gets to see it. Counts
 * only beside another protocol, which the server can choose.
 */
export function takeWebSocketToken(headers: IncomingHttpHeaders): void {
  const offered = headers["sec-websocket-protocol"];
  if (offered === undefined || !offered.includes(prefix)) return;
  const protocols = offered.split(",").map((protocol) => protocol.trim());
  const tokens = protocols.filter((protocol) => protocol.startsWith(prefix));
  const others = protocols.filter((protocol) => !protocol.startsWith(prefix));
  headers["sec-websocket-protocol"] = others.join(", ");
  if (headers.authorization !== undefined || tokens.length !== 1 || others.length === 0) return;
  const token = Buffer.from(tokens[0]!.slice(prefix.length), "base64url").toString();
  if (/^[\x21-\x7e]+$/.test(token)) headers.authorization = `Bearer ${token}`;
}
