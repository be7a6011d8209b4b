/** A real HTTPS server on loopback that answers as a webhook would, for tests. */
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { systemClock } from "../base/node/system-clock.ts";
import { systemRandom } from "../base/node/system-random.ts";
import { createPki, issueLeaf, type KeyPair } from "../cluster/certificates.ts";

/** What a webhook says: JSON, or any text with a status; `never` leaves the caller waiting. */
export type WebhookAnswer = object | { status: number; text: string } | "never";

export interface WebhookServer extends AsyncDisposable {
  /** Without a path. */
  url: string;
  port: number;
  /** PEM in base64, as configurations hold it. */
  caBundle: string;
  /** Bodies that came, in order, with the path they came to. */
  readonly received: { path: string; body: never }[];
  /** How many connections were made. */
  readonly connections: number;
}

export interface WebhookServerOptions {
  /** Beside localhost and 127.0.0.1. */
  dnsNames?: readonly string[];
  host?: string;
}

/** An authority that no cluster knows. */
export function newAuthority(): KeyPair {
  const nowMs = systemClock.now();
  const pki = createPki({ clusterName: "other", dnsNames: [], ipAddresses: [], nowMs, random: systemRandom });
  return pki.ca;
}

/** A server's certificate for these names, signed by `ca`. */
export function serverCertificate(ca: KeyPair, dnsNames: readonly string[]): KeyPair {
  return issueLeaf(
    ca,
    { subject: { commonName: "server" }, usage: "server", dnsNames },
    systemClock.now(),
    systemRandom,
  );
}

/** A user's certificate, signed by `ca`. */
export function clientCertificate(ca: KeyPair, commonName: string, ...organizations: string[]): KeyPair {
  return issueLeaf(ca, { subject: { commonName, organizations }, usage: "client" }, systemClock.now(), systemRandom);
}

export async function startWebhookServer(
  answer: (body: never, path: string) => WebhookAnswer | Promise<WebhookAnswer>,
  { dnsNames = [], host = "127.0.0.1" }: WebhookServerOptions = {},
): Promise<WebhookServer> {
  const nowMs = systemClock.now();
  const names = { dnsNames: ["localhost", ...dnsNames], ipAddresses: [host] };
  const pki = createPki({ clusterName: "webhook", ...names, nowMs, random: systemRandom });
  const leaf = issueLeaf(
    { certificatePem: pki.ca.certificatePem, privateKeyPem: pki.ca.privateKeyPem },
    { subject: { commonName: "webhook" }, usage: "server", ...names },
    nowMs,
    systemRandom,
  );
  const received: { path: string; body: never }[] = [];
  let connections = 0;
  const server = createServer({ key: leaf.privateKeyPem, cert: leaf.certificatePem }, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const path = (request.url ?? "").split("?")[0]!;
    const body = (text ? JSON.parse(text) : undefined) as never;
    received.push({ path, body });
    const said = await answer(body, path);
    if (said === "never") return;
    if ("status" in said && "text" in said && typeof said.status === "number") {
      response.writeHead(said.status).end(said.text);
    } else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(said));
  });
  server.on("secureConnection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://${host}:${port}`,
    port,
    caBundle: Buffer.from(pki.ca.certificatePem).toString("base64"),
    received,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
