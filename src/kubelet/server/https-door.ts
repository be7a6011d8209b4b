/**
 * The kubelet's own port (10250): HTTPS for those who prove who they are and may ask (upstream's kubelet server with webhook
 * authentication and authorization). Its certificate is made when the first client comes, as most nodes are never asked, and
 * renewed when the first one comes after its time for that.
 */

import { X509Certificate } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import { createServer, type Server, type Socket } from "node:net";
import { type Duplex, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { TLSSocket } from "node:tls";
import { SubjectAccessReviews, TokenReviews } from "../../api/resources.ts";
import { badRequestError, StatusError } from "../../apimachinery/status-error.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import { modernTls } from "../../base/node/modern-tls.ts";
import { pemBlocks } from "../../base/node/pem.ts";
import type { Client } from "../../client/client.ts";
import type { PodApi } from "../pod-api.ts";
import { refuseUpgrade } from "../streaming/upgrade.ts";
import { type KubeletRoutes, podOfPath } from "./routes.ts";

export interface KubeletDoorOptions {
  nodeName: string;
  routes: KubeletRoutes;
  pods: PodApi;
  /** Asks who somebody is and what they may. */
  client: Client;
  /** Of the authority that signs clients' certificates, as it is now. */
  clientCa(): string;
  /** The serving certificate and key in PEM, and when to ask for the next. */
  certificate(): Promise<ServingCertificate>;
  clock: Clock;
  log: Logger;
}

export interface ServingCertificate {
  cert: string;
  key: string;
  renewAtMs: number;
}

interface User {
  name: string;
  groups: readonly string[];
}

/** Ends with `close`. To be given a bound socket or an address: `server.listen`. */
export function kubeletDoor(options: KubeletDoorOptions): Server {
  let behind: Promise<Behind> | undefined;
  const current = async (): Promise<HttpsServer> => {
    behind ??= httpsServer(options);
    const standing = await behind;
    if (options.clock.now() < standing.renewAtMs && options.clientCa() === standing.clientCa) return standing.server;
    // Those who come meanwhile wait for the same one.
    const renewed = options.certificate().then((tls) => withCertificate(options, standing.server, tls));
    behind = renewed;
    renewed.catch(() => {
      if (behind === renewed) behind = Promise.resolve(standing);
    });
    return (await renewed).server;
  };
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
    current().then(
      (https) => https.emit("connection", socket),
      (error: unknown) => {
        behind = undefined;
        options.log.error("making the kubelet's serving certificate failed", { error: (error as Error).message });
        socket.destroy();
      },
    );
  });
  server.once("close", () => {
    for (const socket of open) socket.destroy();
  });
  const close = server.close.bind(server);
  // Streams may be long: they end with the node.
  server.close = (done) => {
    for (const socket of open) socket.destroy();
    return close(done);
  };
  return server;
}

interface Behind {
  server: HttpsServer;
  renewAtMs: number;
  clientCa: string;
}

function withCertificate({ clientCa }: KubeletDoorOptions, server: HttpsServer, tls: ServingCertificate): Behind {
  const ca = clientCa();
  server.setSecureContext({ key: tls.key, cert: tls.cert, ca, ...modernTls });
  return { server, renewAtMs: tls.renewAtMs, clientCa: ca };
}

async function httpsServer(options: KubeletDoorOptions): Promise<Behind> {
  const { cert, key, renewAtMs } = await options.certificate();
  const clientCa = options.clientCa();
  const tls = { cert, key, ca: clientCa, ...modernTls };
  const server = createHttpsServer({ ...tls, requestCert: true, rejectUnauthorized: false });
  server.on("request", (request, response) => {
    answer(options, request, response).catch((error: unknown) => refuse(response, error));
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgrade(options, request, socket, head).catch((error: unknown) => {
      const { code, message } = wordsOf(error);
      refuseUpgrade(socket, code, message);
    });
  });
  return { server, renewAtMs, clientCa };
}

async function answer(options: KubeletDoorOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "https://node");
  await admit(options, request, pathname);
  const left = new AbortController();
  response.once("close", () => left.abort());
  const { status, contentType, headers, body } = await options.routes({
    method: request.method ?? "GET",
    path: pathname,
    query: searchParams,
    headers: request.headers,
    signal: left.signal,
  });
  response.writeHead(status, { ...(contentType ? { "content-type": contentType } : {}), ...headers });
  if (typeof body === "string") response.end(request.method === "HEAD" ? "" : body);
  else await pipeline(Readable.from(body), response).catch(() => {});
}

