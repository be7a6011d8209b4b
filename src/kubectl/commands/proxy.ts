/** `kubectl proxy`: a local HTTP server that shows the API with the user's own rights, and files beside it where asked for. */
import { createReadStream, statSync, unlinkSync } from "node:fs";
import {
  createServer,
  type IncomingMessage,
  request as plainRequest,
  type RequestOptions,
  type ServerResponse,
} from "node:http";
import { request as secureRequest } from "node:https";
import { connect as connectPlain, type Socket } from "node:net";
import { extname, join, normalize } from "node:path";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { connect as connectSecure } from "node:tls";
import { identityHeaders } from "../../client/identity-headers.ts";
import type { Connection } from "../../client/kubeconfig.ts";
import { tlsOptionsOf } from "../../client/tls-options.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import type { FlagValues } from "../flags.ts";

export const proxy: Command = {
  summary: "Run a proxy to the Kubernetes API server",
  usage: "[--port=PORT] [--www=static-dir] [--www-prefix=prefix] [--api-prefix=prefix]",
  examples: ["proxy", "proxy --port=0", "proxy --www=./site --www-prefix=/site/ --api-prefix=/"],
  flags: [
    { name: "port", short: "p", kind: "int", default: 8001, help: "the port to listen on; 0 for any" },
    { name: "address", kind: "string", default: "127.0.0.1", help: "the address to listen on" },
    { name: "unix-socket", short: "u", kind: "string", help: "a Unix socket to listen on instead" },
    { name: "www", short: "w", kind: "string", help: "a folder of files to serve" },
    { name: "www-prefix", short: "P", kind: "string", default: "/static/", help: "under which path" },
    { name: "api-prefix", kind: "string", default: "/", help: "under which path the API is served" },
    { name: "accept-paths", kind: "string", default: "^.*", help: "paths that are let through" },
    {
      name: "reject-paths",
      kind: "string",
      default: "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach",
      help: "paths that are not",
    },
    {
      name: "accept-hosts",
      kind: "string",
      default: "^localhost$,^127\\.0\\.0\\.1$,^\\[::1\\]$",
      help: "host names under which requests may come",
    },
    { name: "reject-methods", kind: "string", default: "^$", help: "methods that are not let through" },
    { name: "disable-filter", kind: "bool", help: "let everything through" },
    { name: "append-server-path", kind: "bool", help: "accepted" },
    { name: "keepalive", kind: "duration", default: "0s", help: "accepted" },
  ],
  async run(invocation) {
    const { session, flags } = invocation;
    const connection = await session.connection();
    const filter = filterOf(flags);
    if (flags.bool("disable-filter") && !flags.string("unix-socket")) {
      session.printError("Request filter disabled, your proxy is vulnerable to XSRF attacks, please be cautious\n");
    }
    const server = createServer((request, response) => {
      if (!filter(request)) return refuse(response);
      if (serveFile(flags, request, response)) return;
      const path = apiPath(flags, request.url ?? "/");
      if (path === undefined) return void response.writeHead(404).end("404 page not found\n");
      pass(connection, request, response, path);
    });
    server.on("upgrade", (request, socket, head) => {
      const path = filter(request) ? apiPath(flags, request.url ?? "/") : undefined;
      if (path === undefined) return void socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
      passUpgrade(connection, request, socket, head, path);
    });
    const place = await listen(invocation, server);
    session.print(`Starting to serve on ${place}\n`);
    await new Promise<void>((resolve) => {
      session.terminal.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    server.close();
    server.closeAllConnections();
    return 0;
  },
};

function listen({ flags }: Invocation, server: ReturnType<typeof createServer>): Promise<string> {
  const [path, address] = [flags.string("unix-socket"), flags.string("address")];
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "address already in use" : error.message;
      reject(new CommandError(`listen tcp ${address}:${flags.number("port")}: bind: ${why}`));
    });
    if (path) {
      if (statSync(path, { throwIfNoEntry: false })?.isSocket()) unlinkSync(path);
      server.listen(path, () => resolve(path));
    } else {
      server.listen(flags.number("port"), address, () => {
        const { port } = server.address() as { port: number };
        resolve(address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);
      });
    }
  });
}

