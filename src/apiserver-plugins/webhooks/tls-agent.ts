/** HTTPS connections that are kept, over sockets that whoever knows the network opens. */
import { Agent } from "node:https";
import { isIP } from "node:net";
import { checkServerIdentity, connect as tlsConnect } from "node:tls";
import { systemAuthorities, systemTrust } from "../../client/authorities.ts";
import type { Dial, Route } from "./service-route.ts";

export interface TlsAgentOptions {
  route: Route;
  dial: Dial;
  /** Whom the certificate must name. */
  serverName: string;
  /** PEM; without it the machine's authorities are trusted. */
  ca?: string | undefined;
  /** Any certificate will do. */
  insecure?: boolean;
  /** Proof of who calls; PEM. */
  certificate?: string | undefined;
  key?: string | undefined;
}

export function tlsAgent({ route, dial, serverName, ca, insecure, certificate, key }: TlsAgentOptions): Agent {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 16, scheduling: "lifo" });
  (agent as unknown as { createConnection: () => unknown }).createConnection = () =>
    tlsConnect({
      socket: dial(route.host, route.port),
      ...(isIP(serverName) ? {} : { servername: serverName }),
      ...(certificate
        ? { cert: certificate, key, ca: ca ?? systemAuthorities() }
        : ca
          ? { ca }
          : { secureContext: systemTrust() }),
      rejectUnauthorized: !insecure,
      ALPNProtocols: ["http/1.1"],
      checkServerIdentity: (_, peer) => checkServerIdentity(serverName, peer),
    });
  return agent;
}

const untrusted = new Set([
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
]);

/** Why there was no connection, in the words of upstream's HTTP client. */
export function describeFailure(
  error: NodeJS.ErrnoException & { address?: string; port?: number; cert?: { subjectaltname?: string } },
  url: URL,
): string {
  const { code = "", address, port } = error;
  const verify = "tls: failed to verify certificate: x509:";
  if (untrusted.has(code)) return `${verify} certificate signed by unknown authority`;
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    const names = (error.cert?.subjectaltname ?? "").replaceAll(/(?:DNS|IP Address):/g, "");
    return `${verify} certificate is valid for ${names || "other names"}, not ${url.hostname}`;
  }
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID")
    return `${verify} certificate has expired or is not yet valid`;
  const peer = address ? `${isIP(address) === 6 ? `[${address}]` : address}:${port}` : url.host;
  switch (code) {
    case "ECONNREFUSED":
      return `dial tcp ${peer}: connect: connection refused`;
    case "EHOSTUNREACH":
      return `dial tcp ${peer}: connect: no route to host`;
    case "ENETUNREACH":
      return `dial tcp ${peer}: connect: network is unreachable`;
    case "ETIMEDOUT":
      return `dial tcp ${peer}: i/o timeout`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `dial tcp: lookup ${url.hostname}: no such host`;
    case "ECONNRESET":
      return "EOF";
    case "EPROTO":
    case "ERR_SSL_WRONG_VERSION_NUMBER":
      return "http: server gave HTTP response to HTTPS client";
    default:
      return error.message;
  }
}