async function upgrade(
  options: KubeletDoorOptions,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "https://node");
  await admit(options, request, pathname);
  const { pods } = options;
  const { verb, namespace, name, container } = podOfPath(pathname);
  const pod = { namespace, name };
  const flag = (word: string) => ["1", "true"].includes(searchParams.get(word) ?? "");
  const wanted = { stdin: flag("input"), stdout: flag("output"), stderr: flag("error"), tty: flag("tty") };
  if (verb === "exec") {
    const command = searchParams.getAll("command");
    if (command.length === 0) throw badRequestError("you must specify at least one command for the container");
    const { serveRemoteCommand } = await import("../streaming/remote-command.ts");
    await serveRemoteCommand(request, socket, head, wanted, (streams) =>
      pods.exec(pod, container, { command, tty: wanted.tty, ...streams }),
    );
  } else if (verb === "attach") {
    const { serveRemoteCommand } = await import("../streaming/remote-command.ts");
    await serveRemoteCommand(request, socket, head, wanted, async (streams) => {
      await pods.attach(pod, container, streams);
      return 0;
    });
  } else if (verb === "portForward") {
    const { servePortForward } = await import("../streaming/port-forward.ts");
    await servePortForward(request, socket, head, (port) => pods.portForward(pod, port));
  } else throw new StatusError(404, "NotFound", "404 page not found");
}

async function admit(options: KubeletDoorOptions, request: IncomingMessage, path: string): Promise<void> {
  const user = await userOf(options, request);
  if (!user) throw new StatusError(401, "Unauthorized", "Unauthorized");
  const verb = verbs[request.method ?? "GET"] ?? "get";
  const subresources = subresourcesOf(path);
  for (const subresource of subresources) {
    const { status } = await options.client.create(SubjectAccessReviews, {
      metadata: {},
      spec: {
        user: user.name,
        groups: [...user.groups],
        resourceAttributes: { verb, version: "v1", resource: "nodes", subresource, name: options.nodeName },
      },
    } as never);
    if (status?.allowed) return;
  }
  const message = `Forbidden (user=${user.name}, verb=${verb}, resource=nodes, subresource(s)=[${subresources.join(" ")}])\n`;
  throw new StatusError(403, "Forbidden", message);
}

const verbs: Readonly<Record<string, string>> = {
  POST: "create",
  GET: "get",
  HEAD: "get",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};

/** Any of them suffices, the narrowest asked first. */
function subresourcesOf(path: string): string[] {
  const top = path.split("/")[1] ?? "";
  if (top === "stats" || top === "metrics" || top === "logs") return [top === "logs" ? "log" : top];
  if (top === "healthz" || top === "configz" || top === "pods") return [top, "proxy"];
  return ["proxy"];
}

async function userOf({ client, clientCa }: KubeletDoorOptions, request: IncomingMessage): Promise<User | undefined> {
  const socket = request.socket as TLSSocket;
  if (socket.authorized && isStillVouchedFor(socket, clientCa())) {
    const subject = socket.getPeerCertificate().subject as unknown as Record<string, string | string[] | undefined>;
    const [name] = listOf(subject["CN"]);
    if (name) return { name, groups: [...listOf(subject["O"]), "system:authenticated"] };
  }
  const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1];
  if (!token) return undefined;
  const { status } = await client.create(TokenReviews, { metadata: {}, spec: { token } } as never);
  const user = status?.user;
  return status?.authenticated && user?.username ? { name: user.username, groups: user.groups ?? [] } : undefined;
}

/** Authorities may have changed since the handshake. */
function isStillVouchedFor(socket: TLSSocket, bundle: string): boolean {
  const before = vouchedBy.get(socket);
  if (before === undefined) vouchedBy.set(socket, bundle);
  if (before === undefined || before === bundle) return true;
  const certificate = socket.getPeerX509Certificate();
  const isVouchedFor = pemBlocks(bundle).some(({ der }) => {
    const authority = new X509Certificate(der);
    return certificate?.checkIssued(authority) && certificate.verify(authority.publicKey);
  });
  if (isVouchedFor) vouchedBy.set(socket, bundle);
  return isVouchedFor;
}

const vouchedBy = new WeakMap<TLSSocket, string>();

function listOf(value: string | string[] | undefined): string[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

function refuse(response: ServerResponse, error: unknown): void {
  const { code, message } = wordsOf(error);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(code, { "content-type": "text/plain; charset=utf-8" });
  response.end(message);
}

function wordsOf(error: unknown): { code: number; message: string } {
  if (error instanceof StatusError) return { code: error.code, message: error.message };
  return { code: 500, message: (error as Error).message };
}