/** Browsers may be led here by foreign pages: only known host names pass, and no path that runs commands. */
function filterOf(flags: FlagValues): (request: IncomingMessage) => boolean {
  if (flags.bool("disable-filter")) return () => true;
  const patterns = (name: string) =>
    flags
      .string(name)
      .split(",")
      .map((pattern) => {
        try {
          return new RegExp(pattern);
        } catch (error) {
          throw new CommandError(`error parsing regexp: ${(error as Error).message}`);
        }
      });
  const [paths, noPaths, hosts, noMethods] = ["accept-paths", "reject-paths", "accept-hosts", "reject-methods"].map(
    patterns,
  ) as [RegExp[], RegExp[], RegExp[], RegExp[]];
  const matches = (list: readonly RegExp[], value: string) => list.some((pattern) => pattern.test(value));
  return ({ url = "/", method = "GET", headers }) => {
    const path = url.split("?")[0]!;
    const host = (headers.host ?? "").replace(/:\d+$/, "");
    return matches(hosts, host) && matches(paths, path) && !matches(noPaths, path) && !matches(noMethods, method);
  };
}

function refuse(response: ServerResponse): void {
  response.writeHead(403, { "content-type": "text/plain; charset=utf-8" }).end("Forbidden\n");
}

/** The path at the API server; undefined for what is not the API's. */
function apiPath(flags: FlagValues, url: string): string | undefined {
  const prefix = `/${flags.string("api-prefix").replace(/^\/|\/$/g, "")}`;
  if (prefix === "/") return url;
  return url === prefix || url.startsWith(`${prefix}/`) ? url.slice(prefix.length) || "/" : undefined;
}

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".txt": "text/plain; charset=utf-8",
};

function serveFile(flags: FlagValues, request: IncomingMessage, response: ServerResponse): boolean {
  const folder = flags.string("www");
  const prefix = flags.string("www-prefix");
  const path = decodeURIComponent((request.url ?? "/").split("?")[0]!);
  if (!folder || !path.startsWith(prefix)) return false;
  let file = join(folder, normalize(`/${path.slice(prefix.length)}`));
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) file = join(file, "index.html");
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) response.writeHead(404).end("404 page not found\n");
  else {
    response.writeHead(200, { "content-type": contentTypes[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
  }
  return true;
}

function optionsFor(
  connection: Connection,
  request: IncomingMessage,
  path: string,
): RequestOptions & { isSecure: boolean } {
  const url = new URL(connection.server);
  const { host: _host, authorization: _authorization, ...headers } = request.headers;
  return {
    isSecure: url.protocol === "https:",
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port || (url.protocol === "https:" ? 443 : 80),
    method: request.method,
    path: url.pathname.replace(/\/+$/, "") + path,
    headers: {
      ...headers,
      host: url.host,
      ...identityHeaders(connection),
    },
    ...(url.protocol === "https:" ? tlsOptionsOf(connection) : {}),
  };
}

function pass(connection: Connection, request: IncomingMessage, response: ServerResponse, path: string): void {
  const { isSecure, ...options } = optionsFor(connection, request, path);
  const onward = (isSecure ? secureRequest : plainRequest)(options, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    pipeline(answer, response).catch(() => response.destroy());
  });
  onward.on("error", (error) => {
    if (response.headersSent) response.destroy();
    else response.writeHead(502, { "content-type": "text/plain" }).end(`${error.message}\n`);
  });
  response.once("close", () => onward.destroy());
  request.pipe(onward);
}

/** WebSockets and SPDY: the request's head, then bytes both ways. */
function passUpgrade(
  connection: Connection,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  path: string,
): void {
  const { isSecure, host, port, headers, path: whole } = optionsFor(connection, request, path);
  const target = { host: host ?? "", port: Number(port) };
  const onward: Socket = isSecure ? connectSecure({ ...target, ...tlsOptionsOf(connection) }) : connectPlain(target);
  const lines = Object.entries(headers as Record<string, string | string[]>).flatMap(([name, value]) =>
    [value].flat().map((each) => `${name}: ${each}\r\n`),
  );
  onward.write(`${request.method} ${whole} HTTP/1.1\r\n${lines.join("")}\r\n`);
  if (head.length > 0) onward.write(head);
  pipeline(onward, socket, onward).catch(() => {
    onward.destroy();
    socket.destroy();
  });
}
