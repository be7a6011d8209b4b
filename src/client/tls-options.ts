/** What a connection's kubeconfig says of TLS, as Node's modules want to be told. */
import type { ConnectionOptions } from "node:tls";
import { systemAuthorities } from "./authorities.ts";
import type { Connection } from "./kubeconfig.ts";

/** For a server's address with `https:` alone: the machine's authorities are read where the connection names none. */
export function tlsOptionsOf(connection: Connection): ConnectionOptions {
  const { ca, certificate, key, insecureSkipTlsVerify, tlsServerName } = connection;
  return {
    // Without any, Node would read its own.
    ca: insecureSkipTlsVerify ? [] : (ca ?? systemAuthorities()),
    ...(certificate && key ? { cert: certificate, key } : {}),
    ...(tlsServerName ? { servername: tlsServerName } : {}),
    rejectUnauthorized: !insecureSkipTlsVerify,
  };
}
